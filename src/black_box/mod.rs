//! The seconds around an alarm as a rosbag2 recording: what the cameras showed, and what was said about it.
//!
//! [`BlackBox::push`] keeps the messages of the last seconds in memory; [`BlackBox::trigger`] has them written, and what
//! comes in the seconds after. Both take microseconds and never wait for a disk: a thread of the box's own writes, and only
//! there do messages become CDR. Memory, disk and number of events are bounded, and whatever is dropped for it is counted
//! ([`BlackBox::counts`]).
//!
//! An event is a folder `event_<UTC time>_<trigger>_<number>` with an MCAP file, `metadata.yaml` and `event.json`, which says
//! what happened. While it is recorded it is called `….partial`; two seconds after a message came it can be read, whatever
//! happens to the program. An event that was not completed is kept as `….cut_off`, for readers that read from the front.

mod counts;
mod event;
mod folder;
mod item;
mod recorder;
mod ring;
mod settings;
mod shared;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub use counts::{Counts, EventCounts, MessageCounts, NewestError};
pub use item::{CompressedPicture, Item, Message, Payload, RawPicture, SharedBytes};
pub use settings::Settings;

use self::folder::Folder;
use self::recorder::Recorder;
use self::shared::Shared;

/// An event is at most that many times [`Settings::after`] long, after its first trigger.
const LONGEST: u32 = 10;
/// How long an event in work is written when the box is closed; what is left then is dropped.
const CLOSING: Duration = Duration::from_secs(5);
/// How much longer a disk that hangs is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the last seconds in memory, and writes them when something happens.
pub struct BlackBox {
    shared: Arc<Shared>,
    closed: bool,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// What it is, for example `alarm`, `camera_changed` or `save_event`; in the name of the event.
    pub name: String,
    /// When, by the clock of [`Item::log_nanos`], nanoseconds since the epoch.
    pub stamp_nanos: u64,
    /// More about it, for people.
    pub text: String,
}

/// A time as [`Item::log_nanos`] and [`Trigger::stamp_nanos`] have it: in nanoseconds, at most the largest number there is.
#[must_use]
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Why there is no black box.
#[derive(Debug, thiserror::Error)]
pub enum BlackBoxError {
    /// A setting is out of range.
    #[error("{name} of the black box is {found} {unit}; it must be {least} to {most}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// What it counts.
        unit: &'static str,
        /// What was given.
        found: f64,
        /// Smallest value.
        least: f64,
        /// Largest value.
        most: f64,
    },
    /// The folder cannot be used.
    #[error("events cannot be written into {}: {source}; name a folder that exists or can be made, and make it writable", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Another one writes into the folder.
    #[error("another black box writes into {}: give each one a folder of its own", .0.display())]
    Busy(PathBuf),
    /// There is no thread for it.
    #[error("the thread of the black box cannot be started: {0}")]
    Thread(io::Error),
}

impl BlackBox {
    /// Makes the folder where it does not exist, marks events in it that an earlier run did not complete, and starts to keep
    /// messages.
    ///
    /// # Errors
    /// [`BlackBoxError`] when a setting is out of range, or when the folder can neither be used nor made.
    pub fn start(settings: Settings) -> Result<Self, BlackBoxError> {
        settings.check()?;
        let (folder, cut_off) =
            Folder::open(&settings.folder).map_err(|error| BlackBoxError::folder(&settings.folder, error))?;
        let shared = Arc::new(Shared::new(&settings, cut_off));
        let recorder = Recorder::new(settings, folder, Arc::clone(&shared));
        let thread = thread::Builder::new().name("black_box".to_owned());
        thread.spawn(|| recorder.run()).map_err(BlackBoxError::Thread)?;
        Ok(Self { shared, closed: false })
    }

    /// Keeps a message for as long as an alarm might want it. Never waits for the disk.
    pub fn push(&self, item: Item) {
        self.shared.push(item);
    }

    /// Has the seconds before and after written. While an event is recorded, a further trigger is noted in it and prolongs it.
    /// Never waits for the disk.
    pub fn trigger(&self, trigger: Trigger) {
        self.shared.trigger(trigger);
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Completes the event that is being recorded with what there is of it, and ends; after ten seconds at the latest, also
    /// when the disk hangs. The same happens when the box is dropped.
    pub fn finish(mut self) -> Counts {
        self.close();
        self.shared.counts()
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.shared.close(CLOSING);
        if !self.shared.wait_for_end(CLOSING + PATIENCE) {
            self.shared.remember("the disk hangs: the last event is not complete".to_owned());
        }
    }
}

impl Drop for BlackBox {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
