//! The inverse of a covariance, as a change of coordinates.

use nalgebra::{Cholesky, DMatrix};
use ndarray::{Array1, Array2, ArrayView2};

use super::arrays::{Matrix, dot};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Smallest weight of the identity in the shrunk covariance. Ledoit–Wolf-like estimates go to 0 with many images, but
/// directions in which the training images hardly vary are then weighted by the inverse of numerical noise.
const MIN_SHRINKAGE: f64 = 1e-3;

/// `W = L⁻¹` of a shrunk covariance `Σ = LLᵀ`, so that `dᵀ Σ⁻¹ d = ‖W d‖²`: a distance costs one product with a triangular
/// matrix.
///
/// Σ is shrunk towards a multiple of the identity by oracle-approximating shrinkage (Chen, Wiesel, Eldar, Hero, IEEE Trans.
/// Signal Processing 58, 2010, eq. 23), at least by [`MIN_SHRINKAGE`].
#[derive(Debug, Clone, PartialEq)]
pub struct Whitening {
    /// `D×D`, lower triangular.
    matrix: Matrix,
    /// Weight of the identity in Σ, 0..=1.
    shrinkage: f32,
}

impl Whitening {
    /// From the `D×D` covariance of `images` samples; `None` when even the shrunk one cannot be inverted.
    pub fn fit(covariance: Array2<f64>, images: usize) -> Option<Self> {
        let shrinkage = shrinkage(covariance.view(), images).max(MIN_SHRINKAGE);
        let inverse = whitening(&shrunk(covariance, shrinkage))?;
        let values = inverse.iter().map(|&value| value as f32).collect();
        Some(Self { matrix: Matrix::new(inverse.ncols(), values), shrinkage: shrinkage as f32 })
    }

    /// `W x`.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        self.matrix.triangular_dots(x)
    }

    /// `W x` of a vector in double precision, for fitting.
    pub fn apply_f64(&self, x: &Array1<f64>) -> Vec<f32> {
        let product = |(row, weights): (usize, &[f32])| {
            weights[..=row].iter().zip(x).map(|(&weight, &x)| f64::from(weight) * x).sum::<f64>() as f32
        };
        self.matrix.iter().enumerate().map(product).collect()
    }

    /// Parts of `‖W d‖² = Σ_j d_j [Σ⁻¹ d]_j` for `d = x − μ`, given `Wx` and `Wμ`: per coordinate `(d_j, d_j [Σ⁻¹ d]_j)`.
    pub fn parts(&self, white: &[f32], white_mean: &[f32]) -> Vec<(f32, f32)> {
        let white: Vec<f32> = white.iter().zip(white_mean).map(|(x, mean)| x - mean).collect();
        let size = white.len();
        let mut deviation = vec![0.0; size];
        let mut gradient = vec![0.0; size];
        for row in 0..size {
            let weights = self.matrix.row(row);
            deviation[row] = (white[row] - dot(&weights[..row], &deviation[..row])) / weights[row];
            for (sum, weight) in gradient.iter_mut().zip(&weights[..=row]) {
                *sum += weight * white[row];
            }
        }
        deviation.into_iter().zip(gradient).map(|(deviation, gradient)| (deviation, deviation * gradient)).collect()
    }

    /// Weight of the identity in Σ, 0..=1.
    pub fn shrinkage(&self) -> f32 {
        self.shrinkage
    }

    /// Writes the tensors `whitening` and `shrinkage`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        self.matrix.save("whitening", out);
        out.put("shrinkage", &[1], &[self.shrinkage]);
    }

    /// Reads what [`Whitening::save`] wrote, for vectors of `size` numbers.
    pub fn load(tensors: &TensorReader<'_>, size: usize) -> Result<Self, StorageError> {
        let matrix = Matrix::load("whitening", tensors, size, size)?;
        Ok(Self { matrix, shrinkage: tensors.get("shrinkage", [1])?[0] })
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
    use ndarray::{arr1, array};

    use super::*;

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
    fn parts_sum_to_the_distance() {
        let whitening = Whitening::fit(array![[4.0, 2.0, 0.0], [2.0, 5.0, 1.0], [0.0, 1.0, 3.0]], 1000).unwrap();
        let deviation = [1.0f32, -2.0, 0.5];
        let white = whitening.apply(&deviation);
        assert_relative_eq!(
            white.as_slice(),
            whitening.apply_f64(&arr1(&[1.0, -2.0, 0.5])).as_slice(),
            max_relative = 1e-5
        );
        let parts = whitening.parts(&white, &[0.0; 3]);
        for ((found, _), expected) in parts.iter().zip(deviation) {
            assert_relative_eq!(*found, expected, max_relative = 1e-5);
        }
        let distance: f32 = white.iter().map(|value| value * value).sum();
        assert_relative_eq!(parts.iter().map(|(_, part)| part).sum::<f32>(), distance, max_relative = 1e-5);
    }
}
