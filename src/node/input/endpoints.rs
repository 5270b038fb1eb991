//! What the graph says of the publishers on a topic: whose messages can never arrive here, and what else is there. The
//! first question of everyone who sees no images.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::parameters::qos::Durability;
use crate::parameters::qos::Reliability;

/// Publishers and subscriptions that a message names at most.
const MAX_NAMED: usize = 5;

/// Suffix of the topic on which `image_transport` publishes compressed images.
const COMPRESSED: &str = "/compressed";

const IMAGE: &str = "sensor_msgs/msg/Image";
const COMPRESSED_IMAGE: &str = "sensor_msgs/msg/CompressedImage";

/// Policies that publisher and subscription must agree on, as the quality of service of DDS has them: what is offered must
/// not be less than what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policies {
    /// Whether lost messages are sent again.
    pub reliability: Reliability,
    /// Whether who comes late gets the last messages.
    pub durability: Durability,
    /// Longest time between two messages; `None`: any.
    pub deadline: Option<Duration>,
    /// Who says that the publisher is alive.
    pub liveliness: Liveliness,
    /// Longest time between two signs of life; `None`: any.
    pub lease: Option<Duration>,
}

/// Who says that a publisher is alive, the weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Liveliness {
    /// The middleware.
    Automatic,
    /// The program, for this topic.
    ManualByTopic,
}

/// What the graph says about one publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Full name of its node.
    pub node: String,
    /// Global id, whose first bytes are those of the process in DDS.
    pub gid: Vec<u8>,
    /// Message type, for example `sensor_msgs/msg/Image`.
    pub message_type: String,
    /// What it offers.
    pub offered: Policies,
}

/// What this node subscribes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Full name of the topic.
    pub topic: String,
    /// Message type.
    pub message_type: &'static str,
    /// What it asks for.
    pub asked: Policies,
    /// Parameter that holds the name of the topic.
    pub parameter: String,
}

impl Policies {
    /// What ROS gives a topic of that reliability.
    #[cfg(test)]
    pub fn of(reliability: Reliability) -> Self {
        let (durability, liveliness) = (Durability::Volatile, Liveliness::Automatic);
        Self { reliability, durability, deadline: None, liveliness, lease: None }
    }

    /// Why nothing that offers `offered` reaches what asks for `self`, and what to do, for the subscription to `topic`.
    fn refuse(&self, topic: &str, offered: &Self) -> Option<String> {
        if offered.reliability == Reliability::BestEffort && self.reliability == Reliability::Reliable {
            return Some(
                "best effort, this node asks for reliable, so nothing arrives: set image_qos to sensor_data".into(),
            );
        }
        if offered.durability < self.durability {
            return Some(format!(
                "volatile, this node asks for transient local, so nothing arrives: set \
                 qos_overrides.{topic}.subscription.durability to volatile"
            ));
        }
        if longer(offered.deadline, self.deadline) {
            return Some(format!(
                "with a deadline of {}, this node asks for {}",
                time(offered.deadline),
                time(self.deadline)
            ));
        }
        let (theirs, ours) = (offered.liveliness, self.liveliness);
        if theirs < ours {
            return Some(format!("with liveliness {theirs:?}, this node asks for {ours:?}"));
        }
        longer(offered.lease, self.lease).then(|| {
            format!("with a liveliness lease of {}, this node asks for {}", time(offered.lease), time(self.lease))
        })
    }
}

/// Whether the first time is longer; `None` is for ever.
fn longer(offered: Option<Duration>, asked: Option<Duration>) -> bool {
    asked.is_some_and(|asked| offered.is_none_or(|offered| offered > asked))
}

fn time(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "any length".to_owned(), |duration| format!("{:.3} s", duration.as_secs_f64()))
}

impl Subscription {
    /// Why no message of `publisher` can arrive, and what to do; `None` when they fit.
    #[must_use]
    pub fn mismatch(&self, publisher: &Endpoint) -> Option<String> {
        let Endpoint { node, message_type, offered, .. } = publisher;
        let Self { topic, .. } = self;
        if message_type != self.message_type {
            let ours = self.message_type;
            let remedy = type_remedy(ours, message_type);
            return Some(format!("{topic}: {node} publishes {message_type}, this node expects {ours}: {remedy}"));
        }
        self.asked.refuse(topic, offered).map(|reason| format!("{topic}: {node} publishes {reason}"))
    }

    /// The mismatches with all publishers, without repetitions.
    #[must_use]
    pub fn mismatches(&self, publishers: &[Endpoint]) -> Vec<String> {
        let mut texts: Vec<String> = publishers.iter().filter_map(|publisher| self.mismatch(publisher)).collect();
        texts.sort();
        texts.dedup();
        texts
    }

