//! Distance to the nearest class mean under a shared covariance.

use ndarray::{Array1, Array2, Axis};
use serde_json::json;

use super::arrays::{Matrix, load_classes};
use super::statistics::{unit, unit_rows};
use super::whitening::Whitening;
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, NearestExample, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Score: `min_c (ẑ − μ_c)ᵀ Σ⁻¹ (ẑ − μ_c)` with ẑ = z/‖z‖ the normalised penultimate activations.
///
/// Lee et al., *A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks*, NeurIPS
/// 2018, §2.1, on normalised activations (Müller and Hein, *Mahalanobis++*, ICML 2025). μ_c and Σ come from the correctly
/// classified training images, see [`Whitening`] for the shrinkage of Σ. Classes without such images are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Mahalanobis {
    penultimate: usize,
    /// `Σ⁻¹ = WᵀW`.
    whitening: Whitening,
    /// `P×D`, Wμ_c of the `P ≥ 1` classes that have images.
    means: Matrix,
    /// `P`, their indices.
    classes: Slab<u32>,
}

impl Mahalanobis {
    /// Row in `means` of the class nearest to Wẑ, and the squared distance to it.
    fn nearest(&self, white: &[f32]) -> (usize, f32) {
        let distances = self.means.all_squared_distances(white).into_iter().enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f32::INFINITY))
    }

    fn whiten(&self, features: &Features) -> Vec<f32> {
        self.whitening.apply(&unit(&features.layers[self.penultimate].mean))
    }

    /// The nearest class, and what every neuron contributes to the distance to it.
    pub(super) fn parts(&self, features: &Features) -> (NearestExample, Vec<Part>) {
        let white = self.whiten(features);
        let (row, distance) = self.nearest(&white);
        let values = unit(&features.layers[self.penultimate].mean);
        let parts = self.whitening.parts(&white, self.means.row(row)).into_iter().zip(values).enumerate();
        let parts = parts.map(|(neuron, ((deviation, contribution), value))| Part {
            place: Place::Unit { layer: self.penultimate, unit: neuron },
            contribution,
            value,
            expected: value - deviation,
        });
        (NearestExample { class: self.classes[row] as usize, distance, images: 1 }, parts.collect())
    }

    /// Weight of the identity in Σ, 0..=1.
    pub(super) fn shrinkage(&self) -> f32 {
        self.whitening.shrinkage()
    }

    /// Number of classes that have a mean.
    pub(super) fn classes(&self) -> usize {
        self.means.rows()
    }
}

impl Detector for Mahalanobis {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Mahalanobis
    }

    fn score(&self, features: &Features) -> f32 {
        self.nearest(&self.whiten(features)).1
    }

    /// The neurons with the largest `(ẑ − μ_c)_j [Σ⁻¹(ẑ − μ_c)]_j`, whose sum is the score; c is the nearest class and μ_cj
    /// what is expected.
    fn explain(&self, features: &Features) -> Explanation {
        let (nearest, parts) = self.parts(features);
        Explanation::of(parts).near(Some(nearest))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.whitening.save(out);
        self.means.save("means", out);
        out.put("classes", &[self.classes.len()], &self.classes);
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("classes".to_owned(), json!(self.means.rows())),
            ("normalised".to_owned(), json!(true)),
            ("shrinkage".to_owned(), json!(self.whitening.shrinkage())),
        ])
    }
}

impl Fit for Mahalanobis {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let covariance = WithinClasses::fit(input);
        let images = input.correct().len();
        let whitening = Whitening::fit(covariance.within, images)
            .ok_or(FitError::Covariance { detector: DetectorKind::Mahalanobis, images })?;
        let means = covariance.means.iter().flat_map(|mean| whitening.apply_f64(mean)).collect();
        Ok(Self {
            penultimate: input.bank.layout().penultimate,
            means: Matrix::new(input.bank.penultimate().ncols(), means),
            whitening,
            classes: covariance.classes.into(),
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
            whitening: Whitening::load(tensors, neurons)?,
            means: Matrix::load("means", tensors, classes, neurons)?,
            classes: load_classes(tensors, classes, layout.classes)?,
        })
    }
}

/// Means and common covariance of the classes, of normalised penultimate activations.
pub(super) struct WithinClasses {
    /// The classes that have correctly classified images.
    pub classes: Vec<u32>,
    /// Their means, `D` each.
    pub means: Vec<Array1<f64>>,
    /// `D×D`.
    pub within: Array2<f64>,
}

impl WithinClasses {
    /// From the correctly classified images.
    pub fn fit(input: &FitInput<'_>) -> Self {
        let neurons = input.bank.penultimate().ncols();
        let mut found = Self { classes: Vec::new(), means: Vec::new(), within: Array2::zeros((neurons, neurons)) };
        for (class, rows) in (0..).zip(input.by_class()).filter(|(_, rows)| !rows.is_empty()) {
            let z = unit_rows(input.bank.penultimate(), rows);
            let mean = z.sum_axis(Axis(0)) / rows.len() as f64;
            let deviations = &z - &mean;
            found.within += &deviations.t().dot(&deviations);
            found.classes.push(class);
            found.means.push(mean);
        }
        found.within /= input.correct().len() as f64;
        found
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use nalgebra::DMatrix;

    use super::*;
    use crate::detector::testing::{assert_survives_a_file, bank, synthetic_bank, vector_image};

    #[test]
    fn scores_agree_with_the_textbook() {
        let bank = synthetic_bank(4, 60, 11);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = Mahalanobis::fit(&input).unwrap();
        let inverse = textbook_inverse(&input, f64::from(detector.whitening.shrinkage()));
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
        let explanation = detector.explain(&features);
        assert!(explanation.parts[0].contribution > 0.0);
        assert_relative_eq!(explanation.nearest.unwrap().distance, score, max_relative = 1e-4);
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
