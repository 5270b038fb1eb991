//! Plays a bag to a node over the middleware, paced by its answers so that nothing is dropped, and records them as they came. A process of
//! its own (`monitor_node --play`), so that the command line needs no ROS.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::executor::LocalPool;
use futures::stream::StreamExt;
use futures::task::LocalSpawnExt;
use r2r::{PublisherUntyped, QosProfile};

use super::health::transport;
use super::lifecycle::signals;
use crate::dataset::bag::{BagMessage, BagReader, BagWriter, Encoded};
use crate::dataset::cdr::{self, Clock, Header, RosMessage, Time};
use crate::dataset::verdicts::{OodConfidenceArray, StreamState};

/// How long the node may take to start.
const START: Duration = Duration::from_secs(120);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How often is looked while waiting.
const STEP: Duration = Duration::from_millis(2);
/// How often the time is told while the node does not know it.
const TELL: Duration = Duration::from_millis(50);
/// Where the node says which time it has.
const DIAGNOSTICS: &str = "/diagnostics";
const DIAGNOSTICS_TYPE: &str = "diagnostic_msgs/msg/DiagnosticArray";

/// Regions that are remembered because their images may follow.
const MOST_EARLY: usize = 100;

/// One camera: `IMAGES,OUTPUTS` or `IMAGES,OUTPUTS,REGIONS`, names of topics and the prefix of the outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayedCamera {
    images: String,
    outputs: String,
    regions: Option<String>,
}

/// What is played where.
#[derive(Debug)]
pub struct Playing<'a> {
    /// The bag.
    pub bag: &'a Path,
    /// Where the answers are recorded.
    pub record: &'a Path,
    /// Cameras of the node.
    pub cameras: &'a [PlayedCamera],
    /// How long an image waits for its regions in the time of the bag.
    pub regions_timeout: Duration,
}

/// An image whose answer is awaited.
#[derive(Debug)]
struct Pending {
    stamp: Time,
    log_nanos: u64,
    /// Whether all was published that the node needs for its answer.
    is_ready: bool,
    verdicts: bool,
    state: bool,
}

/// What the node has said, in the order in which it came.
type Heard = Rc<RefCell<VecDeque<(String, &'static str, Vec<u8>)>>>;

struct Player<'a> {
    cameras: &'a [PlayedCamera],
    regions_timeout: Duration,
    node: r2r::Node,
    pool: LocalPool,
    publishers: BTreeMap<String, PublisherUntyped>,
    clock: PublisherUntyped,
    heard: Heard,
    /// The newest time that the node has said in its diagnostics.
    node_time: Rc<Cell<Option<Time>>>,
    pending: Vec<Vec<Pending>>,
    recording: BagWriter,
    log_nanos: u64,
    missing: u64,
    images: u64,
    begun: Instant,
    /// Stamps of regions that came before their images, the newest last.
    early: Vec<VecDeque<Time>>,
}

impl FromStr for PlayedCamera {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split(',').collect::<Vec<_>>()[..] {
            [images, outputs] => Ok(Self { images: images.into(), outputs: outputs.into(), regions: None }),
            [images, outputs, regions] => {
                Ok(Self { images: images.into(), outputs: outputs.into(), regions: Some(regions.into()) })
            }
            _ => Err(format!("`{text}` is not IMAGES,OUTPUTS[,REGIONS]")),
        }
    }
}

