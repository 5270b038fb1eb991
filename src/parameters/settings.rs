//! The values of all parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::names::{CameraName, cut};
use super::qos::{self, Qos, QosOverrides, Reliability, Role};
use super::table::{Kind, PARAMETERS, Parameter, ParameterError, Value, When};

/// The value of every parameter of the table, and those that cameras have of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    values: Vec<Value>,
    /// By camera and row. A camera that is not in the parameter `cameras` may have values here: they count once it is.
    of_cameras: BTreeMap<(String, &'static str), Value>,
    qos: QosOverrides,
}

/// What the node is doing when a parameter is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Unconfigured or inactive: the next `configure` reads the parameters.
    Idle,
    /// Active or on the way to another state.
    Active,
}

impl Default for Settings {
    fn default() -> Self {
        let values = PARAMETERS.iter().map(|row| row.kind.default_value()).collect();
        Self { values, of_cameras: BTreeMap::new(), qos: QosOverrides::default() }
    }
}

/// Most values that cameras may have of their own, those of cameras that are not there included.
const MAX_OF_CAMERAS: usize = 2000;

/// A parameter: a row of the table, that row of one camera, or a quality of service.
enum Place {
    Row(&'static Parameter),
    OfCamera(&'static Parameter, String),
    Qos,
}

impl Settings {
    /// Sets a value before the node starts.
    ///
    /// # Errors
    /// [`ParameterError`] for an unknown name, a wrong type or a value that is not allowed.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), ParameterError> {
        match place(name)? {
            Place::Row(row) => *self.value_mut(row) = row.check(value)?,
            Place::OfCamera(row, camera) => {
                self.of_cameras.insert((camera, row.name), row.check_as(name, value)?);
            }
            Place::Qos => self.qos.set(name, value)?,
        }
        Ok(())
    }

    /// The settings after all of these changes at once, while the node runs.
    ///
    /// # Errors
    /// As [`Settings::set`]; for a value of another type, which is not adapted; for a parameter that is not read any more
    /// in that stage; and for values that contradict each other.
    pub fn changed(&self, changes: &[(String, Value)], stage: Stage) -> Result<Self, ParameterError> {
        let mut changed = self.clone();
        for (name, value) in changes {
            changed.change(name, value, stage)?;
        }
        changed.check()?;
        match changes.iter().find(|(name, _)| changed.get(name).is_none()) {
            Some((name, _)) => Err(ParameterError::Unknown(cut(name))),
            None => Ok(changed),
        }
    }

    fn change(&mut self, name: &str, value: &Value, stage: Stage) -> Result<(), ParameterError> {
        let before = self.get(name);
        let when = match place(name)? {
            Place::Row(row) | Place::OfCamera(row, _) => {
                row.check_type(name, value)?;
                row.when
            }
            Place::Qos if before.is_some() => When::Start,
            Place::Qos => return Err(ParameterError::Unknown(cut(name))),
        };
        self.set(name, value.clone())?;
        if before.is_some() && before != self.get(name) { changeable(when, name, stage) } else { Ok(()) }
    }

    /// Checks what no single row can: values that must fit together.
    ///
    /// # Errors
    /// [`ParameterError::Levels`], [`ParameterError::TooMany`], and [`ParameterError::Name`] for a topic that is too long
    /// under the name of its camera.
    pub fn check(&self) -> Result<(), ParameterError> {
        let (alarm, suspect) = (self.double("alarm_level"), self.double("suspect_level"));
        if alarm > suspect {
            return Err(ParameterError::Levels { alarm, suspect });
        }
        let (what, most, found) = ("the number of values of cameras", MAX_OF_CAMERAS, self.of_cameras.len());
        if found > most {
            return Err(ParameterError::TooMany { what, most, found });
        }
        self.named_cameras().iter().try_for_each(|camera| self.check_topics(camera))
    }

    fn check_topics(&self, camera: &str) -> Result<(), ParameterError> {
        let topics = PARAMETERS.iter().filter(|row| row.per_camera && matches!(row.kind, Kind::Topic { .. }));
        topics.into_iter().try_for_each(|row| {
            let name = format!("{camera}.{}", row.name);
            row.check_as(&name, self.of_camera(row, camera)).map(drop)
        })
    }

    /// Value in force of a parameter, `<camera>.<row>` included; `None` when there is no such parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        match place(name).ok()? {
            Place::Row(row) => Some(self.value(row).clone()),
            Place::OfCamera(row, camera) if self.named_cameras().contains(&camera) => {
                Some(self.of_camera(row, &camera))
            }
            Place::OfCamera(..) => None,
            Place::Qos => self.qos.get(name).cloned(),
        }
    }

    /// Every parameter: the rows of the table, those of each camera, and the given `qos_overrides.*`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let plain = PARAMETERS.iter().map(|row| row.name.to_owned());
        let rows = || PARAMETERS.iter().filter(|row| row.per_camera);
        let of_camera = |camera: &String| rows().map(|row| format!("{camera}.{}", row.name)).collect::<Vec<_>>();
        let of_cameras = self.named_cameras().iter().flat_map(of_camera);
        plain.chain(of_cameras).chain(self.qos.names().map(str::to_owned)).collect()
    }

    /// Row of the table that a parameter belongs to; `None` for `qos_overrides.*` and where there is no such parameter.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&'static Parameter> {
        self.get(name)?;
        match place(name).ok()? {
            Place::Row(row) | Place::OfCamera(row, _) => Some(row),
            Place::Qos => None,
        }
    }

    /// Whether `name` is a parameter of a camera that is not in the parameter `cameras`.
    #[must_use]
    pub fn is_without_camera(&self, name: &str) -> bool {
        matches!(place(name), Ok(Place::OfCamera(_, camera)) if !self.named_cameras().contains(&camera))
    }

    /// Names of values for cameras that are not in the parameter `cameras`.
    #[must_use]
    pub fn without_camera(&self) -> Vec<String> {
        let strangers = self.of_cameras.keys().filter(|(camera, _)| !self.named_cameras().contains(camera));
        strangers.map(|(camera, row)| format!("{camera}.{row}")).collect()
    }

    /// Quality of service of an endpoint of this node: `default` with what `qos_overrides.*` say about the topic with that
    /// full name, after remapping.
    #[must_use]
    pub fn qos(&self, topic: &str, role: Role, default: Qos) -> Qos {
        self.qos.apply(topic, role, default)
    }

    /// Names of the `qos_overrides.*` that concern none of the node's endpoints (full topics and roles).
    #[must_use]
    pub fn qos_without_endpoint(&self, endpoints: &[(String, Role)]) -> Vec<String> {
        self.qos.without_endpoint(endpoints)
    }

    /// The cameras, at least one: without the parameter `cameras` it has no name.
    #[must_use]
    pub fn camera_names(&self) -> Vec<CameraName> {
        match self.named_cameras() {
            [] => vec![CameraName::default()],
            names => names.iter().map(|name| CameraName::named(name)).collect(),
        }
    }

    /// Text of a text, topic or choice parameter. Panics when `name` is no such row: names are literals.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.plain(name) {
            Some(Value::Text(text)) => text,
            other => panic!("`{name}` is not a text parameter: {other:?}"),
        }
    }

    /// Number of a double parameter. Panics when `name` is no such row: names are literals.
    #[must_use]
    pub fn double(&self, name: &str) -> f64 {
        match self.plain(name) {
            Some(Value::Double(value)) => *value,
            other => panic!("`{name}` is not a double parameter: {other:?}"),
        }
    }

    /// Number of an integer parameter. Panics when `name` is no such row: names are literals.
    #[must_use]
    pub fn integer(&self, name: &str) -> i64 {
        match self.plain(name) {
            Some(Value::Integer(value)) => *value,
            other => panic!("`{name}` is not an integer parameter: {other:?}"),
        }
    }

    /// Truth value of a bool parameter. Panics when `name` is no such row: names are literals.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        match self.plain(name) {
            Some(Value::Bool(value)) => *value,
            other => panic!("`{name}` is not a bool parameter: {other:?}"),
        }
    }

    /// Text as a path; `None` when it is empty.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// Reliability that a quality-of-service parameter asks for.
    #[must_use]
    pub fn reliability(&self, name: &str) -> Reliability {
        Reliability::named(self.text(name))
    }

    /// The parameter `cameras`.
    fn named_cameras(&self) -> &[String] {
        match self.plain("cameras") {
            Some(Value::TextArray(names)) => names,
            other => panic!("`cameras` is not a string array: {other:?}"),
        }
    }

    /// A row of one camera: its own value; or that for all, topics under the name of the camera where there are several.
    pub(super) fn of_camera(&self, row: &'static Parameter, camera: &str) -> Value {
        let key = (camera.to_owned(), row.name);
        match (self.of_cameras.get(&key), row.kind, self.value(row)) {
            (Some(own), ..) => own.clone(),
            (None, Kind::Topic { .. }, Value::Text(topic)) if self.named_cameras().len() > 1 && !topic.is_empty() => {
                Value::Text(CameraName::named(camera).prefix(topic))
            }
            (None, _, for_all) => for_all.clone(),
        }
    }

    fn plain(&self, name: &str) -> Option<&Value> {
        Parameter::find(name).ok().map(|row| self.value(row))
    }

    pub(super) fn value(&self, row: &Parameter) -> &Value {
        &self.values[index(row)]
    }

    fn value_mut(&mut self, row: &Parameter) -> &mut Value {
        &mut self.values[index(row)]
    }
}

