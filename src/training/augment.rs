//! Random variation of training images: what a camera does to a sign, not more.
//!
//! Everything drawn here becomes in-distribution for the network, so fog, stickers, dirt and strong occlusion are left
//! out on purpose.

use tch::{Device, Kind, Tensor};

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
            contrast: 0.30,
            brightness: 0.08,
            colour: 0.06,
            noise: 0.03,
        }
    }
}

impl Augmentation {
    /// Varies a batch of `N×3×H×W` images in 0..1; the result is clamped to 0..1.
    pub fn apply(&self, images: &Tensor) -> Tensor {
        let moved = self.warp(images);
        self.recolour(&moved)
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

    fn recolour(&self, images: &Tensor) -> Tensor {
        let batch = images.size()[0];
        let factor = (normal(&[batch, 1, 1, 1]) * self.contrast).exp();
        let colour = (normal(&[batch, 3, 1, 1]) * self.colour).exp();
        let offset = normal(&[batch, 1, 1, 1]) * self.brightness;
        let noise_level = Tensor::rand([batch, 1, 1, 1], (Kind::Float, Device::Cpu)) * self.noise;
        let noise = images.randn_like() * noise_level;
        (images * factor * colour + offset + noise).clamp(0.0, 1.0)
    }
}

fn uniform(batch: i64, half_range: f64) -> Tensor {
    (Tensor::rand([batch], (Kind::Float, Device::Cpu)) * 2.0 - 1.0) * half_range
}

fn normal(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}
