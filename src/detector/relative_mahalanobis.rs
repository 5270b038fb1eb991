//! Distance to the nearest class mean, less the distance to the mean of everything.

use ndarray::{Array2, Axis};
use serde_json::json;

use super::arrays::squared_distance;
use super::statistics::{unit, unit_rows};
use super::whitening::Whitening;
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Mahalanobis, Part, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Score: `min_c M_c − M_0` with `M_c = (ẑ − μ_c)ᵀ Σ⁻¹ (ẑ − μ_c)` and `M_0 = (ẑ − μ_0)ᵀ Σ_0⁻¹ (ẑ − μ_0)`, ẑ = z/‖z‖ the
/// normalised penultimate activations.
///
/// μ_c and Σ are those of [`Mahalanobis`]; μ_0 and Σ_0 are mean and covariance of all correctly classified training images
/// together, whatever their class, shrunk in the same way ([`Whitening`]). Directions in which all images vary alike then
/// cancel, and what tells the classes apart is left: Ren et al., *A Simple Fix to Mahalanobis Distance for Improving
/// Near-OOD Detection*, 2021 (arXiv 2106.09022), §2, there without the normalisation. Scores are mostly negative for
/// training images.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeMahalanobis {
    penultimate: usize,
    classes: Mahalanobis,
    /// `Σ_0⁻¹ = WᵀW`.
    whitening: Whitening,
    /// `D`, Wμ_0.
    mean: Slab<f32>,
}

impl RelativeMahalanobis {
    fn whiten(&self, features: &Features) -> Vec<f32> {
        self.whitening.apply(&unit(&features.layers[self.penultimate].mean))
    }

    /// What every neuron contributes to M_0.
    fn background_parts(&self, features: &Features) -> Vec<f32> {
        self.whitening
            .parts(&self.whiten(features), &self.mean)
            .into_iter()
            .map(|(_, contribution)| contribution)
            .collect()
    }
}

impl Detector for RelativeMahalanobis {
    fn kind(&self) -> DetectorKind {
        DetectorKind::RelativeMahalanobis
    }

    fn score(&self, features: &Features) -> f32 {
        self.classes.score(features) - squared_distance(&self.whiten(features), &self.mean)
    }

    /// The neurons that contribute most to `M_c − M_0`, which is the sum over all neurons; c is the nearest class and μ_cj
    /// what is expected. The distance of the nearest class is M_c.
    fn explain(&self, features: &Features) -> Explanation {
        let (nearest, parts) = self.classes.parts(features);
        let parts = parts.into_iter().zip(self.background_parts(features));
        let relative = parts.map(|(part, background)| Part { contribution: part.contribution - background, ..part });
        Explanation::of(relative).near(Some(nearest))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.classes.save(&mut out.scope("classes"));
        self.whitening.save(out);
        out.put("mean", &[self.mean.len()], &self.mean);
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("classes".to_owned(), json!(self.classes.classes())),
            ("normalised".to_owned(), json!(true)),
            ("shrinkage".to_owned(), json!(self.classes.shrinkage())),
            ("background_shrinkage".to_owned(), json!(self.whitening.shrinkage())),
        ])
    }
}

