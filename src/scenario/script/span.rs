//! Something that holds for a while.

use serde::Deserialize;

use super::check::{self, Check};

/// A kind of weather or light for some time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span<K> {
    /// What holds.
    pub kind: K,
    /// When it begins, in seconds after the start.
    #[serde(default, deserialize_with = "check::seconds")]
    pub from_secs: f32,
    /// When it is over, in seconds after the start; never when left out.
    #[serde(default, deserialize_with = "check::end")]
    pub to_secs: Option<f32>,
    /// How much of it, 0 to 1.
    #[serde(default = "full", deserialize_with = "check::share")]
    pub strength: f32,
    /// Seconds in which it comes after `from_secs` and goes before `to_secs`.
    #[serde(default, deserialize_with = "check::seconds")]
    pub fade_secs: f32,
}

impl<K> Span<K> {
    /// How strong it is at a moment, 0 to its strength.
    #[must_use]
    pub fn strength_at(&self, seconds: f32) -> f32 {
        if !within(self.from_secs, self.to_secs, seconds) {
            return 0.0;
        }
        let fade = self.fade_secs.max(f32::EPSILON);
        let coming = ((seconds - self.from_secs) / fade).clamp(0.0, 1.0);
        let going = self.to_secs.map_or(1.0, |end| ((end - seconds) / fade).clamp(0.0, 1.0));
        // Without a fade everything is there at once.
        let share = if self.fade_secs == 0.0 { 1.0 } else { coming.min(going) };
        self.strength * share
    }
}

impl<K> Check for Span<K> {
    fn check(&self) -> Result<(), String> {
        in_order(self.from_secs, self.to_secs)
    }
}

/// Whether a moment lies in a span, whose end does not belong to it.
pub(super) fn within(from: f32, to: Option<f32>, seconds: f32) -> bool {
    seconds >= from && to.is_none_or(|end| seconds < end)
}

/// Refuses spans that end before they begin.
pub(super) fn in_order(from: f32, to: Option<f32>) -> Result<(), String> {
    match to {
        Some(end) if end <= from => Err(format!("to_secs is {end}, expected more than from_secs, which is {from}")),
        _ => Ok(()),
    }
}

pub(super) fn full() -> f32 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_comes_and_goes() {
        let span = Span { kind: (), from_secs: 2.0, to_secs: Some(10.0), strength: 0.8, fade_secs: 2.0 };
        let strengths = [1.9, 2.0, 3.0, 4.0, 8.0, 9.0, 10.0].map(|seconds| span.strength_at(seconds));
        for (found, expected) in strengths.into_iter().zip([0.0, 0.0, 0.4, 0.8, 0.8, 0.4, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{strengths:?}");
        }
        let lasting = Span { kind: (), from_secs: 2.0, to_secs: None, strength: 0.5, fade_secs: 0.0 };
        assert_eq!([1.0, 2.0, 99.0].map(|seconds| lasting.strength_at(seconds)), [0.0, 0.5, 0.5]);
    }
}
