//! How the patterns of a set lie in memory: eight side by side.
//!
//! ```text
//! block of 8 patterns of 152 bits (19 bytes each) = 19 words
//!   column 0   word 0 of pattern 0 … word 0 of pattern 7       bits 0–63
//!   column 1   word 1 of pattern 0 … word 1 of pattern 7       bits 64–127
//!   tail       2 bytes of pattern 0 … 2 bytes of pattern 7     bits 128–143
//!              1 byte of pattern 0 … 1 byte of pattern 7       bits 144–151
//! ```
//!
//! So one vector instruction compares a word of eight patterns, a search that is done with them after one column has
//! touched one cache line, and nothing is spent on padding but for the last block of a set. A tail of up to 7 bytes is
//! cut into pieces of 4, 2 and 1, which one instruction each widens to words.

use std::ops::Range;

use super::directory::Place;
use super::hash;

/// Patterns per block.
pub(super) const LANES: usize = 8;

/// Patterns in blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub blocks: &'a [u64],
    /// Bytes of a pattern, and words of a block.
    pub row_bytes: usize,
}

impl Rows<'_> {
    /// Word `column` of pattern `index`.
    #[inline]
    pub fn word(&self, index: usize, column: usize) -> u64 {
        let (block, lane) = (index / LANES * self.row_bytes, index % LANES);
        if (column + 1) * size_of::<u64>() <= self.row_bytes {
            return self.blocks[block + column * LANES + lane];
        }
        tail(&self.blocks[block + column * LANES..block + self.row_bytes])[lane]
    }

    /// All words of pattern `index`.
    pub fn words(&self, index: usize) -> impl Iterator<Item = u64> + '_ {
        (0..self.row_bytes.div_ceil(size_of::<u64>())).map(move |column| self.word(index, column))
    }

    /// Number of bits in which pattern `index` differs from the packed `query`.
    #[inline]
    pub fn distance(&self, index: usize, query: &[u64]) -> u32 {
        query.iter().enumerate().map(|(column, word)| (self.word(index, column) ^ word).count_ones()).sum()
    }

    /// The one of some patterns in the order of their hashes that equals the packed `query` with this hash.
    #[inline]
    pub fn find(&self, place: &Place, hash: u64, query: &[u64]) -> Option<usize> {
        let Range { start, end } = place.members;
        // Two blocks around the guess: four patterns more at each side at least, which is enough for most.
        let first = place.guess.saturating_sub(LANES / 2).max(start) / LANES;
        let (near, far) = ((first * LANES).max(start), ((first + 2) * LANES).min(end));
        if near >= far {
            return None;
        }
        let hash_of = |index: usize| hash::hash(self.words(index));
        self.find_among(near..far, query)
            .or_else(|| if hash_of(near) >= hash { self.find_among(start..near, query) } else { None })
            .or_else(|| if hash_of(far - 1) <= hash { self.find_among(far..end, query) } else { None })
    }

    fn find_among(&self, members: Range<usize>, query: &[u64]) -> Option<usize> {
        let pairs = (members.start / LANES..members.end.div_ceil(LANES)).step_by(2);
        pairs.into_iter().find_map(|block| {
            // Both before the first branch, so that there is one wait for memory and not two.
            let lanes = self.candidates(block, query) | self.candidates(block + 1, query) << LANES;
            let mut same = (0..2 * LANES).filter(|lane| lanes >> lane & 1 == 1).map(|lane| block * LANES + lane);
            same.find(|&index| members.contains(&index) && self.words(index).eq(query.iter().copied()))
        })
    }

    /// The patterns of a block, one bit each, that start like the query; none for a block that does not exist.
    #[inline(always)]
    fn candidates(&self, block: usize, query: &[u64]) -> u32 {
        const START: usize = 4;
        let Some(block) = self.blocks.get(block * self.row_bytes..(block + 1) * self.row_bytes) else { return 0 };
        let (columns, _) = block.as_chunks::<LANES>();
        let mut different = [0; LANES];
        for (words, query) in columns.iter().take(START).zip(query) {
            different.iter_mut().zip(words).for_each(|(different, word)| *different |= word ^ query);
        }
        different.iter().rev().fold(0, |lanes, &different| lanes << 1 | u32::from(different == 0))
    }

    /// The blocks from `start` to `end`.
    pub fn blocks(&self, start: usize, end: usize) -> Self {
        Self { blocks: &self.blocks[start * self.row_bytes..end * self.row_bytes], row_bytes: self.row_bytes }
    }
}

