//! The waiting room: images in the order of their arrival, until they have their regions or are given up.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::request::Header;
use super::timeline::LineId;

/// Most images that wait at once.
const MAX_IMAGES: usize = 4096;
/// Most bytes of images that wait at once: 1.4 s of raw 1920×1080 at 30 Hz, 3 s of 1280×720, minutes of JPEG. One image
/// may always wait.
const MAX_BYTES: usize = 256 << 20;

/// An image that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting<I> {
    /// Header of the image.
    pub header: Header,
    /// Its time line.
    pub line: LineId,
    /// When it arrived.
    pub since: Instant,
    /// Bytes that it keeps.
    pub bytes: usize,
    /// Whether it has its answer already and waits only to keep its place behind the images before it.
    pub answered: bool,
    /// The image.
    pub image: I,
}

/// Images that wait, oldest first. Those of one time line and one `frame_id` are *in line*: their answers keep the order
/// in which they arrived.
#[derive(Debug)]
pub struct WaitingRoom<I> {
    images: VecDeque<Waiting<I>>,
    bytes: usize,
}

/// How full the room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fullness {
    /// Images that wait.
    pub images: usize,
    /// Bytes they keep.
    pub bytes: usize,
}

impl<I> Default for WaitingRoom<I> {
    fn default() -> Self {
        Self { images: VecDeque::new(), bytes: 0 }
    }
}

impl<I> WaitingRoom<I> {
    /// How full it is.
    #[must_use]
    pub fn fullness(&self) -> Fullness {
        Fullness { images: self.images.len(), bytes: self.bytes }
    }

