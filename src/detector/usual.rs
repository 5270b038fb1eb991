//! What a score usually is, for explanations.

use std::cell::LazyCell;

use super::logits::narrow;
use super::{Explanation, FitInput, Part, Place};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Mean score of the correctly classified training images of every class, `K` of them. A class without any has the mean
/// of all.
#[derive(Debug, Clone, PartialEq)]
pub struct UsualScores(Slab<f32>);

impl UsualScores {
    /// Means of the given score.
    pub fn fit(input: &FitInput<'_>, score: impl Fn(&Features) -> f32) -> Self {
        let mean = |rows: &[usize]| {
            let sum: f64 = rows.iter().map(|&row| f64::from(score(&input.bank.features(row)))).sum();
            narrow(sum / rows.len() as f64)
        };
        let all = LazyCell::new(|| mean(input.correct()));
        let classes = input.by_class().iter().map(|rows| if rows.is_empty() { *all } else { mean(rows) });
        Self(classes.collect::<Vec<_>>().into())
    }

    /// Mean score of a class.
    pub fn of(&self, class: usize) -> f32 {
        self.0[class]
    }

    /// Explains a score that only says how strongly the network responds: the predicted class, by how much the score is
    /// above the usual one. Value and expected are the negative scores, so that they tell the strength.
    pub fn explain(&self, class: usize, score: f32) -> Explanation {
        let usual = self.of(class);
        Explanation::of([Part {
            place: Place::Class(class),
            contribution: narrow(f64::from(score) - f64::from(usual)),
            value: -score,
            expected: -usual,
        }])
    }

    /// Writes what [`Self::load`] reads.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("usual_scores", &[self.0.len()], &self.0);
    }

    /// Reads the scores of all classes.
    pub fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        Ok(Self(tensors.get("usual_scores", [layout.classes])?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::testing::{bank, vector_image};

    #[test]
    fn means_per_class_by_hand() {
        let images = [
            (0, vector_image(&[2.0, 1.0, 0.0], &[0.0])),
            (0, vector_image(&[5.0, 1.0, 0.0], &[0.0])),
            (0, vector_image(&[7.0, 9.0, 0.0], &[0.0])), // misclassified
            (1, vector_image(&[0.0, 8.0, 0.0], &[0.0])),
        ];
        let bank = bank(&images);
        let usual = UsualScores::fit(&FitInput::new(&bank, None).unwrap(), |features| features.logits[0]);
        assert_eq!([0, 1, 2].map(|class| usual.of(class)), [3.5, 0.0, 7.0 / 3.0]);
        let part = usual.explain(0, 4.0).parts[0];
        assert_eq!(part, Part { place: Place::Class(0), contribution: 0.5, value: -4.0, expected: -3.5 });
        assert_eq!(usual.explain(0, 3.0).parts, [], "lower than usual");
    }
}
