//! The figures of a replay: one table of names, which reports show and gates ask for.

use serde_json::{Map, Value, json};

use super::alarms::{Alarm, Cause, Occurrence, Subject};
use super::inject::FaultOutcome;
use super::tally::Tally;
use crate::evaluation::Interval;

/// In what a figure is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whole numbers.
    Count,
    /// 0..1.
    Share,
    /// Hours.
    Hours,
    /// Per hour.
    PerHour,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// One figure.
pub struct Figure {
    /// Name in reports and gates.
    pub name: &'static str,
    /// In what it is counted.
    pub unit: Unit,
    /// What it is.
    pub description: &'static str,
    /// Its value; `None` where nothing can be said, as of false alarms without ground truth.
    pub of: fn(&Tally) -> Option<f64>,
}

/// All figures, in the order of reports.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "images",
        unit: Unit::Count,
        description: "images that were answered",
        of: |tally| Some(tally.counted.images as f64),
    },
    Figure {
        name: "regions",
        unit: Unit::Count,
        description: "regions that were answered",
        of: |tally| Some(tally.counted.regions as f64),
    },
    Figure {
        name: "unknown_share",
        unit: Unit::Share,
        description: "share of regions that could not be judged, 0..1",
        of: |tally| share(tally.counted.unknown, tally.counted.regions),
    },
    Figure {
        name: "lost_messages",
        unit: Unit::Count,
        description: "messages that were damaged or could not be read, as far as known",
        of: |tally| Some(tally.counted.lost_messages as f64),
    },
    Figure {
        name: "repeated_images",
        unit: Unit::Count,
        description: "images that were those before them, byte for byte, with newer stamps: of a frozen camera",
        of: |tally| Some(tally.counted.repeated_images as f64),
    },
    Figure {
        name: "input_warnings",
        unit: Unit::Count,
        description: "times that the node's diagnostics would have warned of a frozen camera or of old stamps",
        of: |tally| Some(tally.warnings.len() as f64),
    },
    Figure {
        name: "watched_hours",
        unit: Unit::Hours,
        description: "hours with images, of every camera",
        of: |tally| Some(tally.hours()),
    },
    Figure {
        name: "alarms",
        unit: Unit::Count,
        description: "alarms of objects, images and cameras",
        of: |tally| Some(tally.alarms.len() as f64),
    },
    Figure {
        name: "alarms_per_hour",
        unit: Unit::PerHour,
        description: "alarms per hour",
        of: |tally| per_hour(tally, tally.alarms.len()),
    },
    Figure {
        name: "false_alarms",
        unit: Unit::Count,
        description: "alarms while everything was as in the training data",
        of: |tally| known(tally, false_alarms(tally, |_| true) as f64),
    },
    Figure {
        name: "false_alarms_per_hour",
        unit: Unit::PerHour,
        description: "the same per hour",
        of: |tally| known(tally, per_hour(tally, false_alarms(tally, |_| true))?),
    },
    Figure {
        name: "false_object_alarms_per_hour",
        unit: Unit::PerHour,
        description: "those of objects and images",
        of: |tally| known(tally, per_hour(tally, false_alarms(tally, |alarm| alarm.subject != Subject::Camera))?),
    },
    Figure {
        name: "false_camera_alarms_per_hour",
        unit: Unit::PerHour,
        description: "those of cameras",
        of: |tally| known(tally, per_hour(tally, false_alarms(tally, |alarm| alarm.subject == Subject::Camera))?),
    },
    Figure {
        name: "nominal_alarm_share",
        unit: Unit::Share,
        description: "share of nominal single views that were out of distribution, 0..1",
        of: |tally| share(tally.counted.nominal_alarmed, tally.counted.nominal),
    },
    Figure {
        name: "anomalies",
        unit: Unit::Count,
        description: "times that something strange came before a camera",
        of: |tally| known(tally, tally.anomalies.len() as f64),
    },
    Figure {
        name: "missed_anomalies",
        unit: Unit::Count,
        description: "those without any alarm",
        of: |tally| known(tally, missed(&tally.anomalies) as f64),
    },
    Figure {
        name: "detection_delay_secs_p50",
        unit: Unit::Seconds,
        description: "time from the first image with something strange to the first alarm, median; a missed one counts as infinite",
        of: |tally| delay_secs(tally, 0.5),
    },
    Figure {
        name: "detection_delay_secs_p95",
        unit: Unit::Seconds,
        description: "the same, 95th percentile",
        of: |tally| delay_secs(tally, 0.95),
    },
    Figure {
        name: "detection_delay_secs_max",
        unit: Unit::Seconds,
        description: "the same, longest",
        of: |tally| delay_secs(tally, 1.0),
    },
    Figure {
        name: "detection_delay_frames_p50",
        unit: Unit::Count,
        description: "images with something strange up to the first alarm, median; a missed one counts as infinite",
        of: |tally| delay_frames(tally, 0.5),
    },
    Figure {
        name: "detection_delay_frames_p95",
        unit: Unit::Count,
        description: "the same, 95th percentile",
        of: |tally| delay_frames(tally, 0.95),
    },
    Figure {
        name: "detection_delay_frames_max",
        unit: Unit::Count,
        description: "the same, largest",
        of: |tally| delay_frames(tally, 1.0),
    },
    Figure {
        name: "strange_objects",
        unit: Unit::Count,
        description: "objects that were strange",
        of: |tally| known(tally, tally.objects.len() as f64),
    },
    Figure {
        name: "missed_objects",
        unit: Unit::Count,
        description: "those that never alarmed",
        of: |tally| known(tally, missed(&tally.objects) as f64),
    },
    Figure {
        name: "object_recall",
        unit: Unit::Share,
        description: "share of strange objects that alarmed, 0..1",
        of: |tally| share((tally.objects.len() - missed(&tally.objects)) as u64, tally.objects.len() as u64),
    },
    Figure {
        name: "injected_faults",
        unit: Unit::Count,
        description: "faults that were put into bags with --inject",
        of: |tally| Some(tally.faults.len() as f64),
    },
    Figure {
        name: "missed_faults",
        unit: Unit::Count,
        description: "those without any alarm, refusal or warning of the diagnostics that is not there without the fault",
        of: |tally| injected(tally, tally.faults.iter().filter(|one| one.delay_secs().is_infinite()).count() as f64),
    },
    Figure {
        name: "fault_delay_secs_p50",
        unit: Unit::Seconds,
        description: "time from the first region with a fault to the first sign of it, median; a missed one counts as infinite",
        of: |tally| quantile(tally.faults.iter().map(FaultOutcome::delay_secs).collect(), 0.5),
    },
    Figure {
        name: "fault_delay_secs_max",
        unit: Unit::Seconds,
        description: "the same, longest",
        of: |tally| quantile(tally.faults.iter().map(FaultOutcome::delay_secs).collect(), 1.0),
    },
    Figure {
        name: "accuracy",
        unit: Unit::Share,
        description: "share of nominal views of known class that were classified rightly, 0..1",
        of: |tally| share(tally.counted.right, tally.counted.classified),
    },
    Figure {
        name: "silent_error_share",
        unit: Unit::Share,
        description: "share of views of known name, strange ones too, that were IN_DISTRIBUTION though their class was wrong, 0..1",
        of: |tally| share(tally.counted.silent_errors, tally.counted.named),
    },
    Figure {
        name: "latency_ms_p50",
        unit: Unit::Milliseconds,
        description: "decoding, network and detectors of an image, milliseconds, median",
        of: |tally| tally.latency_ms(0.5),
    },
    Figure {
        name: "latency_ms_p99",
        unit: Unit::Milliseconds,
        description: "the same, 99th percentile",
        of: |tally| tally.latency_ms(0.99),
    },
];

