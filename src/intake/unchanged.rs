//! Finds a camera that shows one image again and again: frozen, though its stamps go on.
//!
//! No two images of a sensor are the same to the byte, since each has its own noise. Those of a simulation without noise
//! are while nothing moves.

use std::time::Duration;

use super::request::Picture;
use super::stamp::Stamp;

/// Repeated images from which a camera counts as frozen: a still scene without noise gives a few.
const ENOUGH: u32 = 50;
/// An image after a longer pause, by the stamps, says nothing about the time between.
const PAUSE_NANOS: i64 = 10_000_000_000;

/// The newest image of a camera and since when it has been the same.
#[derive(Debug, Default)]
pub struct Unchanged {
    shown: Option<Shown>,
}

#[derive(Debug)]
struct Shown {
    picture: Picture,
    /// Stamps of the first and of the newest image with these bytes.
    first: Stamp,
    newest: Stamp,
    repeats: u32,
}

impl Unchanged {
    /// Takes the next image; `None` where it is another one than before, its stamp is not newer, or a pause lies between.
    /// Otherwise for how long, by the stamps, the camera has shown it; zero up to [`ENOUGH`] repeated images.
    pub fn see(&mut self, picture: &Picture, stamp: Stamp) -> Option<Duration> {
        if let Some(shown) = &mut self.shown
            && (1..=PAUSE_NANOS).contains(&stamp.since(shown.newest))
            && shown.picture == *picture
        {
            shown.newest = stamp;
            shown.repeats = shown.repeats.saturating_add(1);
            return Some(if shown.repeats < ENOUGH { Duration::ZERO } else { stamp.distance(shown.first) });
        }
        self.shown = Some(Shown { picture: picture.clone(), first: stamp, newest: stamp, repeats: 0 });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::request::Bytes;

    fn picture(bytes: &[u8]) -> Picture {
        Picture::Compressed { format: "jpeg".into(), data: Bytes::new(bytes.to_vec()) }
    }

    #[test]
    fn the_same_bytes_with_newer_stamps_are_unchanged() {
        let mut unchanged = Unchanged::default();
        let mut see = |bytes: &[u8], ms: u64| unchanged.see(&picture(bytes), Duration::from_millis(ms).into());
        assert_eq!(see(&[1, 2], 1000), None);
        for number in 1..50 {
            assert_eq!(see(&[1, 2], 1000 + 100 * number), Some(Duration::ZERO), "{number}");
        }
        assert_eq!(see(&[1, 2], 6000), Some(Duration::from_secs(5)));
        assert_eq!(see(&[1, 2], 6100), Some(Duration::from_millis(5100)));
        assert_eq!(see(&[1, 3], 6200), None);
        assert_eq!(see(&[1, 3], 6300), Some(Duration::ZERO));
        assert_eq!(see(&[1, 3], 6300), None, "the same message twice");
        assert_eq!(see(&[1, 3], 500), None, "the bag begins again");
        assert_eq!(see(&[1, 3], 10_501), None, "after a pause");
        assert_eq!(see(&[1, 3], 1_700_000_000_000), None, "the clock jumps");
    }
}
