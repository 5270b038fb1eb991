//! The patterns of one class while they are collected.

use std::cmp::Ordering;

use super::bits::words_of;
use super::hash::{bucket, hash};

/// So many patterns are collected before the first search for duplicates.
const FIRST_COMPACTION: usize = 1 << 12;
/// Patterns per bucket of the sort.
const PER_BUCKET: usize = 8;

/// Packed patterns one after the other, now and then sorted and freed of duplicates: memory grows with the distinct ones,
/// and stays within 1.5 times their size.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    row_bytes: usize,
    /// The bytes of the patterns, in words so that they can become blocks in place.
    words: Vec<u64>,
    patterns: usize,
    /// So many of the first patterns are in order and distinct.
    in_order: usize,
    /// How often each occurred; empty while each occurred once.
    counts: Vec<u32>,
}

impl Segment {
    pub fn new(row_bytes: usize) -> Self {
        Self { row_bytes, words: Vec::new(), patterns: 0, in_order: 0, counts: Vec::new() }
    }

    /// Adds a pattern that occurred `count` times.
    pub fn push(&mut self, words: impl Iterator<Item = u64>, count: u32) {
        if self.patterns >= FIRST_COMPACTION.max(self.in_order + self.in_order / 2) {
            self.compact();
        }
        let start = self.patterns * self.row_bytes;
        self.patterns += 1;
        self.words.resize((start + self.row_bytes).div_ceil(8), 0);
        let row = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut self.words)[start..start + self.row_bytes];
        for (place, word) in row.chunks_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes()[..place.len()]);
        }
        if count > 1 && self.counts.is_empty() {
            self.counts.resize(self.patterns - 1, 1);
        }
        if count > 1 || !self.counts.is_empty() {
            self.counts.push(count);
        }
    }

    /// Sorts by hash, then by bytes, and keeps one of each.
    pub fn compact(&mut self) {
        if self.in_order == self.patterns {
            return;
        }
        let (row_bytes, patterns) = (self.row_bytes, self.patterns);
        let rows = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut self.words)[..patterns * row_bytes];
        sort(rows, row_bytes, &mut self.counts);
        let mut kept = 0;
        for index in 0..patterns {
            let same =
                |kept: usize| rows[(kept - 1) * row_bytes..kept * row_bytes] == rows[index * row_bytes..][..row_bytes];
            if kept > 0 && same(kept) {
                if self.counts.is_empty() {
                    self.counts.resize(patterns, 1);
                }
                self.counts[kept - 1] = self.counts[kept - 1].saturating_add(self.counts[index]);
                continue;
            }
            if kept < index {
                rows.copy_within(index * row_bytes..(index + 1) * row_bytes, kept * row_bytes);
                if !self.counts.is_empty() {
                    self.counts.swap(kept, index);
                }
            }
            kept += 1;
        }
        rows[kept * row_bytes..].fill(0);
        self.counts.truncate(kept);
        self.words.truncate((kept * row_bytes).div_ceil(8));
        (self.patterns, self.in_order) = (kept, kept);
    }

    /// Number of patterns.
    pub fn len(&self) -> usize {
        self.patterns
    }

    /// The bytes of all patterns.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.patterns * self.row_bytes]
    }

    /// The patterns that occurred more than once, and how often.
    pub fn repeated(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.counts.iter().copied().enumerate().filter(|&(_, count)| count > 1)
    }

    /// The bytes of all patterns in words.
    pub fn into_words(self) -> Vec<u64> {
        self.words
    }
}

/// Sorts rows by (hash, bytes) in place: first every row into its part of the hash range, by swaps (McIlroy, Bostic,
/// McIlroy, *Engineering Radix Sort*, Computing Systems 1993, §3), then each part for itself.
fn sort(rows: &mut [u8], row_bytes: usize, counts: &mut [u32]) {
    let starts = distribute(rows, row_bytes, counts);
    let mut part = Part::default();
    for bounds in starts.windows(2) {
        let (start, end) = (bounds[0] as usize, bounds[1] as usize);
        let counts = if counts.is_empty() { &mut [] } else { &mut counts[start..end] };
        part.sort(&mut rows[start * row_bytes..end * row_bytes], row_bytes, counts);
    }
}

