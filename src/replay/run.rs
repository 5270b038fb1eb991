//! Judges the images of a bag on all cores and hands the answers over in order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use image::RgbImage;

use super::feed::{Due, Fed, Feed};
use super::inject::Injected;
use super::select::{CameraTopics, Choice, Selection, select};
use super::tally::Tally;
use super::truth::{CameraTruth, TruthTable};
use super::warnings::Warning;
use super::{ReplayError, bag_name};
use crate::calibration::OverTime;
use crate::counters::statistics::Counts;
use crate::dataset::bag::{BagMessage, BagReader, Damage, Unreadable};
use crate::dataset::cdr::GroundTruthArray;
use crate::frame::{Region, rows_of, thumbnail};
use crate::inference::batch::{self, Judge, Looked, PipelineJudge};
use crate::inference::evidence::{Evidence, Judged};
use crate::inference::shared::Shared;
use crate::inference::streams::Streams;
use crate::inference::worker::{Round, Sink};
use crate::intake::recorded;
use crate::intake::request::{Answer, Request, Task};
use crate::parameters::names::CameraName;
use crate::parameters::settings::Settings;
use crate::parameters::table::{ParameterError, Value};
use crate::parameters::typed::Tuning;
use crate::pipeline::{Pipeline, Timings};

/// Images on their way at a time, per thread that judges: enough that none waits, few enough that memory stays flat.
const ON_THE_WAY: usize = 4;

/// Replays bags with one model and monitor.
#[derive(Clone, Copy)]
pub struct Player<'a> {
    /// Model and monitor.
    pub pipeline: &'a Pipeline,
    /// Parameters, as the node would have them.
    pub settings: &'a Settings,
    /// Threads that judge, at least 1. The answers do not depend on it.
    pub jobs: usize,
    /// A fault to put into the images.
    pub injected: Option<Injected>,
    /// Whether the listener looks at whole images, which are then decoded as a whole.
    pub whole_images: bool,
    /// Becomes true when the replay is to end early.
    pub stop: &'a AtomicBool,
}

/// A bag that is ready to be played.
pub struct OpenBag {
    /// What it is called: the name of its folder or file.
    pub name: String,
    /// Its cameras.
    pub selection: Selection,
    /// What is true of each camera.
    pub truth: Vec<CameraTruth>,
    /// First and last log time, nanoseconds since the epoch.
    pub span_nanos: (u64, u64),
    reader: BagReader,
}

/// One answer, with what it is made of.
pub struct Answered<'a> {
    /// Index of the camera.
    pub camera: usize,
    /// When the node would have given it, but for the time that it takes: log time of the bag, nanoseconds since the epoch.
    pub log_nanos: u64,
    /// What the node would publish.
    pub answer: &'a Answer,
    /// The image and what the network made of it; `None` for an image that nobody looked at.
    pub evidence: Option<&'a Evidence>,
    /// What it took.
    pub cost: Cost,
}

impl Answered<'_> {
    /// A region of the image with no side longer than `longest` pixels; `None` where it cannot be cut out.
    #[must_use]
    pub fn crop(&self, region: Region, longest: u32) -> Option<RgbImage> {
        let evidence = self.evidence?;
        let crop = match &evidence.decoded {
            Some(frame) => frame.crop(region).ok()?,
            None => evidence.picture.frame(&evidence.options).ok()?.crop(region).ok()?,
        };
        Some(thumbnail(crop, longest))
    }
}

/// Time that one image took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// From bytes to an image that can be cut.
    pub decode: Duration,
    /// Network and detectors.
    pub judge: Duration,
}

