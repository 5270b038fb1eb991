//! Publishes `/diagnostics`, and says in the log when something becomes wrong or well again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::{Clock, Publisher, QosProfile};

use super::announcer::Announcer;
use super::camera::{CameraHealth, TopicHealth};
use super::diagnostics::{Level, Status};
use super::inference::{InferenceHealth, Loaded, Work};
use super::lookup::Lookup;
use super::process::ProcessHealth;
use super::recent::{Past, Recent, Totals};
use super::transport::Transport;
use super::viewer::ViewerHealth;
use super::{black_box, graph, messages, viewer};
use crate::black_box::{BlackBox, Item, nanos};
use crate::counters::statistics::{Counts, Statistics, StreamHealth};
use crate::frame::Note;
use crate::intake::counts::InputCounts;
use crate::intake::request::Task;
use crate::intake::stamp::{Stamp, secs};
use crate::monitor::short_id;
use crate::node::input::endpoints::{Endpoint, Subscription, namesakes};
use crate::node::input::names::Names;
use crate::node::lifecycle::engine::Engine;
use crate::node::lifecycle::machine::State;
use crate::node::output::publishers::RosClock;
use crate::node::output::recording::Diagnostics;
use crate::node::parameters::server::profile;
use crate::parameters::qos::Qos;
use crate::parameters::settings::Settings;
use crate::parameters::typed::{CameraSettings, RegionsType, Transport as ImageTransport};
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

/// Publishes `/diagnostics` once per period, and at once when inference has become late.
pub struct Reporter {
    names: Names,
    settings: Arc<Mutex<Settings>>,
    clock: RosClock,
    publisher: Publisher<DiagnosticArray>,
    transport: Transport,
    period: Duration,
    started: Instant,
    due: Instant,
    reported: Instant,
    was_late: bool,
    cameras: Vec<Memory>,
    all: Past,
    announcer: Announcer,
    lookup: Lookup,
    /// Topics that somebody publishes on, with their types, as of the latest look.
    published: Vec<(String, String)>,
}

/// What is remembered of a camera from one report to the next.
#[derive(Debug, Default)]
struct Memory {
    previous: Counts,
    repeated_stamps: u64,
    past: Past,
}

impl Reporter {
    /// `names` are those of the node.
    ///
    /// # Errors
    /// When ROS refuses the publisher.
    pub fn new(
        node: &mut r2r::Node,
        names: Names,
        settings: Arc<Mutex<Settings>>,
        transport: Transport,
        period: Duration,
    ) -> r2r::Result<Self> {
        let publisher = node.create_publisher("/diagnostics", QosProfile::default())?;
        let (clock, now) = (RosClock::of(node), Instant::now());
        let (cameras, all, published) = (Vec::new(), Past::default(), Vec::new());
        let (announcer, lookup) = (Announcer::default(), Lookup::default());
        let (started, due, reported, was_late) = (now, now, now, false);
        Ok(Self {
            names,
            settings,
            clock,
            publisher,
            transport,
            period,
            started,
            due,
            reported,
            was_late,
            cameras,
            all,
            announcer,
            lookup,
            published,
        })
    }

    /// Publishes when a period has passed since the last time, or inference is late since now.
    pub fn report_when_due(&mut self, node: &r2r::Node, now: Instant, situation: &Situation<'_>) {
        let late = situation.is_late(now);
        let became_late = late && !std::mem::replace(&mut self.was_late, late);
        if now < self.due && !became_late {
            return;
        }
        self.due = now + self.period;
        let ros_now = self.clock.now();
        let statuses = self.statuses(node, ros_now, now, situation);
        self.reported = now;
        for status in &statuses {
            log(status.level, self.announcer.line(status, now));
        }
        let message = messages::diagnostics(&self.names.node(), statuses, Clock::to_builtin_time(&ros_now));
        if let Err(error) = self.publisher.publish(&message) {
            tracing::error!("cannot publish diagnostics: {error}");
        }
        if let Some(black_box) = situation.engine.and_then(|engine| engine.black_box.as_deref()) {
            black_box.push(Item::new("/diagnostics", nanos(ros_now), Diagnostics(message)));
        }
    }

    fn statuses(
        &mut self,
        node: &r2r::Node,
        ros_now: Duration,
        now: Instant,
        situation: &Situation<'_>,
    ) -> Vec<Status> {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cameras = situation.cameras(&settings);
        self.cameras.resize_with(cameras.len(), Memory::default);
        let (mut statuses, mut totals, mut alone) = (Vec::new(), Vec::new(), false);
        for (index, camera) in cameras.iter().enumerate() {
            let (health, of_camera) = self.camera(node, ros_now, now, situation, (index, camera, &settings));
            alone |= situation.state == State::Active && health.is_alone();
            statuses.push(health.status());
            totals.push(of_camera);
        }
        self.look_for_topics(node, alone, now);
        let recent = self.all.until(now, totals.into_iter().sum());
        statuses.push(self.inference(now, situation, &settings, recent).status());
        let view = situation.engine.and_then(|engine| engine.viewer.as_deref()).map(viewer_health);
        statuses.push(viewer::status(view.as_ref()));
        let black_box = situation.engine.and_then(|engine| engine.black_box.as_deref());
        statuses.push(black_box::status(black_box.map(BlackBox::counts).as_ref()));
        statuses.push(self.process(node, ros_now, now, &settings).status());
        statuses
    }

