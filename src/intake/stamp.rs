//! Stamps of ROS headers.

use std::time::Duration;

/// Stamp of a ROS header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// Whole seconds.
    pub sec: i32,
    /// Nanoseconds on top, 0..1e9.
    pub nanosec: u32,
}

/// Time since the epoch; the last second that a stamp can hold where it is more.
impl From<Duration> for Stamp {
    fn from(time: Duration) -> Self {
        Self { sec: i32::try_from(time.as_secs()).unwrap_or(i32::MAX), nanosec: time.subsec_nanos() }
    }
}

impl Stamp {
    /// Nanoseconds since the epoch of the clock that made the stamp.
    #[must_use]
    pub fn nanos(self) -> i64 {
        i64::from(self.sec) * 1_000_000_000 + i64::from(self.nanosec)
    }

    /// Nanoseconds since the epoch; stamps before it count as the epoch.
    #[must_use]
    pub fn nanos_since_epoch(self) -> u64 {
        u64::try_from(self.nanos()).unwrap_or(0)
    }

    /// Time since the epoch; stamps before it count as the epoch.
    #[must_use]
    pub fn since_epoch(self) -> Duration {
        u64::try_from(self.sec).map_or(Duration::ZERO, |secs| Duration::new(secs, self.nanosec))
    }

    /// Nanoseconds from `earlier` to this stamp; negative when it is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.nanos() - earlier.nanos()
    }

    /// Nanoseconds from this stamp to `now` of the ROS clock; negative for one of the future. `None` while that clock stands
    /// at zero, as with `use_sim_time` until the first message on `/clock`: nothing can be said then.
    #[must_use]
    pub fn age_at(self, now: Self) -> Option<i64> {
        (now != Self::default()).then(|| now.since(self))
    }

    /// How far two stamps lie apart.
    #[must_use]
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_nanos(self.since(other).unsigned_abs())
    }
}

/// Seconds of a number of nanoseconds.
#[must_use]
pub fn secs(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_never_before_the_epoch() {
        assert_eq!(Stamp { sec: -1, nanosec: 7 }.since_epoch(), Duration::ZERO);
        assert_eq!(Stamp { sec: 1, nanosec: 7 }.since_epoch(), Duration::new(1, 7));
    }

    #[test]
    fn stamps_before_the_epoch_are_negative() {
        assert_eq!(Stamp { sec: -1, nanosec: 1 }.nanos(), -999_999_999);
    }

    #[test]
    fn differences_have_a_sign_and_distances_have_none() {
        let (early, late) = (Stamp { sec: 1, nanosec: 900_000_000 }, Stamp { sec: 2, nanosec: 100_000_000 });
        assert_eq!((late.since(early), early.since(late)), (200_000_000, -200_000_000));
        assert_eq!(
            (late.distance(early), early.distance(late)),
            (Duration::from_millis(200), Duration::from_millis(200))
        );
    }

    #[test]
    fn the_ros_clock_at_zero_tells_no_age() {
        let stamp = |sec| Stamp { sec, nanosec: 500_000_000 };
        let age_secs = |now, stamp: Stamp| stamp.age_at(Stamp::from(now)).map(secs);
        assert_eq!(age_secs(Duration::ZERO, stamp(100)), None);
        assert_eq!(age_secs(Duration::from_secs(101), stamp(100)), Some(0.5));
        assert_eq!(age_secs(Duration::from_secs(100), stamp(100)), Some(-0.5));
        assert!(age_secs(Duration::MAX, stamp(i32::MIN)).is_some_and(f64::is_finite));
    }

    /// `nanosec` of a sender may be anything.
    #[test]
    fn nothing_overflows() {
        let (first, last) = (Stamp { sec: i32::MIN, nanosec: 0 }, Stamp { sec: i32::MAX, nanosec: u32::MAX });
        assert!(last.since(first) > 0 && last.distance(first) == first.distance(last));
    }
}
