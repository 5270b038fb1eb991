//! Publishes answers.

use std::sync::Arc;

use r2r::activation_monitor::msg::{ClassificationArray, OodConfidenceArray};
use r2r::{Publisher, QosProfile};

use super::messages;
use crate::node::input::request::Answer;

/// Publishers of `~/classification` and `~/ood`. Every thread has its own copy.
#[derive(Debug, Clone)]
pub struct Outputs {
    classification: Publisher<ClassificationArray>,
    ood: Publisher<OodConfidenceArray>,
    classes: Arc<[String]>,
}

impl Outputs {
    /// Creates the publishers with the quality of service that `qos` gives each topic. `classes` are the class names of
    /// the model.
    ///
    /// # Errors
    /// When ROS refuses a publisher.
    pub fn new(node: &mut r2r::Node, qos: impl Fn(&str) -> QosProfile, classes: Arc<[String]>) -> r2r::Result<Self> {
        let [classification, ood] = ["~/classification", "~/ood"];
        let (of_classification, of_ood) = (qos(classification), qos(ood));
        let classification = node.create_publisher(classification, of_classification)?;
        Ok(Self { classification, ood: node.create_publisher(ood, of_ood)?, classes })
    }

    /// Publishes one message on each topic.
    pub fn publish(&self, answer: &Answer) {
        let classified = self.classification.publish(&messages::classification(answer, &self.classes));
        let judged = self.ood.publish(&messages::ood(answer, &self.classes));
        if let Err(error) = classified.and(judged) {
            tracing::error!("cannot publish the answer to the image of {:?}: {error}", answer.header.stamp);
        }
    }
}
