//! One binary pattern, packed.

use super::PatternError;

/// Largest number of bits of a pattern.
pub const MAX_WIDTH: usize = 4096;

pub(super) const WORD_BITS: usize = u64::BITS as usize;

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
        let mut words = vec![0; words_for(bits.len())];
        for (index, bit) in bits.enumerate() {
            words[index / WORD_BITS] |= u64::from(bit) << (index % WORD_BITS);
        }
        Ok(Self::from_words(words))
    }

    /// Takes `width` bits that are packed already: bit `i` is bit `i % 8` of byte `i / 8`.
    ///
    /// # Errors
    /// [`PatternError::Width`] when `width` is not supported, [`PatternError::Bytes`] when there are not `width / 8` bytes
    /// (rounded up) or a bit past `width` is set.
    pub fn from_bytes(width: usize, bytes: &[u8]) -> Result<Self, PatternError> {
        check_width(width)?;
        let past_the_end = |last: u8| !width.is_multiple_of(8) && last >> (width % 8) != 0;
        if bytes.len() != bytes_for(width) || bytes.last().copied().is_some_and(past_the_end) {
            return Err(PatternError::Bytes { width, bytes: bytes.len() });
        }
        Ok(Self::from_words(words_of(bytes).collect()))
    }

    pub(super) fn from_words(words: Vec<u64>) -> Self {
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
        self.words.iter().zip(&other.words).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// Number of words that hold `width` bits.
pub(super) fn words_for(width: usize) -> usize {
    width.div_ceil(WORD_BITS)
}

/// Number of bytes that hold `width` bits.
pub(super) fn bytes_for(width: usize) -> usize {
    width.div_ceil(8)
}

/// Packed bytes as words, the last one filled up with zeros.
pub(super) fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (words, rest) = bytes.as_chunks::<8>();
    let rest = rest.iter().rev().fold(None, |word, &byte| Some(word.unwrap_or(0) << 8 | u64::from(byte)));
    words.iter().map(|&word| u64::from_le_bytes(word)).chain(rest)
}

pub(super) fn check_width(width: usize) -> Result<(), PatternError> {
    if (1..=MAX_WIDTH).contains(&width) { Ok(()) } else { Err(PatternError::Width { width }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_packed_from_the_lowest() {
        let bits = (0..70).map(|index| index == 0 || index == 3 || index == 69);
        let pattern = Pattern::from_bits(bits.collect::<Vec<_>>().into_iter()).unwrap();
        assert_eq!(pattern.words(), [0b1001, 1 << 5]);
        let bytes = [0b1001, 0, 0, 0, 0, 0, 0, 0, 1 << 5];
        assert_eq!(Pattern::from_bytes(70, &bytes).unwrap(), pattern);
    }

    #[test]
    fn widths_are_bounded() {
        for width in [0, MAX_WIDTH + 1] {
            assert_eq!(Pattern::from_bits(vec![true; width].into_iter()), Err(PatternError::Width { width }));
            assert_eq!(Pattern::from_bytes(width, &[]), Err(PatternError::Width { width }));
        }
        assert_eq!(Pattern::from_bits(vec![true; MAX_WIDTH].into_iter()).unwrap().words(), [u64::MAX; 64]);
    }

    #[test]
    fn bytes_that_are_no_pattern_of_the_width_are_refused() {
        assert_eq!(Pattern::from_bytes(12, &[0, 0x10]), Err(PatternError::Bytes { width: 12, bytes: 2 }));
        assert_eq!(Pattern::from_bytes(12, &[0; 3]), Err(PatternError::Bytes { width: 12, bytes: 3 }));
        assert_eq!(Pattern::from_bytes(12, &[0xFF, 0x0F]).unwrap().words(), [0x0FFF]);
    }

    #[test]
    fn distance_counts_differing_bits() {
        let one = Pattern::from_bits([true, true, false, false].into_iter()).unwrap();
        let two = Pattern::from_bits([true, false, true, false].into_iter()).unwrap();
        assert_eq!(one.distance(&two), 2);
        assert_eq!(one.distance(&one), 0);
    }
}
