//! Between the node's own types and ROS messages.

use r2r::activation_monitor::msg as ours;
use r2r::builtin_interfaces::msg::Time;
use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};
use r2r::sensor_msgs::msg::{CompressedImage, Image, RegionOfInterest};

use crate::frame::Region;
use crate::monitor::{DetectorExplanation, DetectorResult, Judgement, NamedPart, NamedPlace, Verdict};
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
        Ok(Outcome { judgement: Some(judgement), verdict, explanations, .. }) => {
            explained(judged(entry, judgement, *verdict, classes), explanations)
        }
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
        ..Default::default()
    }
}

fn explained(confidence: ours::OodConfidence, explanations: &[DetectorExplanation]) -> ours::OodConfidence {
    let nearest = explanations.iter().find_map(|explanation| explanation.nearest.as_ref());
    let deviations = explanations.iter().flat_map(|one| one.parts.iter().map(|part| deviation(one.detector, part)));
    ours::OodConfidence {
        deviations: deviations.collect(),
        explanation: explanations.first().map(|first| format!("{}: {first}", first.detector)).unwrap_or_default(),
        nearest_class_name: nearest.map(|nearest| nearest.class.clone()).unwrap_or_default(),
        ..confidence
    }
}

fn deviation(detector: &str, part: &NamedPart) -> ours::Deviation {
    let (layer, unit, class_name) = match &part.place {
        NamedPlace::Unit { layer, unit, .. } => (layer.clone(), (*unit).try_into().unwrap_or(i32::MAX), String::new()),
        NamedPlace::Layer { layer } => (layer.clone(), -1, String::new()),
        NamedPlace::Class { class } => (String::new(), -1, class.clone()),
    };
    let NamedPart { contribution, value, expected, .. } = *part;
    ours::Deviation { detector: detector.to_owned(), layer, unit, class_name, contribution, value, expected }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::LayerKind;
    use crate::monitor::NearestClass;
    use crate::node::diagnostics::Level;

    const CLASSES: [&str; 2] = ["yield", "stop"];

    fn classes() -> Vec<String> {
        CLASSES.map(str::to_owned).to_vec()
    }

    fn named(id: &str) -> NamedRegion {
        NamedRegion { id: id.into(), region: Region { x: 1, y: 2, width: 3, height: 4 }, do_rectify: false }
    }

    fn judged() -> Outcome {
        let result = |name, score, p_value| DetectorResult { name, score, p_value };
        Outcome {
            top_k: vec![Hypothesis { class: 1, score: 0.75 }, Hypothesis { class: 0, score: 0.25 }],
            judgement: Some(Judgement {
                predicted_class: 1,
                detectors: vec![result("pattern_hamming", 7.0, 0.125), result("msp", -0.75, 0.5)],
                fused: result("fused", 2.5, 0.0625),
                hamming_distance: Some(7),
            }),
            explanations: vec![explanation()],
            verdict: Verdict::Suspect,
            reason: String::new(),
        }
    }

    fn explanation() -> DetectorExplanation {
        let unit = NamedPlace::Unit { layer: "stage2".into(), kind: LayerKind::Map, unit: 17 };
        let part = |place, contribution| NamedPart { place, contribution, value: 0.75, expected: 0.25 };
        DetectorExplanation {
            detector: "pattern_hamming",
            p_value: 0.125,
            parts: vec![part(unit, 2.0), part(NamedPlace::Class { class: "yield".into() }, 1.0)],
            nearest: Some(NearestClass { class: "stop".into(), distance: 7.0, images: 3 }),
        }
    }

    /// A judged region, one without a monitor, and one outside of the image.
    fn answer() -> Answer {
        let unmonitored = Outcome::unknown(judged().top_k, "no monitor loaded".into());
        let entries = [("sign", Ok(judged())), ("bare", Ok(unmonitored)), ("gone", Err("outside".to_owned()))];
        Answer {
            header: Header { stamp: Stamp { sec: 5, nanosec: 6 }, frame_id: "camera".into() },
            entries: entries.map(|(id, outcome)| Entry { region: named(id), outcome }).into(),
        }
    }

    /// NaN is `null` in JSON.
    #[test]
    fn answers_as_messages() {
        insta::assert_json_snapshot!("classification", classification(&answer(), &classes()));
        insta::assert_json_snapshot!("ood", ood(&answer(), &classes()));
    }

    #[test]
    fn a_status_as_message() {
        let values = vec![("received", "3".to_owned())];
        let status =
            Status { level: Level::Stale, name: "activation_monitor: camera", message: "silent".into(), values };
        insta::assert_json_snapshot!("diagnostics", diagnostics(vec![status], Time { sec: 7, nanosec: 8 }));
    }

    #[test]
    fn what_comes_in() {
        let header = r2r::std_msgs::msg::Header { stamp: Time { sec: 1, nanosec: 2 }, frame_id: "camera".into() };
        let ours_header = Header { stamp: Stamp { sec: 1, nanosec: 2 }, frame_id: "camera".into() };
        let image = Image {
            header: header.clone(),
            height: 1,
            width: 2,
            encoding: "rgb8".into(),
            step: 6,
            data: vec![7; 6],
            ..Default::default()
        };
        let picture = Picture::Raw { encoding: "rgb8".into(), width: 2, height: 1, step: 6, data: vec![7; 6] };
        assert_eq!(from_raw(image), (ours_header.clone(), picture));
        let image = CompressedImage { header: header.clone(), format: "jpeg".into(), data: vec![1] };
        assert_eq!(from_compressed(image), (ours_header.clone(), Picture::Compressed(vec![1])));
        let regions = ours::RegionArray { header, regions: vec![to_region(&named("sign"))] };
        assert_eq!(from_regions(regions), (ours_header.stamp, vec![named("sign")]));
    }
}