    /// Topics beside the subscribed one on which the same camera may publish: raw and compressed images.
    #[must_use]
    pub fn siblings(&self) -> Vec<String> {
        if !self.is_image() {
            return Vec::new();
        }
        let parent = self.topic.strip_suffix(COMPRESSED).map(str::to_owned);
        [Some(format!("{}{COMPRESSED}", self.topic)), parent].into_iter().flatten().collect()
    }

    /// What to subscribe to instead, while nobody publishes on this topic. `published` are topics that somebody publishes
    /// on, with their message types.
    #[must_use]
    pub fn hint(&self, published: &[(String, String)]) -> Option<String> {
        let siblings = self.siblings();
        let of_type = |wanted: &str, near: bool| -> Vec<&str> {
            let fits = |(topic, found): &&(String, String)| found == wanted && near == siblings.contains(topic);
            let others = published.iter().filter(fits).map(|(topic, _)| topic.as_str());
            others.filter(|topic| *topic != self.topic).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let (ours, other) = (self.message_type, other_transport(self.message_type));
        let choices = [(ours, true), (other, true), (ours, false), (other, false)];
        let found =
            choices.into_iter().map(|(kind, near)| (kind, of_type(kind, near))).find(|(_, topics)| !topics.is_empty());
        found.map(|(kind, topics)| self.remedy(kind, &topics))
    }

    fn remedy(&self, kind: &str, topics: &[&str]) -> String {
        let Self { parameter, .. } = self;
        let (verb, it) = if topics.len() == 1 { ("exists", topics[0]) } else { ("exist", "one of them") };
        let transport = match kind {
            _ if kind == self.message_type => String::new(),
            COMPRESSED_IMAGE => " and image_transport to compressed".to_owned(),
            _ => " and image_transport to raw".to_owned(),
        };
        format!("{} ({kind}) {verb}: set {parameter} to {it}{transport}", some_of(topics))
    }

    fn is_image(&self) -> bool {
        [IMAGE, COMPRESSED_IMAGE].contains(&self.message_type)
    }
}

/// The first few of many, and how many more there are.
#[must_use]
pub fn some_of(names: &[&str]) -> String {
    let more = names.len().saturating_sub(MAX_NAMED);
    let named = names[..names.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// Number of processes other than this one that have a node called `node` too, from the publishers on a topic that every
/// node has. In DDS the first twelve bytes of a global id are those of the process.
#[must_use]
pub fn namesakes(node: &str, publishers: &[Endpoint]) -> usize {
    const PROCESS: usize = 12;
    let of_name = publishers.iter().filter(|publisher| publisher.node == node);
    let mut processes: Vec<&[u8]> = of_name.map(|found| &found.gid[..found.gid.len().min(PROCESS)]).collect();
    processes.sort_unstable();
    processes.dedup();
    processes.len().saturating_sub(1)
}

fn other_transport(message_type: &str) -> &'static str {
    match message_type {
        IMAGE => COMPRESSED_IMAGE,
        COMPRESSED_IMAGE => IMAGE,
        _ => "",
    }
}

fn type_remedy(ours: &str, published: &str) -> &'static str {
    match (other_transport(ours) == published, published) {
        (true, IMAGE) => "set image_transport to raw",
        (true, COMPRESSED_IMAGE) => "set image_transport to compressed",
        _ => "choose another topic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reliability::{BestEffort, Reliable};

    fn subscription(reliability: Reliability) -> Subscription {
        let (topic, parameter) = ("/camera".into(), "image_topic".into());
        Subscription { topic, message_type: IMAGE, asked: Policies::of(reliability), parameter }
    }

    fn publisher(message_type: &str, reliability: Reliability) -> Endpoint {
        let offered = Policies::of(reliability);
        Endpoint { node: "/driver".into(), gid: vec![1; 16], message_type: message_type.into(), offered }
    }

    #[test]
    fn only_reliable_against_best_effort_is_a_mismatch() {
        for (ours, theirs, fits) in [
            (BestEffort, BestEffort, true),
            (BestEffort, Reliable, true),
            (Reliable, Reliable, true),
            (Reliable, BestEffort, false),
        ] {
            let mismatch = subscription(ours).mismatch(&publisher(IMAGE, theirs));
            assert_eq!(mismatch.is_none(), fits, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn durability_deadline_and_liveliness_must_fit_too() {
        let secs = Duration::from_secs;
        let plain = Policies::of(Reliable);
        let durable = Policies { durability: Durability::TransientLocal, ..plain };
        let alive = Policies { liveliness: Liveliness::ManualByTopic, ..plain };
        let fast = Policies { deadline: Some(secs(1)), lease: Some(secs(1)), ..plain };
        let slow = Policies { deadline: Some(secs(2)), lease: Some(secs(1)), ..plain };
        let tired = Policies { deadline: Some(secs(1)), lease: Some(secs(2)), ..plain };
        for (asked, offered, word) in [
            (plain, durable, None),
            (durable, plain, Some("qos_overrides./camera.subscription.durability")),
            (alive, plain, Some("Automatic, this node asks for ManualByTopic")),
            (plain, alive, None),
            (fast, fast, None),
            (slow, fast, None),
            (fast, slow, Some("deadline of 2.000 s, this node asks for 1.000 s")),
            (fast, plain, Some("deadline of any length")),
            (plain, fast, None),
            (fast, tired, Some("lease of 2.000 s")),
        ] {
            let publisher = Endpoint { offered, ..publisher(IMAGE, Reliable) };
            let mismatch = Subscription { asked, ..subscription(Reliable) }.mismatch(&publisher);
            match word {
                None => assert_eq!(mismatch, None),
                Some(word) => {
                    assert!(mismatch.as_ref().is_some_and(|text| text.contains(word)), "{word}: {mismatch:?}");
                }
            }
        }
    }

    #[test]
    fn the_remedy_is_named() {
        let ours = subscription(BestEffort);
        let text = ours.mismatch(&publisher(COMPRESSED_IMAGE, Reliable)).unwrap();
        assert!(text.contains("image_transport to compressed") && text.contains("/driver"), "{text}");
        let text = ours.mismatch(&publisher("std_msgs/msg/String", Reliable)).unwrap();
        assert!(text.contains("another topic"), "{text}");
        let regions = Subscription { message_type: "activation_monitor/msg/RegionArray", ..ours };
        let text = regions.mismatch(&publisher(IMAGE, Reliable)).unwrap();
        assert!(text.contains("another topic"), "{text}");
    }

    #[test]
    fn equal_mismatches_are_said_once() {
        let ours = subscription(Reliable);
        let theirs = publisher(IMAGE, BestEffort);
        assert_eq!(ours.mismatches(&[theirs.clone(), theirs]).len(), 1);
    }

    fn hint(topic: &str, message_type: &'static str, published: &[(&str, &str)]) -> Option<String> {
        let ours = Subscription { topic: topic.into(), message_type, ..subscription(BestEffort) };
        ours.hint(&published.iter().map(|(topic, kind)| ((*topic).to_owned(), (*kind).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn the_other_transport_of_the_same_camera_comes_first() {
        let published =
            [("/cam/image", IMAGE), ("/camera/compressed", COMPRESSED_IMAGE), ("/x/compressed", COMPRESSED_IMAGE)];
        assert_eq!(
            hint("/camera", IMAGE, &published).unwrap(),
            "/camera/compressed (sensor_msgs/msg/CompressedImage) exists: set image_topic to /camera/compressed and \
             image_transport to compressed"
        );
        assert_eq!(
            hint("/camera", COMPRESSED_IMAGE, &published).unwrap(),
            "/camera/compressed (sensor_msgs/msg/CompressedImage) exists: set image_topic to /camera/compressed"
        );
        assert_eq!(
            hint("/cam/image/compressed", COMPRESSED_IMAGE, &published[..1]).unwrap(),
            "/cam/image (sensor_msgs/msg/Image) exists: set image_topic to /cam/image and image_transport to raw"
        );
    }

    #[test]
    fn then_topics_of_the_right_type_and_then_of_the_other_one() {
        let published =
            [("/b", IMAGE), ("/a", IMAGE), ("/b", IMAGE), ("/c", COMPRESSED_IMAGE), ("/camera", COMPRESSED_IMAGE)];
        assert_eq!(
            hint("/camera", IMAGE, &published).unwrap(),
            "/a, /b (sensor_msgs/msg/Image) exist: set image_topic to one of them"
        );
        let text = hint("/camera", IMAGE, &published[3..]).unwrap();
        assert!(text.starts_with("/c (sensor_msgs/msg/CompressedImage) exists"), "{text}");
        assert_eq!(hint("/camera", IMAGE, &published[4..]), None, "the topic itself is no other one");
        assert_eq!(hint("/regions", "activation_monitor/msg/RegionArray", &published), None);
    }

    #[test]
    fn of_many_only_some_are_named() {
        assert_eq!(some_of(&["a", "b"]), "a, b");
        assert_eq!(some_of(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }

    #[test]
    fn nodes_of_the_same_name_are_told_apart_by_their_process() {
        let endpoint = |node: &str, process: u8, entity: u8| {
            let gid = [[process; 12].as_slice(), &[entity; 4]].concat();
            Endpoint { node: node.into(), gid, ..publisher("rcl_interfaces/msg/Log", Reliable) }
        };
        let ours = [endpoint("/monitor", 1, 1), endpoint("/monitor", 1, 2), endpoint("/other", 2, 1)];
        assert_eq!(namesakes("/monitor", &ours), 0);
        let with_another = [ours.as_slice(), &[endpoint("/monitor", 3, 1), endpoint("/monitor", 4, 1)]].concat();
        assert_eq!(namesakes("/monitor", &with_another), 2);
        assert_eq!(namesakes("/monitor", &[]), 0);
    }
}
