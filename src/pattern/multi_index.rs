//! Multi-index hashing: finds near patterns without looking at the others.
//!
//! A pattern is cut into T chunks, and a hash table per chunk lists the patterns with the same chunk (Norouzi, Punjani,
//! Fleet, *Fast Search in Hamming Space with Multi-Index Hashing*, CVPR 2012, §3). Patterns that differ in fewer than T
//! bits agree in at least one chunk, so T look-ups find them all; and by the pigeonhole principle, when table t was asked
//! for all chunks within r_t bits of the query's, every pattern at a distance below Σ (r_t + 1) was found. A search
//! therefore widens one table by one bit at a time, always where it costs least, until that sum exceeds the distance of
//! what it has found. When going on would cost more than comparing all patterns, it leaves that to the scan.
//!
//! An entry is one 32-bit word: the number of the pattern and, in the bits that this leaves, a piece of the chunk's hash,
//! so that patterns that came into the same bucket by chance are hardly ever looked at.

use std::ops::Range;

use super::bits::{WORD_BITS, bytes_for, words_for};
use super::collect::{Collector, Neighbour};
use super::hash::{bucket, mix};
use super::rows::Rows;
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Most tables of a set.
pub(super) const MAX_TABLES: usize = 16;
/// Entries per bucket: one cache line.
const PER_BUCKET: usize = 16;
/// Share of the patterns' own size that the tables may take.
const MAX_SHARE: f64 = 0.94;
/// Look-ups that are under way at the same time, so that their waits for memory overlap.
const BATCH: usize = 16;

/// What a look-up, a look at an entry of a bucket, and the comparison of a pattern cost, in nanoseconds; only their ratio to the cost of
/// a scan matters.
const LOOK_UP_NS: f64 = 25.0;
const ENTRY_NS: f64 = 1.0;
/// A search that cannot be expected to end before a scan would goes on for this share of the scan's cost, for it may find
/// something near.
const HOPE: f64 = 0.1;
/// What the scan costs per pattern and per byte of pattern.
const SCAN_NS: f64 = 0.15;
const SCAN_BYTE_NS: f64 = 0.005;

/// The tables.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MultiIndex {
    width: usize,
    tables: usize,
    buckets: usize,
    /// Bits of an entry that hold the number of a pattern.
    number_bits: u32,
    /// Where the buckets of every table begin among its entries: tables × (buckets + 1).
    starts: Slab<u32>,
    /// Tables × patterns.
    entries: Slab<u32>,
}

/// How many tables pay off for so many patterns when queries look `radius` bits far: `None` when a scan is as fast, or when no
/// two tables fit into the size that is allowed.
pub(super) fn tables_for(width: usize, patterns: usize, radius: u32) -> Option<usize> {
    let tables = most_tables(width).min(radius as usize + 1).max(words_for(width));
    if tables > most_tables(width) || tables < 2 {
        return None;
    }
    let cost = cost_to_finish(width / tables, tables, 0, radius);
    (cost < scan_cost(patterns, bytes_for(width))).then_some(tables)
}

/// What it costs to find everything up to `limit` when everything below `seen` was found: tables are widened evenly.
fn cost_to_finish(chunk: usize, tables: usize, seen: u32, limit: u32) -> f64 {
    // Four flipped bits in every chunk cost more than any scan.
    if limit as usize >= 4 * tables {
        return f64::INFINITY;
    }
    (seen..=limit).map(|step| step_cost(chunk as u32, step / tables as u32, PER_BUCKET as f64)).sum()
}

/// As many tables as fit into the allowed size; 0 when chunks would not fit into words.
pub(super) fn most_tables(width: usize) -> usize {
    let per_pattern = size_of::<u32>() as f64 * (1.0 + 1.0 / PER_BUCKET as f64);
    let fitting = (MAX_SHARE * bytes_for(width) as f64 / per_pattern) as usize;
    let tables = fitting.min(MAX_TABLES.max(words_for(width)));
    if tables * WORD_BITS >= width { tables } else { 0 }
}

