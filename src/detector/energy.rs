//! Free energy of the logits.

use super::logits::{energy, narrow};
use super::usual::UsualScores;
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Score `−ln Σ_c exp(f_c)`, f the logits: their free energy at temperature 1.
///
/// Liu et al., *Energy-based Out-of-distribution Detection*, NeurIPS 2020, eq. 4. Only the explanation needs training
/// images.
#[derive(Debug, Clone, PartialEq)]
pub struct Energy {
    usual: UsualScores,
}

fn score(features: &Features) -> f32 {
    narrow(-energy(features.logits.view()))
}

impl Detector for Energy {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Energy
    }

    fn score(&self, features: &Features) -> f32 {
        score(features)
    }

    /// The predicted class, when `ln Σ_c exp(f_c)` (the value) is smaller than on average over the training images of that
    /// class (expected); the contribution is the difference.
    fn explain(&self, features: &Features) -> Explanation {
        self.usual.explain(features.predicted_class(), score(features))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.usual.save(out);
    }

    fn summary(&self) -> Summary {
        Summary::from([("temperature".to_owned(), serde_json::json!(1.0))])
    }
}

impl Fit for Energy {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        Ok(Self { usual: UsualScores::fit(input, score) })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        Ok(Self { usual: UsualScores::load(tensors, layout)? })
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use proptest::prelude::*;

    use super::*;
    use crate::detector::Place;
    use crate::detector::testing::{assert_finite_on_extremes, assert_survives_a_file, synthetic_bank, vector_image};

    #[test]
    fn scores_by_hand() {
        let score = |logits: &[f32]| score(&vector_image(logits, &[0.0]));
        assert_relative_eq!(score(&[2f32.ln(), 6f32.ln(), 0.0]), -9f32.ln(), max_relative = 1e-6);
        assert_relative_eq!(score(&[1.0, 1.0]), -1.0 - 2f32.ln(), max_relative = 1e-6);
        assert_eq!(score(&[200.0, 0.0]), -200.0, "exp(200) is no f32");
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let bank = synthetic_bank(5, 30, 3);
        let detector = Energy::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        for row in 0..bank.len() {
            let expected = -bank.logits().row(row).mapv(|logit| f64::from(logit).exp()).sum().ln();
            assert_relative_eq!(f64::from(detector.score(&bank.features(row))), expected, max_relative = 1e-5);
        }
        assert_survives_a_file(&detector, &bank);
        assert_finite_on_extremes(&detector, &bank);
    }

    #[test]
    fn a_weak_response_is_explained_by_the_usual_one() {
        let bank = synthetic_bank(3, 60, 3);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = Energy::fit(&input).unwrap();
        let mut features = bank.features(input.by_class()[2][0]);
        features.logits -= 10.0;
        let part = detector.explain(&features).parts[0];
        let usual = input.by_class()[2].iter().map(|&row| -detector.score(&bank.features(row))).sum::<f32>();
        assert_eq!((part.place, part.value), (Place::Class(2), -detector.score(&features)));
        assert_relative_eq!(part.expected, usual / input.by_class()[2].len() as f32, max_relative = 1e-5);
        assert_relative_eq!(part.contribution, part.expected - part.value, max_relative = 1e-5);
    }

    proptest! {
        #[test]
        fn a_constant_on_all_logits_moves_the_score(
            logits in prop::collection::vec(-30f32..30.0, 2..9), constant in -50f32..50.0
        ) {
            let moved: Vec<f32> = logits.iter().map(|logit| logit + constant).collect();
            let score = |logits: &[f32]| score(&vector_image(logits, &[0.0]));
            assert_abs_diff_eq!(score(&moved), score(&logits) - constant, epsilon = 1e-4);
        }
    }
}
