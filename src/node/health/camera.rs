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
        let secs = self.input.frozen_for(self.stale_after)?.as_secs_f64();
        Some(format!("the camera has shown the same image, byte for byte, for {secs:.1} s: is it frozen?"))
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
pub(super) mod tests;
