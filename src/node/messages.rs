//! Between the node's own types and ROS messages.

use r2r::activation_monitor::msg as ours;
use r2r::builtin_interfaces::msg::Time;
use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::sensor_msgs::msg::{CompressedImage, Image, RegionOfInterest};

use crate::frame::Region;
use crate::monitor::{DetectorResult, Judgement, Verdict};
use crate::pipeline::{Hypothesis, Outcome};

use super::diagnostics::Status;
use super::pairing::Stamp;
use super::request::{Answer, Entry, Header, NamedRegion, Picture};

/// The image of a raw message.
#[must_use]
pub fn from_raw(message: Image) -> (Header, Picture) {
    let Image { header, height, width, encoding, step, data, .. } = message;
    (from_header(header), Picture::Raw { encoding, width, height, step, data })
}

/// The image of a compressed message.
#[must_use]
pub fn from_compressed(message: CompressedImage) -> (Header, Picture) {
    (from_header(message.header), Picture::Compressed(message.data))
}

/// Stamp and regions of a message.
#[must_use]
pub fn from_regions(message: ours::RegionArray) -> (Stamp, Vec<NamedRegion>) {
    let named = |region: ours::Region| {
        let RegionOfInterest { x_offset: x, y_offset: y, height, width, do_rectify } = region.roi;
        NamedRegion { id: region.id, region: Region { x, y, width, height }, do_rectify }
    };
    (from_header(message.header).stamp, message.regions.into_iter().map(named).collect())
}

/// The classifications of an answer. `classes` are the class names of the model.
#[must_use]
pub fn classification(answer: &Answer, classes: &[String]) -> ours::ClassificationArray {
    let results = answer.entries.iter().map(|entry| classify(entry, classes)).collect();
    ours::ClassificationArray { header: to_header(&answer.header), results }
}

/// The confidences of an answer. `classes` are the class names of the model.
#[must_use]
pub fn ood(answer: &Answer, classes: &[String]) -> ours::OodConfidenceArray {
    let results = answer.entries.iter().map(|entry| confide(entry, classes)).collect();
    ours::OodConfidenceArray { header: to_header(&answer.header), results }
}

/// The statuses as one message at time `now`.
#[must_use]
pub fn diagnostics(statuses: Vec<Status>, now: Time) -> DiagnosticArray {
    let header = r2r::std_msgs::msg::Header { stamp: now, frame_id: String::new() };
    DiagnosticArray { header, status: statuses.into_iter().map(diagnose).collect() }
}

fn from_header(header: r2r::std_msgs::msg::Header) -> Header {
    Header { stamp: Stamp { sec: header.stamp.sec, nanosec: header.stamp.nanosec }, frame_id: header.frame_id }
}

fn to_header(header: &Header) -> r2r::std_msgs::msg::Header {
    let Stamp { sec, nanosec } = header.stamp;
    r2r::std_msgs::msg::Header { stamp: Time { sec, nanosec }, frame_id: header.frame_id.clone() }
}

fn to_region(named: &NamedRegion) -> ours::Region {
    let Region { x, y, width, height } = named.region;
    let roi = RegionOfInterest { x_offset: x, y_offset: y, height, width, do_rectify: named.do_rectify };
    ours::Region { id: named.id.clone(), roi }
}

fn classify(entry: &Entry, classes: &[String]) -> ours::Classification {
    let top_k = entry.outcome.as_ref().map_or(&[][..], |outcome| &outcome.top_k);
    let hypotheses: Vec<_> = top_k.iter().map(|hypothesis| to_hypothesis(hypothesis, classes)).collect();
    let best = hypotheses.first().cloned();
    let best = best.unwrap_or(ours::ClassHypothesis { score: f32::NAN, ..Default::default() });
    ours::Classification {
        region: to_region(&entry.region),
        class_id: best.class_id,
        class_name: best.class_name,
        score: best.score,
        top_k: hypotheses,
    }
}

fn to_hypothesis(hypothesis: &Hypothesis, classes: &[String]) -> ours::ClassHypothesis {
    ours::ClassHypothesis {
        class_id: hypothesis.class as u32,
        class_name: classes.get(hypothesis.class).cloned().unwrap_or_default(),
        score: hypothesis.score,
    }
}

fn confide(entry: &Entry, classes: &[String]) -> ours::OodConfidence {
    let unknown = |reason: &str| ours::OodConfidence {
        region: to_region(&entry.region),
        verdict: constant(Verdict::Unknown),
        reason: reason.to_owned(),
        p_value: f32::NAN,
        confidence: f32::NAN,
        hamming_distance: -1,
        ..Default::default()
    };
    match &entry.outcome {
        Ok(Outcome { judgement: Some(judgement), verdict, .. }) => judged(entry, judgement, *verdict, classes),
        Ok(outcome) => unknown(&outcome.reason),
        Err(reason) => unknown(reason),
    }
}

fn judged(entry: &Entry, judgement: &Judgement, verdict: Verdict, classes: &[String]) -> ours::OodConfidence {
    let detector = |result: &DetectorResult| ours::DetectorScore {
        name: result.name.to_string(),
        score: result.score,
        p_value: result.p_value,
    };
    ours::OodConfidence {
        region: to_region(&entry.region),
        verdict: constant(verdict),
        reason: String::new(),
        p_value: judgement.fused.p_value,
        confidence: 1.0 - judgement.fused.p_value,
        predicted_class_id: judgement.predicted_class as u32,
        predicted_class_name: classes.get(judgement.predicted_class).cloned().unwrap_or_default(),
        hamming_distance: judgement.hamming_distance.map_or(-1, |bits| bits.try_into().unwrap_or(i32::MAX)),
        detectors: judgement.detectors.iter().map(detector).collect(),
    }
}

/// Every constant of a message has a type of its own.
fn constant(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Unknown => ours::OodConfidence::UNKNOWN as u8,
        Verdict::InDistribution => ours::OodConfidence::IN_DISTRIBUTION as u8,
        Verdict::Suspect => ours::OodConfidence::SUSPECT as u8,
        Verdict::OutOfDistribution => ours::OodConfidence::OUT_OF_DISTRIBUTION as u8,
    }
}

fn diagnose(status: Status) -> DiagnosticStatus {
    let pair = |(key, value): (&str, String)| KeyValue { key: key.to_owned(), value };
    DiagnosticStatus {
        level: status.level as u8,
        name: status.name.to_owned(),
        message: status.message,
        hardware_id: String::new(),
        values: status.values.into_iter().map(pair).collect(),
    }
}
