//! The one table of ROS parameters: names, types, defaults, ranges and descriptions.
//!
//! `--help`, `docs/parameters.md`, `params/monitor.yaml` and the launch file are generated from it or compared with it
//! by a test.

use serde::Serialize;

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
    /// Anything else that ROS can hold, by the name of its type; no parameter accepts it.
    Other(&'static str),
}

/// Type, default and allowed values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
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
    /// One of a few words.
    Choice {
        /// Value when nothing is set.
        default: &'static str,
        /// The allowed words.
        allowed: &'static [&'static str],
    },
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parameter {
    /// ROS name.
    pub name: &'static str,
    /// Type, default and allowed values.
    #[serde(flatten)]
    pub kind: Kind,
    /// Whether it can be changed while the node runs.
    pub dynamic: bool,
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
        name: &'static str,
        /// Expected type.
        expected: &'static str,
        /// What was given.
        actual: String,
    },
    /// Outside of the range or not among the allowed words.
    #[error("parameter `{name}` must be {allowed}, got {actual}")]
    Range {
        /// Parameter.
        name: &'static str,
        /// Allowed values in words.
        allowed: String,
        /// What was given.
        actual: String,
    },
    /// Changed while the node runs.
    #[error("parameter `{0}` is read when the node starts: restart the node to change it")]
    ReadOnly(&'static str),
    /// Contradicts another parameter.
    #[error("alarm_level {alarm} must not be above suspect_level {suspect}")]
    Levels {
        /// Alarm level.
        alarm: f64,
        /// Suspect level.
        suspect: f64,
    },
}

