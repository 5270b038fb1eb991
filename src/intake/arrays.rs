//! Region arrays that came before their image, or for one that never comes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::request::{Header, Regions};
use super::stamp::Stamp;

/// Most arrays that wait at once.
const MAX_ARRAYS: usize = 4096;
/// Most bytes of arrays that wait at once. One array may always wait.
const MAX_BYTES: usize = 64 << 20;

/// Arrays that wait for their image, oldest first.
#[derive(Debug, Default)]
pub struct Arrays {
    arrays: VecDeque<Array>,
    bytes: usize,
}

#[derive(Debug)]
struct Array {
    header: Header,
    since: Instant,
    bytes: usize,
    /// Stamp of the nearest image when that has come and gone. Then it is for that image, of a bag that starts again, or for
    /// one that is nearer still, and nobody misses it.
    spent: Option<Stamp>,
    regions: Regions,
}

/// Why an image may have found no regions although some came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Near {
    /// Regions with its stamp are of this `frame_id`.
    OtherFrame(String),
    /// The stamp of the nearest regions of its frame is this far away.
    OtherStamp(Duration),
}

/// How far the stamps of an image and of regions lie apart; `None` when they are not for each other: further apart than
/// `tolerance`, or of different frames. An empty `frame_id` is of any frame.
#[must_use]
pub fn distance(image: &Header, regions: &Header, tolerance: Duration) -> Option<Duration> {
    let distance = image.stamp.distance(regions.stamp);
    (distance <= tolerance && same_frame(image, regions)).then_some(distance)
}

fn same_frame(image: &Header, regions: &Header) -> bool {
    let (ours, theirs) = (&image.frame_id, &regions.frame_id);
    ours == theirs || ours.is_empty() || theirs.is_empty()
}

impl Array {
    /// Whether no image that has gone is nearer than this one, whose stamp is `away`.
    fn is_for(&self, image: &Header, away: Duration) -> bool {
        self.spent.is_none_or(|spent| spent == image.stamp || away < spent.distance(self.header.stamp))
    }
}

impl Arrays {
    /// Keeps an array that came at `now`; `spent` is the stamp of the nearest image when that has come and gone. Returns how many
    /// older ones, that never had an image, had to go for it.
    pub fn keep(&mut self, header: Header, regions: Regions, spent: Option<Stamp>, now: Instant) -> usize {
        let bytes = regions.bytes();
        self.bytes = self.bytes.saturating_add(bytes);
        self.arrays.push_back(Array { header, since: now, bytes, spent, regions });
        let mut unmatched = 0;
        while self.arrays.len() > MAX_ARRAYS || (self.bytes > MAX_BYTES && self.arrays.len() > 1) {
            unmatched += self.drop_oldest();
        }
        unmatched
    }

    /// Takes out the nearest array for an image.
    pub fn take_for(&mut self, image: &Header, tolerance: Duration) -> Option<Regions> {
        let near = |array: &Array| distance(image, &array.header, tolerance).filter(|away| array.is_for(image, *away));
        let near = self.arrays.iter().enumerate().filter_map(|(place, array)| Some((near(array)?, place)));
        let (_, place) = near.min()?;
        let array = self.arrays.remove(place)?;
        self.bytes -= array.bytes;
        Some(array.regions)
    }

    /// Drops the arrays that have waited for `timeout` or longer at `now`; returns how many of them never had an image.
    pub fn expire(&mut self, now: Instant, timeout: Duration) -> usize {
        let mut unmatched = 0;
        while self.arrays.front().is_some_and(|oldest| now.saturating_duration_since(oldest.since) >= timeout) {
            unmatched += self.drop_oldest();
        }
        unmatched
    }

    /// Keeps only the arrays whose header `stays`; returns how many of the others never had an image.
    pub fn retain(&mut self, stays: impl Fn(&Header) -> bool) -> usize {
        let goes = |array: &&Array| !stays(&array.header);
        let unmatched = self.arrays.iter().filter(goes).filter(|array| array.spent.is_none()).count();
        self.arrays.retain(|array| stays(&array.header));
        self.bytes = self.arrays.iter().map(|array| array.bytes).sum();
        unmatched
    }

    /// Why an image found none of the arrays that are here.
    #[must_use]
    pub fn near(&self, image: &Header) -> Option<Near> {
        let of_frame = |array: &&Array| same_frame(image, &array.header) && array.spent.is_none();
        let away = |array: &Array| array.header.stamp.distance(image.stamp);
        let other_frame =
            self.arrays.iter().find(|array| !of_frame(array) && array.spent.is_none() && away(array).is_zero());
        let other_frame = other_frame.map(|array| Near::OtherFrame(array.header.frame_id.clone()));
        other_frame.or_else(|| self.arrays.iter().filter(of_frame).map(away).min().map(Near::OtherStamp))
    }