/// Hears the answers of one bag, in the order of the bag.
pub trait Listener {
    /// Takes an answer.
    ///
    /// # Errors
    /// Whatever ends the replay, such as a full disk.
    fn answered(&mut self, answered: &Answered<'_>) -> Result<(), ReplayError>;
}

/// What came of a bag.
#[derive(Debug, Default)]
pub struct Played {
    /// Counters of every camera.
    pub counts: Vec<Counts>,
    /// Images whose bytes were those of the image before, of all cameras.
    pub repeated_images: u64,
    /// What the node's diagnostics would have warned of, camera by camera.
    pub warnings: Vec<Warning>,
    /// Messages that could not be read.
    pub unreadable: Unreadable,
    /// Parts of the files that were lost.
    pub damage: Vec<Damage>,
    /// Whether it ended before the end of the bag.
    pub is_interrupted: bool,
    /// Time that it took.
    pub elapsed: Duration,
}

/// An image that was looked at, or one that nobody looks at.
struct Done {
    due: Due,
    looked: Option<Looked>,
}

impl OpenBag {
    /// Opens a bag, chooses its topics and reads the truth about it.
    ///
    /// # Errors
    /// [`ReplayError`] when it is no bag or has not what was asked for.
    pub fn open(path: &Path, choice: &Choice, table: Option<&TruthTable>) -> Result<Self, ReplayError> {
        let reader = BagReader::open(path)?;
        let (span_nanos, name) = (reader.span_nanos(), bag_name(path));
        let selection = select(reader.topics(), choice)?;
        let truth = match table {
            Some(table) => from_table(path, &name, &selection.cameras, table)?,
            None => from_topics(path, &selection.cameras)?,
        };
        let wanted: Vec<&str> = selection.cameras.iter().flat_map(CameraTopics::inputs).collect();
        let reader = reader.only(&wanted);
        Ok(Self { name, selection, truth, span_nanos, reader })
    }

    /// Images of all cameras, by what the bag says of itself.
    #[must_use]
    pub fn images(&self) -> u64 {
        self.selection.cameras.iter().map(|camera| camera.images.message_count).sum()
    }

    /// The same bag with a fault: nothing else is true of the images that have it. `without` is what came of it without.
    #[must_use]
    pub fn with_fault(mut self, injected: Injected, without: &Tally) -> Self {
        let alarmed = without.alarmed.iter().cloned().chain(std::iter::repeat(Arc::default()));
        self.truth.iter_mut().zip(alarmed).for_each(|(truth, alarmed)| truth.inject(injected, alarmed));
        self
    }

    /// Names of the cameras.
    #[must_use]
    pub fn names(&self) -> Vec<CameraName> {
        self.selection.cameras.iter().map(|camera| camera.name.clone()).collect()
    }
}

/// The truth by messages of the bag.
fn from_topics(path: &Path, cameras: &[CameraTopics]) -> Result<Vec<CameraTruth>, ReplayError> {
    let mut truth = vec![CameraTruth::default(); cameras.len()];
    let topics: Vec<&str> = cameras.iter().filter_map(|camera| Some(camera.truth.as_ref()?.name.as_str())).collect();
    if topics.is_empty() {
        return Ok(truth);
    }
    for message in BagReader::open(path)?.only(&topics) {
        let message = message?;
        let array: GroundTruthArray = message.decode()?;
        let of_topic = |camera: &CameraTopics| camera.truth.as_ref().is_some_and(|topic| *topic.name == *message.topic);
        let about = cameras.iter().zip(&mut truth).filter(|(camera, _)| of_topic(camera));
        about.for_each(|(_, truth)| truth.add(&array));
    }
    Ok(truth)
}

/// The truth by a table, whose seconds count from the first image of each camera.
fn from_table(
    path: &Path,
    name: &str,
    cameras: &[CameraTopics],
    table: &TruthTable,
) -> Result<Vec<CameraTruth>, ReplayError> {
    let of = |camera: &CameraTopics| {
        let topic = camera.images.name.as_str();
        Ok(table.of_camera(name, topic, first_stamp_nanos(path, topic)?.unwrap_or(0)))
    };
    cameras.iter().map(of).collect()
}

/// Stamp of the first image of a topic that can be read, nanoseconds; `None` without any.
fn first_stamp_nanos(path: &Path, topic: &str) -> Result<Option<u64>, ReplayError> {
    for message in BagReader::open(path)?.only(&[topic]) {
        if let Ok((header, _)) = recorded::picture(&message?) {
            return Ok(Some(header.stamp.nanos_since_epoch()));
        }
    }
    Ok(None)
}

impl Player<'_> {
    /// Plays a bag from beginning to end, or until it is to stop.
    ///
    /// # Errors
    /// What the listener says, and [`ReplayError`] when the disk fails. Damaged parts of the bag are no error.
    pub fn play(&self, bag: OpenBag, listener: &mut impl Listener) -> Result<Played, ReplayError> {
        let begun = Instant::now();
        let names = bag.names();
        let OpenBag { selection, reader, .. } = bag;
        let shared = Shared::keeping_all(with_cameras(self.settings, &names)?, &names);
        let feed = Feed::new(&shared, &selection.cameras, self.injected);
        let mut played = self.run(&shared, feed, reader, listener)?;
        let of = |camera: usize| shared.count(camera, |statistics| statistics.counts().clone());
        played.counts = (0..names.len()).map(of).collect();
        let repeated = |camera: usize| shared.count(camera, |statistics| statistics.input().repeated_images);
        played.repeated_images = (0..names.len()).map(repeated).sum();
        played.elapsed = begun.elapsed();
        Ok(played)
    }

