//! Publishes `/diagnostics`, and says in the log when something becomes wrong or well again.

use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::qos::ReliabilityPolicy;
use r2r::{Clock, Publisher, QosProfile};

use super::diagnostics::{CameraHealth, InferenceHealth, Level, Status, ViewerHealth};
use super::messages;
use super::statistics::Counts;
use crate::node::inference::worker::Shared;
use crate::node::input::endpoints::{Endpoint, Subscription};
use crate::node::parameters::settings::Reliability;
use crate::viewer::Viewer;

/// What is reported on.
pub struct Reporter {
    shared: Shared,
    subscriptions: Vec<Subscription>,
    inference: InferenceHealth,
    viewer: Option<std::sync::Arc<Viewer>>,
    publisher: Publisher<DiagnosticArray>,
    period: Duration,
    due: Instant,
    previous: Counts,
    said: Vec<(Level, String)>,
}

impl Reporter {
    /// `subscriptions` begin with that of the images; `inference` is completed with the pace at every report.
    ///
    /// # Errors
    /// When ROS refuses the publisher.
    pub fn new(
        node: &mut r2r::Node,
        shared: Shared,
        subscriptions: Vec<Subscription>,
        inference: InferenceHealth,
        viewer: Option<std::sync::Arc<Viewer>>,
        period: Duration,
    ) -> r2r::Result<Self> {
        let publisher = node.create_publisher("/diagnostics", QosProfile::default())?;
        let (previous, said) = (Counts::default(), Vec::new());
        Ok(Self { shared, subscriptions, inference, viewer, publisher, period, due: Instant::now(), previous, said })
    }

    /// Publishes when a period has passed since the last time.
    pub fn report_when_due(&mut self, node: &r2r::Node, now: Instant) {
        if now < self.due {
            return;
        }
        self.due = now + self.period;
        let ros_now = ros_now(node);
        let statuses = vec![self.camera(node, ros_now, now).status(), self.inference(now).status()];
        self.log(&statuses);
        let stamp = Clock::to_builtin_time(&ros_now);
        if let Err(error) = self.publisher.publish(&messages::diagnostics(statuses, stamp)) {
            tracing::error!("cannot publish diagnostics: {error}");
        }
    }

    fn camera(&mut self, node: &r2r::Node, ros_now: Duration, now: Instant) -> CameraHealth {
        let endpoints: Vec<Vec<Endpoint>> =
            self.subscriptions.iter().map(|subscription| publishers(node, &subscription.topic)).collect();
        let mismatches = self.subscriptions.iter().zip(&endpoints);
        let mismatches = mismatches.flat_map(|(subscription, found)| subscription.mismatches(found)).collect();
        let (counts, silence, newest) = self
            .shared
            .count(|statistics| (statistics.counts().clone(), statistics.silence(now), statistics.newest_stamp()));
        let previous = std::mem::replace(&mut self.previous, counts.clone());
        CameraHealth {
            topic: self.subscriptions[0].topic.clone(),
            publishers: endpoints[0].len(),
            mismatches,
            counts,
            previous,
            silence,
            stale_after: self.shared.tuning().stale_after,
            stamp_age_secs: newest.map(|stamp| (ros_now.as_nanos() as i64 - stamp.nanos()) as f64 / 1e9),
            viewer: self.viewer.as_ref().map(|viewer| viewer_health(viewer)),
        }
    }

    fn inference(&self, now: Instant) -> InferenceHealth {
        InferenceHealth { pace: self.shared.count(|statistics| statistics.pace(now)), ..self.inference.clone() }
    }

    /// Once per change of level, and once per new message of a mismatch: not every second.
    fn log(&mut self, statuses: &[Status]) {
        let now: Vec<(Level, String)> = statuses.iter().map(|status| (status.level, status.message.clone())).collect();
        for (index, (level, message)) in now.iter().enumerate() {
            let before = self.said.get(index);
            let changed = before.is_none_or(|(old, text)| old != level || (*level == Level::Error && text != message));
            match level {
                _ if !changed => {}
                Level::Ok if before.is_none() => {}
                Level::Ok => tracing::info!("{message}"),
                Level::Warn | Level::Stale => tracing::warn!("{message}"),
                Level::Error => tracing::error!("{message}"),
            }
        }
        self.said = now;
    }
}

fn ros_now(node: &r2r::Node) -> Duration {
    let clock = node.get_ros_clock();
    let mut clock = clock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    clock.get_now().unwrap_or_default()
}

/// Publishers on a topic as the graph knows them; none when the graph cannot be asked.
fn publishers(node: &r2r::Node, topic: &str) -> Vec<Endpoint> {
    let found = node.get_publishers_info_by_topic(topic, false).unwrap_or_else(|error| {
        tracing::debug!("cannot ask for the publishers on {topic}: {error}");
        Vec::new()
    });
    let endpoints = found.into_iter().map(|info| Endpoint {
        node: format!("{}/{}", info.node_namespace.trim_end_matches('/'), info.node_name),
        message_type: info.topic_type,
        reliability: match info.qos_profile.reliability {
            ReliabilityPolicy::BestEffort => Reliability::BestEffort,
            _ => Reliability::Reliable,
        },
    });
    endpoints.collect()
}

fn viewer_health(viewer: &Viewer) -> ViewerHealth {
    let (counts, failure) = (viewer.counts(), viewer.failure());
    let target = viewer.target().to_string();
    ViewerHealth { target, shown: counts.shown, dropped: counts.dropped, failed: counts.failed, failure }
}
