//! One event on its way to the disk: a rosbag2 folder with a note of what happened.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::counts::MessageCounts;
use super::folder::{self, NOTE, NOTE_PARTIAL};
use super::item::Item;
use super::ring::End;
use super::{Settings, Trigger};
use crate::dataset::bag::{BagError, BagWriter, Encoded};
use crate::utc::Utc;

/// Version of the layout of the note.
const FORMAT_VERSION: u32 = 1;
/// Triggers beside the first one that are noted with their text.
const MOST_NOTED: usize = 100;
/// What was written is on the disk after that time,
const FLUSH: Duration = Duration::from_secs(1);
/// or after so many bytes: by so much an event may exceed its bounds.
const FLUSH_BYTES: usize = 16 << 20;

/// An event that is being recorded.
pub(super) struct Event {
    bag: BagWriter,
    /// The recording, to have it brought to the disk.
    file: File,
    note: Note,
    /// Whether the note has changed since it was written.
    noted: bool,
    flushed: Instant,
    /// Bytes of messages since then.
    unflushed: usize,
    /// Whether messages are on the disk already.
    has_past: bool,
}

/// What could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// One message; the recording goes on.
    #[error("a message was left out: {0}")]
    Message(BagError),
    /// The recording.
    #[error(transparent)]
    Bag(BagError),
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The folder is gone while it was written into.
    #[error("{} vanished while an event was recorded", .0.display())]
    Vanished(PathBuf),
}

/// `event.json`.
#[derive(Debug, Serialize)]
struct Note {
    format_version: u32,
    program: &'static str,
    model_id: String,
    monitor_id: String,
    trigger: NotedTrigger,
    further_triggers: Vec<NotedTrigger>,
    further_triggers_not_listed: u64,
    before_secs: f64,
    after_secs: f64,
    messages: u64,
    /// Log times of the first and the last message.
    first_nanos: Option<u64>,
    last_nanos: Option<u64>,
    /// Why the event is over; `null` while it is recorded, and when it was cut off.
    ended: Option<&'static str>,
    /// What was dropped since the event before this one, or since the start.
    dropped: Option<Dropped>,
}

#[derive(Debug, Serialize)]
struct NotedTrigger {
    name: String,
    stamp_nanos: u64,
    stamp_utc: String,
    text: String,
}

/// As in [`MessageCounts`].
#[derive(Debug, Serialize)]
struct Dropped {
    by_ring: u64,
    by_queue: u64,
    by_jump: u64,
    failed: u64,
}

impl WriteError {
    /// The error with its causes, those that it quotes left out.
    pub(super) fn text(&self) -> String {
        let (mut text, mut cause) = (self.to_string(), self.source());
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        text
    }
}

impl Event {
    /// Begins to record into `path`.
    pub(super) fn begin(path: &Path, trigger: &Trigger, settings: &Settings) -> Result<Self, WriteError> {
        let bag = BagWriter::create(path).map_err(WriteError::Bag)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let recording = bag.partial().join(format!("{name}_0.mcap"));
        let file = File::open(&recording).map_err(io_error(&recording))?;
        let (note, flushed) = (Note::new(trigger, settings), Instant::now());
        let mut event = Self { bag, file, note, noted: true, flushed, unflushed: 0, has_past: false };
        event.flush()?;
        Ok(event)
    }

    /// Appends a message.
    pub(super) fn write(&mut self, item: &Item) -> Result<(), WriteError> {
        let Item { topic, log_nanos, publish_nanos, payload } = item;
        let (log_nanos, publish_nanos, type_name) = (*log_nanos, *publish_nanos, payload.type_name());
        let data = payload
            .cdr()
            .map_err(|source| WriteError::Message(BagError::Message { topic: topic.as_ref().to_owned(), source }))?;
        let message = Encoded { topic, type_name, log_nanos, publish_nanos, data: &data };
        self.bag.write_cdr(&message).map_err(|error| match error {
            error @ (BagError::Type { .. } | BagError::UnknownType(_)) => WriteError::Message(error),
            error => WriteError::Bag(error),
        })?;
        self.unflushed += data.len();
        self.note.messages += 1;
        self.note.first_nanos.get_or_insert(log_nanos);
        self.note.last_nanos = Some(log_nanos);
        Ok(())
    }

