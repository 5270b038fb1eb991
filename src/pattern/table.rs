//! Open-addressing hash table over the patterns of a set.
//!
//! A slot holds the number of a pattern plus one, or 0 when it is empty. The capacity is a power of two of at least
//! twice the number of patterns; collisions go to the next slot. Hash function and layout are part of the file format.

/// Marks an empty slot.
const EMPTY: u32 = 0;

/// Builds the table for patterns with the given hashes, numbered from 0. There are at most `u32::MAX - 1`.
pub(super) fn build(hashes: &[u64]) -> Vec<u32> {
    let mut table = vec![EMPTY; (2 * hashes.len()).next_power_of_two()];
    for (slot, &hash) in (1u32..).zip(hashes) {
        let free = probe(table.len(), hash).find(|&place| table[place] == EMPTY);
        table[free.expect("at least half of the slots are empty")] = slot;
    }
    table
}

/// The first pattern with this hash for which `matches` holds. Ends after one round even in a damaged table.
pub(super) fn find(table: &[u32], hash: u64, matches: impl Fn(usize) -> bool) -> Option<usize> {
    let slots = probe(table.len(), hash).map(|place| table[place]).take_while(|&slot| slot != EMPTY);
    slots.map(|slot| slot as usize - 1).find(|&index| matches(index))
}

/// Whether a table of this capacity can be used.
pub(super) fn is_valid_capacity(capacity: usize) -> bool {
    capacity.is_power_of_two()
}

/// Hash of a class and a pattern: the mixing step of `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014) over all words.
pub(super) fn hash(class: usize, words: &[u64]) -> u64 {
    words.iter().fold(mix(class as u64), |hash, &word| mix(hash ^ word))
}

fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// All places of a table, starting at that of `hash`.
fn probe(capacity: usize, hash: u64) -> impl Iterator<Item = usize> {
    let mask = capacity.wrapping_sub(1);
    (0..capacity).map(move |step| (hash as usize).wrapping_add(step) & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_is_found_again_even_when_all_collide() {
        for hashes in [vec![7; 9], (0..9).collect(), vec![u64::MAX, 15, 31, 0]] {
            let table = build(&hashes);
            assert!(is_valid_capacity(table.len()) && table.len() >= 2 * hashes.len());
            for (index, &hash) in hashes.iter().enumerate() {
                assert_eq!(find(&table, hash, |candidate| candidate == index), Some(index));
            }
        }
    }

    #[test]
    fn the_search_ends_in_empty_and_in_damaged_tables() {
        assert_eq!(find(&build(&[]), 3, |_| true), None);
        assert_eq!(find(&[], 3, |_| true), None);
        assert_eq!(find(&[9; 8], 3, |index| index < 4), None);
    }

    #[test]
    fn hashes_are_those_of_the_file_format() {
        assert_eq!(hash(0, &[]), 0xE220_A839_7B1D_CDAF, "first output of SplitMix64 from seed 0");
        assert_ne!(hash(0, &[1]), hash(1, &[1]));
        assert_ne!(hash(0, &[1, 2]), hash(0, &[2, 1]));
    }
}