/// Figures whose values depend on the machine.
pub const OF_THE_MACHINE: &[&str] = &["latency_ms_p50", "latency_ms_p99"];

impl Figure {
    /// The figure of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        FIGURES.iter().find(|figure| figure.name == name)
    }
}

/// All figures by name; `null` where nothing can be said, `"Infinity"` for what was missed.
#[must_use]
pub fn to_json(tally: &Tally) -> Value {
    let value = |figure: &Figure| match (figure.of)(tally) {
        Some(value) if value.is_infinite() => json!("Infinity"),
        Some(value) if figure.unit == Unit::Count => json!(value as u64),
        Some(value) => json!(value),
        None => Value::Null,
    };
    let mut figures: Map<String, Value> =
        FIGURES.iter().map(|figure| (figure.name.to_owned(), value(figure))).collect();
    let interval = false_alarm_interval(tally).map(|Interval { low, high }| json!([low, high]));
    figures.insert("false_alarms_per_hour_interval".to_owned(), interval.unwrap_or(Value::Null));
    Value::Object(figures)
}

/// The interval of `false_alarms_per_hour`.
#[must_use]
pub fn false_alarm_interval(tally: &Tally) -> Option<Interval> {
    tally.has_truth.then(|| Interval::of_rate(false_alarms(tally, |_| true), tally.hours())).flatten()
}

/// A value that only the truth tells.
fn known(tally: &Tally, value: f64) -> Option<f64> {
    tally.has_truth.then_some(value)
}

fn share(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}

fn per_hour(tally: &Tally, count: usize) -> Option<f64> {
    let hours = tally.hours();
    (hours > 0.0).then(|| count as f64 / hours)
}

fn false_alarms(tally: &Tally, of: impl Fn(&Alarm) -> bool) -> usize {
    tally.alarms.iter().filter(|alarm| alarm.cause == Cause::Nominal && of(alarm)).count()
}

fn missed(occurrences: &[Occurrence]) -> usize {
    occurrences.iter().filter(|one| one.found.is_none()).count()
}

fn delay_secs(tally: &Tally, q: f64) -> Option<f64> {
    delay(tally, q, |one| one.found.map_or(f64::INFINITY, |found| found.delay_secs))
}

fn delay_frames(tally: &Tally, q: f64) -> Option<f64> {
    delay(tally, q, |one| one.found.map_or(f64::INFINITY, |found| found.images as f64))
}

/// A figure of faults, where any were put in.
fn injected(tally: &Tally, value: f64) -> Option<f64> {
    (!tally.faults.is_empty()).then_some(value)
}

fn delay(tally: &Tally, q: f64, of: impl Fn(&Occurrence) -> f64) -> Option<f64> {
    quantile(tally.anomalies.iter().map(of).collect(), q)
}

/// Nearest-rank quantile.
fn quantile(mut values: Vec<f64>, q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}
