//! What is between the camera and the scene: fog in the air, mud on the lens.

use super::lens::Lens;
use super::light::Light;
use super::plan::RoadsideSign;
use super::subject::Anomaly;
use crate::scenario::canvas::Point;
use crate::scenario::look::Veil;
use crate::scenario::picture::{Picture, mix, smooth_step};
use crate::scenario::script::Moment;
use crate::scenario::texture::smooth;

const FOG: [f32; 3] = [0.74, 0.76, 0.78];
pub(super) const MUD: [f32; 3] = [0.2, 0.15, 0.1];
/// Share of the scene's light that a metre of the densest fog replaces, natural logarithm.
const FOG_DENSITY: f32 = 0.22;

/// What is in front of a covered lens, and how much of the light it replaces.
const COVER: [f32; 3] = [0.06, 0.05, 0.05];
const COVERED: f32 = 0.96;

/// Covers a whole picture; a strength of 1 leaves hardly anything to be seen.
pub(super) fn cover(picture: &mut Picture, strength: f32) {
    picture.pixels.iter_mut().for_each(|pixel| *pixel = mix(*pixel, COVER, COVERED * strength));
}

/// The air at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Air {
    density: f32,
    /// The part of it that the scenario's weather brings.
    weather: f32,
    pub(super) light: Light,
    /// Snow on the ground, 0..1.
    pub(super) snow: f32,
}

impl Air {
    /// The air around a car at `position`: a bank of fog before every sign that is to be seen in fog, and the weather.
    pub(super) fn at(position: f32, signs: &[RoadsideSign], moment: &Moment) -> Self {
        let thickness = |sign: &RoadsideSign| {
            let ahead = sign.position - position;
            smooth_step(44.0, 34.0, ahead) * smooth_step(-2.0, 5.0, ahead)
        };
        let foggy = signs.iter().filter(|sign| sign.subject.anomaly == Some(Anomaly::Fog));
        let weather = FOG_DENSITY * moment.fog * moment.fog + 0.008 * moment.rain + 0.016 * moment.snow;
        Self {
            density: 0.0004 + FOG_DENSITY * foggy.map(thickness).fold(0.0, f32::max) + weather,
            weather,
            light: Light::of(moment),
            snow: moment.snow,
        }
    }

    /// What the air adds to an object `distance` metres away.
    pub(super) fn veil(&self, distance: f32) -> Veil {
        let light = self.light.ambient.map(|value| value + 0.1 * self.light.headlights);
        let colour = std::array::from_fn(|channel| FOG[channel] * light[channel]);
        Veil { colour, share: 1.0 - (-self.density * distance).exp(), gain: [1.0; 3] }
    }

    /// Share of the light from `distance` metres that the scenario's weather replaces, 0..1.
    pub(super) fn hidden_by_weather(&self, distance: f32) -> f32 {
        1.0 - (-self.weather * distance).exp()
    }
}

/// Mud on the lens along the path of one sign through the image.
pub(super) struct Mud {
    from: Point,
    to: Point,
    seed: f32,
    /// Pixels per unit of the noise.
    grain: f32,
}

impl Mud {
    /// The mud for a car at `position`, if a sign is to be seen through it now.
    /// `still` is the camera's lens when the road does not shake it.
    pub(super) fn at(position: f32, signs: &[RoadsideSign], still: &Lens) -> Option<Self> {
        let dirty = |sign: &&RoadsideSign| {
            sign.subject.anomaly == Some(Anomaly::Mud) && (2.0..42.0).contains(&(sign.position - position))
        };
        let sign = signs.iter().find(dirty)?;
        let at = |distance| still.project(sign.offset, sign.height, distance);
        Some(Self { from: at(40.0), to: at(5.0), seed: sign.position, grain: still.width as f32 / 1280.0 * 3.2 })
    }

    /// Opacity at a pixel, 0..1.
    fn opacity(&self, pixel: Point) -> f32 {
        let (distance, along) = self.distance_to_path(pixel);
        let reach = self.grain * (10.0 + 34.0 * along);
        let near = 1.0 - smooth_step(reach, 2.2 * reach, distance);
        let (x, y) = (self.seed + pixel.0 / self.grain, pixel.1 / self.grain);
        0.96 * smooth_step(0.44, 0.56, splash((x, y), self.seed) * near.sqrt())
    }

    /// Mean opacity in a box (left, top, right, bottom).
    pub(super) fn coverage(&self, bounds: [f32; 4]) -> f32 {
        mean_over(bounds, |pixel| self.opacity(pixel))
    }

    /// Paints the mud over a picture.
    pub(super) fn paint(&self, picture: &mut Picture) {
        let pad = 110.0 * self.grain;
        let bounds = [
            self.from.0.min(self.to.0) - pad,
            self.from.1.min(self.to.1) - pad,
            self.from.0.max(self.to.0) + pad,
            self.from.1.max(self.to.1) + pad,
        ];
        picture.update(bounds, |pixel, scene| mix(scene, MUD, self.opacity(pixel)));
    }

    /// Distance from the path and position along it, 0 at its far end.
    fn distance_to_path(&self, pixel: Point) -> (f32, f32) {
        let path = (self.to.0 - self.from.0, self.to.1 - self.from.1);
        let offset = (pixel.0 - self.from.0, pixel.1 - self.from.1);
        let squared = (path.0 * path.0 + path.1 * path.1).max(1.0);
        let along = ((offset.0 * path.0 + offset.1 * path.1) / squared).clamp(0.0, 1.0);
        ((offset.0 - along * path.0).hypot(offset.1 - along * path.1), along)
    }
}

/// Noise of splashes of mud, 0..1.
pub(super) fn splash((x, y): Point, seed: f32) -> f32 {
    0.6 * smooth(x * 1.1, y * 1.1) + 0.4 * smooth(2.6 * x, 2.6 * y + seed)
}

/// Mean of a value over the pixels of a box (left, top, right, bottom).
pub(super) fn mean_over([left, top, right, bottom]: [f32; 4], value: impl Fn(Point) -> f32) -> f32 {
    const SAMPLES: u8 = 10;
    let share = |index: u8| (f32::from(index) + 0.5) / f32::from(SAMPLES);
    let sum: f32 = (0..SAMPLES * SAMPLES)
        .map(|index| {
            let (column, row) = (share(index % SAMPLES), share(index / SAMPLES));
            value((left + column * (right - left), top + row * (bottom - top)))
        })
        .sum();
    sum / f32::from(SAMPLES * SAMPLES)
}
