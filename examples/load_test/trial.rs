//! One measurement: starts the node, warms it up, publishes, listens, ends it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use activation_monitor::dataset::cdr::Time;
use anyhow::{Result, ensure};
use r2r::Node;
use serde::Serialize;

use super::camera::{self, Camera, Shot};
use super::client::{Answer, Client, Diagnostics, Heard};
use super::footage::Footage;
use super::interrupted;
use super::options::{Scenario, Subjects};
use super::process::{Clocks, Load, Memory, memory};
use super::statistics::Quantiles;
use super::subject::{Kind, Subject, Topics};

/// How long the node may take to load its model and to be found.
const START: Duration = Duration::from_secs(90);
/// How long the last answers may take.
const LAST_ANSWERS: Duration = Duration::from_secs(20);
/// Nothing more comes when no answer came for this long: the missing images were dropped.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a status may take: the node sends one per second.
const STATUS: Duration = Duration::from_secs(5);
/// A status that left later than this after the last answer counts all of them.
const SETTLED: Duration = Duration::from_millis(100);
/// Time between two looks at the memory.
const MEMORY_PERIOD: Duration = Duration::from_secs(1);

/// Everything that is measured in one repetition. Times in milliseconds.
#[derive(Debug, Serialize)]
pub struct Trial {
    /// Which program was measured.
    pub subject: Kind,
    /// Images that were published.
    pub published: usize,
    /// Images that were answered on `~/ood`.
    pub answered: usize,
    /// Images that were answered on `~/classification`; the peer has none.
    pub classified: usize,
    /// `answered` / `published`.
    pub answered_share: f64,
    /// Answers with a verdict UNKNOWN.
    pub unknown: usize,
    /// What the node says of these images; `null` when it says nothing.
    pub counted: Option<Counted>,
    /// From the stamp (the moment before publishing) until the answer is here.
    pub stamp_to_answer_ms: Option<Quantiles>,
    /// From the stamp until the image is in the node; `null` when the node does not say.
    pub stamp_to_arrival_ms: Option<Quantiles>,
    /// From there until the answer leaves the node; `null` when the node does not say.
    pub arrival_to_answer_ms: Option<Quantiles>,
    /// Processor time of the node per answered image.
    pub cpu_ms_per_image: Option<f64>,
    /// Processor times.
    pub load: Load,
    /// Resident memory of the node.
    pub memory: MemoryCourse,
    /// How late the images were published.
    pub publisher_late_ms: Option<Quantiles>,
    /// What publishing an image took.
    pub publishing_ms: Option<Quantiles>,
    /// Last values of the diagnostics, by status and key.
    pub diagnostics: BTreeMap<String, BTreeMap<String, String>>,
}

/// The node's own counters, over the measured images of all cameras.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Counted {
    /// Images that reached the node.
    pub received: u64,
    /// Images that it answered.
    pub judged: u64,
    /// Images that gave way to newer ones.
    pub dropped: u64,
    /// Published images that never reached the node.
    pub lost_before_node: u64,
}

/// Memory over time.
#[derive(Debug, Clone, Serialize)]
pub struct MemoryCourse {
    /// RSS at the end in MiB.
    pub end_mib: f64,
    /// RSS after a minute in MiB; `null` in shorter measurements.
    pub at_60_secs_mib: Option<f64>,
    /// The former over the latter.
    pub end_to_60_secs: Option<f64>,
    /// One value per second.
    pub samples: Vec<Memory>,
}

/// What a trial needs.
pub struct Setting<'a> {
    /// Which program.
    pub kind: Kind,
    /// Where the programs are.
    pub subjects: &'a Subjects,
    /// What is published.
    pub scenario: &'a Scenario,
    /// The images of that scenario.
    pub footage: &'a Footage,
    /// Images that the peer is fitted on.
    pub fit: Option<&'a Path>,
    /// Measured seconds.
    pub duration_secs: f64,
    /// Seconds before that.
    pub warmup_secs: f64,
}

