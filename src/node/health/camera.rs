//! The status of a camera: do its images come, in time and whole, and are they answered?

use std::time::Duration;

use super::diagnostics::{Findings, Level, Status, listed, optional};
use super::recent::{Recent, Span};
use crate::counters::statistics::{Counts, StreamHealth};
use crate::frame::Note;
use crate::inference::remarks;
use crate::intake::counts::{FUTURE_NANOS, InputCounts};
use crate::intake::stamp::secs;
use crate::intake::timeline::Interleaved;
use crate::node::lifecycle::machine::State;
use crate::stream::{Change, ChangeState, SHARE_WINDOW};

/// Share of missing images above which they are said.
const MISSING_SHARE: f64 = 0.05;

/// What is known of a camera at the time of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraHealth {
    /// What the status is called: `camera`, or `camera NAME` where there are several.
    pub name: String,
    /// State of the lifecycle.
    pub state: State,
    /// The topic of the images.
    pub images: TopicHealth,
    /// The topic of the regions, where there is one.
    pub regions: Option<TopicHealth>,
    /// Counters now.
    pub counts: Counts,
    /// Counters at the previous status.
    pub previous: Counts,
    /// Rates and shares of the last while.
    pub recent: Recent,
    /// Why the latest region with verdict UNKNOWN has it.
    pub newest_reason: String,
    /// Time since the last image.
    pub silence: Option<Duration>,
    /// Silence after which the camera counts as silent, and age of a stamp above which it counts as old.
    pub stale_after: Duration,
    /// How long images have come without any being answered.
    pub unanswered: Option<Duration>,
    /// Longest time that an image may go unanswered: its wait for regions and the deadline of inference.
    pub patience: Duration,
    /// ROS time minus the newest stamp, in seconds; `None` before the first image and while `/clock` is awaited.
    pub stamp_age_secs: Option<f64>,
    /// What happened to stamps and regions.
    pub input: InputCounts,
    /// What is to be known of the latest image.
    pub notes: Vec<Note>,
    /// Images with the stamp of the image before, since the previous status.
    pub repeated: u64,
    /// What its images say over time.
    pub stream: StreamHealth,
}

/// What the graph says of a topic that is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicHealth {
    /// Full name.
    pub topic: String,
    /// Full names of the nodes that publish on it, one per publisher.
    pub publishers: Vec<String>,
    /// Why messages of some publishers cannot arrive.
    pub mismatches: Vec<String>,
    /// What is published instead, while nobody publishes on it.
    pub hint: Option<String>,
}

impl CameraHealth {
    /// The status of the camera.
    #[must_use]
    pub fn status(&self) -> Status {
        let (level, message) = self.verdict();
        Status { level, name: self.name.clone(), message, values: self.values() }
    }

