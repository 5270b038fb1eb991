//! The status of inference: is every image that comes judged, in time, and can the monitor alarm at all?

use std::time::Duration;

use super::camera::share_values;
use super::diagnostics::{Findings, Level, Status, optional};
use super::recent::Recent;
use crate::counters::latency::{self, Stages};
use crate::node::lifecycle::machine::State;

/// What is known of network and monitor at the time of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct InferenceHealth {
    /// State of the lifecycle.
    pub state: State,
    /// Why the last transition failed, where it did.
    pub failure: Option<String>,
    /// What was loaded; `None` while nothing is configured.
    pub loaded: Option<Loaded>,
    /// Fused p-value at or below which the verdict is OUT_OF_DISTRIBUTION.
    pub alarm_level: f32,
    /// What the inference thread does.
    pub work: Work,
    /// Rates and shares of the last while, all cameras together.
    pub recent: Recent,
    /// Where the time of the images went that were answered lately, all cameras together.
    pub stages: Vec<Stages>,
}

/// Model and monitor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// Device the model runs on.
    pub device: String,
    /// Folder of the model.
    pub model: String,
    /// SHA-256 of the model.
    pub model_sha256: String,
    /// Its first digits, as in the answers.
    pub model_id: String,
    /// Monitor file; `None` when classifying only.
    pub monitor: Option<String>,
    /// First digits of its SHA-256, as in the answers.
    pub monitor_id: String,
    /// Smallest fused p-value that the monitor can reach; `None` when that is not known.
    pub smallest_p_value: Option<f32>,
    /// Smallest alarm level at which images of every class can raise an alarm; `None` when that is not known.
    pub reachable_alarm_level: Option<f32>,
}

/// What the inference thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Whether it runs.
    pub alive: bool,
    /// How long the images in work have been with it; `None` when it waits for some.
    pub age: Option<Duration>,
    /// How long the oldest image waits for it.
    pub waiting: Option<Duration>,
    /// Longest time from the moment that image and regions were there to the answer, since the previous status.
    pub slowest: Duration,
    /// Longest time allowed for all three.
    pub deadline: Duration,
}

impl InferenceHealth {
    /// The status of network and monitor.
    #[must_use]
    pub fn status(&self) -> Status {
        let (level, message) = self.verdict();
        Status { level, name: "inference".to_owned(), message, values: self.values() }
    }

    fn verdict(&self) -> (Level, String) {
        let (mut findings, state) = (Findings::default(), self.state.label());
        findings.add(Level::Error, self.failure.as_ref().map(|failure| format!("{state}: {failure}")));
        let Some(loaded) = self.loaded.as_ref().filter(|_| self.state == State::Active) else {
            return findings.summary(|| format!("{state}: no image is judged"));
        };
        findings.add_all(Level::Error, self.work.findings());
        let no_monitor = "no monitor loaded: every verdict is UNKNOWN; set the parameter `monitor`";
        findings.add(Level::Warn, loaded.monitor.is_none().then(|| no_monitor.to_owned()));
        let alarms = loaded.smallest_p_value.zip(loaded.reachable_alarm_level);
        let unreachable = alarms.and_then(|(smallest, all)| unreachable_alarm(self.alarm_level, smallest, all));
        findings.add(Level::Warn, unreachable);
        findings.summary(|| format!("judging on {}", loaded.device))
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        let nothing = Loaded::default();
        let loaded = self.loaded.as_ref().unwrap_or(&nothing);
        let level = |level: Option<f32>| level.map_or_else(String::new, |level| level.to_string());
        let secs = |duration: Option<Duration>| optional(duration.map(|duration| duration.as_secs_f64()));
        let mut values = vec![
            ("state", self.state.label().to_owned()),
            ("device", loaded.device.clone()),
            ("model", loaded.model.clone()),
            ("model_id", loaded.model_id.clone()),
            ("model_sha256", loaded.model_sha256.clone()),
            ("monitor", loaded.monitor.clone().unwrap_or_default()),
            ("monitor_id", loaded.monitor_id.clone()),
            ("alarm_level", self.alarm_level.to_string()),
            ("smallest_p_value", level(loaded.smallest_p_value)),
            ("reachable_alarm_level", level(loaded.reachable_alarm_level)),
            ("rate_hz", optional(self.recent.rates.rate(|totals| totals.judged))),
            ("age_of_work_secs", secs(self.work.age)),
            ("waiting_secs", secs(self.work.waiting)),
            ("deadline_secs", secs(Some(self.work.deadline))),
        ];
        let quantiles = latency::quantiles(&self.stages).into_iter();
        values.extend(quantiles.map(|(key, found)| (key, optional(found.map(|found| found.as_secs_f64() * 1e3)))));
        values.extend(share_values(&self.recent.shares));
        values
    }
}

impl Work {
    fn findings(&self) -> Vec<String> {
        if !self.alive {
            return vec!["the inference thread has ended: clean up and configure the node again".to_owned()];
        }
        let deadline = self.deadline.as_secs_f64();
        let late = |duration: &Duration| *duration > self.deadline;
        let hangs = self.age.filter(late).map(|age| {
            let age = age.as_secs_f64();
            format!(
                "the image in work has been there for {age:.1} s (deadline_secs is {deadline}): does the model hang?"
            )
        });
        let waits = self.waiting.filter(late).filter(|_| self.age.is_none()).map(|waiting| {
            format!("an image has waited for {:.1} s, and nothing is being judged", waiting.as_secs_f64())
        });
        let slow = Some(self.slowest)
            .filter(late)
            .map(|slowest| format!("an answer took {:.1} s, deadline_secs is {deadline}", slowest.as_secs_f64()));
        [hangs, waits, slow].into_iter().flatten().collect()
    }
}

