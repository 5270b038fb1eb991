//! What the parameter services answer, without ROS: listing, describing and changing [`Settings`] as rclcpp does
//! (`rclcpp::node_interfaces::NodeParameters`).

use crate::parameters::settings::{Settings, Stage};
use crate::parameters::table::{Kind, Parameter, ParameterError, Value, When};

/// Between the parts of a parameter's name.
const SEPARATOR: char = '.';

/// Most parameters that one request may set.
const MAX_CHANGES: usize = 1000;

/// Most names that one request may ask for.
const MAX_NAMES: usize = 10_000;

/// What besides the table decides whether parameters may change.
pub trait Rules {
    /// What the node is doing now.
    fn stage(&self) -> Stage;

    /// Whether the loaded model and monitor can do with `to`, which passed all checks of the table; `from` is in force.
    ///
    /// # Errors
    /// Why not, for whoever asked for the change.
    fn check(&self, from: &Settings, to: &Settings) -> Result<(), String>;
}

/// Names of parameters and of the groups that they are in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Full names.
    pub names: Vec<String>,
    /// What stands before the last dot of the names, each once.
    pub prefixes: Vec<String>,
}

/// Everything that a client may want to know of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    /// Full name.
    pub name: String,
    /// A value of its type.
    pub value: Value,
    /// What it does.
    pub description: String,
    /// What is allowed, in words, besides the range; when a change takes effect.
    pub constraints: String,
    /// Whether it can never change.
    pub read_only: bool,
    /// Allowed numbers.
    pub range: Option<Range>,
}

/// Allowed numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// Whole numbers.
    Integer(i64, i64),
    /// Any numbers.
    Double(f64, f64),
}

/// What a request changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// Parameters that were not there before.
    pub new: Vec<(String, Value)>,
    /// Parameters with another value.
    pub changed: Vec<(String, Value)>,
    /// Parameters that are gone, with their last value.
    pub deleted: Vec<(String, Value)>,
}

/// Names with one of the `prefixes`, or all without any, that have fewer than `depth` dots behind it; 0: however many.
#[must_use]
pub fn list(settings: &Settings, prefixes: &[String], depth: u64) -> Listing {
    let mut listing = Listing::default();
    for name in settings.names() {
        if !is_listed(&name, prefixes, depth) {
            continue;
        }
        let group = name.rsplit_once(SEPARATOR).map(|(group, _)| group.to_owned());
        listing.prefixes.extend(group.filter(|group| !listing.prefixes.contains(group)));
        listing.names.push(name);
    }
    listing
}

fn is_listed(name: &str, prefixes: &[String], depth: u64) -> bool {
    let shallow = |rest: &str| depth == 0 || (rest.matches(SEPARATOR).count() as u64) < depth;
    let below = |prefix: &String| name.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix(SEPARATOR));
    (prefixes.is_empty() && shallow(name))
        || prefixes.iter().any(|prefix| name == prefix || below(prefix).is_some_and(shallow))
}

/// Values of parameters, in order; as in rclcpp and rclpy none when one of them does not exist.
#[must_use]
pub fn get(settings: &Settings, names: &[String]) -> Vec<Value> {
    all(names, |name| settings.get(name))
}

/// Descriptors of parameters, in order; as in rclcpp and rclpy none when one of them does not exist.
#[must_use]
pub fn describe(settings: &Settings, names: &[String]) -> Vec<Descriptor> {
    all(names, |name| descriptor(settings, name))
}

fn all<T>(names: &[String], find: impl Fn(&str) -> Option<T>) -> Vec<T> {
    if names.len() > MAX_NAMES {
        return Vec::new();
    }
    names.iter().map(|name| find(name)).collect::<Option<Vec<T>>>().unwrap_or_default()
}

fn descriptor(settings: &Settings, name: &str) -> Option<Descriptor> {
    let (name, value) = (name.to_owned(), settings.get(name)?);
    Some(match settings.row(&name) {
        Some(row) => of_row(row, name, value),
        None => Descriptor {
            description: "Quality of service of an endpoint of this node.".to_owned(),
            constraints: String::new(),
            read_only: true,
            range: None,
            name,
            value,
        },
    })
}

fn of_row(row: &Parameter, name: String, value: Value) -> Descriptor {
    let range = match row.kind {
        Kind::Integer { min, max, .. } => Some(Range::Integer(min, max)),
        Kind::Double { min, max, .. } => Some(Range::Double(min, max)),
        _ => None,
    };
    let allowed = match row.kind {
        Kind::Bool { .. } | Kind::Integer { .. } | Kind::Double { .. } => None,
        _ => Some(format!("Must be {}.", row.kind.allowed())),
    };
    let when = (row.when == When::Configure)
        .then(|| "Can be set while the node is unconfigured or inactive; the next configure reads it.".to_owned());
    let constraints = allowed.into_iter().chain(when).collect::<Vec<_>>().join(" ");
    let read_only = row.when == When::Start;
    Descriptor { name, value, description: row.description.to_owned(), constraints, read_only, range }
}

