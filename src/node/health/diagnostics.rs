//! Content of `/diagnostics`: what a person who sees no results needs to know, without a line of code.

use std::time::Duration;

use super::statistics::{Counts, Pace};
use crate::node::lifecycle::machine::State;

/// Level of a status, with the values of `diagnostic_msgs/DiagnosticStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// All is well.
    Ok = 0,
    /// Results come, but somebody should look.
    Warn = 1,
    /// No results can come.
    Error = 2,
    /// There were results, but none lately.
    Stale = 3,
}

/// One `diagnostic_msgs/DiagnosticStatus`.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Level.
    pub level: Level,
    /// What is looked at, after the name of the node.
    pub name: String,
    /// One line for a person.
    pub message: String,
    /// Details, in a fixed order.
    pub values: Vec<(&'static str, String)>,
}

/// State of the camera stream.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraHealth {
    /// What the status is called: `camera`, or `camera NAME` where there are several.
    pub name: String,
    /// Full name of the image topic.
    pub topic: String,
    /// Number of publishers on it.
    pub publishers: usize,
    /// Why messages of some publishers cannot arrive.
    pub mismatches: Vec<String>,
    /// Counters now.
    pub counts: Counts,
    /// Counters at the previous status.
    pub previous: Counts,
    /// Time since the last image.
    pub silence: Option<Duration>,
    /// Silence after which the camera counts as silent.
    pub stale_after: Duration,
    /// ROS time minus the newest stamp, in seconds.
    pub stamp_age_secs: Option<f64>,
    /// Viewer drops and mode; `None` when the viewer is off.
    pub viewer: Option<ViewerHealth>,
}

/// State of the network and the monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceHealth {
    /// State of the lifecycle.
    pub state: State,
    /// Why the last transition failed, where it did.
    pub failure: Option<String>,
    /// Device the model runs on.
    pub device: String,
    /// Folder of the model.
    pub model: String,
    /// SHA-256 of the model.
    pub model_sha256: String,
    /// Monitor file; `None` when classifying only.
    pub monitor: Option<String>,
    /// Latency and rate.
    pub pace: Option<Pace>,
    /// How long the image in work has been with the network; `None` when none is.
    pub work: Option<Duration>,
    /// How long it may be there.
    pub deadline: Duration,
}

/// State of the live view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerHealth {
    /// Where the view goes, in words.
    pub target: String,
    /// Frames that arrived.
    pub shown: u64,
    /// Frames dropped because rerun was slower than the camera.
    pub dropped: u64,
    /// Frames that were lost because nobody was there or nothing could be written.
    pub failed: u64,
    /// Why frames are not shown at present.
    pub failure: Option<String>,
}

impl CameraHealth {
    /// The status of the camera.
    #[must_use]
    pub fn status(&self) -> Status {
        let (level, message) = self.verdict();
        Status { level, name: self.name.clone(), message, values: self.values() }
    }

    fn verdict(&self) -> (Level, String) {
        let Self { topic, counts, previous, .. } = self;
        if let Some(mismatch) = self.mismatches.first() {
            return (Level::Error, mismatch.clone());
        }
        if let Some(silence) = self.silence.filter(|silence| *silence > self.stale_after) {
            return (Level::Stale, format!("no image on {topic} for {:.1} s", silence.as_secs_f64()));
        }
        if counts.received == 0 {
            return (Level::Warn, self.nothing_yet());
        }
        let unknown = total(&counts.unknown) - total(&previous.unknown).min(total(&counts.unknown));
        if unknown > 0 {
            return (
                Level::Warn,
                format!("{unknown} results were UNKNOWN since the last status; see the unknown_… counts"),
            );
        }
        if let Some(failure) = self.viewer.as_ref().and_then(|viewer| viewer.failure.as_ref()) {
            return (Level::Warn, format!("images arrive on {topic}, but the live view fails: {failure}"));
        }
        (Level::Ok, format!("images arrive on {topic}"))
    }

