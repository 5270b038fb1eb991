//! A low sun in front of the camera.

use super::lens::Lens;
use crate::scenario::canvas::Point;
use crate::scenario::picture::{Picture, mix, smooth_step};

const SUN: [f32; 3] = [1.0, 0.93, 0.78];

/// The sun as one camera sees it.
pub(super) struct Sun {
    at: Point,
    strength: f32,
    /// Pixels per pixel of a frame of 1280.
    scale: f32,
    /// Middle of the image, through which reflections in the lens lie.
    middle: Point,
}

impl Sun {
    /// A sun a little to the right of the road; `None` where it does not blind.
    pub(super) fn at(lens: &Lens, strength: f32) -> Option<Self> {
        let scale = lens.scale();
        let at = (lens.centre.0 + 150.0 * scale, lens.centre.1 - 62.0 * scale);
        let middle = (lens.width as f32 / 2.0, lens.height as f32 / 2.0);
        (strength > 0.0).then_some(Self { at, strength, scale, middle })
    }

    /// Light that the sun scatters over a pixel, 0..about 1.5.
    fn glow(&self, (x, y): Point) -> f32 {
        let (across, down) = ((x - self.at.0) / self.scale, (y - self.at.1) / self.scale);
        let away = across.hypot(down);
        let ray = (6.0 * down.atan2(across) + 0.4).cos().abs().powi(24) * (-away / 230.0).exp();
        let halo = 0.75 * (-away / 110.0).exp() + 0.3 * (-away / 420.0).exp() + 0.06;
        self.strength * (1.2 * smooth_step(40.0, 20.0, away) + halo + 0.3 * ray)
    }

    /// Mean light that it scatters over a box (left, top, right, bottom), from its middle.
    pub(super) fn over(&self, [left, top, right, bottom]: [f32; 4]) -> f32 {
        self.glow(((left + right) / 2.0, (top + bottom) / 2.0))
    }

    /// Adds its light to a picture.
    pub(super) fn shine(&self, picture: &mut Picture) {
        let ghosts = [(0.6, 26.0, 0.07), (1.35, 44.0, 0.05), (1.8, 18.0, 0.09)];
        let bounds = [0.0, 0.0, picture.width as f32, picture.height as f32];
        picture.update(bounds, |pixel, scene| {
            let light = self.glow(pixel) + ghosts.iter().map(|ghost| self.ghost(pixel, *ghost)).sum::<f32>();
            mix(scene, SUN.map(|value| value * 1.6), 1.0 - (-0.8 * light).exp())
        });
    }

    /// A reflection in the lens: its place on the line through the middle, its radius and its brightness.
    fn ghost(&self, (x, y): Point, (along, radius, bright): (f32, f32, f32)) -> f32 {
        let at = (
            self.at.0 + along * (self.middle.0 - self.at.0) * 2.0,
            self.at.1 + along * (self.middle.1 - self.at.1 + 60.0 * self.scale) * 2.0,
        );
        let away = (x - at.0).hypot(y - at.1) / (radius * self.scale);
        self.strength * bright * smooth_step(1.0, 0.85, away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sun_blinds_most_where_it_stands() {
        let lens = Lens::new(1280, 720, (0.0, 0.0));
        let sun = Sun::at(&lens, 1.0).unwrap();
        let over = |x: f32, y: f32| sun.over([x - 5.0, y - 5.0, x + 5.0, y + 5.0]);
        assert!(over(790.0, 284.0) > 1.5);
        assert!(over(790.0, 284.0) > over(900.0, 284.0) && over(900.0, 284.0) > over(100.0, 600.0));
        assert!(Sun::at(&lens, 0.0).is_none());
    }
}
