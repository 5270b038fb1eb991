//! What the node said against the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use activation_monitor::dataset::cdr::{GroundTruth, GroundTruthArray, Time};
use anyhow::{Context, Result};
use r2r::activation_monitor::msg::{
    ClassificationArray, ObjectConfidence, OodConfidence, OodConfidenceArray, StreamState,
};
use serde::Serialize;

/// A sign that was not seen for this long has been passed.
const PASSED_NANOS: u64 = 500_000_000;

/// Heading over the lines of [`Scores::judged`].
pub const HEADING: &str = "
  time  sign      truth                                     predicted by vote                     votes  p-value  \
   verdict of all views right?";

/// One region of one image: the truth, what the node said, or both.
#[derive(Debug, Clone, Default)]
struct Sight {
    truth: Option<GroundTruth>,
    answer: Option<OodConfidence>,
    class: String,
    score: f32,
}

/// What one physical sign looked like so far.
#[derive(Debug, Clone, Default)]
struct Sign {
    last_stamp: Time,
    last: Sight,
    sights: usize,
    alarms: usize,
}

/// Everything that was shown and answered.
#[derive(Debug, Default)]
pub struct Scores {
    first: Option<Time>,
    newest: Time,
    shown: BTreeMap<Time, Instant>,
    answered: BTreeSet<Time>,
    latencies: Vec<Duration>,
    sights: BTreeMap<(Time, String), Sight>,
    signs: BTreeMap<String, Sign>,
    printed: BTreeSet<String>,
    camera_changes: u32,
}

/// `summary.json`. Rates in 0..1 over single regions of single images, `null` without the truth; times in milliseconds.
#[derive(Debug, Serialize)]
struct Summary {
    frames: usize,
    results: usize,
    accuracy: Option<f64>,
    ood_caught: Option<f64>,
    false_alarm_rate: Option<f64>,
    latency_ms_p50: Option<f64>,
    latency_ms_p99: Option<f64>,
    dropped: usize,
    regions: usize,
    unknown: usize,
    signs: usize,
    ood_caught_by_anomaly: BTreeMap<String, f64>,
    /// By the verdict on all views of a sign when it was last seen, over signs.
    object_accuracy: Option<f64>,
    object_ood_caught: Option<f64>,
    object_false_alarm_rate: Option<f64>,
    camera_changes: u32,
}

impl Scores {
    /// An image was published.
    pub fn shown(&mut self, stamp: Time, now: Instant) {
        self.first.get_or_insert(stamp);
        self.newest = self.newest.max(stamp);
        self.shown.insert(stamp, now);
    }

    /// The truth about an image.
    pub fn truth(&mut self, message: GroundTruthArray) {
        let stamp = message.header.stamp;
        for object in message.objects {
            let key = (stamp, object.region.id.clone());
            self.sights.entry(key).or_default().truth = Some(object);
        }
    }

    /// The node classified an image.
    pub fn classified(&mut self, message: ClassificationArray) {
        let stamp = Time { sec: message.header.stamp.sec, nanosec: message.header.stamp.nanosec };
        for result in message.results {
            let sight = self.sights.entry((stamp, result.region.id)).or_default();
            (sight.class, sight.score) = (result.class_name, result.score);
        }
    }

    /// The node judged an image. Prints the signs that were passed since.
    pub fn judged(&mut self, message: OodConfidenceArray, now: Instant) {
        let stamp = Time { sec: message.header.stamp.sec, nanosec: message.header.stamp.nanosec };
        if let Some(shown) = self.shown.get(&stamp)
            && self.answered.insert(stamp)
        {
            self.latencies.push(now.saturating_duration_since(*shown));
        }
        for result in message.results {
            self.see(stamp, result);
        }
        self.print_passed(self.newest.as_nanos().saturating_sub(PASSED_NANOS));
    }

    fn see(&mut self, stamp: Time, result: OodConfidence) {
        let id = result.region.id.clone();
        let sight = self.sights.entry((stamp, id.clone())).or_default();
        sight.answer = Some(result);
        let alarm = sight.is_alarm();
        let sign = self.signs.entry(id).or_default();
        sign.sights += 1;
        sign.alarms += usize::from(alarm);
        if stamp >= sign.last_stamp {
            (sign.last_stamp, sign.last) = (stamp, sight.clone());
        }
    }

