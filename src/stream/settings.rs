//! Settings of verdicts over time.

use std::time::Duration;

/// What a user may choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamSettings {
    /// An object that was not seen for longer is another one when its id comes again.
    pub object_timeout: Duration,
    /// Promised mean time, longer than a block, from the begin of watching, or from a restart of the test, to a false alarm.
    pub mean_time_between_false_alarms: Duration,
    /// Images within this time, above 0, count as one block: they may depend on each other in any way.
    pub block: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            object_timeout: Duration::from_secs(2),
            mean_time_between_false_alarms: Duration::from_secs(10 * 3600),
            block: Duration::from_millis(500),
        }
    }
}
