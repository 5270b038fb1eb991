//! Hands images and answers to the black box, and tells it when something happened.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use r2r::WrappedTypesupport;

use crate::black_box::{
    BlackBox, BlackBoxError, CompressedPicture, Item, Message, Payload, RawPicture, Settings as BoxSettings, Trigger,
};
use crate::dataset::cdr::{self, CdrError, RosMessage};
use crate::dataset::verdicts::{ClassificationArray, OodConfidenceArray, StreamState};
use crate::inference::evidence::Judged;
use crate::inference::messages::{self, Identity, to_header};
use crate::intake::request::{Answer, Entry, Header, Picture};
use crate::intake::stamp::Stamp;
use crate::monitor::Verdict;
use crate::parameters::settings::Settings;
use crate::stream::ChangeState;

const MIB: u64 = 1 << 20;

/// Memory of the answer for one region, about: its detectors, explanations and texts.
const BYTES_PER_ENTRY: usize = 8 << 10;

/// Starts the black box that the parameters ask for; `None` when it is off.
///
/// # Errors
/// [`BlackBoxError`] when its folder cannot be used.
pub fn start(settings: &Settings, model_id: &str, monitor_id: &str) -> Result<Option<Arc<BlackBox>>, BlackBoxError> {
    if settings.text("record") == "off" {
        return Ok(None);
    }
    let secs = |name| Duration::from_secs_f64(settings.double(name));
    let mib = |name| u64::try_from(settings.integer(name)).unwrap_or(0).saturating_mul(MIB);
    let black_box = BlackBox::start(BoxSettings {
        before: secs("record_before_secs"),
        after: secs("record_after_secs"),
        most_events_per_hour: u32::try_from(settings.integer("record_max_per_hour")).unwrap_or(1),
        disk_quota_bytes: mib("record_quota_mib"),
        least_free_bytes: mib("record_free_mib"),
        ring_bytes: usize::try_from(mib("record_memory_mib")).unwrap_or(usize::MAX),
        model_id: model_id.to_owned(),
        monitor_id: monitor_id.to_owned(),
        ..BoxSettings::new(settings.text("record_path"))
    })?;
    Ok(Some(Arc::new(black_box)))
}

/// Full names of the topics of a camera.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Its images.
    pub images: Arc<str>,
    /// Its regions; where it has none, the whole image is judged and none are recorded.
    pub regions: Option<Arc<str>>,
    /// `classification`, `ood` and `stream_state` of the node.
    pub outputs: [Arc<str>; 3],
}

/// The black box as the inference thread sees it.
pub struct Recording {
    black_box: Arc<BlackBox>,
    identity: Arc<Identity>,
    cameras: Vec<Camera>,
}

struct Camera {
    topics: Topics,
    /// Objects that alarmed in the image before; the empty name stands for regions without one.
    alarmed: BTreeSet<String>,
}

impl Recording {
    /// For cameras with these topics.
    #[must_use]
    pub fn new(black_box: Arc<BlackBox>, identity: Identity, topics: Vec<Topics>) -> Self {
        let cameras = topics.into_iter().map(|topics| Camera { topics, alarmed: BTreeSet::new() }).collect();
        Self { black_box, identity: Arc::new(identity), cameras }
    }

    /// Keeps the answer to an image, published at that time, and tells the box of alarms that are new.
    pub fn answered(&mut self, camera: usize, answer: &Answer, published: Stamp) {
        let Camera { topics, alarmed } = &mut self.cameras[camera];
        let shared = Arc::new(answer.clone());
        for (said, topic) in [Said::Classification, Said::Ood, Said::StreamState].into_iter().zip(&topics.outputs) {
            let payload = SaidOf { said, answer: Arc::clone(&shared), published, identity: Arc::clone(&self.identity) };
            self.black_box.push(Item::new(Arc::clone(topic), published.nanos_since_epoch(), payload));
        }
        let alarms: BTreeSet<String> = alarms(answer).map(|entry| entry.region.id.clone()).collect();
        let new: Vec<&str> = alarms.difference(alarmed).map(String::as_str).collect();
        let trigger =
            |name: &str, text: String| Trigger { name: name.into(), stamp_nanos: published.nanos_since_epoch(), text };
        if !new.is_empty() {
            let text = format!("OUT_OF_DISTRIBUTION on {}: {}", topics.images, new.join(", "));
            self.black_box.trigger(trigger("alarm", text));
        }
        if answer.observed.has_changed && answer.observed.change.state == ChangeState::Changed {
            self.black_box.trigger(trigger("camera_changed", format!("{} is CHANGED", topics.images)));
        }
        *alarmed = alarms;
    }

