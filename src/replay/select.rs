//! Which topics of a bag are cameras, their regions and the truth about them.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ReplayError;
use crate::dataset::bag::Topic;
use crate::dataset::cdr::{CompressedImage, GroundTruthArray, Image, RegionArray, RosMessage};
use crate::dataset::detections::Detection2DArray;
use crate::parameters::names::{CameraName, check_cameras};

/// Where overlays of a node lie, which are no camera.
const OVERLAY: &str = "/overlay/compressed";

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Topics of images; empty: all that there are, but of a camera's raw and compressed images only the raw ones.
    pub images: Vec<String>,
    /// Topics of regions; empty: those that there are.
    pub regions: Vec<String>,
    /// Judge whole images, whatever regions there are.
    pub whole_images: bool,
    /// Topic of the truth; `None`: those that there are.
    pub truth: Option<String>,
}

/// The topics of one camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraTopics {
    /// What the camera is called; nothing where it is the only one.
    pub name: CameraName,
    /// Its images.
    pub images: Topic,
    /// Its regions; `None`: whole images are judged.
    pub regions: Option<Topic>,
    /// The truth about it.
    pub truth: Option<Topic>,
}

/// The cameras of a bag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Cameras, at least one, in the order in which they were asked for, or by name.
    pub cameras: Vec<CameraTopics>,
    /// Topics that nobody reads.
    pub skipped: Vec<Topic>,
}

/// Chooses among the topics of a bag.
///
/// # Errors
/// [`ReplayError::NoImages`], [`ReplayError::NoTopic`] and [`ReplayError::NotOfType`], which list what there is.
pub fn select(topics: &[Topic], choice: &Choice) -> Result<Selection, ReplayError> {
    let all = topics;
    let readable: Vec<Topic> = all.iter().filter(|topic| topic.readable()).cloned().collect();
    let topics = readable.as_slice();
    let images = images(topics, &choice.images)?;
    let regions = match choice.whole_images {
        true => Vec::new(),
        false => chosen(topics, &choice.regions, &[RegionArray::TYPE, Detection2DArray::TYPE])?,
    };
    let truths = chosen(topics, choice.truth.as_slice(), &[GroundTruthArray::TYPE])?;
    let is_only = |wanted: usize| is_only(topics, images.len(), wanted);
    let camera = |(images, name): (&Topic, CameraName)| CameraTopics {
        name,
        images: images.clone(),
        regions: companion(&images.name, &regions, is_only(choice.regions.len())),
        truth: companion(&images.name, &truths, is_only(choice.truth.iter().len())),
    };
    let cameras: Vec<CameraTopics> = images.iter().zip(names(&images)).map(camera).collect();
    let used: BTreeSet<&str> = cameras.iter().flat_map(CameraTopics::topics).collect();
    let skipped = all.iter().filter(|topic| !used.contains(topic.name.as_str())).cloned().collect();
    Ok(Selection { cameras, skipped })
}

impl CameraTopics {
    /// Names of the topics that are played.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        [Some(&self.images), self.regions.as_ref()].into_iter().flatten().map(|topic| topic.name.as_str())
    }

    /// Names of the topics that are read.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        let topics = [Some(&self.images), self.regions.as_ref(), self.truth.as_ref()];
        topics.into_iter().flatten().map(|topic| topic.name.as_str())
    }
}

fn is_image(topic: &Topic) -> bool {
    [Image::TYPE, CompressedImage::TYPE].contains(&topic.type_name.as_str())
}

/// Topics of images: those that were asked for, or all but overlays and copies.
fn images(topics: &[Topic], wanted: &[String]) -> Result<Vec<Topic>, ReplayError> {
    if !wanted.is_empty() {
        return chosen(topics, wanted, &[Image::TYPE, CompressedImage::TYPE]);
    }
    let is_copy = |topic: &Topic| {
        let raw = topic.name.strip_suffix("/compressed");
        raw.is_some_and(|raw| topics.iter().any(|other| other.name == raw && is_image(other)))
    };
    let taken = |topic: &&Topic| is_image(topic) && !is_copy(topic) && !topic.name.ends_with(OVERLAY);
    let found: Vec<Topic> = topics.iter().filter(taken).cloned().collect();
    if found.is_empty() { Err(ReplayError::NoImages { found: listed(topics) }) } else { Ok(found) }
}