/// Runs one trial; `number` is its own.
///
/// # Errors
/// When the node cannot be started, ends by itself, does not answer at all, or does not end.
pub fn run(context: &r2r::Context, setting: &Setting<'_>, number: usize) -> Result<Trial> {
    let topics = Topics::new(number, setting.kind, setting.scenario);
    let node = Node::create(context.clone(), &format!("load_test_client_{number}"), "")?;
    let mut client = Client::new(node, &topics.outputs)?;
    let camera = |(index, topics)| Camera::new(client.node(), topics, setting.footage.clone(), setting.scenario, index);
    let cameras = topics.cameras.iter().enumerate().map(camera).collect::<Result<Vec<_>>>()?;
    let subject = Subject::start(setting.kind, setting.subjects, setting.scenario, &topics, setting.fit)?;
    let mut stage = Stage { client, cameras, subject, rate_hz: setting.scenario.rate_hz };
    let trial = stage.perform(&topics.outputs, setting);
    // Also after an error: the node must not outlive the test.
    let ended = stage.subject.end();
    let trial = trial?;
    ended?;
    Ok(trial)
}

/// Cameras, node and listener of one trial.
struct Stage {
    client: Client,
    cameras: Vec<Camera>,
    subject: Subject,
    rate_hz: f64,
}

/// What was published and what it cost.
struct Take {
    shots: Vec<Vec<Shot>>,
    memory: Vec<Memory>,
    load: Load,
}

impl Stage {
    fn perform(&mut self, outputs: &[String], setting: &Setting<'_>) -> Result<Trial> {
        self.wait_for_node(outputs)?;
        let warm_up = self.publish(setting.warmup_secs)?;
        ensure!(
            self.answered(&warm_up.shots) > 0,
            "the node answered none of {} images",
            warm_up.shots.iter().map(Vec::len).sum::<usize>()
        );
        let before = self.status()?;
        let take = self.publish(setting.duration_secs)?;
        let after = self.status()?;
        Ok(self.trial(take, before.zip(after)))
    }

    /// Until every camera has a listener and the answers can be heard.
    fn wait_for_node(&mut self, outputs: &[String]) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            self.step()?;
            let listeners: Vec<usize> = self.cameras.iter().map(Camera::listeners).collect::<Result<_>>()?;
            if listeners.iter().all(|&count| count > 0) && self.client.hears(outputs)? {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "within {} s the node did not listen to every camera (listeners: {listeners:?}) and publish {outputs:?}",
                START.as_secs()
            );
        }
    }

    fn step(&mut self) -> Result<()> {
        self.client.step();
        ensure!(!interrupted(), "interrupted");
        self.subject.check_alive()
    }

    /// Publishes for some seconds and waits for the last answers.
    fn publish(&mut self, seconds: f64) -> Result<Take> {
        let count = ((seconds * self.rate_hz).round() as usize).max(1);
        let begin = Clocks::read(self.subject.id())?;
        let (shots, memory) = self.film(count)?;
        self.wait_for_answers(&shots)?;
        let load = Clocks::read(self.subject.id())?.since(&begin);
        Ok(Take { shots, memory, load })
    }

    /// The cameras publish on threads of their own; this one listens.
    fn film(&mut self, count: usize) -> Result<(Vec<Vec<Shot>>, Vec<Memory>)> {
        let Self { client, cameras, subject, .. } = self;
        let start = Instant::now();
        camera::film(cameras, start, count, |filming| listen(client, subject, start, filming))
    }

    fn wait_for_answers(&mut self, shots: &[Vec<Shot>]) -> Result<()> {
        let published: usize = shots.iter().map(Vec::len).sum();
        let begin = Instant::now();
        let (mut answered, mut newest) = (self.answered(shots), begin);
        while answered < published && begin.elapsed() < LAST_ANSWERS && newest.elapsed() < SILENCE {
            self.step()?;
            let now = self.answered(shots);
            newest = if now > answered { Instant::now() } else { newest };
            answered = now;
        }
        Ok(())
    }

    fn answered(&self, shots: &[Vec<Shot>]) -> usize {
        self.client.heard(|heard| keys(shots).filter(|key| heard.answers.contains_key(key)).count())
    }

    /// A status that counts all that was published; `None` when the program sends none.
    fn status(&mut self) -> Result<Option<Diagnostics>> {
        if self.subject.kind() == Kind::PeerNode {
            return Ok(None);
        }
        let settled = Instant::now() + SETTLED;
        let deadline = settled + STATUS;
        while !self.client.heard(|heard| heard.diagnostics.is_newer_than(settled)) {
            self.step()?;
            ensure!(Instant::now() < deadline, "no status on /diagnostics for {} s", STATUS.as_secs());
        }
        Ok(Some(self.client.heard(|heard| heard.diagnostics.clone())))
    }

    fn trial(&self, take: Take, status: Option<(Diagnostics, Diagnostics)>) -> Trial {
        self.client.heard(|heard| evaluate(self.subject.kind(), take, status, heard))
    }
}

