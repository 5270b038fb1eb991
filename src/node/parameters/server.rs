//! The parameter services of the node and `/parameter_events`, as rclcpp has them. What they answer is decided in
//! [`super::store`]; here it is brought into messages.

use std::sync::{Arc, Mutex, PoisonError};

use r2r::rcl_interfaces::msg::{
    FloatingPointRange, IntegerRange, ListParametersResult, Parameter, ParameterDescriptor, ParameterEvent,
    ParameterValue, SetParametersResult,
};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters, SetParametersAtomically,
};
use r2r::{Clock, Publisher, QosProfile};

use super::store::{self, Descriptor, Difference, Range, Rules};
use crate::node::output::publishers::RosClock;
use crate::node::service::Service;
use crate::parameters::qos::Reliability;
use crate::parameters::qos::{Durability, History, Qos, Role};
use crate::parameters::settings::Settings;
use crate::parameters::table::Value;

/// Where every node tells changes of its parameters.
const EVENTS_TOPIC: &str = "/parameter_events";

/// Turns ROS' own time source on and off.
const USE_SIM_TIME: &str = "use_sim_time";

/// Serves the parameters of the node.
pub struct ParameterServer {
    settings: Shared,
    list: Service<ListParameters::Service>,
    get: Service<GetParameters::Service>,
    types: Service<GetParameterTypes::Service>,
    describe: Service<DescribeParameters::Service>,
    set: Service<SetParameters::Service>,
    set_atomically: Service<SetParametersAtomically::Service>,
    events: Publisher<ParameterEvent>,
    /// Full name of the node.
    node: String,
    /// What `/parameter_events` has told; `None` before the first [`ParameterServer::poll`].
    told: Option<Settings>,
}

/// The settings, which everybody may read.
struct Shared(Arc<Mutex<Settings>>);

impl ParameterServer {
    /// Offers the services for the parameters in `settings`, and takes simulated time where they say so.
    ///
    /// # Errors
    /// When ROS refuses a service, the publisher, or simulated time.
    pub fn new(node: &mut r2r::Node, settings: Arc<Mutex<Settings>>) -> r2r::Result<Self> {
        let settings = Shared(settings);
        let events = profile(settings.read().qos(EVENTS_TOPIC, Role::Publisher, EVENTS_QOS));
        // Requests and answers wait as in rclcpp: a thousand of them.
        let services = QosProfile::parameters;
        follow_time(node, settings.read().bool(USE_SIM_TIME))?;
        Ok(Self {
            list: Service::new(node, "~/list_parameters", services())?,
            get: Service::new(node, "~/get_parameters", services())?,
            types: Service::new(node, "~/get_parameter_types", services())?,
            describe: Service::new(node, "~/describe_parameters", services())?,
            set: Service::new(node, "~/set_parameters", services())?,
            set_atomically: Service::new(node, "~/set_parameters_atomically", services())?,
            events: node.create_publisher(EVENTS_TOPIC, events)?,
            node: node.fully_qualified_name()?,
            told: None,
            settings,
        })
    }

    /// Answers the requests that have come and tells what they changed; `rules` decide about changes beyond the table and
    /// must not change the settings. To be called after every `spin_once`.
    pub fn poll(&mut self, node: &mut r2r::Node, rules: &dyn Rules) {
        let settings = &self.settings;
        self.list.poll(|request| ListParameters::Response {
            result: listing(store::list(&settings.read(), &request.prefixes, request.depth)),
        });
        self.get.poll(|request| GetParameters::Response {
            values: store::get(&settings.read(), &request.names).iter().map(to_message).collect(),
        });
        self.types.poll(|request| GetParameterTypes::Response {
            types: store::get(&settings.read(), &request.names).iter().map(type_of).collect(),
        });
        self.describe.poll(|request| DescribeParameters::Response {
            descriptors: store::describe(&settings.read(), &request.names).into_iter().map(descriptor).collect(),
        });
        self.set.poll(|request| {
            let changes = changes(&request.parameters);
            let results = settings.change(|settings| store::set_each(settings, &changes, rules));
            SetParameters::Response { results: results.into_iter().map(result).collect() }
        });
        self.set_atomically.poll(|request| {
            let changes = changes(&request.parameters);
            let set = settings.change(|settings| store::set_together(settings, &changes, rules));
            SetParametersAtomically::Response { result: result(set) }
        });
        self.tell(node);
    }

