//! One binary pattern, packed.

use super::PatternError;

/// Largest number of bits of a pattern.
pub const MAX_WIDTH: usize = 4096;

const WORD_BITS: usize = u64::BITS as usize;

/// Bits of one image, packed into 64-bit words: bit `i` is bit `i % 64` of word `i / 64`; unused bits are 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    words: Box<[u64]>,
}

impl Pattern {
    /// Packs `width` bits.
    ///
    /// # Errors
    /// [`PatternError::Width`] when `width` is 0 or more than [`MAX_WIDTH`].
    pub fn from_bits(bits: impl ExactSizeIterator<Item = bool>) -> Result<Self, PatternError> {
        check_width(bits.len())?;
        Ok(Self::pack(bits))
    }

    /// Packs bits whose number was checked before.
    pub(super) fn pack(bits: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut words = vec![0; words_for(bits.len())];
        for (index, bit) in bits.enumerate() {
            words[index / WORD_BITS] |= u64::from(bit) << (index % WORD_BITS);
        }
        Self { words: words.into() }
    }

    /// The packed words.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Number of bits in which two patterns differ.
    #[must_use]
    pub fn distance(&self, other: &Self) -> u32 {
        hamming(&self.words, &other.words)
    }
}

/// Number of words that hold `width` bits.
pub(super) fn words_for(width: usize) -> usize {
    width.div_ceil(WORD_BITS)
}

pub(super) fn check_width(width: usize) -> Result<(), PatternError> {
    if (1..=MAX_WIDTH).contains(&width) { Ok(()) } else { Err(PatternError::Width { width }) }
}

pub(super) fn hamming(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_packed_from_the_lowest() {
        let bits = (0..70).map(|index| index == 0 || index == 3 || index == 69);
        let pattern = Pattern::from_bits(bits.collect::<Vec<_>>().into_iter()).unwrap();
        assert_eq!(pattern.words(), [0b1001, 1 << 5]);
    }

    #[test]
    fn widths_are_bounded() {
        for width in [0, MAX_WIDTH + 1] {
            assert_eq!(Pattern::from_bits(vec![true; width].into_iter()), Err(PatternError::Width { width }));
        }
        assert_eq!(Pattern::from_bits(vec![true; MAX_WIDTH].into_iter()).unwrap().words(), [u64::MAX; 64]);
    }

    #[test]
    fn distance_counts_differing_bits() {
        let one = Pattern::from_bits([true, true, false, false].into_iter()).unwrap();
        let two = Pattern::from_bits([true, false, true, false].into_iter()).unwrap();
        assert_eq!(one.distance(&two), 2);
        assert_eq!(one.distance(&one), 0);
    }
}
