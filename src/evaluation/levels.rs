//! Nominal false-alarm rates.

use serde::{Deserialize, Serialize};

use super::interval::Interval;
use super::metrics::{alarms, share};
use super::table::percent;

/// The nominal false-alarm rates at which the realised ones are reported.
pub const LEVELS: [f32; 3] = [0.1, 0.01, 0.001];

/// One value for each of [`LEVELS`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ByLevel<T> {
    /// At a nominal 10 %.
    #[serde(rename = "0.1")]
    pub at_10_percent: T,
    /// At a nominal 1 %.
    #[serde(rename = "0.01")]
    pub at_1_percent: T,
    /// At a nominal 0.1 %.
    #[serde(rename = "0.001")]
    pub at_01_percent: T,
}

/// Share of images whose p-value is at or below a nominal false-alarm rate; `None` without images.
pub type AlarmRates = ByLevel<Option<f64>>;
/// The binomial confidence intervals of such shares, see [`Interval::of_share`].
pub type AlarmIntervals = ByLevel<Option<Interval>>;

impl<T> ByLevel<T> {
    /// The value for every level.
    pub fn of(value: impl Fn(f32) -> T) -> Self {
        let [often, sometimes, rarely] = LEVELS.map(value);
        Self { at_10_percent: often, at_1_percent: sometimes, at_01_percent: rarely }
    }

    /// The values in the order of [`LEVELS`].
    pub fn each(&self) -> [&T; 3] {
        [&self.at_10_percent, &self.at_1_percent, &self.at_01_percent]
    }
}

impl AlarmRates {
    /// Shares of some p-values.
    #[must_use]
    pub fn of_p_values(p_values: &[f32]) -> Self {
        Self::of(|level| share(alarms(p_values, level), p_values.len()))
    }

    /// For people: `3.21, 0.32, 0.00 %`.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("{} %", self.each().map(|share| percent(*share)).join(", "))
    }
}

impl AlarmIntervals {
    /// Intervals of the shares of some p-values, as if the images were independent.
    #[must_use]
    pub fn of_p_values(p_values: &[f32]) -> Self {
        Self::of(|level| Interval::of_share(alarms(p_values, level), p_values.len()))
    }
}