    /// Keeps an image as it came, and its regions.
    pub fn seen(&self, camera: usize, judged: &Judged) {
        let Topics { images, regions, .. } = &self.cameras[camera].topics;
        let received = judged.answer.received.nanos_since_epoch();
        let picture = &judged.evidence.picture;
        self.black_box.push(image(Arc::clone(images), received, &judged.answer.header, picture));
        if let Some(topic) = regions {
            let message = messages::regions(&judged.answer);
            let bytes = size_of::<cdr::Region>() * message.regions.len();
            self.black_box.push(Item::new(Arc::clone(topic), received, Message { message, bytes }));
        }
    }
}

/// The regions that alarm.
fn alarms(answer: &Answer) -> impl Iterator<Item = &Entry> {
    let is_alarm = |index: &usize| answer.final_verdict(*index) == Verdict::OutOfDistribution;
    (0..answer.entries.len()).filter(is_alarm).map(|index| &answer.entries[index])
}

fn image(topic: Arc<str>, received: u64, of: &Header, picture: &Picture) -> Item {
    match picture.clone() {
        Picture::Compressed { format, data } => {
            Item::new(topic, received, CompressedPicture { header: to_header(of), format, data: data.shared() })
        }
        Picture::Raw { encoding, width, height, step, is_bigendian, data } => Item::new(
            topic,
            received,
            RawPicture { header: to_header(of), encoding, width, height, step, is_bigendian, data: data.shared() },
        ),
    }
}

/// What the node says of an image.
#[derive(Debug, Clone, Copy)]
enum Said {
    Classification,
    Ood,
    StreamState,
}

/// One of the messages of an answer, made when it is written.
struct SaidOf {
    said: Said,
    answer: Arc<Answer>,
    published: Stamp,
    identity: Arc<Identity>,
}

impl Payload for SaidOf {
    fn type_name(&self) -> &'static str {
        match self.said {
            Said::Classification => ClassificationArray::TYPE,
            Said::Ood => OodConfidenceArray::TYPE,
            Said::StreamState => StreamState::TYPE,
        }
    }

    /// The answer is shared by all three messages and counted once.
    fn bytes(&self) -> usize {
        match self.said {
            Said::Ood => size_of::<Answer>() + self.answer.entries.len() * BYTES_PER_ENTRY,
            Said::Classification | Said::StreamState => size_of::<Self>(),
        }
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        let Self { answer, published, identity, .. } = self;
        match self.said {
            Said::Classification => cdr::encode(&messages::classification(answer, *published, identity)),
            Said::Ood => cdr::encode(&messages::ood(answer, *published, identity)),
            Said::StreamState => cdr::encode(&messages::stream_state(answer)),
        }
    }
}

/// Diagnostics as they were published.
pub struct Diagnostics(pub r2r::diagnostic_msgs::msg::DiagnosticArray);

impl Payload for Diagnostics {
    fn type_name(&self) -> &'static str {
        "diagnostic_msgs/msg/DiagnosticArray"
    }

    fn bytes(&self) -> usize {
        let pairs = self.0.status.iter().flat_map(|status| &status.values);
        pairs.map(|pair| pair.key.len() + pair.value.len() + size_of_val(pair)).sum()
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        let bytes = self.0.to_serialized_bytes();
        bytes.map_err(|error| CdrError::Ros { expected: self.type_name(), reason: error.to_string() })
    }
}
