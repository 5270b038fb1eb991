//! Random variation of training images: what a camera does to a sign, not more.
//!
//! Everything drawn here becomes in-distribution for the network, so fog, stickers, dirt and strong occlusion are left
//! out on purpose.

use tch::{Device, Kind, Tensor};

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Ranges of the random variation, uniform unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// Largest rotation in degrees, either way.
    pub rotation_degrees: f64,
    /// Largest relative change of the size, either way and independent for width and height by a quarter of it.
    pub scale: f64,
    /// Largest shift as a share of the image, either way.
    pub shift: f64,
    /// Largest shear, either way.
    pub shear: f64,
    /// Share of the images that come from afar: they lose resolution.
    pub distant: f64,
    /// The least resolution that is left of a distant image, as a share of its own.
    pub resolution: f64,
    /// Standard deviation of the natural logarithm of the contrast factor.
    pub contrast: f64,
    /// Standard deviation of the added brightness, on images in 0..1.
    pub brightness: f64,
    /// Standard deviation of the natural logarithm of the gain per colour channel.
    pub colour: f64,
    /// Largest standard deviation of the added noise.
    pub noise: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            rotation_degrees: 12.0,
            scale: 0.15,
            shift: 0.10,
            shear: 0.08,
            distant: 0.3,
            resolution: 0.35,
            contrast: 0.40,
            brightness: 0.10,
            colour: 0.06,
            noise: 0.03,
        }
    }
}

impl Augmentation {
    /// Varies a batch of `N×3×H×W` images in 0..1; the result is clamped to 0..1.
    pub fn apply(&self, images: &Tensor) -> Tensor {
        let moved = self.warp(images);
        self.recolour(&self.coarsen(&moved))
    }

    fn warp(&self, images: &Tensor) -> Tensor {
        let batch = images.size()[0];
        let angle = uniform(batch, self.rotation_degrees.to_radians());
        let scale = uniform(batch, self.scale) + 1.0;
        let stretch = uniform(batch, self.scale / 4.0) + 1.0;
        let shear = uniform(batch, self.shear);
        let (cos, sin) = (angle.cos(), angle.sin());
        let (wide, high) = (&scale * &stretch, &scale / &stretch);
        // Shift is in units of half an image, as grid_sample counts.
        let (dx, dy) = (uniform(batch, 2.0 * self.shift), uniform(batch, 2.0 * self.shift));
        let first = Tensor::stack(&[&cos * &wide, (&shear * &cos - &sin) * &high, dx], 1);
        let second = Tensor::stack(&[&sin * &wide, (&shear * &sin + &cos) * &high, dy], 1);
        let matrices = Tensor::stack(&[first, second], 1);
        let grid = Tensor::affine_grid_generator(&matrices, images.size(), false);
        const BILINEAR: i64 = 0;
        const REPEAT_BORDER: i64 = 1;
        images.grid_sampler(&grid, BILINEAR, REPEAT_BORDER, false)
    }

    /// Makes some of the images coarser, all by the same factor.
    fn coarsen(&self, images: &Tensor) -> Tensor {
        let (batch, height, width) = (images.size()[0], images.size()[2], images.size()[3]);
        let distant = (batch as f64 * self.distant).round() as i64;
        if distant == 0 {
            return images.shallow_clone();
        }
        let factor = self.resolution + (1.0 - self.resolution) * Tensor::rand([1], CPU).double_value(&[0]);
        let part = |length: i64| ((length as f64 * factor).round() as i64).max(1);
        let chosen = Tensor::randperm(batch, (Kind::Int64, Device::Cpu)).narrow(0, 0, distant);
        let coarse = images.index_select(0, &chosen).adaptive_avg_pool2d([part(height), part(width)]);
        images.index_copy(0, &chosen, &coarse.upsample_bilinear2d([height, width], false, None, None))
    }

    fn recolour(&self, images: &Tensor) -> Tensor {
        let batch = images.size()[0];
        let factor = (normal(&[batch, 1, 1, 1]) * self.contrast).exp();
        let colour = (normal(&[batch, 3, 1, 1]) * self.colour).exp();
        let offset = normal(&[batch, 1, 1, 1]) * self.brightness;
        let noise_level = Tensor::rand([batch, 1, 1, 1], CPU) * self.noise;
        let noise = images.randn_like() * noise_level;
        (images * factor * colour + offset + noise).clamp(0.0, 1.0)
    }
}

fn uniform(batch: i64, half_range: f64) -> Tensor {
    (Tensor::rand([batch], CPU) * 2.0 - 1.0) * half_range
}

fn normal(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, CPU)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn noise() -> Tensor {
        tch::manual_seed(1);
        Tensor::rand([10, 3, 20, 16], CPU)
    }

    #[test]
    fn a_share_of_the_images_becomes_coarser() {
        let (images, augmentation) = (noise(), Augmentation { resolution: 0.5, ..Augmentation::default() });
        let mut shares = BTreeSet::new();
        for _ in 0..20 {
            let coarse = augmentation.coarsen(&images);
            assert_eq!(coarse.size(), images.size());
            let spread = |images: &Tensor| images.var_dim([1i64, 2, 3].as_slice(), false, false);
            let changed = coarse.not_equal_tensor(&images).any_dims([1i64, 2, 3].as_slice(), false);
            shares.insert(changed.sum(Kind::Int64).int64_value(&[]));
            let smoother = spread(&coarse).less_tensor(&(spread(&images) * 0.999));
            assert_eq!(smoother, changed);
        }
        // None where the factor happens to leave the full resolution.
        assert!(shares.remove(&3) && shares.iter().all(|&share| share == 0), "{shares:?}");
    }

    #[test]
    fn without_distant_images_none_becomes_coarser() {
        let images = noise();
        assert_eq!(Augmentation { distant: 0.0, ..Augmentation::default() }.coarsen(&images), images);
    }

    #[test]
    fn images_keep_their_size_and_range() {
        let varied = Augmentation::default().apply(&noise());
        assert_eq!(varied.size(), [10, 3, 20, 16]);
        assert!(varied.min().double_value(&[]) >= 0.0 && varied.max().double_value(&[]) <= 1.0);
    }
}
