//! What is said of camera images: classes, how far regions lie outside of what a network learnt, and the state of a camera. The messages
//! that the node publishes and that lie in a bag.
//!
//! Field order is the order of the `.msg` file, as in [`super::cdr`].

use serde::{Deserialize, Serialize};

use super::cdr::{Header, Region, RosMessage, Time};

/// `activation_monitor/msg/OodConfidenceArray`: one camera image.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OodConfidenceArray {
    /// Header of the image.
    pub header: Header,
    /// When the image reached the node.
    pub received: Time,
    /// When the message left the node.
    pub published: Time,
    /// First 12 hexadecimal digits of the SHA-256 of the network.
    pub model_id: String,
    /// First 12 hexadecimal digits of the SHA-256 of the monitor; empty without one.
    pub monitor_id: String,
    /// p-values at or below this were called SUSPECT, 0..1.
    pub suspect_level: f32,
    /// p-values at or below this were called OUT_OF_DISTRIBUTION, 0..1.
    pub alarm_level: f32,
    /// One entry per region.
    pub results: Vec<OodConfidence>,
}

/// `activation_monitor/msg/OodConfidence`: one region.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OodConfidence {
    /// The judged region.
    pub region: Region,
    /// 0 unknown, 1 in distribution, 2 suspect, 3 out of distribution.
    pub verdict: u8,
    /// Why the verdict is unknown; empty otherwise.
    pub reason: String,
    /// Fused p-value, 0..1; NaN when unknown.
    pub p_value: f32,
    /// 1 − `p_value`; NaN when unknown.
    pub confidence: f32,
    /// Index of the predicted class; -1 when unknown.
    pub predicted_class_id: i32,
    /// Name of the predicted class; empty when unknown.
    pub predicted_class_name: String,
    /// Softmax of the predicted class, 0..1; NaN when unknown.
    pub score: f32,
    /// Bits to the nearest training pattern; -1 without patterns.
    pub hamming_distance: i32,
    /// One entry per detector.
    pub detectors: Vec<DetectorScore>,
    /// What makes the most suspicious detectors suspicious, each with its largest contributions first.
    pub deviations: Vec<Deviation>,
    /// The reasons of the most suspicious detector in words.
    pub explanation: String,
    /// Class of the nearest training data; empty when no detector knows it.
    pub nearest_class_name: String,
    /// All views of this object together.
    pub object: ObjectConfidence,
}

/// `activation_monitor/msg/DetectorScore`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DetectorScore {
    /// Name of the detector.
    pub name: String,
    /// In the detector's own unit; higher is less like the training data.
    pub score: f32,
    /// Conformal p-value of that score, 0..1.
    pub p_value: f32,
}

/// `activation_monitor/msg/Deviation`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Deviation {
    /// Name of the detector that looked there.
    pub detector: String,
    /// Name of the layer; empty when the output for a class deviates.
    pub layer: String,
    /// Neuron or channel; -1 when the whole layer or an output deviates.
    pub unit: i32,
    /// Class whose output deviates; empty when a layer does.
    pub class_name: String,
    /// To the detector's score; comparable only among deviations of one detector.
    pub contribution: f32,
    /// What was found there.
    pub value: f32,
    /// What the training data lets expect there.
    pub expected: f32,
}

/// `activation_monitor/msg/ObjectConfidence`: all views of one object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ObjectConfidence {
    /// Name of the object; empty when its region has none.
    pub id: String,
    /// Judged views so far; 0 without an id.
    pub views: u32,
    /// Stamp of the first view; 0 without an id.
    pub first_seen: Time,
    /// 0 unknown, 1 in distribution, 2 suspect, 3 out of distribution.
    pub verdict: u8,
    /// Why the verdict is unknown; empty otherwise.
    pub reason: String,
    /// p-value of the object, 0..1; NaN when unknown.
    pub p_value: f32,
    /// How strange the latest views are; NaN when unknown.
    pub evidence: f32,
    /// Class of most views; -1 without a judged view.
    pub class_id: i32,
    /// That class by name.
    pub class_name: String,
    /// Share of the views that were predicted to be of that class, 0..1; NaN without a judged view.
    pub class_share: f32,
}

