//! How many alarms there are of late.

use std::collections::VecDeque;
use std::time::Duration;

/// Time that the share is taken over.
pub const SHARE_WINDOW: Duration = Duration::from_secs(300);

/// Time whose counts are kept together.
const BUCKET: Duration = Duration::from_secs(10);

/// Regions below which a share says nothing.
const FEWEST: u64 = 100;

/// A share this many times the nominal one is a drift. Regions of one object alarm together, so twice is no rare chance.
const DRIFT: f32 = 5.0;

/// Share of judged regions that were alarms, over the last [`SHARE_WINDOW`] by the stamps of the images.
#[derive(Debug, Clone, Default)]
pub struct AlarmShare {
    /// By time, the newest last.
    buckets: VecDeque<Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    index: u64,
    judged: u64,
    alarms: u64,
}

impl AlarmShare {
    /// Adds the p-values of one image; those up to `level` are alarms. Stamps that go back begin anew.
    pub fn add(&mut self, stamp: Duration, p_values: impl Iterator<Item = f32>, level: f32) {
        let index = (stamp.as_nanos() / BUCKET.as_nanos()) as u64;
        if self.buckets.back().is_some_and(|newest| index + 1 < newest.index) {
            self.buckets.clear();
        }
        if self.buckets.back().is_none_or(|newest| newest.index < index) {
            self.buckets.push_back(Bucket { index, judged: 0, alarms: 0 });
        }
        let kept = (SHARE_WINDOW.as_nanos() / BUCKET.as_nanos()) as u64;
        while self.buckets.front().is_some_and(|oldest| oldest.index + kept <= index) {
            self.buckets.pop_front();
        }
        let Some(newest) = self.buckets.back_mut() else { return };
        for p_value in p_values.filter(|p_value| !p_value.is_nan()) {
            newest.judged += 1;
            newest.alarms += u64::from(p_value <= level);
        }
    }

    /// Judged regions of the last minutes.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.judged).sum()
    }

    /// Share of them that were alarms, 0..1; `None` when there are none.
    #[must_use]
    pub fn share(&self) -> Option<f32> {
        let (judged, alarms) = (self.judged(), self.buckets.iter().map(|bucket| bucket.alarms).sum::<u64>());
        (judged > 0).then(|| alarms as f32 / judged as f32)
    }

    /// Whether there are far more alarms than images like the training data give at this level.
    #[must_use]
    pub fn is_drifting(&self, level: f32) -> bool {
        self.judged() >= FEWEST && self.share().is_some_and(|share| share > DRIFT * level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// A share of `alarms` in ten regions at 1 Hz.
    fn fed(share: &mut AlarmShare, from: u64, to: u64, alarms: usize) {
        let p_values = (0..10).map(move |region| if region < alarms { 0.001 } else { 0.5 });
        (from..to).for_each(|at| share.add(secs(at), p_values.clone(), 0.01));
    }

    #[test]
    fn only_the_last_minutes_count() {
        let mut share = AlarmShare::default();
        assert_eq!((share.share(), share.is_drifting(0.01)), (None, false));
        fed(&mut share, 0, 300, 1);
        assert_eq!(share.share(), Some(0.1));
        assert!(share.is_drifting(0.01) && !share.is_drifting(0.05));
        fed(&mut share, 300, 600, 0);
        assert_eq!((share.share(), share.judged()), (Some(0.0), 3000));
    }

    #[test]
    fn few_regions_and_nan_say_nothing() {
        let mut share = AlarmShare::default();
        share.add(secs(0), [f32::NAN, 0.001].into_iter(), 0.01);
        assert_eq!((share.judged(), share.share(), share.is_drifting(0.01)), (1, Some(1.0), false));
    }

    #[test]
    fn jumps_forget() {
        let mut share = AlarmShare::default();
        fed(&mut share, 10_000, 10_100, 5);
        share.add(secs(10_085), [0.001].into_iter(), 0.01);
        assert_eq!(share.judged(), 1001, "a little late");
        fed(&mut share, 50, 51, 0);
        assert_eq!(share.judged(), 10, "back");
        fed(&mut share, 9000, 9001, 0);
        assert_eq!(share.judged(), 10, "forward");
    }
}
