//! What happened to the images: counters, latency and rate, as the diagnostics report them.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::node::input::counts::InputCounts;
use crate::node::input::pairing::Stamp;

/// Number of latest images that latency and rate are computed from.
const WINDOW: usize = 256;

/// Number of different reasons counted one by one; further ones are counted together.
const MAX_REASONS: usize = 16;

/// Counters since the start and a window of the latest images of one camera.
#[derive(Debug, Default)]
pub struct Statistics {
    counts: Counts,
    window: VecDeque<Sample>,
    newest_stamp: Option<Stamp>,
    last_arrival: Option<Instant>,
    input: InputCounts,
}

/// Counters since the start of the node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Images that arrived.
    pub received: u64,
    /// Images that were answered, with whatever verdicts.
    pub judged: u64,
    /// Images that were not judged, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Regions (whole images included) with verdict UNKNOWN, by short reason.
    pub unknown: BTreeMap<String, u64>,
    /// Region arrays that arrived.
    pub region_arrays: u64,
    /// Images answered UNKNOWN for want of regions.
    pub regions_missing: u64,
    /// Jumps in time, back or ahead.
    pub time_jumps: u64,
}

/// Why an image was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// A newer image of the camera came before its turn.
    Replaced,
    /// More images waited for their regions than there is room for.
    NoRoom,
    /// A newer image had its regions first, and `without_regions` is `whole_image`.
    LateRegions,
    /// Its regions did not come, and `without_regions` is `skip`.
    NoRegions,
    /// The stamps jumped while it waited for its regions.
    TimeJump,
    /// The service `~/enable` had switched judging off.
    Disabled,
    /// The node was deactivated, reset or ended while it waited.
    Ended,
}

impl DropReason {
    /// Name in the diagnostics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replaced => "replaced by a newer image",
            Self::NoRoom => "no room to wait for regions",
            Self::LateRegions => "a newer image had its regions first",
            Self::NoRegions => "no regions, skipped",
            Self::TimeJump => "stamps jumped",
            Self::Disabled => "judging is switched off",
            Self::Ended => "deactivated, reset or ended",
        }
    }
}

impl Counts {
    /// Images that were not judged, for whatever reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    done: Instant,
    latency: Duration,
}

/// Latency from arrival to publication, and rate, over the latest images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Median latency.
    pub latency_p50: Duration,
    /// 99th percentile of the latency.
    pub latency_p99: Duration,
    /// Answered images per second.
    pub rate_hz: f64,
}

impl Statistics {
    /// Counts an image that arrived at `now`.
    pub fn arrived(&mut self, stamp: Stamp, now: Instant) {
        self.counts.received += 1;
        self.last_arrival = Some(now);
        self.newest_stamp = Some(stamp);
    }

    /// Counts a jump in time.
    pub fn time_jumped(&mut self) {
        self.counts.time_jumps += 1;
    }

    /// Counts an image that was answered without inference.
    pub fn refused(&mut self) {
        self.counts.judged += 1;
    }

    /// What happened to stamps and regions.
    #[must_use]
    pub fn input(&self) -> &InputCounts {
        &self.input
    }

    /// The same, to count.
    pub fn input_mut(&mut self) -> &mut InputCounts {
        &mut self.input
    }

    /// Counts an image whose answer was published at `done`, `latency` after it arrived.
    pub fn judged(&mut self, done: Instant, latency: Duration) {
        self.counts.judged += 1;
        if self.window.len() >= WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(Sample { done, latency });
    }

    /// Counts images that are not judged.
    pub fn dropped(&mut self, reason: DropReason, images: usize) {
        if images > 0 {
            *self.counts.dropped.entry(reason).or_default() += images as u64;
        }
    }

    /// Counts an array of regions.
    pub fn region_array(&mut self) {
        self.counts.region_arrays += 1;
    }

    /// Counts an image without regions.
    pub fn regions_missing(&mut self) {
        self.counts.regions_missing += 1;
    }

