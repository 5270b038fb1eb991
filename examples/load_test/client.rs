//! Hears the answers and the diagnostics of the node.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use activation_monitor::dataset::cdr::Time;
use anyhow::Result;
use futures::executor::LocalPool;
use r2r::activation_monitor::msg::{ClassificationArray, OodConfidence, OodConfidenceArray};
use r2r::diagnostic_msgs::msg::DiagnosticArray;
use r2r::{Node, QosProfile};

use super::camera::now;
use super::program::for_each;

/// Longest time between two looks at what arrived.
const STEP: Duration = Duration::from_millis(5);
/// Answers that may wait to be heard.
const DEPTH: usize = 100;

/// An image of a camera: its number and the stamp.
pub type Key = (usize, Time);

/// When an image was answered.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// When the answer was here.
    pub heard: Time,
    /// When the image reached the node, by the node; 0 when it does not say.
    pub received: Time,
    /// When the answer left the node, by the node; 0 when it does not say.
    pub published: Time,
    /// Whether a verdict is UNKNOWN.
    pub unknown: bool,
}

/// The newest status of every name.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    /// Values by status and key.
    pub statuses: BTreeMap<String, BTreeMap<String, String>>,
    arrived: Option<Instant>,
}

/// Everything that arrived.
#[derive(Debug, Default)]
pub struct Heard {
    /// Answers on `~/ood`.
    pub answers: BTreeMap<Key, Answer>,
    /// Images with an answer on `~/classification`.
    pub classified: BTreeSet<Key>,
    /// The node's own word.
    pub diagnostics: Diagnostics,
}

/// A ROS node with its subscriptions.
pub struct Client {
    node: Node,
    pool: LocalPool,
    heard: Rc<RefCell<Heard>>,
}

impl Client {
    /// Subscribes to the diagnostics and, per camera, to the answers below that name.
    ///
    /// # Errors
    /// When ROS refuses a subscription.
    pub fn new(node: Node, outputs: &[String]) -> Result<Self> {
        let mut client = Self { node, pool: LocalPool::new(), heard: Rc::default() };
        for (camera, output) in outputs.iter().enumerate() {
            client.listen(&format!("{output}/ood"), move |heard, message| heard.judged(camera, &message))?;
            client.listen(&format!("{output}/classification"), move |heard, message: ClassificationArray| {
                heard.classified.insert((camera, time(&message.header.stamp)));
            })?;
        }
        client.listen("/diagnostics", |heard, message| heard.diagnostics.update(message))?;
        Ok(client)
    }

    /// The ROS node, for publishers.
    pub fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    /// Takes what has arrived, and waits a moment when nothing has.
    pub fn step(&mut self) {
        self.node.spin_once(STEP);
        self.pool.run_until_stalled();
    }

    /// Looks at what was heard.
    pub fn heard<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.borrow())
    }

    /// Whether somebody publishes answers below every one of these names.
    ///
    /// # Errors
    /// When ROS cannot tell.
    pub fn hears(&self, outputs: &[String]) -> Result<bool> {
        let mut all = true;
        for output in outputs {
            all &= !self.node.get_publishers_info_by_topic(&format!("{output}/ood"), false)?.is_empty();
        }
        Ok(all)
    }

    fn listen<M: r2r::WrappedTypesupport + 'static>(
        &mut self,
        topic: &str,
        action: impl Fn(&mut Heard, M) + 'static,
    ) -> Result<()> {
        let messages = self.node.subscribe::<M>(topic, QosProfile::default().keep_last(DEPTH))?;
        for_each(&self.pool, &self.heard, messages, action)
    }
}

impl Heard {
    fn judged(&mut self, camera: usize, message: &OodConfidenceArray) {
        let answer = Answer {
            heard: now(),
            received: time(&message.received),
            published: time(&message.published),
            unknown: message.results.iter().any(|result| i32::from(result.verdict) == OodConfidence::UNKNOWN as i32),
        };
        self.answers.entry((camera, time(&message.header.stamp))).or_insert(answer);
    }
}

impl Diagnostics {
    /// Whether something arrived after that moment.
    pub fn is_newer_than(&self, moment: Instant) -> bool {
        self.arrived.is_some_and(|arrived| arrived > moment)
    }

    /// A counter, summed over the cameras; `None` when no camera has it.
    pub fn counter(&self, key: &str) -> Option<u64> {
        let cameras = self.statuses.values().filter(|values| values.contains_key("received"));
        cameras.filter_map(|values| values.get(key)?.parse::<u64>().ok()).reduce(|sum, count| sum + count)
    }

    fn update(&mut self, message: DiagnosticArray) {
        self.arrived = Some(Instant::now());
        for status in message.status {
            let values = status.values.into_iter().map(|pair| (pair.key, pair.value)).collect();
            self.statuses.insert(status.name, values);
        }
    }
}

fn time(stamp: &r2r::builtin_interfaces::msg::Time) -> Time {
    Time { sec: stamp.sec, nanosec: stamp.nanosec }
}