/// Sets parameters all together or, when that is not possible, one after the other, each with its own result.
///
/// rclcpp only does the latter. Together first, since values that only fit together, such as new levels, would otherwise
/// have to come in one certain order.
pub fn set_each(settings: &mut Settings, changes: &[(String, Value)], rules: &dyn Rules) -> Vec<Result<(), String>> {
    if set_together(settings, changes, rules).is_ok() {
        return vec![Ok(()); changes.len()];
    }
    let too_many = too_many(changes);
    let set = |change| match &too_many {
        Some(error) => Err(error.to_string()),
        None => set_together(settings, std::slice::from_ref(change), rules),
    };
    changes.iter().map(set).collect()
}

/// Sets all parameters or none.
///
/// # Errors
/// Why not; then nothing has changed.
pub fn set_together(settings: &mut Settings, changes: &[(String, Value)], rules: &dyn Rules) -> Result<(), String> {
    let changed = changed(settings, changes, rules).map_err(|error| error.to_string())?;
    *settings = changed;
    Ok(())
}

fn changed(settings: &Settings, changes: &[(String, Value)], rules: &dyn Rules) -> Result<Settings, ParameterError> {
    if let Some(error) = too_many(changes) {
        return Err(error);
    }
    let changed = settings.changed(changes, rules.stage())?;
    if changed != *settings {
        rules.check(settings, &changed).map_err(ParameterError::Refused)?;
    }
    Ok(changed)
}

fn too_many(changes: &[(String, Value)]) -> Option<ParameterError> {
    let (what, most, found) = ("the number of parameters in one request", MAX_CHANGES, changes.len());
    (found > most).then_some(ParameterError::TooMany { what, most, found })
}

/// What is different between two settings. Without `from` everything is new, as at the start.
#[must_use]
pub fn difference(from: Option<&Settings>, to: &Settings) -> Difference {
    let mut difference = Difference::default();
    let before = |name: &str| from.and_then(|settings| settings.get(name));
    for (name, value) in values(to) {
        match before(&name) {
            None => difference.new.push((name, value)),
            Some(old) if old != value => difference.changed.push((name, value)),
            Some(_) => {}
        }
    }
    let gone = from.into_iter().flat_map(values).filter(|(name, _)| to.get(name).is_none());
    difference.deleted.extend(gone);
    difference
}

fn values(settings: &Settings) -> impl Iterator<Item = (String, Value)> {
    settings.names().into_iter().filter_map(|name| settings.get(&name).map(|value| (name, value)))
}

