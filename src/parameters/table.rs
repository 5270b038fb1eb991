//! The one table of ROS parameters: names, types, defaults, ranges and descriptions.
//!
//! `--help`, `docs/parameters.md`, `params/monitor.yaml` and the launch file are generated from it or compared with it
//! by a test.

use serde::Serialize;

use super::names::{self, cut};

/// Value of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Truth value.
    Bool(bool),
    /// Whole number.
    Integer(i64),
    /// Floating-point number.
    Double(f64),
    /// Text.
    Text(String),
    /// Several texts.
    TextArray(Vec<String>),
    /// Anything else that ROS can hold, by the name of its type; no parameter accepts it.
    Other(&'static str),
}

/// Type, default and allowed values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    /// Truth value.
    Bool {
        /// Value when nothing is set.
        default: bool,
    },
    /// Whole number in `min..=max`.
    Integer {
        /// Value when nothing is set.
        default: i64,
        /// Smallest allowed value.
        min: i64,
        /// Largest allowed value.
        max: i64,
    },
    /// Number in `min..=max`.
    Double {
        /// Value when nothing is set.
        default: f64,
        /// Smallest allowed value.
        min: f64,
        /// Largest allowed value.
        max: f64,
    },
    /// Any text.
    Text {
        /// Value when nothing is set.
        default: &'static str,
    },
    /// Name of a topic: relative, absolute or private (`~/…`).
    Topic {
        /// Value when nothing is set.
        default: &'static str,
        /// Whether it may be empty, for no topic.
        optional: bool,
    },
    /// Names of cameras: different tokens of ROS names that are not taken by this node (see [`super::names`]).
    Cameras {
        /// Names when nothing is set.
        default: &'static [&'static str],
    },
    /// One of a few words.
    Choice {
        /// Value when nothing is set.
        default: &'static str,
        /// The allowed words.
        allowed: &'static [&'static str],
    },
}

/// When a parameter can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Never: it is read once, when the process starts.
    Start,
    /// While the node is unconfigured or inactive; the next `configure` reads it.
    Configure,
    /// At any time; the next image is judged with it.
    Live,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parameter {
    /// ROS name.
    pub name: &'static str,
    /// Type, default and allowed values.
    #[serde(flatten)]
    pub kind: Kind,
    /// When it can be changed.
    pub when: When,
    /// Whether each camera may have a value of its own, as `<camera>.<name>`.
    pub per_camera: bool,
    /// What it does, one sentence.
    pub description: &'static str,
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// No such parameter.
    #[error("there is no parameter `{0}`; `monitor_node --help` lists them")]
    Unknown(String),
    /// Wrong type.
    #[error("parameter `{name}` must be {expected}, got {actual}")]
    Type {
        /// Parameter.
        name: String,
        /// Expected type.
        expected: &'static str,
        /// What was given.
        actual: String,
    },
    /// Outside of the range or not among the allowed words.
    #[error("parameter `{name}` must be {allowed}, got {actual}")]
    Range {
        /// Parameter.
        name: String,
        /// Allowed values in words.
        allowed: String,
        /// What was given.
        actual: String,
    },
    /// Not a name that ROS accepts, one that is taken, or no text that fits.
    #[error("parameter `{name}`: {reason}")]
    Name {
        /// Parameter.
        name: String,
        /// What is wrong with which name.
        reason: String,
    },
    /// A quality of service that this node cannot follow.
    #[error(
        "parameter `{0}` is not applied: this node knows qos_overrides.<full topic>.<subscription or publisher>.<depth, \
         durability, history or reliability>"
    )]
    Unapplied(String),
    /// Changed while the node runs.
    #[error("parameter `{0}` is read when the node starts: restart the node to change it")]
    ReadOnly(String),
    /// Changed while the node is active.
    #[error(
        "parameter `{0}` is read when the node is configured: deactivate the node, set it, then clean up and configure"
    )]
    Active(String),
    /// Too much at once.
    #[error("{what} must be at most {most}, got {found}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// Largest allowed number.
        most: usize,
        /// Number found.
        found: usize,
    },
    /// The node itself refuses it.
    #[error("{0}")]
    Refused(String),
    /// Contradicts another parameter.
    #[error("alarm_level {alarm} must not be above suspect_level {suspect}")]
    Levels {
        /// Alarm level.
        alarm: f64,
        /// Suspect level.
        suspect: f64,
    },
}