    /// The state of the camera is another one.
    pub fn camera_changed(&mut self, message: &StreamState) {
        self.camera_changes = message.alarms;
        if i32::from(message.state) == StreamState::CHANGED as i32 {
            let start = self.first.unwrap_or_default().as_nanos();
            let secs = |time: &r2r::builtin_interfaces::msg::Time| {
                let time = Time { sec: time.sec, nanosec: time.nanosec };
                time.as_nanos().saturating_sub(start) as f64 / 1e9
            };
            println!(
                "{:5.1} s  camera    CHANGED: not like the training data since {:.1} to {:.1} s",
                secs(&message.changed),
                secs(&message.onset_begin),
                secs(&message.onset_end)
            );
        }
    }

    /// Whether answers are still to come.
    pub fn is_waiting(&self) -> bool {
        self.answered.len() < self.shown.len()
    }

    /// Prints the signs that are still in view.
    pub fn finish(&mut self) {
        self.print_passed(u64::MAX);
    }

    fn print_passed(&mut self, before: u64) {
        let start = self.first.unwrap_or_default().as_nanos();
        let mut passed: Vec<(&String, &Sign)> =
            self.signs.iter().filter(|(id, _)| !self.printed.contains(*id)).collect();
        passed.retain(|(_, sign)| sign.last_stamp.as_nanos() < before);
        passed.sort_by_key(|(_, sign)| sign.last_stamp);
        let printed: Vec<String> = passed
            .into_iter()
            .map(|(id, sign)| {
                let seconds = sign.last_stamp.as_nanos().saturating_sub(start) as f64 / 1e9;
                println!("{}", sign.line(id, seconds));
                id.clone()
            })
            .collect();
        self.printed.extend(printed);
    }

    /// Prints the summary and writes it to `path`.
    pub fn report(&self, path: &Path) -> Result<()> {
        let summary = self.summary();
        println!("\n{}", summary.text());
        let json = serde_json::to_string_pretty(&summary)? + "\n";
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
    }

    fn summary(&self) -> Summary {
        let answered: Vec<&Sight> = self.sights.values().filter(|sight| sight.answer.is_some()).collect();
        let known = |sight: &&&Sight| sight.truth.as_ref().is_some_and(|truth| truth.in_distribution);
        let strange = |sight: &&&Sight| sight.truth.as_ref().is_some_and(|truth| !truth.in_distribution);
        let signs: Vec<&Sight> = self.signs.values().map(|sign| &sign.last).collect();
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        Summary {
            frames: self.shown.len(),
            results: self.answered.len(),
            accuracy: share(answered.iter().filter(known), |sight| sight.is_right()),
            ood_caught: share(answered.iter().filter(strange), |sight| sight.is_alarm()),
            false_alarm_rate: share(answered.iter().filter(known), |sight| sight.is_alarm()),
            latency_ms_p50: quantile_ms(&latencies, 0.5),
            latency_ms_p99: quantile_ms(&latencies, 0.99),
            dropped: self.shown.len() - self.answered.len(),
            regions: answered.len(),
            unknown: answered.iter().filter(|sight| sight.is_unknown()).count(),
            signs: self.signs.len(),
            ood_caught_by_anomaly: caught_by_anomaly(&answered),
            object_accuracy: share(signs.iter().filter(known), |sight| sight.is_object_right()),
            object_ood_caught: share(signs.iter().filter(strange), |sight| sight.is_object_alarm()),
            object_false_alarm_rate: share(signs.iter().filter(known), |sight| sight.is_object_alarm()),
            camera_changes: self.camera_changes,
        }
    }
}

fn caught_by_anomaly(sights: &[&Sight]) -> BTreeMap<String, f64> {
    let mut groups: BTreeMap<&str, Vec<&Sight>> = BTreeMap::new();
    for sight in sights {
        let anomaly = sight.truth.as_ref().map_or("", |truth| &truth.anomaly);
        if !anomaly.is_empty() {
            groups.entry(anomaly).or_default().push(sight);
        }
    }
    let caught = |group: Vec<&Sight>| share(group.iter(), |sight| sight.is_alarm()).unwrap_or(0.0);
    groups.into_iter().map(|(anomaly, group)| (anomaly.to_owned(), caught(group))).collect()
}

fn share<'a>(sights: impl Iterator<Item = &'a &'a Sight>, holds: impl Fn(&Sight) -> bool) -> Option<f64> {
    let (mut count, mut all) = (0_u32, 0_u32);
    for sight in sights {
        all += 1;
        count += u32::from(holds(sight));
    }
    (all > 0).then(|| f64::from(count) / f64::from(all))
}