    /// Counts a region with verdict UNKNOWN.
    pub fn unknown(&mut self, reason: &str) {
        let known = self.counts.unknown.contains_key(reason) || self.counts.unknown.len() < MAX_REASONS;
        let key = if known { reason } else { "other" };
        *self.counts.unknown.entry(key.to_owned()).or_default() += 1;
    }

    /// Forgets latencies and the newest stamp; the counters stay.
    pub fn forget_pace(&mut self) {
        self.window.clear();
        self.newest_stamp = None;
    }

    /// The counters.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Time since the last image arrived; `None` before the first. Both ends are of the steady clock of this machine,
    /// whatever clock the stamps are of.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Option<Duration> {
        self.last_arrival.map(|last| now.saturating_duration_since(last))
    }

    /// Stamp of the latest image.
    #[must_use]
    pub fn newest_stamp(&self) -> Option<Stamp> {
        self.newest_stamp
    }

    /// Latency and rate over the latest images; `None` before the first answer.
    #[must_use]
    pub fn pace(&self, now: Instant) -> Option<Pace> {
        let mut latencies: Vec<Duration> = self.window.iter().map(|sample| sample.latency).collect();
        latencies.sort();
        let span = now.saturating_duration_since(self.window.front()?.done).as_secs_f64();
        let rate_hz = if span > 0.0 { self.window.len() as f64 / span } else { 0.0 };
        Some(Pace { latency_p50: quantile(&latencies, 0.5)?, latency_p99: quantile(&latencies, 0.99)?, rate_hz })
    }
}

/// Nearest-rank quantile of sorted values: the smallest that at least a share `q` of all does not exceed.
fn quantile(sorted: &[Duration], q: f64) -> Option<Duration> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sec: i32, nanosec: u32) -> Stamp {
        Stamp { sec, nanosec }
    }

    #[test]
    fn what_is_refused_counts_as_answered_but_not_for_the_pace() {
        let mut statistics = Statistics::default();
        statistics.arrived(stamp(100, 0), Instant::now());
        statistics.refused();
        statistics.time_jumped();
        statistics.arrived(stamp(99, 0), Instant::now());
        assert_eq!(
            (statistics.counts().received, statistics.counts().judged, statistics.counts().time_jumps),
            (2, 1, 1)
        );
        assert_eq!((statistics.newest_stamp(), statistics.pace(Instant::now())), (Some(stamp(99, 0)), None));
    }

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 0.5), Some(Duration::from_millis(50)));
        assert_eq!(quantile(&sorted, 0.99), Some(Duration::from_millis(99)));
        assert_eq!(quantile(&sorted[..1], 0.5), Some(Duration::from_millis(1)));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn pace_looks_at_the_latest_images_only() {
        let mut statistics = Statistics::default();
        let start = Instant::now();
        assert_eq!(statistics.pace(start), None);
        for index in 0..WINDOW as u32 * 2 {
            let latency = if index < WINDOW as u32 { Duration::from_secs(9) } else { Duration::from_millis(4) };
            statistics.judged(start + Duration::from_millis(100) * index, latency);
        }
        let end = start + Duration::from_millis(100) * (WINDOW as u32 * 2);
        let pace = statistics.pace(end).unwrap();
        assert_eq!(pace.latency_p99, Duration::from_millis(4));
        assert!((pace.rate_hz - 10.0).abs() < 1e-6, "{}", pace.rate_hz);
        assert_eq!(statistics.counts().judged, WINDOW as u64 * 2);
    }

    #[test]
    fn the_number_of_reasons_is_bounded() {
        let mut statistics = Statistics::default();
        for index in 0..MAX_REASONS + 5 {
            statistics.unknown(&format!("reason {index}"));
        }
        statistics.unknown("reason 0");
        assert_eq!(statistics.counts().unknown["reason 0"], 2);
        assert_eq!(statistics.counts().unknown["other"], 5);
    }

    #[test]
    fn silence_is_measured_from_the_last_arrival() {
        let mut statistics = Statistics::default();
        let now = Instant::now();
        assert_eq!(statistics.silence(now), None);
        statistics.arrived(stamp(1, 0), now);
        assert_eq!(statistics.silence(now + Duration::from_secs(2)), Some(Duration::from_secs(2)));
    }
}