impl Fit for RelativeMahalanobis {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let images = input.correct().len();
        let failed = || FitError::Covariance { detector: DetectorKind::RelativeMahalanobis, images };
        let classes = Mahalanobis::fit(input).map_err(|_| failed())?;
        let z = unit_rows(input.bank.penultimate(), input.correct());
        let mean = z.sum_axis(Axis(0)) / images as f64;
        let deviations = &z - &mean;
        let covariance: Array2<f64> = deviations.t().dot(&deviations) / images as f64;
        let whitening = Whitening::fit(covariance, images).ok_or_else(failed)?;
        Ok(Self {
            penultimate: input.bank.layout().penultimate,
            classes,
            mean: whitening.apply_f64(&mean).into(),
            whitening,
        })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let neurons = layout.layers[layout.penultimate].channels;
        Ok(Self {
            penultimate: layout.penultimate,
            classes: Mahalanobis::load(&tensors.scope("classes"), layout)?,
            whitening: Whitening::load(tensors, neurons)?,
            mean: tensors.get("mean", [neurons])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use nalgebra::{DMatrix, DVector};
    use ndarray::Array1;
    use proptest::prelude::*;

    use super::*;
    use crate::detector::testing::{
        assert_finite_on_extreme_activations, assert_survives_a_file, bank, synthetic_bank, vector_image,
    };

    fn fitted(bank: &crate::activation::FeatureBank) -> RelativeMahalanobis {
        RelativeMahalanobis::fit(&FitInput::new(bank, None).unwrap()).unwrap()
    }

    /// Normalised activations of an image, in double precision.
    fn direction(features: &Features) -> Array1<f64> {
        let z = features.layers[1].mean.mapv(f64::from);
        &z / z.dot(&z).sqrt()
    }

    /// Mean of some vectors, and the sum over their `d dᵀ`, entry by entry.
    fn mean_and_scatter(vectors: &[Array1<f64>]) -> (Array1<f64>, DMatrix<f64>) {
        let size = vectors[0].len();
        let mean = vectors.iter().fold(Array1::zeros(size), |sum, vector| sum + vector) / vectors.len() as f64;
        let entry = |row, column| vectors.iter().map(|v| (v[row] - mean[row]) * (v[column] - mean[column])).sum();
        let scatter = DMatrix::from_fn(size, size, entry);
        (mean, scatter)
    }

    /// `dᵀ S⁻¹ d`, S the covariance after shrinking, by LU decomposition.
    fn distance(deviation: &Array1<f64>, covariance: &DMatrix<f64>, weight: f64) -> f64 {
        let size = deviation.len();
        let identity = DMatrix::identity(size, size) * (weight * covariance.trace() / size as f64);
        let deviation = DVector::from_iterator(size, deviation.iter().copied());
        let solved = (covariance * (1.0 - weight) + identity).lu().solve(&deviation).unwrap();
        deviation.dot(&solved)
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let bank = synthetic_bank(4, 60, 11);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = fitted(&bank);
        let vectors = |rows: &[usize]| rows.iter().map(|&row| direction(&bank.features(row))).collect::<Vec<_>>();
        let classes: Vec<_> = input.by_class().iter().map(|rows| mean_and_scatter(&vectors(rows))).collect();
        let images = input.correct().len() as f64;
        let within = classes.iter().map(|(_, scatter)| scatter).sum::<DMatrix<f64>>() / images;
        let (mean, scatter) = mean_and_scatter(&vectors(input.correct()));
        let weights = (f64::from(detector.classes.shrinkage()), f64::from(detector.whitening.shrinkage()));
        for row in (0..bank.len()).step_by(5) {
            let z = direction(&bank.features(row));
            let to_classes = classes.iter().map(|(mean, _)| distance(&(&z - mean), &within, weights.0));
            let to_all = distance(&(&z - &mean), &(&scatter / images), weights.1);
            let expected = to_classes.fold(f64::INFINITY, f64::min) - to_all;
            let score = f64::from(detector.score(&bank.features(row)));
            assert_relative_eq!(score, expected, epsilon = 1e-2, max_relative = 1e-3);
        }
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn with_a_single_class_nothing_is_relative() {
        let bank = synthetic_bank(1, 60, 3);
        let detector = fitted(&bank);
        for shift in [0.0, 1.0, 50.0] {
            let mut features = bank.features(7);
            features.layers[1].mean[2] += shift;
            let distance = detector.classes.score(&features);
            assert!(distance > 1.0 && detector.score(&features).abs() < 1e-3 * distance, "{features:?}");
            assert!(detector.explain(&features).parts.iter().all(|part| part.contribution < 1e-3 * distance));
        }
    }

    #[test]
    fn contributions_sum_to_the_score() {
        let bank = synthetic_bank(3, 40, 8);
        let detector = fitted(&bank);
        let mut features = bank.features(4);
        features.layers[1].mean[6] += 4.0;
        let (nearest, parts) = detector.classes.parts(&features);
        let parts = parts.iter().map(|part| part.contribution).zip(detector.background_parts(&features));
        let sum: f32 = parts.map(|(part, background)| part - background).sum();
        assert_relative_eq!(sum, detector.score(&features), max_relative = 1e-3);
        let explanation = detector.explain(&features);
        assert_eq!(explanation.nearest, Some(nearest));
        assert!(explanation.parts[0].contribution > 0.0);
    }

    #[test]
    fn constant_activations_are_refused() {
        let images = vec![(0, vector_image(&[1.0], &[4.0, 4.0])); 6];
        let error = RelativeMahalanobis::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap_err();
        assert_eq!(error, FitError::Covariance { detector: DetectorKind::RelativeMahalanobis, images: 6 });
    }

    #[test]
    fn zero_and_extreme_activations_give_finite_scores() {
        let bank = synthetic_bank(3, 40, 2);
        let detector = fitted(&bank);
        assert_finite_on_extreme_activations(&detector, &bank);
    }

    proptest! {
        #[test]
        fn scaling_an_image_changes_nothing(row in 0usize..90, exponent in -20i32..20) {
            let bank = synthetic_bank(3, 30, 2);
            let detector = fitted(&bank);
            let mut features = bank.features(row);
            let score = detector.score(&features);
            features.layers[1].mean *= 2f32.powi(exponent);
            assert_relative_eq!(detector.score(&features), score, epsilon = 1e-3, max_relative = 1e-3);
        }
    }
}
