//! The values of all parameters, and typed views of them.

use std::path::PathBuf;
use std::time::Duration;

use super::table::{PARAMETERS, Parameter, ParameterError, Value};

/// The value of every parameter of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    values: Vec<Value>,
}

/// The parameters that can be changed while the node runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Fused p-value at or below which a region is suspect.
    pub suspect_level: f32,
    /// Fused p-value at or below which a region is out of distribution.
    pub alarm_level: f32,
    /// Largest number of classes listed.
    pub top_k: usize,
    /// How long an image waits for its regions.
    pub regions_timeout: Duration,
    /// Time without an image after which a camera is silent.
    pub stale_after: Duration,
    /// Smallest time between two pictures in the viewer.
    pub viewer_picture_period: Duration,
}

/// How images arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `sensor_msgs/Image`.
    Raw,
    /// `sensor_msgs/CompressedImage`.
    Compressed,
}

/// Reliability of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliability {
    /// Lost messages are not sent again.
    BestEffort,
    /// Lost messages are sent again.
    Reliable,
}

impl Default for Settings {
    fn default() -> Self {
        Self { values: PARAMETERS.iter().map(|row| row.kind.default_value()).collect() }
    }
}

impl Settings {
    /// Sets a value before the node starts.
    ///
    /// # Errors
    /// [`ParameterError`] for an unknown name, a wrong type or a value that is not allowed.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), ParameterError> {
        let row = Parameter::find(name)?;
        let value = row.check(value)?;
        *self.value_mut(row) = value;
        Ok(())
    }

    /// Changes a value while the node runs. Nothing is changed when an error is returned.
    ///
    /// # Errors
    /// As [`Settings::set`], and for parameters that are only read at the start or would contradict each other.
    pub fn change(&mut self, name: &str, value: Value) -> Result<(), ParameterError> {
        let row = Parameter::find(name)?;
        let mut changed = self.clone();
        changed.set(name, value)?;
        if !row.dynamic && changed != *self {
            return Err(ParameterError::ReadOnly(row.name));
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Checks what no single row can: values that must fit together.
    ///
    /// # Errors
    /// [`ParameterError::Levels`].
    pub fn check(&self) -> Result<(), ParameterError> {
        let (alarm, suspect) = (self.double("alarm_level"), self.double("suspect_level"));
        if alarm > suspect {
            return Err(ParameterError::Levels { alarm, suspect });
        }
        Ok(())
    }

    /// Value of a parameter; `None` when the table has no such name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let index = PARAMETERS.iter().position(|row| row.name == name)?;
        self.values.get(index)
    }

    /// The parameters that can be changed while the node runs.
    #[must_use]
    pub fn tuning(&self) -> Tuning {
        Tuning {
            suspect_level: self.double("suspect_level") as f32,
            alarm_level: self.double("alarm_level") as f32,
            top_k: usize::try_from(self.integer("top_k")).unwrap_or(1),
            regions_timeout: Duration::from_secs_f64(self.double("regions_timeout_secs")),
            stale_after: Duration::from_secs_f64(self.double("stale_after_secs")),
            viewer_picture_period: Duration::from_secs_f64(1.0 / self.double("viewer_max_rate_hz")),
        }
    }

    /// Text of a text or choice parameter. Panics when `name` is no such row: names are literals.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            other => panic!("`{name}` is not a text parameter: {other:?}"),
        }
    }

    /// Number of a double parameter. Panics when `name` is no such row: names are literals.
    #[must_use]
    pub fn double(&self, name: &str) -> f64 {
        match self.get(name) {
            Some(Value::Double(value)) => *value,
            other => panic!("`{name}` is not a double parameter: {other:?}"),
        }
    }

    /// Number of an integer parameter. Panics when `name` is no such row: names are literals.
    #[must_use]
    pub fn integer(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Integer(value)) => *value,
            other => panic!("`{name}` is not an integer parameter: {other:?}"),
        }
    }

    /// Text as a path; `None` when it is empty.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// How images arrive.
    #[must_use]
    pub fn transport(&self) -> Transport {
        if self.text("image_transport") == "compressed" { Transport::Compressed } else { Transport::Raw }
    }

    /// Reliability that a quality-of-service parameter asks for.
    #[must_use]
    pub fn reliability(&self, name: &str) -> Reliability {
        if self.text(name) == "reliable" { Reliability::Reliable } else { Reliability::BestEffort }
    }

    fn value_mut(&mut self, row: &Parameter) -> &mut Value {
        let index = PARAMETERS.iter().position(|other| other.name == row.name);
        &mut self.values[index.expect("every row is in the table")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_read_as_the_types_that_the_accessors_expect() {
        let settings = Settings::default();
        assert_eq!(settings.check(), Ok(()));
        let tuning = settings.tuning();
        assert_eq!((tuning.suspect_level, tuning.alarm_level, tuning.top_k), (0.05, 0.01, 3));
        assert_eq!(tuning.viewer_picture_period, Duration::from_millis(100));
        assert_eq!(settings.transport(), Transport::Raw);
        assert_eq!(settings.reliability("image_qos"), Reliability::BestEffort);
        assert_eq!(settings.reliability("output_qos"), Reliability::Reliable);
        assert_eq!(settings.path("model"), None);
    }

    #[test]
    fn dynamic_parameters_change_and_fixed_ones_do_not() {
        let mut settings = Settings::default();
        settings.change("alarm_level", Value::Double(0.02)).unwrap();
        assert_eq!(settings.tuning().alarm_level, 0.02);
        let refused = settings.change("model", Value::Text("other".into()));
        assert_eq!(refused, Err(ParameterError::ReadOnly("model")));
        assert_eq!(settings.text("model"), "");
    }

    #[test]
    fn setting_a_fixed_parameter_to_its_own_value_is_no_change() {
        let mut settings = Settings::default();
        assert_eq!(settings.change("device", Value::Text("auto".into())), Ok(()));
    }

    #[test]
    fn levels_that_contradict_each_other_are_refused_and_leave_no_trace() {
        let mut settings = Settings::default();
        let refused = settings.change("alarm_level", Value::Double(0.5));
        assert_eq!(refused, Err(ParameterError::Levels { alarm: 0.5, suspect: 0.05 }));
        assert_eq!(settings, Settings::default());
    }
}
