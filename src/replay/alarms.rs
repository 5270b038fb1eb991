//! Alarms and what they were about: when objects and cameras alarmed, and whether and how soon what was strange was found.

use std::collections::BTreeMap;
use std::time::Duration;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::run::Answered;
use super::truth::{AlarmSet, CAMERA, CameraTruth, Truth};
use crate::intake::request::{Answer, Entry};
use crate::monitor::Verdict;
use crate::pipeline::Outcome;
use crate::stream::{Change, ChangeState};

/// An alarm without a view for longer than this is over, and so is something strange that is not seen.
const LONGEST_PAUSE_NANOS: u64 = 2_000_000_000;

/// Things strange in the same way, one after the other within this time, are one anomaly of the camera.
const SAME_ANOMALY_NANOS: u64 = 5_000_000_000;

/// Longer side of a crop in pixels.
const CROP_PX: u32 = 128;

/// Alarms of a bag that are kept with a crop; further ones are kept without.
const MOST_CROPS: usize = 200;

/// What alarmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// All views of an object.
    Object(String),
    /// A region without a name, or a whole image.
    Image,
    /// The camera as a whole.
    Camera,
}

/// Whether an alarm was right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// This was strange.
    Anomaly(String),
    /// Everything was as in the training data: a false alarm.
    Nominal,
    /// Nobody knows.
    Unknown,
}

/// One alarm from its beginning to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alarm {
    /// Topic of the images.
    pub topic: String,
    /// What alarmed.
    pub subject: Subject,
    /// Whether it was right.
    pub cause: Cause,
    /// Stamp of the first image with the alarm, nanoseconds.
    pub begin_nanos: u64,
    /// Stamp of the last one.
    pub end_nanos: u64,
    /// Stamps between which a camera began to show something else, nanoseconds.
    pub onset_nanos: Option<(u64, u64)>,
    /// Images with the alarm.
    pub images: u64,
    /// Smallest p-value of a single view, 0..1; NaN where there is none.
    pub p_value: f32,
    /// Class that was predicted then.
    pub class_name: String,
    /// Class of the nearest training data.
    pub nearest_class_name: String,
    /// Why the most suspicious detector was suspicious.
    pub explanation: String,
    /// The region with the smallest p-value, made small.
    #[serde(skip)]
    pub crop: Option<RgbImage>,
}

/// Something strange, and whether it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Occurrence {
    /// Topic of the images.
    pub topic: String,
    /// The object; empty for an anomaly of the camera.
    pub object: String,
    /// What is strange.
    pub anomaly: String,
    /// Stamp of the first image with it, nanoseconds.
    pub begin_nanos: u64,
    /// Stamp of the last one.
    pub end_nanos: u64,
    /// Images with it.
    pub images: u64,
    /// When it was found; `None`: missed.
    pub found: Option<Found>,
}

/// How soon something was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// By the stamps, in seconds.
    pub delay_secs: f64,
    /// Images with it up to then, the first included.
    pub images: u64,
}

/// Follows one camera.
#[derive(Debug)]
pub struct AlarmWatch {
    topic: String,
    classes: Vec<String>,
    open: BTreeMap<String, Alarm>,
    camera: Option<Alarm>,
    strange: BTreeMap<String, Occurrence>,
    anomalies: BTreeMap<String, Occurrence>,
    /// Stamps and names of what was strange lately, for the onset of a camera's change.
    lately: Vec<(u64, String)>,
    /// Every alarm of every image, where somebody wants to know.
    alarmed: Option<AlarmSet>,
    done: Watched,
}

/// What came of a camera.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Alarms in the order of their ends.
    pub alarms: Vec<Alarm>,
    /// Objects that were strange.
    pub objects: Vec<Occurrence>,
    /// Anomalies of the camera, whichever objects showed them.
    pub anomalies: Vec<Occurrence>,
    /// Every alarm of every image, where those are kept.
    pub alarmed: AlarmSet,
    crops: usize,
}

impl AlarmWatch {
    /// For the camera with that topic and the class names of the model.
    #[must_use]
    pub fn new(topic: &str, classes: &[String]) -> Self {
        Self {
            topic: topic.to_owned(),
            classes: classes.to_vec(),
            open: BTreeMap::new(),
            camera: None,
            strange: BTreeMap::new(),
            anomalies: BTreeMap::new(),
            lately: Vec::new(),
            alarmed: None,
            done: Watched::default(),
        }
    }