    /// Whether nobody publishes images or regions for it.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        std::iter::once(&self.images).chain(&self.regions).any(|topic| topic.publishers.is_empty())
    }

    fn verdict(&self) -> (Level, String) {
        let topic = &self.images.topic;
        if self.state != State::Active {
            return (Level::Ok, format!("{}: not subscribed to {topic}", self.state.label()));
        }
        let mut findings = self.of_topics();
        findings.add(Level::Stale, self.silent());
        findings.add(Level::Error, self.unanswered());
        findings.add(Level::Warn, self.nothing_yet());
        findings.add(Level::Warn, self.all_dropped());
        findings.add(Level::Warn, self.unknown());
        findings.add(Level::Warn, self.missing());
        findings.add_all(Level::Warn, self.of_stamps());
        findings.add(Level::Warn, self.colour_lost());
        findings.add(Level::Warn, self.changed());
        findings.add(Level::Warn, self.drifting());
        findings.add(Level::Warn, several_publishers(&self.images));
        findings.summary(|| format!("images arrive on {topic}"))
    }

    /// A publisher that cannot reach this node is a fault unless another one does.
    fn of_topics(&self) -> Findings {
        let mut findings = Findings::default();
        let level =
            if self.silence.is_some_and(|silence| silence <= self.stale_after) { Level::Warn } else { Level::Error };
        findings.add_all(level, self.images.mismatches.clone());
        if let Some(regions) = &self.regions {
            findings.add_all(Level::Error, regions.mismatches.clone());
            findings.add(Level::Warn, nobody(regions, "regions_topic"));
        }
        findings
    }

    fn silent(&self) -> Option<String> {
        let silence = self.silence.filter(|silence| *silence > self.stale_after)?;
        let gone = if self.images.publishers.is_empty() { ", where nobody publishes any more" } else { "" };
        Some(format!("no image on {} for {:.1} s{gone}", self.images.topic, silence.as_secs_f64()))
    }

    fn unanswered(&self) -> Option<String> {
        let unanswered = self.unanswered.filter(|unanswered| *unanswered > self.patience)?;
        let (topic, secs) = (&self.images.topic, unanswered.as_secs_f64());
        Some(format!("images arrive on {topic}, but none has been answered for {secs:.1} s"))
    }

    fn nothing_yet(&self) -> Option<String> {
        if self.counts.received > 0 {
            return None;
        }
        nobody(&self.images, "image_topic").or_else(|| {
            let TopicHealth { topic, publishers, .. } = &self.images;
            Some(format!("no image yet on {topic}, which has {} publisher(s)", publishers.len()))
        })
    }

    /// All images of the last seconds were dropped: the reason that most of them have.
    fn all_dropped(&self) -> Option<String> {
        let latest = &self.recent.latest;
        let (reason, most) = latest.dropped().max_by_key(|(_, images)| *images)?;
        let all: u64 = latest.totals.dropped.iter().sum();
        let of = if most == all { String::new() } else { format!(" ({most})") };
        let text = || format!("every image was dropped ({all} in {:.1} s): {}{of}", latest.secs, reason.name());
        (latest.totals.judged == 0).then(text)
    }

    fn unknown(&self) -> Option<String> {
        let since = |total: fn(&Counts) -> u64| total(&self.counts).saturating_sub(total(&self.previous));
        let (unknown, results) = (since(Counts::unknown_total), since(Counts::results));
        let reason = &self.newest_reason;
        (unknown > 0).then(|| format!("{unknown} of {results} results were UNKNOWN since the last status: {reason}"))
    }

    /// Images that left the camera and never came here.
    fn missing(&self) -> Option<String> {
        let Span { secs, totals } = self.recent.rates;
        let (missing, sent) = (totals.missing, totals.received + totals.missing);
        (missing as f64 > MISSING_SHARE * sent as f64).then(|| {
            format!(
                "about {missing} of {sent} images in {secs:.0} s seem to be lost on their way: see the status of the node for \
                 the transport, and the queue of the publisher"
            )
        })
    }

    fn colour_lost(&self) -> Option<String> {
        let lost = self.notes.iter().find(|note| matches!(note, Note::ColourLost { .. }));
        lost.map(Note::to_string)
    }

    fn changed(&self) -> Option<String> {
        let Change { state, changed, onset, .. } = &self.stream.change;
        let (changed, (begin, end)) = (changed.as_ref()?, onset.as_ref()?);
        let secs = |stamp: &Duration| format!("{:.1}", stamp.as_secs_f64());
        (*state == ChangeState::Changed).then(|| {
            format!(
                "what the camera shows is not like the training data since stamp {} to {} (found at {})",
                secs(begin),
                secs(end),
                secs(changed)
            )
        })
    }

    fn drifting(&self) -> Option<String> {
        let (share, minutes) = (self.stream.drift?, SHARE_WINDOW.as_secs() / 60);
        Some(format!(
            "{:.1} % of the results of {minutes} min were OUT_OF_DISTRIBUTION, far more than alarm_level",
            100.0 * share
        ))
    }

    fn of_stamps(&self) -> Vec<String> {
        let repeated = self.repeated;
        let again = (repeated > 0).then(|| format!("{repeated} images had the stamp of the image before"));
        let lines = self.input.interleaved.map(|Interleaved { lines, offset }| {
            let apart = offset.as_secs_f64();
            format!("{lines} time lines take turns, {apart:.1} s apart: several publishers on one topic?")
        });
        [self.age_of_stamp(), again, self.frozen(), lines].into_iter().flatten().collect()
    }

    fn frozen(&self) -> Option<String> {
        let unchanged = self.input.unchanged;
        (unchanged >= self.stale_after).then(|| {
            let secs = unchanged.as_secs_f64();
            format!("the camera has shown the same image, byte for byte, for {secs:.1} s: is it frozen?")
        })
    }

    /// Judged by the time at which the image came, so that a slow camera is none with old stamps.
    fn age_of_stamp(&self) -> Option<String> {
        let (age, silence) = (self.stamp_age_secs?, self.silence?.as_secs_f64());
        let at_arrival = age - silence;
        let remedy =
            "are the clocks of the machines synchronised? A bag wants use_sim_time and `ros2 bag play --clock`";
        if age < -secs(FUTURE_NANOS) {
            return Some(format!("the newest stamp is {:.1} s in the future: {remedy}", -age));
        }
        let old = at_arrival > self.stale_after.as_secs_f64();
        old.then(|| format!("images arrive, but the newest stamp was {at_arrival:.1} s old: {remedy}"))
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let counts = &self.counts;
        let regions = self.regions.as_ref();
        let mismatches: Vec<String> = self
            .images
            .mismatches
            .iter()
            .chain(regions.iter().flat_map(|regions| &regions.mismatches))
            .cloned()
            .collect();
        let notes: Vec<String> = self.notes.iter().map(remarks::in_words).collect();
        let dropped = counts.dropped.iter().map(|(reason, count)| (reason.name(), *count));
        let unknown = counts.unknown.iter().map(|(reason, count)| (reason, *count));
        let mut values = vec![
            ("topic", self.images.topic.clone()),
            ("publishers", self.images.publishers.len().to_string()),
            ("publisher_nodes", self.images.publishers.join(", ")),
            ("regions_topic", regions.map(|regions| regions.topic.clone()).unwrap_or_default()),
            ("regions_publishers", regions.map_or_else(String::new, |regions| regions.publishers.len().to_string())),
            ("qos_mismatch", mismatches.join("; ")),
            ("received", counts.received.to_string()),
            ("received_hz", optional(self.recent.rates.rate(|totals| totals.received))),
            ("judged", counts.judged.to_string()),
            ("judged_hz", optional(self.recent.rates.rate(|totals| totals.judged))),
            ("dropped", counts.dropped_total().to_string()),
            ("dropped_reasons", listed(dropped)),
            ("unknown", counts.unknown_total().to_string()),
            ("unknown_reasons", listed(unknown)),
            ("unknown_newest_reason", self.newest_reason.clone()),
            ("image_notes", notes.join("; ")),
            ("region_arrays", counts.region_arrays.to_string()),
            ("regions_missing", counts.regions_missing.to_string()),
            ("time_jumps", counts.time_jumps.to_string()),
            ("last_image_age_secs", optional(self.silence.map(|silence| silence.as_secs_f64()))),
            ("unanswered_secs", optional(self.unanswered.map(|unanswered| unanswered.as_secs_f64()))),
            ("stamp_age_secs", optional(self.stamp_age_secs)),
        ];
        values.extend(self.input.values());
        values.extend(stream_values(&self.stream));
        values.extend([
            ("overlays_published", self.counts.overlays_published.to_string()),
            ("overlays_dropped", self.counts.overlays_dropped.to_string()),
        ]);
        values.extend(share_values(&self.recent.shares));
        values
    }
}

