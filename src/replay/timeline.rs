//! What happened when, in as many points as can be seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::intake::request::{Answer, Entry};
use crate::pipeline::Outcome;
use crate::stream::ChangeState;

/// Points that are kept at most: memory does not grow with the bag.
const MOST_POINTS: usize = 1500;
/// Width of a point at first, in nanoseconds.
const FIRST_WIDTH_NANOS: u64 = 50_000_000;

/// The course of one camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    width_nanos: u64,
    points: BTreeMap<u64, Point>,
    /// Level of alarms, 0..1.
    pub alarm_level: f32,
    /// Evidence from which a camera has changed; 0 where it is not watched.
    pub threshold: f64,
}

/// A short time of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Point {
    /// Smallest p-value of a single view, 0..1.
    pub p_value: Option<f32>,
    /// Smallest p-value of an object, 0..1.
    pub object_p_value: Option<f32>,
    /// Largest evidence for a change; `None` where the camera is not watched.
    pub evidence: Option<f64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width_nanos: FIRST_WIDTH_NANOS, points: BTreeMap::new(), alarm_level: f32::NAN, threshold: 0.0 }
    }
}

impl Timeline {
    /// Adds an answer.
    pub fn observe(&mut self, answer: &Answer) {
        let nanos = answer.header.stamp.nanos_since_epoch();
        let change = &answer.observed.change;
        let p_values = answer.entries.iter().filter_map(p_value);
        let objects = answer.observed.objects.iter().filter_map(|object| object.p_value.as_ref().ok().copied());
        let point = Point {
            p_value: p_values.reduce(f32::min),
            object_p_value: objects.reduce(f32::min),
            evidence: (change.state != ChangeState::Unknown).then_some(change.evidence),
        };
        self.alarm_level = answer.levels.alarm;
        self.threshold = self.threshold.max(change.threshold);
        self.points.entry(nanos / self.width_nanos).or_default().add(point);
        while self.points.len() > MOST_POINTS {
            self.halve();
        }
    }

    /// Stamp and content of every point in order, seconds since `from_nanos`.
    pub fn points(&self, from_nanos: u64) -> impl Iterator<Item = (f64, Point)> {
        let secs = move |index: u64| (index as f64 * self.width_nanos as f64 - from_nanos as f64) / 1e9;
        self.points.iter().map(move |(index, point)| (secs(*index), *point))
    }

    /// First and last stamp, nanoseconds; `None` without images.
    #[must_use]
    pub fn span_nanos(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.points.keys().next()?, self.points.keys().next_back()?);
        Some((first * self.width_nanos, (last + 1).saturating_mul(self.width_nanos)))
    }

    /// Longest time between two points that belong together, seconds.
    #[must_use]
    pub fn longest_gap_secs(&self) -> f64 {
        (2.0 * self.width_nanos as f64 / 1e9).max(1.0)
    }

    fn halve(&mut self) {
        self.width_nanos *= 2;
        for (index, point) in std::mem::take(&mut self.points) {
            self.points.entry(index / 2).or_default().add(point);
        }
    }
}

impl Point {
    fn add(&mut self, other: Self) {
        self.p_value = smaller(self.p_value, other.p_value);
        self.object_p_value = smaller(self.object_p_value, other.object_p_value);
        self.evidence = match (self.evidence, other.evidence) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
    }
}

fn smaller(a: Option<f32>, b: Option<f32>) -> Option<f32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn p_value(entry: &Entry) -> Option<f32> {
    match &entry.outcome {
        Ok(Outcome { judgement: Some(judgement), .. }) => Some(judgement.fused.p_value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::request::Header;
    use crate::intake::stamp::Stamp;
    use crate::monitor::Levels;
    use crate::stream::{Change, ObjectView, Observed};

    fn answer(millis: u64, object_p_value: f32) -> Answer {
        let stamp = Stamp { sec: (millis / 1000) as i32, nanosec: (millis % 1000) as u32 * 1_000_000 };
        let object = ObjectView { p_value: Ok(object_p_value), ..ObjectView::unknown("") };
        let change =
            Change { state: ChangeState::Nominal, evidence: millis as f64, threshold: 7.0, ..Change::default() };
        Answer {
            header: Header { stamp, frame_id: String::new() },
            received: stamp,
            levels: Levels::default(),
            entries: Vec::new(),
            observed: Observed { objects: vec![object], change, ..Observed::default() },
        }
    }

    #[test]
    fn points_are_bounded_and_lose_no_extreme() {
        let mut timeline = Timeline::default();
        for frame in 0..20_000 {
            timeline.observe(&answer(frame * 100, if frame == 7777 { 0.001 } else { 0.5 }));
        }
        assert!(timeline.points.len() <= MOST_POINTS && timeline.points.len() > MOST_POINTS / 4);
        let points: Vec<(f64, Point)> = timeline.points(0).collect();
        let lowest = points.iter().find(|(_, point)| point.object_p_value == Some(0.001)).unwrap();
        assert!((lowest.0 - 777.7).abs() < timeline.longest_gap_secs());
        assert_eq!(points.last().unwrap().1.evidence, Some(1_999_900.0));
        assert_eq!((timeline.threshold, timeline.alarm_level), (7.0, Levels::default().alarm));
        let (first, last) = timeline.span_nanos().unwrap();
        assert!(first == 0 && last >= 1_999_900_000_000);
    }
}
