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
pub use object::{MOST_OBJECTS, ObjectCounts, ObjectTracker, ObjectView, over_views};
pub use settings::StreamSettings;
pub use share::{AlarmShare, SHARE_WINDOW};

use std::time::Duration;

use crate::calibration::OverTime;
use crate::monitor::{DetectorResult, Judgement};

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

impl From<&Judgement> for Judged {
    fn from(judgement: &Judgement) -> Self {
        let DetectorResult { score, p_value, .. } = judgement.fused;
        Self { score, p_value, class: judgement.predicted_class }
    }
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// The objects, one per view, in the same order.
    pub objects: Vec<ObjectView>,
    /// The state of the camera after the image.
    pub change: Change,
    /// Whether state or number of alarms are others than after the image before; true for the first image.
    pub has_changed: bool,
    /// Share of regions that were alarms in the last minutes ([`AlarmShare::share`]), 0..1.
    pub alarm_share: Option<f32>,
    /// Whether that is far more than images like the training data give ([`AlarmShare::is_drifting`]).
    pub is_drifting: bool,
}

/// Everything that is kept of one camera over its images.
#[derive(Debug)]
pub struct CameraStream {
    objects: ObjectTracker,
    change: ChangeDetector,
    share: AlarmShare,
    latest: Option<(ChangeState, u32)>,
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
            latest: None,
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
        let change = self.change.observe(stamp, p_values(), over_time.bets.as_ref());
        let latest = Some((change.state, change.alarms));
        Observed {
            objects: self.objects.observe(stamp, views, over_time.objects.as_ref()),
            has_changed: std::mem::replace(&mut self.latest, latest) != latest,
            change,
            alarm_share: self.share.share(),
            is_drifting: self.share.is_drifting(alarm_level),
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
}