/// Longest text, as long as a path may be.
const MAX_TEXT_BYTES: usize = 4096;

const fn row(name: &'static str, when: When, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, kind, when, per_camera: false, description }
}

/// A row of which each camera may have a value of its own.
const fn camera(name: &'static str, when: When, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, kind, when, per_camera: true, description }
}

const fn text(default: &'static str) -> Kind {
    Kind::Text { default }
}

const fn double(default: f64, min: f64, max: f64) -> Kind {
    Kind::Double { default, min, max }
}

const fn integer(default: i64, min: i64, max: i64) -> Kind {
    Kind::Integer { default, min, max }
}

const fn choice(default: &'static str, allowed: &'static [&'static str]) -> Kind {
    Kind::Choice { default, allowed }
}

/// Every parameter of the node.
pub const PARAMETERS: &[Parameter] = &[
    row(
        "autostart",
        When::Start,
        Kind::Bool { default: true },
        "Configure and activate at the start; false: wait for a lifecycle manager.",
    ),
    row("model", When::Configure, text(""), "Folder of the model (model.pt and model.json); required."),
    row(
        "monitor",
        When::Configure,
        text(""),
        "Monitor file fitted on that model; empty: classify only, every verdict is UNKNOWN.",
    ),
    row(
        "device",
        When::Configure,
        text("auto"),
        "Where the model runs: auto, cpu or cuda:N; auto takes the first GPU there is.",
    ),
    row(
        "cameras",
        When::Configure,
        Kind::Cameras { default: &[] },
        "Names of the cameras, whose answers come under ~/<camera>/; empty: one camera, with answers under ~/.",
    ),
    camera(
        "image_topic",
        When::Configure,
        Kind::Topic { default: "image", optional: false },
        "Topic of the camera images, remappable; with several cameras <camera>/<image_topic>.",
    ),
    camera(
        "image_transport",
        When::Configure,
        choice("raw", &["raw", "compressed"]),
        "raw: sensor_msgs/Image; compressed: sensor_msgs/CompressedImage (JPEG or PNG) on exactly image_topic.",
    ),
    camera(
        "image_qos",
        When::Configure,
        choice("sensor_data", &["sensor_data", "reliable"]),
        "Quality of service of the image and region subscriptions; sensor_data is best effort and matches every publisher.",
    ),
    row(
        "output_qos",
        When::Configure,
        choice("reliable", &["reliable", "sensor_data"]),
        "Quality of service of ~/classification and ~/ood; reliable matches every subscriber.",
    ),
    camera(
        "max_image_age_secs",
        When::Live,
        double(0.0, 0.0, 3600.0),
        "An image whose stamp is older than this when it arrives is UNKNOWN; 0: any age, as for bags without /clock.",
    ),
    row(
        "max_image_pixels",
        When::Live,
        integer(67_108_864, 1, 2_147_483_648),
        "An image with more pixels than this is not decoded but UNKNOWN.",
    ),
    camera(
        "bit_depth",
        When::Live,
        integer(0, 0, 16),
        "Bits in use of the samples in 16-bit images, 8 to 16, for example 12; 0: found from the largest sample.",
    ),
    camera(
        "regions_topic",
        When::Configure,
        Kind::Topic { default: "", optional: true },
        "Topic of regions to judge one by one; empty: judge the whole image; with several cameras <camera>/<regions_topic>.",
    ),
    camera(
        "regions_type",
        When::Configure,
        choice("region_array", &["region_array", "detection2d_array"]),
        "Messages on regions_topic: activation_monitor/RegionArray or vision_msgs/Detection2DArray.",
    ),
    camera(
        "regions_timeout_secs",
        When::Live,
        double(0.5, 0.0, 60.0),
        "How long an image waits for the regions with its stamp; without_regions says what then happens.",
    ),
    camera(
        "regions_tolerance_secs",
        When::Live,
        double(0.0, 0.0, 10.0),
        "How far the stamps of an image and its regions may lie apart; 0: they must be equal.",
    ),
    camera(
        "without_regions",
        When::Live,
        choice("wait", &["wait", "skip", "whole_image"]),
        "Image without regions after regions_timeout_secs: wait: UNKNOWN; skip: counted, no answer; whole_image: judged whole.",
    ),
    row(
        "max_regions",
        When::Live,
        integer(64, 1, 10_000),
        "Largest number of regions judged per image; the rest is counted and said.",
    ),
    row("top_k", When::Live, integer(3, 1, 1000), "Largest number of classes listed per classification."),
    row("suspect_level", When::Live, double(0.05, 0.0, 1.0), "Verdict SUSPECT at or below this fused p-value."),
    row(
        "alarm_level",
        When::Live,
        double(0.01, 0.0, 1.0),
        "Verdict OUT_OF_DISTRIBUTION at or below this fused p-value.",
    ),
    row(
        "object_timeout_secs",
        When::Live,
        double(2.0, 0.05, 3600.0),
        "A region id that was not seen for longer, by the stamps, is another object when it comes again.",
    ),
    row(
        "mean_time_between_false_alarms",
        When::Live,
        double(10.0, 0.01, 100_000.0),
        "Promised mean time in hours until a camera's state is CHANGED by chance.",
    ),
    row(
        "stream_block_secs",
        When::Live,
        double(0.5, 0.01, 30.0),
        "Images within this time may depend on each other in any way without harm to that promise; another value begins the test anew.",
    ),
    row(
        "deadline_secs",
        When::Live,
        double(1.0, 0.01, 60.0),
        "An image in work for longer, or answered later, is an ERROR in the diagnostics; regions not begun by then are UNKNOWN.",
    ),
    row("diagnostics_period_secs", When::Start, double(1.0, 0.1, 60.0), "Time between two messages on /diagnostics."),
    row(
        "stale_after_secs",
        When::Live,
        double(3.0, 0.1, 3600.0),
        "Time without an image, or with the same one, after which the camera counts as silent or frozen in the diagnostics.",
    ),
    row(
        "record",
        When::Configure,
        choice("off", &["off", "alarms"]),
        "Record the seconds around alarms, and those that ~/save_event asks for, as rosbag2 (MCAP) in record_path.",
    ),
    row(
        "record_path",
        When::Configure,
        text("events"),
        "Folder of the recorded events, made where it does not exist; one node at a time.",
    ),
    row("record_before_secs", When::Configure, double(5.0, 0.1, 600.0), "Seconds before an alarm that are recorded."),
    row("record_after_secs", When::Configure, double(5.0, 0.1, 600.0), "Seconds after an alarm that are recorded."),
    row(
        "record_max_per_hour",
        When::Configure,
        integer(12, 1, 3600),
        "Largest number of events that are begun within an hour; further alarms are counted.",
    ),
    row(
        "record_quota_mib",
        When::Configure,
        integer(4096, 1, 100_000_000),
        "Space in MiB that all events have together; the oldest ones are deleted.",
    ),
    row(
        "record_free_mib",
        When::Configure,
        integer(1024, 0, 100_000_000),
        "Space in MiB that stays free on the disk; with less, nothing is recorded.",
    ),
    row(
        "record_memory_mib",
        When::Configure,
        integer(256, 1, 1_000_000),
        "Memory in MiB for the seconds before an alarm; where it does not suffice they are fewer.",
    ),
    row(
        "viewer",
        When::Configure,
        choice("off", &["off", "save", "serve", "connect"]),
        "Live view in rerun: save to a file, serve to viewers, or connect to a running viewer.",
    ),
    row(
        "viewer_path",
        When::Configure,
        text("monitor.rrd"),
        "File of viewer:=save, in a folder that exists; an older one is kept, the new one is then called monitor-1.rrd and so on.",
    ),
    row(
        "viewer_max_file_mib",
        When::Configure,
        integer(0, 0, 1_000_000),
        "Size in MiB from which a file of viewer:=save ends and the next begins; 0: never.",
    ),
    row(
        "viewer_max_file_secs",
        When::Configure,
        double(0.0, 0.0, 1e7),
        "Time after which a file of viewer:=save ends and the next begins; 0: never.",
    ),
    row(
        "viewer_max_files",
        When::Configure,
        integer(0, 0, 10_000),
        "Files of one start that are kept when they take turns, the oldest are removed; 0: all.",
    ),
    row(
        "viewer_address",
        When::Configure,
        text("127.0.0.1"),
        "Address to serve on or to connect to; anything but loopback is open to the network.",
    ),
    row("viewer_port", When::Configure, integer(9876, 1, 65535), "TCP port of viewer:=serve and viewer:=connect."),
    row(
        "viewer_layers",
        When::Configure,
        text("auto"),
        "Layers whose feature maps are shown, separated by commas; auto: the first four of the model; empty: none.",
    ),
    row(
        "viewer_queue",
        When::Configure,
        integer(8, 1, 1000),
        "Frames that wait for the viewer before the oldest is dropped.",
    ),
    row(
        "viewer_max_rate_hz",
        When::Live,
        double(10.0, 0.1, 1000.0),
        "Largest rate of pictures and feature maps in the viewer; p-values are shown for every image.",
    ),
    row(
        "use_sim_time",
        When::Live,
        Kind::Bool { default: false },
        "Take the node's time from /clock, as for replayed bags.",
    ),
];

impl Kind {
    /// Value when nothing is set.
    #[must_use]
    pub fn default_value(&self) -> Value {
        match *self {
            Self::Bool { default } => Value::Bool(default),
            Self::Integer { default, .. } => Value::Integer(default),
            Self::Double { default, .. } => Value::Double(default),
            Self::Text { default } | Self::Topic { default, .. } | Self::Choice { default, .. } => {
                Value::Text(default.to_owned())
            }
            Self::Cameras { default } => Value::TextArray(default.iter().map(|&name| name.to_owned()).collect()),
        }
    }

    /// Type as ROS calls it, with an article.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool { .. } => "a bool",
            Self::Integer { .. } => "an integer",
            Self::Double { .. } => "a double",
            Self::Text { .. } | Self::Topic { .. } | Self::Choice { .. } => "a string",
            Self::Cameras { .. } => "a string array",
        }
    }

    /// Allowed values in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        match self {
            Self::Bool { .. } => "true or false".to_owned(),
            Self::Integer { min, max, .. } => format!("in {min}..{max}"),
            Self::Double { min, max, .. } => format!("in {min}..{max}"),
            Self::Text { .. } => "any text".to_owned(),
            Self::Topic { optional: false, .. } => "a topic name".to_owned(),
            Self::Topic { optional: true, .. } => "a topic name or empty".to_owned(),
            Self::Cameras { .. } => "different names of letters, digits and _".to_owned(),
            Self::Choice { allowed, .. } => format!("one of {}", allowed.join(", ")),
        }
    }

    /// Why a value of the right type is not allowed.
    fn refusal(&self, name: &str, value: &Value) -> Option<ParameterError> {
        let fits = match (self, value) {
            (Self::Integer { min, max, .. }, Value::Integer(value)) => (min..=max).contains(&value),
            (Self::Double { min, max, .. }, Value::Double(value)) => (min..=max).contains(&value),
            (Self::Choice { allowed, .. }, Value::Text(value)) => allowed.contains(&value.as_str()),
            (Self::Text { .. }, Value::Text(text)) => return wrong_name(name, check_text(text)),
            (Self::Topic { optional: true, .. }, Value::Text(topic)) if topic.is_empty() => true,
            (Self::Topic { .. }, Value::Text(topic)) => return wrong_name(name, names::check_topic(topic)),
            (Self::Cameras { .. }, Value::TextArray(cameras)) => {
                return wrong_name(name, names::check_cameras(cameras));
            }
            _ => true,
        };
        let (name, allowed, actual) = (name.to_owned(), self.allowed(), value.to_string());
        (!fits).then_some(ParameterError::Range { name, allowed, actual })
    }

    fn is_type_of(&self, value: &Value) -> bool {
        std::mem::discriminant(&self.default_value()) == std::mem::discriminant(value)
    }

    /// Forgives what YAML makes of a value that was meant well: `off` is a bool there, `1` an integer. No camera can be
    /// written as an array with one empty text, too, since not every ROS 2 reads an empty array.
    fn adapt(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Choice { .. }, Value::Bool(false)) => Value::Text("off".to_owned()),
            (Self::Double { .. }, Value::Integer(whole)) => Value::Double(whole as f64),
            (Self::Text { .. }, Value::Integer(whole)) => Value::Text(whole.to_string()),
            (Self::Cameras { .. }, Value::TextArray(cameras)) if cameras == [""] => Value::TextArray(Vec::new()),
            (_, value) => value,
        }
    }
}

