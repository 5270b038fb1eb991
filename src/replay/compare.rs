//! What two recordings of answers to the same images have in common, image by image.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::path::Path;

use serde::Serialize;

use super::ReplayError;
use crate::dataset::bag::{BagMessage, BagReader};
use crate::dataset::cdr::{self, RosMessage, Time};
use crate::dataset::verdicts::{OodConfidence, OodConfidenceArray, StreamState};
use crate::monitor::Verdict;

/// Differences that are told one by one.
const MOST_TOLD: usize = 1000;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Every field to the bit, but for the times at which the node received and published: is it the same program?
    Exact,
    /// What a user of the answers acts on: verdicts, classes, alarms, states. Is the new version good?
    Decisions,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Comparison {
    /// Images that both have an answer to.
    pub images: u64,
    /// Regions of those.
    pub regions: u64,
    /// Images that only the first has an answer to.
    pub only_first: u64,
    /// Images that only the second has an answer to.
    pub only_second: u64,
    /// Regions with another verdict on the single view.
    pub changed_verdicts: u64,
    /// Objects with another verdict.
    pub changed_object_verdicts: u64,
    /// Regions with another class.
    pub changed_classes: u64,
    /// Images after which a camera has another state.
    pub changed_states: u64,
    /// Regions that only the second calls out of distribution.
    pub new_alarms: u64,
    /// Regions that only the first calls out of distribution.
    pub gone_alarms: u64,
    /// Largest change of a p-value of a view, 0..1.
    pub largest_p_value_change: f32,
    /// Messages that differ in any field but the times of the node; counted with [`Strictness::Exact`].
    pub unequal_messages: u64,
    /// The first differences.
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Topic of the answer.
    pub topic: String,
    /// Stamp of the image, nanoseconds.
    pub stamp_nanos: u64,
    /// Name of the object; empty for the image.
    pub object: String,
    /// What differs.
    pub field: &'static str,
    /// In the first recording.
    pub first: String,
    /// In the second one.
    pub second: String,
}

/// An answer about which both may say something.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Ood(OodConfidenceArray),
    State(StreamState),
}

impl Comparison {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.only_first == 0 && self.only_second == 0
    }

    fn tell(&mut self, at: (&str, u64), object: &str, field: &'static str, first: &dyn Display, second: &dyn Display) {
        if self.differences.len() < MOST_TOLD {
            let (topic, stamp_nanos) = (at.0.to_owned(), at.1);
            let (object, first, second) = (object.to_owned(), first.to_string(), second.to_string());
            self.differences.push(Difference { topic, stamp_nanos, object, field, first, second });
        }
    }

    /// Adds the comparison of another bag.
    pub fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.regions += other.regions;
        self.only_first += other.only_first;
        self.only_second += other.only_second;
        self.changed_verdicts += other.changed_verdicts;
        self.changed_object_verdicts += other.changed_object_verdicts;
        self.changed_classes += other.changed_classes;
        self.changed_states += other.changed_states;
        self.new_alarms += other.new_alarms;
        self.gone_alarms += other.gone_alarms;
        self.largest_p_value_change = self.largest_p_value_change.max(other.largest_p_value_change);
        self.unequal_messages += other.unequal_messages;
        let room = MOST_TOLD.saturating_sub(self.differences.len());
        self.differences.extend(other.differences.iter().take(room).cloned());
    }
}

/// Compares the answers of two recordings. Answers to the same image have the same stamp; within a topic they are expected in the same order.
///
/// # Errors
/// When one cannot be read.
pub fn compare(first: &Path, second: &Path, strictness: Strictness) -> Result<Comparison, ReplayError> {
    let mut comparison = Comparison::default();
    let (mut firsts, mut seconds) = (answers(first)?, answers(second)?);
    let mut waiting: BTreeMap<String, [VecDeque<Said>; 2]> = BTreeMap::new();
    loop {
        let next = [firsts.next().transpose()?, seconds.next().transpose()?];
        let is_end = next.iter().all(Option::is_none);
        for (side, message) in next.into_iter().enumerate() {
            if let Some((topic, said)) = message {
                waiting.entry(topic).or_default()[side].push_back(said);
            }
        }
        for (topic, queues) in &mut waiting {
            pair(topic, queues, strictness, &mut comparison);
        }
        if is_end {
            break;
        }
    }
    let left =
        |side: usize| waiting.values().flat_map(|queues| &queues[side]).filter(|said| said.is_ood()).count() as u64;
    comparison.only_first += left(0);
    comparison.only_second += left(1);
    Ok(comparison)
}

