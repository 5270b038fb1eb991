//! Faults of a camera that change the pixels of its images, for scenarios and for faults that a replay puts into bags.

use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::frame::Region;

/// Colour of fog and haze.
const FOG: [f32; 3] = [205.0, 208.0, 212.0];
/// Colour of dried mud.
const MUD: [f32; 3] = [92.0, 72.0, 50.0];
/// Largest standard deviation of a blur, as a share of the shorter side.
const MOST_BLUR: f32 = 0.012;
/// Largest share of pixels that are dead.
const MOST_DEAD: f32 = 0.05;
/// Largest factor of light.
const MOST_LIGHT: f32 = 6.0;
/// Places of dirt and dead pixels are always the same: they are those of one camera.
const SEED: u64 = 14;
/// Splashes of mud.
const SPLASHES: usize = 60;

/// Mixes every pixel with the colour of fog.
pub(crate) fn fog(mut image: RgbImage, strength: f32) -> RgbImage {
    image.pixels_mut().for_each(|pixel| mix(pixel, FOG, strength));
    image
}

/// Out of focus.
pub(crate) fn blur(image: &RgbImage, strength: f32) -> RgbImage {
    let shorter = image.width().min(image.height()) as f32;
    image::imageops::blur(image, (strength * MOST_BLUR * shorter).max(0.3))
}

/// Splashes of mud, which cover about a share `strength` of the image.
pub(crate) fn mud(mut image: RgbImage, strength: f32) -> RgbImage {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    // So many circles at random places leave e^(−their share) free.
    let covered = -(1.0 - strength.min(0.99)).ln();
    let radius = (covered * width * height / (SPLASHES as f32 * std::f32::consts::PI)).sqrt();
    for _ in 0..SPLASHES {
        let (x, y) = (random.random::<f32>() * width, random.random::<f32>() * height);
        splash(&mut image, (x, y), radius * random.random_range(0.6..1.4));
    }
    image
}

/// A circle of mud with a soft edge.
fn splash(image: &mut RgbImage, (x, y): (f32, f32), radius: f32) {
    let radius = radius.max(0.6);
    let range = |centre: f32, limit: u32| {
        let from = (centre - radius).floor().max(0.0) as u32;
        from..((centre + radius).ceil().max(0.0) as u32 + 1).min(limit)
    };
    for row in range(y, image.height()) {
        for column in range(x, image.width()) {
            let away = ((column as f32 - x).powi(2) + (row as f32 - y).powi(2)).sqrt() / radius;
            let cover = ((1.0 - away) * 4.0).clamp(0.0, 0.96);
            mix(image.get_pixel_mut(column, row), MUD, cover);
        }
    }
}

/// Pixels that are black, white or of one colour.
pub(crate) fn dead_pixels(mut image: RgbImage, strength: f32) -> RgbImage {
    let (width, height) = image.dimensions();
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let count = (f64::from(strength * MOST_DEAD) * f64::from(width) * f64::from(height)).ceil() as u64;
    for _ in 0..count {
        let (x, y) = (random.random_range(0..width), random.random_range(0..height));
        let colour = [(); 3].map(|()| if random.random::<bool>() { 255 } else { 0 });
        image.put_pixel(x, y, Rgb(colour));
    }
    image
}

/// Too much light: what is bright becomes white.
pub(crate) fn exposure(mut image: RgbImage, strength: f32) -> RgbImage {
    let factor = 1.0 + strength * (MOST_LIGHT - 1.0);
    for pixel in image.pixels_mut() {
        pixel.0 = pixel.0.map(|value| (f32::from(value) * factor).min(255.0).round() as u8);
    }
    image
}

/// A rectangle in the middle of every region, which covers a share `strength` of it.
pub(crate) fn stickers(mut image: RgbImage, regions: &[Region], strength: f32) -> RgbImage {
    let (width, height) = image.dimensions();
    for region in regions {
        let Ok(Region { x, y, width: columns, height: rows }) = region.clipped(width, height) else { continue };
        let side = |length: u32| ((length as f32 * strength.sqrt()).round() as u32).clamp(1, length);
        let (sticker_width, sticker_height) = (side(columns), side(rows));
        let (left, top) = (x + (columns - sticker_width) / 2, y + (rows - sticker_height) / 2);
        for row in top..top + sticker_height {
            for column in left..left + sticker_width {
                // Two colours, so that it is no plain area.
                let is_upper = row - top < sticker_height / 2;
                image.put_pixel(column, row, Rgb(if is_upper { [250, 220, 40] } else { [30, 90, 200] }));
            }
        }
    }
    image
}

/// Exchanges red and blue; with less than full strength the image is mixed with itself.
pub(crate) fn exchange_channels(mut image: RgbImage, strength: f32) -> RgbImage {
    for pixel in image.pixels_mut() {
        let Rgb([red, green, blue]) = *pixel;
        mix(pixel, [blue, green, red].map(f32::from), strength);
    }
    image
}

/// Moves a pixel towards a colour by a share.
fn mix(pixel: &mut Rgb<u8>, colour: [f32; 3], share: f32) {
    for (value, target) in pixel.0.iter_mut().zip(colour) {
        *value = (f32::from(*value) * (1.0 - share) + target * share).round() as u8;
    }
}