    /// Keeps every alarm of every image ([`Watched::alarmed`]).
    #[must_use]
    pub fn keeping_alarms(self) -> Self {
        Self { alarmed: Some(AlarmSet::new()), ..self }
    }

    /// Takes an answer with the truth about its camera.
    pub fn observe(&mut self, answered: &Answered<'_>, truth: &CameraTruth) {
        let answer = answered.answer;
        let now = answer.header.stamp.nanos_since_epoch();
        self.close(now);
        let has_fault = truth.has_fault(now);
        for (index, entry) in answer.entries.iter().enumerate() {
            let of_region = truth.of(&entry.region.id, now);
            let is_alarm = answer.final_verdict(index) == Verdict::OutOfDistribution;
            if is_alarm {
                self.note_alarm(&entry.region.id, now);
                self.alarm(answered, index, of_region.as_ref(), now);
            } else {
                self.calm(&entry.region.id);
            }
            if let Some(strange) = of_region.filter(|truth| !truth.in_distribution) {
                let is_anyway = truth.alarms_anyway(&entry.region.id, now);
                // Whoever gets no verdict knows that something is wrong.
                let is_refused = has_fault && answer.final_verdict(index) == Verdict::Unknown;
                self.note_strange(&entry.region.id, &strange.anomaly, now, (is_alarm || is_refused) && !is_anyway);
            }
        }
        // A camera that was CHANGED before says nothing of what comes now.
        if self.watch_camera(answer, truth, now) && !truth.alarms_anyway(CAMERA, now) {
            self.strange.values_mut().chain(self.anomalies.values_mut()).for_each(|one| one.find(now));
        }
    }

    /// Ends what is still open, and tells what there was.
    #[must_use]
    pub fn end(mut self) -> Watched {
        self.close(u64::MAX);
        self.done.alarms.extend(self.camera.take());
        self.done.alarmed = self.alarmed.take().unwrap_or_default();
        self.done
    }

    fn note_alarm(&mut self, what: &str, now: u64) {
        if let Some(alarmed) = &mut self.alarmed {
            alarmed.insert((now, what.to_owned()));
        }
    }

    /// Ends what was not seen for a while.
    fn close(&mut self, now: u64) {
        let alarms = take_old(&mut self.open, |alarm| alarm.end_nanos, now, LONGEST_PAUSE_NANOS);
        self.done.alarms.extend(alarms);
        self.done.objects.extend(take_old(&mut self.strange, |one| one.end_nanos, now, LONGEST_PAUSE_NANOS));
        self.done.anomalies.extend(take_old(&mut self.anomalies, |one| one.end_nanos, now, SAME_ANOMALY_NANOS));
        self.lately.retain(|(stamp, _)| now.abs_diff(*stamp) < 60 * 1_000_000_000);
    }

    /// Ends the alarm of an object that is none any more.
    fn calm(&mut self, object: &str) {
        if !object.is_empty() {
            self.done.alarms.extend(self.open.remove(object));
        }
    }

    fn alarm(&mut self, answered: &Answered<'_>, index: usize, truth: Option<&Truth>, now: u64) {
        let entry = &answered.answer.entries[index];
        let subject =
            if entry.region.id.is_empty() { Subject::Image } else { Subject::Object(entry.region.id.clone()) };
        let (topic, has_room) = (&self.topic, self.done.crops < MOST_CROPS);
        let alarm = self.open.entry(entry.region.id.clone()).or_insert_with(|| Alarm::new(topic, subject, now));
        let is_first_crop = alarm.crop.is_none();
        let is_strangest = alarm.add(entry, truth, now, &self.classes);
        if is_strangest && (has_room || !is_first_crop) {
            alarm.crop = answered.crop(entry.region.region, CROP_PX);
            self.done.crops += usize::from(is_first_crop && alarm.crop.is_some());
        }
    }

    fn note_strange(&mut self, object: &str, anomaly: &str, now: u64, is_found: bool) {
        self.lately.push((now, anomaly.to_owned()));
        let new = |object: &str| Occurrence::new(&self.topic, object, anomaly, now);
        if !object.is_empty() {
            if self.strange.get(object).is_some_and(|known| known.anomaly != anomaly) {
                self.done.objects.extend(self.strange.remove(object));
            }
            self.strange.entry(object.to_owned()).or_insert_with(|| new(object)).see(now, is_found);
        }
        self.anomalies.entry(anomaly.to_owned()).or_insert_with(|| new("")).see(now, is_found);
    }