/// `activation_monitor/msg/ClassificationArray`: one camera image.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClassificationArray {
    /// Header of the image.
    pub header: Header,
    /// When the image reached the node.
    pub received: Time,
    /// When the message left the node.
    pub published: Time,
    /// First 12 hexadecimal digits of the SHA-256 of the network.
    pub model_id: String,
    /// One entry per region.
    pub results: Vec<Classification>,
}

/// `activation_monitor/msg/Classification`: what the network calls one region.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Classification {
    /// The judged region.
    pub region: Region,
    /// Best class; -1 when the region could not be classified.
    pub class_id: i32,
    /// Best class by name; empty when the region could not be classified.
    pub class_name: String,
    /// Softmax of the best class, 0..1; NaN when the region could not be classified.
    pub score: f32,
    /// Best classes first.
    pub top_k: Vec<ClassHypothesis>,
}

/// `activation_monitor/msg/ClassHypothesis`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClassHypothesis {
    /// Index into the class names of the model.
    pub class_id: i32,
    /// That class by name.
    pub class_name: String,
    /// Softmax probability, 0..1.
    pub score: f32,
}

/// `activation_monitor/msg/StreamState`: whether what a camera shows is still what the network learnt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StreamState {
    /// Header of the image that the state is as of.
    pub header: Header,
    /// [`StreamState::UNKNOWN`], [`StreamState::NOMINAL`] or [`StreamState::CHANGED`].
    pub state: u8,
    /// Why the state is unknown; empty otherwise.
    pub reason: String,
    /// Shiryaev–Roberts statistic, from 0.
    pub evidence: f64,
    /// Evidence at or above this is a change.
    pub threshold: f64,
    /// Times that the state became CHANGED.
    pub alarms: u32,
    /// Stamp at which it last did; 0 before.
    pub changed: Time,
    /// The last change began after this stamp; 0 before any.
    pub onset_begin: Time,
    /// The last change began before this stamp; 0 before any.
    pub onset_end: Time,
    /// Mean time between false alarms that is promised, in hours.
    pub promised_hours_between_false_alarms: f64,
    /// Time that images were watched for, in hours.
    pub observed_hours: f64,
    /// `observed_hours` / `alarms`; NaN without an alarm.
    pub observed_hours_between_alarms: f64,
    /// Share of alarmed regions of the last minutes, 0..1; NaN without any.
    pub alarm_share: f32,
    /// What that share should be on average, 0..1.
    pub alarm_level: f32,
}

impl StreamState {
    /// The camera is not watched.
    pub const UNKNOWN: u8 = 0;
    /// No change was found.
    pub const NOMINAL: u8 = 1;
    /// Evidence passed the threshold.
    pub const CHANGED: u8 = 2;

    /// The state by name; `UNKNOWN` for numbers that there are none of.
    #[must_use]
    pub const fn state_name(&self) -> &'static str {
        match self.state {
            Self::NOMINAL => "NOMINAL",
            Self::CHANGED => "CHANGED",
            _ => "UNKNOWN",
        }
    }
}

impl OodConfidence {
    /// Nothing could be said.
    pub const UNKNOWN: u8 = 0;
    /// Like the training data.
    pub const IN_DISTRIBUTION: u8 = 1;
    /// Between the levels.
    pub const SUSPECT: u8 = 2;
    /// An alarm.
    pub const OUT_OF_DISTRIBUTION: u8 = 3;
}

impl RosMessage for ClassificationArray {
    const TYPE: &'static str = "activation_monitor/msg/ClassificationArray";
}

impl RosMessage for StreamState {
    const TYPE: &'static str = "activation_monitor/msg/StreamState";
}

impl RosMessage for OodConfidenceArray {
    const TYPE: &'static str = "activation_monitor/msg/OodConfidenceArray";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cdr::{RegionOfInterest, decode, encode};
    use proptest::prelude::*;

