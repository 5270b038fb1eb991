//! From the messages of a bag to images that have their regions, by the node's own rules and in the time of the bag.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::inject::{FaultKind, Injected};
use super::select::CameraTopics;
use super::warnings::{Warning, WarningWatch};
use crate::dataset::bag::{BagError, BagMessage, Unreadable};
use crate::dataset::cdr;
use crate::inference::shared::Shared;
use crate::intake::camera::{Arrival, Camera};
use crate::intake::recorded;
use crate::intake::request::{Picture, Task};

/// After the last message the clock goes on this long at most, so that what waits for regions is answered.
const AFTER_THE_END: Duration = Duration::from_secs(3600);

/// Something to do, with the time of the bag at which the node would do it.
#[derive(Debug)]
pub struct Due {
    /// Index of the camera.
    pub camera: usize,
    /// What to do.
    pub task: Task,
    /// Log time, nanoseconds since the epoch.
    pub log_nanos: u64,
}

/// Feeds the messages of one bag to its cameras.
pub struct Feed {
    shared: Shared,
    cameras: Vec<Camera>,
    /// What a topic brings, and for which cameras.
    topics: HashMap<String, Vec<(usize, Brings)>>,
    clock: BagClock,
    due: VecDeque<Due>,
    injected: Option<Injected>,
    /// What a frozen camera shows.
    frozen: Vec<Option<Picture>>,
    /// Images that come late, with the time at which they come.
    late: VecDeque<(u64, BagMessage)>,
    unreadable: Unreadable,
    warnings: Vec<WarningWatch>,
}

/// What came of the messages of a bag beside its images.
#[derive(Debug, Default)]
pub struct Fed {
    /// Messages that could not be read.
    pub unreadable: Unreadable,
    /// What the node's diagnostics would have warned of, camera by camera.
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brings {
    Images,
    Regions,
}

/// The time of the bag as an instant, which the rules for live cameras reckon with.
#[derive(Debug, Clone, Copy)]
struct BagClock {
    base: Instant,
    first_nanos: Option<u64>,
    now_nanos: u64,
}

impl Feed {
    /// For these cameras, which `shared` has in the same order.
    #[must_use]
    pub fn new(shared: &Shared, cameras: &[CameraTopics], injected: Option<Injected>) -> Self {
        let mut topics: HashMap<String, Vec<(usize, Brings)>> = HashMap::new();
        for (index, camera) in cameras.iter().enumerate() {
            topics.entry(camera.images.name.clone()).or_default().push((index, Brings::Images));
            if let Some(regions) = &camera.regions {
                topics.entry(regions.name.clone()).or_default().push((index, Brings::Regions));
            }
        }
        let camera =
            |(index, topics): (usize, &CameraTopics)| Camera::new(shared.clone(), index, topics.regions.is_some());
        let stale_after = shared.tuning().stale_after;
        let watch = |camera: &CameraTopics| WarningWatch::new(&camera.images.name, stale_after);
        Self {
            warnings: cameras.iter().map(watch).collect(),
            shared: shared.clone(),
            cameras: cameras.iter().enumerate().map(camera).collect(),
            topics,
            clock: BagClock { base: Instant::now(), first_nanos: None, now_nanos: 0 },
            due: VecDeque::new(),
            injected,
            frozen: vec![None; cameras.len()],
            late: VecDeque::new(),
            unreadable: Unreadable::default(),
        }
    }

