//! Maximum softmax probability.

use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Score `−max_c p_c` with `p = softmax(logits)`, in −1 (certain) to −1/K.
///
/// Hendrycks and Gimpel, *A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks*,
/// ICLR 2017, §3. Nothing is fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msp;

impl Detector for Msp {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Msp
    }

    fn score(&self, features: &Features) -> f32 {
        let largest = features.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = features.logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
        (-1.0 / sum) as f32
    }

    /// The classes that compete with the predicted one, by their probability; expected is 0.
    fn explain(&self, features: &Features) -> Explanation {
        let predicted = features.predicted_class();
        let rivals = features.softmax().into_iter().enumerate().filter(|(class, _)| *class != predicted);
        Explanation::of(rivals.map(|(class, probability)| Part {
            place: Place::Class(class),
            contribution: probability,
            value: probability,
            expected: 0.0,
        }))
    }

    fn save(&self, _out: &mut TensorWriter<'_>) {}

    fn summary(&self) -> Summary {
        Summary::new()
    }
}

impl Fit for Msp {
    fn fit(_input: &FitInput<'_>) -> Result<Self, FitError> {
        Ok(Self)
    }

    fn load(_tensors: &TensorReader<'_>, _layout: &FeatureLayout) -> Result<Self, StorageError> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::detector::testing::vector_image;

    #[test]
    fn scores_by_hand() {
        let score = |logits: &[f32]| Msp.score(&vector_image(logits, &[0.0]));
        assert_relative_eq!(score(&[3.0, 3.0, 3.0, 3.0]), -0.25);
        // softmax(ln 2, ln 6, 0) = (2, 6, 1) / 9
        assert_relative_eq!(score(&[2f32.ln(), 6f32.ln(), 0.0]), -6.0 / 9.0, max_relative = 1e-6);
        assert_eq!(score(&[1e30, -1e30]), -1.0);
        let explanation = Msp.explain(&vector_image(&[2f32.ln(), 6f32.ln(), 0.0], &[0.0]));
        let rivals: Vec<Place> = explanation.parts.iter().map(|part| part.place).collect();
        assert_eq!(rivals, [Place::Class(0), Place::Class(2)]);
        assert_relative_eq!(explanation.parts[0].contribution, 2.0 / 9.0, max_relative = 1e-6);
        let features = vector_image(&[0.3, -2.0, 1.7], &[0.0]);
        assert_relative_eq!(Msp.score(&features), -features.softmax().fold(0.0f32, |a, &b| a.max(b)), epsilon = 1e-6);
    }
}