const fn row(name: &'static str, dynamic: bool, kind: Kind, description: &'static str) -> Parameter {
    Parameter { name, kind, dynamic, description }
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

/// Set once, when the node starts.
const FIXED: bool = false;
/// Can be changed while the node runs.
const DYNAMIC: bool = true;

/// Every parameter of the node.
pub const PARAMETERS: &[Parameter] = &[
    row("model", FIXED, text(""), "Folder of the model (model.pt and model.json); required."),
    row(
        "monitor",
        FIXED,
        text(""),
        "Monitor file fitted on that model; empty: classify only, every verdict is UNKNOWN.",
    ),
    row("device", FIXED, text("auto"), "Where the model runs: auto, cpu or cuda:N; auto takes the first GPU there is."),
    row("image_topic", FIXED, text("image"), "Topic of the camera images, remappable."),
    row(
        "image_transport",
        FIXED,
        choice("raw", &["raw", "compressed"]),
        "raw: sensor_msgs/Image; compressed: sensor_msgs/CompressedImage (JPEG or PNG) on exactly image_topic.",
    ),
    row(
        "image_qos",
        FIXED,
        choice("sensor_data", &["sensor_data", "reliable"]),
        "Quality of service of the image and region subscriptions; sensor_data is best effort and matches every publisher.",
    ),
    row(
        "output_qos",
        FIXED,
        choice("reliable", &["reliable", "sensor_data"]),
        "Quality of service of ~/classification and ~/ood; reliable matches every subscriber.",
    ),
    row("regions_topic", FIXED, text(""), "Topic of regions to judge one by one; empty: judge the whole image."),
    row(
        "regions_timeout_secs",
        DYNAMIC,
        double(0.5, 0.0, 60.0),
        "How long an image waits for the regions with its stamp before its verdict is UNKNOWN.",
    ),
    row("top_k", DYNAMIC, integer(3, 1, 1000), "Largest number of classes listed per classification."),
    row("suspect_level", DYNAMIC, double(0.05, 0.0, 1.0), "Verdict SUSPECT at or below this fused p-value."),
    row("alarm_level", DYNAMIC, double(0.01, 0.0, 1.0), "Verdict OUT_OF_DISTRIBUTION at or below this fused p-value."),
    row("diagnostics_period_secs", FIXED, double(1.0, 0.1, 60.0), "Time between two messages on /diagnostics."),
    row(
        "stale_after_secs",
        DYNAMIC,
        double(3.0, 0.1, 3600.0),
        "Time without an image after which the camera counts as silent in the diagnostics.",
    ),
    row(
        "viewer",
        FIXED,
        choice("off", &["off", "save", "serve", "connect"]),
        "Live view in rerun: save to a file, serve to viewers, or connect to a running viewer.",
    ),
    row(
        "viewer_path",
        FIXED,
        text("monitor.rrd"),
        "File of viewer:=save, in a folder that exists; an older one is kept, the new one is then called monitor-1.rrd and so on.",
    ),
    row(
        "viewer_address",
        FIXED,
        text("127.0.0.1"),
        "Address to serve on or to connect to; anything but loopback is open to the network.",
    ),
    row("viewer_port", FIXED, integer(9876, 1, 65535), "TCP port of viewer:=serve and viewer:=connect."),
    row(
        "viewer_layers",
        FIXED,
        text("auto"),
        "Layers whose feature maps are shown, separated by commas; auto: the first four of the model; empty: none.",
    ),
    row("viewer_queue", FIXED, integer(8, 1, 1000), "Frames that wait for the viewer before the oldest is dropped."),
    row(
        "viewer_max_rate_hz",
        DYNAMIC,
        double(10.0, 0.1, 1000.0),
        "Largest rate of pictures and feature maps in the viewer; p-values are shown for every image.",
    ),
    row(
        "use_sim_time",
        FIXED,
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
            Self::Text { default } | Self::Choice { default, .. } => Value::Text(default.to_owned()),
        }
    }

    /// Type as ROS calls it, with an article.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool { .. } => "a bool",
            Self::Integer { .. } => "an integer",
            Self::Double { .. } => "a double",
            Self::Text { .. } | Self::Choice { .. } => "a string",
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
            Self::Choice { allowed, .. } => format!("one of {}", allowed.join(", ")),
        }
    }

    fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Integer { min, max, .. }, Value::Integer(value)) => (min..=max).contains(&value),
            (Self::Double { min, max, .. }, Value::Double(value)) => (min..=max).contains(&value),
            (Self::Choice { allowed, .. }, Value::Text(value)) => allowed.contains(&value.as_str()),
            _ => true,
        }
    }

    fn is_type_of(&self, value: &Value) -> bool {
        std::mem::discriminant(&self.default_value()) == std::mem::discriminant(value)
    }

    /// Forgives what YAML makes of a value that was meant well: `off` is a bool there, `1` an integer.
    fn adapt(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Choice { .. }, Value::Bool(false)) => Value::Text("off".to_owned()),
            (Self::Double { .. }, Value::Integer(whole)) => Value::Double(whole as f64),
            (Self::Text { .. }, Value::Integer(whole)) => Value::Text(whole.to_string()),
            (_, value) => value,
        }
    }
}

impl Parameter {
    /// Row of that name.
    ///
    /// # Errors
    /// [`ParameterError::Unknown`].
    pub fn find(name: &str) -> Result<&'static Self, ParameterError> {
        PARAMETERS.iter().find(|row| row.name == name).ok_or_else(|| ParameterError::Unknown(name.to_owned()))
    }

    /// Checks type and range of a value, after adapting what YAML misread.
    ///
    /// # Errors
    /// [`ParameterError`] with what is allowed.
    pub fn check(&self, value: Value) -> Result<Value, ParameterError> {
        let value = self.kind.adapt(value);
        if !self.kind.is_type_of(&value) {
            let expected = self.kind.type_name();
            return Err(ParameterError::Type { name: self.name, expected, actual: value.to_string() });
        }
        if !self.kind.contains(&value) {
            let allowed = self.kind.allowed();
            return Err(ParameterError::Range { name: self.name, allowed, actual: value.to_string() });
        }
        Ok(value)
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "`{value}`"),
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
    fn an_unknown_name_is_refused() {
        assert!(matches!(Parameter::find("alarm_levl"), Err(ParameterError::Unknown(_))));
    }
}
