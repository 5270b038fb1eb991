//! What the principal directions of the training activations leave over, as a logit of its own.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde_json::json;

use super::arrays::{Matrix, dot};
use super::logits::{energy, narrow};
use super::statistics::{to_f32, unit};
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features, Head};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// A direction whose share of the largest eigenvalue is not above this is one in which the training images do not vary.
const MIN_EIGENVALUE: f64 = 1e-10;

/// Singular values of the head below this share of the largest count as 0.
const MIN_SINGULAR: f64 = 1e-6;

/// Score: `α‖r‖ − ln Σ_c exp f_c`, f the logits, r the part of `x = z − o` that is orthogonal to the principal space of the
/// training images; z are the penultimate activations.
///
/// Wang et al., *ViM: Out-Of-Distribution with Virtual-logit Matching*, CVPR 2022, §4. The origin `o = −W⁺b` is where the head
/// Wz + b gives no logits. The principal space is spanned by the eigenvectors with the largest eigenvalues of `Σ xxᵀ` over
/// the training images (eq. 4): 1000 of them for D ≥ 2048 neurons, 512 for D ≥ 768, else D/2. α, which makes the residual
/// comparable with logits, is `Σ max_c f_c / Σ‖r‖` over the training images (eq. 6).
///
/// Training images here are the correctly classified ones. Where they vary in no more directions than the principal space
/// should have, nothing would be left over: it then has half as many. Where their largest logits are negative on average,
/// α is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Vim {
    penultimate: usize,
    /// `D`, o.
    origin: Slab<f32>,
    /// `R×D`, `R ≥ 1` orthonormal rows that span what is orthogonal to the principal space.
    complement: Matrix,
    /// α ≥ 0.
    alpha: f32,
    /// Mean over the training images of `ln Σ_c exp f_c`.
    energy: f32,
}

/// r of one image.
struct Residual {
    /// `R`, coordinates of r/‖x‖ in the complement.
    coordinates: Vec<f32>,
    /// ‖x‖.
    length: f64,
}

impl Residual {
    /// ‖r‖.
    fn norm(&self) -> f64 {
        self.length * f64::from(dot(&self.coordinates, &self.coordinates)).sqrt()
    }
}

impl Vim {
    fn residual(&self, features: &Features) -> Residual {
        let z = &features.layers[self.penultimate].mean;
        let x: Array1<f32> = z.iter().zip(&*self.origin).map(|(z, origin)| z - origin).collect();
        let unit = unit(&x);
        let length = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        Residual { coordinates: self.complement.all_dots(&unit), length }
    }

    /// r, neuron by neuron.
    fn residual_per_neuron(&self, residual: &Residual) -> Vec<f64> {
        let mut sum = vec![0.0; self.origin.len()];
        for (row, &coordinate) in self.complement.iter().zip(&residual.coordinates) {
            sum.iter_mut().zip(row).for_each(|(sum, &weight)| *sum += f64::from(weight) * f64::from(coordinate));
        }
        sum.iter().map(|value| value * residual.length).collect()
    }
}

impl Detector for Vim {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Vim
    }

    fn score(&self, features: &Features) -> f32 {
        let residual = self.residual(features).norm();
        narrow(f64::from(self.alpha) * residual - energy(features.logits.view()))
    }

    /// The neurons with the largest `α r_j²/‖r‖`, which sum to the first term of the score; expected is `z_j − r_j`, which
    /// the principal space can express. Where the energy `E = ln Σ_c exp f_c` is below its mean Ē over the training
    /// images, the predicted class contributes `Ē − E`, with E as value and Ē as expected.
    fn explain(&self, features: &Features) -> Explanation {
        let residual = self.residual(features);
        let scale = f64::from(self.alpha) / residual.norm().max(f64::MIN_POSITIVE);
        let parts = self.residual_per_neuron(&residual).into_iter().zip(&features.layers[self.penultimate].mean);
        let neurons = parts.enumerate().map(|(unit, (residual, &value))| Part {
            place: Place::Unit { layer: self.penultimate, unit },
            contribution: narrow(scale * residual * residual),
            value,
            expected: narrow(f64::from(value) - residual),
        });
        let energy = energy(features.logits.view());
        Explanation::of(neurons.chain([Part {
            place: Place::Class(features.predicted_class()),
            contribution: narrow(f64::from(self.energy) - energy),
            value: narrow(energy),
            expected: self.energy,
        }]))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("origin", &[self.origin.len()], &self.origin);
        self.complement.save("complement", out);
        out.put("alpha", &[1], &[self.alpha]);
        out.put("energy", &[1], &[self.energy]);
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("alpha".to_owned(), json!(self.alpha)),
            ("principal_dimensions".to_owned(), json!(self.origin.len() - self.complement.rows())),
            ("residual_dimensions".to_owned(), json!(self.complement.rows())),
        ])
    }
}