/// Nearest-rank quantile in milliseconds.
fn quantile_ms(sorted: &[Duration], q: f64) -> Option<f64> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map(|latency| latency.as_secs_f64() * 1e3)
}

impl Sight {
    fn verdict(&self) -> i32 {
        self.answer.as_ref().map_or(OodConfidence::UNKNOWN as i32, |answer| i32::from(answer.verdict))
    }

    fn is_alarm(&self) -> bool {
        self.verdict() == OodConfidence::OUT_OF_DISTRIBUTION as i32
    }

    fn is_unknown(&self) -> bool {
        self.verdict() == OodConfidence::UNKNOWN as i32
    }

    fn is_right(&self) -> bool {
        self.truth.as_ref().is_some_and(|truth| truth.class_name == self.class)
    }

    /// What all views of the sign up to this one say together.
    fn object(&self) -> ObjectConfidence {
        self.answer.as_ref().map_or_else(ObjectConfidence::default, |answer| answer.object.clone())
    }

    fn is_object_alarm(&self) -> bool {
        i32::from(self.object().verdict) == ObjectConfidence::OUT_OF_DISTRIBUTION as i32
    }

    fn is_object_right(&self) -> bool {
        self.truth.as_ref().is_some_and(|truth| truth.class_name == self.object().class_name)
    }

    fn object_verdict_name(&self) -> &'static str {
        match i32::from(self.object().verdict) {
            verdict if verdict == ObjectConfidence::IN_DISTRIBUTION as i32 => "IN_DISTRIBUTION",
            verdict if verdict == ObjectConfidence::SUSPECT as i32 => "SUSPECT",
            verdict if verdict == ObjectConfidence::OUT_OF_DISTRIBUTION as i32 => "OUT_OF_DISTRIBUTION",
            _ => "UNKNOWN",
        }
    }

    /// What the sign really is, with what is unusual about it.
    fn truth_text(&self) -> String {
        match &self.truth {
            None => "?".to_owned(),
            Some(truth) if truth.anomaly.is_empty() || truth.anomaly == truth.class_name => truth.class_name.clone(),
            Some(truth) => format!("{} [{}]", truth.class_name, truth.anomaly),
        }
    }

    /// Whether the node was right: the class of a normal sign without an alarm, or an alarm for anything else.
    fn mark(&self) -> &'static str {
        match &self.truth {
            None => "",
            Some(truth) if truth.in_distribution && self.is_object_alarm() => "false alarm",
            Some(truth) if truth.in_distribution && !self.is_object_right() => "wrong class",
            Some(truth) if !truth.in_distribution && !self.is_object_alarm() => "missed",
            Some(_) => "yes",
        }
    }
}

impl Sign {
    /// What all views of the sign say together, and how many of them alarmed on their own.
    fn line(&self, id: &str, seconds: f64) -> String {
        let last = &self.last;
        let object = last.object();
        format!(
            "{seconds:5.1} s  {id:<8}  {:<40}  {:<36}  {:5.1} %  {:7.4}  {:<19}  {} ({} of {} views alarmed)",
            last.truth_text(),
            object.class_name,
            100.0 * object.class_share,
            object.p_value,
            last.object_verdict_name(),
            last.mark(),
            self.alarms,
            self.sights
        )
    }
}

impl Summary {
    fn text(&self) -> String {
        let percent = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), |rate| format!("{:.1} %", 100.0 * rate));
        let ms = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), |time| format!("{time:.1} ms"));
        let by_anomaly: Vec<String> = self
            .ood_caught_by_anomaly
            .iter()
            .map(|(anomaly, caught)| format!("{anomaly} {:.0} %", 100.0 * caught))
            .collect();
        format!(
            "{} frames, {} answered, {} dropped; {} signs in {} regions, {} UNKNOWN\n\
             accuracy on known signs        {}\n\
             out of distribution caught     {}  ({})\n\
             false alarms (nominal 1 %)     {}\n\
             all views of a sign together   {} right, {} of the strange ones caught, {} false alarms; camera CHANGED {} times\n\
             image to answer over DDS       {} at the median, {} at the 99th percentile",
            self.frames,
            self.results,
            self.dropped,
            self.signs,
            self.regions,
            self.unknown,
            percent(self.accuracy),
            percent(self.ood_caught),
            by_anomaly.join(", "),
            percent(self.false_alarm_rate),
            percent(self.object_accuracy),
            percent(self.object_ood_caught),
            percent(self.object_false_alarm_rate),
            self.camera_changes,
            ms(self.latency_ms_p50),
            ms(self.latency_ms_p99),
        )
    }
}
