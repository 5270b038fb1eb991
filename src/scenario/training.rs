//! Training crops: one sign with the surroundings that a GTSRB image has.

use fast_image_resize::{FilterType, IntoImageView, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::backdrop::Backdrop;
use super::look::{Camera, SignLook, Veil, put_sign};
use super::picture::Picture;
use super::sprite::{Pose, Sprite, View};

/// Draws one training image of a GTSRB class (0..=42): `size_px` × `size_px` RGB, the sign with about a tenth of its size as
/// margin on each side, under light, weather and camera conditions drawn from `seed`. The same arguments give the same
/// pixels. A class above 42 gives background only.
///
/// The sign is drawn as large as a camera would see it, 22 to 104 pixels, then resized.
#[must_use]
pub fn draw_training_sign(class: usize, seed: u64, size_px: u32) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (class as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let largest = (1.1 * size_px as f32).clamp(16.0, 52.0);
    let radius_px = rng.random_range(11_f32.ln()..largest.ln()).exp();
    let mut picture = take_picture(class, radius_px, &mut rng);
    Camera::random(&mut rng, radius_px).develop(&mut picture);
    resize(&picture.to_image(), size_px)
}

/// The scene around one sign, cut to its box and the margin.
fn take_picture(class: usize, radius_px: f32, rng: &mut impl Rng) -> Picture {
    let sprite = Sprite::of_class(class);
    let pose = Pose::random(rng);
    let [left, top, right, bottom] = sprite.bounds(&View::new((0.0, 0.0), radius_px, pose));
    let mut margin = |extent: f32| extent * rng.random_range(0.06..0.15);
    let (width, height) = (right - left, bottom - top);
    let (before, above) = (margin(width), margin(height));
    let (after, below) = (margin(width), margin(height));
    let centre = (before - left, above - top);
    let backdrop = Backdrop::random(rng);
    let mut picture = Picture::from_fn(
        (before + width + after).round().max(1.0) as usize,
        (above + height + below).round().max(1.0) as usize,
        |x, y| backdrop.colour(((x - centre.0) / radius_px, (y - centre.1) / radius_px)),
    );
    put_sign(&mut picture, sprite, &View::new(centre, radius_px, pose), &SignLook::random(rng), Veil::NONE);
    picture
}

/// Resizes with the filter that the classifier's input is resized with; the aspect ratio is not kept.
pub(super) fn resize(image: &RgbImage, size_px: u32) -> RgbImage {
    let mut resized = RgbImage::new(size_px, size_px);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let done = image.pixel_type().is_some() && Resizer::new().resize(image, &mut resized, &options).is_ok();
    debug_assert!(done, "RGB images of any size can be resized");
    resized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_same_pixels() {
        assert_eq!(draw_training_sign(14, 7, 48), draw_training_sign(14, 7, 48));
        assert_ne!(draw_training_sign(14, 7, 48), draw_training_sign(14, 8, 48));
    }
}
