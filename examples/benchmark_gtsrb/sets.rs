//! Images of unknown things.

use std::path::Path;

use activation_monitor::dataset::{read_idx_images, unlabelled_images};
use anyhow::{Context, Result, ensure};
use image::{DynamicImage, Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::samples::Sample;

const SEED: u64 = 2024;
const FASHION_IMAGES: usize = 2_000;
const NOISE_IMAGES: usize = 500;
const CROPS_PER_FRAME: usize = 8;
/// Side length of the crops in pixels: that of signs in GTSRB and KITTI.
const CROP_PX: std::ops::RangeInclusive<u32> = 24..=96;

fn sample(key: impl Into<String>, image: RgbImage) -> Sample {
    Sample { image, class: 0, key: key.into() }
}

/// All images of a folder.
pub fn folder(folder: &Path) -> Result<Vec<Sample>> {
    let read = |file: activation_monitor::dataset::ImageFile| {
        let image = image::open(&file.path).with_context(|| file.path.display().to_string())?;
        Ok(sample(file.key, image.into_rgb8()))
    };
    unlabelled_images(folder)?.into_iter().map(read).collect()
}

/// The first test images of Fashion-MNIST.
pub fn fashion(folder: &Path) -> Result<Vec<Sample>> {
    let images = read_idx_images(&folder.join("t10k-images-idx3-ubyte.gz"))?.into_iter().take(FASHION_IMAGES);
    Ok(images
        .enumerate()
        .map(|(index, image)| sample(index.to_string(), DynamicImage::from(image).into_rgb8()))
        .collect())
}

/// Uniform noise.
pub fn noise() -> Vec<Sample> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let image = |index: usize| {
        let image = RgbImage::from_fn(32, 32, |_, _| Rgb(rng.random()));
        sample(index.to_string(), image)
    };
    (0..NOISE_IMAGES).map(image).collect()
}

/// Random squares of KITTI frames that touch no annotated sign.
pub fn kitti(folder: &Path) -> Result<Vec<Sample>> {
    let boxes = std::fs::read_to_string(folder.join("sign_boxes.csv")).context("KITTI frames need sign_boxes.csv")?;
    let boxes: Vec<(&str, [u32; 4])> = boxes.lines().skip(1).filter_map(parse_box).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut crops = Vec::new();
    for file in unlabelled_images(folder)?.iter().filter(|file| !file.key.contains("sign_crops")) {
        let frame = image::open(&file.path).with_context(|| file.path.display().to_string())?.into_rgb8();
        let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
        let signs: Vec<[u32; 4]> = boxes.iter().filter(|(frame, _)| *frame == name).map(|(_, area)| *area).collect();
        for number in 0..CROPS_PER_FRAME {
            let crop = crop(&frame, &signs, &mut rng);
            crops.extend(crop.map(|image| sample(format!("{name}_{number}"), image)));
        }
    }
    ensure!(!crops.is_empty(), "no frames below {}", folder.display());
    Ok(crops)
}

/// Frame and left, top, right, bottom of one line.
fn parse_box(line: &str) -> Option<(&str, [u32; 4])> {
    let mut fields = line.split(',');
    let frame = fields.next()?.trim_end_matches(".jpg").trim_end_matches(".png");
    let corners: Vec<u32> = fields.take(4).filter_map(|field| field.parse().ok()).collect();
    Some((frame, corners.try_into().ok()?))
}

fn crop(frame: &RgbImage, signs: &[[u32; 4]], rng: &mut impl Rng) -> Option<RgbImage> {
    let side = rng.random_range(CROP_PX);
    let x = rng.random_range(0..frame.width().checked_sub(side)?);
    let y = rng.random_range(0..frame.height().checked_sub(side)?);
    let apart = |&[left, top, right, bottom]: &[u32; 4]| x > right || y > bottom || x + side < left || y + side < top;
    signs.iter().all(apart).then(|| image::imageops::crop_imm(frame, x, y, side, side).to_image())
}
