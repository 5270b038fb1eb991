//! Quality of service of topics, and the parameters `qos_overrides.*` that change it.

use std::collections::BTreeMap;

use super::names::{check_topic, cut};
use super::table::{ParameterError, Value};

/// All these parameters begin so.
pub const PREFIX: &str = "qos_overrides.";

/// Longest queue that a parameter may ask for: a queue of images takes their memory.
const MAX_DEPTH: i64 = 10_000;

/// The policies of a topic that this node sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qos {
    /// Whether lost messages are sent again.
    pub reliability: Reliability,
    /// Whether who comes late gets the last messages.
    pub durability: Durability,
    /// Which messages wait for a slow reader.
    pub history: History,
    /// Number of messages that wait with [`History::KeepLast`], from 1.
    pub depth: usize,
}

/// Reliability of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliability {
    /// Lost messages are not sent again.
    BestEffort,
    /// Lost messages are sent again.
    Reliable,
}

/// Whether who comes late gets the last messages; what offers more is the larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Only those sent from now on.
    Volatile,
    /// The publisher keeps its last messages for who comes late.
    TransientLocal,
}

/// Which messages wait for a slow reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// The newest ones, as many as the depth.
    KeepLast,
    /// All of them.
    KeepAll,
}

/// The side of a topic that this node is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The node subscribes.
    Subscription,
    /// The node publishes.
    Publisher,
}

impl Reliability {
    /// That of the parameters `image_qos` and `output_qos`.
    pub(super) fn named(word: &str) -> Self {
        if word == "reliable" { Self::Reliable } else { Self::BestEffort }
    }
}

impl Qos {
    /// ROS' profile for sensor data with this reliability: `sensor_data` keeps 5 messages, `reliable` 10.
    #[must_use]
    pub fn of(reliability: Reliability) -> Self {
        let depth = if reliability == Reliability::Reliable { 10 } else { 5 };
        Self { reliability, durability: Durability::Volatile, history: History::KeepLast, depth }
    }

    /// Who comes late gets the last message.
    #[must_use]
    pub fn latched() -> Self {
        Self { durability: Durability::TransientLocal, depth: 1, ..Self::of(Reliability::Reliable) }
    }
}

/// The given parameters `qos_overrides.<topic>.<subscription|publisher>.<policy>`, as rclcpp names them
/// (`QosOverridingOptions`): `<topic>` is the full name after remapping.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QosOverrides {
    given: BTreeMap<String, Override>,
}

#[derive(Debug, Clone, PartialEq)]
struct Override {
    topic: String,
    role: Role,
    policy: Policy,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Policy {
    Reliability(Reliability),
    Durability(Durability),
    History(History),
    Depth(usize),
}

impl QosOverrides {
    /// Takes a parameter given at the start.
    ///
    /// # Errors
    /// [`ParameterError::Unapplied`] for one that this node cannot follow, [`ParameterError::Range`] for a value that does
    /// not exist.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), ParameterError> {
        let unapplied = || ParameterError::Unapplied(cut(name));
        let (topic, role, policy) = split(name).ok_or_else(unapplied)?;
        let policy = Policy::parse(name, policy, &value)?.ok_or_else(unapplied)?;
        let topic = topic.to_owned();
        self.given.insert(name.to_owned(), Override { topic, role, policy, value });
        Ok(())
    }

    /// Names of the parameters that were given, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.given.keys().map(String::as_str)
    }

    /// Value of a parameter that was given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.given.get(name).map(|given| &given.value)
    }

    /// `default` with what the parameters say about the topic with that full name.
    #[must_use]
    pub fn apply(&self, topic: &str, role: Role, default: Qos) -> Qos {
        let given = self.given.values().filter(|given| given.topic == topic && given.role == role);
        given.fold(default, |qos, given| match given.policy {
            Policy::Reliability(reliability) => Qos { reliability, ..qos },
            Policy::Durability(durability) => Qos { durability, ..qos },
            Policy::History(history) => Qos { history, ..qos },
            Policy::Depth(depth) => Qos { depth, ..qos },
        })
    }

    /// Names of the parameters that concern none of the `endpoints`.
    #[must_use]
    pub fn without_endpoint(&self, endpoints: &[(String, Role)]) -> Vec<String> {
        let concerns =
            |given: &Override| endpoints.iter().any(|(topic, role)| *topic == given.topic && *role == given.role);
        let lost = self.given.iter().filter(|(_, given)| !concerns(given));
        lost.map(|(name, _)| name.clone()).collect()
    }
}

