//! Setting aside whole tracks for calibration.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::dataset::folder::{LabelledImage, track_of};

/// Share of every class's tracks that is set aside.
pub(super) const SHARE: f64 = 0.2;

/// Splits images into those to train on and those to calibrate on. Of every class [`SHARE`] of the tracks, rounded, but
/// at least one of two, is held out: those with the smallest hash of `seed` and track, so that the choice depends on
/// nothing else.
pub(super) fn hold_out(images: Vec<LabelledImage>, seed: u64) -> (Vec<LabelledImage>, Vec<LabelledImage>) {
    let held: BTreeSet<String> = tracks_by_class(&images).values().flat_map(|tracks| choose(tracks, seed)).collect();
    images.into_iter().partition(|image| !held.contains(track_of(&image.file.key)))
}

fn tracks_by_class(images: &[LabelledImage]) -> BTreeMap<usize, BTreeSet<&str>> {
    let mut tracks = BTreeMap::<usize, BTreeSet<&str>>::new();
    for image in images {
        tracks.entry(image.class).or_default().insert(track_of(&image.file.key));
    }
    tracks
}

fn choose(tracks: &BTreeSet<&str>, seed: u64) -> Vec<String> {
    let mut ordered: Vec<&str> = tracks.iter().copied().collect();
    ordered.sort_by_cached_key(|track| hash(track, seed));
    let wanted = (SHARE * tracks.len() as f64).round() as usize;
    let number = if tracks.len() < 2 { 0 } else { wanted.max(1) };
    ordered.into_iter().take(number).map(str::to_owned).collect()
}

fn hash(track: &str, seed: u64) -> [u8; 32] {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(track).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::ImageFile;

    /// `tracks[c]` tracks of class `c`, three frames each.
    fn images(tracks: &[usize]) -> Vec<LabelledImage> {
        let mut images = Vec::new();
        for (class, count) in tracks.iter().enumerate() {
            for (track, frame) in (0..*count).flat_map(|track| (0..3).map(move |frame| (track, frame))) {
                let key = format!("{class}/{track:05}_{frame:05}.png");
                images.push(LabelledImage { file: ImageFile { path: key.clone().into(), key }, class });
            }
        }
        images
    }

    fn tracks(images: &[LabelledImage]) -> BTreeSet<&str> {
        images.iter().map(|image| track_of(&image.file.key)).collect()
    }

    fn held_per_class(held: &[LabelledImage]) -> Vec<usize> {
        let by_class = tracks_by_class(held);
        (0..5).map(|class| by_class.get(&class).map_or(0, BTreeSet::len)).collect()
    }

    #[test]
    fn a_fifth_of_the_tracks_of_every_class_is_held_out_whole() {
        let all = images(&[10, 1, 2, 23, 4]);
        let (training, held) = hold_out(all.clone(), 7);
        assert_eq!(held_per_class(&held), [2, 0, 1, 5, 1]);
        assert_eq!(training.len() + held.len(), all.len());
        assert!(tracks(&training).is_disjoint(&tracks(&held)));
    }

    #[test]
    fn the_seed_decides() {
        let held = |seed| hold_out(images(&[40]), seed).1;
        assert_eq!(held(1), held(1));
        assert_ne!(held(1), held(2));
    }

    #[test]
    fn the_choice_does_not_depend_on_the_order() {
        let mut reversed = images(&[10, 10]);
        reversed.reverse();
        assert_eq!(tracks(&hold_out(images(&[10, 10]), 3).1), tracks(&hold_out(reversed, 3).1));
    }
}
