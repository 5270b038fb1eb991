//! How long the stages of an answer take.

use std::time::Duration;

/// Where the time between the arrival of an image and its published answer went. A stage that an image did not go through,
/// or that was not measured, is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stages {
    /// From the stamp of the image to its arrival; before all others.
    pub receive: Option<Duration>,
    /// From arrival until its regions were there.
    pub wait_regions: Option<Duration>,
    /// From then until inference took it.
    pub wait_turn: Option<Duration>,
    /// From bytes to pixels.
    pub decode: Option<Duration>,
    /// Cutting out, resizing and the network; with the detectors where `monitor` is not measured apart.
    pub infer: Option<Duration>,
    /// The detectors.
    pub monitor: Option<Duration>,
    /// Making and publishing the messages.
    pub publish: Option<Duration>,
    /// From arrival to the published answer.
    pub total: Duration,
}

/// The keys of one stage in the diagnostics.
#[derive(Debug, Clone, Copy)]
pub struct StageKeys {
    /// Median, 95th and 99th percentile.
    pub keys: [&'static str; 3],
    /// What the stage is, for the documentation.
    pub meaning: &'static str,
    /// Its duration.
    of: fn(&Stages) -> Option<Duration>,
}

/// Quantiles that the diagnostics tell of every stage.
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

macro_rules! stage {
    ($name:literal, $meaning:literal, $of:expr) => {
        StageKeys {
            keys: [concat!($name, "_p50_ms"), concat!($name, "_p95_ms"), concat!($name, "_p99_ms")],
            meaning: $meaning,
            of: $of,
        }
    };
}

/// Every stage, in the order of the way of an image.
pub const STAGES: [StageKeys; 9] = [
    stage!("latency", "from the moment that image and regions are there to the published answer", |stages| {
        Some(stages.latency())
    }),
    stage!("answer", "from the arrival of the image to the published answer, waits for regions included", |stages| {
        Some(stages.total)
    }),
    stage!(
        "receive",
        "from the stamp of the image to its arrival, by the node's clock: camera, driver and transport; empty for stamps \
         of another clock (in the future, or more than a minute old)",
        |stages| stages.receive
    ),
    stage!("wait_regions", "from the arrival of the image until its regions are there", |stages| stages.wait_regions),
    stage!("wait_turn", "from then until inference takes the image", |stages| stages.wait_turn),
    stage!("decode", "from bytes to pixels", |stages| stages.decode),
    stage!("infer", "cutting out, resizing and the network; with the detectors where `monitor` is empty", |stages| {
        stages.infer
    }),
    stage!("monitor", "the detectors", |stages| stages.monitor),
    stage!("publish", "making and publishing the messages", |stages| stages.publish),
];

impl Stages {
    /// Time that inference is answerable for: all but the wait for regions.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.total.saturating_sub(self.wait_regions.unwrap_or_default())
    }
}

/// Median, 95th and 99th percentile of every stage of the samples, in the order of [`STAGES`]; `None` where no sample has
/// the stage.
#[must_use]
pub fn quantiles(samples: &[Stages]) -> Vec<(&'static str, Option<Duration>)> {
    STAGES.iter().flat_map(|stage| of_stage(stage, samples)).collect()
}

fn of_stage(stage: &StageKeys, samples: &[Stages]) -> [(&'static str, Option<Duration>); 3] {
    let mut durations: Vec<Duration> = samples.iter().filter_map(stage.of).collect();
    durations.sort_unstable();
    std::array::from_fn(|index| (stage.keys[index], quantile(&durations, QUANTILES[index])))
}

/// Nearest-rank quantile of sorted values: the smallest that at least a share `q` of all does not exceed.
#[must_use]
pub fn quantile(sorted: &[Duration], q: f64) -> Option<Duration> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn value(found: &[(&'static str, Option<Duration>)], key: &str) -> Option<Duration> {
        found.iter().find(|(other, _)| *other == key).unwrap().1
    }

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(QUANTILES.map(|q| quantile(&sorted, q).unwrap().as_millis()), [50, 95, 99]);
        assert_eq!(quantile(&sorted[..1], 0.5), Some(MS));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_wait_for_regions_is_part_of_the_answer_but_not_of_the_latency() {
        let stages =
            Stages { wait_regions: Some(300 * MS), decode: Some(2 * MS), total: 310 * MS, ..Stages::default() };
        let found = quantiles(&[stages, stages]);
        assert_eq!(value(&found, "latency_p50_ms"), Some(10 * MS));
        assert_eq!(value(&found, "answer_p99_ms"), Some(310 * MS));
        assert_eq!(value(&found, "wait_regions_p95_ms"), Some(300 * MS));
        assert_eq!((value(&found, "decode_p50_ms"), value(&found, "monitor_p50_ms")), (Some(2 * MS), None));
    }

    #[test]
    fn a_stage_that_some_images_lack_is_of_the_others() {
        let with = |decode| Stages { decode, ..Stages::default() };
        let found = quantiles(&[with(None), with(Some(4 * MS)), with(None)]);
        assert_eq!(value(&found, "decode_p50_ms"), Some(4 * MS));
        assert!(quantiles(&[]).iter().all(|(_, duration)| duration.is_none()));
    }
}
