//! Collects patterns and compiles them into a set.

use std::collections::BTreeMap;

use super::bits::{check_width, words_for};
use super::{Pattern, PatternError, PatternSet, table};

/// Collects the patterns of each class, without duplicates.
#[derive(Debug, Clone)]
pub struct PatternSetBuilder {
    width: usize,
    classes: Vec<BTreeMap<Pattern, u32>>,
}

impl PatternSetBuilder {
    /// No patterns yet, of `width` bits, for `classes` classes.
    ///
    /// # Errors
    /// [`PatternError::Width`] when the width is not supported.
    pub fn new(width: usize, classes: usize) -> Result<Self, PatternError> {
        check_width(width)?;
        Ok(Self { width, classes: vec![BTreeMap::new(); classes] })
    }

    /// Adds the pattern of one image of a class. Panics when the class does not exist or the width differs.
    pub fn insert(&mut self, class: usize, pattern: Pattern) {
        assert_eq!(pattern.words().len(), words_for(self.width), "words of a pattern");
        let count = self.classes[class].entry(pattern).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// Compiles the set. The same patterns give the same set, whatever their order.
    ///
    /// # Errors
    /// [`PatternError::TooMany`] when there are more than 2³² − 2 distinct patterns.
    pub fn build(self) -> Result<PatternSet, PatternError> {
        let patterns = self.classes.iter().map(BTreeMap::len).sum();
        if patterns >= u32::MAX as usize {
            return Err(PatternError::TooMany { patterns });
        }
        let mut words = Vec::with_capacity(patterns * words_for(self.width));
        let (mut counts, mut hashes, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
        for (class, members) in self.classes.into_iter().enumerate() {
            for (pattern, count) in members {
                words.extend_from_slice(pattern.words());
                hashes.push(table::hash(class, pattern.words()));
                counts.push(count);
            }
            offsets.push(counts.len() as u64);
        }
        Ok(PatternSet::from_parts(self.width, words, counts, offsets, table::build(&hashes)))
    }
}
