//! Flakes in the air.

use rand::Rng;

use super::lens::Lens;
use super::light::Light;
use crate::scenario::picture::{Picture, mix, smooth_step};

/// Flakes in a frame of 1280 × 720 in the heaviest snow.
const FLAKES: f32 = 1500.0;

/// Draws falling flakes: many small ones, few large and blurred ones.
pub(super) fn flakes(picture: &mut Picture, lens: &Lens, snow: f32, light: &Light, rng: &mut impl Rng) {
    let area = picture.width as f32 * picture.height as f32 / (1280.0 * 720.0);
    let shine = (light.brightness() + 0.4 * light.headlights).min(1.0);
    for _ in 0..(FLAKES * snow * area) as u32 {
        let near = rng.random_range(0.0_f32..1.0).powi(6);
        let radius = (1.0 + 8.0 * near) * lens.scale();
        let (x0, y0) =
            (rng.random_range(0.0..1.0) * picture.width as f32, rng.random_range(0.0..1.0) * picture.height as f32);
        let (alpha, lean) = (rng.random_range(0.45..0.85) * (1.0 - 0.5 * near), rng.random_range(-0.5..0.2_f32));
        picture.update(
            [x0 - 2.0 * radius, y0 - 2.0 * radius, x0 + 2.0 * radius, y0 + 2.0 * radius],
            |(x, y), behind| {
                let (across, down) = (x - x0 - lean * (y - y0), 0.65 * (y - y0));
                let cover = smooth_step(1.25 * radius, 0.5 * radius, across.hypot(down));
                mix(behind, [0.95 * shine; 3], alpha * cover)
            },
        );
    }
}
