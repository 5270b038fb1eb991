//! Publishes `/diagnostics`, and says in the log when something becomes wrong or well again.

use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::qos::ReliabilityPolicy;
use r2r::{Clock, Publisher, QosProfile};

use super::diagnostics::{CameraHealth, InferenceHealth, Level, Status, ViewerHealth};
use super::messages;
use super::statistics::Counts;
use crate::node::inference::shared::Shared;
use crate::node::input::endpoints::{Endpoint, Subscription};
use crate::node::input::names::Names;
use crate::node::lifecycle::engine::{Engine, Line};
use crate::node::lifecycle::machine::State;
use crate::node::output::publishers::RosClock;
use crate::node::parameters::qos::Qos;
use crate::node::parameters::settings::{CameraSettings, RegionsType, Reliability, Transport};
use crate::viewer::Viewer;

/// What the node does at the time of a report.
pub struct Situation<'a> {
    /// State of the lifecycle.
    pub state: State,
    /// Why the last transition failed, where it did.
    pub failure: Option<&'a str>,
    /// What a configured node has.
    pub engine: Option<&'a Engine>,
}

/// Publishes `/diagnostics` once per period.
pub struct Reporter {
    names: Names,
    clock: RosClock,
    publisher: Publisher<DiagnosticArray>,
    period: Duration,
    due: Instant,
    previous: Vec<Counts>,
    said: Vec<(Level, String)>,
}

impl Reporter {
    /// `names` are those of the node.
    ///
    /// # Errors
    /// When ROS refuses the publisher.
    pub fn new(node: &mut r2r::Node, names: Names, period: Duration) -> r2r::Result<Self> {
        let publisher = node.create_publisher("/diagnostics", QosProfile::default())?;
        let clock = RosClock::of(node);
        Ok(Self { names, clock, publisher, period, due: Instant::now(), previous: Vec::new(), said: Vec::new() })
    }

    /// Publishes when a period has passed since the last time.
    pub fn report_when_due(&mut self, node: &r2r::Node, now: Instant, situation: &Situation<'_>) {
        if now < self.due {
            return;
        }
        self.due = now + self.period;
        let ros_now = self.clock.now();
        let mut statuses = self.cameras(node, ros_now, now, situation);
        statuses.push(inference(now, situation).status());
        self.log(&statuses);
        let stamp = Clock::to_builtin_time(&ros_now);
        let message = messages::diagnostics(&self.names.node(), statuses, stamp);
        if let Err(error) = self.publisher.publish(&message) {
            tracing::error!("cannot publish diagnostics: {error}");
        }
    }

    fn cameras(&mut self, node: &r2r::Node, ros_now: Duration, now: Instant, situation: &Situation<'_>) -> Vec<Status> {
        let (State::Active, Some(engine)) = (situation.state, situation.engine) else { return Vec::new() };
        self.previous.resize(engine.lines.len(), Counts::default());
        let lines = engine.lines.iter().enumerate();
        let status = |(index, line)| {
            let mut status = self.camera(node, ros_now, now, engine, (index, line)).status();
            status.values.extend(engine.shared.count(index, |statistics| statistics.input().values()));
            status
        };
        lines.map(status).collect()
    }

    fn camera(
        &mut self,
        node: &r2r::Node,
        ros_now: Duration,
        now: Instant,
        engine: &Engine,
        (index, line): (usize, &Line),
    ) -> CameraHealth {
        let subscriptions = subscriptions(&line.settings, &self.names);
        let endpoints: Vec<Vec<Endpoint>> =
            subscriptions.iter().map(|subscription| publishers(node, &subscription.topic)).collect();
        let mismatches = subscriptions.iter().zip(&endpoints);
        let mismatches = mismatches.flat_map(|(subscription, found)| subscription.mismatches(found)).collect();
        let (counts, silence, newest) = engine.shared.count(index, |statistics| {
            (statistics.counts().clone(), statistics.silence(now), statistics.newest_stamp())
        });
        let previous = std::mem::replace(&mut self.previous[index], counts.clone());
        CameraHealth {
            name: line.settings.name.name().map_or_else(|| "camera".to_owned(), |name| format!("camera {name}")),
            topic: subscriptions[0].topic.clone(),
            publishers: endpoints[0].len(),
            mismatches,
            counts,
            previous,
            silence,
            stale_after: engine.shared.tuning().stale_after,
            stamp_age_secs: newest.map(|stamp| (ros_now.as_nanos() as i64 - stamp.nanos()) as f64 / 1e9),
            viewer: engine.viewer.as_ref().map(|viewer| viewer_health(viewer)),
        }
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

/// What a camera subscribes to, images first.
#[must_use]
pub fn subscriptions(settings: &CameraSettings, names: &Names) -> Vec<Subscription> {
    let subscription = |topic: &String, message_type, qos: Qos| Subscription {
        topic: names.resolve(topic),
        message_type,
        reliability: qos.reliability,
    };
    let images = match settings.transport {
        Transport::Raw => "sensor_msgs/msg/Image",
        Transport::Compressed => "sensor_msgs/msg/CompressedImage",
    };
    let regions = match settings.regions_type {
        RegionsType::RegionArray => "activation_monitor/msg/RegionArray",
        RegionsType::Detection2dArray => "vision_msgs/msg/Detection2DArray",
    };
    let of_regions = settings.regions_topic.as_ref().map(|topic| subscription(topic, regions, settings.regions_qos));
    std::iter::once(subscription(&settings.image_topic, images, settings.image_qos)).chain(of_regions).collect()
}

fn inference(now: Instant, situation: &Situation<'_>) -> InferenceHealth {
    let facts = situation.engine.map(|engine| &engine.facts);
    let pace = |shared: &Shared| {
        (0..shared.cameras().len()).find_map(|camera| shared.count(camera, |statistics| statistics.pace(now)))
    };
    InferenceHealth {
        state: situation.state,
        failure: situation.failure.map(str::to_owned),
        device: facts.map(|facts| facts.device.clone()).unwrap_or_default(),
        model: facts.map(|facts| facts.model.clone()).unwrap_or_default(),
        model_sha256: facts.map(|facts| facts.model_sha256.clone()).unwrap_or_default(),
        monitor: facts.and_then(|facts| facts.monitor.clone()),
        pace: situation.engine.and_then(|engine| pace(&engine.shared)),
        work: situation.engine.and_then(|engine| engine.shared.age_of_work(now)),
        deadline: situation.engine.map(|engine| engine.shared.tuning().deadline).unwrap_or_default(),
    }
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
    let counts = viewer.counts();
    ViewerHealth { target: viewer.target().to_string(), shown: counts.shown, dropped: counts.dropped }
}