    /// Drops the oldest array; returns 1 when it never had an image.
    fn drop_oldest(&mut self) -> usize {
        let oldest = self.arrays.pop_front();
        self.bytes -= oldest.as_ref().map_or(0, |array| array.bytes);
        usize::from(oldest.is_some_and(|array| array.spent.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::request::NamedRegion;

    const EXACT: Duration = Duration::ZERO;

    fn header(millis: u32, frame_id: &str) -> Header {
        Header { stamp: Stamp { sec: 7, nanosec: millis * 1_000_000 }, frame_id: frame_id.into() }
    }

    fn named(id: &str) -> Regions {
        Regions { named: vec![NamedRegion { id: id.into(), ..NamedRegion::whole_image() }], unread: 0 }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn frames_and_stamps_must_agree_and_an_empty_frame_is_any() {
        assert_eq!(distance(&header(5, "a"), &header(5, "a"), EXACT), Some(EXACT));
        assert_eq!(distance(&header(5, "a"), &header(5, ""), EXACT), Some(EXACT));
        assert_eq!(distance(&header(5, ""), &header(5, "b"), EXACT), Some(EXACT));
        assert_eq!(distance(&header(5, "a"), &header(5, "b"), ms(9)), None);
        assert_eq!(distance(&header(5, "a"), &header(6, "a"), EXACT), None);
        assert_eq!(distance(&header(5, "a"), &header(3, "a"), ms(2)), Some(ms(2)));
        assert_eq!(distance(&header(5, "a"), &header(3, "a"), ms(1)), None);
    }

    #[test]
    fn the_nearest_array_is_taken_once() {
        let mut arrays = Arrays::default();
        for (millis, id) in [(10, "10"), (40, "40"), (55, "55")] {
            assert_eq!(arrays.keep(header(millis, "a"), named(id), None, Instant::now()), 0);
        }
        assert_eq!(arrays.take_for(&header(50, "a"), ms(20)), Some(named("55")));
        assert_eq!(arrays.take_for(&header(50, "a"), ms(20)), Some(named("40")));
        assert_eq!(arrays.take_for(&header(50, "a"), ms(20)), None);
        assert_eq!(arrays.take_for(&header(10, "b"), ms(20)), None);
        assert_eq!(arrays.arrays.len(), 1);
    }

    #[test]
    fn spent_arrays_serve_the_same_or_a_nearer_image_and_are_not_missed() {
        let mut arrays = Arrays::default();
        let now = Instant::now();
        let spent = |arrays: &mut Arrays| {
            arrays.keep(header(10, "a"), named("spent"), Some(header(12, "a").stamp), now);
        };
        for (millis, found) in [(7, None), (8, None), (9, Some(())), (10, Some(())), (12, Some(()))] {
            spent(&mut arrays);
            assert_eq!(arrays.take_for(&header(millis, "a"), ms(20)).map(|_| ()), found, "{millis}");
            arrays.retain(|_| false);
        }
        spent(&mut arrays);
        arrays.keep(header(20, "a"), named("fresh"), None, now);
        assert_eq!((arrays.expire(now + ms(99), ms(100)), arrays.expire(now + ms(100), ms(100))), (0, 1));
        assert_eq!((arrays.arrays.len(), arrays.bytes), (0, 0));
    }

    #[test]
    fn they_are_bounded_by_number_and_by_bytes() {
        let mut arrays = Arrays::default();
        let spent = |millis| (millis == 0).then(Stamp::default);
        for millis in 0..MAX_ARRAYS as u32 + 3 {
            let unmatched = arrays.keep(header(millis % 1000, "a"), named(""), spent(millis), Instant::now());
            assert_eq!(unmatched, usize::from(millis > MAX_ARRAYS as u32), "the first one was spent");
        }
        let large = || named(&"x".repeat(MAX_BYTES));
        assert_eq!(arrays.keep(header(1, "a"), large(), None, Instant::now()), MAX_ARRAYS);
        assert_eq!(arrays.arrays.len(), 1);
        assert_eq!(arrays.retain(|_| false), 1);
        assert_eq!(arrays.bytes, 0);
    }

    #[test]
    fn what_was_near_is_told() {
        let mut arrays = Arrays::default();
        assert_eq!(arrays.near(&header(50, "a")), None);
        arrays.keep(header(10, "a"), named(""), None, Instant::now());
        arrays.keep(header(52, "a"), named(""), None, Instant::now());
        assert_eq!(arrays.near(&header(50, "a")), Some(Near::OtherStamp(ms(2))));
        arrays.keep(header(50, "b"), named(""), None, Instant::now());
        assert_eq!(arrays.near(&header(50, "a")), Some(Near::OtherFrame("b".into())));
    }
}
