//! What happened to the images: counters, latencies and times, as the diagnostics report them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::latency::Stages;
use super::window::Window;
use crate::frame::Note;
use crate::intake::counts::InputCounts;
use crate::intake::stamp::Stamp;
use crate::monitor::Verdict;
use crate::stream::{Change, ObjectCounts};

/// Latencies are of the images that were answered in this time.
pub const LATENCY_SPAN: Duration = Duration::from_secs(30);

/// Images that the latencies are of at most.
const MAX_SAMPLES: usize = 2048;

/// Characters of a reason that are kept.
const MAX_REASON: usize = 300;

/// Number of different reasons counted one by one; further ones are counted together.
const MAX_REASONS: usize = 16;

/// Counters since the start and a window of the latest images of one camera.
#[derive(Debug)]
pub struct Statistics {
    counts: Counts,
    answered: Window<Stages>,
    newest_stamp: Option<Stamp>,
    last_arrival: Option<Instant>,
    unanswered_since: Option<Instant>,
    newest_reason: String,
    input: InputCounts,
    notes: Vec<Note>,
    stream: StreamHealth,
}

/// What is known of the stream of a camera.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StreamHealth {
    /// What its images say so far.
    pub change: Change,
    /// What became of its objects.
    pub objects: ObjectCounts,
    /// How often its stamps jumped so that the evidence began anew.
    pub jumps: u64,
    /// Share of regions that were alarms in the last minutes by the stamps, where it is far above the nominal one; 0..1.
    pub drift: Option<f32>,
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
    /// Regions with verdict IN_DISTRIBUTION.
    pub in_distribution: u64,
    /// Regions with verdict SUSPECT.
    pub suspect: u64,
    /// Regions with verdict OUT_OF_DISTRIBUTION.
    pub out_of_distribution: u64,
    /// Region arrays that arrived.
    pub region_arrays: u64,
    /// Images answered UNKNOWN for want of regions.
    pub regions_missing: u64,
    /// Jumps in time, back or ahead.
    pub time_jumps: u64,
    /// Overlays that were published.
    pub overlays_published: u64,
    /// Overlays that gave way to newer ones or could not be drawn.
    pub overlays_dropped: u64,
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
    /// Every reason.
    pub const ALL: [Self; 7] =
        [Self::Replaced, Self::NoRoom, Self::LateRegions, Self::NoRegions, Self::TimeJump, Self::Disabled, Self::Ended];

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

    /// Whether it is as it was asked for that nobody answers such an image.
    fn is_wanted(self) -> bool {
        match self {
            Self::NoRegions | Self::TimeJump | Self::Disabled | Self::Ended => true,
            Self::Replaced | Self::NoRoom | Self::LateRegions => false,
        }
    }
}

impl Counts {
    /// Images that were not judged, for whatever reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Regions with verdict UNKNOWN, for whatever reason.
    #[must_use]
    pub fn unknown_total(&self) -> u64 {
        self.unknown.values().sum()
    }

    /// Regions that were answered, with whatever verdict.
    #[must_use]
    pub fn results(&self) -> u64 {
        self.in_distribution + self.suspect + self.out_of_distribution + self.unknown_total()
    }
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            answered: Window::new(LATENCY_SPAN, MAX_SAMPLES),
            newest_stamp: None,
            last_arrival: None,
            unanswered_since: None,
            newest_reason: String::new(),
            input: InputCounts::default(),
            notes: Vec::new(),
            stream: StreamHealth::default(),
        }
    }
}

impl Statistics {
    /// Counts an image that arrived at `now`.
    pub fn arrived(&mut self, stamp: Stamp, now: Instant) {
        self.counts.received += 1;
        self.last_arrival = Some(now);
        self.unanswered_since.get_or_insert(now);
        self.newest_stamp = Some(stamp);
    }

