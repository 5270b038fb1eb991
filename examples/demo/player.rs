//! Plays a bag over DDS in real time and gathers the answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use activation_monitor::dataset::bag::{BagMessage, BagReader};
use activation_monitor::dataset::cdr::{self, GroundTruthArray, Header, Time};
use activation_monitor::scenario::GROUND_TRUTH_TOPIC;
use anyhow::{Context, Result, ensure};
use futures::executor::LocalPool;
use r2r::activation_monitor::msg::{ClassificationArray, OodConfidenceArray, StreamState};
use r2r::{PublisherUntyped, QosProfile};

use super::program::{Program, for_each};
use super::scoring::Scores;
use super::{Arguments, interrupted};

/// How long the node may take to load its model and to be found.
const START: Duration = Duration::from_secs(60);
/// How long the last answers may take.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// Longest time between two looks at what arrived.
const STEP: Duration = Duration::from_millis(2);

/// A bag and the ROS node that plays it.
pub struct Player {
    bag: BagReader,
    image_topic: String,
    rate: f64,
    node: r2r::Node,
    pool: LocalPool,
    publishers: BTreeMap<String, PublisherUntyped>,
    scores: Rc<RefCell<Scores>>,
}

impl Player {
    /// Opens the bag, advertises its topics and subscribes to the answers.
    pub fn open(bag: &Path, arguments: &Arguments) -> Result<Self> {
        ensure!(arguments.rate > 0.0 && arguments.rate.is_finite(), "--rate must be above 0, got {}", arguments.rate);
        let bag = BagReader::open(bag)?;
        let image_topic = arguments.image_topic.clone();
        let found: Vec<String> = bag.topics().iter().map(|topic| topic.name.clone()).collect();
        ensure!(
            found.contains(&image_topic),
            "the bag has no topic {image_topic}, it has {}: give --image-topic",
            found.join(", ")
        );
        let mut node = r2r::Node::create(r2r::Context::create()?, "scenario", "")?;
        let profile = QosProfile::default().keep_last(100);
        let mut publishers = BTreeMap::new();
        for topic in bag.topics().iter().filter(|topic| topic.readable()) {
            let publisher = node
                .create_publisher_untyped(&topic.name, &topic.type_name, profile.clone())
                .with_context(|| format!("cannot play {} of type {}", topic.name, topic.type_name))?;
            publishers.insert(topic.name.clone(), publisher);
        }
        let player = Self {
            rate: arguments.rate,
            pool: LocalPool::new(),
            scores: Rc::default(),
            bag,
            image_topic,
            node,
            publishers,
        };
        player.subscribed(&profile)
    }

    fn subscribed(mut self, profile: &QosProfile) -> Result<Self> {
        let classified = self.node.subscribe::<ClassificationArray>("/monitor/classification", profile.clone())?;
        let judged = self.node.subscribe::<OodConfidenceArray>("/monitor/ood", profile.clone())?;
        let changed = self.node.subscribe::<StreamState>("/monitor/stream_changes", profile.clone())?;
        for_each(&self.pool, &self.scores, changed, |scores: &mut Scores, message| scores.camera_changed(&message))?;
        for_each(&self.pool, &self.scores, classified, |scores: &mut Scores, message| scores.classified(message))?;
        for_each(&self.pool, &self.scores, judged, |scores: &mut Scores, message| {
            scores.judged(message, Instant::now());
        })?;
        Ok(self)
    }

    /// Waits until the node listens to the images and its answers can be heard.
    pub fn wait_for_node(&mut self, node: &mut Program) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            self.step(STEP);
            node.check_alive()?;
            let listens = self.publishers[&self.image_topic].get_inter_process_subscription_count()? > 0;
            let heard = !self.node.get_publishers_info_by_topic("/monitor/ood", false)?.is_empty();
            if listens && heard {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the node does not listen to {} yet; giving up", self.image_topic);
            ensure!(!interrupted(), "interrupted");
        }
    }

    /// Plays the whole bag, then waits a bounded time for the last answers.
    pub fn play(mut self, node: &mut Program) -> Result<Scores> {
        let (first, _) = self.bag.span_nanos();
        let start = Instant::now();
        while let Some(message) = self.bag.next().transpose()? {
            let offset = Duration::from_nanos(message.log_nanos.saturating_sub(first)).div_f64(self.rate);
            self.step_until(start + offset);
            self.publish(&message)?;
            node.check_alive()?;
            ensure!(!interrupted(), "interrupted");
        }
        let deadline = Instant::now() + LAST_ANSWERS;
        while self.scores.borrow().is_waiting() && Instant::now() < deadline {
            self.step(STEP);
        }
        self.scores.borrow_mut().finish();
        Ok(self.scores.take())
    }

    fn publish(&self, message: &BagMessage) -> Result<()> {
        let topic = message.topic.as_ref();
        if topic == GROUND_TRUTH_TOPIC {
            self.scores.borrow_mut().truth(message.decode::<GroundTruthArray>()?);
        } else if topic == self.image_topic {
            self.scores.borrow_mut().shown(stamp(message)?, Instant::now());
        }
        Ok(self.publishers[topic].publish_raw(&message.data)?)
    }

    fn step_until(&mut self, time: Instant) {
        loop {
            let left = time.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.step(left.min(STEP));
        }
    }

    fn step(&mut self, longest: Duration) {
        self.node.spin_once(longest);
        self.pool.run_until_stalled();
    }
}

/// Stamp of a message that begins with a header.
fn stamp(message: &BagMessage) -> Result<Time> {
    let header: Header = cdr::decode(&message.data).with_context(|| format!("no header on {}", message.topic))?;
    Ok(header.stamp)
}
