//! What lies over signs and makes them strange, whatever they are.

use crate::scenario::script::Trouble;

/// Strength of rain beyond which signs count as strange.
pub(super) const STRANGE_RAIN: f32 = 0.8;
/// Strength of falling snow beyond which signs count as strange.
pub(super) const STRANGE_SNOW: f32 = 0.7;
/// Scattered sunlight over a sign, in units of its own, beyond which it counts as strange.
pub(super) const STRANGE_GLARE: f32 = 0.55;

/// Weather or a fault of the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disturbance {
    /// Fog that replaces more than 85 % of a sign's light.
    Fog,
    /// Rain of a strength above 0.8.
    Rain,
    /// Falling snow of a strength above 0.7.
    Snowfall,
    /// A sign in front of or beside the low sun.
    Glare,
    /// A fault of the camera.
    Camera(Trouble),
}

impl Disturbance {
    /// Name for the ground truth.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fog => "fog",
            Self::Rain => "rain",
            Self::Snowfall => "snowfall",
            Self::Glare => "glare",
            Self::Camera(trouble) => trouble.name(),
        }
    }
}
