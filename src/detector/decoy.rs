//! The class that stands for none of the others.

use serde_json::json;

use super::logits::{log_odds, narrow, softmax, widen};
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Score `ln p_d − ln(1 − p_d)`, the log-odds of the decoy class d.
///
/// For models that learnt a further class of images that belong to none of the others, as in Vernekar et al.,
/// *Out-of-distribution Detection in Classifiers via Generation*, NeurIPS 2019 workshop on Safety and Robustness in
/// Decision Making. Unlike p_d, log-odds still tell images apart where p_d rounds to 0 or 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoy {
    class: usize,
    classes: usize,
}

impl Detector for Decoy {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Decoy
    }

    fn score(&self, features: &Features) -> f32 {
        narrow(log_odds(&widen(&features.logits), self.class))
    }

    /// The decoy class with its probability, of which 0 is expected, and the most probable other class with what its
    /// probability lacks to 1, which is expected. Values are probabilities.
    fn explain(&self, features: &Features) -> Explanation {
        let probabilities = softmax(&widen(&features.logits));
        let others = (0..probabilities.len()).filter(|class| *class != self.class);
        let rival = others.max_by(|&a, &b| features.logits[a].total_cmp(&features.logits[b]));
        let part = |class: usize, expected: f64| Part {
            place: Place::Class(class),
            contribution: narrow((probabilities[class] - expected).abs()),
            value: narrow(probabilities[class]),
            expected: narrow(expected),
        };
        Explanation::of([part(self.class, 0.0)].into_iter().chain(rival.map(|class| part(class, 1.0))))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("class", &[1], &[self.class as u32]);
        // An index alone would fit any model with as many classes or more.
        out.put("classes", &[1], &[self.classes as u32]);
    }

    fn summary(&self) -> Summary {
        Summary::from([("class".to_owned(), json!(self.class))])
    }
}

impl Fit for Decoy {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let classes = input.bank.layout().classes;
        let class = input.decoy_class.filter(|class| *class < classes);
        let class = class.ok_or(FitError::Unsupported { detector: DetectorKind::Decoy, missing: "a decoy class" })?;
        Ok(Self { class, classes })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let number = |name: &str| Ok(tensors.get::<u32, 1>(name, [1])?[0] as usize);
        let (class, classes) = (number("class")?, number("classes")?);
        if classes != layout.classes {
            return Err(tensors.invalid("classes", format!("{classes}, but the model has {}", layout.classes)));
        }
        if class >= classes {
            return Err(tensors.invalid("class", format!("{class} is not below the number of classes {classes}")));
        }
        Ok(Self { class, classes })
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use proptest::prelude::*;

    use super::*;
    use crate::detector::testing::{assert_finite_on_extremes, assert_survives_a_file, synthetic_bank, vector_image};

    const LAST: Decoy = Decoy { class: 2, classes: 3 };

    #[test]
    fn scores_and_explanations_by_hand() {
        // softmax = (2, 6, 1) / 9
        let features = vector_image(&[2f32.ln(), 6f32.ln(), 0.0], &[0.0]);
        assert_relative_eq!(LAST.score(&features), -8f32.ln(), max_relative = 1e-6);
        let parts = LAST.explain(&features).parts;
        assert_eq!((parts[0].place, parts[0].expected), (Place::Class(1), 1.0));
        assert_eq!((parts[1].place, parts[1].expected), (Place::Class(2), 0.0));
        assert_relative_eq!(parts[0].contribution, 3.0 / 9.0, max_relative = 1e-6);
        assert_relative_eq!(parts[1].contribution, 1.0 / 9.0, max_relative = 1e-6);

        let sure = vector_image(&[0.0, -500.0, 500.0], &[0.0]);
        assert_eq!(LAST.score(&sure), 500.0, "p_d rounds to 1");
        assert_eq!(LAST.explain(&sure).parts[0].place, Place::Class(2));
        assert_eq!(LAST.score(&vector_image(&[0.0, 500.0, -500.0], &[0.0])), -1000.0, "p_d rounds to 0");
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let bank = synthetic_bank(4, 30, 3);
        let input = FitInput::new(&bank, None).unwrap().with_decoy_class(Some(1));
        let detector = Decoy::fit(&input).unwrap();
        for row in 0..bank.len() {
            let exponentials = bank.logits().row(row).mapv(|logit| f64::from(logit).exp());
            let probability = exponentials[1] / exponentials.sum();
            let expected = (probability / (1.0 - probability)).ln();
            assert_relative_eq!(f64::from(detector.score(&bank.features(row))), expected, epsilon = 1e-5);
        }
        assert_survives_a_file(&detector, &bank);
        assert_finite_on_extremes(&detector, &bank);
    }

    #[test]
    fn a_model_without_decoy_class_is_refused() {
        let bank = synthetic_bank(3, 10, 3);
        for decoy_class in [None, Some(3)] {
            let input = FitInput::new(&bank, None).unwrap().with_decoy_class(decoy_class);
            let message = Decoy::fit(&input).unwrap_err().to_string();
            assert_eq!(message, "decoy needs a decoy class, which this model does not have");
        }
    }

    proptest! {
        #[test]
        fn a_constant_on_all_logits_changes_nothing(
            logits in prop::collection::vec(-30f32..30.0, 3), constant in -50f32..50.0
        ) {
            let moved: Vec<f32> = logits.iter().map(|logit| logit + constant).collect();
            let score = |logits: &[f32]| LAST.score(&vector_image(logits, &[0.0]));
            assert_abs_diff_eq!(score(&moved), score(&logits), epsilon = 1e-4);
        }
    }
}
