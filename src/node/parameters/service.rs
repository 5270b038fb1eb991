//! The parameter table as ROS sees it: values from the command line, YAML files and the parameter services.

use r2r::indexmap::IndexMap;
use r2r::{ParameterValue, RosParams};

use super::settings::{Settings, Stage};
use super::table::{Kind, PARAMETERS, Parameter, ParameterError, Value};

/// Values that ROS was given at the start, by name.
pub type Overrides = IndexMap<String, r2r::Parameter>;

/// Parameters of ROS itself that may stand beside ours.
const OF_ROS: [&str; 2] = ["qos_overrides.", "start_type_description_service"];

/// Reads the values given at the start. Returns the names that are not in the table: files may hold parameters of
/// other nodes, so that is no error.
///
/// # Errors
/// [`ParameterError`] for a value that is not allowed.
pub fn read(overrides: &Overrides, settings: &mut Settings) -> Result<Vec<String>, ParameterError> {
    let mut strange = Vec::new();
    for (name, parameter) in overrides {
        match settings.set(name, from_ros(&parameter.value)) {
            Ok(()) => {}
            Err(ParameterError::Unknown(_)) if OF_ROS.iter().any(|prefix| name.starts_with(prefix)) => {}
            Err(ParameterError::Unknown(name)) => strange.push(name),
            Err(error) => return Err(error),
        }
    }
    settings.check()?;
    Ok(strange)
}

impl RosParams for Settings {
    fn register_parameters(
        &mut self,
        _prefix: &str,
        _parameter: Option<r2r::Parameter>,
        parameters: &mut Overrides,
    ) -> r2r::Result<()> {
        for row in PARAMETERS {
            let value = to_ros(&self.get(row.name).unwrap_or_else(|| row.kind.default_value()));
            parameters.insert(row.name.to_owned(), r2r::Parameter { value, description: describe(row) });
        }
        Ok(())
    }

    fn get_parameter(&mut self, name: &str) -> r2r::Result<ParameterValue> {
        self.get(name).as_ref().map(to_ros).ok_or_else(|| unknown(name))
    }

    fn set_parameter(&mut self, name: &str, value: &ParameterValue) -> r2r::Result<()> {
        check_type(name, value)?;
        self.change(name, from_ros(value), Stage::Active).map_err(|error| refused(name, &error))?;
        tracing::info!("parameter {name} is now {}", from_ros(value));
        Ok(())
    }

    fn check_parameter(&self, name: &str, value: &ParameterValue) -> r2r::Result<()> {
        check_type(name, value)?;
        self.clone().change(name, from_ros(value), Stage::Active).map_err(|error| refused(name, &error))
    }
}

/// While the node runs nothing is adapted: r2r stores the value with the type it was given.
fn check_type(name: &str, value: &ParameterValue) -> r2r::Result<()> {
    let row = Parameter::find(name).map_err(|_| unknown(name))?;
    if std::mem::discriminant(&to_ros(&row.kind.default_value())) == std::mem::discriminant(value) {
        return Ok(());
    }
    let (expected, actual) = (row.kind.type_name(), from_ros(value).to_string());
    Err(refused(name, &ParameterError::Type { name: name.to_owned(), expected, actual }))
}

fn unknown(name: &str) -> r2r::Error {
    r2r::Error::InvalidParameterName { name: name.to_owned() }
}

fn refused(name: &str, error: &ParameterError) -> r2r::Error {
    r2r::Error::ParameterValueConv { name: name.to_owned(), msg: error.to_string() }
}

fn from_ros(value: &ParameterValue) -> Value {
    match value {
        ParameterValue::Bool(value) => Value::Bool(*value),
        ParameterValue::Integer(value) => Value::Integer(*value),
        ParameterValue::Double(value) => Value::Double(*value),
        ParameterValue::String(value) => Value::Text(value.clone()),
        ParameterValue::StringArray(values) => Value::TextArray(values.clone()),
        other => Value::Other(other.type_name()),
    }
}

fn to_ros(value: &Value) -> ParameterValue {
    match value {
        Value::Bool(value) => ParameterValue::Bool(*value),
        Value::Integer(value) => ParameterValue::Integer(*value),
        Value::Double(value) => ParameterValue::Double(*value),
        Value::Text(value) => ParameterValue::String(value.clone()),
        Value::TextArray(values) => ParameterValue::StringArray(values.clone()),
        Value::Other(_) => ParameterValue::NotSet,
    }
}

/// Description with the allowed values. r2r wants it to live as long as the program, which is as often as this runs.
fn describe(row: &Parameter) -> &'static str {
    match row.kind {
        Kind::Text { .. } | Kind::Bool { .. } => row.description,
        _ => Box::leak(format!("{} Must be {}.", row.description, row.kind.allowed()).into_boxed_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(values: &[(&str, ParameterValue)]) -> Overrides {
        values.iter().map(|(name, value)| ((*name).to_owned(), r2r::Parameter::new(value.clone()))).collect()
    }

    #[test]
    fn values_from_the_start_are_read_and_strange_names_reported() {
        let mut settings = Settings::default();
        let given = overrides(&[
            ("model", ParameterValue::String("/m".into())),
            ("viewer", ParameterValue::Bool(false)),
            ("alarm_levl", ParameterValue::Double(0.1)),
            ("qos_overrides./clock.subscription.depth", ParameterValue::Integer(1)),
        ]);
        assert_eq!(read(&given, &mut settings), Ok(vec!["alarm_levl".to_owned()]));
        assert_eq!((settings.text("model"), settings.text("viewer")), ("/m", "off"));
    }

    #[test]
    fn values_that_are_not_allowed_are_refused() {
        for (name, value) in [
            ("alarm_level", ParameterValue::Double(2.0)),
            ("alarm_level", ParameterValue::Double(0.5)), // above suspect_level
            ("model", ParameterValue::DoubleArray(vec![1.0])),
            ("top_k", ParameterValue::String("3".into())),
        ] {
            assert!(read(&overrides(&[(name, value.clone())]), &mut Settings::default()).is_err(), "{name} {value:?}");
        }
    }

    #[test]
    fn the_services_change_dynamic_parameters_only() {
        let mut settings = Settings::default();
        settings.set_parameter("alarm_level", &ParameterValue::Double(0.02)).unwrap();
        assert_eq!(settings.get_parameter("alarm_level").unwrap(), ParameterValue::Double(0.02));
        let refused = settings.set_parameter("model", &ParameterValue::String("x".into())).unwrap_err().to_string();
        assert!(refused.contains("deactivate the node"), "{refused}");
        assert!(
            settings.set_parameter("alarm_level", &ParameterValue::Integer(0)).is_err(),
            "r2r would store an integer"
        );
        assert!(settings.check_parameter("top_k", &ParameterValue::Integer(0)).is_err());
        assert!(settings.set_parameter("nonsense", &ParameterValue::Integer(0)).is_err());
    }

    #[test]
    fn every_row_is_registered_with_its_allowed_values() {
        let mut registered = Overrides::new();
        Settings::default().register_parameters("", None, &mut registered).unwrap();
        assert!(registered.keys().eq(PARAMETERS.iter().map(|row| row.name)));
        assert!(registered["alarm_level"].description.ends_with("Must be in 0..1."));
    }
}