    fn camera(
        &mut self,
        node: &r2r::Node,
        ros_now: Duration,
        now: Instant,
        situation: &Situation<'_>,
        (index, camera, settings): (usize, &CameraSettings, &Settings),
    ) -> (CameraHealth, Totals) {
        let active = situation.state == State::Active;
        let subscriptions = subscriptions(camera, &self.names);
        let published = &self.published;
        let mut topics = subscriptions.iter().map(|subscription| topic(node, subscription, active, published));
        let (images, regions) = (topics.next().unwrap_or_default(), topics.next());
        let tuning = settings.tuning();
        let waits = if regions.is_some() { settings.camera(&camera.name).regions_timeout } else { Duration::ZERO };
        let seen = situation.engine.map(|engine| engine.shared.count(index, |statistics| Seen::of(statistics, now)));
        let seen = seen.unwrap_or_default();
        let memory = &mut self.cameras[index];
        let totals = Totals::of(&seen.counts, seen.input.missing_images);
        let recent = memory.past.until(now, totals);
        let previous = std::mem::replace(&mut memory.previous, seen.counts.clone());
        let repeated = std::mem::replace(&mut memory.repeated_stamps, seen.input.repeated_stamps);
        let repeated = seen.input.repeated_stamps.saturating_sub(repeated);
        let health = CameraHealth {
            name: camera.name.name().map_or_else(|| "camera".to_owned(), |name| format!("camera {name}")),
            state: situation.state,
            images,
            regions,
            counts: seen.counts,
            previous,
            recent,
            newest_reason: seen.newest_reason,
            silence: seen.silence,
            stale_after: tuning.stale_after,
            unanswered: seen.unanswered,
            patience: tuning.deadline + waits,
            stamp_age_secs: seen.newest_stamp.and_then(|stamp| stamp.age_at(ros_now.into())).map(secs),
            input: seen.input,
            notes: seen.notes,
            repeated,
            stream: seen.stream,
        };
        (health, totals)
    }

    /// While a camera or its regions have no publisher: what is published elsewhere.
    fn look_for_topics(&mut self, node: &r2r::Node, wanted: bool, now: Instant) {
        if let Some(names) = self.lookup.step(wanted, now) {
            self.published = names.into_iter().flat_map(|name| types(node, name)).collect();
            self.published.dedup();
        }
        if !wanted {
            self.published.clear();
        }
    }

    fn inference(
        &self,
        now: Instant,
        situation: &Situation<'_>,
        settings: &Settings,
        recent: Recent,
    ) -> InferenceHealth {
        let answered: Vec<_> = situation.engine.map_or_else(Vec::new, |engine| {
            let cameras = 0..engine.shared.cameras().len();
            cameras.flat_map(|camera| engine.shared.count(camera, |statistics| statistics.answered(now))).collect()
        });
        let since = answered.iter().filter(|(at, _)| *at > self.reported);
        let slowest = since.map(|(_, stages)| stages.latency()).max().unwrap_or_default();
        let tuning = settings.tuning();
        InferenceHealth {
            state: situation.state,
            failure: situation.failure.map(str::to_owned),
            loaded: situation.engine.map(loaded),
            alarm_level: tuning.alarm_level,
            work: Work {
                alive: situation.engine.is_none_or(Engine::is_alive),
                age: situation.engine.and_then(|engine| engine.shared.age_of_work(now)),
                waiting: situation.engine.and_then(|engine| waiting(engine, now)),
                slowest,
                deadline: tuning.deadline,
            },
            recent,
            stages: answered.into_iter().map(|(_, stages)| stages).collect(),
        }
    }

    fn process(&mut self, node: &r2r::Node, ros_now: Duration, now: Instant, settings: &Settings) -> ProcessHealth {
        self.transport.measure();
        let use_sim_time = settings.bool("use_sim_time");
        let name = self.names.node();
        ProcessHealth {
            namesakes: namesakes(&name, &graph::publishers(node, "/rosout")),
            node: name,
            uptime: now.saturating_duration_since(self.started),
            use_sim_time,
            ros_now,
            clock_publishers: if use_sim_time { graph::publishers(node, "/clock").len() } else { 0 },
            transport: self.transport.clone(),
        }
    }
}

/// What the counters of a camera say at a time.
#[derive(Default)]
struct Seen {
    counts: Counts,
    silence: Option<Duration>,
    unanswered: Option<Duration>,
    newest_stamp: Option<Stamp>,
    newest_reason: String,
    input: InputCounts,
    notes: Vec<Note>,
    stream: StreamHealth,
}

