//! The hash of a pattern. It is part of the file format: patterns lie in its order.

/// Hash of a pattern's words: the mixing step of `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014) over all of them.
#[inline]
pub(super) fn hash(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, |hash, word| mix(hash ^ word))
}

#[inline]
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// The place of a hash among `buckets`, which rises with the hash.
#[inline]
pub(super) fn bucket(hash: u64, buckets: usize) -> usize {
    position(hash, buckets).0
}

/// The place of a hash among `buckets` (Lemire, *Fast Random Integer Generation in an Interval*, ACM TOMACS 2019, §4), and
/// how far into its bucket it lies, as a share of 2⁶⁴.
#[inline]
pub(super) fn position(hash: u64, buckets: usize) -> (usize, u64) {
    let product = u128::from(hash) * buckets as u128;
    ((product >> 64) as usize, product as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_file_format() {
        assert_eq!(hash([0].into_iter()), 0xE220_A839_7B1D_CDAF, "first output of SplitMix64 from seed 0");
        assert_ne!(hash([1, 2].into_iter()), hash([2, 1].into_iter()));
    }

    #[test]
    fn buckets_rise_with_the_hash() {
        assert_eq!([0, u64::MAX / 2, u64::MAX].map(|hash| bucket(hash, 7)), [0, 3, 6]);
        assert_eq!(bucket(u64::MAX, 1), 0);
        assert_eq!(position(3 << 62, 2), (1, 1 << 63), "halfway through the second of two");
    }
}
