//! Finds a camera that shows one image again and again: frozen, though its stamps go on.
//!
//! No two images of a sensor are the same to the byte, since each has its own noise. Those of a simulation without noise
//! are while nothing moves.

use std::time::Duration;

use super::request::Picture;
use super::stamp::Stamp;

/// The newest image of a camera and since when it has been the same.
#[derive(Debug, Default)]
pub struct Unchanged {
    /// Stamps of the first and of the newest image with these bytes.
    newest: Option<(Picture, Stamp, Stamp)>,
}

impl Unchanged {
    /// Takes the next image. Returns for how long, by the stamps, the camera has shown it; `None` where it is another one
    /// than before, or its stamp is not newer.
    pub fn see(&mut self, picture: &Picture, stamp: Stamp) -> Option<Duration> {
        if let Some((shown, first, newest)) = &mut self.newest
            && stamp.since(*newest) > 0
            && *shown == *picture
        {
            *newest = stamp;
            return Some(stamp.distance(*first));
        }
        self.newest = Some((picture.clone(), stamp, stamp));
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
        assert_eq!(see(&[1, 2], 1100), Some(Duration::from_millis(100)));
        assert_eq!(see(&[1, 2], 1500), Some(Duration::from_millis(500)));
        assert_eq!(see(&[1, 3], 1600), None);
        assert_eq!(see(&[1, 3], 1600), None, "the same message twice");
        assert_eq!(see(&[1, 3], 1700), Some(Duration::from_millis(100)));
        assert_eq!(see(&[1, 3], 500), None, "the bag begins again");
    }
}
