//! What the node's diagnostics would have warned of while the bag was played: input that no single image shows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::intake::counts::InputCounts;

/// What the diagnostics of a camera warn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// The same image again and again, with new stamps.
    Frozen,
    /// Stamps that are old when their images arrive.
    OldStamps,
}

/// One warning from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Topic of the images.
    pub topic: String,
    /// Of what.
    pub kind: WarningKind,
    /// Stamp of the first image with it, nanoseconds.
    pub begin_nanos: u64,
    /// Stamp of the last one.
    pub end_nanos: u64,
}

/// Watches the input of one camera.
#[derive(Debug)]
pub struct WarningWatch {
    topic: String,
    stale_after: Duration,
    open: [Option<Warning>; WarningKind::ALL.len()],
    closed: Vec<Warning>,
}

impl WarningKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Frozen, Self::OldStamps];

    /// What is the matter, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Frozen => "the same image again and again, with new stamps",
            Self::OldStamps => "images arrive with old stamps",
        }
    }

    fn holds(self, input: &InputCounts, stale_after: Duration) -> bool {
        match self {
            Self::Frozen => input.frozen_for(stale_after).is_some(),
            Self::OldStamps => input.late_by(stale_after).is_some(),
        }
    }
}

impl WarningWatch {
    /// For the camera with that topic; `stale_after` is the parameter `stale_after_secs`.
    #[must_use]
    pub fn new(topic: &str, stale_after: Duration) -> Self {
        Self { topic: topic.to_owned(), stale_after, open: Default::default(), closed: Vec::new() }
    }

    /// Looks at the counters after an image with that stamp.
    pub fn see(&mut self, input: &InputCounts, stamp_nanos: u64) {
        for (kind, open) in WarningKind::ALL.into_iter().zip(&mut self.open) {
            if !kind.holds(input, self.stale_after) {
                self.closed.extend(open.take());
                continue;
            }
            let first =
                || Warning { topic: self.topic.clone(), kind, begin_nanos: stamp_nanos, end_nanos: stamp_nanos };
            open.get_or_insert_with(first).end_nanos = stamp_nanos;
        }
    }

    /// All warnings, in the order of their beginning.
    #[must_use]
    pub fn end(mut self) -> Vec<Warning> {
        self.closed.extend(self.open.into_iter().flatten());
        self.closed.sort_by_key(|warning| warning.begin_nanos);
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_lasts_as_long_as_its_cause() {
        let mut watch = WarningWatch::new("/image", Duration::from_secs(2));
        for second in 0..10_u64 {
            let mut input = InputCounts::default();
            let unchanged = if (3..6).contains(&second) { 2 } else { 1 };
            input.same_image(Some(Duration::from_secs(unchanged)));
            input.aged(Some(if second >= 5 { 2_000_000_001 } else { 2_000_000_000 }));
            watch.see(&input, second);
        }
        let warning = |kind, begin_nanos, end_nanos| Warning { topic: "/image".into(), kind, begin_nanos, end_nanos };
        assert_eq!(watch.end(), [warning(WarningKind::Frozen, 3, 5), warning(WarningKind::OldStamps, 5, 9)]);
    }

    #[test]
    fn without_a_clock_no_stamp_is_old() {
        let mut watch = WarningWatch::new("/image", Duration::ZERO);
        let mut input = InputCounts::default();
        input.aged(None);
        watch.see(&input, 1);
        assert!(watch.end().iter().all(|warning| warning.kind != WarningKind::OldStamps));
    }
}
