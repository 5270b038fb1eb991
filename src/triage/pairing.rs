//! Which images a topic of verdicts is about.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::dataset::cdr::Header;

/// Stamp and frame, by which an image and its verdicts find each other.
pub(super) type Key = (u64, String);

pub(super) fn key(header: &Header) -> Key {
    (header.stamp.as_nanos(), header.frame_id.clone())
}

/// What the messages of every topic are about.
pub(super) type Keys = BTreeMap<String, BTreeSet<Key>>;

/// The image topic of every topic of verdicts: the one with which it shares most stamps; of several (as of cameras that are
/// triggered together) the one whose name is most alike. A topic of verdicts without such images is left out.
pub(super) fn pairs(verdicts: &Keys, images: &Keys) -> BTreeMap<String, String> {
    let image_of = |(topic, keys): (&String, &BTreeSet<Key>)| {
        let candidates = images.iter().map(|(image, others)| {
            let shared = keys.intersection(others).count();
            (shared, common_names(topic, image), Reverse(image))
        });
        let (_, _, Reverse(image)) = candidates.filter(|(shared, ..)| *shared > 0).max()?;
        Some((topic.clone(), image.clone()))
    };
    verdicts.iter().filter_map(image_of).collect()
}

/// Parts that the names of two topics have in common.
fn common_names(a: &str, b: &str) -> usize {
    let names = |topic: &'_ str| topic.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let (a, b): (BTreeSet<String>, BTreeSet<String>) = (names(a), names(b));
    a.intersection(&b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys<const N: usize>(topics: [(&str, &str, &[u64]); N]) -> Keys {
        let keys = |frame: &str, stamps: &[u64]| stamps.iter().map(|&stamp| (stamp, frame.to_owned())).collect();
        topics.into_iter().map(|(topic, frame, stamps)| (topic.to_owned(), keys(frame, stamps))).collect()
    }

    #[test]
    fn stamps_and_frames_tell_whose_images_they_are() {
        let verdicts = keys([("/m/a/ood", "a", &[1, 2]), ("/m/b/ood", "b", &[1, 2]), ("/m/c/ood", "c", &[7])]);
        let images = keys([("/x", "b", &[1, 2, 3]), ("/y", "a", &[1, 2, 3]), ("/z", "c", &[8])]);
        let found = pairs(&verdicts, &images);
        assert_eq!(found.get("/m/a/ood").map(String::as_str), Some("/y"));
        assert_eq!(found.get("/m/b/ood").map(String::as_str), Some("/x"));
        assert_eq!(found.get("/m/c/ood"), None);
    }

    #[test]
    fn cameras_that_are_triggered_together_are_told_apart_by_name() {
        let verdicts = keys([("/m/left/ood", "", &[1, 2]), ("/m/right/ood", "", &[1, 2])]);
        let images = keys([("/left/image", "", &[1, 2]), ("/right/image", "", &[1, 2])]);
        let found = pairs(&verdicts, &images);
        assert_eq!(found["/m/left/ood"], "/left/image");
        assert_eq!(found["/m/right/ood"], "/right/image");
    }
}
