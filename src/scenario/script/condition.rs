//! Weather and light.

use serde::Deserialize;

use super::span::Span;

/// Weather.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weather {
    /// Nothing in the air.
    Clear,
    /// Fog; the strongest hides what is 15 m away.
    Fog,
    /// Streaks, a wet road, drops on the lens.
    Rain,
    /// Flakes in the air and snow on the ground.
    Snow,
}

/// Light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    /// Broad daylight.
    Day,
    /// The sun is below the horizon, the sky is not dark yet.
    Dusk,
    /// Dark, with the headlights on.
    Night,
    /// The sun stands low ahead and blinds the camera.
    LowSun,
}

/// Weather and light at one moment; every figure from 0 (none of it) to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moment {
    /// Fog.
    pub fog: f32,
    /// Rain.
    pub rain: f32,
    /// Falling snow.
    pub snow: f32,
    /// Twilight.
    pub dusk: f32,
    /// Night.
    pub night: f32,
    /// A low sun ahead.
    pub low_sun: f32,
}

impl Moment {
    /// The strongest of every kind.
    pub(super) fn of(weather: &[Span<Weather>], light: &[Span<Light>], seconds: f32) -> Self {
        Self {
            fog: strongest(weather, Weather::Fog, seconds),
            rain: strongest(weather, Weather::Rain, seconds),
            snow: strongest(weather, Weather::Snow, seconds),
            dusk: strongest(light, Light::Dusk, seconds),
            night: strongest(light, Light::Night, seconds),
            low_sun: strongest(light, Light::LowSun, seconds),
        }
    }
}

fn strongest<K: Copy + PartialEq>(spans: &[Span<K>], kind: K, seconds: f32) -> f32 {
    let of_kind = spans.iter().filter(|span| span.kind == kind);
    of_kind.map(|span| span.strength_at(seconds)).fold(0.0, f32::max)
}
