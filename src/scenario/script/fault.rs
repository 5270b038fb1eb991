//! What is wrong with a camera.

use serde::Deserialize;

use super::check::{self, Check};
use super::span::{full, in_order, within};

/// A fault of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Dirt on the lens.
    Mud,
    /// Something nearly opaque in front of the lens.
    CoveredLens,
    /// Pixels that show the same always.
    DeadPixels,
    /// The same image again and again, with new stamps.
    Frozen,
    /// Far too much light.
    Exposure,
    /// Red and blue exchanged.
    ChannelOrder,
    /// Noise of the sensor.
    Noise,
    /// Out of focus.
    Blur,
}

/// A fault for some time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpan {
    /// What is wrong.
    pub kind: Trouble,
    /// When it begins, in seconds after the start.
    #[serde(default, deserialize_with = "check::seconds")]
    pub from_secs: f32,
    /// When it is over, in seconds after the start; never when left out.
    #[serde(default, deserialize_with = "check::end")]
    pub to_secs: Option<f32>,
    /// How much of it, 0 to 1.
    #[serde(default = "full", deserialize_with = "check::share")]
    pub strength: f32,
    /// The camera that has it; all when left out.
    #[serde(default)]
    pub camera: Option<String>,
}

impl FaultSpan {
    /// Whether a camera has it at a moment.
    pub(crate) fn concerns(&self, camera: Option<&str>, seconds: f32) -> bool {
        let here = self.camera.is_none() || self.camera.as_deref() == camera;
        here && within(self.from_secs, self.to_secs, seconds)
    }
}

impl Trouble {
    /// Name for the ground truth.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mud => "mud",
            Self::CoveredLens => "covered lens",
            Self::DeadPixels => "dead pixels",
            Self::Frozen => "frozen image",
            Self::Exposure => "overexposure",
            Self::ChannelOrder => "wrong channel order",
            Self::Noise => "noise",
            Self::Blur => "blur",
        }
    }

    /// Strength from which on signs count as out of distribution. Mud counts by the share of a sign that it hides.
    #[must_use]
    pub const fn strange_from(self) -> f32 {
        match self {
            Self::Frozen => 0.0,
            Self::DeadPixels => 0.2,
            Self::Mud | Self::Blur => 0.3,
            Self::Exposure | Self::Noise => 0.4,
            Self::CoveredLens | Self::ChannelOrder => 0.5,
        }
    }
}

impl Check for FaultSpan {
    fn check(&self) -> Result<(), String> {
        in_order(self.from_secs, self.to_secs)
    }
}
