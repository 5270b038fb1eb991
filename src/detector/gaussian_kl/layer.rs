//! One map layer: the classes' spatial distributions and the training quantiles of the divergence from them.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use crate::detector::FitInput;
use crate::detector::arrays::Matrix;
use crate::detector::curve;
use crate::detector::elementary::ln;
use crate::detector::statistics::{ClassMoments, to_f32, variance_floor};
use crate::simd::{Kernel, Loop};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Smallest spatial variance, as a share of the mean over all channels and images. It stands in for the zero variance of
/// a channel that is constant in an image or in training.
pub const VARIANCE_FLOOR: f64 = 1e-4;

/// What was learnt of one map layer with `C` channels.
#[derive(Debug, Clone, PartialEq)]
pub struct KlLayer {
    gaussians: ClassGaussians,
    /// `C×KNOTS`, every row rising.
    knots: Matrix,
    /// −ln p between two knots.
    step: f32,
}

/// Distribution of the pixels of every channel for every class.
#[derive(Debug, Clone, PartialEq)]
struct ClassGaussians {
    /// `K×C`, μ.
    means: Matrix,
    /// `K×C`, σ², at least `floor`.
    variances: Matrix,
    /// Smallest variance; positive.
    floor: f32,
}

impl ClassGaussians {
    /// From the `N×C` channel means and variances of the training images.
    fn fit(means: ArrayView2<'_, f32>, variances: ArrayView2<'_, f32>, by_class: &[Vec<usize>]) -> Self {
        let floor = variance_floor(VARIANCE_FLOOR, variances.mapv(f64::from).mean());
        let (mean_moments, variance_moments) =
            (ClassMoments::of(means, by_class), ClassMoments::of(variances, by_class));
        // Law of total variance: within images plus between images.
        let total = mean_moments.classes.iter().zip(&variance_moments.classes);
        let total: Vec<Array1<f64>> = total
            .map(|(means, variances)| (&means.variance + &variances.mean).mapv(|value| value.max(floor)))
            .collect();
        Self {
            means: Matrix::new(means.ncols(), to_f32(mean_moments.classes.iter().map(|class| &class.mean))),
            variances: Matrix::new(means.ncols(), to_f32(&total)),
            floor: floor as f32,
        }
    }

    /// KL_j of one image's channels from those of a class.
    fn divergences(&self, class: usize, mean: ArrayView1<'_, f32>, variance: ArrayView1<'_, f32>) -> Vec<f32> {
        Kernel::fastest().run(Divergences {
            mean: &mean.to_vec(),
            variance: &variance.to_vec(),
            means: self.means.row(class),
            variances: self.variances.row(class),
            floor: self.floor,
        })
    }
}

/// What [`ClassGaussians::divergences`] does.
struct Divergences<'a> {
    mean: &'a [f32],
    variance: &'a [f32],
    means: &'a [f32],
    variances: &'a [f32],
    floor: f32,
}

impl Loop for Divergences<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut divergences = vec![0.0; self.mean.len()];
        let image = self.mean.iter().zip(self.variance);
        let class = self.means.iter().zip(self.variances);
        for (divergence, ((&m, &v), (&mu, &sigma2))) in divergences.iter_mut().zip(image.zip(class)) {
            *divergence = kl(m, v.max(self.floor), mu, sigma2);
        }
        divergences
    }
}

/// Divergence of a normal distribution (mean m, variance v) from another one (mu, sigma2).
#[inline(always)]
fn kl(m: f32, v: f32, mu: f32, sigma2: f32) -> f32 {
    let [m, v, mu, sigma2] = [m, v, mu, sigma2].map(f64::from);
    let divergence = 0.5 * (ln(sigma2 / v) + (v + (m - mu) * (m - mu)) / sigma2 - 1.0);
    divergence.min(f64::from(f32::MAX)) as f32
}

impl KlLayer {
    /// Learns from layer `index`; `None` when it is no map layer or has no channels.
    pub fn fit(input: &FitInput<'_>, index: usize) -> Option<Self> {
        let (means, variances) = (input.bank.means(index), input.bank.variances(index)?);
        if means.ncols() == 0 {
            return None;
        }
        let gaussians = ClassGaussians::fit(means, variances, input.by_class());
        let mut divergences = Array2::zeros((input.correct().len(), means.ncols()));
        for (mut divergences, &row) in divergences.rows_mut().into_iter().zip(input.correct()) {
            let class = input.bank.labels()[row];
            divergences.assign(&Array1::from(gaussians.divergences(class, means.row(row), variances.row(row))));
        }
        let knots = channel_knots(divergences.view());
        Some(Self { gaussians, knots, step: curve::step(input.correct().len()) as f32 })
    }

    /// `−2/C Σ_j ln p_j` of one image's channel means and variances.
    pub fn score(&self, class: usize, mean: ArrayView1<'_, f32>, variance: ArrayView1<'_, f32>) -> f64 {
        self.surprises(class, mean, variance).sum()
    }