/// The answers of a recording.
fn answers(path: &Path) -> Result<impl Iterator<Item = Result<(String, Said), ReplayError>> + use<>, ReplayError> {
    let bag = BagReader::open(path)?;
    let is_answer = |kind: &str| [OodConfidenceArray::TYPE, StreamState::TYPE].contains(&kind);
    let topics: Vec<String> = bag
        .topics()
        .iter()
        .filter(|topic| is_answer(&topic.type_name) && !topic.name.ends_with("stream_changes"))
        .map(|topic| topic.name.clone())
        .collect();
    let bag = bag.only(&topics.iter().map(String::as_str).collect::<Vec<_>>());
    Ok(bag.map(|message| {
        let message = message?;
        Ok((message.topic.as_ref().to_owned(), Said::read(&message)?))
    }))
}

/// Compares what both have said of the same images.
fn pair(topic: &str, [firsts, seconds]: &mut [VecDeque<Said>; 2], strictness: Strictness, comparison: &mut Comparison) {
    while let (Some(first), Some(second)) = (firsts.front(), seconds.front()) {
        let is_ood = u64::from(first.is_ood());
        if first.stamp_nanos() < second.stamp_nanos() {
            comparison.only_first += is_ood;
            firsts.pop_front();
        } else if first.stamp_nanos() > second.stamp_nanos() {
            comparison.only_second += is_ood;
            seconds.pop_front();
        } else {
            comparison.images += is_ood;
            first.compare(second, topic, strictness, comparison);
            firsts.pop_front();
            seconds.pop_front();
        }
    }
}

impl Said {
    fn read(message: &BagMessage) -> Result<Self, ReplayError> {
        Ok(match message.type_name.as_ref() {
            OodConfidenceArray::TYPE => Self::Ood(message.decode()?),
            _ => Self::State(message.decode()?),
        })
    }

    fn is_ood(&self) -> bool {
        matches!(self, Self::Ood(_))
    }

    fn stamp_nanos(&self) -> u64 {
        match self {
            Self::Ood(array) => array.header.stamp.as_nanos(),
            Self::State(state) => state.header.stamp.as_nanos(),
        }
    }

    fn compare(&self, other: &Self, topic: &str, strictness: Strictness, comparison: &mut Comparison) {
        let at = (topic, self.stamp_nanos());
        let before = comparison.differences.len();
        match (self, other) {
            (Self::Ood(first), Self::Ood(second)) => compare_regions(first, second, at, comparison),
            (Self::State(first), Self::State(second)) if first.state != second.state => {
                comparison.changed_states += 1;
                comparison.tell(at, "", "state", &first.state_name(), &second.state_name());
            }
            _ => {}
        }
        if strictness == Strictness::Exact && self.bits() != other.bits() {
            comparison.unequal_messages += 1;
            if comparison.differences.len() == before {
                comparison.tell(at, "", "message", &self.in_words(), &other.in_words());
            }
        }
    }

    /// The message without what depends on the clock of the machine.
    fn bits(&self) -> Vec<u8> {
        let encoded = match self {
            Self::Ood(array) => {
                let nobody = Time::default();
                cdr::encode(&OodConfidenceArray { received: nobody, published: nobody, ..array.clone() })
            }
            Self::State(state) => cdr::encode(state),
        };
        // What was decoded can be encoded.
        encoded.unwrap_or_default()
    }

    fn in_words(&self) -> String {
        let text = match self {
            Self::Ood(array) => serde_json::to_string(&array.results),
            Self::State(state) => serde_json::to_string(state),
        };
        text.unwrap_or_default()
    }
}

fn compare_regions(
    first: &OodConfidenceArray,
    second: &OodConfidenceArray,
    at: (&str, u64),
    comparison: &mut Comparison,
) {
    let (before, after) = (first.results.len(), second.results.len());
    if before != after {
        comparison.tell(at, "", "regions", &before, &after);
    }
    for (first, second) in first.results.iter().zip(&second.results) {
        comparison.regions += 1;
        compare_region(first, second, at, comparison);
    }
}

