//! One row per region: JSON lines and CSV.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::run::Answered;
use super::truth::CameraTruth;
use crate::frame::Region;
use crate::intake::request::Answer;
use crate::monitor::Verdict;
use crate::stream::ObjectView;

/// What is said of one region. Empty texts and missing numbers where nothing is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row<'a> {
    /// The bag.
    pub bag: &'a str,
    /// Topic of the image.
    pub topic: &'a str,
    /// Stamp of the image, nanoseconds since the epoch.
    pub stamp_nanos: i64,
    /// When the node would have answered, nanoseconds since the epoch: log time of the bag.
    pub log_nanos: u64,
    /// Name of the object.
    pub object: &'a str,
    /// Leftmost column, pixels.
    pub x: u32,
    /// Topmost row.
    pub y: u32,
    /// Columns; 0 with `height` 0: the whole image.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Predicted class.
    pub class_name: &'a str,
    /// Its softmax, 0..1.
    pub score: Option<f32>,
    /// Verdict on this view.
    pub verdict: Verdict,
    /// Fused p-value of this view, 0..1.
    pub p_value: Option<f32>,
    /// Why there is no verdict.
    pub reason: &'a str,
    /// Verdict on all views of the object together.
    pub object_verdict: Verdict,
    /// p-value of all views, 0..1.
    pub object_p_value: Option<f32>,
    /// Views of the object so far.
    pub object_views: usize,
    /// Class of most views.
    pub object_class_name: &'a str,
    /// Whether there is an alarm: by all views where those have a verdict, by this one otherwise.
    pub alarm: bool,
    /// State of the camera.
    pub camera_state: &'static str,
    /// Evidence for a change of what the camera shows.
    pub camera_evidence: f64,
    /// Class of the nearest training data.
    pub nearest_class_name: &'a str,
    /// Reasons of the most suspicious detector.
    pub explanation: String,
    /// Whether the training data covers it, by the truth.
    pub truth_in_distribution: Option<bool>,
    /// Class by the truth.
    pub truth_class_name: String,
    /// What is strange by the truth.
    pub truth_anomaly: String,
}

/// A row with the p-values of all detectors, as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    row: &'a Row<'a>,
    detector_p_values: BTreeMap<&'static str, f32>,
}

/// Where rows come from.
#[derive(Debug, Clone, Copy)]
pub struct RowSource<'a> {
    /// Name of the bag.
    pub bag: &'a str,
    /// Topic of the images.
    pub topic: &'a str,
    /// Class names of the model.
    pub classes: &'a [String],
    /// What is true of the camera.
    pub truth: &'a CameraTruth,
}

/// The rows of an answer.
#[must_use]
pub fn rows<'a>(answered: &Answered<'a>, source: RowSource<'a>) -> Vec<Row<'a>> {
    (0..answered.answer.entries.len()).map(|index| row(answered.answer, answered.log_nanos, index, source)).collect()
}

fn row<'a>(answer: &'a Answer, log_nanos: u64, index: usize, source: RowSource<'a>) -> Row<'a> {
    let RowSource { bag, topic, classes, truth } = source;
    let entry = &answer.entries[index];
    let stamp_nanos = answer.header.stamp.nanos();
    let truth = truth.of(&entry.region.id, answer.header.stamp.nanos_since_epoch());
    let outcome = entry.outcome.as_ref();
    let best = outcome.ok().and_then(|outcome| outcome.top_k.first());
    let judgement = outcome.ok().and_then(|outcome| outcome.judgement.as_ref());
    let object = answer.observed.objects.get(index);
    let object_p_value = object.and_then(|object| object.p_value.as_ref().ok().copied());
    let Region { x, y, width, height } = entry.region.region;
    Row {
        bag,
        topic,
        stamp_nanos,
        log_nanos,
        object: &entry.region.id,
        x,
        y,
        width,
        height,
        class_name: best.and_then(|best| classes.get(best.class)).map_or("", String::as_str),
        score: best.map(|best| best.score),
        verdict: outcome.map_or(Verdict::Unknown, |outcome| outcome.verdict),
        p_value: judgement.map(|judgement| judgement.fused.p_value),
        reason: outcome.map_or_else(|reason| reason.as_str(), |outcome| &outcome.reason),
        object_verdict: object_p_value.map_or(Verdict::Unknown, |p_value| answer.levels.verdict(p_value)),
        object_p_value,
        object_views: object.map_or(0, |object| object.views),
        object_class_name: object.and_then(|object| class_of(object, classes)).unwrap_or_default(),
        alarm: answer.final_verdict(index) == Verdict::OutOfDistribution,
        camera_state: answer.observed.change.state.as_str(),
        camera_evidence: answer.observed.change.evidence,
        nearest_class_name: outcome.map_or("", |outcome| outcome.nearest_class()),
        explanation: outcome.map_or_else(|_| String::new(), |outcome| outcome.explanation()),
        truth_in_distribution: truth.as_ref().map(|truth| truth.in_distribution),
        truth_class_name: truth.as_ref().map(|truth| truth.class_name.clone()).unwrap_or_default(),
        truth_anomaly: truth.map(|truth| truth.anomaly).unwrap_or_default(),
    }
}

fn class_of<'a>(object: &ObjectView, classes: &'a [String]) -> Option<&'a str> {
    let (class, _) = object.class?;
    classes.get(class).map(String::as_str)
}

/// Writes the rows of an answer as lines of JSON.
///
/// # Errors
/// When they cannot be written.
pub fn write_json_lines(out: &mut impl Write, answer: &Answer, rows: &[Row<'_>]) -> io::Result<()> {
    for (entry, row) in answer.entries.iter().zip(rows) {
        let detectors = entry.outcome.as_ref().ok().and_then(|outcome| outcome.judgement.as_ref());
        let detectors = detectors.map_or(&[][..], |judgement| &judgement.detectors);
        let detector_p_values = detectors.iter().map(|detector| (detector.name, detector.p_value)).collect();
        serde_json::to_writer(&mut *out, &Line { row, detector_p_values })?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