/// Listens, and looks at the memory of the node now and then, as long as the cameras are `filming`.
fn listen(
    client: &mut Client,
    subject: &mut Subject,
    start: Instant,
    filming: &dyn Fn() -> bool,
) -> Result<Vec<Memory>> {
    let mut samples = Vec::new();
    let mut due = start;
    while filming() {
        client.step();
        ensure!(!interrupted(), "interrupted");
        subject.check_alive()?;
        if Instant::now() >= due {
            samples.push(memory(subject.id(), start.elapsed().as_secs_f64())?);
            due += MEMORY_PERIOD;
        }
    }
    samples.push(memory(subject.id(), start.elapsed().as_secs_f64())?);
    Ok(samples)
}

fn keys(shots: &[Vec<Shot>]) -> impl Iterator<Item = (usize, Time)> {
    shots.iter().enumerate().flat_map(|(camera, shots)| shots.iter().map(move |shot| (camera, shot.stamp)))
}

fn evaluate(subject: Kind, take: Take, status: Option<(Diagnostics, Diagnostics)>, heard: &Heard) -> Trial {
    let Take { shots, memory, load } = take;
    let published: usize = shots.iter().map(Vec::len).sum();
    let answers: Vec<(Time, Answer)> =
        keys(&shots).filter_map(|key| Some((key.1, *heard.answers.get(&key)?))).collect();
    let answered = answers.len();
    let between = |from: fn(&(Time, Answer)) -> Time, to: fn(&(Time, Answer)) -> Time| {
        Quantiles::of(answers.iter().filter_map(|answer| millis(from(answer), to(answer))))
    };
    let all = || shots.iter().flatten();
    Trial {
        subject,
        published,
        answered,
        classified: keys(&shots).filter(|key| heard.classified.contains(key)).count(),
        answered_share: answered as f64 / published.max(1) as f64,
        unknown: answers.iter().filter(|(_, answer)| answer.unknown).count(),
        counted: status.as_ref().and_then(|(before, after)| counted(before, after, published)),
        stamp_to_answer_ms: between(|(stamp, _)| *stamp, |(_, answer)| answer.heard),
        stamp_to_arrival_ms: between(|(stamp, _)| *stamp, |(_, answer)| answer.received),
        arrival_to_answer_ms: between(|(_, answer)| answer.received, |(_, answer)| answer.published),
        cpu_ms_per_image: (answered > 0).then(|| 1e3 * load.node_cpu_secs / answered as f64),
        load,
        memory: course(memory),
        publisher_late_ms: Quantiles::of(all().map(|shot| 1e3 * shot.late.as_secs_f64())),
        publishing_ms: Quantiles::of(all().map(|shot| 1e3 * shot.publishing.as_secs_f64())),
        diagnostics: status.map(|(_, after)| after.statuses).unwrap_or_default(),
    }
}

/// `None` when one of the times is not known.
fn millis(from: Time, to: Time) -> Option<f64> {
    let known = from != Time::default() && to != Time::default();
    known.then(|| (to.as_nanos() as f64 - from.as_nanos() as f64) / 1e6)
}

fn counted(before: &Diagnostics, after: &Diagnostics, published: usize) -> Option<Counted> {
    let since = |key: &str| Some(after.counter(key)?.saturating_sub(before.counter(key).unwrap_or(0)));
    let received = since("received")?;
    let lost_before_node = (published as u64).saturating_sub(received);
    Some(Counted { received, judged: since("judged")?, dropped: since("dropped")?, lost_before_node })
}

fn course(samples: Vec<Memory>) -> MemoryCourse {
    let end_mib = samples.last().map_or(0.0, |sample| sample.rss_mib);
    let minute = samples.iter().find(|sample| sample.at_secs >= 60.0).map(|sample| sample.rss_mib);
    MemoryCourse { end_mib, at_60_secs_mib: minute, end_to_60_secs: minute.map(|then| end_mib / then), samples }
}
