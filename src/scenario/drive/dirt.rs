//! Dirt on a whole lens.

use super::weather::{MUD, mean_over, splash};
use crate::scenario::canvas::Point;
use crate::scenario::picture::{Picture, mix, smooth_step};

/// Mud all over a lens.
pub(super) struct Dirt {
    /// Splashes darker than this are free.
    threshold: f32,
    seed: f32,
    /// Pixels per unit of the noise.
    grain: f32,
}

impl Dirt {
    /// Mud that hides about a share `strength` of a lens for frames `width` pixels wide.
    pub(super) fn new(strength: f32, seed: f32, width: u32) -> Self {
        // The noise lies around 0.5; its quantiles are nearly linear between 0.3 and 0.7.
        Self { threshold: 0.72 - 0.44 * strength, seed, grain: width as f32 / 1280.0 * 4.5 }
    }

    /// Opacity at a pixel, 0..1.
    fn opacity(&self, pixel: Point) -> f32 {
        let splash = splash((pixel.0 / self.grain, pixel.1 / self.grain), self.seed);
        0.97 * smooth_step(self.threshold - 0.03, self.threshold + 0.03, splash)
    }

    /// Mean opacity in a box (left, top, right, bottom).
    pub(super) fn coverage(&self, bounds: [f32; 4]) -> f32 {
        mean_over(bounds, |pixel| self.opacity(pixel))
    }

    /// Paints the mud over a picture, with `light` on it.
    pub(super) fn paint(&self, picture: &mut Picture, light: f32) {
        let whole = [0.0, 0.0, picture.width as f32, picture.height as f32];
        let mud = MUD.map(|value| value * light);
        picture.update(whole, |pixel, scene| mix(scene, mud, self.opacity(pixel)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mud_hides_about_what_it_is_told_to() {
        for strength in [0.1, 0.3, 0.5, 0.8] {
            let dirt = Dirt::new(strength, 12.0, 1280);
            let hidden = (0..32_u8)
                .map(|index| {
                    let (x, y) = (f32::from(index % 8) * 160.0, f32::from(index / 8) * 180.0);
                    dirt.coverage([x, y, x + 160.0, y + 180.0])
                })
                .sum::<f32>()
                / 32.0;
            assert!((hidden - strength).abs() < 0.2, "{strength}: {hidden}");
        }
    }
}
