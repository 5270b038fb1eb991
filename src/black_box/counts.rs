//! What the black box did so far.

use std::time::Duration;

/// What was done since the start, and what is the case now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counts {
    /// What became of alarms.
    pub events: EventCounts,
    /// What became of messages.
    pub messages: MessageCounts,
    /// Messages that are in memory: in the ring, or on their way into a file.
    pub held: u64,
    /// Bytes in the ring.
    pub held_bytes: usize,
    /// Whether an event is being recorded.
    pub recording: bool,
    /// The newest thing that went wrong.
    pub error: Option<NewestError>,
}

/// What became of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventCounts {
    /// Events that are complete.
    pub written: u64,
    /// Triggers that made an event longer instead of beginning one.
    pub prolonged: u64,
    /// Triggers that began nothing because there were as many events within the hour as may be, and those that came while
    /// such a one was turned down.
    pub suppressed: u64,
    /// Events that were deleted to keep to the quota.
    pub deleted: u64,
    /// Events that were not begun, or ended early, because the file system had less free space than must be left, or because
    /// one event alone is larger than the quota.
    pub refused: u64,
    /// Events that were not begun or not completed because something could not be written.
    pub failed: u64,
    /// Events that an earlier run did not complete, found at the start.
    pub cut_off: u64,
}

/// What became of messages. All that were pushed are in one of the other numbers or [`Counts::held`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageCounts {
    /// Messages that came.
    pub pushed: u64,
    /// Those that were written into an event, complete or not.
    pub written: u64,
    /// Those that became older than what is kept, without an alarm: the ordinary fate.
    pub expired: u64,
    /// Those that had to go early because the memory was full: the time before the next alarm is shorter than was asked for.
    pub dropped_by_ring: u64,
    /// Those of an event that had to go because the disk was slower than they came.
    pub dropped_by_queue: u64,
    /// Those from before a jump of the clock.
    pub dropped_by_jump: u64,
    /// Those of an event that could not be written.
    pub failed: u64,
    /// Jumps of the clock: messages whose time lies more than a second before that of the newest one, or further ahead than
    /// the ring reaches though little time had passed.
    pub time_jumps: u64,
}

/// Something went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestError {
    /// What, and what to do.
    pub text: String,
    /// How long ago.
    pub age: Duration,
}

impl MessageCounts {
    /// What was added since an earlier count.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            pushed: self.pushed - earlier.pushed,
            written: self.written - earlier.written,
            expired: self.expired - earlier.expired,
            dropped_by_ring: self.dropped_by_ring - earlier.dropped_by_ring,
            dropped_by_queue: self.dropped_by_queue - earlier.dropped_by_queue,
            dropped_by_jump: self.dropped_by_jump - earlier.dropped_by_jump,
            failed: self.failed - earlier.failed,
            time_jumps: self.time_jumps - earlier.time_jumps,
        }
    }
}
