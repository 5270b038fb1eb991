//! The compiled set of training patterns and its queries.

use std::ops::Range;

use super::bits::{MAX_WIDTH, hamming, words_for};
use super::{Pattern, table};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Distinct patterns of each class with their number of images, ready for queries.
///
/// Four arrays, used in place from a mapped file: the words of all patterns (sorted by class, then by value), the
/// number of images per pattern, where each class begins, and a hash table over all patterns.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternSet {
    width: usize,
    words: Slab<u64>,
    counts: Slab<u32>,
    offsets: Slab<u64>,
    table: Slab<u32>,
}

/// A training pattern near a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nearest {
    /// Number of differing bits.
    pub distance: u32,
    /// Number of the pattern in the set.
    pub index: usize,
}

impl PatternSet {
    pub(super) fn from_parts(
        width: usize,
        words: Vec<u64>,
        counts: Vec<u32>,
        offsets: Vec<u64>,
        table: Vec<u32>,
    ) -> Self {
        Self { width, words: words.into(), counts: counts.into(), offsets: offsets.into(), table: table.into() }
    }

    /// Number of bits of every pattern.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of distinct patterns of all classes together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is no pattern at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Numbers of the patterns of `class`; empty for a class that does not exist.
    #[must_use]
    pub fn class(&self, class: usize) -> Range<usize> {
        match self.offsets.get(class..).unwrap_or_default() {
            [start, end, ..] => *start as usize..*end as usize,
            _ => 0..0,
        }
    }

    /// Packed words of pattern `index`. Panics when `index ≥ len()`.
    #[must_use]
    pub fn words(&self, index: usize) -> &[u64] {
        let words = words_for(self.width);
        &self.words[index * words..(index + 1) * words]
    }

    /// Number of training images with pattern `index`. Panics when `index ≥ len()`.
    #[must_use]
    pub fn count(&self, index: usize) -> u32 {
        self.counts[index]
    }

    /// Whether an image of `class` had exactly this pattern: one look-up in the hash table.
    #[must_use]
    pub fn contains(&self, class: usize, query: &Pattern) -> bool {
        self.find(class, query).is_some()
    }

    /// The pattern of `class` nearest to `query` and at most `bound` bits away, the first of equals; `None` when there
    /// is none. A pattern that was seen is found by the hash table, any other by comparing it with all of the class.
    #[must_use]
    pub fn nearest(&self, class: usize, query: &Pattern, bound: u32) -> Option<Nearest> {
        match self.find(class, query) {
            Some(index) => Some(Nearest { distance: 0, index }),
            None => self.scan(self.class(class), query, bound),
        }
    }

    fn find(&self, class: usize, query: &Pattern) -> Option<usize> {
        let members = self.class(class);
        let matches = |index| members.contains(&index) && self.words(index) == query.words();
        table::find(&self.table, table::hash(class, query.words()), matches)
    }

    fn scan(&self, members: Range<usize>, query: &Pattern, bound: u32) -> Option<Nearest> {
        let words = words_for(self.width);
        let patterns = &self.words[members.start * words..members.end * words];
        let mut best = None;
        let mut limit = bound;
        for (index, pattern) in members.zip(patterns.chunks_exact(words)) {
            let Some(distance) = distance_within(pattern, query.words(), limit) else { continue };
            best = Some(Nearest { distance, index });
            let Some(closer) = distance.checked_sub(1) else { break };
            limit = closer;
        }
        best
    }

    /// Writes the tensors `width`, `words`, `counts`, `offsets` and `table`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("width", &[1], &[self.width as u32]);
        out.put("words", &[self.len(), words_for(self.width)], &self.words);
        out.put("counts", &[self.len()], &self.counts);
        out.put("offsets", &[self.offsets.len()], &self.offsets);
        out.put("table", &[self.table.len()], &self.table);
    }

    /// Uses in place what [`PatternSet::save`] wrote. Only widths and class offsets are read; damage to the patterns
    /// themselves is found by [`crate::storage::TensorFile::verify`] and can at worst give a wrong distance.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing or misshapen or the offsets are not those of `classes` classes.
    pub fn load(tensors: &TensorReader<'_>, classes: usize) -> Result<Self, StorageError> {
        let width = tensors.get::<u32, 1>("width", [1])?[0] as usize;
        if !(1..=MAX_WIDTH).contains(&width) {
            return Err(tensors.invalid("width", format!("{width} is not in 1..={MAX_WIDTH}")));
        }
        let counts = tensors.vector::<u32>("counts")?;
        let words = tensors.get("words", [counts.len(), words_for(width)])?;
        let offsets = tensors.get::<u64, 1>("offsets", [classes + 1])?;
        if offsets[0] != 0 || offsets[classes] != counts.len() as u64 || !offsets.is_sorted() {
            return Err(tensors.invalid("offsets", format!("they do not rise from 0 to {}", counts.len())));
        }
        let table = tensors.vector::<u32>("table")?;
        if !table::is_valid_capacity(table.len()) {
            return Err(tensors.invalid("table", format!("its length {} is no power of two", table.len())));
        }
        Ok(Self { width, words, counts, offsets, table })
    }
}

/// Number of differing bits, or `None` as soon as it exceeds `limit`.
fn distance_within(a: &[u64], b: &[u64], limit: u32) -> Option<u32> {
    // One check per eight words: cheaper than one per word, and still early for wide patterns.
    const BLOCK: usize = 8;
    let mut distance = 0;
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        distance += hamming(a, b);
        if distance > limit {
            return None;
        }
    }
    Some(distance)
}

#[cfg(test)]
mod tests;
