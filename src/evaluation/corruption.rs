//! Images made worse step by step, to see whether a monitor notices when the classifier begins to fail.
//!
//! Kinds and the five strengths follow the idea of Hendrycks and Dietterich, *Benchmarking Neural Network Robustness to
//! Common Corruptions and Perturbations*, ICLR 2019, §3, chosen for traffic signs; the amounts are ours.

use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What makes an image worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Corruption {
    /// A bright veil, denser on one side.
    Fog,
    /// Gaussian blur.
    Blur,
    /// Gaussian noise of every pixel and channel.
    Noise,
    /// Over- or underexposure, each for half of the images.
    Exposure,
    /// One side is covered with a colour.
    Occlusion,
    /// Small rectangles of random colours in the middle.
    Stickers,
}

/// Strengths of every corruption: 1 (hardly visible) to 5.
pub const STRENGTHS: std::ops::RangeInclusive<usize> = 1..=5;

impl Corruption {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::Fog, Self::Blur, Self::Noise, Self::Exposure, Self::Occlusion, Self::Stickers];

    /// Name in tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fog => "fog",
            Self::Blur => "blur",
            Self::Noise => "noise",
            Self::Exposure => "exposure",
            Self::Occlusion => "occlusion",
            Self::Stickers => "stickers",
        }
    }

    /// The amount at a strength of 1 to 5: share of light taken, standard deviation as a share of the side, standard
    /// deviation of the noise (pixels in 0..1), exposure factor, share covered, share covered.
    const fn amounts(self) -> [f32; 5] {
        match self {
            Self::Fog => [0.3, 0.45, 0.6, 0.75, 0.9],
            Self::Blur => [0.02, 0.035, 0.055, 0.08, 0.12],
            Self::Noise => [0.06, 0.12, 0.2, 0.3, 0.45],
            Self::Exposure => [1.6, 2.2, 3.2, 4.8, 8.0],
            Self::Occlusion => [0.15, 0.25, 0.35, 0.5, 0.65],
            Self::Stickers => [0.05, 0.1, 0.16, 0.24, 0.36],
        }
    }

    /// The image made worse. Everything random follows from `seed`. Panics when `strength` is not in [`STRENGTHS`].
    #[must_use]
    pub fn apply(self, image: &RgbImage, strength: usize, seed: u64) -> RgbImage {
        let amount = self.amounts()[strength - 1];
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        match self {
            Self::Fog => fog(image, amount, &mut rng),
            Self::Blur => image::imageops::blur(image, amount * image.width().max(image.height()) as f32),
            Self::Noise => noise(image, amount, &mut rng),
            Self::Exposure => exposure(image, amount, &mut rng),
            Self::Occlusion => occlusion(image, amount, &mut rng),
            Self::Stickers => stickers(image, amount, &mut rng),
        }
    }
}

/// Maps every channel of every pixel in 0..1, given its place.
fn map(image: &RgbImage, mut value: impl FnMut(u32, u32, f32) -> f32) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgb(channels) = *image.get_pixel(x, y);
        Rgb(channels.map(|channel| (255.0 * value(x, y, f32::from(channel) / 255.0).clamp(0.0, 1.0)).round() as u8))
    })
}

fn fog(image: &RgbImage, share: f32, rng: &mut impl Rng) -> RgbImage {
    let (light, angle) = (rng.random_range(0.7..0.95), rng.random_range(0.0..std::f32::consts::TAU));
    let (width, height) = (image.width() as f32, image.height() as f32);
    map(image, |x, y, value| {
        let along = (x as f32 / width - 0.5) * angle.cos() + (y as f32 / height - 0.5) * angle.sin();
        let veil = (share * (1.0 + 0.3 * along)).clamp(0.0, 1.0);
        value * (1.0 - veil) + light * veil
    })
}

fn noise(image: &RgbImage, deviation: f32, rng: &mut impl Rng) -> RgbImage {
    // Twelve uniform numbers have variance 1.
    map(image, |_, _, value| value + deviation * ((0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0))
}

fn exposure(image: &RgbImage, factor: f32, rng: &mut impl Rng) -> RgbImage {
    let factor = if rng.random() { factor } else { 1.0 / factor };
    map(image, |_, _, value| value * factor)
}

fn occlusion(image: &RgbImage, share: f32, rng: &mut impl Rng) -> RgbImage {
    let (width, height) = image.dimensions();
    let covered = |length: u32| (length as f32 * share).round() as u32;
    let (x, y, wide, high) = match rng.random_range(0..4) {
        0 => (0, 0, covered(width), height),
        1 => (width - covered(width), 0, covered(width), height),
        2 => (0, 0, width, covered(height)),
        _ => (0, height - covered(height), width, covered(height)),
    };
    painted(image, x, y, wide, high, Rgb(rng.random()))
}

fn stickers(image: &RgbImage, share: f32, rng: &mut impl Rng) -> RgbImage {
    const COUNT: u32 = 4;
    let (width, height) = (image.width() as f32, image.height() as f32);
    let area = share * width * height / COUNT as f32;
    let mut result = image.clone();
    for _ in 0..COUNT {
        let aspect: f32 = rng.random_range(0.5..2.0);
        let (wide, high) = ((area * aspect).sqrt().round().max(1.0), (area / aspect).sqrt().round().max(1.0));
        let place = |length: f32, size: f32, at: f32| (length * (0.2 + 0.6 * at) - size / 2.0).max(0.0) as u32;
        let (x, y) = (place(width, wide, rng.random()), place(height, high, rng.random()));
        result = painted(&result, x, y, wide as u32, high as u32, Rgb(rng.random()));
    }
    result
}

/// The image with a rectangle of one colour, cut off at the borders.
fn painted(image: &RgbImage, x: u32, y: u32, width: u32, height: u32, colour: Rgb<u8>) -> RgbImage {
    let mut result = image.clone();
    for (column, row, pixel) in result.enumerate_pixels_mut() {
        if (x..x + width).contains(&column) && (y..y + height).contains(&row) {
            *pixel = colour;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| {
            Rgb([(x * 6) as u8, (y * 8) as u8, if (x / 5 + y / 5) % 2 == 0 { 200 } else { 30 }])
        })
    }

    /// Mean absolute difference in 0..255.
    fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
        let sum: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / a.as_raw().len() as f64
    }

    #[test]
    fn every_step_is_worse_on_average_and_repeatable() {
        for corruption in Corruption::ALL {
            let mut last = 0.0;
            for strength in STRENGTHS {
                let mean =
                    (0..20).map(|seed| difference(&corruption.apply(&image(), strength, seed), &image())).sum::<f64>()
                        / 20.0;
                assert!(mean > last * 1.05, "{} {strength}: {mean} after {last}", corruption.name());
                last = mean;
            }
            assert_eq!(corruption.apply(&image(), 3, 7), corruption.apply(&image(), 3, 7));
        }
    }

    #[test]
    fn occlusion_covers_the_stated_share() {
        let black = RgbImage::new(40, 40);
        for seed in 0..8 {
            let covered = Corruption::Occlusion.apply(&black, 4, seed);
            let share = covered.pixels().filter(|pixel| pixel.0 != [0; 3]).count() as f64 / 1600.0;
            assert!((share - 0.5).abs() < 0.03, "{share}");
        }
    }

    #[test]
    fn tiny_images_are_no_problem() {
        for corruption in Corruption::ALL {
            assert_eq!(corruption.apply(&RgbImage::new(1, 1), 5, 3).dimensions(), (1, 1));
        }
    }
}
