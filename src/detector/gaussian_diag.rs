//! Likelihood under the predicted class's mean and variance of every neuron.

use std::f64::consts::TAU;

use ndarray::Array1;
use serde_json::json;

use super::arrays::Matrix;
use super::statistics::{ClassMoments, PRIOR_IMAGES, to_f32, variance_floor};
use super::{
    Detector, DetectorKind, Expectation, Explanation, Fit, FitError, FitInput, Part, Place, Summary, two_sided_p_value,
};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Smallest variance, as a share of the mean over all neurons of their variance. It keeps neurons that never varied for
/// a class from deciding alone.
const VARIANCE_FLOOR: f64 = 1e-3;

/// Score: −ln likelihood of the penultimate activations z under independent normal distributions,
/// `½ Σ_j [ln(2π σ²_cj) + (z_j − μ_cj)² / σ²_cj]`, c the predicted class.
///
/// Mean and variance are those of the correctly classified training images of the class, see [`ClassMoments`]. It is the
/// generative classifier of Lee et al., NeurIPS 2018, §2.1 with a diagonal covariance per class.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianDiag {
    penultimate: usize,
    /// `K×D`.
    means: Matrix,
    /// `K×D`, 1/σ².
    precisions: Matrix,
    /// `K`, `½ Σ_j ln(2π σ²_cj)`.
    offsets: Slab<f32>,
}

impl Detector for GaussianDiag {
    fn kind(&self) -> DetectorKind {
        DetectorKind::GaussianDiag
    }

    fn score(&self, features: &Features) -> f32 {
        let class = features.predicted_class();
        let parameters = self.means.row(class).iter().zip(self.precisions.row(class));
        let squares = features.layers[self.penultimate].mean.iter().zip(parameters).map(|(&z, (&mean, &precision))| {
            let deviation = f64::from(z) - f64::from(mean);
            deviation * deviation * f64::from(precision)
        });
        (f64::from(self.offsets[class]) + 0.5 * squares.sum::<f64>()) as f32
    }

    /// The neurons with the largest `½ (z_j − μ_cj)² / σ²_cj`; expected is μ_cj.
    fn explain(&self, features: &Features) -> Explanation {
        let class = features.predicted_class();
        let parameters = self.means.row(class).iter().zip(self.precisions.row(class));
        let neurons = features.layers[self.penultimate].mean.iter().zip(parameters).enumerate();
        Explanation::of(neurons.map(|(unit, (&value, (&expected, &precision)))| Part {
            place: Place::Unit { layer: self.penultimate, unit },
            contribution: 0.5 * (value - expected) * (value - expected) * precision,
            value,
            expected,
        }))
    }

    /// Of the penultimate layer: μ_cj, and the two-sided p-value of z_j under the normal distribution with that mean and σ²_cj
    /// ([`two_sided_p_value`]).
    fn expectation(&self, features: &Features, layer: usize) -> Option<Expectation> {
        if layer != self.penultimate {
            return None;
        }
        let class = features.predicted_class();
        let (means, precisions) = (self.means.row(class), self.precisions.row(class));
        let neurons = features.layers[layer].mean.iter().zip(means.iter().zip(precisions));
        let p_value = |(&z, (&mean, &precision)): (&f32, (&f32, &f32))| {
            two_sided_p_value((f64::from(z) - f64::from(mean)) * f64::from(precision).sqrt())
        };
        Some(Expectation {
            detector: self.kind(),
            meaning: "two-sided, normal distribution of the neuron over the training images of the class",
            means: means.to_vec(),
            p_values: neurons.map(p_value).collect(),
        })
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.means.save("means", out);
        self.precisions.save("precisions", out);
        out.put("offsets", &[self.offsets.len()], &self.offsets);
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("prior_images".to_owned(), json!(PRIOR_IMAGES)),
            ("variance_floor".to_owned(), json!(VARIANCE_FLOOR)),
        ])
    }
}

