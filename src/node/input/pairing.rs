//! Brings together an image and the regions that have its stamp, whichever of them comes first.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

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
}

/// Images and regions that wait for each other. Both sides are bounded; the oldest goes first.
#[derive(Debug)]
pub struct Pairing<I, R> {
    images: VecDeque<Waiting<I>>,
    regions: VecDeque<(Stamp, R)>,
    capacity: usize,
}

#[derive(Debug)]
struct Waiting<I> {
    stamp: Stamp,
    since: Instant,
    image: I,
}

/// What came of adding an image.
#[derive(Debug, PartialEq, Eq)]
pub enum Added<I, R> {
    /// Its regions were there already.
    Paired(I, R),
    /// It waits; an older image had to go when there was no room left.
    Waits {
        /// The image that went.
        evicted: Option<I>,
    },
}

impl<I, R> Pairing<I, R> {
    /// At most `capacity` images and as many region arrays wait.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { images: VecDeque::new(), regions: VecDeque::new(), capacity }
    }

    /// Adds an image that arrived at `now`.
    pub fn add_image(&mut self, stamp: Stamp, image: I, now: Instant) -> Added<I, R> {
        if let Some(index) = self.regions.iter().position(|(other, _)| *other == stamp)
            && let Some((_, regions)) = self.regions.remove(index)
        {
            return Added::Paired(image, regions);
        }
        let evicted = if self.images.len() >= self.capacity { self.images.pop_front() } else { None };
        self.images.push_back(Waiting { stamp, since: now, image });
        Added::Waits { evicted: evicted.map(|waiting| waiting.image) }
    }

    /// Adds regions; gives the pair when the image waits for them.
    pub fn add_regions(&mut self, stamp: Stamp, regions: R) -> Option<(I, R)> {
        if let Some(index) = self.images.iter().position(|waiting| waiting.stamp == stamp) {
            return self.images.remove(index).map(|waiting| (waiting.image, regions));
        }
        if self.regions.len() >= self.capacity {
            self.regions.pop_front();
        }
        self.regions.push_back((stamp, regions));
        None
    }

    /// Removes and returns the images that have waited for `timeout` or longer at `now`.
    pub fn expired(&mut self, now: Instant, timeout: Duration) -> Vec<I> {
        let fresh = |waiting: &Waiting<I>| now.saturating_duration_since(waiting.since) < timeout;
        let expired = self.images.iter().position(fresh).unwrap_or(self.images.len());
        self.images.drain(..expired).map(|waiting| waiting.image).collect()
    }

    /// Forgets everything, as after a jump in time; returns the number of images that went.
    pub fn clear(&mut self) -> usize {
        self.regions.clear();
        self.images.drain(..).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sec: i32) -> Stamp {
        Stamp { sec, nanosec: 5 }
    }

    #[test]
    fn either_side_may_come_first() {
        let mut pairing = Pairing::new(4);
        let now = Instant::now();
        assert_eq!(pairing.add_image(stamp(1), "image 1", now), Added::Waits { evicted: None });
        assert_eq!(pairing.add_regions(stamp(2), "regions 2"), None);
        assert_eq!(pairing.add_regions(stamp(1), "regions 1"), Some(("image 1", "regions 1")));
        assert_eq!(pairing.add_image(stamp(2), "image 2", now), Added::Paired("image 2", "regions 2"));
        assert_eq!(pairing.clear(), 0);
    }

    #[test]
    fn stamps_must_be_equal_to_the_nanosecond() {
        let mut pairing = Pairing::new(4);
        pairing.add_image(Stamp { sec: 1, nanosec: 5 }, (), Instant::now());
        assert_eq!(pairing.add_regions(Stamp { sec: 1, nanosec: 6 }, ()), None);
        assert_eq!(pairing.add_regions(Stamp { sec: 1, nanosec: 5 }, ()), Some(((), ())));
    }

    #[test]
    fn images_expire_in_the_order_they_came() {
        let mut pairing: Pairing<i32, ()> = Pairing::new(4);
        let start = Instant::now();
        let ms = Duration::from_millis;
        pairing.add_image(stamp(1), 1, start);
        pairing.add_image(stamp(2), 2, start + ms(100));
        assert!(pairing.expired(start + ms(499), ms(500)).is_empty());
        assert_eq!(pairing.expired(start + ms(500), ms(500)), [1]);
        assert_eq!(pairing.expired(start + ms(900), ms(500)), [2]);
        assert_eq!(pairing.add_regions(stamp(1), ()), None);
    }

    #[test]
    fn both_sides_are_bounded_and_the_oldest_goes() {
        let mut pairing = Pairing::new(2);
        let now = Instant::now();
        pairing.add_image(stamp(1), 1, now);
        pairing.add_image(stamp(2), 2, now);
        assert_eq!(pairing.add_image(stamp(3), 3, now), Added::Waits { evicted: Some(1) });
        for sec in 11..=13 {
            assert_eq!(pairing.add_regions(stamp(sec), sec), None);
        }
        assert!(matches!(pairing.add_image(stamp(11), 11, now), Added::Waits { .. }));
        assert_eq!(pairing.add_image(stamp(13), 13, now), Added::Paired(13, 13));
    }

    #[test]
    fn clearing_counts_the_images_that_waited() {
        let mut pairing: Pairing<i32, i32> = Pairing::new(4);
        pairing.add_image(stamp(1), 1, Instant::now());
        pairing.add_regions(stamp(2), 2);
        assert_eq!(pairing.clear(), 1);
        assert!(matches!(pairing.add_image(stamp(2), 2, Instant::now()), Added::Waits { .. }));
    }

    #[test]
    fn stamps_before_the_epoch_are_negative() {
        assert_eq!(Stamp { sec: -1, nanosec: 1 }.nanos(), -999_999_999);
    }
}