    fn message(id: &str, p_value: f32) -> OodConfidenceArray {
        let roi = RegionOfInterest { x_offset: 1, y_offset: 2, height: 3, width: 4, do_rectify: false };
        let deviation = Deviation {
            detector: "msp".into(),
            layer: "stage2".into(),
            unit: 17,
            class_name: String::new(),
            contribution: 1.0,
            value: 0.5,
            expected: 0.25,
        };
        let result = OodConfidence {
            region: Region { id: id.into(), roi },
            verdict: 3,
            reason: String::new(),
            p_value,
            confidence: 1.0 - p_value,
            predicted_class_id: 4,
            predicted_class_name: "stop".into(),
            score: 0.75,
            hamming_distance: -1,
            detectors: vec![DetectorScore { name: "msp".into(), score: 2.0, p_value }],
            deviations: vec![deviation.clone(), deviation],
            explanation: "msp: high".into(),
            nearest_class_name: "yield".into(),
            object: ObjectConfidence {
                id: id.into(),
                views: 3,
                first_seen: Time { sec: 1, nanosec: 2 },
                verdict: 2,
                reason: String::new(),
                p_value,
                evidence: 2.5,
                class_id: 4,
                class_name: "stop".into(),
                class_share: 1.0,
            },
        };
        OodConfidenceArray {
            header: Header { stamp: Time { sec: 5, nanosec: 6 }, frame_id: "camera".into() },
            received: Time { sec: 5, nanosec: 7 },
            published: Time { sec: 5, nanosec: 8 },
            model_id: "0123456789ab".into(),
            monitor_id: String::new(),
            suspect_level: 0.05,
            alarm_level: 0.01,
            results: vec![result.clone(), result],
        }
    }

    /// Names of the fields of a `.msg` file; constants are none.
    fn fields(text: &str) -> Vec<&str> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let fields = lines.filter(|line| !line.contains('='));
        fields.filter_map(|line| line.split_whitespace().nth(1)).collect()
    }

    /// Names of the fields of a struct, as serde tells them, in alphabetical order.
    fn names(value: &serde_json::Value) -> Vec<&str> {
        let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_field_of_the_message_files_is_there() {
        let value = serde_json::to_value(message("a", 0.5)).unwrap();
        let result = &value["results"][0];
        for (text, part) in [
            (include_str!("../../msg/OodConfidenceArray.msg"), &value),
            (include_str!("../../msg/OodConfidence.msg"), result),
            (include_str!("../../msg/DetectorScore.msg"), &result["detectors"][0]),
            (include_str!("../../msg/Deviation.msg"), &result["deviations"][0]),
            (include_str!("../../msg/ObjectConfidence.msg"), &result["object"]),
        ] {
            let mut expected = fields(text);
            expected.sort_unstable();
            assert_eq!(names(part), expected);
        }
    }

    /// The text of a value in the order of its fields; [`serde_json::Value`] sorts them.
    #[test]
    fn the_fields_have_the_order_of_the_message_file() {
        let text = serde_json::to_string(&message("a", 0.5)).unwrap();
        let found = |names: &[&str], text: &str| {
            let places: Vec<_> = names.iter().map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
            assert!(places.is_sorted(), "{names:?}: {text}");
        };
        let (before, results) = text.split_once("\"results\"").unwrap();
        let array = fields(include_str!("../../msg/OodConfidenceArray.msg"));
        found(&array[..array.len() - 1], before);
        let (_, object) = results.split_once("\"object\"").unwrap();
        found(&fields(include_str!("../../msg/ObjectConfidence.msg")), object);
        let (_, deviations) = results.split_once("\"deviations\":").unwrap();
        found(&fields(include_str!("../../msg/Deviation.msg")), deviations);
        let (_, detectors) = results.split_once("\"detectors\":").unwrap();
        found(&fields(include_str!("../../msg/DetectorScore.msg")), detectors);
        // The entry itself, without what lies inside of it and has names of its own.
        let mut entry = results.to_owned();
        for (start, end) in [("\"detectors\":", ']'), ("\"deviations\":", ']'), ("\"object\":", '}')] {
            let from = entry.find(start).unwrap() + start.len();
            let to = from + entry[from..].find(end).unwrap();
            entry.replace_range(from..to, "");
        }
        found(&fields(include_str!("../../msg/OodConfidence.msg")), &entry);
    }

    proptest! {
        #[test]
        fn messages_survive_the_round_trip(id in "\\PC{0,8}", p_value in 0.0_f32..1.0) {
            let message = message(&id, p_value);
            prop_assert_eq!(decode::<OodConfidenceArray>(&encode(&message).unwrap()).unwrap(), message);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<OodConfidenceArray>(&bytes);
        }
    }
}