    /// Notes a further trigger.
    pub(super) fn note(&mut self, trigger: &Trigger) {
        self.noted = true;
        if self.note.further_triggers.len() < MOST_NOTED {
            self.note.further_triggers.push(trigger.into());
        } else {
            self.note.further_triggers_not_listed += 1;
        }
    }

    /// Whether [`flush`](Self::flush) is due: every second, after many bytes, and as soon as the seconds before the trigger
    /// are written, which is when there is nothing to write for the first time.
    pub(super) fn is_due(&self, idle: bool) -> bool {
        let has_new_past = idle && !self.has_past && self.note.messages > 0;
        has_new_past || self.unflushed >= FLUSH_BYTES || self.flushed.elapsed() >= FLUSH
    }

    /// Brings what was written to the disk.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        (self.flushed, self.unflushed) = (Instant::now(), 0);
        if !self.bag.partial().exists() {
            return Err(WriteError::Vanished(self.bag.partial().to_path_buf()));
        }
        self.bag.flush().map_err(WriteError::Bag)?;
        self.has_past = self.note.messages > 0;
        self.file.sync_data().map_err(io_error(self.bag.partial()))?;
        if std::mem::take(&mut self.noted) { self.write_note() } else { Ok(()) }
    }

    /// Completes the event; where it lies now.
    pub(super) fn finish(mut self, end: &'static str, dropped: &MessageCounts) -> Result<PathBuf, WriteError> {
        self.note.ended = Some(end);
        self.note.dropped = Some(Dropped::from(dropped));
        self.noted = true;
        self.flush()?;
        let path = self.bag.folder().to_path_buf();
        self.bag.finish().map_err(WriteError::Bag)?;
        self.file.sync_all().map_err(io_error(&path))?;
        Ok(path)
    }

    /// Where it lies until it is complete.
    pub(super) fn partial(&self) -> &Path {
        self.bag.partial()
    }

    /// Keeps what was written under a name that says that it is not complete; a folder that vanished is gone.
    pub(super) fn cut_off(self) -> io::Result<PathBuf> {
        folder::mark_cut_off(self.bag.partial())
    }

    fn write_note(&self) -> Result<(), WriteError> {
        let folder = self.bag.partial();
        let (partial, path) = (folder.join(NOTE_PARTIAL), folder.join(NOTE));
        let text = serde_json::to_string_pretty(&self.note).map_err(io::Error::from);
        text.and_then(|text| fs::write(&partial, text + "\n"))
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(io_error(&path))
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> WriteError + '_ {
    move |source| WriteError::Io { path: path.to_path_buf(), source }
}

impl Note {
    fn new(trigger: &Trigger, settings: &Settings) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            program: concat!("activation_monitor ", env!("CARGO_PKG_VERSION")),
            model_id: settings.model_id.clone(),
            monitor_id: settings.monitor_id.clone(),
            trigger: trigger.into(),
            further_triggers: Vec::new(),
            further_triggers_not_listed: 0,
            before_secs: settings.before.as_secs_f64(),
            after_secs: settings.after.as_secs_f64(),
            messages: 0,
            first_nanos: None,
            last_nanos: None,
            ended: None,
            dropped: None,
        }
    }
}

impl From<&Trigger> for NotedTrigger {
    fn from(trigger: &Trigger) -> Self {
        let Trigger { name, stamp_nanos, text } = trigger;
        let stamp_utc = Utc::from_nanos(*stamp_nanos).readable();
        Self { name: name.clone(), stamp_nanos: *stamp_nanos, stamp_utc, text: text.clone() }
    }
}

impl From<&MessageCounts> for Dropped {
    fn from(counts: &MessageCounts) -> Self {
        Self {
            by_ring: counts.dropped_by_ring,
            by_queue: counts.dropped_by_queue,
            by_jump: counts.dropped_by_jump,
            failed: counts.failed,
        }
    }
}

impl End {
    /// In the note.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::TimeJump => "the clock jumped",
            Self::Silence => "no message came any more",
            Self::TooLong => "the longest duration of an event was reached",
            Self::Closed => "the program ended",
        }
    }
}