    /// Brings what changed to the log, to `/parameter_events` and to the clock.
    fn tell(&mut self, node: &mut r2r::Node) {
        let Some(settings) = self.settings.other_than(self.told.as_ref()) else { return };
        let difference = store::difference(self.told.as_ref(), &settings);
        for (name, value) in &difference.changed {
            tracing::info!("parameter {name} is now {value}");
        }
        if let Err(error) = follow_time(node, settings.bool(USE_SIM_TIME)) {
            tracing::error!("cannot change the source of time: {error}");
        }
        let now = Clock::to_builtin_time(&RosClock::of(node).now());
        if let Err(error) = self.events.publish(&event(difference, &self.node, now)) {
            tracing::warn!("cannot publish on {EVENTS_TOPIC}: {error}");
        }
        self.told = Some(settings);
    }
}

/// r2r does nothing when the source stays.
fn follow_time(node: &mut r2r::Node, simulated: bool) -> r2r::Result<()> {
    let source = node.get_time_source();
    if simulated {
        return source.enable_sim_time(node);
    }
    source.disable_sim_time();
    Ok(())
}

impl Shared {
    fn read(&self) -> Settings {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A copy, unless they are as `known`.
    fn other_than(&self, known: Option<&Settings>) -> Option<Settings> {
        let settings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (known != Some(&*settings)).then(|| settings.clone())
    }

    /// Works on a copy, so that nobody waits for the rules and nobody sees half of a change. Nothing else changes the
    /// settings while the node runs.
    fn change<T>(&self, set: impl FnOnce(&mut Settings) -> T) -> T {
        let mut changed = self.read();
        let outcome = set(&mut changed);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = changed;
        outcome
    }
}

fn changes(parameters: &[Parameter]) -> Vec<(String, Value)> {
    parameters.iter().map(|parameter| (parameter.name.clone(), from_message(&parameter.value))).collect()
}

/// Quality of service of `/parameter_events` in rclcpp and rclpy.
const EVENTS_QOS: Qos = Qos {
    reliability: Reliability::Reliable,
    durability: Durability::Volatile,
    history: History::KeepLast,
    depth: 1000,
};

/// The profile as r2r takes it.
#[must_use]
pub fn profile(qos: Qos) -> QosProfile {
    use r2r::qos::{DurabilityPolicy, HistoryPolicy, ReliabilityPolicy};
    QosProfile {
        reliability: match qos.reliability {
            Reliability::BestEffort => ReliabilityPolicy::BestEffort,
            Reliability::Reliable => ReliabilityPolicy::Reliable,
        },
        durability: match qos.durability {
            Durability::Volatile => DurabilityPolicy::Volatile,
            Durability::TransientLocal => DurabilityPolicy::TransientLocal,
        },
        history: match qos.history {
            History::KeepLast => HistoryPolicy::KeepLast,
            History::KeepAll => HistoryPolicy::KeepAll,
        },
        depth: qos.depth,
        ..QosProfile::default()
    }
}

fn event(difference: Difference, node: &str, stamp: r2r::builtin_interfaces::msg::Time) -> ParameterEvent {
    let parameters = |values: Vec<(String, Value)>| values.into_iter().map(parameter).collect();
    ParameterEvent {
        stamp,
        node: node.to_owned(),
        new_parameters: parameters(difference.new),
        changed_parameters: parameters(difference.changed),
        deleted_parameters: parameters(difference.deleted),
    }
}

fn parameter((name, value): (String, Value)) -> Parameter {
    Parameter { name, value: to_message(&value) }
}

fn listing(listing: store::Listing) -> ListParametersResult {
    ListParametersResult { names: listing.names, prefixes: listing.prefixes }
}

fn descriptor(descriptor: Descriptor) -> ParameterDescriptor {
    let Descriptor { name, value, description, constraints, read_only, range } = descriptor;
    let (integers, doubles) = match range {
        Some(Range::Integer(from_value, to_value)) => (vec![IntegerRange { from_value, to_value, step: 0 }], vec![]),
        Some(Range::Double(from_value, to_value)) => {
            (vec![], vec![FloatingPointRange { from_value, to_value, step: 0.0 }])
        }
        None => (vec![], vec![]),
    };
    ParameterDescriptor {
        name,
        type_: type_of(&value),
        description,
        additional_constraints: constraints,
        read_only,
        dynamic_typing: false,
        floating_point_range: doubles,
        integer_range: integers,
    }
}

/// r2r cannot send a text with a NUL.
fn result(outcome: Result<(), String>) -> SetParametersResult {
    let reason = outcome.err().map(|reason| reason.replace('\0', ""));
    SetParametersResult { successful: reason.is_none(), reason: reason.unwrap_or_default() }
}

/// The types as messages have them: r2r gives each number a type of its own.
mod types {
    use r2r::rcl_interfaces::msg::ParameterType as Of;