    fn nothing_yet(&self) -> String {
        let topic = &self.topic;
        match self.publishers {
            0 => format!("nobody publishes on {topic}: check image_topic and the remappings"),
            count => format!("no image yet on {topic}, which has {count} publisher(s)"),
        }
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let Counts { received, judged, dropped, unknown, region_arrays, regions_missing, time_jumps } = &self.counts;
        let reasons = unknown.iter().map(|(reason, count)| format!("{reason}: {count}")).collect::<Vec<_>>().join("; ");
        let dropped_reasons = dropped.iter().map(|(reason, count)| format!("{}: {count}", reason.name()));
        let dropped_reasons = dropped_reasons.collect::<Vec<_>>().join("; ");
        let mut values = vec![
            ("topic", self.topic.clone()),
            ("publishers", self.publishers.to_string()),
            ("received", received.to_string()),
            ("judged", judged.to_string()),
            ("dropped", self.counts.dropped_total().to_string()),
            ("dropped_reasons", dropped_reasons),
            ("unknown", total(unknown).to_string()),
            ("unknown_reasons", reasons),
            ("region_arrays", region_arrays.to_string()),
            ("regions_missing", regions_missing.to_string()),
            ("time_jumps", time_jumps.to_string()),
            ("last_image_age_secs", optional(self.silence.map(|silence| silence.as_secs_f64()))),
            ("stamp_age_secs", optional(self.stamp_age_secs)),
            ("qos_mismatch", self.mismatches.join("; ")),
        ];
        if let Some(viewer) = &self.viewer {
            values.push(("viewer", viewer.target.clone()));
            values.push(("viewer_shown", viewer.shown.to_string()));
            values.push(("viewer_dropped", viewer.dropped.to_string()));
            values.push(("viewer_failed", viewer.failed.to_string()));
            values.push(("viewer_failure", viewer.failure.clone().unwrap_or_default()));
        }
        values
    }
}

impl InferenceHealth {
    /// The status of network and monitor.
    #[must_use]
    pub fn status(&self) -> Status {
        let (level, message) = self.verdict();
        Status { level, name: "inference".to_owned(), message, values: self.values() }
    }

    fn verdict(&self) -> (Level, String) {
        match (&self.failure, self.state, &self.monitor) {
            (Some(failure), ..) => (Level::Error, format!("{}: {failure}", self.state.label())),
            _ if self.work.is_some_and(|work| work > self.deadline) => (Level::Error, self.overdue()),
            (None, State::Active, None) => {
                (Level::Warn, "no monitor loaded: every verdict is UNKNOWN; set the parameter `monitor`".to_owned())
            }
            (None, State::Active, Some(_)) => (Level::Ok, format!("judging on {}", self.device)),
            (None, state, _) => (Level::Ok, format!("{}: no image is judged", state.label())),
        }
    }

    fn overdue(&self) -> String {
        let (work, deadline) = (self.work.unwrap_or_default().as_secs_f64(), self.deadline.as_secs_f64());
        format!("the image in work takes {work:.1} s, deadline_secs is {deadline}: nothing is judged until it is done")
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let millis =
            |latency: fn(&Pace) -> Duration| optional(self.pace.as_ref().map(|pace| latency(pace).as_secs_f64() * 1e3));
        vec![
            ("state", self.state.label().to_owned()),
            ("device", self.device.clone()),
            ("model", self.model.clone()),
            ("model_sha256", self.model_sha256.clone()),
            ("monitor", self.monitor.clone().unwrap_or_default()),
            ("latency_p50_ms", millis(|pace| pace.latency_p50)),
            ("latency_p99_ms", millis(|pace| pace.latency_p99)),
            ("rate_hz", optional(self.pace.map(|pace| pace.rate_hz))),
            ("image_in_work_secs", optional(self.work.map(|work| work.as_secs_f64()))),
        ]
    }
}

