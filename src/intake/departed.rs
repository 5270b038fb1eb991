//! Remembers which images have gone, so that regions that come for one of them are known for what they are.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::arrays::distance;
use super::request::Header;

/// Images that are remembered at most: half a minute at 120 Hz.
const MAX_IMAGES: usize = 4096;
/// For how long an image is remembered.
const REMEMBERED: Duration = Duration::from_secs(30);

/// How an image went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With its regions, or with an answer that needs none.
    Served,
    /// Without regions, after it had waited as long as it might.
    GivenUp,
    /// Without regions, since a newer image had them.
    Overtaken,
}

/// An image that has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Its header.
    pub header: Header,
    /// When it arrived.
    pub arrived: Instant,
    /// When it went.
    pub went: Instant,
    /// How it went.
    pub way: Way,
}

/// Images that have gone, the latest last.
#[derive(Debug, Default)]
pub struct Departed(VecDeque<Gone>);

impl Departed {
    /// Remembers an image.
    pub fn note(&mut self, gone: Gone) {
        let old = |oldest: &Gone| gone.went.saturating_duration_since(oldest.went) > REMEMBERED;
        while self.0.len() >= MAX_IMAGES || self.0.front().is_some_and(old) {
            self.0.pop_front();
        }
        self.0.push_back(gone);
    }

    /// The image nearest to regions, and how far their stamps lie apart; the latest of several.
    #[must_use]
    pub fn nearest(&self, regions: &Header, tolerance: Duration) -> Option<(Duration, &Gone)> {
        let near = self.0.iter().rev().filter_map(|gone| Some((distance(&gone.header, regions, tolerance)?, gone)));
        near.min_by_key(|(distance, _)| *distance)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::stamp::Stamp;

    fn header(millis: u32) -> Header {
        Header { stamp: Stamp { sec: 7, nanosec: millis * 1_000_000 }, frame_id: String::new() }
    }

    fn gone(millis: u32, went: Instant, way: Way) -> Gone {
        Gone { header: header(millis), arrived: went, went, way }
    }

    #[test]
    fn the_nearest_and_latest_is_found() {
        let (mut departed, now, ms) = (Departed::default(), Instant::now(), Duration::from_millis);
        departed.note(gone(10, now, Way::Served));
        departed.note(gone(10, now, Way::GivenUp));
        departed.note(gone(20, now, Way::Overtaken));
        let way = |millis, tolerance| departed.nearest(&header(millis), tolerance).map(|(away, gone)| (away, gone.way));
        assert_eq!(way(10, ms(0)), Some((ms(0), Way::GivenUp)));
        assert_eq!(way(17, ms(9)), Some((ms(3), Way::Overtaken)));
        assert_eq!(way(17, ms(2)), None);
    }

    #[test]
    fn images_are_forgotten_after_a_while_or_when_there_are_many() {
        let (mut departed, now) = (Departed::default(), Instant::now());
        departed.note(gone(10, now, Way::Served));
        departed.note(gone(20, now + REMEMBERED + Duration::from_nanos(1), Way::Served));
        assert!(departed.nearest(&header(10), Duration::ZERO).is_none());
        for _ in 0..2 * MAX_IMAGES {
            departed.note(gone(30, now, Way::Served));
        }
        assert_eq!(departed.0.len(), MAX_IMAGES);
    }
}
