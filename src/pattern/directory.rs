//! Finds the place where a pattern would be.
//!
//! The patterns of a class lie in the order of their hashes, so a hash says nearly where to look: the directory holds
//! where each of `N / 64` equal parts of the hash range begins, and within a part the hash says it again, give or take four
//! patterns. No slots stay empty, no chains are followed; and the directory is so small that it stays in the processor's
//! cache, which leaves one wait for memory per look-up.

use std::ops::Range;

use super::hash::{bucket, position};

/// Patterns per part of the hash range.
const PER_PART: usize = 64;

/// Where the parts begin, for all classes one after the other: class `c` has `⌊e/64⌋ − ⌊s/64⌋ + 1` parts when its patterns are
/// `s..e`, which makes the place of its first one `⌊s/64⌋ + c`. The number of all patterns ends the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory<'a> {
    pub starts: &'a [u32],
}

/// Where a hash is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// All patterns with this hash are among these.
    pub members: Range<usize>,
    /// They are near this one.
    pub guess: usize,
}

/// Number of entries of a directory.
pub(super) fn length(patterns: usize, classes: usize) -> usize {
    patterns / PER_PART + classes + 1
}

/// Lists where the parts begin, from the hashes of all patterns, rising within each class, and the bounds of the classes.
pub(super) fn build(mut hashes: impl Iterator<Item = u64>, offsets: &[u64]) -> Vec<u32> {
    let patterns = offsets.last().map_or(0, |&end| end as usize);
    let mut starts = Vec::with_capacity(length(patterns, offsets.len() - 1));
    for (class, bounds) in offsets.windows(2).enumerate() {
        let members = bounds[0] as usize..bounds[1] as usize;
        let (first, parts) = parts(class, &members);
        for (index, hash) in members.clone().zip(hashes.by_ref()) {
            starts.resize(starts.len().max(first + bucket(hash, parts) + 1), index as u32);
        }
        starts.resize(first + parts, members.end as u32);
    }
    starts.push(patterns as u32);
    starts
}

impl Directory<'_> {
    /// Where a hash is among `members`, the patterns of `class`. Stays within `members` whatever a damaged file says.
    #[inline]
    pub fn find(&self, class: usize, members: &Range<usize>, hash: u64) -> Place {
        let (first, parts) = parts(class, members);
        let (part, share) = position(hash, parts);
        let Some(&[start, end]) = self.starts.get(first + part..first + part + 2) else {
            return Place { members: members.start..members.start, guess: members.start };
        };
        let start = (start as usize).clamp(members.start, members.end);
        let members = start..(end as usize).clamp(start, members.end);
        let (guess, _) = position(share, members.len());
        Place { guess: members.start + guess, members }
    }
}

/// Place of a class's first part, and how many it has.
#[inline]
fn parts(class: usize, members: &Range<usize>) -> (usize, usize) {
    let first = members.start / PER_PART;
    (first + class, members.end / PER_PART - first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_is_in_its_part_and_near_the_guess() {
        let spread = |count: u64| (0..count).map(move |index| u64::MAX / count * index);
        let classes: [Vec<u64>; 5] =
            [spread(1000).collect(), vec![], vec![7; 300], vec![u64::MAX], spread(9).collect()];
        let mut offsets = vec![0];
        classes.iter().for_each(|hashes| offsets.push(offsets[offsets.len() - 1] + hashes.len() as u64));
        let starts = build(classes.iter().flatten().copied(), &offsets);
        assert_eq!(starts.len(), length(1310, 5));
        let directory = Directory { starts: &starts };
        for (class, hashes) in classes.iter().enumerate() {
            let members = offsets[class] as usize..offsets[class + 1] as usize;
            for (index, &hash) in members.clone().zip(hashes) {
                let place = directory.find(class, &members, hash);
                assert!(place.members.contains(&index), "class {class}, pattern {index}: {place:?}");
                assert!(hash == 7 || place.guess.abs_diff(index) <= 1, "class {class}, pattern {index}: {place:?}");
            }
        }
        assert!(directory.find(0, &(0..1000), spread(1000).nth(500).unwrap()).members.len() < 80);
    }

    #[test]
    fn damage_leads_to_no_other_class() {
        let directory = Directory { starts: &[9, u32::MAX, 3] };
        let place = directory.find(1, &(5..6), 0);
        assert!(place.members.start >= 5 && place.members.end <= 6 && place.guess <= 6, "{place:?}");
        assert!(directory.find(0, &(1000..2000), 0).members.is_empty());
    }
}
