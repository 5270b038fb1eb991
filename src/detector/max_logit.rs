//! Maximum logit.

use super::usual::UsualScores;
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Score `−max_c f_c`, f the logits.
///
/// Hendrycks et al., *Scaling Out-of-Distribution Detection for Real-World Settings*, ICML 2022. Only the explanation
/// needs training images.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxLogit {
    usual: UsualScores,
}

fn score(features: &Features) -> f32 {
    -features.logits.iter().copied().fold(f32::MIN, f32::max)
}

impl Detector for MaxLogit {
    fn kind(&self) -> DetectorKind {
        DetectorKind::MaxLogit
    }

    fn score(&self, features: &Features) -> f32 {
        score(features)
    }

    /// The predicted class, when its logit (the value) is smaller than on average over the training images of that class
    /// (expected); the contribution is the difference.
    fn explain(&self, features: &Features) -> Explanation {
        self.usual.explain(features.predicted_class(), score(features))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.usual.save(out);
    }

    fn summary(&self) -> Summary {
        Summary::new()
    }
}

impl Fit for MaxLogit {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        Ok(Self { usual: UsualScores::fit(input, score) })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        Ok(Self { usual: UsualScores::load(tensors, layout)? })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::detector::testing::{
        assert_finite_on_extremes, assert_survives_a_file, bank, synthetic_bank, vector_image,
    };
    use crate::detector::{Part, Place};

    #[test]
    fn scores_by_hand() {
        let images = [(1, vector_image(&[1.0, 6.0], &[0.0])), (1, vector_image(&[1.0, 8.0], &[0.0]))];
        let detector = MaxLogit::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap();
        let weak = vector_image(&[-9.0, 3.0], &[0.0]);
        assert_eq!(detector.score(&weak), -3.0);
        assert_eq!(detector.score(&vector_image(&[-2.0, -1.5], &[0.0])), 1.5);
        let expected = Part { place: Place::Class(1), contribution: 4.0, value: 3.0, expected: 7.0 };
        assert_eq!(detector.explain(&weak).parts, [expected]);
        assert_eq!(detector.explain(&images[1].1).parts, [], "a strong response needs no explanation");
    }

    #[test]
    fn it_survives_files_and_extremes() {
        let bank = synthetic_bank(3, 30, 8);
        let detector = MaxLogit::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        assert_survives_a_file(&detector, &bank);
        assert_finite_on_extremes(&detector, &bank);
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