/// Why verdicts cannot be OUT_OF_DISTRIBUTION at this level, and what to do: the fused p-value of a monitor never falls
/// below `smallest`, the one of an image that is stranger than all that it was calibrated on; for some classes, where it is
/// calibrated by class, not below `of_all`. `None` when alarms are possible whatever the network sees.
#[must_use]
pub fn unreachable_alarm(level: f32, smallest: f32, of_all: f32) -> Option<String> {
    let (whose, least) = match level {
        _ if level < smallest => ("no verdict can be OUT_OF_DISTRIBUTION", smallest),
        _ if level < of_all => ("images of some classes cannot be OUT_OF_DISTRIBUTION", of_all),
        _ => return None,
    };
    Some(format!(
        "{whose}: alarm_level is {level}, and their smallest p-value with this monitor is {least}; set alarm_level to \
         {least} or above, or fit the monitor with more calibration images"
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::diagnostics::tests::value;
    use super::super::recent::{Span, Totals};
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Inference that is well.
    pub fn healthy() -> InferenceHealth {
        let rates = Span { secs: 10.0, totals: Totals { judged: 300, ..Totals::default() } };
        let totals = Totals { results: 200, out_of_distribution: 3, suspect: 10, unknown: 50, ..Totals::default() };
        InferenceHealth {
            state: State::Active,
            failure: None,
            loaded: Some(Loaded {
                device: "cpu".into(),
                model: "m".into(),
                monitor: Some("m.monitor".into()),
                smallest_p_value: Some(0.0005),
                reachable_alarm_level: Some(0.0005),
                ..Loaded::default()
            }),
            alarm_level: 0.01,
            work: Work { alive: true, age: Some(3 * MS), waiting: Some(MS), slowest: 9 * MS, deadline: 1000 * MS },
            recent: Recent { rates, shares: Span { secs: 300.0, totals }, ..Recent::default() },
            stages: vec![Stages { decode: Some(2 * MS), total: 9 * MS, ..Stages::default() }],
        }
    }

    fn says(health: &InferenceHealth, level: Level, words: &str) {
        let status = health.status();
        assert!(status.level == level && status.message.contains(words), "{level:?} {words}: {status:?}");
    }

    #[test]
    fn what_is_well_is_told_in_numbers() {
        let status = healthy().status();
        assert_eq!((status.level, status.message.as_str()), (Level::Ok, "judging on cpu"));
        for (key, expected) in [
            ("rate_hz", "30.000"),
            ("latency_p99_ms", "9.000"),
            ("decode_p50_ms", "2.000"),
            ("monitor_p50_ms", ""),
            ("recent_out_of_distribution_share", "0.015"),
            ("recent_unknown_share", "0.250"),
            ("age_of_work_secs", "0.003"),
            ("smallest_p_value", "0.0005"),
        ] {
            assert_eq!(value(&status, key), expected, "{key}");
        }
    }

    #[test]
    fn a_thread_that_hangs_is_an_error_with_the_age_of_the_image() {
        let mut health = healthy();
        health.work.age = Some(1000 * MS);
        says(&health, Level::Ok, "");
        health.work.age = Some(1700 * MS);
        says(&health, Level::Error, "the image in work has been there for 1.7 s (deadline_secs is 1)");
        health.work.deadline = 5000 * MS;
        says(&health, Level::Ok, "");
    }

    #[test]
    fn answers_after_the_deadline_and_images_that_wait_for_nothing_are_errors() {
        let mut health = healthy();
        health.work.slowest = 1200 * MS;
        says(&health, Level::Error, "an answer took 1.2 s, deadline_secs is 1");
        health.work.slowest = Duration::ZERO;
        health.work.waiting = Some(2000 * MS);
        says(&health, Level::Ok, "");
        health.work.age = None;
        says(&health, Level::Error, "an image has waited for 2.0 s, and nothing is being judged");
        health.work.alive = false;
        says(&health, Level::Error, "the inference thread has ended");
    }

    #[test]
    fn without_a_monitor_and_without_possible_alarms_it_warns() {
        let mut health = healthy();
        health.alarm_level = 0.0004;
        says(&health, Level::Warn, "alarm_level is 0.0004, and their smallest p-value with this monitor is 0.0005");
        health.loaded = Some(Loaded::default());
        says(&health, Level::Warn, "no monitor loaded");
    }

    #[test]
    fn an_alarm_at_exactly_the_smallest_p_value_is_possible() {
        assert_eq!(unreachable_alarm(0.01, 0.01, 0.01), None);
        assert_eq!(unreachable_alarm(1.0, 0.5, 0.5), None);
        let text = unreachable_alarm(0.01, 0.0625, 0.0625).unwrap();
        assert!(text.starts_with("no verdict") && text.contains("set alarm_level to 0.0625 or above"), "{text}");
        let text = unreachable_alarm(0.01, 0.002, 0.0625).unwrap();
        assert!(text.starts_with("images of some") && text.contains("set alarm_level to 0.0625 or above"), "{text}");
    }

    #[test]
    fn in_other_states_the_state_is_told_and_a_failure_is_an_error() {
        let mut health = healthy();
        health.work.age = Some(9000 * MS);
        health.state = State::Inactive;
        says(&health, Level::Ok, "inactive: no image is judged");
        (health.state, health.loaded) = (State::Unconfigured, None);
        says(&health, Level::Ok, "unconfigured: no image is judged");
        health.failure = Some("no such file".into());
        says(&health, Level::Error, "unconfigured: no such file");
        assert_eq!(value(&health.status(), "model"), "");
    }
}
