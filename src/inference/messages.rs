//! Answers as messages: what the node publishes, the black box records and replays write.

use std::time::Duration;

use crate::dataset::cdr::{self, RegionOfInterest, Time};
use crate::dataset::verdicts as ours;
use crate::frame::Region;
use crate::monitor::{DetectorResult, Judgement, Levels, Monitor, NamedPart, NamedPlace, Verdict, short_id};
use crate::pipeline::{Hypothesis, Outcome, Pipeline};
use crate::stream::{ChangeState, ObjectView, Observed};

use crate::intake::request::{Answer, Entry, Header, NamedRegion};
use crate::intake::stamp::Stamp;

/// Class id of a region that could not be classified.
const NO_CLASS: i32 = -1;

/// What stands in every message about who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Class names of the model.
    pub classes: Vec<String>,
    /// First digits of the SHA-256 of the model.
    pub model_id: String,
    /// First digits of the SHA-256 of the monitor; empty without one.
    pub monitor_id: String,
}

impl Identity {
    /// Class names must not hold NUL: ROS texts end there.
    #[must_use]
    pub fn new(classes: &[String], model_id: &str, monitor_id: &str) -> Self {
        let classes = classes.iter().map(|class| class.replace('\0', "\u{fffd}")).collect();
        Self { classes, model_id: model_id.to_owned(), monitor_id: monitor_id.to_owned() }
    }

    /// That of a pipeline.
    #[must_use]
    pub fn of(pipeline: &Pipeline) -> Self {
        let classifier = pipeline.classifier();
        let monitor_id = pipeline.monitor().map_or("", Monitor::id);
        Self::new(&classifier.manifest().classes, short_id(classifier.sha256()), monitor_id)
    }
}

/// The classifications of an answer that leaves the node at `published`.
#[must_use]
pub fn classification(answer: &Answer, published: Stamp, identity: &Identity) -> ours::ClassificationArray {
    ours::ClassificationArray {
        header: to_header(&answer.header),
        received: to_time(answer.received),
        published: to_time(published),
        model_id: identity.model_id.clone(),
        results: answer.entries.iter().map(|entry| classify(entry, &identity.classes)).collect(),
    }
}

/// The confidences of an answer that leaves the node at `published`.
#[must_use]
pub fn ood(answer: &Answer, published: Stamp, identity: &Identity) -> ours::OodConfidenceArray {
    ours::OodConfidenceArray {
        header: to_header(&answer.header),
        received: to_time(answer.received),
        published: to_time(published),
        model_id: identity.model_id.clone(),
        monitor_id: identity.monitor_id.clone(),
        suspect_level: answer.levels.suspect,
        alarm_level: answer.levels.alarm,
        results: answer
            .entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let object = object(entry, answer.observed.objects.get(index), answer.levels, &identity.classes);
                ours::OodConfidence { object, ..confide(entry, &identity.classes) }
            })
            .collect(),
    }
}

/// What the images of a camera so far say of it.
#[must_use]
pub fn stream_state(answer: &Answer) -> ours::StreamState {
    let Observed { change, alarm_share, .. } = &answer.observed;
    let hours = |time: Duration| time.as_secs_f64() / 3600.0;
    let time = |time: Option<Duration>| to_time(time.unwrap_or_default().into());
    let state = match change.state {
        ChangeState::Unknown => ours::StreamState::UNKNOWN,
        ChangeState::Nominal => ours::StreamState::NOMINAL,
        ChangeState::Changed => ours::StreamState::CHANGED,
    };
    ours::StreamState {
        header: to_header(&answer.header),
        state,
        reason: change.reason.to_owned(),
        evidence: change.evidence,
        threshold: change.threshold,
        alarms: change.alarms,
        changed: time(change.changed),
        onset_begin: time(change.onset.map(|(begin, _)| begin)),
        onset_end: time(change.onset.map(|(_, end)| end)),
        promised_hours_between_false_alarms: hours(change.promised),
        observed_hours: hours(change.watched),
        observed_hours_between_alarms: match change.alarms {
            0 => f64::NAN,
            alarms => hours(change.watched) / f64::from(alarms),
        },
        alarm_share: alarm_share.unwrap_or(f32::NAN),
        alarm_level: answer.levels.alarm,
    }
}

/// What is known of the object of an entry. Without any, because nobody watched, the reason is that of the entry.
fn object(entry: &Entry, known: Option<&ObjectView>, levels: Levels, classes: &[String]) -> ours::ObjectConfidence {
    let nothing = ObjectView::unknown("not judged");
    let known = known.unwrap_or(&nothing);
    let p_value = known.p_value.clone().unwrap_or(f32::NAN);
    let (class, class_share) = known.class.map_or((None, f32::NAN), |(class, share)| (Some(class), share));
    ours::ObjectConfidence {
        id: entry.region.id.clone(),
        views: u32::try_from(known.views).unwrap_or(u32::MAX),
        first_seen: to_time(known.first_seen.into()),
        verdict: constant(levels.verdict(p_value)),
        reason: known.p_value.clone().err().unwrap_or_default(),
        p_value,
        evidence: known.evidence,
        class_id: class.map_or(NO_CLASS, class_id),
        class_name: class.and_then(|class| classes.get(class).cloned()).unwrap_or_default(),
        class_share,
    }
}

fn to_time(Stamp { sec, nanosec }: Stamp) -> Time {
    Time { sec, nanosec }
}

/// The header of a message.
#[must_use]
pub fn to_header(header: &Header) -> cdr::Header {
    cdr::Header { stamp: to_time(header.stamp), frame_id: header.frame_id.clone() }
}

