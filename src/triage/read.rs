//! Takes the strange regions out of one recording.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::pairing::{self, Key, Keys};
use super::{CROP_PX, Cause, Place, Sighting, TriageError, groups};
use crate::dataset::bag::{BagError, BagMessage, BagReader, Unreadable};
use crate::dataset::cdr::{self, CdrError, CompressedImage, Header, Image, RosMessage};
use crate::dataset::verdicts::{OodConfidence, OodConfidenceArray};
use crate::frame::{DecodeOptions, Frame, Region, thumbnail};
use crate::intake::recorded::{self, ImageError};
use crate::monitor::Verdict;

/// Objects of one event that are cut out for a group at most: the page shows what many events have.
const CROPS_PER_GROUP: usize = 6;

/// What was found in one recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// The strange regions, in the order of their stamps.
    pub sightings: Vec<Sighting>,
    /// What could not be read, in words.
    pub notes: Vec<String>,
}

/// Reads the regions of a recording that were called out of distribution, with `suspects` also those that were called
/// suspect. `name` is what the recording is called.
///
/// Messages that cannot be read are left out and noted. Crops are cut for the page only: of every object its best view, of a
/// few objects per group.
///
/// # Errors
/// [`TriageError`] when the recording cannot be opened, for example because it is none, or when it has no verdicts or no
/// images to them.
pub fn read_event(path: &Path, name: &str, suspects: bool) -> Result<Reading, TriageError> {
    let mut event = Event { name, suspects, ..Event::default() };
    event.read_verdicts(BagReader::open(path)?)?;
    let pairs = pairing::pairs(&event.verdicts, &event.images);
    if pairs.is_empty() && !event.verdicts.is_empty() {
        return Err(TriageError::NoImages);
    }
    event.name_cameras(&pairs);
    event.cut(BagReader::open(path)?);
    Ok(Reading { notes: event.notes(), sightings: event.sightings })
}

#[derive(Default)]
struct Event<'a> {
    name: &'a str,
    suspects: bool,
    verdicts: Keys,
    images: Keys,
    sightings: Vec<Sighting>,
    /// Frame of each sighting.
    frames: Vec<String>,
    /// Messages that could not be read.
    broken: Unreadable,
    /// Parts of the recording that were lost.
    damage: Vec<String>,
    cameras_without_images: Vec<String>,
}