impl Policy {
    /// `None` for policies that this node does not set.
    fn parse(name: &str, policy: &str, value: &Value) -> Result<Option<Self>, ParameterError> {
        let (allowed, parsed) = match policy {
            "reliability" => ("one of reliable, best_effort", reliability(value).map(Self::Reliability)),
            "durability" => ("one of volatile, transient_local", durability(value).map(Self::Durability)),
            "history" => ("one of keep_last, keep_all", history(value).map(Self::History)),
            "depth" => ("an integer in 1..10000", depth(value).map(Self::Depth)),
            _ => return Ok(None),
        };
        let range =
            || ParameterError::Range { name: cut(name), allowed: allowed.to_owned(), actual: value.to_string() };
        parsed.map(Some).ok_or_else(range)
    }
}

/// Topic, role and policy of a parameter name.
fn split(name: &str) -> Option<(&str, Role, &str)> {
    let (rest, policy) = name.strip_prefix(PREFIX)?.rsplit_once('.')?;
    let (topic, role) = rest.rsplit_once('.')?;
    let role = match role {
        "subscription" => Role::Subscription,
        "publisher" => Role::Publisher,
        _ => return None,
    };
    (topic.starts_with('/') && check_topic(topic).is_ok()).then_some((topic, role, policy))
}

fn reliability(value: &Value) -> Option<Reliability> {
    match word(value)? {
        "reliable" => Some(Reliability::Reliable),
        "best_effort" => Some(Reliability::BestEffort),
        _ => None,
    }
}

fn durability(value: &Value) -> Option<Durability> {
    match word(value)? {
        "volatile" => Some(Durability::Volatile),
        "transient_local" => Some(Durability::TransientLocal),
        _ => None,
    }
}

fn history(value: &Value) -> Option<History> {
    match word(value)? {
        "keep_last" => Some(History::KeepLast),
        "keep_all" => Some(History::KeepAll),
        _ => None,
    }
}

fn depth(value: &Value) -> Option<usize> {
    match value {
        Value::Integer(depth) if (1..=MAX_DEPTH).contains(depth) => usize::try_from(*depth).ok(),
        _ => None,
    }
}

fn word(value: &Value) -> Option<&str> {
    if let Value::Text(word) = value { Some(word) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: &str) -> Value {
        Value::Text(word.into())
    }

    #[test]
    fn every_policy_is_applied_to_its_topic_and_role() {
        let mut overrides = QosOverrides::default();
        let base = "qos_overrides./front/image.subscription.";
        for (policy, value) in [
            ("reliability", text("reliable")),
            ("durability", text("transient_local")),
            ("history", text("keep_all")),
            ("depth", Value::Integer(3)),
        ] {
            overrides.set(&format!("{base}{policy}"), value).unwrap();
        }
        let default = Qos::of(Reliability::BestEffort);
        let expected = Qos {
            reliability: Reliability::Reliable,
            durability: Durability::TransientLocal,
            history: History::KeepAll,
            depth: 3,
        };
        assert_eq!(overrides.apply("/front/image", Role::Subscription, default), expected);
        assert_eq!(overrides.apply("/front/image", Role::Publisher, default), default);
        assert_eq!(overrides.apply("/image", Role::Subscription, default), default);
        assert_eq!(overrides.names().count(), 4);
        assert_eq!(overrides.get(&format!("{base}depth")), Some(&Value::Integer(3)));
    }

    #[test]
    fn values_that_do_not_exist_are_refused_by_name() {
        for (policy, value) in [
            ("reliability", text("sometimes")),
            ("reliability", Value::Bool(true)),
            ("durability", text("persistent")),
            ("history", Value::Integer(1)),
            ("depth", Value::Integer(0)),
            ("depth", Value::Integer(10_001)),
            ("depth", text("5")),
        ] {
            let name = format!("qos_overrides./image.subscription.{policy}");
            let error = QosOverrides::default().set(&name, value).unwrap_err();
            assert!(matches!(&error, ParameterError::Range { name: named, .. } if *named == name), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        for name in [
            "qos_overrides./image.subscription.deadline",
            "qos_overrides./image.subscription_left.depth",
            "qos_overrides./image.depth",
            "qos_overrides.image.subscription.depth",
            "qos_overrides.depth",
            "qos_overrides.",
        ] {
            let error = QosOverrides::default().set(name, Value::Integer(1)).unwrap_err();
            assert_eq!(error, ParameterError::Unapplied(name.into()));
        }
    }

    #[test]
    fn parameters_of_topics_that_the_node_does_not_have_are_found() {
        let mut overrides = QosOverrides::default();
        let (typo, right) = ("qos_overrides./imge.subscription.depth", "qos_overrides./image.subscription.depth");
        overrides.set(typo, Value::Integer(1)).unwrap();
        overrides.set(right, Value::Integer(1)).unwrap();
        let endpoints = [("/image".to_owned(), Role::Subscription), ("/imge".to_owned(), Role::Publisher)];
        assert_eq!(overrides.without_endpoint(&endpoints), [typo]);
    }
}
