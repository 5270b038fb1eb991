//! Finds gaps in a row of stamps: images that a camera took and that never arrived.

use std::collections::VecDeque;

/// Latest intervals that the usual one is the median of.
const WINDOW: usize = 32;
/// Intervals before a usual one is known.
const ENOUGH: usize = 8;
/// An interval beyond this and beyond [`PAUSE_INTERVALS`] usual ones is a pause of the camera, not a loss on the way.
const PAUSE_NANOS: i64 = 2_000_000_000;
/// See [`PAUSE_NANOS`].
const PAUSE_INTERVALS: i64 = 20;

/// The latest intervals between the stamps of one camera.
#[derive(Debug, Default)]
pub struct Rhythm {
    intervals: VecDeque<i64>,
}

impl Rhythm {
    /// Takes the interval from the previous stamp to a newer one, in nanoseconds, and returns how many images are
    /// probably missing in between: as many as make up an interval of more than one and a half usual ones.
    pub fn missing(&mut self, interval: i64) -> u64 {
        let missing = self.usual().map_or(0, |usual| missing(interval, usual));
        if self.intervals.len() >= WINDOW {
            self.intervals.pop_front();
        }
        self.intervals.push_back(interval);
        missing
    }

    /// Median interval in nanoseconds; `None` before there are enough.
    #[must_use]
    pub fn usual(&self) -> Option<i64> {
        let mut sorted: Vec<i64> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().filter(|_| sorted.len() >= ENOUGH)
    }
}

fn missing(interval: i64, usual: i64) -> u64 {
    let gap = interval > usual.saturating_add(usual / 2)
        && interval <= usual.saturating_mul(PAUSE_INTERVALS).max(PAUSE_NANOS);
    let images = (interval as f64 / usual as f64).round() as u64;
    if gap { images.saturating_sub(1).max(1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn steady(interval: i64) -> Rhythm {
        let mut rhythm = Rhythm::default();
        assert!((0..WINDOW).all(|_| rhythm.missing(interval) == 0));
        rhythm
    }

    #[test]
    fn missing_images_are_those_that_fit_into_the_gap() {
        for interval in [8 * MS, 33 * MS, 10_000 * MS] {
            for (images, expected) in [(14, 0), (15, 0), (16, 1), (20, 1), (30, 2), (70, 6)] {
                assert_eq!(steady(interval).missing(interval / 10 * images), expected, "{images} tenths of {interval}");
            }
        }
    }

    #[test]
    fn jitter_is_no_gap() {
        let mut rhythm = Rhythm::default();
        for index in 0..200 {
            assert_eq!(rhythm.missing((33 + [0, 9, -8, 4][index % 4]) * MS), 0);
        }
    }

    #[test]
    fn a_pause_is_no_loss() {
        assert_eq!(steady(33 * MS).missing(2_000 * MS), 60);
        assert_eq!(steady(33 * MS).missing(2_001 * MS), 0);
        assert_eq!(steady(1_000 * MS).missing(20_000 * MS), 19);
        assert_eq!(steady(1_000 * MS).missing(20_001 * MS), 0);
    }

    #[test]
    fn a_new_rate_becomes_the_usual_one() {
        let mut rhythm = steady(33 * MS);
        let missing: u64 = (0..WINDOW).map(|_| rhythm.missing(100 * MS)).sum();
        assert!((1..=2 * WINDOW as u64).contains(&missing), "{missing}");
        assert_eq!(rhythm.missing(100 * MS), 0);
    }

    #[test]
    fn nothing_is_said_before_enough_is_known() {
        let mut rhythm = Rhythm::default();
        for interval in [10, 200, 10, 10, 10, 10, 10, 10] {
            assert_eq!(rhythm.missing(interval * MS), 0);
        }
        assert_eq!(rhythm.missing(200 * MS), 19);
    }
}
