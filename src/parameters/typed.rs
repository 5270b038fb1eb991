//! The values of parameters as the node uses them.

use std::time::Duration;

use super::names::CameraName;
use super::qos::{Qos, Reliability, Role};
use super::settings::Settings;
use super::table::{Parameter, Value};
use crate::monitor::Levels;
use crate::stream::StreamSettings;

/// The parameters that can be changed while the node runs and are the same for all cameras.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Fused p-value at or below which a region is suspect.
    pub suspect_level: f32,
    /// Fused p-value at or below which a region is out of distribution.
    pub alarm_level: f32,
    /// Largest number of classes listed.
    pub top_k: usize,
    /// Largest number of regions judged per image.
    pub max_regions: usize,
    /// Largest number of pixels of an image that is decoded.
    pub max_image_pixels: u64,
    /// Longest time from the arrival of an image to its answer, and that an image may be in work.
    pub deadline: Duration,
    /// How long an image of a camera without a value of its own waits for its regions.
    pub regions_timeout: Duration,
    /// How objects are told apart and changes are looked for.
    pub stream: StreamSettings,
    /// Time without an image after which a camera is silent.
    pub stale_after: Duration,
    /// Smallest time between two pictures in the viewer.
    pub viewer_picture_period: Duration,
}

/// All parameters that a camera may have of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraSettings {
    /// The camera.
    pub name: CameraName,
    /// Topic of its images, before remapping; read by `configure`.
    pub image_topic: String,
    /// How its images arrive; read by `configure`.
    pub transport: Transport,
    /// Quality of service of the subscription to images; read by `configure`.
    pub image_qos: Qos,
    /// Topic of its regions, before remapping; `None`: judge whole images. Read by `configure`.
    pub regions_topic: Option<String>,
    /// Quality of service of the subscription to regions; read by `configure`.
    pub regions_qos: Qos,
    /// Messages on `regions_topic`; read by `configure`.
    pub regions_type: RegionsType,
    /// How long an image waits for its regions.
    pub regions_timeout: Duration,
    /// How far the stamps of an image and its regions may lie apart.
    pub regions_tolerance: Duration,
    /// What becomes of an image without regions.
    pub without_regions: WithoutRegions,
    /// Age of the stamp at arrival above which an image is not judged; `None`: any age.
    pub max_image_age: Option<Duration>,
    /// Bits in use of 16-bit samples, 1..=16; `None`: found from the largest sample.
    pub bit_depth: Option<u8>,
}

/// Messages that bring regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionsType {
    /// `activation_monitor/RegionArray`.
    RegionArray,
    /// `vision_msgs/Detection2DArray`.
    Detection2dArray,
}

/// What becomes of an image whose regions did not come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutRegions {
    /// It is answered UNKNOWN.
    Wait,
    /// It is counted and not answered.
    Skip,
    /// It is judged whole.
    WholeImage,
}

/// How images arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `sensor_msgs/Image`.
    Raw,
    /// `sensor_msgs/CompressedImage`.
    Compressed,
}

impl Tuning {
    /// The levels that make verdicts of p-values.
    #[must_use]
    pub fn levels(&self) -> Levels {
        Levels { suspect: self.suspect_level, alarm: self.alarm_level }
    }
}

impl CameraSettings {
    /// With what `qos_overrides.*` say about the topics of the camera; `resolve` gives the full name of a topic.
    #[must_use]
    pub fn with_qos_overrides(mut self, settings: &Settings, resolve: impl Fn(&str) -> String) -> Self {
        let of = |topic: &str, default| settings.qos(&resolve(topic), Role::Subscription, default);
        self.image_qos = of(&self.image_topic, self.image_qos);
        if let Some(topic) = &self.regions_topic {
            self.regions_qos = of(topic, self.regions_qos);
        }
        self
    }
}