fn index(row: &Parameter) -> usize {
    let index = PARAMETERS.iter().position(|other| other.name == row.name);
    index.expect("every row is in the table")
}

/// The parameter that `name` means. Whether there is such a camera is not asked here.
fn place(name: &str) -> Result<Place, ParameterError> {
    if name.starts_with(qos::PREFIX) {
        return Ok(Place::Qos);
    }
    let Some((camera, rest)) = name.split_once('.') else { return Parameter::find(name).map(Place::Row) };
    match Parameter::find(rest) {
        Ok(row) if row.per_camera => Ok(Place::OfCamera(row, camera.to_owned())),
        _ => Err(ParameterError::Unknown(cut(name))),
    }
}

fn changeable(when: When, name: &str, stage: Stage) -> Result<(), ParameterError> {
    match (when, stage) {
        (When::Live, _) | (When::Configure, Stage::Idle) => Ok(()),
        (When::Configure, Stage::Active) => Err(ParameterError::Active(name.to_owned())),
        (When::Start, _) => Err(ParameterError::ReadOnly(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::typed::{CameraSettings, RegionsType, Transport, WithoutRegions};
    use super::*;

    #[test]
    fn defaults_read_as_the_types_that_the_accessors_expect() {
        let settings = Settings::default();
        assert_eq!(settings.check(), Ok(()));
        let tuning = settings.tuning();
        assert_eq!((tuning.suspect_level, tuning.alarm_level, tuning.top_k), (0.05, 0.01, 3));
        assert_eq!(tuning.viewer_picture_period, Duration::from_millis(100));
        assert_eq!(settings.camera(&CameraName::default()).transport, Transport::Raw);
        assert_eq!(settings.reliability("image_qos"), Reliability::BestEffort);
        assert_eq!(settings.reliability("output_qos"), Reliability::Reliable);
        assert_eq!(settings.path("model"), None);
    }

    fn change(settings: &mut Settings, name: &str, value: Value, stage: Stage) -> Result<(), ParameterError> {
        *settings = settings.changed(&[(name.to_owned(), value)], stage)?;
        Ok(())
    }

    #[test]
    fn live_parameters_change_at_any_time_and_the_others_in_their_stage() {
        let mut settings = Settings::default();
        change(&mut settings, "alarm_level", Value::Double(0.02), Stage::Active).unwrap();
        assert_eq!(settings.tuning().alarm_level, 0.02);
        let model = || Value::Text("other".into());
        let refused = change(&mut settings, "model", model(), Stage::Active);
        assert_eq!(refused, Err(ParameterError::Active("model".into())));
        assert_eq!(settings.text("model"), "");
        assert_eq!(change(&mut settings, "model", model(), Stage::Idle), Ok(()));
        assert_eq!(settings.text("model"), "other");
        let refused = change(&mut settings, "autostart", Value::Bool(false), Stage::Idle);
        assert_eq!(refused, Err(ParameterError::ReadOnly("autostart".into())));
    }

    #[test]
    fn setting_a_fixed_parameter_to_its_own_value_is_no_change() {
        let mut settings = Settings::default();
        assert_eq!(change(&mut settings, "device", Value::Text("auto".into()), Stage::Active), Ok(()));
    }

    #[test]
    fn levels_that_contradict_each_other_are_refused_and_leave_no_trace() {
        let mut settings = Settings::default();
        let refused = change(&mut settings, "alarm_level", Value::Double(0.5), Stage::Active);
        assert_eq!(refused, Err(ParameterError::Levels { alarm: 0.5, suspect: 0.05 }));
        assert_eq!(settings, Settings::default());
    }

    fn with_cameras(names: &[&str]) -> Settings {
        let mut settings = Settings::default();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        settings.set("cameras", Value::TextArray(names)).unwrap();
        settings
    }

    #[test]
    fn without_names_there_is_one_camera_with_the_values_for_all() {
        let mut settings = Settings::default();
        settings.set("max_image_age_secs", Value::Double(2.0)).unwrap();
        let [only] = &settings.camera_names()[..] else { panic!() };
        let camera = settings.camera(only);
        assert_eq!((camera.image_topic.as_str(), camera.regions_topic, camera.bit_depth), ("image", None, None));
        assert_eq!((camera.regions_type, camera.without_regions), (RegionsType::RegionArray, WithoutRegions::Wait));
        assert_eq!(camera.max_image_age, Some(Duration::from_secs(2)));
        assert_eq!(settings.get("front.image_topic"), None);
    }

    #[test]
    fn a_camera_has_its_own_value_or_that_for_all() {
        let mut settings = with_cameras(&["front", "rear"]);
        settings.set("front.image_topic", Value::Text("/usb/image".into())).unwrap();
        settings.set("rear.bit_depth", Value::Integer(12)).unwrap();
        settings.set("without_regions", Value::Text("skip".into())).unwrap();
        settings.set("regions_topic", Value::Text("/regions".into())).unwrap();
        let cameras: Vec<CameraSettings> = settings.camera_names().iter().map(|name| settings.camera(name)).collect();
        assert_eq!(cameras[0].image_topic, "/usb/image");
        assert_eq!(cameras[1].image_topic, "rear/image");
        assert_eq!(cameras[1].regions_topic.as_deref(), Some("/rear/regions"));
        assert_eq!((cameras[0].bit_depth, cameras[1].bit_depth), (None, Some(12)));
        assert!(cameras.iter().all(|camera| camera.without_regions == WithoutRegions::Skip));
        assert_eq!(settings.get("rear.image_topic"), Some(Value::Text("rear/image".into())));
    }

    #[test]
    fn a_single_named_camera_has_the_topic_of_the_row() {
        let settings = with_cameras(&["front"]);
        assert_eq!(settings.camera(&settings.camera_names()[0]).image_topic, "image");
    }

    #[test]
    fn only_parameters_of_cameras_that_exist_are_there() {
        let mut settings = with_cameras(&["front"]);
        let per_camera = PARAMETERS.iter().filter(|row| row.per_camera).count();
        assert_eq!(settings.names().len(), PARAMETERS.len() + per_camera);
        assert!(settings.names().iter().all(|name| settings.get(name).is_some()));
        let set = |settings: &mut Settings, name: &str| change(settings, name, Value::Integer(12), Stage::Active);
        assert_eq!(set(&mut settings, "front.bit_depth"), Ok(()));
        for name in ["rear.bit_depth", "front.top_k", "front.rear.bit_depth", ".bit_depth", "front."] {
            assert_eq!(set(&mut settings, name), Err(ParameterError::Unknown(name.into())));
        }
    }

    #[test]
    fn a_value_for_a_camera_counts_whenever_the_camera_comes() {
        let mut settings = Settings::default();
        settings.set("front.bit_depth", Value::Integer(12)).unwrap();
        assert_eq!(settings.without_camera(), ["front.bit_depth"]);
        change(&mut settings, "cameras", Value::TextArray(vec!["front".into()]), Stage::Idle).unwrap();
        assert_eq!(settings.get("front.bit_depth"), Some(Value::Integer(12)));
    }

    #[test]
    fn errors_name_the_parameter_of_the_camera() {
        let mut settings = with_cameras(&["front"]);
        let error = settings.set("front.bit_depth", Value::Integer(17)).unwrap_err().to_string();
        assert_eq!(error, "parameter `front.bit_depth` must be in 0..16, got 17");
        let error = settings.set("front.image_topic", Value::Text("a b".into())).unwrap_err().to_string();
        assert!(error.starts_with("parameter `front.image_topic`: `a b` is not a topic name"), "{error}");
    }

    #[test]
    fn changes_that_belong_together_are_made_at_once() {
        let levels = [("suspect_level".to_owned(), Value::Double(0.3)), ("alarm_level".to_owned(), Value::Double(0.2))];
        let reversed = [levels[1].clone(), levels[0].clone()];
        for changes in [levels, reversed] {
            let tuning = Settings::default().changed(&changes, Stage::Active).unwrap().tuning();
            assert_eq!((tuning.suspect_level, tuning.alarm_level), (0.3, 0.2));
        }
        let camera = ("cameras".to_owned(), Value::TextArray(vec!["front".into()]));
        let value = ("front.bit_depth".to_owned(), Value::Integer(12));
        let changed = Settings::default().changed(&[value, camera], Stage::Idle).unwrap();
        assert_eq!(changed.get("front.bit_depth"), Some(Value::Integer(12)));
    }

    /// As in rclcpp: a client would see its value come back with another type.
    #[test]
    fn types_are_adapted_at_the_start_only() {
        let refused = change(&mut Settings::default(), "alarm_level", Value::Integer(0), Stage::Active).unwrap_err();
        assert_eq!(refused.to_string(), "parameter `alarm_level` must be a double, got 0");
        assert_eq!(Settings::default().set("alarm_level", Value::Integer(0)), Ok(()));
    }

    #[test]
    fn a_topic_that_is_too_long_under_the_name_of_its_camera_is_refused() {
        let mut settings = with_cameras(&["front", "rear"]);
        settings.set("image_topic", Value::Text("i".repeat(243))).unwrap();
        let error = settings.check().unwrap_err().to_string();
        assert!(error.starts_with("parameter `front.image_topic`: ") && error.contains("249 characters"), "{error}");
    }

    #[test]
    fn a_camera_has_the_quality_of_service_of_its_topics() {
        let mut settings = with_cameras(&["front"]);
        settings.set("regions_topic", Value::Text("regions".into())).unwrap();
        settings.set("front.image_qos", Value::Text("reliable".into())).unwrap();
        settings.set("qos_overrides./ns/regions.subscription.depth", Value::Integer(3)).unwrap();
        let camera = settings.camera(&settings.camera_names()[0]);
        let camera = camera.with_qos_overrides(&settings, |topic| format!("/ns/{topic}"));
        let reliable = Qos::of(Reliability::Reliable);
        assert_eq!((camera.image_qos, camera.regions_qos), (reliable, Qos { depth: 3, ..reliable }));
    }

    #[test]
    fn qualities_of_service_are_read_only_parameters() {
        let mut settings = Settings::default();
        let name = "qos_overrides./image.subscription.depth";
        let refused = change(&mut settings, name, Value::Integer(1), Stage::Idle);
        assert_eq!(refused, Err(ParameterError::Unknown(name.into())));
        settings.set(name, Value::Integer(3)).unwrap();
        assert_eq!(settings.get(name), Some(Value::Integer(3)));
        assert!(settings.names().contains(&name.to_owned()) && settings.row(name).is_none());
        let qos = settings.qos("/image", Role::Subscription, Qos::of(Reliability::BestEffort));
        assert_eq!(qos, Qos { depth: 3, ..Qos::of(Reliability::BestEffort) });
        let refused = change(&mut settings, name, Value::Integer(1), Stage::Idle);
        assert_eq!(refused, Err(ParameterError::ReadOnly(name.into())));
    }
}
