//! What happened to stamps and regions of one camera, beside the counters of its images.

use std::collections::VecDeque;
use std::time::Duration;

use super::stamp::secs;
use super::timeline::Interleaved;
use crate::counters::latency::quantile;

/// Latest waits that the quantiles are of.
const WINDOW: usize = 256;
/// A stamp this much later than the node's clock is of the future; below it clocks merely differ.
pub const FUTURE_NANOS: i64 = 1_000_000_000;

/// Counters since the start of the node, and what was seen last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InputCounts {
    /// Images that wait for their regions now.
    pub waiting: usize,
    /// Region arrays that never had an image: a sign of images that were lost on their way.
    pub regions_unmatched: u64,
    /// Region arrays that came after their image was given up.
    pub regions_late: u64,
    /// Region arrays that came after those of a newer image.
    pub regions_out_of_order: u64,
    /// How long after the time-out the latest late regions came.
    pub lateness_last: Duration,
    /// The longest of these times.
    pub lateness_max: Duration,
    /// Regions beyond `max_regions`, which were not judged.
    pub regions_over_limit: u64,
    /// Regions with `do_rectify`, which were judged in the image as it is.
    pub rectify_ignored: u64,
    /// Images answered UNKNOWN since they were older than `max_image_age_secs`.
    pub stale: u64,
    /// Images with a stamp of more than a second in the future, by the node's clock.
    pub future_stamps: u64,
    /// Images with the stamp of the image before.
    pub repeated_stamps: u64,
    /// Images whose bytes are those of the image before, with a newer stamp.
    pub repeated_images: u64,
    /// For how long the camera has shown the newest image, by the stamps; zero up to 50 repeated images.
    pub unchanged: Duration,
    /// Gaps in the row of stamps.
    pub gaps: u64,
    /// Images that are probably missing in these gaps.
    pub missing_images: u64,
    /// Time lines that take turns on the image topic: more than one publisher. `None` when there is one.
    pub interleaved: Option<Interleaved>,
    /// Node's clock minus stamp when the latest image arrived, in nanoseconds; `None` while there is no clock.
    pub stamp_age_nanos: Option<i64>,
    waits: VecDeque<Duration>,
}

impl InputCounts {
    /// Notes the age of a stamp when its image arrived.
    pub fn aged(&mut self, nanos: Option<i64>) {
        self.stamp_age_nanos = nanos;
        self.future_stamps += u64::from(nanos.is_some_and(|age| age < -FUTURE_NANOS));
    }

    /// Notes for how long the camera has shown the image that came; `None`: it is a new one.
    pub fn same_image(&mut self, unchanged: Option<Duration>) {
        self.repeated_images += u64::from(unchanged.is_some());
        self.unchanged = unchanged.unwrap_or_default();
    }

    /// For how long the camera seems frozen, where that is as long as `stale_after` (parameter `stale_after_secs`).
    #[must_use]
    pub fn frozen_for(&self, stale_after: Duration) -> Option<Duration> {
        Some(self.unchanged).filter(|unchanged| !unchanged.is_zero() && *unchanged >= stale_after)
    }

    /// How old the newest stamp was when its image arrived, where that is longer than `stale_after`.
    #[must_use]
    pub fn late_by(&self, stale_after: Duration) -> Option<Duration> {
        let age = u64::try_from(self.stamp_age_nanos?).ok().map(Duration::from_nanos);
        age.filter(|age| *age > stale_after)
    }

    /// Counts the images that are missing before one.
    pub fn missing(&mut self, images: u64) {
        self.gaps += u64::from(images > 0);
        self.missing_images += images;
    }

    /// Counts regions that came `late` after the time-out.
    pub fn late_regions(&mut self, late: Duration) {
        self.regions_late += 1;
        self.lateness_last = late;
        self.lateness_max = self.lateness_max.max(late);
    }

    /// Notes how long an image waited until it was ready for inference.
    pub fn waited(&mut self, wait: Duration) {
        if self.waits.len() >= WINDOW {
            self.waits.pop_front();
        }
        self.waits.push_back(wait);
    }