    /// Counts a jump in time.
    pub fn time_jumped(&mut self) {
        self.counts.time_jumps += 1;
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

    /// What is to be known of the latest image that was looked at.
    pub fn noted(&mut self, notes: &[Note]) {
        notes.clone_into(&mut self.notes);
    }

    /// The same, to read.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What is known of the stream after the latest image.
    pub fn streamed(&mut self, stream: StreamHealth) {
        self.stream = stream;
    }

    /// The same, to read.
    #[must_use]
    pub fn stream(&self) -> &StreamHealth {
        &self.stream
    }

    /// Counts an overlay that was published.
    pub fn overlay_published(&mut self) {
        self.counts.overlays_published += 1;
    }

    /// Counts an overlay that was not.
    pub fn overlay_dropped(&mut self) {
        self.counts.overlays_dropped += 1;
    }

    /// Counts an image whose answer was published at `done` after it went through inference.
    pub fn record(&mut self, done: Instant, stages: Stages) {
        self.refused();
        self.answered.add(done, stages);
    }

    /// Counts an image that was answered without inference.
    pub fn refused(&mut self) {
        self.counts.judged += 1;
        self.unanswered_since = None;
    }

    /// Counts images that are not judged.
    pub fn dropped(&mut self, reason: DropReason, images: usize) {
        if images == 0 {
            return;
        }
        *self.counts.dropped.entry(reason).or_default() += images as u64;
        if reason.is_wanted() {
            self.unanswered_since = None;
        }
    }

    /// Counts a region that was judged. Verdicts UNKNOWN are counted with their reason, by
    /// [`Statistics::unknown`].
    pub fn verdict(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::InDistribution => self.counts.in_distribution += 1,
            Verdict::Suspect => self.counts.suspect += 1,
            Verdict::OutOfDistribution => self.counts.out_of_distribution += 1,
            Verdict::Unknown => {}
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

    /// Counts a region with verdict UNKNOWN under a short reason that is the same for every image, and keeps the whole
    /// reason for whoever looks.
    pub fn unknown(&mut self, kind: &str, reason: &str) {
        let known = self.counts.unknown.contains_key(kind) || self.counts.unknown.len() < MAX_REASONS;
        let key = if known { kind } else { "other" };
        *self.counts.unknown.entry(key.to_owned()).or_default() += 1;
        self.newest_reason = reason.chars().take(MAX_REASON).collect();
    }

    /// Forgets latencies and the newest stamp; the counters stay.
    pub fn forget_pace(&mut self) {
        self.answered.clear();
        self.unanswered_since = None;
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

    /// Since when images have come without any being answered; `None` when the latest ones were.
    #[must_use]
    pub fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered_since
    }

    /// Why the latest region with verdict UNKNOWN has it; empty before the first.
    #[must_use]
    pub fn newest_reason(&self) -> &str {
        &self.newest_reason
    }

    /// Where the time of the images went that were answered in the last [`LATENCY_SPAN`], oldest first, with the time of
    /// the answer.
    #[must_use]
    pub fn answered(&self, now: Instant) -> Vec<(Instant, Stages)> {
        self.answered.at(now).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sec: i32, nanosec: u32) -> Stamp {
        Stamp { sec, nanosec }
    }

    #[test]
    fn what_is_refused_counts_as_answered_but_has_no_latency() {
        let (mut statistics, now) = (Statistics::default(), Instant::now());
        statistics.arrived(stamp(100, 0), now);
        statistics.refused();
        statistics.time_jumped();
        statistics.arrived(stamp(99, 0), now);
        let counts = statistics.counts();
        assert_eq!((counts.received, counts.judged, counts.time_jumps), (2, 1, 1));
        assert_eq!((statistics.newest_stamp(), statistics.answered(now)), (Some(stamp(99, 0)), Vec::new()));
    }

    #[test]
    fn latencies_are_of_what_went_through_inference_lately() {
        let (mut statistics, start) = (Statistics::default(), Instant::now());
        let stages = |millis| Stages { total: Duration::from_millis(millis), ..Stages::default() };
        statistics.record(start, stages(900));
        statistics.refused();
        statistics.record(start + Duration::from_secs(20), stages(4));
        assert_eq!(statistics.answered(start + Duration::from_secs(20)).len(), 2);
        let later = statistics.answered(start + Duration::from_secs(40));
        assert_eq!(later, [(start + Duration::from_secs(20), stages(4))]);
        assert_eq!(statistics.counts().judged, 3);
        statistics.forget_pace();
        assert!(statistics.answered(start).is_empty());
    }

    #[test]
    fn images_are_unanswered_until_one_is_answered_or_none_was_wanted() {
        let (mut statistics, start) = (Statistics::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        statistics.arrived(stamp(1, 0), at(1));
        statistics.arrived(stamp(2, 0), at(2));
        statistics.dropped(DropReason::Replaced, 1);
        assert_eq!(statistics.unanswered_since(), Some(at(1)), "an image in the place of another is no answer");
        statistics.refused();
        assert_eq!(statistics.unanswered_since(), None);
        statistics.arrived(stamp(3, 0), at(3));
        statistics.dropped(DropReason::Disabled, 0);
        assert_eq!(statistics.unanswered_since(), Some(at(3)));
        statistics.dropped(DropReason::Disabled, 1);
        assert_eq!(statistics.unanswered_since(), None);
    }

    #[test]
    fn results_are_counted_by_verdict() {
        let mut statistics = Statistics::default();
        for verdict in [Verdict::InDistribution, Verdict::Suspect, Verdict::OutOfDistribution, Verdict::Unknown] {
            statistics.verdict(verdict);
        }
        statistics.unknown("unsupported encoding", &format!("unsupported encoding `{}`", "x".repeat(999)));
        let counts = statistics.counts();
        assert_eq!((counts.in_distribution, counts.suspect, counts.out_of_distribution), (1, 1, 1));
        assert_eq!((counts.unknown_total(), counts.results()), (1, 4));
        assert!(statistics.newest_reason().starts_with("unsupported encoding `xx"));
        assert_eq!(statistics.newest_reason().len(), MAX_REASON);
    }

    #[test]
    fn the_number_of_reasons_is_bounded() {
        let mut statistics = Statistics::default();
        for index in 0..MAX_REASONS + 5 {
            statistics.unknown(&format!("reason {index}"), "");
        }
        statistics.unknown("reason 0", "");
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
