//! Scenarios as YAML: what a camera sees over time, and what is expected of a monitor that watches it.
//!
//! `docs/scenarios.md` explains every field. A script that was read is within bounds: durations, sizes, rates and numbers of
//! signs are limited, so nothing unbounded is ever drawn.

mod check;
mod condition;
mod error;
mod fault;
mod road;
mod signs;
mod span;
mod standard;

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Deserialize;

use self::check::{Check, list, number};

pub(super) use check::seconds;

pub use condition::{Light, Moment, Weather};
pub use error::ScriptError;
pub use fault::{FaultSpan, Trouble};
pub use road::{Mount, Road, Surface, Surroundings, Textures};
pub use signs::{Attack, AttackKind, ClassName, Look, PlacedSign, RandomSigns, Row, Side, Signs};
pub use span::Span;

/// Length of a drive in seconds.
pub(super) const DURATION_SECS: RangeInclusive<f32> = 1.0..=3600.0;
/// Frames per second.
pub(super) const RATE_HZ: RangeInclusive<f32> = 1.0..=60.0;
/// Width and height of frames in pixels.
pub(super) const SIDE_PX: RangeInclusive<u32> = 160..=4096;
/// Cameras that may look at a scenario.
const MOST_CAMERAS: usize = 8;
/// Conditions that a scenario may have.
const MOST_CONDITIONS: usize = 50;

/// A scenario: a drive along a road, all that happens on it, and the conditions under which a monitor fails it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Version of the language; 1.
    #[serde(deserialize_with = "check::version")]
    pub version: u32,
    /// Small letters, digits, `_` and `-`; also the name of the recording.
    #[serde(deserialize_with = "check::name")]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Everything random follows from it.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Length in seconds, 1 to 3600.
    #[serde(deserialize_with = "duration")]
    pub duration_secs: f32,
    /// Frames per second, 1 to 60.
    #[serde(default = "default_rate", deserialize_with = "rate")]
    pub rate_hz: f32,
    /// Width of the frames in pixels, 160 to 4096.
    #[serde(default = "default_width", deserialize_with = "side")]
    pub width: u32,
    /// Height of the frames in pixels, 160 to 4096.
    #[serde(default = "default_height", deserialize_with = "side")]
    pub height: u32,
    /// The road and what lies beside it.
    #[serde(default)]
    pub road: Road,
    /// Cameras on the car; one that looks ahead when empty.
    #[serde(default, deserialize_with = "list::<_, _, MOST_CAMERAS>")]
    pub cameras: Vec<Mount>,
    /// Weather over time; clear where nothing is said.
    #[serde(default, deserialize_with = "list::<_, _, 100>")]
    pub weather: Vec<Span<Weather>>,
    /// Light over time; day where nothing is said.
    #[serde(default, deserialize_with = "list::<_, _, 100>")]
    pub light: Vec<Span<Light>>,
    /// Signs at the roadside.
    #[serde(default)]
    pub signs: Signs,
    /// What is wrong with cameras over time.
    #[serde(default, deserialize_with = "list::<_, _, 100>")]
    pub faults: Vec<FaultSpan>,
    /// Conditions in the language of `replay --fail-on`; the scenario fails when one of them holds.
    #[serde(default, deserialize_with = "check::texts::<_, MOST_CONDITIONS>")]
    pub expect: Vec<String>,
}

impl Script {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`ScriptError`] when the file cannot be read or is no scenario, with line, column and field.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = fs::read_to_string(path).map_err(|source| ScriptError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads a scenario from text; `path` is what errors call it.
    ///
    /// # Errors
    /// [`ScriptError::Invalid`] with line, column and field.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScriptError> {
        let script: Self = error::read(text, path)?;
        script.check().map_err(|message| ScriptError::whole(path, message))?;
        Ok(script)
    }

    /// Number of frames of every camera.
    #[must_use]
    pub fn frames(&self) -> usize {
        (self.duration_secs * self.rate_hz).round() as usize
    }

    /// Weather and light at a moment, in seconds after the start.
    #[must_use]
    pub fn moment(&self, seconds: f32) -> Moment {
        Moment::of(&self.weather, &self.light, seconds)
    }
}

impl Check for Script {
    fn check(&self) -> Result<(), String> {
        for (index, camera) in self.cameras.iter().enumerate() {
            if self.cameras[..index].iter().any(|other| other.name == camera.name) {
                return Err(format!("cameras[{index}].name: `{}` is the name of another camera, too", camera.name));
            }
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let Some(wanted) = &fault.camera else { continue };
            if !self.cameras.iter().any(|camera| camera.name == *wanted) {
                let names: Vec<&str> = self.cameras.iter().map(|camera| camera.name.as_str()).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(format!("faults[{index}].camera: there is no camera `{wanted}`; there are: {names}"));
            }
        }
        Ok(())
    }
}

fn default_seed() -> u64 {
    1
}

fn default_rate() -> f32 {
    10.0
}

fn default_width() -> u32 {
    1280
}

fn default_height() -> u32 {
    720
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, DURATION_SECS)
}

fn rate<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    number(deserializer, RATE_HZ)
}

fn side<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    number(deserializer, SIDE_PX)
}

#[cfg(test)]
mod tests;