/// Dimensions of the principal space that the paper chooses for so many neurons.
fn principal_dimensions(neurons: usize) -> usize {
    match neurons {
        2048.. => 1000,
        768.. => 512,
        _ => neurons / 2,
    }
}

/// `−W⁺b`.
fn origin(head: &Head) -> Array1<f64> {
    let (classes, neurons) = head.weight.dim();
    let weight = DMatrix::from_fn(classes, neurons, |row, column| f64::from(head.weight[(row, column)]));
    let bias = DVector::from_fn(classes, |class, _| f64::from(head.bias[class]));
    let decomposition = weight.svd(true, true);
    let smallest = MIN_SINGULAR * decomposition.singular_values.max();
    let solution = decomposition.solve(&bias, smallest).expect("both sides were decomposed and the sizes fit");
    solution.iter().map(|value| -value).collect()
}

/// Orthonormal rows that span what is orthogonal to the principal space of the rows `x`; `None` when all are 0.
fn complement(x: ArrayView2<'_, f64>) -> Option<Vec<Array1<f64>>> {
    let (neurons, products) = (x.ncols(), x.t().dot(&x));
    let matrix = DMatrix::from_fn(neurons, neurons, |row, column| products[(row, column)]);
    let eigen = SymmetricEigen::new(matrix);
    let mut order: Vec<usize> = (0..neurons).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let smallest = MIN_EIGENVALUE * eigen.eigenvalues.max();
    let rank = eigen.eigenvalues.iter().filter(|&&value| value > smallest).count();
    let wanted = principal_dimensions(neurons);
    let principal = if rank > wanted { wanted } else { rank / 2 };
    let vector = |&index: &usize| eigen.eigenvectors.column(index).iter().copied().collect();
    (rank > 0).then(|| order[principal..].iter().map(vector).collect())
}