    /// Follows the state of the camera; returns whether it has just become CHANGED.
    fn watch_camera(&mut self, answer: &Answer, truth: &CameraTruth, now: u64) -> bool {
        let change = &answer.observed.change;
        if change.state != ChangeState::Changed {
            self.done.alarms.extend(self.camera.take());
            return false;
        }
        self.note_alarm(CAMERA, now);
        let is_new = self.camera.is_none();
        let mut alarm = self.camera.take().unwrap_or_else(|| self.camera_alarm(change, truth, now));
        (alarm.end_nanos, alarm.images) = (now, alarm.images + 1);
        self.camera = Some(alarm);
        is_new
    }

    /// An alarm of the camera that begins, caused by the first that was strange since the onset.
    fn camera_alarm(&self, change: &Change, truth: &CameraTruth, now: u64) -> Alarm {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let onset_nanos = change.onset.map(|(begin, end)| (nanos(begin), nanos(end)));
        let from = onset_nanos.map_or(now, |(begin, _)| begin);
        let cause = match self.lately.iter().find(|(stamp, _)| *stamp >= from) {
            Some((_, anomaly)) => Cause::Anomaly(anomaly.clone()),
            None if truth.is_known() => Cause::Nominal,
            None => Cause::Unknown,
        };
        Alarm { cause, onset_nanos, ..Alarm::new(&self.topic, Subject::Camera, now) }
    }
}

/// Takes out what was last seen too long ago.
fn take_old<T>(open: &mut BTreeMap<String, T>, last: impl Fn(&T) -> u64, now: u64, pause: u64) -> Vec<T> {
    let is_old = |one: &T| now.abs_diff(last(one)) > pause;
    let old: Vec<String> = open.iter().filter(|(_, one)| is_old(one)).map(|(name, _)| name.clone()).collect();
    old.iter().filter_map(|name| open.remove(name)).collect()
}

impl Alarm {
    fn new(topic: &str, subject: Subject, now: u64) -> Self {
        Self {
            topic: topic.to_owned(),
            subject,
            cause: Cause::Unknown,
            begin_nanos: now,
            end_nanos: now,
            onset_nanos: None,
            images: 0,
            p_value: f32::NAN,
            class_name: String::new(),
            nearest_class_name: String::new(),
            explanation: String::new(),
            crop: None,
        }
    }

    /// Adds a view; returns whether it is the strangest so far.
    fn add(&mut self, entry: &Entry, truth: Option<&Truth>, now: u64, classes: &[String]) -> bool {
        (self.end_nanos, self.images) = (now, self.images + 1);
        match truth {
            Some(truth) if !truth.in_distribution => self.cause = Cause::Anomaly(truth.anomaly.clone()),
            Some(_) if self.cause == Cause::Unknown => self.cause = Cause::Nominal,
            _ => {}
        }
        let Ok(outcome @ Outcome { judgement: Some(judgement), .. }) = &entry.outcome else { return false };
        let p_value = judgement.fused.p_value;
        // Also while there is none.
        if self.p_value <= p_value {
            return false;
        }
        self.p_value = p_value;
        self.class_name = classes.get(judgement.predicted_class).cloned().unwrap_or_default();
        self.nearest_class_name = outcome.nearest_class().to_owned();
        self.explanation = outcome.explanation();
        true
    }
}

impl Occurrence {
    fn new(topic: &str, object: &str, anomaly: &str, now: u64) -> Self {
        Self {
            topic: topic.to_owned(),
            object: object.to_owned(),
            anomaly: anomaly.to_owned(),
            begin_nanos: now,
            end_nanos: now,
            images: 0,
            found: None,
        }
    }

    fn see(&mut self, now: u64, is_found: bool) {
        // Several regions of one image count once.
        self.images += u64::from(self.images == 0 || now != self.end_nanos);
        self.end_nanos = now;
        if is_found {
            self.find(now);
        }
    }

    fn find(&mut self, now: u64) {
        if self.found.is_none() {
            let delay_secs = now.saturating_sub(self.begin_nanos) as f64 / 1e9;
            self.found = Some(Found { delay_secs, images: self.images });
        }
    }
}

#[cfg(test)]
mod tests;
