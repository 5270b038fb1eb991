//! Energy of rectified activations.

use serde_json::json;

use super::head::{LinearHead, required_head};
use super::logits::{log_sum_exp, narrow};
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Share of the training activations that are at most the threshold, in percent.
const PERCENTILE: usize = 90;

/// Score `−ln Σ_c exp(f_c)` with `f = W min(z, t) + b`: the energy when no penultimate activation exceeds t.
///
/// Sun, Guo and Li, *ReAct: Out-of-distribution Detection With Rectified Activations*, NeurIPS 2021, §3. t is one
/// threshold for all neurons, the 90th percentile of all their activations on all training images.
#[derive(Debug, Clone, PartialEq)]
pub struct React {
    penultimate: usize,
    head: LinearHead,
    threshold: f32,
}

impl React {
    fn clipped(&self, features: &Features) -> Vec<f64> {
        features.layers[self.penultimate].mean.iter().map(|z| f64::from(z.min(self.threshold))).collect()
    }

    fn energy(&self, z: &[f64]) -> f64 {
        -log_sum_exp(self.head.logits(z).into_iter())
    }
}

impl Detector for React {
    fn kind(&self) -> DetectorKind {
        DetectorKind::React
    }

    fn score(&self, features: &Features) -> f32 {
        narrow(self.energy(&self.clipped(features)))
    }

    /// The neurons whose clipping makes the score higher, by how much lower it were without clipping them alone. Values
    /// are activations; expected is the threshold.
    fn explain(&self, features: &Features) -> Explanation {
        let z = self.clipped(features);
        let logits = self.head.logits(&z);
        let lower = log_sum_exp(logits.iter().copied());
        let neurons = features.layers[self.penultimate].mean.iter().enumerate();
        let excessive = neurons.filter(|(_, value)| **value > self.threshold);
        Explanation::of(excessive.map(|(unit, &value)| {
            let excess = f64::from(value) - z[unit];
            let raised = logits.iter().zip(self.head.weights_of(unit)).map(|(logit, weight)| logit + weight * excess);
            let raised: Vec<f64> = raised.collect();
            Part {
                place: Place::Unit { layer: self.penultimate, unit },
                contribution: narrow(log_sum_exp(raised.into_iter()) - lower),
                value,
                expected: self.threshold,
            }
        }))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.head.save(out);
        out.put("threshold", &[1], &[self.threshold]);
    }

    fn summary(&self) -> Summary {
        Summary::from([("percentile".to_owned(), json!(PERCENTILE)), ("threshold".to_owned(), json!(self.threshold))])
    }
}

impl Fit for React {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let head = LinearHead::new(required_head(input, DetectorKind::React)?);
        let threshold = percentile(input.bank.penultimate().iter().copied().collect());
        Ok(Self { penultimate: input.bank.layout().penultimate, head, threshold })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let threshold = tensors.get::<f32, 1>("threshold", [1])?[0];
        if !threshold.is_finite() {
            return Err(tensors.invalid("threshold", format!("{threshold} is not finite")));
        }
        Ok(Self { penultimate: layout.penultimate, head: LinearHead::load(tensors, layout)?, threshold })
    }
}

/// The smallest value that at least [`PERCENTILE`] per cent do not exceed. Panics without values.
fn percentile(mut values: Vec<f32>) -> f32 {
    let rank = (values.len() * PERCENTILE).div_ceil(100);
    *values.select_nth_unstable_by(rank - 1, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{arr1, array};

    use super::*;
    use crate::activation::Head;
    use crate::detector::Energy;
    use crate::detector::testing::{
        assert_finite_on_extremes, assert_survives_a_file, bank, linear_bank, vector_image,
    };

    #[test]
    fn the_threshold_by_hand() {
        assert_eq!(percentile((1..=10).rev().map(|x| x as f32).collect()), 9.0);
        assert_eq!(percentile((1..=11).map(|x| x as f32).collect()), 10.0);
        assert_eq!(percentile(vec![4.0]), 4.0);
    }

    #[test]
    fn scores_and_explanations_by_hand() {
        let images: Vec<_> = (0..5).map(|x| (0, vector_image(&[1.0, 0.0], &[x as f32, -1.0]))).collect();
        let head = Head { weight: array![[1.0, 0.0], [0.0, 2.0]], bias: arr1(&[0.0, 1.0]), dropout: 0.0 };
        let detector = React::fit(&FitInput::new(&bank(&images), Some(&head)).unwrap()).unwrap();
        assert_eq!(detector.threshold, 3.0, "90 % of 10 activations");
        let features = vector_image(&[1.0, 0.0], &[5.0, 1.0]);
        assert_relative_eq!(detector.score(&features), -(3f32.exp() + 3f32.exp()).ln(), max_relative = 1e-6);
        let parts = detector.explain(&features).parts;
        assert_eq!(parts.len(), 1, "the other neuron is below the threshold");
        assert_eq!((parts[0].place, parts[0].value, parts[0].expected), (Place::Unit { layer: 0, unit: 0 }, 5.0, 3.0));
        let gain = (5f32.exp() + 3f32.exp()).ln() - (2.0 * 3f32.exp()).ln();
        assert_relative_eq!(parts[0].contribution, gain, max_relative = 1e-5);
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let (bank, head) = linear_bank(4, 40, 6);
        let detector = React::fit(&FitInput::new(&bank, Some(&head)).unwrap()).unwrap();
        let mut all: Vec<f32> = bank.penultimate().iter().copied().collect();
        all.sort_by(f32::total_cmp);
        let threshold = f64::from(all[all.len() * 9 / 10 - 1]);
        let (weight, bias) = (head.weight.mapv(f64::from), head.bias.mapv(f64::from));
        for row in 0..bank.len() {
            let z = bank.penultimate().row(row).mapv(|z| f64::from(z).min(threshold));
            let expected = -(weight.dot(&z) + &bias).mapv(f64::exp).sum().ln();
            assert_relative_eq!(f64::from(detector.score(&bank.features(row))), expected, max_relative = 1e-5);
        }
        assert_survives_a_file(&detector, &bank);
        assert_finite_on_extremes(&detector, &bank);
    }

    #[test]
    fn without_clipping_it_is_the_energy() {
        let (bank, head) = linear_bank(4, 40, 6);
        let input = FitInput::new(&bank, Some(&head)).unwrap();
        let detector = React { threshold: 1e9, ..React::fit(&input).unwrap() };
        let energy = Energy::fit(&input).unwrap();
        for row in 0..bank.len() {
            let features = bank.features(row);
            assert_relative_eq!(detector.score(&features), energy.score(&features), max_relative = 1e-4);
            assert_eq!(detector.explain(&features).parts, []);
        }
    }

    #[test]
    fn a_model_without_head_is_refused() {
        let (bank, _) = linear_bank(3, 10, 6);
        let error = React::fit(&FitInput::new(&bank, None).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "react needs a head (last linear layer), which this model does not have");
    }
}
