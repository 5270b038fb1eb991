//! What the black box keeps, and where.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::BlackBoxError;

/// Seconds before and after an alarm.
const SPAN_SECS: RangeInclusive<f64> = 0.1..=600.0;
const EVENTS_PER_HOUR: RangeInclusive<f64> = 1.0..=3600.0;
/// Smallest memory and smallest quota: 1 MiB.
const LEAST_BYTES: f64 = (1 << 20) as f64;

/// What the black box keeps, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Folder of the events. Made where it does not exist; one black box writes into it at a time.
    pub folder: PathBuf,
    /// Seconds before an alarm that are kept, 0.1 to 600.
    pub before: Duration,
    /// Seconds after an alarm that are kept, 0.1 to 600. Further alarms prolong an event, up to ten times this after the first
    /// one.
    pub after: Duration,
    /// Events that are begun within an hour at most, 1 to 3600.
    pub most_events_per_hour: u32,
    /// Bytes that all events in the folder have together at most, 1 MiB or more. The oldest go first; files that are not the
    /// black box's own are neither counted nor touched.
    pub disk_quota_bytes: u64,
    /// Bytes of the file system that stay free: with less, nothing is written.
    pub least_free_bytes: u64,
    /// Bytes of messages that are in memory at most, 1 MiB or more. Beside them, the message that is being written has a copy,
    /// and a chunk of the file a few MiB.
    pub ring_bytes: usize,
    /// First digits of the digest of the network, noted in every event; may be empty.
    pub model_id: String,
    /// First digits of the digest of the monitor, noted in every event; may be empty.
    pub monitor_id: String,
}

impl Settings {
    /// 10 seconds before and 5 after an alarm, 12 events per hour, 10 GiB of events, 1 GiB free, 512 MiB of memory.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            before: Duration::from_secs(10),
            after: Duration::from_secs(5),
            most_events_per_hour: 12,
            disk_quota_bytes: 10 << 30,
            least_free_bytes: 1 << 30,
            ring_bytes: 512 << 20,
            model_id: String::new(),
            monitor_id: String::new(),
        }
    }

    /// Refuses what is out of range.
    pub(super) fn check(&self) -> Result<(), BlackBoxError> {
        let memory = LEAST_BYTES..=isize::MAX as f64;
        let values = [
            ("before", "seconds", self.before.as_secs_f64(), SPAN_SECS),
            ("after", "seconds", self.after.as_secs_f64(), SPAN_SECS),
            ("most_events_per_hour", "events", self.most_events_per_hour.into(), EVENTS_PER_HOUR),
            ("disk_quota_bytes", "bytes", self.disk_quota_bytes as f64, LEAST_BYTES..=f64::INFINITY),
            ("ring_bytes", "bytes", self.ring_bytes as f64, memory),
        ];
        let wrong = values.into_iter().find(|(_, _, found, range)| !range.contains(found));
        wrong.map_or(Ok(()), |(name, unit, found, range)| {
            Err(BlackBoxError::Setting { name, unit, found, least: *range.start(), most: *range.end() })
        })
    }
}