/// Plays and records; says on stderr what went wrong.
#[must_use]
pub fn main(playing: &Playing<'_>) -> ExitCode {
    match play(playing) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(playing: &Playing<'_>) -> anyhow::Result<()> {
    // Before anything else: it may set variables of the environment, which only a single thread may do.
    let transport = transport::prepare();
    let context = r2r::Context::create().context("ROS cannot start")?;
    let stop = signals::listen().context("cannot listen for signals")?;
    let node = r2r::Node::create(context, "replay", "").context("cannot create the node")?;
    drop(transport.confirm());
    let bag = BagReader::open(playing.bag)?;
    let wanted: Vec<String> = playing.cameras.iter().flat_map(PlayedCamera::inputs).collect();
    let bag = bag.only(&wanted.iter().map(String::as_str).collect::<Vec<_>>());
    let mut player = Player::new(node, &bag, playing)?;
    player.wait_for_node()?;
    let mut messages = bag.peekable();
    if let Some(Ok(first)) = messages.peek() {
        player.wait_for_clock(first.log_nanos)?;
    }
    for message in messages {
        ensure!(!stop.load(std::sync::atomic::Ordering::Relaxed), "interrupted");
        player.message(&message?)?;
    }
    player.finish()
}

impl PlayedCamera {
    fn inputs(&self) -> Vec<String> {
        std::iter::once(self.images.clone()).chain(self.regions.clone()).collect()
    }

    fn topic(&self, output: &str) -> String {
        format!("{}/{output}", self.outputs)
    }
}

impl<'a> Player<'a> {
    fn new(mut node: r2r::Node, bag: &BagReader, playing: &Playing<'a>) -> anyhow::Result<Self> {
        let qos = QosProfile::default().keep_last(100);
        let mut publishers = BTreeMap::new();
        let inputs: Vec<String> = playing.cameras.iter().flat_map(PlayedCamera::inputs).collect();
        for topic in bag.topics().iter().filter(|topic| inputs.contains(&topic.name)) {
            let publisher = node.create_publisher_untyped(&topic.name, &topic.type_name, qos.clone())?;
            publishers.insert(topic.name.clone(), publisher);
        }
        let clock = node.create_publisher_untyped("/clock", Clock::TYPE, qos.clone())?;
        let (pool, heard) = (LocalPool::new(), Heard::default());
        for camera in playing.cameras {
            for (output, kind) in [("ood", OodConfidenceArray::TYPE), ("stream_state", StreamState::TYPE)] {
                let (topic, heard) = (camera.topic(output), Rc::clone(&heard));
                let messages = node.subscribe_raw(&topic, kind, qos.clone())?;
                let every = messages.for_each(move |data| {
                    heard.borrow_mut().push_back((topic.clone(), kind, data));
                    ready(())
                });
                pool.spawner().spawn_local(every)?;
            }
        }
        // After the topics of the answers: discovery keeps that order, see `wait_for_clock`.
        let node_time = Rc::new(Cell::new(None));
        let times = node.subscribe_raw(DIAGNOSTICS, DIAGNOSTICS_TYPE, qos)?;
        let said = Rc::clone(&node_time);
        pool.spawner().spawn_local(times.for_each(move |data| {
            said.set(cdr::decode::<Header>(&data).ok().map(|header| header.stamp));
            ready(())
        }))?;
        let recording = BagWriter::create(playing.record)?;
        let pending = playing.cameras.iter().map(|_| Vec::new()).collect();
        Ok(Self {
            cameras: playing.cameras,
            regions_timeout: playing.regions_timeout,
            node,
            pool,
            publishers,
            clock,
            heard,
            node_time,
            pending,
            recording,
            log_nanos: 0,
            missing: 0,
            images: 0,
            begun: Instant::now(),
            early: playing.cameras.iter().map(|_| VecDeque::new()).collect(),
        })
    }

    /// Waits until the node listens and its answers can be heard.
    fn wait_for_node(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            self.step(STEP)?;
            let listened = |publisher: &PublisherUntyped| publisher.get_inter_process_subscription_count();
            let all_listen = self.publishers.values().all(|publisher| listened(publisher).is_ok_and(|count| count > 0));
            let topics = self.cameras.iter().flat_map(|camera| [camera.topic("ood"), camera.topic("stream_state")]);
            let is_heard = |topic: String| Ok(!self.node.get_publishers_info_by_topic(&topic, false)?.is_empty());
            let all_heard = topics.map(is_heard).collect::<r2r::Result<Vec<bool>>>()?.into_iter().all(|heard| heard);
            if all_listen && all_heard && listened(&self.clock)? > 0 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the node does not listen to {:?}", self.publishers.keys());
        }
    }

    /// Tells the time at which the bag begins until the node says that time in its diagnostics.
    ///
    /// That this side sees the node's subscriptions does not say that the node sees these publishers yet, and a best
    /// effort subscription loses what comes before. Discovery tells the ends of a participant in the order of their
    /// creation: a node that has the time knows the topics created before the clock as well, and one whose diagnostics
    /// are heard knows who listens to its answers.
    fn wait_for_clock(&mut self, log_nanos: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        let begin = Time::from_nanos(log_nanos);
        let clock = cdr::encode(&Clock { clock: begin })?;
        let mut told: Option<Instant> = None;
        while self.node_time.get() != Some(begin) {
            if told.is_none_or(|told| told.elapsed() >= TELL) {
                self.clock.publish_raw(&clock)?;
                told = Some(Instant::now());
            }
            self.step(STEP)?;
            ensure!(Instant::now() < deadline, "the node does not take the time from /clock; is `use_sim_time` true?");
        }
        self.begun = Instant::now();
        Ok(())
    }

    /// Publishes a message once what was due before it is answered.
    fn message(&mut self, message: &BagMessage) -> anyhow::Result<()> {
        self.log_nanos = self.log_nanos.max(message.log_nanos);
        self.wait_for_answers(|pending, log_nanos, timeout| {
            pending.is_ready || u128::from(log_nanos - pending.log_nanos) >= timeout.as_nanos()
        })?;
        let clock = Clock { clock: Time::from_nanos(self.log_nanos) };
        self.clock.publish_raw(&cdr::encode(&clock)?)?;
        // What does not even have a header is for the node to refuse; nothing is awaited.
        let stamp = cdr::decode::<Header>(&message.data).map(|header| header.stamp);
        if let Ok(stamp) = stamp {
            self.note(&message.topic, stamp);
        }
        let topic = message.topic.as_ref();
        self.publishers.get(topic).with_context(|| format!("{topic} is not played"))?.publish_raw(&message.data)?;
        self.step(Duration::ZERO)
    }

    fn note(&mut self, topic: &str, stamp: Time) {
        let log_nanos = self.log_nanos;
        let cameras = self.cameras.iter().zip(&mut self.pending).zip(&mut self.early);
        for ((camera, pending), early) in cameras {
            if camera.images == topic {
                self.images += 1;
                let is_ready = camera.regions.is_none() || early.contains(&stamp);
                pending.push(Pending { stamp, log_nanos, is_ready, verdicts: false, state: false });
            }
            if camera.regions.as_deref() == Some(topic) {
                pending.iter_mut().filter(|one| one.stamp == stamp).for_each(|one| one.is_ready = true);
                early.push_back(stamp);
                if early.len() > MOST_EARLY {
                    early.pop_front();
                }
            }
        }
    }

    fn wait_for_answers(&mut self, is_due: impl Fn(&Pending, u64, Duration) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + ANSWER;
        loop {
            let (now, timeout) = (self.log_nanos, self.regions_timeout);
            if !self.pending.iter().flatten().any(|pending| is_due(pending, now, timeout)) {
                return Ok(());
            }
            self.step(STEP)?;
            if Instant::now() >= deadline {
                return self.give_up(|pending| is_due(pending, now, timeout));
            }
        }
    }

    /// Goes on without answers that do not come; the comparison shows them.
    fn give_up(&mut self, is_due: impl Fn(&Pending) -> bool) -> anyhow::Result<()> {
        let before: usize = self.pending.iter().map(Vec::len).sum();
        self.pending.iter_mut().for_each(|pending| pending.retain(|one| !is_due(one)));
        let after: usize = self.pending.iter().map(Vec::len).sum();
        self.missing += (before - after) as u64;
        ensure!(self.missing < 20, "{} images were not answered within {} s each", self.missing, ANSWER.as_secs());
        Ok(())
    }

    /// Lets ROS work, and records what the node has said.
    fn step(&mut self, longest: Duration) -> anyhow::Result<()> {
        self.node.spin_once(longest);
        self.pool.run_until_stalled();
        let heard: Vec<_> = self.heard.borrow_mut().drain(..).collect();
        for (topic, type_name, data) in heard {
            let log_nanos = self.log_nanos;
            self.recording.write_cdr(&Encoded {
                topic: &topic,
                type_name,
                log_nanos,
                publish_nanos: log_nanos,
                data: &data,
            })?;
            let stamp = cdr::decode::<Header>(&data)?.stamp;
            for (camera, pending) in self.cameras.iter().zip(&mut self.pending) {
                let about = pending.iter_mut().filter(|one| one.stamp == stamp);
                if topic == camera.topic("ood") {
                    about.for_each(|one| one.verdicts = true);
                } else if topic == camera.topic("stream_state") {
                    about.for_each(|one| one.state = true);
                }
                pending.retain(|one| !(one.verdicts && one.state));
            }
        }
        Ok(())
    }

    /// Waits for the last answers and completes the recording.
    fn finish(mut self) -> anyhow::Result<()> {
        self.wait_for_answers(|_, _, _| true)?;
        if self.missing > 0 {
            eprintln!("warning: {} images were not answered", self.missing);
        }
        let (images, secs) = (self.images, self.begun.elapsed().as_secs_f64());
        eprintln!("node: {images} images in {secs:.1} s, {:.0} images/s", images as f64 / secs.max(1e-9));
        self.recording.finish()?;
        Ok(())
    }
}
