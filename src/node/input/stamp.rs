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

impl Stamp {
    /// Nanoseconds since the epoch of the clock that made the stamp.
    #[must_use]
    pub fn nanos(self) -> i64 {
        i64::from(self.sec) * 1_000_000_000 + i64::from(self.nanosec)
    }

    /// Nanoseconds from `earlier` to this stamp; negative when it is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.nanos() - earlier.nanos()
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

    /// `nanosec` of a sender may be anything.
    #[test]
    fn nothing_overflows() {
        let (first, last) = (Stamp { sec: i32::MIN, nanosec: 0 }, Stamp { sec: i32::MAX, nanosec: u32::MAX });
        assert!(last.since(first) > 0 && last.distance(first) == first.distance(last));
    }
}
