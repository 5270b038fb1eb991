//! Distance to the nearest class mean under a shared covariance.

use nalgebra::{Cholesky, DMatrix};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde_json::json;

use super::arrays::{Matrix, dot, squared_distance};
use super::statistics::unit_rows;
use super::{Detector, DetectorKind, Fit, FitError, FitInput, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Smallest weight of the identity in the shrunk covariance. Ledoit–Wolf-like estimates go to 0 with many images, but
/// directions in which the training images hardly vary are then weighted by the inverse of numerical noise.
const MIN_SHRINKAGE: f64 = 1e-3;

/// Score: `min_c (ẑ − μ_c)ᵀ Σ⁻¹ (ẑ − μ_c)` with ẑ = z/‖z‖ the normalised penultimate activations.
///
/// Lee et al., *A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks*, NeurIPS
/// 2018, §2.1, on normalised activations (Müller and Hein, *Mahalanobis++*, ICML 2025). μ_c and Σ come from the correctly
/// classified training images; Σ is shrunk towards a multiple of the identity by oracle-approximating shrinkage (Chen,
/// Wiesel, Eldar, Hero, IEEE Trans. Signal Processing 58, 2010, eq. 23). Classes without such images are left out.
///
/// With the Cholesky factor `Σ = LLᵀ` the distance is `‖L⁻¹ẑ − L⁻¹μ_c‖²`, so a score costs one product with a triangular
/// matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Mahalanobis {
    penultimate: usize,
    /// `D×D`, L⁻¹, lower triangular.
    whitening: Matrix,
    /// `P×D`, L⁻¹μ_c of the `P ≥ 1` classes that have images.
    means: Matrix,
    /// Weight of the identity in Σ, 0..=1.
    shrinkage: f32,
}

impl Mahalanobis {
    /// L⁻¹ẑ.
    fn whiten(&self, z: &Array1<f32>) -> Vec<f32> {
        let length = z.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        let unit: Vec<f32> = z.iter().map(|&value| (f64::from(value) * scale) as f32).collect();
        self.whitening.iter().enumerate().map(|(row, weights)| dot(&weights[..=row], &unit[..=row])).collect()
    }
}

impl Detector for Mahalanobis {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Mahalanobis
    }

    fn score(&self, features: &Features) -> f32 {
        let white = self.whiten(&features.layers[self.penultimate].mean);
        self.means.iter().map(|mean| squared_distance(&white, mean)).fold(f32::INFINITY, f32::min)
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.whitening.save("whitening", out);
        self.means.save("means", out);
        out.put("shrinkage", &[1], &[self.shrinkage]);
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("classes".to_owned(), json!(self.means.rows())),
            ("normalised".to_owned(), json!(true)),
            ("shrinkage".to_owned(), json!(self.shrinkage)),
        ])
    }
}

impl Fit for Mahalanobis {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let classes: Vec<Array2<f64>> = input
            .by_class()
            .iter()
            .filter(|rows| !rows.is_empty())
            .map(|rows| unit_rows(input.bank.penultimate(), rows))
            .collect();
        let means: Vec<Array1<f64>> = classes.iter().map(|rows| rows.sum_axis(Axis(0)) / rows.nrows() as f64).collect();
        let images = input.correct().len();
        let mut covariance = Array2::zeros((means[0].len(), means[0].len()));
        for (rows, mean) in classes.iter().zip(&means) {
            let deviations = rows - mean;
            covariance += &deviations.t().dot(&deviations);
        }
        covariance /= images as f64;
        let shrinkage = shrinkage(covariance.view(), images).max(MIN_SHRINKAGE);
        let whitening = whitening(&shrunk(covariance, shrinkage))
            .ok_or(FitError::Covariance { detector: DetectorKind::Mahalanobis, images })?;
        let white_means = means.iter().flat_map(|mean| whitening.dot(mean)).map(|value| value as f32);
        let neurons = whitening.ncols();
        Ok(Self {
            penultimate: input.bank.layout().penultimate,
            means: Matrix::new(neurons, white_means.collect()),
            whitening: Matrix::new(neurons, whitening.iter().map(|&value| value as f32).collect()),
            shrinkage: shrinkage as f32,
        })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let neurons = layout.layers[layout.penultimate].channels;
        let [classes, _] = tensors.shape::<f32, 2>("means")?;
        if classes == 0 {
            return Err(tensors.invalid("means", "there is no class"));
        }
        Ok(Self {
            penultimate: layout.penultimate,
            whitening: Matrix::load("whitening", tensors, neurons, neurons)?,
            means: Matrix::load("means", tensors, classes, neurons)?,
            shrinkage: tensors.get("shrinkage", [1])?[0],
        })
    }
}

/// Weight of the identity by oracle-approximating shrinkage, in 0..=1, for the covariance of `images` samples.
fn shrinkage(covariance: ArrayView2<'_, f64>, images: usize) -> f64 {
    let (p, n) = (covariance.nrows() as f64, images as f64);
    let trace = covariance.diag().sum();
    let trace_of_square = covariance.iter().map(|value| value * value).sum::<f64>();
    let spread = trace_of_square - trace * trace / p;
    let weight = ((1.0 - 2.0 / p) * trace_of_square + trace * trace) / ((n + 1.0 - 2.0 / p) * spread);
    // A covariance that already is a multiple of the identity has no spread.
    if weight.is_finite() { weight.clamp(0.0, 1.0) } else { 1.0 }
}