/// Refuses to lower the alarm level below every p-value that the monitor can give: no image would raise an alarm.
///
/// # Errors
/// Names the smallest level that works.
pub fn check_alarm_level(from: &Settings, to: &Settings, smallest_p_value: f32) -> Result<(), String> {
    let (before, level) = (from.tuning().alarm_level, to.tuning().alarm_level);
    if level >= smallest_p_value || level == before {
        return Ok(());
    }
    Err(format!(
        "alarm_level {level} would never raise an alarm: the smallest p-value that the monitor can give is \
         {smallest_p_value}, so set alarm_level to {smallest_p_value} or more, or calibrate the monitor on more images"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parameters::table::PARAMETERS;

    /// A node in one stage whose monitor gives no p-value below 0.004.
    struct Node(Stage);

    const SMALLEST: f32 = 0.004;

    impl Rules for Node {
        fn stage(&self) -> Stage {
            self.0
        }

        fn check(&self, from: &Settings, to: &Settings) -> Result<(), String> {
            check_alarm_level(from, to, SMALLEST)
        }
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn with_cameras(cameras: &[&str]) -> Settings {
        let mut settings = Settings::default();
        settings.set("cameras", Value::TextArray(strings(cameras))).unwrap();
        settings
    }

    fn change(name: &str, value: Value) -> (String, Value) {
        (name.to_owned(), value)
    }

    fn levels(suspect: f64, alarm: f64) -> [(String, Value); 2] {
        [change("suspect_level", Value::Double(suspect)), change("alarm_level", Value::Double(alarm))]
    }

    #[test]
    fn listing_by_prefix_and_depth() {
        let settings = with_cameras(&["front", "rear"]);
        let per_camera = PARAMETERS.iter().filter(|row| row.per_camera).count();
        let all = list(&settings, &[], 0);
        assert_eq!(all.names, settings.names());
        assert_eq!(all.prefixes, ["front", "rear"]);
        assert_eq!(list(&settings, &[], 1).names.len(), PARAMETERS.len());
        assert_eq!(list(&settings, &[], 2), all);
        let front = list(&settings, &strings(&["front"]), 1);
        assert_eq!((front.names.len(), front.prefixes), (per_camera, strings(&["front"])));
        assert_eq!(list(&settings, &strings(&["top_k"]), 1).names, ["top_k"]);
        assert_eq!(list(&settings, &strings(&["fro", "top", ""]), 0), Listing::default());
    }

    #[test]
    fn values_and_descriptors_come_in_order_or_not_at_all() {
        let settings = Settings::default();
        assert_eq!(get(&settings, &strings(&["top_k", "viewer"])), [Value::Integer(3), Value::Text("off".into())]);
        assert_eq!(get(&settings, &strings(&["top_k", "nonsense"])), []);
        assert_eq!(describe(&settings, &strings(&["nonsense"])), []);
        assert_eq!(get(&settings, &vec!["top_k".to_owned(); MAX_NAMES + 1]), []);
    }

    #[test]
    fn descriptors_say_range_choice_and_when() {
        let settings = with_cameras(&["front"]);
        let of = |name: &str| describe(&settings, &strings(&[name])).remove(0);
        let alarm = of("alarm_level");
        assert_eq!((alarm.range, alarm.read_only), (Some(Range::Double(0.0, 1.0)), false));
        assert_eq!(of("top_k").range, Some(Range::Integer(1, 1000)));
        assert!(of("autostart").read_only);
        let transport = of("front.image_transport");
        assert_eq!(transport.name, "front.image_transport");
        assert!(transport.constraints.starts_with("Must be one of raw, compressed. Can be set while the node is un"));
        assert_eq!(of("without_regions").constraints, "Must be one of wait, skip, whole_image.");
    }

    #[test]
    fn levels_that_fit_together_are_set_in_any_order() {
        for changes in [levels(0.3, 0.2), {
            let [suspect, alarm] = levels(0.3, 0.2);
            [alarm, suspect]
        }] {
            let mut settings = Settings::default();
            assert_eq!(set_each(&mut settings, &changes, &Node(Stage::Active)), [Ok(()), Ok(())]);
            assert_eq!(settings.tuning().alarm_level, 0.2);
        }
    }

    #[test]
    fn what_does_not_fit_together_is_set_one_by_one() {
        let mut settings = Settings::default();
        let results = set_each(&mut settings, &levels(0.1, 0.2), &Node(Stage::Active));
        assert_eq!(results[0], Ok(()));
        assert_eq!(results[1], Err("alarm_level 0.2 must not be above suspect_level 0.1".to_owned()));
        assert_eq!(settings.tuning().suspect_level, 0.1);
    }

    #[test]
    fn an_atomic_request_that_fails_changes_nothing_and_says_so() {
        let mut settings = Settings::default();
        let refused = set_together(&mut settings, &levels(0.1, 0.2), &Node(Stage::Active));
        assert_eq!(refused, Err("alarm_level 0.2 must not be above suspect_level 0.1".to_owned()));
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn an_alarm_that_cannot_happen_is_refused_with_the_smallest_level_that_can() {
        let mut settings = Settings::default();
        let mut set = |level: f64| {
            set_together(&mut settings, &[change("alarm_level", Value::Double(level))], &Node(Stage::Active))
        };
        let refused = set(0.003).unwrap_err();
        assert!(refused.contains("set alarm_level to 0.004 or more"), "{refused}");
        assert_eq!(set(0.004), Ok(()));
    }

    #[test]
    fn a_level_that_was_too_low_before_does_not_stop_other_changes() {
        let mut settings = Settings::default();
        settings.set("alarm_level", Value::Double(0.001)).unwrap();
        assert_eq!(set_together(&mut settings, &[change("top_k", Value::Integer(5))], &Node(Stage::Active)), Ok(()));
    }

    #[test]
    fn a_request_is_bounded() {
        let mut settings = Settings::default();
        let many = vec![change("top_k", Value::Integer(5)); MAX_CHANGES + 1];
        let results = set_each(&mut settings, &many, &Node(Stage::Active));
        assert!(results.len() == many.len() && results.iter().all(Result::is_err));
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn differences_follow_what_a_change_brings_about() {
        let (none, two) = (Settings::default(), with_cameras(&["front", "rear"]));
        let per_camera = PARAMETERS.iter().filter(|row| row.per_camera).count();
        assert_eq!(difference(None, &none).new.len(), PARAMETERS.len());
        assert_eq!(difference(Some(&two), &two), Difference::default());
        let came = difference(Some(&none), &two);
        assert_eq!((came.new.len(), came.changed.len(), came.deleted.len()), (2 * per_camera, 1, 0));
        assert_eq!(difference(Some(&two), &none).deleted.len(), 2 * per_camera);
        let deeper = two.changed(&[change("bit_depth", Value::Integer(12))], Stage::Active).unwrap();
        let names: Vec<String> = difference(Some(&two), &deeper).changed.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["bit_depth", "front.bit_depth", "rear.bit_depth"]);
    }

    /// Names that exist, nearly exist, or never could.
    fn any_name() -> impl Strategy<Value = String> {
        let row = (0..PARAMETERS.len()).prop_map(|index| PARAMETERS[index].name.to_owned());
        let camera = prop_oneof![Just("front"), Just("rear"), Just("side"), Just("qos_overrides")];
        prop_oneof![
            6 => row.clone(),
            2 => (camera, row).prop_map(|(camera, row)| format!("{camera}.{row}")),
            1 => Just("qos_overrides./image.subscription.depth".to_owned()),
            1 => any::<String>(),
        ]
    }

    /// Values of every type, many of them allowed.
    fn any_value() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            Just("raw"),
            Just("reliable"),
            Just("skip"),
            Just("save"),
            Just("/camera/image"),
            Just(""),
            Just("a b"),
            Just("\0")
        ];
        let camera = prop_oneof![Just("front"), Just("rear"), Just("front/rear"), Just("ood"), Just("")];
        let cameras = proptest::collection::vec(camera.prop_map(str::to_owned), 0..4);
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            prop_oneof![0..100_i64, any::<i64>()].prop_map(Value::Integer),
            prop_oneof![0.0..1.0_f64, any::<f64>()].prop_map(Value::Double),
            prop_oneof![word.prop_map(str::to_owned), any::<String>()].prop_map(Value::Text),
            prop_oneof![cameras, any::<Vec<String>>()].prop_map(Value::TextArray),
            Just(Value::Other("not set")),
        ]
    }

    fn any_request() -> impl Strategy<Value = (Vec<(String, Value)>, bool, bool)> {
        (proptest::collection::vec((any_name(), any_value()), 0..8), any::<bool>(), any::<bool>())
    }

    /// What holds whatever was asked for.
    fn assert_sound(settings: &Settings) {
        assert_eq!(settings.check(), Ok(()));
        let names = settings.names();
        assert_eq!(get(settings, &names).len(), names.len());
        for (descriptor, value) in describe(settings, &names).into_iter().zip(get(settings, &names)) {
            let row = settings.row(&descriptor.name).unwrap();
            assert_eq!(row.check(value.clone()), Ok(value.clone()), "{}", descriptor.name);
            match (descriptor.range, value) {
                (Some(Range::Integer(min, max)), Value::Integer(value)) => assert!((min..=max).contains(&value)),
                (Some(Range::Double(min, max)), Value::Double(value)) => assert!((min..=max).contains(&value)),
                (range, _) => assert_eq!(range, None),
            }
        }
        assert!(settings.tuning().alarm_level <= settings.tuning().suspect_level);
        for name in settings.camera_names() {
            let _ = settings.camera(&name);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn whatever_is_asked_for_the_settings_stay_sound(requests in proptest::collection::vec(any_request(), 1..6)) {
            let mut settings = with_cameras(&["front"]);
            for (changes, together, active) in requests {
                let rules = Node(if active { Stage::Active } else { Stage::Idle });
                let before = settings.clone();
                let results = if together {
                    vec![set_together(&mut settings, &changes, &rules)]
                } else {
                    set_each(&mut settings, &changes, &rules)
                };
                prop_assert_eq!(results.len(), if together { 1 } else { changes.len() });
                if results.iter().all(Result::is_err) {
                    prop_assert_eq!(&settings, &before, "what failed left a trace");
                }
                let last = |name: &str| changes.iter().rev().find(|(other, _)| other == name);
                for ((name, value), result) in changes.iter().zip(&results).filter(|_| !together) {
                    if result.is_ok() && last(name).is_some_and(|(_, newest)| newest == value) && settings.row(name).is_some() {
                        let kept = settings.get(name);
                        prop_assert!(kept.as_ref() == Some(value) || *value == Value::TextArray(vec![String::new()]), "{}: {:?}", name, kept);
                    }
                }
                if active {
                    prop_assert_eq!(settings.get("model"), before.get("model"));
                    prop_assert_eq!(settings.get("cameras"), before.get("cameras"));
                }
                prop_assert_eq!(settings.get("autostart"), before.get("autostart"));
                assert_sound(&settings);
            }
        }
    }
}