/// Moves every row into its bucket and says where the buckets begin.
fn distribute(rows: &mut [u8], row_bytes: usize, counts: &mut [u32]) -> Vec<u32> {
    let buckets = rows.len() / row_bytes / PER_BUCKET + 1;
    let bucket_of = |row: &[u8]| bucket(hash(words_of(row)), buckets);
    let mut starts = vec![0u32; buckets + 1];
    rows.chunks_exact(row_bytes).for_each(|row| starts[bucket_of(row) + 1] += 1);
    (0..buckets).for_each(|bucket| starts[bucket + 1] += starts[bucket]);
    let mut next = starts.clone();
    for bucket in 0..buckets {
        while next[bucket] < starts[bucket + 1] {
            let here = next[bucket] as usize;
            let home = bucket_of(&rows[here * row_bytes..(here + 1) * row_bytes]);
            let there = next[home] as usize;
            if home != bucket {
                let (head, tail) = rows.split_at_mut(there * row_bytes);
                head[here * row_bytes..(here + 1) * row_bytes].swap_with_slice(&mut tail[..row_bytes]);
                if !counts.is_empty() {
                    counts.swap(here, there);
                }
            }
            next[home] += 1;
        }
    }
    starts
}

/// Sorts the rows of one bucket; keeps its memory for the next.
#[derive(Debug, Default)]
struct Part {
    order: Vec<(u64, u32)>,
    rows: Vec<u8>,
    counts: Vec<u32>,
}

impl Part {
    fn sort(&mut self, rows: &mut [u8], row_bytes: usize, counts: &mut [u32]) {
        let row = |index: u32| &rows[index as usize * row_bytes..(index as usize + 1) * row_bytes];
        let compare = |a: &(u64, u32), b: &(u64, u32)| match a.0.cmp(&b.0) {
            Ordering::Equal => row(a.1).cmp(row(b.1)),
            different => different,
        };
        self.order.clear();
        self.order.extend(rows.chunks_exact(row_bytes).map(|row| hash(words_of(row))).zip(0..));
        if self.order.is_sorted_by(|a, b| compare(a, b).is_le()) {
            return;
        }
        self.order.sort_unstable_by(compare);
        self.rows.clear();
        self.counts.clear();
        for &(_, index) in &self.order {
            self.rows.extend_from_slice(row(index));
            self.counts.extend(counts.get(index as usize));
        }
        rows.copy_from_slice(&self.rows);
        counts.copy_from_slice(&self.counts);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn patterns_are_counted_and_ordered_by_hash(
            row_bytes in prop::sample::select(vec![1usize, 3, 8, 11]),
            values in prop::collection::vec((0u64..40, 1u32..3), 0..300),
        ) {
            let mut segment = Segment::new(row_bytes);
            let mut expected = BTreeMap::<u64, u32>::new();
            let words = |value: u64| [value, value * 3].into_iter().take(row_bytes.div_ceil(8));
            for (step, &(value, count)) in values.iter().enumerate() {
                segment.push(words(value), count);
                *expected.entry(value).or_default() += count;
                if step % 50 == 0 {
                    segment.compact();
                }
            }
            segment.compact();
            let rows: Vec<&[u8]> = segment.bytes().chunks_exact(row_bytes).collect();
            prop_assert_eq!(rows.len(), expected.len());
            prop_assert!(rows.is_sorted_by_key(|row| hash(words_of(row))));
            let counts: BTreeMap<usize, u32> = segment.repeated().collect();
            for (index, row) in rows.iter().enumerate() {
                let value = words_of(row).next().unwrap();
                prop_assert!(words_of(row).map(|word| word & 0xFF).eq(words(value).map(|word| word & 0xFF)));
                prop_assert_eq!(counts.get(&index).copied().unwrap_or(1), expected[&value]);
            }
        }
    }

    #[test]
    fn memory_follows_the_distinct_patterns() {
        let mut segment = Segment::new(8);
        (0..100_000u64).for_each(|value| segment.push([value % 5000].into_iter(), 1));
        assert!(segment.len() <= 7500 && segment.words.capacity() <= 16_384, "{}", segment.len());
        segment.compact();
        assert_eq!((segment.len(), segment.repeated().next()), (5000, Some((0, 20))));
    }
}