fn scan_cost(patterns: usize, row_bytes: usize) -> f64 {
    patterns as f64 * (SCAN_NS + SCAN_BYTE_NS * row_bytes as f64)
}

/// Cost of asking a table for all chunks that differ in exactly `radius` of `bits` bits.
fn step_cost(bits: u32, radius: u32, entries: f64) -> f64 {
    let look_ups = (0..radius).fold(1.0, |product, bit| product * f64::from(bits - bit.min(bits)) / f64::from(bit + 1));
    look_ups * (LOOK_UP_NS + ENTRY_NS * entries)
}

impl MultiIndex {
    /// Builds `tables` tables (at least as many as the words of a pattern) over `patterns` patterns.
    pub fn build(rows: Rows<'_>, patterns: usize, width: usize, tables: usize) -> Self {
        let buckets = patterns / PER_BUCKET + 1;
        let number_bits = number_bits(patterns);
        let mut starts = Vec::with_capacity(tables * (buckets + 1));
        let mut entries = vec![0u32; tables * patterns];
        for table in 0..tables {
            let chunk = Chunk::of(table, tables, width);
            let hashes = || (0..patterns).map(|index| mix(chunk.cut(|column| rows.word(index, column))));
            let mut next = vec![0u32; buckets + 1];
            hashes().for_each(|hash| next[bucket(hash, buckets) + 1] += 1);
            (0..buckets).for_each(|bucket| next[bucket + 1] += next[bucket]);
            starts.extend_from_slice(&next);
            let entries = &mut entries[table * patterns..(table + 1) * patterns];
            for (index, hash) in hashes().enumerate() {
                let place = &mut next[bucket(hash, buckets)];
                entries[*place as usize] = index as u32 | tag(hash, number_bits);
                *place += 1;
            }
        }
        Self { width, tables, buckets, number_bits, starts: starts.into(), entries: entries.into() }
    }

    /// Number of tables.
    pub fn tables(&self) -> usize {
        self.tables
    }

    /// Offers the collector all patterns among `members` that can be of use to it; `false` when it gave up because it would
    /// cost `patience` times as much as a scan, with what was found so far in the collector.
    pub fn search(
        &self,
        patience: f64,
        rows: Rows<'_>,
        members: &Range<usize>,
        query: &[u64],
        collector: &mut impl Collector,
    ) -> bool {
        let mut search = Search { index: self, rows, members, query, hits: Vec::new() };
        let mut steps: Vec<Step> = (0..self.tables).map(|table| search.first_step(table)).collect();
        let budget = patience * scan_cost(members.len(), rows.row_bytes);
        let mut spent = 0.0;
        // All patterns at a smaller distance were found.
        let mut seen = 0;
        while collector.limit() >= seen {
            let Some(step) = steps.iter_mut().min_by(|a, b| a.cost.total_cmp(&b.cost)) else { return true };
            spent += step.cost;
            let rest = || cost_to_finish(self.width / self.tables, self.tables, seen, collector.limit());
            if spent > budget || spent > HOPE * budget && spent + rest() > budget {
                return false;
            }
            search.take(step, collector);
            if step.radius == step.chunk.bits {
                return true; // this table was asked for every possible chunk
            }
            step.radius += 1;
            step.cost = step_cost(step.chunk.bits, step.radius, PER_BUCKET as f64);
            seen += 1;
        }
        true
    }

    pub fn prefault(&self) {
        self.starts.prefault();
        self.entries.prefault();
    }