fn compare_region(first: &OodConfidence, second: &OodConfidence, at: (&str, u64), comparison: &mut Comparison) {
    let object = first.region.id.as_str();
    if first.verdict != second.verdict {
        comparison.changed_verdicts += 1;
        comparison.tell(
            at,
            object,
            "verdict",
            &Verdict::from_number(first.verdict),
            &Verdict::from_number(second.verdict),
        );
    }
    if first.object.verdict != second.object.verdict {
        comparison.changed_object_verdicts += 1;
        comparison.tell(
            at,
            object,
            "object verdict",
            &Verdict::from_number(first.object.verdict),
            &Verdict::from_number(second.object.verdict),
        );
    }
    if first.predicted_class_name != second.predicted_class_name {
        comparison.changed_classes += 1;
        comparison.tell(at, object, "class", &first.predicted_class_name, &second.predicted_class_name);
    }
    let alarms = [first, second].map(|one| one.verdict == OodConfidence::OUT_OF_DISTRIBUTION);
    comparison.new_alarms += u64::from(alarms == [false, true]);
    comparison.gone_alarms += u64::from(alarms == [true, false]);
    let change = (first.p_value - second.p_value).abs();
    // NaN, where one has none, changes nothing.
    comparison.largest_p_value_change = comparison.largest_p_value_change.max(change);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::bag::BagWriter;
    use crate::dataset::cdr::{Header, Region};

    fn array(stamp: u64, verdict: u8, p_value: f32) -> OodConfidenceArray {
        let region = Region { id: "sign".into(), ..Region::default() };
        let result = OodConfidence { region, verdict, p_value, score: f32::NAN, ..OodConfidence::default() };
        let header = Header { stamp: Time::from_nanos(stamp), frame_id: "camera".into() };
        // The times of the node do not count.
        OodConfidenceArray {
            header,
            published: Time::from_nanos(stamp * 3),
            results: vec![result],
            ..Default::default()
        }
    }

    fn compared(first: &[OodConfidenceArray], second: &[OodConfidenceArray], strictness: Strictness) -> Comparison {
        let folder = tempfile::tempdir().unwrap();
        let paths = [first, second].into_iter().enumerate().map(|(side, arrays)| {
            let path = folder.path().join(side.to_string());
            let mut bag = BagWriter::create(&path).unwrap();
            let state = StreamState { state: StreamState::NOMINAL, ..StreamState::default() };
            for array in arrays {
                let nanos = array.header.stamp.as_nanos();
                bag.write("/monitor/ood", nanos, array).unwrap();
                let state = StreamState { header: array.header.clone(), ..state.clone() };
                bag.write("/monitor/stream_state", nanos, &state).unwrap();
            }
            bag.finish().unwrap();
            path
        });
        let paths: Vec<_> = paths.collect();
        compare(&paths[0], &paths[1], strictness).unwrap()
    }

    #[test]
    fn equal_answers_are_equal_whenever_they_were_published() {
        let first = [array(1, 1, 0.5), array(2, 3, 0.001)];
        let mut second = first.clone();
        second[1].published = Time::from_nanos(77);
        let comparison = compared(&first, &second, Strictness::Exact);
        assert!(comparison.is_equal(), "{comparison:?}");
        assert_eq!((comparison.images, comparison.regions), (2, 2));
    }

    #[test]
    fn every_change_is_told() {
        let first = [array(1, 1, 0.5), array(2, 3, 0.001), array(3, 1, 0.5)];
        let second = [array(1, 3, 0.25), array(2, 1, 0.5), array(4, 1, 0.5)];
        let comparison = compared(&first, &second, Strictness::Decisions);
        assert_eq!((comparison.changed_verdicts, comparison.new_alarms, comparison.gone_alarms), (2, 1, 1));
        assert_eq!((comparison.images, comparison.only_first, comparison.only_second), (2, 1, 1));
        assert!((comparison.largest_p_value_change - 0.499).abs() < 1e-6);
        let told = &comparison.differences[0];
        assert_eq!((told.field, told.object.as_str(), told.first.as_str()), ("verdict", "sign", "IN_DISTRIBUTION"));
    }

    #[test]
    fn the_smallest_change_of_a_p_value_is_no_decision_but_not_the_same() {
        let (first, second) = ([array(1, 1, 0.5)], [array(1, 1, 0.5 + f32::EPSILON)]);
        assert!(compared(&first, &second, Strictness::Decisions).is_equal());
        let exact = compared(&first, &second, Strictness::Exact);
        assert_eq!((exact.unequal_messages, exact.is_equal()), (1, false));
        assert!(exact.differences[0].first.contains("\"p_value\":0.5,"));
    }
}
