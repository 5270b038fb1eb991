//! Light on the scene: day, dusk, night with headlights, a low sun.

use crate::scenario::picture::{luma, mix};
use crate::scenario::script::Moment;

/// Daylight at dusk and at night, as shares of that of the day.
const DUSK: [f32; 3] = [0.42, 0.4, 0.5];
const NIGHT: [f32; 3] = [0.04, 0.045, 0.065];
const LOW_SUN: [f32; 3] = [0.95, 0.82, 0.66];
/// Colour of headlights.
const BEAM: [f32; 3] = [1.0, 0.97, 0.88];
/// Sky above the place where the sun went down.
const AFTERGLOW: [f32; 3] = [0.78, 0.46, 0.3];
/// Clouds that rain and snow come from.
const CLOUDS: [f32; 3] = [0.6, 0.62, 0.65];

/// Light at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    /// Light from the sky, as factors on colours by day.
    pub(super) ambient: [f32; 3],
    /// How much headlights show, 0..1.
    pub(super) headlights: f32,
    /// How much the faces of signs lie in the shade, 0..1.
    shade: f32,
    dusk: f32,
    /// How much of the sky is covered with clouds, 0..1.
    clouds: f32,
}

impl Light {
    pub(super) fn of(moment: &Moment) -> Self {
        let dull = (1.0 - 0.35 * moment.rain) * (1.0 - 0.15 * moment.snow);
        let by_day = mix([1.0; 3], LOW_SUN, moment.low_sun);
        let ambient = mix(mix(by_day, DUSK, moment.dusk), NIGHT, moment.night).map(|value| value * dull);
        Self {
            ambient,
            headlights: moment.night.max(0.4 * moment.dusk),
            shade: 0.5 * moment.low_sun,
            dusk: moment.dusk * (1.0 - moment.night),
            clouds: moment.rain.max(moment.snow),
        }
    }

    /// Brightness of the light from the sky, 0..1.
    pub(super) fn brightness(&self) -> f32 {
        luma(self.ambient)
    }

    /// How much of the headlights falls on a place, 0..1.
    fn beam(&self, right: f32, ahead: f32) -> f32 {
        if self.headlights == 0.0 {
            return 0.0;
        }
        let angle = (right - 0.4) / ahead.max(1.0);
        self.headlights * (-(angle / 0.32).powi(2)).exp() / (1.0 + (ahead / 20.0).powi(2))
    }

    /// Light on a dull surface.
    pub(super) fn on_object(&self, right: f32, ahead: f32) -> [f32; 3] {
        let beam = 0.9 * self.beam(right, ahead);
        std::array::from_fn(|channel| self.ambient[channel] + BEAM[channel] * beam)
    }

    /// Light from a sign, whose sheeting throws headlights back.
    pub(super) fn on_sign(&self, right: f32, ahead: f32) -> [f32; 3] {
        let back = 0.9 * (1.0 - (-7.0 * self.beam(right, ahead)).exp());
        std::array::from_fn(|channel| self.ambient[channel] * (1.0 - self.shade) + BEAM[channel] * back)
    }

    /// The sky, given its colour by day and the height above the horizon, 0..1.
    pub(super) fn on_sky(&self, by_day: [f32; 3], height: f32) -> [f32; 3] {
        let covered = mix(by_day, CLOUDS, 0.9 * self.clouds);
        let lit = std::array::from_fn(|channel| covered[channel] * self.ambient[channel]);
        mix(lit, AFTERGLOW, 0.75 * self.dusk * (1.0 - self.clouds) * (1.0 - height).powi(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_day_nothing_is_changed() {
        let day = Light::of(&Moment::default());
        assert_eq!(day.on_object(3.0, 20.0), [1.0; 3]);
        assert_eq!(day.on_sign(3.0, 20.0), [1.0; 3]);
        assert_eq!(day.on_sky([0.3, 0.5, 0.9], 0.4), [0.3, 0.5, 0.9]);
    }

    #[test]
    fn at_night_signs_shine_in_the_headlights_and_the_rest_is_dark() {
        let night = Light::of(&Moment { night: 1.0, ..Moment::default() });
        let bright = |light: [f32; 3]| luma(light);
        assert!(bright(night.on_sign(3.3, 25.0)) > 0.6);
        assert!(bright(night.on_object(15.0, 20.0)) < 0.12);
        assert!(bright(night.on_object(0.0, 8.0)) > 0.6);
        assert!(bright(night.on_object(0.0, 90.0)) < 0.1);
    }
}