    pub const NOT_SET: u8 = Of::PARAMETER_NOT_SET as u8;
    pub const BOOL: u8 = Of::PARAMETER_BOOL as u8;
    pub const INTEGER: u8 = Of::PARAMETER_INTEGER as u8;
    pub const DOUBLE: u8 = Of::PARAMETER_DOUBLE as u8;
    pub const STRING: u8 = Of::PARAMETER_STRING as u8;
    pub const BYTE_ARRAY: u8 = Of::PARAMETER_BYTE_ARRAY as u8;
    pub const BOOL_ARRAY: u8 = Of::PARAMETER_BOOL_ARRAY as u8;
    pub const INTEGER_ARRAY: u8 = Of::PARAMETER_INTEGER_ARRAY as u8;
    pub const DOUBLE_ARRAY: u8 = Of::PARAMETER_DOUBLE_ARRAY as u8;
    pub const STRING_ARRAY: u8 = Of::PARAMETER_STRING_ARRAY as u8;
}

fn from_message(value: &ParameterValue) -> Value {
    match value.type_ {
        types::BOOL => Value::Bool(value.bool_value),
        types::INTEGER => Value::Integer(value.integer_value),
        types::DOUBLE => Value::Double(value.double_value),
        types::STRING => Value::Text(value.string_value.clone()),
        types::STRING_ARRAY => Value::TextArray(value.string_array_value.clone()),
        types::BYTE_ARRAY => Value::Other("a byte array"),
        types::BOOL_ARRAY => Value::Other("a bool array"),
        types::INTEGER_ARRAY => Value::Other("an integer array"),
        types::DOUBLE_ARRAY => Value::Other("a double array"),
        types::NOT_SET => Value::Other("nothing: parameters of this node cannot be deleted"),
        _ => Value::Other("a value of a type that does not exist"),
    }
}

fn to_message(value: &Value) -> ParameterValue {
    let message = ParameterValue { type_: type_of(value), ..Default::default() };
    match value {
        Value::Bool(bool_value) => ParameterValue { bool_value: *bool_value, ..message },
        Value::Integer(integer_value) => ParameterValue { integer_value: *integer_value, ..message },
        Value::Double(double_value) => ParameterValue { double_value: *double_value, ..message },
        Value::Text(text) => ParameterValue { string_value: text.clone(), ..message },
        Value::TextArray(texts) => ParameterValue { string_array_value: texts.clone(), ..message },
        Value::Other(_) => message,
    }
}

fn type_of(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => types::BOOL,
        Value::Integer(_) => types::INTEGER,
        Value::Double(_) => types::DOUBLE,
        Value::Text(_) => types::STRING,
        Value::TextArray(_) => types::STRING_ARRAY,
        Value::Other(_) => types::NOT_SET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_through_messages() {
        for value in [
            Value::Bool(true),
            Value::Integer(-7),
            Value::Double(0.25),
            Value::Text("text".into()),
            Value::TextArray(vec!["front".into(), "rear".into()]),
        ] {
            assert_eq!(from_message(&to_message(&value)), value);
        }
    }

    #[test]
    fn types_that_no_parameter_has_are_told_apart_from_values() {
        for type_ in [0, 5, 6, 7, 8, 10, 255] {
            let value = from_message(&ParameterValue { type_, ..Default::default() });
            assert!(matches!(value, Value::Other(_)), "{type_}");
        }
    }

    #[test]
    fn descriptors_carry_the_range_of_their_type() {
        let describe = |name: &str| descriptor(store::describe(&Settings::default(), &[name.to_owned()]).remove(0));
        let level = describe("alarm_level");
        assert_eq!(level.floating_point_range, [FloatingPointRange { from_value: 0.0, to_value: 1.0, step: 0.0 }]);
        assert_eq!((level.type_, level.integer_range.len(), level.dynamic_typing), (3, 0, false));
        let top_k = describe("top_k");
        assert_eq!(top_k.integer_range, [IntegerRange { from_value: 1, to_value: 1000, step: 0 }]);
        assert!(describe("autostart").read_only && !describe("model").read_only);
        assert_eq!(describe("cameras").type_, 9);
    }

    #[test]
    fn an_event_says_who_changed_what() {
        let from = Settings::default();
        let changes = [("top_k".to_owned(), Value::Integer(5))];
        let to = from.changed(&changes, crate::parameters::settings::Stage::Active).unwrap();
        let event = event(store::difference(Some(&from), &to), "/front/monitor", Default::default());
        assert_eq!(event.node, "/front/monitor");
        assert_eq!(event.changed_parameters, [parameter(("top_k".into(), Value::Integer(5)))]);
        assert!(event.new_parameters.is_empty() && event.deleted_parameters.is_empty());
    }

    #[test]
    fn profiles_of_ros_are_the_same_here() {
        assert_eq!(profile(EVENTS_QOS), QosProfile::parameter_events());
        assert_eq!(profile(Qos::of(Reliability::BestEffort)), QosProfile::sensor_data());
        assert_eq!(profile(Qos::of(Reliability::Reliable)), QosProfile::default());
    }
}
