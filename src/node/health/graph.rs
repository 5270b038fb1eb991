//! Asks ROS who publishes.

use std::time::Duration;

use r2r::QosProfile;
use r2r::qos::{DurabilityPolicy, LivelinessPolicy, ReliabilityPolicy};

use crate::node::input::endpoints::{Endpoint, Liveliness, Policies};
use crate::parameters::qos::Durability;
use crate::parameters::qos::Reliability;

/// rmw writes "any length" as the longest time that it can.
const FOR_EVER: Duration = Duration::from_secs(9_000_000_000);

/// Publishers on a topic as the graph knows them; none when the graph cannot be asked.
#[must_use]
pub fn publishers(node: &r2r::Node, topic: &str) -> Vec<Endpoint> {
    let found = node.get_publishers_info_by_topic(topic, false).unwrap_or_else(|error| {
        tracing::debug!("cannot ask for the publishers on {topic}: {error}");
        Vec::new()
    });
    let endpoints = found.into_iter().map(|info| Endpoint {
        node: format!("{}/{}", info.node_namespace.trim_end_matches('/'), info.node_name),
        gid: info.endpoint_gid.to_vec(),
        message_type: info.topic_type,
        offered: policies(&info.qos_profile),
    });
    endpoints.collect()
}

/// The policies of a profile that publishers and subscriptions must agree on.
#[must_use]
pub fn policies(profile: &QosProfile) -> Policies {
    Policies {
        reliability: match profile.reliability {
            ReliabilityPolicy::BestEffort => Reliability::BestEffort,
            _ => Reliability::Reliable,
        },
        durability: match profile.durability {
            DurabilityPolicy::TransientLocal => Durability::TransientLocal,
            _ => Durability::Volatile,
        },
        deadline: limited(profile.deadline),
        liveliness: liveliness(&profile.liveliness),
        lease: limited(profile.liveliness_lease_duration),
    }
}

/// The node itself, which not every ROS knows, promises more than the middleware, but this node asks for neither.
fn liveliness(policy: &LivelinessPolicy) -> Liveliness {
    match policy {
        LivelinessPolicy::ManualByTopic => Liveliness::ManualByTopic,
        _ => Liveliness::Automatic,
    }
}

/// Zero means that nothing was set.
fn limited(duration: Duration) -> Option<Duration> {
    Some(duration).filter(|duration| !duration.is_zero() && *duration < FOR_EVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_of_ros_ask_for_no_deadline() {
        let sensor = policies(&QosProfile::sensor_data());
        assert_eq!(sensor, Policies::of(Reliability::BestEffort));
        assert_eq!(policies(&QosProfile::default()), Policies::of(Reliability::Reliable));
    }

    #[test]
    fn what_is_set_is_read() {
        let profile = QosProfile::default()
            .durability(DurabilityPolicy::TransientLocal)
            .deadline(Duration::from_millis(100))
            .liveliness(LivelinessPolicy::ManualByTopic)
            .liveliness_lease_duration(Duration::from_secs(9_223_372_036));
        let expected = Policies {
            reliability: Reliability::Reliable,
            durability: Durability::TransientLocal,
            deadline: Some(Duration::from_millis(100)),
            liveliness: Liveliness::ManualByTopic,
            lease: None,
        };
        assert_eq!(policies(&profile), expected);
    }
}
