//! Finds publishers whose messages can never arrive here: the first question of everyone who sees no images.

use crate::node::parameters::settings::Reliability;

/// What the graph says about one publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Full name of its node.
    pub node: String,
    /// Message type, for example `sensor_msgs/msg/Image`.
    pub message_type: String,
    /// Reliability it offers.
    pub reliability: Reliability,
}

/// What this node subscribes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Full name of the topic.
    pub topic: String,
    /// Message type.
    pub message_type: &'static str,
    /// Reliability it asks for.
    pub reliability: Reliability,
}

impl Subscription {
    /// Why no message of `publisher` can arrive, and what to do; `None` when they fit.
    #[must_use]
    pub fn mismatch(&self, publisher: &Endpoint) -> Option<String> {
        let Endpoint { node, message_type, reliability } = publisher;
        let Self { topic, .. } = self;
        if message_type != self.message_type {
            let ours = self.message_type;
            let remedy = type_remedy(message_type);
            return Some(format!("{topic}: {node} publishes {message_type}, this node expects {ours}: {remedy}"));
        }
        if *reliability == Reliability::BestEffort && self.reliability == Reliability::Reliable {
            return Some(format!(
                "{topic}: {node} publishes best effort, this node asks for reliable, so nothing arrives: \
                 set image_qos to sensor_data"
            ));
        }
        None
    }

    /// The mismatches with all publishers, without repetitions.
    #[must_use]
    pub fn mismatches(&self, publishers: &[Endpoint]) -> Vec<String> {
        let mut texts: Vec<String> = publishers.iter().filter_map(|publisher| self.mismatch(publisher)).collect();
        texts.sort();
        texts.dedup();
        texts
    }
}

fn type_remedy(published: &str) -> &'static str {
    match published {
        "sensor_msgs/msg/Image" => "set image_transport to raw",
        "sensor_msgs/msg/CompressedImage" => "set image_transport to compressed",
        _ => "choose another topic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(reliability: Reliability) -> Subscription {
        Subscription { topic: "/camera".into(), message_type: "sensor_msgs/msg/Image", reliability }
    }

    fn publisher(message_type: &str, reliability: Reliability) -> Endpoint {
        Endpoint { node: "/driver".into(), message_type: message_type.into(), reliability }
    }

    #[test]
    fn only_reliable_against_best_effort_is_a_mismatch() {
        use Reliability::{BestEffort, Reliable};
        for (ours, theirs, fits) in [
            (BestEffort, BestEffort, true),
            (BestEffort, Reliable, true),
            (Reliable, Reliable, true),
            (Reliable, BestEffort, false),
        ] {
            let mismatch = subscription(ours).mismatch(&publisher("sensor_msgs/msg/Image", theirs));
            assert_eq!(mismatch.is_none(), fits, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn the_remedy_is_named() {
        let ours = subscription(Reliability::BestEffort);
        let text = ours.mismatch(&publisher("sensor_msgs/msg/CompressedImage", Reliability::Reliable)).unwrap();
        assert!(text.contains("image_transport to compressed") && text.contains("/driver"), "{text}");
        let text = ours.mismatch(&publisher("std_msgs/msg/String", Reliability::Reliable)).unwrap();
        assert!(text.contains("another topic"), "{text}");
    }

    #[test]
    fn equal_mismatches_are_said_once() {
        let ours = subscription(Reliability::Reliable);
        let theirs = publisher("sensor_msgs/msg/Image", Reliability::BestEffort);
        assert_eq!(ours.mismatches(&[theirs.clone(), theirs]).len(), 1);
    }
}