/// The regions of an image as they were asked for.
#[must_use]
pub fn regions(answer: &Answer) -> cdr::RegionArray {
    let regions = answer.entries.iter().map(|entry| to_region(&entry.region));
    cdr::RegionArray { header: to_header(&answer.header), regions: regions.collect() }
}

fn to_region(named: &NamedRegion) -> cdr::Region {
    let Region { x, y, width, height } = named.region;
    let roi = RegionOfInterest { x_offset: x, y_offset: y, height, width, do_rectify: named.do_rectify };
    cdr::Region { id: named.id.clone(), roi }
}

fn classify(entry: &Entry, classes: &[String]) -> ours::Classification {
    let top_k = entry.outcome.as_ref().map_or(&[][..], |outcome| &outcome.top_k);
    let hypotheses: Vec<_> = top_k.iter().map(|hypothesis| to_hypothesis(hypothesis, classes)).collect();
    let best = hypotheses.first().cloned();
    let best = best.unwrap_or(ours::ClassHypothesis { class_id: NO_CLASS, score: f32::NAN, ..Default::default() });
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
        class_id: class_id(hypothesis.class),
        class_name: classes.get(hypothesis.class).cloned().unwrap_or_default(),
        score: hypothesis.score,
    }
}

fn class_id(class: usize) -> i32 {
    i32::try_from(class).unwrap_or(i32::MAX)
}

fn confide(entry: &Entry, classes: &[String]) -> ours::OodConfidence {
    let unknown = |reason: &str| ours::OodConfidence {
        region: to_region(&entry.region),
        verdict: constant(Verdict::Unknown),
        reason: reason.to_owned(),
        p_value: f32::NAN,
        confidence: f32::NAN,
        predicted_class_id: NO_CLASS,
        score: f32::NAN,
        hamming_distance: -1,
        ..Default::default()
    };
    match &entry.outcome {
        Ok(outcome @ Outcome { top_k, judgement: Some(judgement), verdict, .. }) => {
            let score = top_k.first().map_or(f32::NAN, |best| best.score);
            let judged = judged(entry, judgement, *verdict, classes);
            explained(ours::OodConfidence { score, ..judged }, outcome)
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
        predicted_class_id: class_id(judgement.predicted_class),
        predicted_class_name: classes.get(judgement.predicted_class).cloned().unwrap_or_default(),
        hamming_distance: judgement.hamming_distance.map_or(-1, |bits| bits.try_into().unwrap_or(i32::MAX)),
        detectors: judgement.detectors.iter().map(detector).collect(),
        ..Default::default()
    }
}

fn explained(confidence: ours::OodConfidence, outcome: &Outcome) -> ours::OodConfidence {
    let explanations = outcome.explanations.iter();
    ours::OodConfidence {
        deviations: explanations.flat_map(|one| one.parts.iter().map(|part| deviation(one.detector, part))).collect(),
        explanation: outcome.explanation(),
        nearest_class_name: outcome.nearest_class().to_owned(),
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

fn constant(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Unknown => ours::OodConfidence::UNKNOWN,
        Verdict::InDistribution => ours::OodConfidence::IN_DISTRIBUTION,
        Verdict::Suspect => ours::OodConfidence::SUSPECT,
        Verdict::OutOfDistribution => ours::OodConfidence::OUT_OF_DISTRIBUTION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::LayerKind;
    use crate::monitor::{DetectorExplanation, NearestClass};
    use crate::stream::Change;

    const CLASSES: [&str; 2] = ["yield", "stop"];

    fn identity() -> Identity {
        Identity::new(&CLASSES.map(str::to_owned), "0123456789ab", "ba9876543210")
    }

    #[test]
    fn nul_in_a_class_name_does_no_harm() {
        assert_eq!(Identity::new(&["a\0b".to_owned()], "", "").classes, ["a\u{fffd}b"]);
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

    /// Of three views; nothing is known of the last one.
    fn observed() -> Observed {
        let secs = Duration::from_secs;
        let sign =
            ObjectView { views: 3, first_seen: secs(4), evidence: 2.5, p_value: Ok(0.0625), class: Some((1, 0.75)) };
        let change = Change {
            state: ChangeState::Changed,
            evidence: 8000.0,
            threshold: 7200.0,
            promised: secs(3600),
            alarms: 2,
            changed: Some(secs(5)),
            onset: Some((secs(3), secs(4))),
            watched: secs(1800),
            ..Change::default()
        };
        Observed {
            objects: vec![sign, ObjectView::unknown("no id")],
            change,
            alarm_share: Some(0.125),
            ..Observed::default()
        }
    }

    /// A judged region, one without a monitor, and one outside of the image.
    fn answer() -> Answer {
        let unmonitored = Outcome::unknown(judged().top_k, "no monitor loaded".into());
        let entries = [("sign", Ok(judged())), ("bare", Ok(unmonitored)), ("gone", Err("outside".to_owned()))];
        Answer {
            header: Header { stamp: Stamp { sec: 5, nanosec: 6 }, frame_id: "camera".into() },
            received: Stamp { sec: 5, nanosec: 7 },
            levels: Levels { suspect: 0.125, alarm: 0.0625 },
            entries: entries.map(|(id, outcome)| Entry { region: named(id), outcome }).into(),
            observed: observed(),
        }
    }

    /// NaN is `null` in JSON.
    #[test]
    fn answers_as_messages() {
        let published = Stamp { sec: 5, nanosec: 8 };
        insta::assert_json_snapshot!("classification", classification(&answer(), published, &identity()));
        insta::assert_json_snapshot!("stream_state", stream_state(&answer()));
        insta::assert_json_snapshot!("ood", ood(&answer(), published, &identity()));
    }
}