    /// The images, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting<I>> {
        self.images.iter()
    }

    /// Lets an image in and returns its place, the last one.
    pub fn enter(&mut self, image: Waiting<I>) -> usize {
        self.bytes = self.bytes.saturating_add(image.bytes);
        self.images.push_back(image);
        self.images.len() - 1
    }

    /// Takes out the image at `place`, and in front of it those in line before it.
    #[must_use]
    pub fn take_in_line(&mut self, place: usize) -> Vec<Waiting<I>> {
        let Some(last) = self.images.get(place) else { return Vec::new() };
        let (line, frame_id, mut passed) = (last.line, last.header.frame_id.clone(), 0);
        self.take_where(|image| {
            passed += 1;
            passed <= place + 1 && image.line == line && image.header.frame_id == frame_id
        })
    }

    /// Takes out the images that have their answer and nobody in line before them.
    #[must_use]
    pub fn take_answered(&mut self) -> Vec<Waiting<I>> {
        if self.images.iter().all(|image| !image.answered) {
            return Vec::new();
        }
        let mut blocked: HashSet<(LineId, String)> = HashSet::new();
        self.take_where(|image| {
            let line = (image.line, image.header.frame_id.clone());
            let goes = image.answered && !blocked.contains(&line);
            if !goes {
                blocked.insert(line);
            }
            goes
        })
    }

    /// Takes out the images that have waited for `timeout` or longer at `now`.
    #[must_use]
    pub fn take_expired(&mut self, now: Instant, timeout: Duration) -> Vec<Waiting<I>> {
        let expired = |image: &Waiting<I>| now.saturating_duration_since(image.since) >= timeout;
        match self.images.front() {
            Some(oldest) if expired(oldest) => self.take_where(expired),
            _ => Vec::new(),
        }
    }

    /// Takes out the oldest image when there are too many or too large ones; tells how many there were.
    #[must_use]
    pub fn take_excess(&mut self) -> Option<(Waiting<I>, Fullness)> {
        let full = self.fullness();
        if full.images <= MAX_IMAGES && (full.bytes <= MAX_BYTES || full.images <= 1) {
            return None;
        }
        let oldest = self.images.pop_front()?;
        self.bytes -= oldest.bytes;
        Some((oldest, full))
    }

    /// Takes out the images that `goes` chooses, in their order.
    #[must_use]
    pub fn take_where(&mut self, mut goes: impl FnMut(&Waiting<I>) -> bool) -> Vec<Waiting<I>> {
        let images = std::mem::take(&mut self.images);
        let (taken, kept): (Vec<_>, Vec<_>) = images.into_iter().partition(|image| goes(image));
        self.images = kept.into();
        self.bytes -= taken.iter().map(|image| image.bytes).sum::<usize>();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::stamp::Stamp;
    use crate::intake::timeline::TimeLines;

    /// A room, and two time lines.
    fn room() -> (WaitingRoom<u32>, [LineId; 2]) {
        let mut lines = TimeLines::default();
        let lines = [0, 9000].map(|sec| lines.see(Stamp { sec, nanosec: 0 }, Instant::now()).line);
        (WaitingRoom::default(), lines)
    }

    fn waiting(image: u32, line: LineId, frame_id: &str, since: Instant) -> Waiting<u32> {
        let header = Header { frame_id: frame_id.into(), ..Header::default() };
        Waiting { header, line, since, bytes: 10, answered: false, image }
    }

    fn images(taken: Vec<Waiting<u32>>) -> Vec<u32> {
        taken.into_iter().map(|waiting| waiting.image).collect()
    }

    #[test]
    fn one_leaves_with_those_in_line_before_it_only() {
        let (mut room, [line, other]) = room();
        let now = Instant::now();
        for (image, line, frame) in [(1, line, "a"), (2, other, "a"), (3, line, "b"), (4, line, "a"), (5, line, "a")] {
            room.enter(waiting(image, line, frame, now));
        }
        assert_eq!(images(room.take_in_line(3)), [1, 4]);
        assert_eq!(room.fullness(), Fullness { images: 3, bytes: 30 });
        assert_eq!(images(room.take_in_line(2)), [5]);
        assert!(room.take_in_line(2).is_empty());
    }

    #[test]
    fn the_answered_go_when_nobody_in_line_is_before_them() {
        let (mut room, [line, other]) = room();
        let answered = |image, line| Waiting { answered: true, ..waiting(image, line, "", Instant::now()) };
        room.enter(answered(1, line));
        room.enter(waiting(2, line, "", Instant::now()));
        room.enter(answered(3, line));
        room.enter(answered(4, other));
        assert_eq!(images(room.take_answered()), [1, 4]);
        assert!(room.take_answered().is_empty());
        assert_eq!(images(room.take_in_line(0)), [2]);
        assert_eq!(images(room.take_answered()), [3]);
        assert_eq!(room.fullness(), Fullness { images: 0, bytes: 0 });
    }

    #[test]
    fn images_expire_in_the_order_they_came() {
        let (mut room, [line, _]) = room();
        let (start, ms) = (Instant::now(), Duration::from_millis);
        room.enter(waiting(1, line, "", start));
        room.enter(waiting(2, line, "", start + ms(100)));
        assert!(room.take_expired(start + ms(499), ms(500)).is_empty());
        assert_eq!(images(room.take_expired(start + ms(500), ms(500))), [1]);
        assert_eq!(images(room.take_expired(start + ms(100), ms(0))), [2]);
    }

    #[test]
    fn the_room_is_bounded_by_images_and_by_bytes_but_holds_one_of_any_size() {
        let (mut room, [line, _]) = room();
        let sized = |image, bytes| Waiting { bytes, ..waiting(image, line, "", Instant::now()) };
        room.enter(sized(0, MAX_BYTES + 1));
        assert_eq!(room.take_excess(), None);
        room.enter(sized(1, 6 << 20));
        let excess = |room: &mut WaitingRoom<u32>| room.take_excess().map(|(image, full)| (image.image, full.images));
        assert_eq!(excess(&mut room), Some((0, 2)));
        assert_eq!((room.take_excess(), room.fullness().bytes), (None, 6 << 20));
        for image in 2..=MAX_IMAGES as u32 {
            room.enter(sized(image, 1));
            assert_eq!(room.take_excess(), None);
        }
        room.enter(sized(9999, 1));
        assert_eq!(excess(&mut room), Some((1, MAX_IMAGES + 1)));
    }
}