impl Event<'_> {
    fn read_verdicts(&mut self, bag: BagReader) -> Result<(), TriageError> {
        let kind = |wanted: &[&str]| -> Vec<String> {
            let topics = bag.topics().iter().filter(|topic| wanted.contains(&topic.type_name.as_str()));
            topics.map(|topic| topic.name.clone()).collect()
        };
        let verdicts = kind(&[OodConfidenceArray::TYPE]);
        if verdicts.is_empty() {
            let all: Vec<&str> = bag.topics().iter().map(|topic| topic.name.as_str()).collect();
            let found = if all.is_empty() { "no topics at all".to_owned() } else { all.join(", ") };
            return Err(TriageError::NoVerdicts { found });
        }
        let wanted = [verdicts, kind(&[Image::TYPE, CompressedImage::TYPE])].concat();
        let mut bag = bag.only(&wanted.iter().map(String::as_str).collect::<Vec<_>>());
        for message in bag.by_ref() {
            match message {
                Ok(message) => self.read(&message),
                Err(error) => self.damage.push(error.to_string()),
            }
        }
        self.damage.extend(bag.damage().iter().map(ToString::to_string));
        Ok(())
    }

    fn read(&mut self, message: &BagMessage) {
        let read = if message.type_name.as_ref() == OodConfidenceArray::TYPE {
            message.decode().map(|array: OodConfidenceArray| self.take(&message.topic, &array))
        } else {
            stamp(message).map(|key| {
                self.images.entry(message.topic.as_ref().to_owned()).or_default().insert(key);
            })
        };
        if let Err(error) = read {
            self.broken.add(&message.topic, &error);
        }
    }

    fn take(&mut self, topic: &str, array: &OodConfidenceArray) {
        self.verdicts.entry(topic.to_owned()).or_default().insert(pairing::key(&array.header));
        for result in &array.results {
            let verdict = Verdict::from_number(result.verdict);
            if verdict == Verdict::OutOfDistribution || (self.suspects && verdict == Verdict::Suspect) {
                self.sightings.push(sighting(self.name, topic, &array.header, result));
                self.frames.push(array.header.frame_id.clone());
            }
        }
    }

    /// Calls sightings by the topic of their image.
    fn name_cameras(&mut self, pairs: &BTreeMap<String, String>) {
        for sighting in &mut self.sightings {
            if let Some(image) = pairs.get(&sighting.camera) {
                sighting.camera.clone_from(image);
            }
        }
        let without = self.verdicts.keys().filter(|topic| !pairs.contains_key(*topic));
        self.cameras_without_images = without.cloned().collect();
    }

    /// Cuts out what is shown.
    fn cut(&mut self, bag: BagReader) {
        let mut wanted = self.wanted();
        let topics: Vec<String> = wanted.keys().map(|(topic, _)| topic.clone()).collect();
        if topics.is_empty() {
            return;
        }
        // Damage was noted in the first round already.
        for message in bag.only(&topics.iter().map(String::as_str).collect::<Vec<_>>()).map_while(Result::ok) {
            let Ok(key) = stamp(&message) else { continue };
            let Some(indices) = wanted.remove(&(message.topic.as_ref().to_owned(), key)) else { continue };
            if let Err(error) = self.cut_image(&message, &indices) {
                self.broken.add(&message.topic, &error);
            }
        }
    }

    /// The sightings to cut out, by image.
    fn wanted(&self) -> HashMap<(String, Key), Vec<usize>> {
        let mut wanted: HashMap<(String, Key), Vec<usize>> = HashMap::new();
        let groups = groups(&self.sightings);
        for object in groups.iter().flat_map(|group| group.objects.iter().take(CROPS_PER_GROUP)) {
            let key = (object.best.stamp_nanos, self.frames[object.index].clone());
            wanted.entry((object.best.camera.clone(), key)).or_default().push(object.index);
        }
        wanted
    }

    fn cut_image(&mut self, message: &BagMessage, indices: &[usize]) -> Result<(), ImageError> {
        let (_, picture) = recorded::picture(message)?;
        self.cut_frame(&picture.frame(&DecodeOptions::default())?, indices)
    }

    fn cut_frame(&mut self, frame: &Frame<'_>, indices: &[usize]) -> Result<(), ImageError> {
        for &index in indices {
            let sighting = &mut self.sightings[index];
            sighting.crop = Some(thumbnail(frame.crop(sighting.region)?, CROP_PX));
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let damage = self.damage.iter().cloned();
        let without = self.cameras_without_images.iter().map(|topic| format!("no images to the verdicts on {topic}"));
        damage.chain(self.broken.sentences()).chain(without).collect()
    }
}

/// Stamp and frame, with which every image begins.
fn stamp(message: &BagMessage) -> Result<Key, BagError> {
    let error = |source: CdrError| BagError::Message { topic: message.topic.as_ref().to_owned(), source };
    cdr::decode::<Header>(&message.data).map(|header| pairing::key(&header)).map_err(error)
}

fn sighting(event: &str, topic: &str, header: &Header, result: &OodConfidence) -> Sighting {
    let roi = result.region.roi;
    Sighting {
        event: event.to_owned(),
        camera: topic.to_owned(),
        stamp_nanos: header.stamp.as_nanos(),
        object: result.region.id.clone(),
        region: Region { x: roi.x_offset, y: roi.y_offset, width: roi.width, height: roi.height },
        predicted: result.predicted_class_name.clone(),
        score: result.score,
        p_value: result.p_value,
        verdict: Verdict::from_number(result.verdict),
        evidence: result.object.evidence,
        cause: cause(result),
        explanation: result.explanation.clone(),
        crop: None,
    }
}

/// The first deviation is the largest one of the most suspicious detector. Without any, the detector with the smallest
/// p-value is the most suspicious one.
fn cause(result: &OodConfidence) -> Cause {
    let nearest = result.nearest_class_name.clone();
    let Some(first) = result.deviations.first() else {
        let detector = result.detectors.iter().min_by(|a, b| a.p_value.total_cmp(&b.p_value));
        let detector = detector.map(|detector| detector.name.clone()).unwrap_or_default();
        return Cause { detector, place: Place::Unknown, nearest };
    };
    let place = if !first.layer.is_empty() {
        Place::Layer(first.layer.clone())
    } else if !first.class_name.is_empty() {
        Place::Class(first.class_name.clone())
    } else {
        Place::Unknown
    };
    Cause { detector: first.detector.clone(), place, nearest }
}
