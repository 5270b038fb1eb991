//! Publishes answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use r2r::{Clock, QosProfile};

use super::overlay::OVERLAY;
use super::topic::Topic;
use crate::dataset::verdicts::{ClassificationArray, OodConfidenceArray, StreamState};
use crate::inference::messages::{self, Identity};
use crate::intake::request::Answer;
use crate::intake::stamp::Stamp;
use crate::parameters::names::CameraName;
use crate::parameters::qos::Durability;

/// The ROS clock of the node: the machine's, or that of `/clock`.
#[derive(Clone)]
pub struct RosClock(Arc<Mutex<Clock>>);

impl RosClock {
    /// The clock of a node.
    #[must_use]
    pub fn of(node: &r2r::Node) -> Self {
        Self(node.get_ros_clock())
    }

    /// Time since the epoch of the clock; zero while `/clock` is awaited.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_now().unwrap_or_default()
    }

    /// The same as a stamp.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.now().into()
    }
}

/// State of a camera, only when it is another one; kept for who comes late.
const CHANGES: &str = "stream_changes";

/// Outputs of every camera, under its name.
pub const OUTPUTS: &[&str] = &[
    "classification",
    "ood",
    "stream_state",
    CHANGES,
    OVERLAY,
    #[cfg(vision_msgs)]
    "detections",
];

/// Publishers of one camera.
#[derive(Clone)]
struct CameraOutputs {
    classification: Topic<ClassificationArray>,
    ood: Topic<OodConfidenceArray>,
    stream_state: Topic<StreamState>,
    stream_changes: Topic<StreamState>,
    #[cfg(vision_msgs)]
    detections: r2r::Publisher<r2r::vision_msgs::msg::Detection2DArray>,
}

/// Publishers of `classification`, `ood`, `stream_state` and `stream_changes` (and `detections`, where vision_msgs was there when the node was built) for
/// every camera. Every thread has its own copy.
#[derive(Clone)]
pub struct Outputs {
    cameras: Vec<CameraOutputs>,
    identity: Arc<Identity>,
    clock: RosClock,
}

impl Outputs {
    /// Creates the publishers of the cameras with the quality of service that `qos` gives each topic.
    ///
    /// # Errors
    /// When ROS refuses a publisher.
    pub fn new(
        node: &mut r2r::Node,
        cameras: &[CameraName],
        qos: impl Fn(&str, Durability) -> QosProfile,
        identity: Identity,
    ) -> r2r::Result<Self> {
        let mut create = |camera: &CameraName| -> r2r::Result<CameraOutputs> {
            let latched = |topic: &str| qos(topic, Durability::TransientLocal);
            let qos = |topic: &str| qos(topic, Durability::Volatile);
            let [classification, ood, state, changes] =
                ["classification", "ood", "stream_state", CHANGES].map(|output| camera.topic(output));
            Ok(CameraOutputs {
                classification: Topic::create(node, &classification, qos(&classification))?,
                ood: Topic::create(node, &ood, qos(&ood))?,
                stream_state: Topic::create(node, &state, qos(&state))?,
                stream_changes: Topic::create(node, &changes, latched(&changes))?,
                #[cfg(vision_msgs)]
                detections: node.create_publisher(&camera.topic("detections"), qos(&camera.topic("detections")))?,
            })
        };
        let cameras = cameras.iter().map(&mut create).collect::<r2r::Result<_>>()?;
        Ok(Self { cameras, identity: Arc::new(identity), clock: RosClock::of(node) })
    }

    /// Publishes one message on each topic of a camera, the one that decisions wait for first. Returns the time that they carry.
    pub fn publish(&self, camera: usize, answer: &Answer) -> Stamp {
        let outputs = &self.cameras[camera];
        let published = self.clock.stamp();
        let judged = outputs.ood.publish(&messages::ood(answer, published, &self.identity));
        let classified = outputs.classification.publish(&messages::classification(answer, published, &self.identity));
        let state = messages::stream_state(answer);
        let classified = classified.and(outputs.stream_state.publish(&state));
        let changed = answer.observed.has_changed.then(|| outputs.stream_changes.publish(&state));
        let classified = classified.and(changed.unwrap_or(Ok(())));
        #[cfg(vision_msgs)]
        let classified = classified.and(
            outputs.detections.publish(&super::detections::detections(answer, &self.identity)).map_err(Into::into),
        );
        if let Err(error) = judged.and(classified) {
            tracing::error!("cannot publish the answer to the image of {:?}: {error}", answer.header.stamp);
        }
        published
    }

    /// Takes the topics back. Other copies publish nothing from then on.
    pub fn destroy(self, node: &mut r2r::Node) {
        for outputs in self.cameras {
            outputs.classification.destroy(node);
            outputs.ood.destroy(node);
            outputs.stream_state.destroy(node);
            outputs.stream_changes.destroy(node);
            #[cfg(vision_msgs)]
            node.destroy_publisher(outputs.detections);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::names::check_cameras;

    #[test]
    fn no_camera_is_called_like_an_output() {
        for output in OUTPUTS {
            let name = output.split('/').next().unwrap_or_default().to_owned();
            assert!(check_cameras(&[name]).unwrap_err().contains("uses that name"), "{output}");
        }
    }
}