    fn run(
        &self,
        shared: &Shared,
        feed: Feed,
        reader: BagReader,
        listener: &mut impl Listener,
    ) -> Result<Played, ReplayError> {
        let jobs = self.jobs.max(1);
        let (give_back, permits) = sync_channel(jobs * ON_THE_WAY);
        for _ in 0..jobs * ON_THE_WAY {
            let _ = give_back.try_send(());
        }
        // Nothing waits for room: whoever sends has a permit.
        let (to_do, tasks) = sync_channel(jobs * ON_THE_WAY);
        let (to_order, done) = sync_channel(jobs * ON_THE_WAY);
        let tasks = Mutex::new(tasks);
        // No image is in a hurry.
        let tuning = Tuning { deadline: Duration::ZERO, ..shared.tuning() };
        thread::scope(|scope| {
            for _ in 0..jobs {
                let (tasks, to_order, tuning) = (&tasks, to_order.clone(), &tuning);
                let Self { pipeline, injected, whole_images, .. } = *self;
                let looking = Looking { shared, tuning, pipeline, injected, whole_images };
                scope.spawn(move || looking.look(tasks, &to_order));
            }
            let reading = scope.spawn(move || read(feed, reader, &permits, &Way { to_do, to_order }, self.stop));
            let heard = self.hear(shared, &tuning, &done, &give_back, listener);
            // Whoever waits for a permit learns that there is nobody any more.
            drop((give_back, done));
            let read = reading.join().map_err(|_| ReplayError::Reader)?;
            heard.and(read)
        })
    }

    /// Takes what was looked at in the order of the bag, and answers.
    fn hear(
        &self,
        shared: &Shared,
        tuning: &Tuning,
        done: &Receiver<(u64, Done)>,
        give_back: &SyncSender<()>,
        listener: &mut impl Listener,
    ) -> Result<(), ReplayError> {
        let judge = PipelineJudge(self.pipeline);
        let mut answering =
            Answering { shared, tuning, streams: Streams::new(shared), over_time: judge.over_time(), listener };
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for (number, item) in done {
            early.insert(number, item);
            while let Some(item) = early.remove(&next) {
                answering.answer(item)?;
                next += 1;
                // Nobody takes it when the bag was read to its end.
                let _ = give_back.try_send(());
            }
        }
        Ok(())
    }
}

/// The parameters with these cameras.
fn with_cameras(settings: &Settings, cameras: &[CameraName]) -> Result<Settings, ParameterError> {
    let mut settings = settings.clone();
    let names: Vec<String> = cameras.iter().filter_map(|camera| camera.name().map(str::to_owned)).collect();
    settings.set("cameras", Value::TextArray(names))?;
    Ok(settings)
}

/// Where the thread that reads sends what it finds.
struct Way {
    to_do: SyncSender<(u64, Due)>,
    to_order: SyncSender<(u64, Done)>,
}

impl Way {
    /// Sends something on; false when nobody takes it any more.
    fn send(&self, number: u64, due: Due) -> bool {
        match due.task {
            Task::Judge(_) => self.to_do.send((number, due)).is_ok(),
            Task::Refuse(_) => self.to_order.send((number, Done { due, looked: None })).is_ok(),
        }
    }
}

