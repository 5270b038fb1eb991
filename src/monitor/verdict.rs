//! From a p-value to a verdict.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is said about one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Nothing can be said: no monitor, or the image could not be judged.
    Unknown,
    /// As expected from the training data.
    InDistribution,
    /// Unusual, but the training data has some like it.
    Suspect,
    /// Not covered by the training data.
    OutOfDistribution,
}

impl Verdict {
    /// Name in messages, topics and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::InDistribution => "IN_DISTRIBUTION",
            Self::Suspect => "SUSPECT",
            Self::OutOfDistribution => "OUT_OF_DISTRIBUTION",
        }
    }

    /// The verdict that a message calls by this number; `Unknown` for numbers that there are none of.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::InDistribution,
            2 => Self::Suspect,
            3 => Self::OutOfDistribution,
            _ => Self::Unknown,
        }
    }

    /// Colour in which images show it: red, green, blue.
    #[must_use]
    pub const fn rgb(self) -> [u8; 3] {
        match self {
            Self::InDistribution => [40, 200, 90],
            Self::Suspect => [240, 170, 40],
            Self::OutOfDistribution => [235, 50, 50],
            Self::Unknown => [160, 160, 160],
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// False-alarm rates at which an image counts as suspect or out of distribution: the share of in-distribution images
/// that get such a verdict (or a worse one) is at most this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// p-values up to this are suspect, 0..1.
    pub suspect: f32,
    /// p-values up to this are out of distribution, 0..=suspect.
    pub alarm: f32,
}

/// Levels that make no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("levels must satisfy 0 <= alarm <= suspect <= 1, got alarm {alarm} and suspect {suspect}")]
pub struct LevelsError {
    /// The alarm level that was given.
    pub alarm: f32,
    /// The suspect level that was given.
    pub suspect: f32,
}

impl Default for Levels {
    fn default() -> Self {
        Self { suspect: 0.05, alarm: 0.01 }
    }
}

impl Levels {
    /// Checks the levels.
    ///
    /// # Errors
    /// [`LevelsError`] unless 0 ≤ alarm ≤ suspect ≤ 1.
    pub fn new(suspect: f32, alarm: f32) -> Result<Self, LevelsError> {
        let ordered = 0.0 <= alarm && alarm <= suspect && suspect <= 1.0;
        if ordered { Ok(Self { suspect, alarm }) } else { Err(LevelsError { alarm, suspect }) }
    }

    /// Verdict on an image with this p-value (0..=1, small means out of distribution).
    #[must_use]
    pub fn verdict(&self, p_value: f32) -> Verdict {
        if p_value.is_nan() {
            Verdict::Unknown
        } else if p_value <= self.alarm {
            Verdict::OutOfDistribution
        } else if p_value <= self.suspect {
            Verdict::Suspect
        } else {
            Verdict::InDistribution
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_by_level() {
        let levels = Levels::default();
        for (p_value, verdict) in [
            (1.0, Verdict::InDistribution),
            (0.0501, Verdict::InDistribution),
            (0.05, Verdict::Suspect),
            (0.0101, Verdict::Suspect),
            (0.01, Verdict::OutOfDistribution),
            (0.0, Verdict::OutOfDistribution),
            (f32::NAN, Verdict::Unknown),
        ] {
            assert_eq!(levels.verdict(p_value), verdict, "p = {p_value}");
        }
    }

    #[test]
    fn names_are_the_same_everywhere() {
        for verdict in [Verdict::Unknown, Verdict::InDistribution, Verdict::Suspect, Verdict::OutOfDistribution] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
            assert_eq!(verdict.to_string(), verdict.as_str());
        }
    }

    #[test]
    fn senseless_levels_are_refused() {
        assert_eq!(Levels::new(0.05, 0.01), Ok(Levels::default()));
        assert!(Levels::new(0.0, 0.0).is_ok() && Levels::new(1.0, 1.0).is_ok());
        for (suspect, alarm) in [(0.01, 0.05), (1.1, 0.1), (0.5, -0.1), (f32::NAN, 0.1), (0.5, f32::NAN)] {
            assert!(Levels::new(suspect, alarm).is_err(), "{suspect} {alarm}");
        }
    }
}