    /// Writes the tensors `starts` and `entries`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        out.put_slab("starts", &[self.tables, self.buckets + 1], &self.starts);
        out.put_slab("entries", &[self.tables, self.entries.len() / self.tables], &self.entries);
    }

    /// Uses in place what [`MultiIndex::save`] wrote; only the shapes are looked at.
    pub fn load(tensors: &TensorReader<'_>, width: usize, patterns: usize) -> Result<Self, StorageError> {
        let [tables, _] = tensors.shape::<u32, 2>("starts")?;
        if tables == 0 || tables * WORD_BITS < width || tables > width {
            return Err(tensors.invalid("starts", format!("{tables} tables for {width} bits")));
        }
        let buckets = patterns / PER_BUCKET + 1;
        Ok(Self {
            width,
            tables,
            buckets,
            number_bits: number_bits(patterns),
            starts: tensors.get("starts", [tables, buckets + 1])?,
            entries: tensors.get("entries", [tables, patterns])?,
        })
    }
}

/// Bits that hold the number of any pattern.
fn number_bits(patterns: usize) -> u32 {
    usize::BITS - patterns.saturating_sub(1).leading_zeros()
}

/// The piece of a hash that fits beside the number of a pattern.
fn tag(hash: u64, number_bits: u32) -> u32 {
    (hash as u32).checked_shl(number_bits).unwrap_or(0)
}

/// The bits of a pattern that one table is about: at most 64.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    start: usize,
    bits: u32,
}

impl Chunk {
    fn of(table: usize, tables: usize, width: usize) -> Self {
        let start = table * width / tables;
        Self { start, bits: ((table + 1) * width / tables - start) as u32 }
    }

    /// Cuts the chunk out of a pattern whose words `word` gives.
    #[inline]
    fn cut(self, word: impl Fn(usize) -> u64) -> u64 {
        let (column, shift) = (self.start / WORD_BITS, (self.start % WORD_BITS) as u32);
        let mut chunk = word(column) >> shift;
        if shift + self.bits > u64::BITS {
            chunk |= word(column + 1) << (u64::BITS - shift);
        }
        chunk & (u64::MAX >> (u64::BITS - self.bits))
    }
}

/// What to ask a table next.
struct Step {
    table: usize,
    chunk: Chunk,
    /// The query's chunk.
    value: u64,
    /// Bits in which the chunks to ask for differ from the query's.
    radius: u32,
    cost: f64,
}

struct Search<'a> {
    index: &'a MultiIndex,
    rows: Rows<'a>,
    members: &'a Range<usize>,
    query: &'a [u64],
    /// Patterns to compare.
    hits: Vec<u32>,
}

impl Search<'_> {
    fn first_step(&self, table: usize) -> Step {
        let chunk = Chunk::of(table, self.index.tables, self.index.width);
        let value = chunk.cut(|column| self.query[column]);
        let entries = self.bucket(table, mix(value)).len();
        Step { table, chunk, value, radius: 0, cost: LOOK_UP_NS + entries as f64 * ENTRY_NS }
    }

    /// Asks for all chunks of one radius, some at a time.
    fn take(&mut self, step: &Step, collector: &mut impl Collector) {
        let mut flips = Flips::new(step.chunk.bits, step.radius);
        let mut hashes = [0u64; BATCH];
        loop {
            let mut asked = 0;
            for (place, flip) in hashes.iter_mut().zip(flips.by_ref()) {
                *place = mix(step.value ^ flip);
                asked += 1;
            }
            self.look_up(step.table, &hashes[..asked], collector);
            if asked < BATCH {
                return;
            }
        }
    }

    fn look_up(&mut self, table: usize, hashes: &[u64], collector: &mut impl Collector) {
        let buckets = std::array::from_fn::<_, BATCH, _>(|place| match hashes.get(place) {
            Some(&hash) => self.bucket(table, hash),
            None => 0..0,
        });
        let number = (1u64 << self.index.number_bits) as u32;
        let number = number.wrapping_sub(1);
        for (&hash, bucket) in hashes.iter().zip(buckets) {
            let tag = tag(hash, self.index.number_bits);
            let hits = self.index.entries[bucket].iter().filter(|&entry| entry & !number == tag);
            self.hits.extend(hits.map(|entry| entry & number));
        }
        for index in self.hits.drain(..).map(|index| index as usize) {
            if self.members.contains(&index) {
                let distance = self.rows.distance(index, self.query);
                if distance <= collector.limit() {
                    collector.take(Neighbour { distance, index });
                }
            }
        }
    }

    /// Places of the entries of a bucket. Lies within the table whatever a damaged file says.
    #[inline]
    fn bucket(&self, table: usize, hash: u64) -> Range<usize> {
        let index = self.index;
        let patterns = index.entries.len() / index.tables;
        let at = table * (index.buckets + 1) + bucket(hash, index.buckets);
        let (start, end) = (index.starts[at] as usize, (index.starts[at + 1] as usize).min(patterns));
        table * patterns + start.min(end)..table * patterns + end
    }
}

