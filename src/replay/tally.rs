//! What is counted of a bag, image by image.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::alarms::{Alarm, AlarmWatch, Occurrence, Watched};
use super::inject::FaultOutcome;
use super::run::{Answered, Cost, Played};
use super::truth::{AlarmSet, CameraTruth};
use super::warnings::Warning;
use crate::intake::request::{Answer, Entry};
use crate::monitor::Verdict;
use crate::pipeline::Outcome;
use crate::stream::LONGEST_PAUSE;

/// Longest time that is told apart, in microseconds.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Counts of images and regions; those of several bags add up.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Images that were answered.
    pub images: u64,
    /// Regions that were answered.
    pub regions: u64,
    /// Regions that could not be judged.
    pub unknown: u64,
    /// Regions whose single view was out of distribution.
    pub alarmed: u64,
    /// Regions that the truth calls nominal and that were judged.
    pub nominal: u64,
    /// Those of them whose single view was out of distribution.
    pub nominal_alarmed: u64,
    /// Regions that the truth calls strange.
    pub strange: u64,
    /// Those of them that were out of distribution or could not be judged.
    pub strange_alarmed: u64,
    /// Nominal regions whose class is known and one of the model's.
    pub classified: u64,
    /// Those of them that were classified rightly.
    pub right: u64,
    /// Views whose class is known and that were judged, strange or not.
    pub named: u64,
    /// Those of them that were in distribution though their class was wrong.
    pub silent_errors: u64,
    /// Images whose bytes were those of the image before, with a newer stamp.
    pub repeated_images: u64,
    /// Time that cameras showed images for, pauses of a minute left out, in seconds; two cameras count twice.
    pub watched_secs: f64,
    /// Messages that could not be read or were lost, as far as that is known.
    pub lost_messages: u64,
}

/// What is known of one or several bags.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tally {
    /// Counts.
    pub counted: Counted,
    /// Whether anything is known of what is true.
    pub has_truth: bool,
    /// Alarms.
    pub alarms: Vec<Alarm>,
    /// Strange objects.
    pub objects: Vec<Occurrence>,
    /// Anomalies of cameras.
    pub anomalies: Vec<Occurrence>,
    /// What the node's diagnostics would have warned of.
    pub warnings: Vec<Warning>,
    /// Faults that were put into bags.
    pub faults: Vec<FaultOutcome>,
    /// Stamp of the first image of a single bag, nanoseconds; `None` without images.
    pub first_stamp_nanos: Option<u64>,
    /// Every alarm of every image, by camera, of a single bag where they are kept.
    #[serde(skip)]
    pub alarmed: Vec<Arc<AlarmSet>>,
    /// Time that images took, in microseconds.
    #[serde(with = "histogram")]
    micros: Option<Histogram<u64>>,
}

/// Counts while a bag is played.
pub struct Counter<'a> {
    truth: &'a [CameraTruth],
    classes: Vec<String>,
    watches: Vec<AlarmWatch>,
    latest: Vec<Option<Duration>>,
    tally: Tally,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counted: Counted::default(),
            has_truth: false,
            alarms: Vec::new(),
            objects: Vec::new(),
            anomalies: Vec::new(),
            warnings: Vec::new(),
            faults: Vec::new(),
            first_stamp_nanos: None,
            alarmed: Vec::new(),
            micros: histogram::new(),
        }
    }
}

impl Tally {
    /// Adds what is known of another bag.
    pub fn add(&mut self, other: &Self) {
        self.counted.add(&other.counted);
        self.has_truth |= other.has_truth;
        self.alarms.extend_from_slice(&other.alarms);
        self.objects.extend_from_slice(&other.objects);
        self.anomalies.extend_from_slice(&other.anomalies);
        self.warnings.extend_from_slice(&other.warnings);
        self.faults.extend_from_slice(&other.faults);
        if let (Some(micros), Some(others)) = (&mut self.micros, &other.micros) {
            // Both have the same bounds.
            let _ = micros.add(others);
        }
    }

    /// Notes the time that an image took, in microseconds.
    pub(super) fn note_micros(&mut self, micros: u64) {
        if let Some(histogram) = self.micros.as_mut().filter(|_| micros > 0) {
            histogram.saturating_record(micros);
        }
    }

    /// Time that images took at a share (0..1) of them, in milliseconds; `None` without images.
    #[must_use]
    pub fn latency_ms(&self, share: f64) -> Option<f64> {
        let micros = self.micros.as_ref().filter(|micros| !micros.is_empty())?;
        Some(micros.value_at_quantile(share) as f64 / 1e3)
    }

    /// Hours that cameras were watched for.
    #[must_use]
    pub fn hours(&self) -> f64 {
        self.counted.watched_secs / 3600.0
    }
}

impl Counted {
    fn add(&mut self, other: &Self) {
        // No `..`: whoever adds a field decides here how it adds up.
        let Self {
            images,
            regions,
            unknown,
            alarmed,
            nominal,
            nominal_alarmed,
            strange,
            strange_alarmed,
            classified,
            right,
            named,
            silent_errors,
            repeated_images,
            watched_secs,
            lost_messages,
        } = *other;
        self.images += images;
        self.regions += regions;
        self.unknown += unknown;
        self.alarmed += alarmed;
        self.nominal += nominal;
        self.nominal_alarmed += nominal_alarmed;
        self.strange += strange;
        self.strange_alarmed += strange_alarmed;
        self.classified += classified;
        self.right += right;
        self.named += named;
        self.silent_errors += silent_errors;
        self.repeated_images += repeated_images;
        self.watched_secs += watched_secs;
        self.lost_messages += lost_messages;
    }
}