impl Seen {
    fn of(statistics: &Statistics, now: Instant) -> Self {
        Self {
            counts: statistics.counts().clone(),
            silence: statistics.silence(now),
            unanswered: statistics.unanswered_since().map(|since| now.saturating_duration_since(since)),
            newest_stamp: statistics.newest_stamp(),
            newest_reason: statistics.newest_reason().to_owned(),
            input: statistics.input().clone(),
            notes: statistics.notes().to_vec(),
            stream: statistics.stream().clone(),
        }
    }
}

impl Situation<'_> {
    /// Whether the images in work have been there for longer than the deadline.
    fn is_late(&self, now: Instant) -> bool {
        let engine = self.engine.filter(|_| self.state == State::Active);
        let late =
            |engine: &Engine| engine.shared.age_of_work(now).filter(|age| *age > engine.shared.tuning().deadline);
        engine.and_then(late).is_some()
    }

    /// The cameras of a configured node; those that the parameters name otherwise.
    fn cameras(&self, settings: &Settings) -> Vec<CameraSettings> {
        match self.engine {
            Some(engine) => engine.lines.iter().map(|line| line.settings.clone()).collect(),
            None => settings.camera_names().iter().map(|name| settings.camera(name)).collect(),
        }
    }
}

/// How long the oldest image has waited for inference.
fn waiting(engine: &Engine, now: Instant) -> Option<Duration> {
    engine.shared.slots.oldest(Task::ready).map(|ready| now.saturating_duration_since(ready))
}

fn loaded(engine: &Engine) -> Loaded {
    let facts = &engine.facts;
    Loaded {
        device: facts.device.clone(),
        model: facts.model.clone(),
        model_sha256: facts.model_sha256.clone(),
        model_id: short_id(&facts.model_sha256).to_owned(),
        monitor: facts.monitor.clone(),
        monitor_id: facts.monitor_id.clone(),
        smallest_p_value: facts.smallest_p_value,
        reachable_alarm_level: facts.reachable_alarm_level,
    }
}

/// What the graph says of a topic; nothing while the node does not listen. `published` are topics that somebody
/// publishes on.
fn topic(node: &r2r::Node, subscription: &Subscription, active: bool, published: &[(String, String)]) -> TopicHealth {
    let topic = subscription.topic.clone();
    let publishers = if active { graph::publishers(node, &topic) } else { Vec::new() };
    let mismatches = subscription.mismatches(&publishers);
    let hint = if active && publishers.is_empty() { hint(node, subscription, published) } else { None };
    let publishers = publishers.into_iter().map(|Endpoint { node, .. }| node).collect();
    TopicHealth { topic, publishers, mismatches, hint }
}

fn hint(node: &r2r::Node, subscription: &Subscription, published: &[(String, String)]) -> Option<String> {
    let siblings = subscription.siblings().into_iter().flat_map(|topic| types(node, topic));
    let known = published.iter().filter(|(topic, _)| !subscription.siblings().contains(topic)).cloned();
    subscription.hint(&siblings.chain(known).collect::<Vec<_>>())
}

/// The topic once per publisher, with the type that it publishes.
fn types(node: &r2r::Node, topic: String) -> impl Iterator<Item = (String, String)> {
    graph::publishers(node, &topic).into_iter().map(move |found| (topic.clone(), found.message_type))
}

fn log(level: Level, line: Option<String>) {
    let Some(line) = line else { return };
    match level {
        Level::Ok => tracing::info!("{line}"),
        Level::Warn | Level::Stale => tracing::warn!("{line}"),
        Level::Error => tracing::error!("{line}"),
    }
}

/// What a camera subscribes to, images first.
#[must_use]
pub fn subscriptions(settings: &CameraSettings, names: &Names) -> Vec<Subscription> {
    let subscription = |topic: &String, message_type, qos: Qos, row| Subscription {
        topic: names.resolve(topic),
        message_type,
        asked: graph::policies(&profile(qos)),
        parameter: settings.name.parameter(row),
    };
    let images = match settings.transport {
        ImageTransport::Raw => "sensor_msgs/msg/Image",
        ImageTransport::Compressed => "sensor_msgs/msg/CompressedImage",
    };
    let regions = match settings.regions_type {
        RegionsType::RegionArray => "activation_monitor/msg/RegionArray",
        RegionsType::Detection2dArray => "vision_msgs/msg/Detection2DArray",
    };
    let of_regions = settings
        .regions_topic
        .as_ref()
        .map(|topic| subscription(topic, regions, settings.regions_qos, "regions_topic"));
    std::iter::once(subscription(&settings.image_topic, images, settings.image_qos, "image_topic"))
        .chain(of_regions)
        .collect()
}

fn viewer_health(viewer: &Viewer) -> ViewerHealth {
    let (counts, failure) = (viewer.counts(), viewer.failure());
    let target = viewer.target().to_string();
    ViewerHealth { target, shown: counts.shown, dropped: counts.dropped, failed: counts.failed, failure }
}