impl Fit for GaussianDiag {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let moments = ClassMoments::of(input.bank.penultimate(), input.by_class());
        let floor = variance_floor(VARIANCE_FLOOR, moments.pooled.variance.mean());
        let variances = moments.classes.iter().map(|class| class.variance.mapv(|variance| variance.max(floor)));
        let variances: Vec<Array1<f64>> = variances.collect();
        let neurons = moments.pooled.mean.len();
        let offset = |variances: &Array1<f64>| 0.5 * variances.mapv(|variance| (TAU * variance).ln()).sum();
        Ok(Self {
            penultimate: input.bank.layout().penultimate,
            means: Matrix::new(neurons, to_f32(moments.classes.iter().map(|class| &class.mean))),
            precisions: Matrix::new(neurons, to_f32(&variances.iter().map(|row| row.recip()).collect::<Vec<_>>())),
            offsets: variances.iter().map(|row| offset(row) as f32).collect::<Vec<_>>().into(),
        })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let (classes, neurons) = (layout.classes, layout.layers[layout.penultimate].channels);
        Ok(Self {
            penultimate: layout.penultimate,
            means: Matrix::load("means", tensors, classes, neurons)?,
            precisions: Matrix::load("precisions", tensors, classes, neurons)?,
            offsets: tensors.get("offsets", [classes])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::detector::testing::{assert_survives_a_file, bank, synthetic_bank, vector_image};

    #[test]
    fn scores_by_hand() {
        // One class, one neuron: mean 2, variance 4 (the variance within all classes is the same, so shrinking has no
        // effect).
        let images = [0.0, 4.0, 0.0, 4.0, 0.0, 4.0].map(|z| (0, vector_image(&[1.0], &[z])));
        let detector = GaussianDiag::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap();
        let constant = 0.5 * (TAU * 4.0).ln() as f32;
        for (z, squares) in [(2.0, 0.0), (4.0, 0.5), (-4.0, 4.5)] {
            assert_relative_eq!(detector.score(&vector_image(&[1.0], &[z])), constant + squares, max_relative = 1e-6);
        }
    }

    #[test]
    fn scores_agree_with_the_formula() {
        let bank = synthetic_bank(4, 60, 3);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = GaussianDiag::fit(&input).unwrap();
        let moments = ClassMoments::of(bank.penultimate(), input.by_class());
        for row in (0..bank.len()).step_by(7) {
            let features = bank.features(row);
            let class = &moments.classes[features.predicted_class()];
            let z = features.layers[1].mean.mapv(f64::from);
            let density = |j: usize| {
                let exponent = -(z[j] - class.mean[j]).powi(2) / (2.0 * class.variance[j]);
                exponent.exp() / (TAU * class.variance[j]).sqrt()
            };
            let expected: f64 = (0..z.len()).map(|j| -density(j).ln()).sum();
            assert_relative_eq!(f64::from(detector.score(&features)), expected, max_relative = 1e-4);
        }
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn the_neuron_that_deviates_is_named() {
        let bank = synthetic_bank(3, 50, 4);
        let detector = GaussianDiag::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        let mut features = bank.features(1);
        features.layers[1].mean[7] += 30.0;
        let part = detector.explain(&features).parts[0];
        assert_eq!(part.place, Place::Unit { layer: 1, unit: 7 });
        assert_eq!(part.value, features.layers[1].mean[7]);
        assert!((part.value - part.expected - 30.0).abs() < 5.0 && part.contribution > 0.9 * detector.score(&features));
    }

    #[test]
    fn what_is_usual_in_the_penultimate_layer_is_known() {
        // Mean 2, variance 4, as above.
        let images = [0.0, 4.0, 0.0, 4.0, 0.0, 4.0].map(|z| (0, vector_image(&[1.0], &[z])));
        let detector = GaussianDiag::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap();
        for (z, p_value) in [(2.0, 1.0), (4.0, 0.317_310_5), (-4.0, 0.002_699_8)] {
            let expectation = detector.expectation(&vector_image(&[1.0], &[z]), 0).unwrap();
            assert_eq!(expectation.means, [2.0]);
            assert_relative_eq!(expectation.p_values[0], p_value, max_relative = 1e-4);
        }
        assert!(detector.expectation(&vector_image(&[1.0], &[0.0]), 1).is_none());
    }

    #[test]
    fn constant_neurons_and_empty_classes_give_finite_scores() {
        let images = vec![(0, vector_image(&[1.0, 0.0], &[4.0, 4.0])); 6];
        let detector = GaussianDiag::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap();
        let seen = detector.score(&vector_image(&[0.0, 1.0], &[4.0, 4.0]));
        let other = detector.score(&vector_image(&[0.0, 1.0], &[4.0, 4.1]));
        assert!(seen.is_finite() && seen < other);
    }
}