    /// The terms of [`KlLayer::score`], one per channel.
    pub fn surprises(
        &self,
        class: usize,
        mean: ArrayView1<'_, f32>,
        variance: ArrayView1<'_, f32>,
    ) -> impl Iterator<Item = f64> {
        let weight = 2.0 / self.knots.rows() as f64;
        self.minus_ln_p(class, mean, variance).map(move |surprise| weight * surprise)
    }

    /// p_j of every channel, above 0 to 1.
    pub fn p_values(&self, class: usize, mean: ArrayView1<'_, f32>, variance: ArrayView1<'_, f32>) -> Vec<f64> {
        self.minus_ln_p(class, mean, variance).map(|surprise| (-surprise).exp()).collect()
    }

    fn minus_ln_p(
        &self,
        class: usize,
        mean: ArrayView1<'_, f32>,
        variance: ArrayView1<'_, f32>,
    ) -> impl Iterator<Item = f64> {
        let divergences = self.gaussians.divergences(class, mean, variance);
        let step = f64::from(self.step);
        divergences.into_iter().zip(self.knots.iter()).map(move |(kl, knots)| curve::surprise(knots, step, kl))
    }

    /// μ_cj of every channel of a class.
    pub fn means(&self, class: usize) -> &[f32] {
        self.gaussians.means.row(class)
    }

    /// Writes the tensors `means`, `variances`, `knots`, `floor` and `step`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        self.gaussians.means.save("means", out);
        self.gaussians.variances.save("variances", out);
        self.knots.save("knots", out);
        out.put("floor", &[1], &[self.gaussians.floor]);
        out.put("step", &[1], &[self.step]);
    }

    /// Reads what [`KlLayer::save`] wrote.
    pub fn load(tensors: &TensorReader<'_>, classes: usize, channels: usize) -> Result<Self, StorageError> {
        let gaussians = ClassGaussians {
            means: Matrix::load("means", tensors, classes, channels)?,
            variances: Matrix::load("variances", tensors, classes, channels)?,
            floor: tensors.get("floor", [1])?[0],
        };
        let knots = Matrix::load("knots", tensors, channels, curve::KNOTS)?;
        Ok(Self { gaussians, knots, step: tensors.get("step", [1])?[0] })
    }
}

/// The knots of every column.
fn channel_knots(divergences: ArrayView2<'_, f32>) -> Matrix {
    let columns = divergences.columns().into_iter();
    let knots = columns.flat_map(|column| {
        let mut sorted = column.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        curve::knots(&sorted)
    });
    Matrix::new(curve::KNOTS, knots.collect())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::array;

    use super::*;

    #[test]
    fn divergences_by_hand() {
        assert_eq!(kl(1.0, 2.0, 1.0, 2.0), 0.0);
        assert_relative_eq!(kl(3.0, 1.0, 1.0, 1.0), 2.0);
        assert_relative_eq!(kl(0.0, 1.0, 0.0, 4.0), 0.5 * (4f32.ln() + 0.25 - 1.0), max_relative = 1e-6);
        assert_relative_eq!(kl(0.0, 4.0, 0.0, 1.0), 0.5 * ((0.25f32).ln() + 4.0 - 1.0), max_relative = 1e-6);
        assert_eq!(kl(f32::MAX, 1.0, f32::MIN, f32::MIN_POSITIVE), f32::MAX);
    }

    #[test]
    fn a_class_has_the_distribution_of_all_its_pixels() {
        // Six images with means 0 and 2 and variance 3: over all pixels mean 1, variance 3 + 1.
        let means = array![[0.0], [2.0], [0.0], [2.0], [0.0], [2.0]];
        let variances = array![[3.0], [3.0], [3.0], [3.0], [3.0], [3.0]];
        let gaussians = ClassGaussians::fit(means.view(), variances.view(), &[(0..6).collect(), vec![]]);
        for class in 0..2 {
            assert_eq!(gaussians.means.row(class), [1.0]);
            assert_relative_eq!(gaussians.variances.row(class)[0], 4.0);
        }
        assert_relative_eq!(gaussians.floor, 3e-4);
    }

    #[test]
    fn constant_channels_have_the_floor_as_variance() {
        let means = array![[5.0, 1.0], [5.0, 2.0]];
        let gaussians = ClassGaussians::fit(means.view(), array![[0.0, 2.0], [0.0, 4.0]].view(), &[vec![0, 1]]);
        assert_relative_eq!(gaussians.variances.row(0)[0], 1.5e-4);
        let divergences: Vec<f32> = gaussians.divergences(0, array![5.0, 1.5].view(), array![0.0, 0.0].view());
        assert_eq!(divergences[0], 0.0);
        assert!(divergences[1].is_finite() && divergences[1] > 1.0);
    }
}
