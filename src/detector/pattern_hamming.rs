//! Distance to the binary activation patterns seen in training.

use serde_json::json;

use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, NearestExample, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::pattern::{Binarizer, Nearest, Pattern, PatternError, PatternSet, PatternSetBuilder};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Score: the smallest number of bits in which the binarised penultimate activations differ from those of any correctly
/// classified training image of the predicted class; from 0 (seen exactly) to the number of kept neurons.
///
/// Cheng, Nührenberg, Yasuoka, *Runtime Monitoring Neuron Activation Patterns*, DATE 2019, §II; Olber et al., *Detection
/// of Out-of-Distribution Samples Using Binary Neuron Activation Patterns*, CVPR 2023, §3. Each neuron's threshold is
/// its training median instead of 0, see [`Binarizer`]. For a class without any such image, the patterns of all classes
/// count.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternHamming {
    penultimate: usize,
    binarizer: Binarizer,
    set: PatternSet,
}

impl PatternHamming {
    /// The training pattern nearest to this image's, among those of the predicted class. `None` only when the set holds
    /// no pattern at all.
    #[must_use]
    pub fn nearest(&self, features: &Features) -> Option<Nearest> {
        let pattern = self.pattern(features);
        let class = features.predicted_class();
        if self.set.class(class).is_empty() {
            return self.nearest_of_all(&pattern);
        }
        self.set.nearest(class, &pattern, self.width())
    }

    fn nearest_of_all(&self, pattern: &Pattern) -> Option<Nearest> {
        let classes = 0..self.set.classes();
        let nearest = classes.filter_map(|class| self.set.nearest(class, pattern, self.width()));
        nearest.min_by_key(|nearest| (nearest.distance, nearest.index))
    }

    fn pattern(&self, features: &Features) -> Pattern {
        self.binarizer.pattern(features.layers[self.penultimate].mean.view())
    }

    fn width(&self) -> u32 {
        self.set.width() as u32
    }
}

impl Detector for PatternHamming {
    fn kind(&self) -> DetectorKind {
        DetectorKind::PatternHamming
    }

    fn score(&self, features: &Features) -> f32 {
        self.nearest(features).map_or(self.width(), |nearest| nearest.distance) as f32
    }

    /// Placeholder until patterns of several layers.
    fn explain(&self, features: &Features) -> Explanation {
        let nearest = self.nearest(features);
        Explanation::default().near(nearest.map(|nearest| NearestExample {
            class: features.predicted_class(),
            distance: nearest.distance as f32,
            images: self.set.count(nearest.index),
        }))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.binarizer.save(out);
        self.set.save(out);
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("bits".to_owned(), json!(self.set.width())),
            ("patterns".to_owned(), json!(self.set.len())),
            ("threshold".to_owned(), json!("training median")),
        ])
    }
}

impl Fit for PatternHamming {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let failed = |source: PatternError| FitError::Pattern { detector: DetectorKind::PatternHamming, source };
        let correct = input.bank.penultimate().select(ndarray::Axis(0), input.correct());
        let binarizer = Binarizer::fit(correct.view()).map_err(failed)?;
        let mut builder = PatternSetBuilder::new(binarizer.width(), input.bank.layout().classes).map_err(failed)?;
        for (activations, &row) in correct.rows().into_iter().zip(input.correct()) {
            builder.insert(input.bank.labels()[row], binarizer.pattern(activations));
        }
        let set = builder.build().map_err(failed)?;
        Ok(Self { penultimate: input.bank.layout().penultimate, binarizer, set })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let binarizer = Binarizer::load(tensors, layout.layers[layout.penultimate].channels)?;
        let set = PatternSet::load(tensors, layout.classes)?;
        if set.width() != binarizer.width() {
            return Err(tensors.invalid("width", format!("{}, but {} neurons", set.width(), binarizer.width())));
        }
        Ok(Self { penultimate: layout.penultimate, binarizer, set })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::testing::{assert_survives_a_file, bank, synthetic_bank, vector_image};

    /// Three classes, the last without images; medians of the three neurons are 2, 0 and 1.
    fn fitted() -> PatternHamming {
        let image = |class: usize, z: &[f32]| {
            let logits = [0, 1, 2].map(|other| if other == class { 1.0 } else { 0.0 });
            (class, vector_image(&logits, z))
        };
        let mut misclassified = image(1, &[9.0, 9.0, 9.0]);
        misclassified.0 = 0;
        let images = [
            image(0, &[1.0, 0.0, 1.0]), // 000
            image(0, &[2.0, 5.0, 1.0]), // 010
            image(1, &[3.0, 0.0, 2.0]), // 101
            image(1, &[4.0, 0.0, 1.0]), // 001 (neuron 0)
            misclassified,
        ];
        PatternHamming::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap()
    }

    #[test]
    fn scores_by_hand() {
        let detector = fitted();
        let score = |logits: &[f32], z: &[f32]| detector.score(&vector_image(logits, z));
        assert_eq!(detector.binarizer.thresholds(), [2.0, 0.0, 1.0]);
        assert_eq!(score(&[1.0, 0.0, 0.0], &[0.0, 0.0, 0.0]), 0.0);
        assert_eq!(score(&[1.0, 0.0, 0.0], &[3.0, 0.0, 2.0]), 2.0);
        assert_eq!(score(&[1.0, 0.0, 0.0], &[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(score(&[0.0, 1.0, 0.0], &[3.0, 1.0, 2.0]), 1.0, "another predicted class");
        assert_eq!(score(&[0.0, 0.0, 1.0], &[3.0, 0.0, 2.0]), 0.0, "a class without images: all patterns count");
        assert_eq!(score(&[0.0, 0.0, 1.0], &[0.0, 1.0, 2.0]), 1.0, "as before");
    }

    #[test]
    fn a_training_image_has_distance_zero() {
        let bank = synthetic_bank(3, 40, 1);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = PatternHamming::fit(&input).unwrap();
        for &row in input.correct() {
            assert_eq!(detector.score(&bank.features(row)), 0.0);
        }
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn constant_activations_are_refused() {
        let images = vec![(0, vector_image(&[1.0], &[4.0, 4.0])); 6];
        let error = PatternHamming::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap_err();
        let source = PatternError::Constant { neurons: 2, images: 6 };
        assert_eq!(error, FitError::Pattern { detector: DetectorKind::PatternHamming, source });
    }
}