fn total(counts: &std::collections::BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

fn optional(number: Option<f64>) -> String {
    number.map_or_else(String::new, |number| format!("{number:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> CameraHealth {
        CameraHealth {
            name: "camera".into(),
            topic: "/camera".into(),
            publishers: 1,
            mismatches: vec![],
            counts: Counts {
                received: 10,
                judged: 8,
                dropped: [(super::super::statistics::DropReason::Replaced, 2)].into(),
                ..Counts::default()
            },
            previous: Counts::default(),
            silence: Some(Duration::from_millis(40)),
            stale_after: Duration::from_secs(3),
            stamp_age_secs: Some(0.05),
            viewer: None,
        }
    }

    fn value<'a>(status: &'a Status, key: &str) -> &'a str {
        &status.values.iter().find(|(other, _)| *other == key).unwrap().1
    }

    #[test]
    fn a_healthy_camera_is_ok_and_its_counts_are_told() {
        let status = healthy().status();
        assert_eq!(status.level, Level::Ok);
        assert_eq!((value(&status, "received"), value(&status, "dropped")), ("10", "2"));
        assert_eq!(value(&status, "last_image_age_secs"), "0.040");
    }

    #[test]
    fn a_mismatch_is_an_error_whatever_else_is_wrong() {
        let mut health = healthy();
        health.mismatches = vec!["publishes best effort".into()];
        health.silence = Some(Duration::from_secs(100));
        let status = health.status();
        assert_eq!((status.level, status.message.as_str()), (Level::Error, "publishes best effort"));
    }

    #[test]
    fn silence_is_stale_only_beyond_the_limit() {
        let mut health = healthy();
        health.silence = Some(Duration::from_secs(3));
        assert_eq!(health.status().level, Level::Ok);
        health.silence = Some(Duration::from_millis(3001));
        assert_eq!(health.status().level, Level::Stale);
    }

    #[test]
    fn before_the_first_image_the_publishers_are_what_matters() {
        let mut health = healthy();
        health.counts = Counts::default();
        health.silence = None;
        assert!(health.status().message.contains("1 publisher"));
        health.publishers = 0;
        let status = health.status();
        assert_eq!(status.level, Level::Warn);
        assert!(status.message.contains("nobody publishes"));
    }

    #[test]
    fn only_new_unknown_results_warn() {
        let mut health = healthy();
        health.counts.unknown = [("corrupt".to_owned(), 3)].into();
        assert_eq!(health.status().level, Level::Warn);
        health.previous.unknown = health.counts.unknown.clone();
        let status = health.status();
        assert_eq!(status.level, Level::Ok);
        assert_eq!(value(&status, "unknown_reasons"), "corrupt: 3");
    }

    #[test]
    fn a_view_that_fails_warns() {
        let viewer = ViewerHealth { target: "file x".into(), shown: 3, dropped: 2, failed: 1, failure: None };
        let mut health = CameraHealth { viewer: Some(viewer.clone()), ..healthy() };
        assert_eq!(health.status().level, Level::Ok);
        health.viewer = Some(ViewerHealth { failure: Some("the disk is full".into()), ..viewer });
        let status = health.status();
        assert_eq!(status.level, Level::Warn);
        assert!(status.message.ends_with("the live view fails: the disk is full"), "{}", status.message);
        assert_eq!((value(&status, "viewer_failed"), value(&status, "viewer_failure")), ("1", "the disk is full"));
    }

    #[test]
    fn running_without_a_monitor_warns() {
        let pace =
            Pace { latency_p50: Duration::from_micros(2500), latency_p99: Duration::from_millis(9), rate_hz: 30.0 };
        let mut health = InferenceHealth {
            state: State::Active,
            failure: None,
            device: "CPU".into(),
            model: "m".into(),
            model_sha256: "abc".into(),
            monitor: None,
            pace: Some(pace),
            work: Some(Duration::from_millis(900)),
            deadline: Duration::from_secs(1),
        };
        assert_eq!(health.status().level, Level::Warn);
        health.monitor = Some("m.monitor".into());
        let status = health.status();
        assert_eq!(status.level, Level::Ok);
        assert_eq!((value(&status, "latency_p50_ms"), value(&status, "rate_hz")), ("2.500", "30.000"));
        health.work = Some(Duration::from_millis(3100));
        assert_eq!(health.status().level, Level::Error);
        assert!(health.status().message.contains("takes 3.1 s, deadline_secs is 1"), "{}", health.status().message);
        health.work = None;
        health.state = State::Inactive;
        assert_eq!(health.status().message, "inactive: no image is judged");
        health.failure = Some("no such file".into());
        assert_eq!((health.status().level, health.status().message.as_str()), (Level::Error, "inactive: no such file"));
    }
}