/// `(1 − weight) Σ + weight tr(Σ)/D I`.
fn shrunk(covariance: Array2<f64>, weight: f64) -> Array2<f64> {
    let identity = weight * covariance.diag().mean().unwrap_or(0.0);
    let mut shrunk = covariance * (1.0 - weight);
    shrunk.diag_mut().mapv_inplace(|value| value + identity);
    shrunk
}

/// `L⁻¹` of `Σ = LLᵀ`; `None` when Σ is not positive definite.
fn whitening(covariance: &Array2<f64>) -> Option<Array2<f64>> {
    let size = covariance.nrows();
    let matrix = DMatrix::from_fn(size, size, |row, column| covariance[(row, column)]);
    let inverse = Cholesky::new(matrix)?.l().solve_lower_triangular(&DMatrix::identity(size, size))?;
    let inverse = Array2::from_shape_fn((size, size), |(row, column)| inverse[(row, column)]);
    inverse.iter().all(|&value| (value as f32).is_finite()).then_some(inverse)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::array;

    use super::*;
    use crate::detector::testing::{assert_survives_a_file, bank, synthetic_bank, vector_image};

    #[test]
    fn shrinkage_by_hand() {
        // p = 2: the first term vanishes, so 16 / (n · (10 − 8)).
        assert_relative_eq!(shrinkage(array![[3.0, 0.0], [0.0, 1.0]].view(), 100), 0.08);
        assert_eq!(shrinkage(array![[3.0, 0.0], [0.0, 1.0]].view(), 2), 1.0);
        assert_eq!(shrinkage(array![[2.0, 0.0], [0.0, 2.0]].view(), 100), 1.0);
        assert_eq!(shrunk(array![[3.0, 2.0], [2.0, 1.0]], 0.5), array![[2.5, 1.0], [1.0, 1.5]]);
    }

    #[test]
    fn whitening_by_hand() {
        // [[4, 2], [2, 5]] = LLᵀ with L = [[2, 0], [1, 2]].
        let inverse = whitening(&array![[4.0, 2.0], [2.0, 5.0]]).unwrap();
        assert_relative_eq!(inverse.as_slice().unwrap(), [0.5, 0.0, -0.25, 0.5].as_slice());
        assert_eq!(whitening(&array![[0.0, 0.0], [0.0, 1.0]]), None);
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let bank = synthetic_bank(4, 60, 11);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = Mahalanobis::fit(&input).unwrap();
        let inverse = textbook_inverse(&input, f64::from(detector.shrinkage));
        for row in (0..bank.len()).step_by(5) {
            let z = unit_rows(bank.penultimate(), &[row]).row(0).to_owned();
            let distances = input.by_class().iter().map(|rows| {
                let deviation = &z - &unit_rows(bank.penultimate(), rows).mean_axis(Axis(0)).unwrap();
                deviation.dot(&inverse.dot(&deviation))
            });
            let expected = distances.fold(f64::INFINITY, f64::min);
            assert_relative_eq!(f64::from(detector.score(&bank.features(row))), expected, max_relative = 1e-3);
        }
        assert_survives_a_file(&detector, &bank);
    }

    /// Inverse of the shrunk covariance, entry by entry and by LU decomposition.
    fn textbook_inverse(input: &FitInput<'_>, weight: f64) -> Array2<f64> {
        let size = input.bank.penultimate().ncols();
        let mut covariance = DMatrix::zeros(size, size);
        for rows in input.by_class() {
            let z = unit_rows(input.bank.penultimate(), rows);
            let mean = z.mean_axis(Axis(0)).unwrap();
            for row in z.rows() {
                let deviation = nalgebra::DVector::from_iterator(size, &row - &mean);
                covariance += &deviation * deviation.transpose() / input.correct().len() as f64;
            }
        }
        let identity = DMatrix::identity(size, size) * (weight * covariance.trace() / size as f64);
        let inverse = (covariance * (1.0 - weight) + identity).try_inverse().unwrap();
        Array2::from_shape_fn((size, size), |(row, column)| inverse[(row, column)])
    }

    #[test]
    fn scaling_an_image_changes_nothing_and_zero_is_finite() {
        let bank = synthetic_bank(3, 30, 2);
        let detector = Mahalanobis::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        let mut features = bank.features(4);
        let score = detector.score(&features);
        features.layers[1].mean *= 8.0;
        assert_relative_eq!(detector.score(&features), score, max_relative = 1e-4);
        features.layers[1].mean.fill(0.0);
        assert!(detector.score(&features).is_finite());
    }

    #[test]
    fn constant_activations_are_refused() {
        let images = vec![(0, vector_image(&[1.0], &[4.0, 4.0])); 6];
        let error = Mahalanobis::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap_err();
        assert_eq!(error, FitError::Covariance { detector: DetectorKind::Mahalanobis, images: 6 });
    }
}
