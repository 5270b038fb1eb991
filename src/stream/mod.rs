//! Verdicts over time: on objects from all their views, and on a camera from its whole stream.
//!
//! Pure: stamps, p-values and names in, verdicts out; the same for the node, for replays and for evaluations. Only stamps of images
//! count, never the clock of the machine. [`CameraStream`] is fed image by image; it keeps a bounded memory of objects
//! ([`ObjectTracker`]) and evidence for a change of everything the camera shows ([`ChangeDetector`]).

mod change;
mod object;
mod settings;
mod share;

pub use change::{Change, ChangeDetector, ChangeState, LONGEST_PAUSE};
pub use object::{MOST_OBJECTS, ObjectCounts, ObjectTracker, ObjectView};
pub use settings::{StreamSettings, StreamSettingsError};
pub use share::{AlarmShare, SHARE_WINDOW};

use std::time::Duration;

use crate::calibration::OverTime;

/// One judged region of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Fused score of the monitor, in nats; higher is stranger.
    pub score: f32,
    /// Fused p-value, 0..1.
    pub p_value: f32,
    /// Predicted class.
    pub class: usize,
}

/// One region of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View<'a> {
    /// Name that a tracker gave the object; may be empty.
    pub id: &'a str,
    /// What the monitor says; `None` where nothing could be judged.
    pub judged: Option<Judged>,
}

/// What one image adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The objects, one per view, in the same order.
    pub objects: Vec<ObjectView>,
    /// The state of the camera after the image.
    pub change: Change,
    /// Share of regions that were alarms in the last minutes ([`AlarmShare::share`]), 0..1.
    pub alarm_share: Option<f32>,
}

/// Everything that is kept of one camera over its images.
#[derive(Debug)]
pub struct CameraStream {
    objects: ObjectTracker,
    change: ChangeDetector,
    share: AlarmShare,
}

impl CameraStream {
    /// Begins a stream that is calibrated as the monitor says.
    #[must_use]
    pub fn new(settings: StreamSettings) -> Self {
        let StreamSettings { object_timeout, mean_time_between_false_alarms, block } = settings;
        Self {
            objects: ObjectTracker::new(object_timeout),
            change: ChangeDetector::new(mean_time_between_false_alarms, block),
            share: AlarmShare::default(),
        }
    }

    /// Takes new settings; what has been seen counts on.
    pub fn set(&mut self, settings: StreamSettings) {
        self.objects.set_timeout(settings.object_timeout);
        self.change.set(settings.mean_time_between_false_alarms, settings.block);
    }

    /// Adds the regions of one image with its stamp, a time since any fixed one. `alarm_level` is the level of the alarm share, 0..1.
    pub fn observe(&mut self, stamp: Duration, views: &[View<'_>], over_time: &OverTime, alarm_level: f32) -> Observed {
        let p_values = || views.iter().filter_map(|view| view.judged.map(|judged| judged.p_value));
        self.share.add(stamp, p_values(), alarm_level);
        Observed {
            objects: self.objects.observe(stamp, views, over_time.objects.as_ref()),
            change: self.change.observe(stamp, p_values(), over_time.bets.as_ref()),
            alarm_share: self.share.share(),
        }
    }

    /// What became of the memory of objects so far.
    #[must_use]
    pub fn object_counts(&self) -> ObjectCounts {
        self.objects.counts()
    }

    /// How often stamps jumped so that the evidence began anew.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.change.jumps()
    }

    /// The alarm shares of the last minutes.
    #[must_use]
    pub fn alarm_share(&self) -> &AlarmShare {
        &self.share
    }
}
