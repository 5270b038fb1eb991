//! Images that belong together, and their division.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

/// The group (track) of an image: its key up to the last `_` of the file stem; the whole key where the stem has none.
///
/// In GTSRB `00014/00023_00012.png` is frame 12 of track 23: all frames of a track show one physical sign, so they are
/// not independent and must stay together.
#[must_use]
pub fn group_of(key: &str) -> &str {
    let name = key.rfind('/').map_or(0, |slash| slash + 1);
    let stem = key[name..].rfind('.').map_or(key.len(), |dot| name + dot);
    key[name..stem].rfind('_').map_or(key, |underscore| &key[..name + underscore])
}

/// Number of different groups.
#[must_use]
pub fn count_groups<'a>(groups: impl IntoIterator<Item = &'a str>) -> usize {
    groups.into_iter().collect::<BTreeSet<_>>().len()
}

/// Divides images into at most `count` folds of about equal size, whole groups at a time.
///
/// Groups are taken in the order of a hash of group and seed, each goes to the fold that is smallest so far. So the
/// division is random, repeatable, and independent of the order of `keys`. Every fold has at least one image (rising
/// indices); there are fewer folds than `count` when there are fewer groups.
#[must_use]
pub fn folds(keys: &[String], count: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, key) in keys.iter().enumerate() {
        groups.entry(group_of(key)).or_default().push(index);
    }
    let mut shuffled: Vec<_> = groups.into_iter().map(|(group, members)| (digest(group, seed), members)).collect();
    shuffled.sort_unstable();
    let mut folds = vec![Vec::new(); count.min(shuffled.len())];
    for (_, members) in shuffled {
        if let Some(smallest) = folds.iter_mut().min_by_key(|fold| fold.len()) {
            smallest.extend(members);
        }
    }
    folds.iter_mut().for_each(|fold| fold.sort_unstable());
    folds
}

fn digest(group: &str, seed: u64) -> [u8; 32] {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(group).finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_end_at_the_last_underscore_of_the_stem() {
        for (key, group) in [
            ("14/00023_00012.png", "14/00023"),
            ("a_b/c_d_1.tar.gz", "a_b/c_d"),
            ("a_b/lonely.png", "a_b/lonely.png"),
            ("3_7", "3"),
            ("x/v1.2_9", "x/v1.2_9"),
            ("", ""),
        ] {
            assert_eq!(group_of(key), group);
        }
    }

    proptest! {
        #[test]
        fn groups_stay_whole_and_folds_are_balanced(
            tracks in prop::collection::vec(1usize..12, 0..30), count in 1usize..6, seed: u64
        ) {
            let frames = tracks.iter().enumerate().flat_map(|(track, &frames)| (0..frames).map(move |frame| (track, frame)));
            let keys: Vec<String> = frames.map(|(track, frame)| format!("c/{track}_{frame}.png")).collect();
            let divided = folds(&keys, count, seed);
            prop_assert_eq!(divided.len(), count.min(tracks.len()));
            let groups = |fold: &[usize]| fold.iter().map(|&index| group_of(&keys[index])).collect::<BTreeSet<_>>();
            prop_assert_eq!(divided.iter().map(|fold| groups(fold).len()).sum::<usize>(), tracks.len());
            let mut all = divided.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..keys.len()).collect::<Vec<_>>());
            let sizes = || divided.iter().map(Vec::len);
            let spread = sizes().max().unwrap_or(0) - sizes().min().unwrap_or(0);
            prop_assert!(spread <= tracks.iter().copied().max().unwrap_or(0));
            prop_assert_eq!(folds(&keys, count, seed), divided.clone());

            let reversed: Vec<String> = keys.iter().rev().cloned().collect();
            let names = |keys: &[String], folds: Vec<Vec<usize>>| -> BTreeSet<BTreeSet<String>> {
                folds.iter().map(|fold| fold.iter().map(|&index| keys[index].clone()).collect()).collect()
            };
            prop_assert_eq!(names(&reversed, folds(&reversed, count, seed)), names(&keys, divided));
        }
    }

    #[test]
    fn another_seed_divides_differently() {
        let keys: Vec<String> = (0..40).map(|track| format!("{track}_0.png")).collect();
        assert_ne!(folds(&keys, 2, 1), folds(&keys, 2, 2));
    }
}