impl<'a> Counter<'a> {
    /// For cameras with these topics, and the class names of the model; `keeps_alarms` for [`Tally::alarmed`].
    #[must_use]
    pub fn new(topics: &[String], truth: &'a [CameraTruth], classes: &[String], keeps_alarms: bool) -> Self {
        let watch = |topic: &String| {
            let watch = AlarmWatch::new(topic, classes);
            if keeps_alarms { watch.keeping_alarms() } else { watch }
        };
        let has_truth = truth.iter().any(CameraTruth::is_known);
        Self {
            truth,
            classes: classes.to_vec(),
            watches: topics.iter().map(watch).collect(),
            latest: vec![None; topics.len()],
            tally: Tally { has_truth, ..Tally::default() },
        }
    }

    /// Takes an answer.
    pub fn observe(&mut self, answered: &Answered<'_>) {
        let Answered { camera, answer, cost, .. } = *answered;
        self.tally.counted.images += 1;
        self.note_time(camera, answer);
        self.note_cost(cost);
        let stamp_nanos = answer.header.stamp.nanos_since_epoch();
        self.tally.first_stamp_nanos.get_or_insert(stamp_nanos);
        for entry in &answer.entries {
            self.count(camera, entry, stamp_nanos);
        }
        self.watches[camera].observe(answered, &self.truth[camera]);
    }

    /// Ends the bag.
    #[must_use]
    pub fn end(mut self, played: &Played) -> Tally {
        for watch in self.watches {
            let Watched { alarms, objects, anomalies, alarmed, .. } = watch.end();
            self.tally.alarmed.push(Arc::new(alarmed));
            self.tally.alarms.extend(alarms);
            self.tally.objects.extend(objects);
            self.tally.anomalies.extend(anomalies);
        }
        self.tally.alarms.sort_by(|a, b| (a.begin_nanos, &a.topic).cmp(&(b.begin_nanos, &b.topic)));
        let lost: u64 = played.damage.iter().filter_map(|damage| damage.lost_messages).sum();
        self.tally.warnings.clone_from(&played.warnings);
        self.tally.counted.repeated_images = played.repeated_images;
        self.tally.counted.lost_messages = played.unreadable.messages() + lost;
        self.tally
    }

    fn note_time(&mut self, camera: usize, answer: &Answer) {
        let now = answer.header.stamp.since_epoch();
        let before = self.latest[camera].replace(now);
        let passed = before.and_then(|before| now.checked_sub(before)).filter(|passed| *passed <= LONGEST_PAUSE);
        self.tally.counted.watched_secs += passed.unwrap_or_default().as_secs_f64();
    }

    fn note_cost(&mut self, Cost { decode, judge }: Cost) {
        let took = u64::try_from((decode + judge).as_micros()).unwrap_or(LONGEST_MICROS);
        self.tally.note_micros(took);
    }

    fn count(&mut self, camera: usize, entry: &Entry, stamp_nanos: u64) {
        let counted = &mut self.tally.counted;
        counted.regions += 1;
        let truth = self.truth[camera].of(&entry.region.id, stamp_nanos);
        let verdict = entry.outcome.as_ref().map_or(Verdict::Unknown, |outcome| outcome.verdict);
        if truth.as_ref().is_some_and(|truth| !truth.in_distribution) {
            counted.strange += 1;
            counted.strange_alarmed += u64::from(matches!(verdict, Verdict::Unknown | Verdict::OutOfDistribution));
        }
        let Ok(Outcome { judgement: Some(judgement), .. }) = &entry.outcome else {
            counted.unknown += 1;
            return;
        };
        let is_alarm = u64::from(verdict == Verdict::OutOfDistribution);
        counted.alarmed += is_alarm;
        let Some(truth) = truth else { return };
        let class = self.classes.iter().position(|class| *class == truth.class_name);
        let is_right = class == Some(judgement.predicted_class);
        if !truth.class_name.is_empty() {
            counted.named += 1;
            counted.silent_errors += u64::from(!is_right && verdict == Verdict::InDistribution);
        }
        if truth.in_distribution {
            counted.nominal += 1;
            counted.nominal_alarmed += is_alarm;
            counted.classified += u64::from(class.is_some());
            counted.right += u64::from(is_right);
        }
    }
}

/// A histogram of times as its values with their counts.
mod histogram {
    use hdrhistogram::Histogram;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::LONGEST_MICROS;

    /// An empty one.
    pub(super) fn new() -> Option<Histogram<u64>> {
        // Bounds that the crate takes.
        Histogram::new_with_bounds(1, LONGEST_MICROS, 3).ok()
    }

    pub(super) fn serialize<S: Serializer>(
        histogram: &Option<Histogram<u64>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let recorded = histogram.iter().flat_map(Histogram::iter_recorded);
        let counts: Vec<(u64, u64)> =
            recorded.map(|value| (value.value_iterated_to(), value.count_at_value())).collect();
        counts.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Histogram<u64>>, D::Error> {
        let counts = Vec::<(u64, u64)>::deserialize(deserializer)?;
        let mut histogram = new();
        for (value, count) in counts {
            if let Some(histogram) = &mut histogram {
                histogram.saturating_record_n(value, count);
            }
        }
        Ok(histogram)
    }
}
