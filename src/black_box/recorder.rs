//! The thread that writes: it decides whether a trigger becomes an event, and takes its messages from the ring.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counts::MessageCounts;
use super::event::{Event, WriteError};
use super::folder::{self, Folder, FolderError};
use super::item::Item;
use super::ring::{Effect, End};
use super::shared::{Order, Shared, Work};
use super::{BlackBoxError, Settings, Trigger};
use crate::panics;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) struct Recorder {
    settings: Settings,
    folder: Folder,
    shared: Arc<Shared>,
    limit: RateLimit,
    event: Option<Event>,
    /// Counts at the end of the event before.
    counted: MessageCounts,
}

/// Why an event is not begun or not gone on with.
enum Stop {
    /// There are as many as may be.
    Rate,
    /// There is no room for it.
    Space(String),
    /// Something could not be written.
    Failed(String),
}

impl Recorder {
    pub(super) fn new(settings: Settings, folder: Folder, shared: Arc<Shared>) -> Self {
        let limit = RateLimit::new(settings.most_events_per_hour);
        Self { settings, folder, shared, limit, event: None, counted: MessageCounts::default() }
    }

    /// Works until the box is closed.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let panic = catch_unwind(AssertUnwindSafe(|| while self.step() {})).err();
        if let Some(panic) = panic {
            let text = panics::message(panic.as_ref()).unwrap_or("no message").to_owned();
            shared.count(|events| events.failed += 1);
            shared.remember(format!("the black box has ended, restart the program: {text}"));
            shared.give_up();
        }
        // The lock of the folder is free before anyone hears of the end.
        drop(self);
        shared.end();
    }

    /// One thing at a time; whether there may be more.
    fn step(&mut self) -> bool {
        let work = self.shared.work(self.event.is_some());
        let idle = matches!(work, Work::Tick);
        match work {
            Work::Order(Order::Begin(trigger)) => self.begin(&trigger),
            Work::Order(Order::Note(trigger, effect)) => self.note(&trigger, effect),
            Work::Item(item) => self.write(&item),
            Work::Finish(end) => self.finish(end),
            Work::Tick => {}
            Work::Stop => return false,
        }
        if self.event.as_ref().is_some_and(|event| event.is_due(idle)) {
            self.look_after();
        }
        true
    }

    fn begin(&mut self, trigger: &Trigger) {
        match self.try_begin(trigger) {
            Ok(event) => self.event = Some(event),
            Err(stop) => {
                self.say(stop);
                self.shared.give_up();
            }
        }
    }

    fn try_begin(&mut self, trigger: &Trigger) -> Result<Event, Stop> {
        if !self.limit.admits(Instant::now()) {
            return Err(Stop::Rate);
        }
        let ensured = self.folder.ensure();
        ensured.map_err(|error| Stop::Failed(BlackBoxError::folder(self.folder.path(), error).to_string()))?;
        self.check_space(None)?;
        let path = self.folder.next_event(trigger.stamp_nanos, &trigger.name);
        let event = Event::begin(&path, trigger, &self.settings).map_err(|error| {
            folder::discard(&path);
            Stop::Failed(error.text())
        })?;
        self.limit.count(Instant::now());
        Ok(event)
    }

    fn note(&mut self, trigger: &Trigger, effect: Effect) {
        match &mut self.event {
            Some(event) => {
                event.note(trigger);
                self.shared.count(|events| events.prolonged += u64::from(effect == Effect::Prolonged));
            }
            None => self.shared.count(|events| events.suppressed += 1),
        }
    }

    fn write(&mut self, item: &Item) {
        let Some(event) = &mut self.event else { return self.shared.settle(false) };
        let written = event.write(item);
        self.shared.settle(written.is_ok());
        match written {
            Ok(()) => {}
            Err(error @ WriteError::Message(_)) => self.shared.remember(error.text()),
            Err(error) => self.give_up(Stop::Failed(error.text())),
        }
    }

    /// Every second: brings what was written to the disk, and looks whether there is room for more.
    fn look_after(&mut self) {
        let Some(event) = &mut self.event else { return };
        let flushed = event.flush().map_err(|error| Stop::Failed(error.text()));
        let partial = event.partial().to_path_buf();
        match flushed.and_then(|()| self.check_space(Some(&partial))) {
            Ok(()) => {}
            Err(Stop::Space(text)) => {
                self.complete("there was no room for more");
                self.say(Stop::Space(text));
                self.shared.give_up();
            }
            Err(stop) => self.give_up(stop),
        }
    }

    fn finish(&mut self, end: End) {
        self.complete(end.name());
    }

    /// Completes the event there is.
    fn complete(&mut self, end: &'static str) {
        let Some(event) = self.event.take() else { return };
        let counts = self.shared.messages();
        let dropped = counts.since(&self.counted);
        self.counted = counts;
        let partial = event.partial().to_path_buf();
        match event.finish(end, &dropped) {
            Ok(path) => {
                self.shared.count(|events| events.written += 1);
                // Nothing is refused any more: the event is there, and its size will be looked at before the next one.
                if let Err(Stop::Failed(text)) = self.make_room(Some(&path)) {
                    self.shared.remember(text);
                }
            }
            Err(error) => {
                // What is there may be kept; when even that fails, the first error tells more.
                let _ = folder::mark_cut_off(&partial);
                self.say(Stop::Failed(error.text()));
            }
        }
    }

    /// Leaves the event as it is.
    fn give_up(&mut self, stop: Stop) {
        if let Some(event) = self.event.take() {
            // As above: a folder that is gone cannot be renamed.
            let _ = event.cut_off();
        }
        self.counted = self.shared.messages();
        self.say(stop);
        self.shared.give_up();
    }

    /// Makes room within the quota, sparing the event at `newest`, and looks at the file system.
    fn check_space(&self, newest: Option<&Path>) -> Result<(), Stop> {
        self.make_room(newest)?;
        let (folder, least) = (self.folder.path().display(), self.settings.least_free_bytes);
        let free = self.folder.free_bytes().map_err(|error| self.failed(&error))?;
        if free < least {
            let text = format!("{folder}: {free} bytes are free, {least} must stay free: make room or lower the bound");
            return Err(Stop::Space(text));
        }
        Ok(())
    }

    fn make_room(&self, newest: Option<&Path>) -> Result<(), Stop> {
        let quota = self.settings.disk_quota_bytes;
        let room = self.folder.make_room(quota, newest).map_err(|error| self.failed(&error))?;
        self.shared.count(|events| events.deleted += room.deleted);
        if let Some(text) = room.refused {
            self.shared.remember(text);
        }
        if room.bytes > quota {
            let folder = self.folder.path().display();
            let text = format!("{folder}: one event is larger than the quota of {quota} bytes for all: raise it");
            return Err(Stop::Space(text));
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Stop {
        Stop::Failed(format!("{}: {error}", self.folder.path().display()))
    }

    fn say(&self, stop: Stop) {
        match stop {
            Stop::Rate => self.shared.count(|events| events.suppressed += 1),
            Stop::Space(text) => {
                self.shared.count(|events| events.refused += 1);
                self.shared.remember(text);
            }
            Stop::Failed(text) => {
                self.shared.count(|events| events.failed += 1);
                self.shared.remember(text);
            }
        }
    }
}

impl BlackBoxError {
    pub(super) fn folder(path: &Path, error: FolderError) -> Self {
        match error {
            FolderError::Io(source) => Self::Folder { path: path.to_path_buf(), source },
            FolderError::Busy => Self::Busy(path.to_path_buf()),
        }
    }
}

/// At most so many within any hour.
struct RateLimit {
    most: usize,
    begun: VecDeque<Instant>,
}

impl RateLimit {
    fn new(most: u32) -> Self {
        Self { most: most as usize, begun: VecDeque::new() }
    }

    fn admits(&mut self, now: Instant) -> bool {
        while self.begun.front().is_some_and(|&begun| now.saturating_duration_since(begun) >= HOUR) {
            self.begun.pop_front();
        }
        self.begun.len() < self.most
    }

    fn count(&mut self, now: Instant) {
        self.begun.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_within_any_hour() {
        let mut limit = RateLimit::new(2);
        let start = Instant::now();
        let minutes = |minutes: u64| start + Duration::from_secs(60 * minutes);
        for (minute, admitted) in [(0, true), (10, true), (20, false), (59, false), (60, true), (61, false), (70, true)]
        {
            assert_eq!(limit.admits(minutes(minute)), admitted, "{minute}");
            if admitted {
                limit.count(minutes(minute));
            }
        }
    }
}