/// Paths are this long at most, and C strings hold no NUL.
fn check_text(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("a text must not contain NUL".to_owned());
    }
    let length = text.len();
    if length > MAX_TEXT_BYTES { Err(format!("{length} bytes, {MAX_TEXT_BYTES} are allowed")) } else { Ok(()) }
}

fn wrong_name(parameter: &str, checked: Result<(), String>) -> Option<ParameterError> {
    checked.err().map(|reason| ParameterError::Name { name: parameter.to_owned(), reason })
}

impl Parameter {
    /// Row of that name.
    ///
    /// # Errors
    /// [`ParameterError::Unknown`].
    pub fn find(name: &str) -> Result<&'static Self, ParameterError> {
        PARAMETERS.iter().find(|row| row.name == name).ok_or_else(|| ParameterError::Unknown(cut(name)))
    }

    /// Checks type and range of a value, after adapting what YAML misread.
    ///
    /// # Errors
    /// [`ParameterError`] with what is allowed.
    pub fn check(&self, value: Value) -> Result<Value, ParameterError> {
        self.check_as(self.name, value)
    }

    /// As [`Parameter::check`], with the full name of the parameter of a camera in the messages.
    ///
    /// # Errors
    /// [`ParameterError`] with what is allowed.
    pub fn check_as(&self, name: &str, value: Value) -> Result<Value, ParameterError> {
        let value = self.kind.adapt(value);
        self.check_type(name, &value)?;
        self.kind.refusal(name, &value).map_or(Ok(value), Err)
    }

    /// Checks that a value has the type of the row as it is.
    ///
    /// # Errors
    /// [`ParameterError::Type`].
    pub fn check_type(&self, name: &str, value: &Value) -> Result<(), ParameterError> {
        if self.kind.is_type_of(value) {
            return Ok(());
        }
        let expected = self.kind.type_name();
        Err(ParameterError::Type { name: cut(name), expected, actual: value.to_string() })
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "`{}`", cut(value)),
            Self::TextArray(texts) => write!(f, "[{}]", cut(&texts.join(", "))),
            Self::Other(type_name) => write!(f, "{type_name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: Value) -> Result<Value, ParameterError> {
        Parameter::find(name).unwrap().check(value)
    }

    #[test]
    fn every_default_is_allowed_and_every_name_unique() {
        for (index, row) in PARAMETERS.iter().enumerate() {
            assert_eq!(row.check(row.kind.default_value()), Ok(row.kind.default_value()), "{}", row.name);
            assert!(PARAMETERS[..index].iter().all(|other| other.name != row.name), "{} twice", row.name);
            assert!(row.description.ends_with('.'), "{}", row.name);
        }
    }

    #[test]
    fn out_of_range_says_what_is_allowed() {
        let error = check("alarm_level", Value::Double(1.5)).unwrap_err();
        assert_eq!(error.to_string(), "parameter `alarm_level` must be in 0..1, got 1.5");
        assert!(check("alarm_level", Value::Double(f64::NAN)).is_err());
        assert!(check("alarm_level", Value::Double(1.0)).is_ok());
        assert!(check("top_k", Value::Integer(0)).is_err());
        let error = check("viewer", Value::Text("on".into())).unwrap_err();
        assert_eq!(error.to_string(), "parameter `viewer` must be one of off, save, serve, connect, got `on`");
    }

    #[test]
    fn a_wrong_type_is_named() {
        let error = check("top_k", Value::Text("many".into())).unwrap_err();
        assert_eq!(error.to_string(), "parameter `top_k` must be an integer, got `many`");
        assert!(check("use_sim_time", Value::Integer(1)).is_err());
    }

    #[test]
    fn what_yaml_misreads_is_adapted() {
        assert_eq!(check("viewer", Value::Bool(false)), Ok(Value::Text("off".into())));
        assert!(check("viewer", Value::Bool(true)).is_err());
        assert_eq!(check("regions_timeout_secs", Value::Integer(1)), Ok(Value::Double(1.0)));
        assert_eq!(check("model", Value::Integer(7)), Ok(Value::Text("7".into())));
    }

    #[test]
    fn texts_are_bounded() {
        assert!(check("model", Value::Text("a".repeat(4096))).is_ok());
        let error = check("model", Value::Text("a".repeat(4097))).unwrap_err().to_string();
        assert_eq!(error, "parameter `model`: 4097 bytes, 4096 are allowed");
        assert!(check("model", Value::Text("a\0b".into())).unwrap_err().to_string().contains("NUL"));
        let error = check("viewer", Value::Text("a".repeat(1000))).unwrap_err().to_string();
        assert!(error.len() < 250, "{error}");
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(matches!(Parameter::find("alarm_levl"), Err(ParameterError::Unknown(_))));
    }
}