/// The last word of eight patterns, of which the tail of their block holds fewer than eight bytes each.
#[inline(always)]
pub(super) fn tail(words: &[u64]) -> [u64; LANES] {
    let bytes: &[u8] = bytemuck::cast_slice(words);
    let (four, rest) = bytes.split_at(if words.len() & 4 == 0 { 0 } else { 4 * LANES });
    let (two, one) = rest.split_at(if words.len() & 2 == 0 { 0 } else { 2 * LANES });
    let (mut tail, mut bits) = ([0; LANES], 0);
    if let Some(four) = four.as_chunks::<4>().0.first_chunk::<LANES>() {
        tail = four.map(|piece| u64::from(u32::from_le_bytes(piece)));
        bits = 32;
    }
    if let Some(two) = two.as_chunks::<2>().0.first_chunk::<LANES>() {
        tail.iter_mut().zip(two).for_each(|(tail, &piece)| *tail |= u64::from(u16::from_le_bytes(piece)) << bits);
        bits += 16;
    }
    if let Some(one) = one.first_chunk::<LANES>() {
        tail.iter_mut().zip(one).for_each(|(tail, &piece)| *tail |= u64::from(piece) << bits);
    }
    tail
}

/// Turns patterns of `row_bytes` packed bytes, one after the other, into blocks, in place; the last block is filled up
/// with zeros.
pub(super) fn interleave(mut rows: Vec<u64>, patterns: usize, row_bytes: usize) -> Vec<u64> {
    rows.resize(patterns.div_ceil(LANES) * row_bytes, 0);
    let mut raw = vec![0; row_bytes];
    for block in rows.chunks_exact_mut(row_bytes) {
        raw.copy_from_slice(block);
        let block: &mut [u8] = bytemuck::cast_slice_mut(block);
        for (lane, row) in bytemuck::cast_slice::<u64, u8>(&raw).chunks_exact(row_bytes).enumerate() {
            let mut start = 0;
            for piece in pieces(row_bytes) {
                let place = start * LANES + lane * piece;
                block[place..place + piece].copy_from_slice(&row[start..start + piece]);
                start += piece;
            }
        }
    }
    rows
}

/// The sizes of the pieces in which a pattern lies in a block.
fn pieces(row_bytes: usize) -> impl Iterator<Item = usize> {
    let rest = [4, 2, 1].into_iter().filter(move |piece| row_bytes & piece != 0);
    std::iter::repeat_n(8, row_bytes / 8).chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::bits::words_of;

    #[test]
    fn rows_of_every_length_are_found_again() {
        for row_bytes in [1, 2, 7, 8, 9, 15, 16, 18, 31, 32, 512] {
            let bytes: Vec<u8> = (0..row_bytes * 11).map(|at| (at * 37 + at / 256) as u8).collect();
            let mut words = vec![0u64; bytes.len().div_ceil(8)];
            bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(&bytes);
            let blocks = interleave(words, 11, row_bytes);
            assert_eq!(blocks.len(), 2 * row_bytes);
            let rows = Rows { blocks: &blocks, row_bytes };
            for (index, row) in bytes.chunks_exact(row_bytes).enumerate() {
                assert!(rows.words(index).eq(words_of(row)), "row {index} of {row_bytes} bytes");
                let query: Vec<u64> = words_of(row).map(|word| word ^ 1).collect();
                assert_eq!(rows.distance(index, &query) as usize, query.len());
            }
        }
    }
}