/// All words with `ones` of the lowest `bits` bits set, in rising order (Gosper's hack: Beeler, Gosper, Schroeppel,
/// *HAKMEM*, MIT 1972, item 175).
struct Flips {
    next: Option<u64>,
    last: u64,
}

impl Flips {
    fn new(bits: u32, ones: u32) -> Self {
        let lowest = u64::MAX.checked_shr(u64::BITS - ones).unwrap_or(0);
        Self { next: (ones <= bits).then_some(lowest), last: lowest.checked_shl(bits - ones.min(bits)).unwrap_or(0) }
    }
}

impl Iterator for Flips {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let flip = self.next?;
        self.next = (flip != self.last).then(|| {
            let ripple = flip + (flip & flip.wrapping_neg());
            ripple | ((ripple ^ flip) >> 2 >> flip.trailing_zeros())
        });
        Some(flip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_are_all_words_with_so_many_ones() {
        for bits in [1u32, 2, 5, 9] {
            for ones in 0..=bits + 1 {
                let expected: Vec<u64> = (0..1u64 << bits).filter(|word| word.count_ones() == ones).collect();
                assert_eq!(Flips::new(bits, ones).collect::<Vec<_>>(), expected, "{ones} of {bits}");
            }
        }
        assert_eq!(Flips::new(64, 0).collect::<Vec<_>>(), [0]);
        assert_eq!(Flips::new(64, 1).count(), 64);
        assert_eq!(Flips::new(64, 2).count(), 2016);
        assert_eq!(Flips::new(64, 64).collect::<Vec<_>>(), [u64::MAX]);
    }

    #[test]
    fn chunks_cover_every_bit_once() {
        for (width, tables) in [(256usize, 7), (65, 2), (1024, 16), (64, 1), (4096, 64), (130, 3)] {
            let query = vec![u64::MAX; width.div_ceil(64)];
            let mut covered = 0;
            for table in 0..tables {
                let chunk = Chunk::of(table, tables, width);
                assert_eq!(chunk.start, covered);
                assert_eq!(chunk.cut(|column| query[column]).count_ones(), chunk.bits);
                covered += chunk.bits as usize;
            }
            assert_eq!(covered, width);
        }
        let chunk = Chunk { start: 60, bits: 10 };
        assert_eq!(chunk.cut(|column| [0xA000_0000_0000_0000, 0b11_0001][column]), 0b11_0001_1010);
    }

    #[test]
    fn tables_fit_into_the_allowed_size() {
        for width in 1..=4096 {
            let tables = most_tables(width);
            assert!(tables * 17 <= width.div_ceil(8) * 4, "{tables} tables for {width} bits");
            assert!(tables == 0 || tables * 64 >= width);
        }
        assert_eq!([64, 128, 256, 1024, 4096].map(most_tables), [1, 3, 7, 16, 64]);
    }

    #[test]
    fn the_structure_follows_size_and_radius() {
        assert_eq!(tables_for(256, 1000, 8), None);
        assert_eq!(tables_for(256, 10_000_000, 8), Some(7));
        assert_eq!(tables_for(256, 10_000_000, 2), Some(4), "chunks have at most 64 bits");
        assert_eq!(tables_for(256, 10_000_000, 100), None, "farther than any table helps");
        assert_eq!(tables_for(64, 10_000_000, 8), None);
        assert_eq!(tables_for(1024, 10_000_000, 8), Some(16));
    }
}
