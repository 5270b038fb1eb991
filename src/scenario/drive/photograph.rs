//! What a sign is drawn from: a drawing, or photographs of one physical sign.

use std::borrow::Cow;

use image::RgbImage;

use crate::scenario::canvas::Point;
use crate::scenario::sprite::{Sprite, photograph_reach};

/// What a sign looks like from every distance.
pub(super) enum SignImage {
    /// A drawing, the same from everywhere.
    Drawn(Sprite),
    /// Photographs taken on the way to a sign.
    Photographed {
        /// At least one.
        track: Vec<RgbImage>,
        /// Outline of the sign in all of them.
        shape: Vec<Point>,
    },
}

impl SignImage {
    /// What is seen where one unit of the sign measures `radius_px` pixels. Of photographs it is the one whose size is
    /// nearest.
    pub(super) fn seen_at(&self, radius_px: f32) -> Cow<'_, Sprite> {
        match self {
            Self::Drawn(sprite) => Cow::Borrowed(sprite),
            Self::Photographed { track, shape } => {
                let off = |photograph: &RgbImage| (sign_px(photograph) - 2.0 * radius_px).abs();
                let nearest = track.iter().min_by(|a, b| off(a).total_cmp(&off(b)));
                let none = RgbImage::new(1, 1);
                Cow::Owned(Sprite::of_photograph(nearest.unwrap_or(&none), shape))
            }
        }
    }
}

/// Pixels from edge to edge of the sign in a photograph.
fn sign_px(photograph: &RgbImage) -> f32 {
    let side = photograph.width().max(photograph.height());
    side as f32 / photograph_reach(side)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn the_photograph_of_the_nearest_size_is_shown() {
        let sizes = [(30, 10), (60, 120), (120, 240)];
        let photograph = |(side, grey): (u32, u8)| RgbImage::from_pixel(side, side, Rgb([grey; 3]));
        let track = sizes.into_iter().map(photograph).collect();
        let image = SignImage::Photographed { track, shape: Sprite::shape_of_class(17) };
        // The signs in them measure 20, 50 and 100 pixels.
        for (radius, grey) in [(5.0, 10.0), (20.0, 120.0), (90.0, 240.0)] {
            let seen = image.seen_at(radius).sample((0.0, 0.0), radius);
            assert!((seen[0] * 255.0 - grey).abs() < 1.0, "{radius}: {seen:?}");
        }
    }
}