impl Settings {
    /// The parameters of a camera: its own where it has them, those for all otherwise. Quality of service is that of
    /// `image_qos`; [`CameraSettings::with_qos_overrides`] follows.
    #[must_use]
    pub fn camera(&self, name: &CameraName) -> CameraSettings {
        let values = OfCamera { settings: self, name };
        let qos = Qos::of(Reliability::named(&values.text("image_qos")));
        CameraSettings {
            name: name.clone(),
            image_topic: values.text("image_topic"),
            transport: transport(&values.text("image_transport")),
            image_qos: qos,
            regions_topic: Some(values.text("regions_topic")).filter(|topic| !topic.is_empty()),
            regions_qos: qos,
            regions_type: regions_type(&values.text("regions_type")),
            regions_timeout: values.duration("regions_timeout_secs"),
            regions_tolerance: values.duration("regions_tolerance_secs"),
            without_regions: without_regions(&values.text("without_regions")),
            max_image_age: Some(values.duration("max_image_age_secs")).filter(|age| !age.is_zero()),
            bit_depth: u8::try_from(values.integer("bit_depth")).ok().filter(|bits| *bits > 0),
        }
    }

    /// The parameters that can be changed while the node runs.
    #[must_use]
    pub fn tuning(&self) -> Tuning {
        Tuning {
            suspect_level: self.double("suspect_level") as f32,
            alarm_level: self.double("alarm_level") as f32,
            top_k: usize::try_from(self.integer("top_k")).unwrap_or(1),
            max_regions: usize::try_from(self.integer("max_regions")).unwrap_or(1),
            max_image_pixels: u64::try_from(self.integer("max_image_pixels")).unwrap_or(1),
            deadline: Duration::from_secs_f64(self.double("deadline_secs")),
            regions_timeout: Duration::from_secs_f64(self.double("regions_timeout_secs")),
            stream: StreamSettings {
                object_timeout: Duration::from_secs_f64(self.double("object_timeout_secs")),
                mean_time_between_false_alarms: Duration::from_secs_f64(
                    3600.0 * self.double("mean_time_between_false_alarms"),
                ),
                block: Duration::from_secs_f64(self.double("stream_block_secs")),
            },
            stale_after: Duration::from_secs_f64(self.double("stale_after_secs")),
            viewer_picture_period: Duration::from_secs_f64(1.0 / self.double("viewer_max_rate_hz")),
        }
    }
}

/// Values in force for one camera. Panics where a name is no row of that type: names are literals.
struct OfCamera<'a> {
    settings: &'a Settings,
    name: &'a CameraName,
}

impl OfCamera<'_> {
    fn value(&self, row: &str) -> Value {
        let row = Parameter::find(row).expect("names of rows are literals");
        match self.name.name() {
            Some(camera) => self.settings.of_camera(row, camera),
            None => self.settings.value(row).clone(),
        }
    }

    fn text(&self, row: &str) -> String {
        match self.value(row) {
            Value::Text(text) => text,
            other => panic!("`{row}` is not a text parameter: {other:?}"),
        }
    }

    fn duration(&self, row: &str) -> Duration {
        match self.value(row) {
            Value::Double(secs) => Duration::from_secs_f64(secs),
            other => panic!("`{row}` is not a double parameter: {other:?}"),
        }
    }

    fn integer(&self, row: &str) -> i64 {
        match self.value(row) {
            Value::Integer(value) => value,
            other => panic!("`{row}` is not an integer parameter: {other:?}"),
        }
    }
}

fn transport(word: &str) -> Transport {
    if word == "compressed" { Transport::Compressed } else { Transport::Raw }
}

fn regions_type(word: &str) -> RegionsType {
    if word == "detection2d_array" { RegionsType::Detection2dArray } else { RegionsType::RegionArray }
}

fn without_regions(word: &str) -> WithoutRegions {
    match word {
        "skip" => WithoutRegions::Skip,
        "whole_image" => WithoutRegions::WholeImage,
        _ => WithoutRegions::Wait,
    }
}