/// What the images say over time as values.
fn stream_values(stream: &StreamHealth) -> [(&'static str, String); 11] {
    let StreamHealth { change, objects, jumps, .. } = stream;
    let hours = change.watched.as_secs_f64() / 3600.0;
    let between = (change.alarms > 0).then(|| hours / f64::from(change.alarms));
    [
        ("stream_state", change.state.as_str().to_owned()),
        ("stream_evidence", format!("{:.1}", change.evidence)),
        ("stream_threshold", format!("{:.0}", change.threshold)),
        ("stream_alarms", change.alarms.to_string()),
        ("stream_hours", format!("{hours:.3}")),
        ("stream_hours_between_alarms", optional(between)),
        ("stream_jumps", jumps.to_string()),
        ("objects", objects.remembered.to_string()),
        ("objects_reused_ids", objects.reused.to_string()),
        ("objects_duplicate_ids", objects.duplicates.to_string()),
        ("objects_crowded_out", objects.crowded_out.to_string()),
    ]
}

/// Shares of the verdicts as values.
pub fn share_values(shares: &Span) -> [(&'static str, String); 5] {
    [
        ("recent_secs", format!("{:.0}", shares.secs)),
        ("recent_results", shares.totals.results.to_string()),
        ("recent_out_of_distribution_share", optional(shares.share(|totals| totals.out_of_distribution))),
        ("recent_suspect_share", optional(shares.share(|totals| totals.suspect))),
        ("recent_unknown_share", optional(shares.share(|totals| totals.unknown))),
    ]
}

fn nobody(topic: &TopicHealth, parameter: &str) -> Option<String> {
    let TopicHealth { topic, publishers, hint, .. } = topic;
    let hint = hint.clone().unwrap_or_else(|| format!("check {parameter} and the remappings"));
    publishers.is_empty().then(|| format!("nobody publishes on {topic}: {hint}"))
}

fn several_publishers(topic: &TopicHealth) -> Option<String> {
    let TopicHealth { topic, publishers, .. } = topic;
    let nodes = publishers.join(", ");
    (publishers.len() > 1).then(|| format!("{} publishers on {topic}: {nodes}", publishers.len()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::diagnostics::tests::value;
    use super::super::recent::Totals;
    use super::*;
    use crate::counters::statistics::DropReason;

    /// A camera that is well.
    pub fn healthy() -> CameraHealth {
        CameraHealth {
            name: "camera".into(),
            state: State::Active,
            images: topic("/camera", &["/driver"]),
            regions: None,
            counts: Counts {
                received: 10,
                judged: 8,
                dropped: [(DropReason::Replaced, 2)].into(),
                ..Counts::default()
            },
            previous: Counts::default(),
            recent: lately(1.0, Totals { received: 10, judged: 8, ..Totals::default() }),
            newest_reason: String::new(),
            silence: Some(Duration::from_millis(40)),
            stale_after: Duration::from_secs(3),
            unanswered: Some(Duration::from_millis(40)),
            patience: Duration::from_secs(1),
            stamp_age_secs: Some(0.05),
            input: InputCounts::default(),
            notes: Vec::new(),
            repeated: 0,
            stream: StreamHealth::default(),
        }
    }

    fn lately(secs: f64, totals: Totals) -> Recent {
        let span = Span { secs, totals };
        Recent { latest: span, rates: span, shares: span }
    }

    fn topic(topic: &str, publishers: &[&str]) -> TopicHealth {
        let publishers = publishers.iter().map(|node| (*node).to_owned()).collect();
        TopicHealth { topic: topic.into(), publishers, ..TopicHealth::default() }
    }

    fn says(health: &CameraHealth, level: Level, words: &str) {
        let status = health.status();
        assert!(status.level == level && status.message.contains(words), "{level:?} {words}: {status:?}");
    }

    #[test]
    fn a_healthy_camera_is_ok_and_its_counts_are_told() {
        let status = healthy().status();
        assert_eq!((status.level, status.message.as_str()), (Level::Ok, "images arrive on /camera"));
        assert_eq!((value(&status, "received"), value(&status, "dropped")), ("10", "2"));
        assert_eq!((value(&status, "last_image_age_secs"), value(&status, "received_hz")), ("0.040", "10.000"));
        assert_eq!((value(&status, "publisher_nodes"), value(&status, "regions_topic")), ("/driver", ""));
    }

    #[test]
    fn a_mismatch_is_an_error_unless_images_come_all_the_same() {
        let mut health = healthy();
        health.images.mismatches = vec!["publishes best effort".into()];
        says(&health, Level::Warn, "publishes best effort");
        health.silence = Some(Duration::from_secs(100));
        says(&health, Level::Error, "publishes best effort");
        health.silence = None;
        says(&health, Level::Error, "publishes best effort");
    }

    #[test]
    fn silence_is_stale_only_beyond_the_limit() {
        let mut health = healthy();
        health.silence = Some(Duration::from_secs(3));
        says(&health, Level::Ok, "");
        health.silence = Some(Duration::from_millis(3051));
        says(&health, Level::Stale, "no image on /camera for 3.1 s");
        health.images.publishers.clear();
        says(&health, Level::Stale, "nobody publishes any more");
    }

    #[test]
    fn before_the_first_image_the_publishers_are_what_matters() {
        let mut health = healthy();
        (health.counts, health.recent) = (Counts::default(), Recent::default());
        (health.silence, health.unanswered, health.stamp_age_secs) = (None, None, None);
        says(&health, Level::Warn, "no image yet on /camera, which has 1 publisher");
        health.images.publishers.clear();
        says(&health, Level::Warn, "nobody publishes on /camera: check image_topic");
        health.images.hint = Some("/cam (sensor_msgs/msg/Image) exists".into());
        says(&health, Level::Warn, "nobody publishes on /camera: /cam (sensor_msgs/msg/Image) exists");
    }

    #[test]
    fn images_that_nobody_answers_are_an_error() {
        let mut health = healthy();
        health.unanswered = Some(Duration::from_millis(1001));
        says(&health, Level::Error, "none has been answered for 1.0 s");
        health.patience = Duration::from_secs(2);
        says(&health, Level::Ok, "");
    }

    #[test]
    fn a_camera_whose_every_image_is_dropped_is_not_ok() {
        let mut health = healthy();
        let dropped = |replaced, no_room, judged| {
            let counts = Counts {
                judged,
                dropped: [(DropReason::Replaced, replaced), (DropReason::NoRoom, no_room)].into(),
                ..Counts::default()
            };
            lately(1.5, Totals::of(&counts, 0))
        };
        health.recent = dropped(2, 0, 0);
        says(&health, Level::Warn, "every image was dropped (2 in 1.5 s): replaced by a newer image");
        health.recent = dropped(1, 7, 0);
        says(&health, Level::Warn, "every image was dropped (8 in 1.5 s): no room to wait for regions (7)");
        health.recent = dropped(1, 7, 1);
        says(&health, Level::Ok, "");
        health.recent = dropped(0, 0, 0);
        says(&health, Level::Ok, "");
    }

    #[test]
    fn new_unknown_results_warn_with_the_newest_reason() {
        let mut health = healthy();
        health.counts.unknown = [("unsupported encoding".to_owned(), 42)].into();
        health.counts.suspect = 1;
        health.newest_reason = "unsupported encoding `foo`".into();
        says(&health, Level::Warn, "42 of 43 results were UNKNOWN since the last status: unsupported encoding `foo`");
        health.previous = health.counts.clone();
        let status = health.status();
        assert_eq!(status.level, Level::Ok);
        assert_eq!(value(&status, "unknown_reasons"), "unsupported encoding: 42");
        assert_eq!(value(&status, "unknown_newest_reason"), "unsupported encoding `foo`");
    }

    #[test]
    fn the_age_of_stamps_is_counted_without_the_silence_since() {
        let mut health = healthy();
        (health.silence, health.stamp_age_secs) = (Some(Duration::from_secs(2)), Some(4.9));
        says(&health, Level::Ok, "");
        health.stamp_age_secs = Some(5.1);
        says(&health, Level::Warn, "the newest stamp was 3.1 s old");
        health.stamp_age_secs = Some(-1.0);
        says(&health, Level::Ok, "");
        health.stamp_age_secs = Some(-3600.0);
        says(&health, Level::Warn, "the newest stamp is 3600.0 s in the future");
    }

    #[test]
    fn repeated_stamps_time_lines_and_lost_images_warn() {
        let mut health = healthy();
        health.repeated = 30;
        health.input.interleaved = Some(Interleaved { lines: 2, offset: Duration::from_secs(10) });
        says(
            &health,
            Level::Warn,
            "30 images had the stamp of the image before; 2 time lines take turns, 10.0 s apart",
        );
        (health.repeated, health.input) = (0, InputCounts::default());
        let missing = |missing| lately(10.0, Totals { received: 95, judged: 95, missing, ..Totals::default() });
        health.recent = missing(5);
        says(&health, Level::Ok, "");
        health.recent = missing(6);
        says(&health, Level::Warn, "about 6 of 101 images in 10 s seem to be lost on their way");
    }

    #[test]
    fn an_image_that_stays_the_same_warns() {
        let mut health = healthy();
        health.input.unchanged = health.stale_after / 2;
        says(&health, Level::Ok, "");
        health.input.unchanged = health.stale_after;
        says(&health, Level::Warn, "the same image, byte for byte");
    }

    #[test]
    fn colours_that_are_lost_warn_and_every_note_is_told() {
        let mut health = healthy();
        health.notes = vec![Note::BitDepth { bits: 12 }];
        says(&health, Level::Ok, "");
        assert!(value(&health.status(), "image_notes").contains("12-bit"));
        health.notes.push(Note::ColourLost { original: "bgr8" });
        says(&health, Level::Warn, "colour is lost: the camera delivers bgr8");
    }

    #[test]
    fn two_publishers_are_named() {
        let mut health = healthy();
        health.images = topic("/camera", &["/left", "/right"]);
        says(&health, Level::Warn, "2 publishers on /camera: /left, /right");
    }

    #[test]
    fn regions_that_nobody_sends_or_that_cannot_come_are_said() {
        let mut health = healthy();
        health.regions = Some(topic("/regions", &[]));
        says(&health, Level::Warn, "nobody publishes on /regions: check regions_topic");
        health.regions =
            Some(TopicHealth { mismatches: vec!["other type".into()], ..topic("/regions", &["/detector"]) });
        says(&health, Level::Error, "other type");
        let status = health.status();
        assert_eq!((value(&status, "regions_publishers"), value(&status, "qos_mismatch")), ("1", "other type"));
    }

    #[test]
    fn a_node_that_is_not_active_says_its_state_and_is_well() {
        let mut health = healthy();
        (health.state, health.silence) = (State::Inactive, Some(Duration::from_secs(99)));
        says(&health, Level::Ok, "inactive: not subscribed to /camera");
    }
}