/// α for training images with these largest logits and residuals.
fn alpha(logits: ArrayView2<'_, f32>, residuals: ArrayView2<'_, f64>) -> f64 {
    let largest = logits.rows().into_iter().map(|row| row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let norms = residuals.rows().into_iter().map(|row| row.dot(&row).sqrt());
    (largest.map(f64::from).sum::<f64>() / norms.sum::<f64>()).max(0.0)
}

impl Fit for Vim {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let detector = DetectorKind::Vim;
        let missing = "a head (last linear layer)";
        let head = input.head.ok_or(FitError::Unsupported { detector, missing })?;
        let images = input.correct().len();
        let origin = origin(head);
        let x = input.bank.penultimate().select(Axis(0), input.correct()).mapv(f64::from) - &origin;
        let rows = complement(x.view()).ok_or(FitError::Covariance { detector, images })?;
        let complement = Matrix::new(origin.len(), to_f32(&rows));
        let directions = Array2::from_shape_fn((origin.len(), rows.len()), |(neuron, row)| rows[row][neuron]);
        let logits = input.bank.logits().select(Axis(0), input.correct());
        let energies = logits.rows().into_iter().map(energy);
        Ok(Self {
            penultimate: input.bank.layout().penultimate,
            complement,
            alpha: narrow(alpha(logits.view(), x.dot(&directions).view())),
            energy: narrow(energies.sum::<f64>() / images as f64),
            origin: to_f32([&origin]).into(),
        })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let neurons = layout.layers[layout.penultimate].channels;
        let [directions, _] = tensors.shape::<f32, 2>("complement")?;
        if directions == 0 || directions > neurons {
            return Err(tensors.invalid("complement", format!("{directions} directions among {neurons} neurons")));
        }
        let alpha = tensors.get::<f32, 1>("alpha", [1])?[0];
        if !(0.0..=f32::MAX).contains(&alpha) {
            return Err(tensors.invalid("alpha", format!("{alpha} is not a positive number")));
        }
        Ok(Self {
            penultimate: layout.penultimate,
            origin: tensors.get("origin", [neurons])?,
            complement: Matrix::load("complement", tensors, directions, neurons)?,
            alpha,
            energy: tensors.get("energy", [1])?[0],
        })
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use ndarray::{arr1, array};
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::activation::FeatureBank;
    use crate::detector::testing::{
        SHAPE, assert_finite_on_extreme_activations, assert_survives_a_file, bank, synthetic_bank, vector_image,
    };

    fn head(classes: usize) -> Head {
        let mut random = ChaCha8Rng::seed_from_u64(classes as u64);
        let mut number = || random.random::<f32>() - 0.5;
        let weight = Array2::from_shape_simple_fn((classes, SHAPE.1), &mut number);
        Head { weight, bias: Array1::from_shape_simple_fn(classes, number), dropout: 0.0 }
    }

    fn fitted(bank: &FeatureBank) -> Vim {
        Vim::fit(&FitInput::new(bank, Some(&head(bank.layout().classes))).unwrap()).unwrap()
    }

    /// The head is the identity with bias (1, 0), so the origin is (−1, 0); x is (2, 1) and (2, −1), which varies most
    /// along neuron 0. α = (2 + 2) / (1 + 1).
    fn by_hand() -> Vim {
        let head = Head { weight: array![[1.0, 0.0], [0.0, 1.0]], bias: arr1(&[1.0, 0.0]), dropout: 0.0 };
        let images = [(0, vector_image(&[2.0, 1.0], &[1.0, 1.0])), (0, vector_image(&[2.0, -1.0], &[1.0, -1.0]))];
        Vim::fit(&FitInput::new(&bank(&images), Some(&head)).unwrap()).unwrap()
    }

    #[test]
    fn scores_by_hand() {
        let detector = by_hand();
        assert_relative_eq!(detector.alpha, 2.0, max_relative = 1e-6);
        let features = vector_image(&[5.0, 3.0], &[4.0, 3.0]);
        let energy = (5f32.exp() + 3f32.exp()).ln();
        assert_relative_eq!(detector.score(&features), 2.0 * 3.0 - energy, max_relative = 1e-5);
        let explanation = detector.explain(&features);
        let part = explanation.parts[0];
        assert_eq!((part.place, part.value), (Place::Unit { layer: 0, unit: 1 }, 3.0));
        assert_relative_eq!(part.contribution, 6.0, max_relative = 1e-5);
        assert_abs_diff_eq!(part.expected, 0.0, epsilon = 1e-5);
        assert!(!explanation.parts.iter().any(|part| part.place == Place::Class(0)), "the energy is high");
    }

    #[test]
    fn a_low_energy_is_named() {
        let explanation = by_hand().explain(&vector_image(&[0.0, 0.0], &[4.0, 0.0]));
        let mean = 0.5 * ((2f32.exp() + 1f32.exp()).ln() + (2f32.exp() + (-1f32).exp()).ln());
        let part = explanation.parts[0];
        assert_eq!(part.place, Place::Class(0));
        assert_relative_eq!(part.value, 2f32.ln(), max_relative = 1e-5);
        assert_relative_eq!(part.expected, mean, max_relative = 1e-5);
        assert_relative_eq!(part.contribution, mean - 2f32.ln(), max_relative = 1e-5);
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let bank = synthetic_bank(4, 60, 11);
        let head = head(4);
        let input = FitInput::new(&bank, Some(&head)).unwrap();
        let detector = Vim::fit(&input).unwrap();
        // W has full row rank, so W⁺ = Wᵀ(WWᵀ)⁻¹; the principal space is that of the right singular vectors of X.
        let weight = DMatrix::from_fn(4, SHAPE.1, |row, column| f64::from(head.weight[(row, column)]));
        let bias = DVector::from_fn(4, |class, _| f64::from(head.bias[class]));
        let origin = -(weight.transpose() * (&weight * weight.transpose()).try_inverse().unwrap() * bias);
        let x = |row: usize| DVector::from_fn(SHAPE.1, |j, _| f64::from(bank.penultimate()[(row, j)])) - &origin;
        let images = input.correct();
        let all = DMatrix::from_fn(images.len(), SHAPE.1, |row, column| x(images[row])[column]);
        let principal = all.svd(false, true).v_t.unwrap().rows(0, 5).into_owned();
        let residual = |row: usize| (x(row) - principal.transpose() * (&principal * x(row))).norm();
        let logits = |row: usize| bank.logits().row(row).mapv(f64::from);
        let largest = images.iter().map(|&row| logits(row).fold(f64::NEG_INFINITY, |a, &b| a.max(b))).sum::<f64>();
        let alpha = largest / images.iter().map(|&row| residual(row)).sum::<f64>();
        for row in (0..bank.len()).step_by(5) {
            let expected = alpha * residual(row) - logits(row).mapv(f64::exp).sum().ln();
            let score = f64::from(detector.score(&bank.features(row)));
            assert_abs_diff_eq!(score, expected, epsilon = 1e-4);
        }
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn dimensions_are_those_of_the_paper() {
        let dimensions = [2, 767, 768, 2047, 2048, 4096].map(principal_dimensions);
        assert_eq!(dimensions, [1, 383, 512, 512, 1000, 1000]);
    }

    #[test]
    fn few_directions_leave_something_over() {
        // Neurons 4 to 9 are dead: 4 directions, 2 of them principal.
        let full = synthetic_bank(3, 40, 5);
        let mut bank = FeatureBank::new(full.layout().clone());
        for row in 0..full.len() {
            let mut features = full.features(row);
            features.layers[1].mean.slice_mut(ndarray::s![4..]).fill(0.0);
            bank.push(&full.keys()[row], full.labels()[row], &features).unwrap();
        }
        let head = Head { bias: Array1::zeros(3), ..head(3) };
        let detector = Vim::fit(&FitInput::new(&bank, Some(&head)).unwrap()).unwrap();
        assert_eq!(detector.complement.rows(), 8);
        assert!(detector.alpha > 0.0 && detector.alpha < 1e3, "{}", detector.alpha);
        let nothing = vec![(0, vector_image(&[1.0], &[0.0])); 6];
        let head = Head { weight: array![[1.0]], bias: arr1(&[0.0]), dropout: 0.0 };
        let error = Vim::fit(&FitInput::new(&crate::detector::testing::bank(&nothing), Some(&head)).unwrap());
        assert_eq!(error.unwrap_err(), FitError::Covariance { detector: DetectorKind::Vim, images: 6 });
    }

    #[test]
    fn a_model_without_a_head_is_refused() {
        let error = Vim::fit(&FitInput::new(&synthetic_bank(3, 9, 1), None).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "vim needs a head (last linear layer), which this model does not have");
    }

    #[test]
    fn extreme_images_give_finite_scores() {
        let bank = synthetic_bank(3, 40, 2);
        let detector = fitted(&bank);
        assert_finite_on_extreme_activations(&detector, &bank);
    }

    proptest! {
        #[test]
        fn what_is_expected_leaves_nothing_over(row in 0usize..90, scale in -9f64..9.0) {
            let bank = synthetic_bank(3, 30, 2);
            let detector = fitted(&bank);
            let mut features = bank.features(row);
            let residual = detector.residual(&features);
            let (norm, residual) = (residual.norm(), detector.residual_per_neuron(&residual));
            assert_relative_eq!(residual.iter().map(|r| r * r).sum::<f64>().sqrt(), norm, max_relative = 1e-4);
            // o + any multiple of the principal part of x
            for (neuron, z) in features.layers[1].mean.iter_mut().enumerate() {
                let origin = f64::from(detector.origin[neuron]);
                *z = (origin + scale * (f64::from(*z) - origin - residual[neuron])) as f32;
            }
            let left = detector.residual(&features);
            prop_assert!(left.norm() <= 1e-5 * (1.0 + left.length), "{} of {}", left.norm(), left.length);
        }
    }
}
