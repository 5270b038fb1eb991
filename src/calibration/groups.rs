//! Images that belong together, and their division.

use std::collections::BTreeMap;

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

/// Divides images into two halves of about equal size, whole groups at a time.
///
/// Groups are taken in the order of a hash of group and seed, each goes to the half that is smaller so far. So the
/// division is random, repeatable, and independent of the order of `keys`. Returns rising indices; the second half is
/// empty when there are fewer than two groups.
#[must_use]
pub fn halves(keys: &[String], seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, key) in keys.iter().enumerate() {
        groups.entry(group_of(key)).or_default().push(index);
    }
    let mut shuffled: Vec<_> = groups.into_iter().map(|(group, members)| (digest(group, seed), members)).collect();
    shuffled.sort_unstable();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (_, members) in shuffled {
        if first.len() <= second.len() { first.extend(members) } else { second.extend(members) }
    }
    first.sort_unstable();
    second.sort_unstable();
    (first, second)
}

fn digest(group: &str, seed: u64) -> [u8; 32] {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(group).finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        fn groups_stay_whole_and_halves_are_balanced(tracks in prop::collection::vec(1usize..12, 0..30), seed: u64) {
            let frames = tracks.iter().enumerate().flat_map(|(track, &frames)| (0..frames).map(move |frame| (track, frame)));
            let keys: Vec<String> = frames.map(|(track, frame)| format!("c/{track}_{frame}.png")).collect();
            let (first, second) = halves(&keys, seed);
            let groups = |half: &[usize]| half.iter().map(|&index| group_of(&keys[index])).collect::<BTreeSet<_>>();
            prop_assert!(groups(&first).is_disjoint(&groups(&second)));
            let mut all = [first.clone(), second.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..keys.len()).collect::<Vec<_>>());
            prop_assert!(first.len().abs_diff(second.len()) <= tracks.iter().copied().max().unwrap_or(0));
            prop_assert_eq!(halves(&keys, seed), (first.clone(), second));

            let reversed: Vec<String> = keys.iter().rev().cloned().collect();
            let same: BTreeSet<_> = halves(&reversed, seed).0.iter().map(|&index| reversed[index].clone()).collect();
            prop_assert_eq!(same, first.iter().map(|&index| keys[index].clone()).collect::<BTreeSet<_>>());
        }
    }

    #[test]
    fn another_seed_divides_differently() {
        let keys: Vec<String> = (0..40).map(|track| format!("{track}_0.png")).collect();
        assert_ne!(halves(&keys, 1), halves(&keys, 2));
    }
}