    /// Time from arrival until an image had its regions: the smallest that at least a share `q` of the latest images did
    /// not exceed. `None` before the first.
    #[must_use]
    pub fn wait_quantile(&self, q: f64) -> Option<Duration> {
        let mut sorted: Vec<Duration> = self.waits.iter().copied().collect();
        sorted.sort_unstable();
        quantile(&sorted, q)
    }

    /// Names and values for the diagnostics.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, String)> {
        let text = |number: f64| format!("{number:.3}");
        let wait = |q| self.wait_quantile(q).map_or_else(String::new, |wait| text(wait.as_secs_f64() * 1e3));
        let offset = self.interleaved.map_or(0.0, |found| found.offset.as_secs_f64());
        vec![
            ("waiting", self.waiting.to_string()),
            ("regions_unmatched", self.regions_unmatched.to_string()),
            ("regions_late", self.regions_late.to_string()),
            ("regions_out_of_order", self.regions_out_of_order.to_string()),
            ("regions_lateness_last_secs", text(self.lateness_last.as_secs_f64())),
            ("regions_lateness_max_secs", text(self.lateness_max.as_secs_f64())),
            ("regions_over_limit", self.regions_over_limit.to_string()),
            ("rectify_ignored", self.rectify_ignored.to_string()),
            ("stale", self.stale.to_string()),
            ("future_stamps", self.future_stamps.to_string()),
            ("repeated_stamps", self.repeated_stamps.to_string()),
            ("repeated_images", self.repeated_images.to_string()),
            ("unchanged_secs", text(self.unchanged.as_secs_f64())),
            ("gaps", self.gaps.to_string()),
            ("missing_images", self.missing_images.to_string()),
            ("time_lines", self.interleaved.map_or(1, |found| found.lines).to_string()),
            ("clock_offset_secs", text(offset)),
            ("stamp_age_at_arrival_secs", self.stamp_age_nanos.map_or_else(String::new, |age| text(secs(age)))),
            ("wait_p50_ms", wait(0.5)),
            ("wait_p99_ms", wait(0.99)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_gaps_and_lateness() {
        let mut counts = InputCounts::default();
        for age in [Some(5), Some(-FUTURE_NANOS), Some(-FUTURE_NANOS - 1), None] {
            counts.aged(age);
        }
        assert_eq!((counts.future_stamps, counts.stamp_age_nanos), (1, None));
        for images in [0, 3, 0, 1] {
            counts.missing(images);
        }
        assert_eq!((counts.gaps, counts.missing_images), (2, 4));
        for millis in [30, 90, 10] {
            counts.late_regions(Duration::from_millis(millis));
        }
        let found = (counts.regions_late, counts.lateness_last, counts.lateness_max);
        assert_eq!(found, (3, Duration::from_millis(10), Duration::from_millis(90)));
    }

    #[test]
    fn waits_are_of_the_latest_images() {
        let mut counts = InputCounts::default();
        assert_eq!(counts.wait_quantile(0.5), None);
        (0..WINDOW).for_each(|_| counts.waited(Duration::from_secs(9)));
        (1..=WINDOW as u64).for_each(|millis| counts.waited(Duration::from_millis(millis)));
        assert_eq!(counts.wait_quantile(0.5), Some(Duration::from_millis(128)));
        assert_eq!(counts.wait_quantile(1.0), Some(Duration::from_millis(256)));
    }

    #[test]
    fn values_are_what_a_person_reads() {
        let mut counts = InputCounts { stale: 3, ..InputCounts::default() };
        counts.interleaved = Some(Interleaved { lines: 2, offset: Duration::from_secs(10) });
        counts.aged(Some(-1_500_000_000));
        let values = counts.values();
        let value = |key| values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
        assert_eq!(
            (value("stale"), value("time_lines"), value("clock_offset_secs")),
            (Some("3"), Some("2"), Some("10.000"))
        );
        assert_eq!((value("stamp_age_at_arrival_secs"), value("wait_p50_ms")), (Some("-1.500"), Some("")));
    }
}