/// Topics by name, which must carry one of the types; without names all that do.
fn chosen(topics: &[Topic], wanted: &[String], types: &[&'static str]) -> Result<Vec<Topic>, ReplayError> {
    if wanted.is_empty() {
        return Ok(topics.iter().filter(|topic| types.contains(&topic.type_name.as_str())).cloned().collect());
    }
    let find = |name: &String| {
        let none = || ReplayError::NoTopic { topic: name.clone(), found: listed(topics) };
        let topic = topics.iter().find(|topic| topic.name == *name).ok_or_else(none)?;
        if types.contains(&topic.type_name.as_str()) {
            return Ok(topic.clone());
        }
        let (topic, found) = (name.clone(), topic.type_name.clone());
        Err(ReplayError::NotOfType { topic, found, expected: types.join(" or ") })
    };
    wanted.iter().map(find).collect()
}

/// Whether a topic of regions (or truth) needs no name to be that of the camera: there is no other camera, or both were asked for.
fn is_only(topics: &[Topic], cameras: usize, wanted: usize) -> bool {
    images(topics, &[]).is_ok_and(|all| all.len() == 1) || (cameras == 1 && wanted == 1)
}

/// The topic that belongs to the images: the one whose name has most parts in common. Where there is one camera, the only topic is its.
fn companion(images: &str, candidates: &[Topic], is_only_camera: bool) -> Option<Topic> {
    if let ([only], true) = (candidates, is_only_camera) {
        return Some(only.clone());
    }
    let likeness = |topic: &&Topic| (common_parts(images, &topic.name), Reverse(topic.name.clone()));
    let best = candidates.iter().max_by_key(likeness)?;
    (common_parts(images, &best.name) > 0).then(|| best.clone())
}

/// Parts that the names of two topics have in common.
fn common_parts(a: &str, b: &str) -> usize {
    let parts = |topic: &str| topic.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let (a, b): (BTreeSet<String>, BTreeSet<String>) = (parts(a), parts(b));
    a.intersection(&b).count()
}

/// Names of the cameras: none for a single one; else the parts of their topics in which they differ, or their numbers where those make no
/// names.
fn names(images: &[Topic]) -> Vec<CameraName> {
    if images.len() < 2 {
        return images.iter().map(|_| CameraName::default()).collect();
    }
    let parts: Vec<Vec<&str>> =
        images.iter().map(|topic| topic.name.split('/').filter(|part| !part.is_empty()).collect()).collect();
    let is_common = |part: &&str| parts.iter().all(|parts| parts.contains(part));
    let own =
        parts.iter().map(|parts| parts.iter().filter(|part| !is_common(part)).copied().collect::<Vec<_>>().join("_"));
    let own: Vec<String> = own.collect();
    let names =
        if check_cameras(&own).is_ok() { own } else { (1..=images.len()).map(|n| format!("camera_{n}")).collect() };
    names.iter().map(|name| CameraName::named(name)).collect()
}

/// Topics in words.
fn listed(topics: &[Topic]) -> String {
    let one = |topic: &Topic| format!("{} ({})", topic.name, topic.type_name);
    if topics.is_empty() {
        "no topics at all".to_owned()
    } else {
        topics.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, type_name: &str) -> Topic {
        Topic { name: name.into(), type_name: type_name.into(), message_count: 1, encoding: "cdr".into() }
    }

    fn drive() -> Vec<Topic> {
        vec![
            topic("/camera/image_raw", Image::TYPE),
            topic("/camera/image_raw/compressed", CompressedImage::TYPE),
            topic("/detector/boxes", RegionArray::TYPE),
            topic("/monitor/overlay/compressed", CompressedImage::TYPE),
            topic("/truth", GroundTruthArray::TYPE),
            topic("/tf", "tf2_msgs/msg/TFMessage"),
        ]
    }

    fn regions(selection: &Selection) -> Vec<Option<&str>> {
        selection.cameras.iter().map(|camera| camera.regions.as_ref().map(|topic| topic.name.as_str())).collect()
    }

    #[test]
    fn one_camera_has_all_there_is() {
        let selection = select(&drive(), &Choice::default()).unwrap();
        let [camera] = &selection.cameras[..] else { panic!("{selection:?}") };
        assert_eq!(camera.topics().collect::<Vec<_>>(), ["/camera/image_raw", "/detector/boxes", "/truth"]);
        assert_eq!(camera.name, CameraName::default());
        let skipped: Vec<&str> = selection.skipped.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(skipped, ["/camera/image_raw/compressed", "/monitor/overlay/compressed", "/tf"]);
    }

    #[test]
    fn what_is_asked_for_is_taken() {
        let images = vec!["/camera/image_raw/compressed".to_owned()];
        let choice = Choice { images, whole_images: true, ..Choice::default() };
        let selection = select(&drive(), &choice).unwrap();
        assert_eq!(
            (selection.cameras[0].images.type_name.as_str(), regions(&selection)),
            (CompressedImage::TYPE, vec![None])
        );
    }

    #[test]
    fn several_cameras_are_told_apart_by_their_names() {
        let topics = ["front", "rear"].map(|side| {
            [topic(&format!("/{side}/image"), Image::TYPE), topic(&format!("/{side}/regions"), RegionArray::TYPE)]
        });
        let selection = select(&topics.concat(), &Choice::default()).unwrap();
        assert_eq!(regions(&selection), [Some("/front/regions"), Some("/rear/regions")]);
        let names: Vec<Option<&str>> = selection.cameras.iter().map(|camera| camera.name.name()).collect();
        assert_eq!(names, [Some("front"), Some("rear")]);
        let odd = [topic("/1/image", Image::TYPE), topic("/2/image", Image::TYPE)];
        let selection = select(&odd, &Choice::default()).unwrap();
        assert_eq!(selection.cameras[1].name.name(), Some("camera_2"));
    }

    #[test]
    fn a_camera_does_not_get_the_regions_of_another_unless_that_is_asked_for() {
        let topics = [
            topic("/front/image", Image::TYPE),
            topic("/front/regions", RegionArray::TYPE),
            topic("/rear/image", Image::TYPE),
        ];
        let mut choice = Choice { images: vec!["/rear/image".into()], ..Choice::default() };
        assert_eq!(regions(&select(&topics, &choice).unwrap()), [None]);
        choice.regions = vec!["/front/regions".into()];
        assert_eq!(regions(&select(&topics, &choice).unwrap()), [Some("/front/regions")]);
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let error = |choice: &Choice, topics: &[Topic]| select(topics, choice).unwrap_err().to_string();
        assert!(error(&Choice::default(), &drive()[5..]).contains("/tf (tf2_msgs/msg/TFMessage)"));
        let choice = |images: &str| Choice { images: vec![images.into()], ..Choice::default() };
        assert!(error(&choice("/nowhere"), &drive()).contains("/camera/image_raw (sensor_msgs/msg/Image)"));
        assert!(error(&choice("/tf"), &drive()).contains("carries tf2_msgs/msg/TFMessage"));
    }
}
