//! Settings of verdicts over time.

use std::time::Duration;

/// What a user may choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamSettings {
    /// An object that was not seen for longer is another one when its id comes again.
    pub object_timeout: Duration,
    /// Promised mean time from the begin of watching, or from a restart of the test, to a false alarm.
    pub mean_time_between_false_alarms: Duration,
    /// Images within this time count as one block: they may depend on each other in any way.
    pub block: Duration,
}

/// Settings that make no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum StreamSettingsError {
    /// A block lasts no time.
    #[error("blocks of 0 s: give a time above 0, for example 0.5 s")]
    Block,
    /// The promised time is shorter than a block.
    #[error("{promised:?} between false alarms is not longer than a block of {block:?}")]
    Promise {
        /// Promised mean time.
        promised: Duration,
        /// Length of a block.
        block: Duration,
    },
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

impl StreamSettings {
    /// The settings, if they make sense.
    ///
    /// # Errors
    /// [`StreamSettingsError`] for blocks of no time or a promise not longer than a block.
    pub fn checked(self) -> Result<Self, StreamSettingsError> {
        let (promised, block) = (self.mean_time_between_false_alarms, self.block);
        match () {
            () if block.is_zero() => Err(StreamSettingsError::Block),
            () if promised <= block => Err(StreamSettingsError::Promise { promised, block }),
            () => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_settings_are_refused() {
        let default = StreamSettings::default();
        assert_eq!(default.checked(), Ok(default));
        assert_eq!(StreamSettings { block: Duration::ZERO, ..default }.checked(), Err(StreamSettingsError::Block));
        let short = StreamSettings { mean_time_between_false_alarms: default.block, ..default }.checked();
        assert!(short.unwrap_err().to_string().contains("500ms"));
    }
}