    /// Takes a message; what is due then is handed to `each`, in order.
    pub fn message(&mut self, message: BagMessage, mut each: impl FnMut(Due)) {
        while let Some((_, late)) = self.late.pop_front_if(|(time, _)| *time <= message.log_nanos) {
            self.take(&late);
        }
        match self.delay_of(&message) {
            Duration::ZERO => self.take(&message),
            delay => {
                let time = message.log_nanos.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX));
                self.late.push_back((time, BagMessage { log_nanos: time, ..message }));
            }
        }
        self.due.drain(..).for_each(&mut each);
    }

    /// By how much later a message comes.
    fn delay_of(&self, message: &BagMessage) -> Duration {
        let Some(injected) = self.injected.filter(|injected| !injected.fault.delay().is_zero()) else {
            return Duration::ZERO;
        };
        let is_image =
            self.topics.get(message.topic.as_ref()).is_some_and(|all| all.iter().any(|one| one.1 == Brings::Images));
        let is_covered =
            || cdr::decode::<cdr::Header>(&message.data).is_ok_and(|header| injected.covers(header.stamp.as_nanos()));
        if is_image && is_covered() { injected.fault.delay() } else { Duration::ZERO }
    }

    fn take(&mut self, message: &BagMessage) {
        let now = self.clock.at(message.log_nanos);
        self.tick(now);
        let brings = self.topics.get(message.topic.as_ref()).cloned().unwrap_or_default();
        for (camera, brings) in brings {
            let taken = match brings {
                Brings::Images => self.image(camera, message, now),
                Brings::Regions => self.regions(camera, message, now),
            };
            if let Err(error) = taken {
                self.unreadable.add(&message.topic, &error);
            }
        }
    }

    /// Ends the bag: what still waits for regions is answered.
    pub fn end(mut self, each: impl FnMut(Due)) -> Fed {
        while let Some((_, late)) = self.late.pop_front() {
            self.take(&late);
        }
        let now = self.clock.at(self.clock.now_nanos) + AFTER_THE_END;
        self.tick(now);
        self.due.drain(..).for_each(each);
        self.give_up()
    }

    /// Ends early: what waits for regions is left out.
    #[must_use]
    pub fn give_up(self) -> Fed {
        Fed { unreadable: self.unreadable, warnings: self.warnings.into_iter().flat_map(WarningWatch::end).collect() }
    }

    /// Lets go of what has waited long enough.
    fn tick(&mut self, now: Instant) {
        self.cameras.iter_mut().for_each(|camera| camera.tick(now));
        self.collect();
    }

    fn image(&mut self, camera: usize, message: &BagMessage, now: Instant) -> Result<(), BagError> {
        let (header, picture) = recorded::picture(message)?;
        let is_frozen = |injected: &Injected| {
            injected.fault.kind == FaultKind::Frozen && injected.covers(header.stamp.nanos_since_epoch())
        };
        let picture = match self.injected.filter(is_frozen) {
            Some(_) => self.frozen[camera].get_or_insert(picture).clone(),
            None => picture,
        };
        let ros = Duration::from_nanos(message.log_nanos).into();
        let stamp_nanos = header.stamp.nanos_since_epoch();
        self.cameras[camera].image(header, picture, Arrival { at: now, ros });
        self.shared.count(camera, |statistics| self.warnings[camera].see(statistics.input(), stamp_nanos));
        self.collect();
        Ok(())
    }

    fn regions(&mut self, camera: usize, message: &BagMessage, now: Instant) -> Result<(), BagError> {
        let (header, regions) = recorded::regions(message)?;
        self.cameras[camera].regions(header, regions, now);
        self.collect();
        Ok(())
    }

    /// Takes out what the cameras have put into their slots.
    fn collect(&mut self) {
        let log_nanos = self.clock.now_nanos;
        let tasks = self.shared.slots.drain();
        self.due.extend(tasks.into_iter().map(|(camera, task)| Due { camera, task, log_nanos }));
    }
}

impl BagClock {
    /// The instant of a log time. A message that was recorded before an earlier one comes now.
    fn at(&mut self, log_nanos: u64) -> Instant {
        let first = *self.first_nanos.get_or_insert(log_nanos);
        self.now_nanos = self.now_nanos.max(log_nanos);
        self.base + Duration::from_nanos(self.now_nanos - first.min(self.now_nanos))
    }
}