/// Reads the bag.
fn read(
    mut feed: Feed,
    mut reader: BagReader,
    permits: &Receiver<()>,
    way: &Way,
    stop: &AtomicBool,
) -> Result<Played, ReplayError> {
    let (mut number, mut is_heard) = (0, true);
    let mut send = |due| {
        is_heard = is_heard && permits.recv().is_ok() && way.send(number, due);
        number += 1;
    };
    let mut is_interrupted = false;
    for message in reader.by_ref() {
        let message: BagMessage = message?;
        is_interrupted = stop.load(Ordering::Relaxed);
        if is_interrupted {
            break;
        }
        feed.message(message, &mut send);
    }
    let Fed { unreadable, warnings } = if is_interrupted { feed.give_up() } else { feed.end(&mut send) };
    Ok(Played { unreadable, warnings, damage: reader.damage().to_vec(), is_interrupted, ..Played::default() })
}

/// What a thread that judges needs.
struct Looking<'a> {
    shared: &'a Shared,
    tuning: &'a Tuning,
    pipeline: &'a Pipeline,
    injected: Option<Injected>,
    whole_images: bool,
}

impl Looking<'_> {
    /// Looks at images until there are no more.
    fn look(&self, tasks: &Mutex<Receiver<(u64, Due)>>, to_order: &SyncSender<(u64, Done)>) {
        loop {
            let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((number, mut due)) = task else { return };
            let looked = match &mut due.task {
                Task::Refuse(_) => None,
                Task::Judge(request) => self.look_at(due.camera, request),
            };
            if to_order.send((number, Done { due, looked })).is_err() {
                return;
            }
        }
    }

    fn look_at(&self, camera: usize, request: &mut Request) -> Option<Looked> {
        let round = Round { shared: self.shared, tuning: self.tuning, begun: Instant::now() };
        let mut options = round.options(camera);
        if let Some(injected) =
            self.injected.filter(|injected| injected.covers(request.header.stamp.nanos_since_epoch()))
        {
            injected.fault.spoil(request, &options);
        }
        if !self.whole_images {
            let input = &self.pipeline.classifier().manifest().input;
            options.rows = request.regions.iter().map(|named| rows_of(named.region, input)).max().unwrap_or(0);
        }
        batch::look_at(&mut PipelineJudge(self.pipeline), &[(request, options)], self.tuning, round.begun).pop()
    }
}

/// Answers in order, with what is remembered of every camera.
struct Answering<'a, L> {
    shared: &'a Shared,
    tuning: &'a Tuning,
    streams: Streams,
    over_time: &'a OverTime,
    listener: &'a mut L,
}

impl<L: Listener> Answering<'_, L> {
    fn answer(&mut self, Done { due, looked }: Done) -> Result<(), ReplayError> {
        let Due { camera, task, log_nanos } = due;
        let round = Round { shared: self.shared, tuning: self.tuning, begun: Instant::now() };
        let mut observer = self.streams.with(self.shared, self.tuning, self.over_time);
        let (answer, evidence, cost) = match (task, looked) {
            (Task::Refuse(refused), _) => {
                (round.refuse(&mut Nobody, &mut observer, camera, refused), None, Cost::default())
            }
            (Task::Judge(request), Some(looked)) => {
                let cost = cost(&looked);
                let Judged { answer, evidence } = round.answer(&mut Nobody, &mut observer, camera, request, looked);
                (answer, Some(evidence), cost)
            }
            // Whoever looks at one image gets one result.
            (Task::Judge(_), None) => return Ok(()),
        };
        self.listener.answered(&Answered { camera, log_nanos, answer: &answer, evidence: evidence.as_ref(), cost })
    }
}

fn cost(looked: &Looked) -> Cost {
    let timings = looked.output.as_ref().and_then(|output| output.as_ref().ok()?.timings);
    let judge = timings.map_or(Duration::ZERO, |Timings { network, monitor }| network + monitor);
    Cost { decode: looked.decode.unwrap_or_default(), judge }
}

/// Takes no answers: they are handed over by what makes them.
struct Nobody;

impl Sink for Nobody {
    fn publish(&mut self, _camera: usize, _answer: &Answer) {}

    fn show(&mut self, _camera: usize, _judged: Judged) {}
}
