//! The inner loops of the scan, compiled once per instruction set and chosen at run time ([`crate::simd`]).
//!
//! The compiler makes of them what the enabled instructions allow: `VPOPCNTQ` on 512-bit registers, the nibble look-up of
//! `VPSHUFB` with AVX2 (Muła, Kurz, Lemire, *Faster Population Counts Using AVX2 Instructions*, The Computer Journal 2018),
//! `CNT` with NEON, which every AArch64 has.

pub(super) use crate::simd::{Kernel, Loop};

use super::rows::{LANES, Rows, tail};

/// Patterns whose first columns fill a vector.
pub(super) const GROUP: usize = 8 * LANES;

/// One number for every pattern of a group: in how many bits its first column differs from that of the query.
pub(super) type FirstColumn = [u8; GROUP];

/// The distances of a group's patterns; [`FAR`] for those that were not looked at.
pub(super) type Distances = [u16; GROUP];

/// Larger than every distance.
pub(super) const FAR: u16 = u16::MAX;

/// Which patterns a search asks for: those whose first column differs in `low` to `high` bits and that differ in at most
/// `limit` bits altogether.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub low: u8,
    pub high: u8,
    pub limit: u32,
}

impl Wanted {
    /// Whether the first column may be that of a wanted pattern.
    #[inline(always)]
    pub fn admits(self, first: u8) -> bool {
        (first >= self.low) & (first <= self.high)
    }
}

/// Writes for every pattern in how many bits its first column differs from that of the query.
pub(super) struct CompareFirstColumn<'a> {
    pub rows: Rows<'a>,
    pub query: &'a [u64],
    /// Has room for all blocks.
    pub first: &'a mut [FirstColumn],
}

impl Loop for CompareFirstColumn<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Some(&query) = self.query.first() else { return };
        let (first, _) = self.first.as_flattened_mut().as_chunks_mut::<LANES>();
        for (block, first) in self.rows.blocks.chunks_exact(self.rows.row_bytes).zip(first) {
            let words = match block.first_chunk() {
                Some(words) => *words,
                None => tail(block),
            };
            for (first, word) in first.iter_mut().zip(words) {
                *first = (word ^ query).count_ones() as u8;
            }
        }
    }
}

/// Finds the next group from `from` on that may have a wanted pattern: its number. Writes the distances of all that may be
/// wanted, and others.
pub(super) struct FindNext<'a> {
    pub rows: Rows<'a>,
    pub query: &'a [u64],
    /// What [`CompareFirstColumn`] wrote.
    pub first: &'a [FirstColumn],
    pub from: usize,
    pub wanted: Wanted,
    pub distances: &'a mut Distances,
}

impl Loop for FindNext<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self) -> Option<usize> {
        let Self { rows, query, wanted, .. } = self;
        for (group, first) in self.first.iter().enumerate().skip(self.from) {
            if !any(first, wanted) {
                continue;
            }
            let mut found = false;
            let (blocks, (first, _)) = (group * GROUP / LANES, first.as_chunks::<LANES>());
            let (distances, _) = self.distances.as_chunks_mut::<LANES>();
            for ((first, distances), block) in first.iter().zip(distances).zip(blocks..) {
                *distances = [FAR; LANES];
                if any(first, wanted) {
                    let block = &rows.blocks[block * rows.row_bytes..][..rows.row_bytes];
                    if let Some(sums) = within(block, query, wanted.limit) {
                        *distances = sums.map(|sum| sum as u16);
                        found = true;
                    }
                }
            }
            if found {
                return Some(group);
            }
        }
        None
    }
}

#[inline(always)]
fn any<const N: usize>(first: &[u8; N], wanted: Wanted) -> bool {
    first.iter().fold(false, |any, &first| any | wanted.admits(first))
}

/// The distances of a block's patterns; `None` as soon as all exceed `limit`.
#[inline(always)]
fn within(block: &[u64], query: &[u64], limit: u32) -> Option<[u64; LANES]> {
    // Four columns are added without a look at the sum: cheaper than one per column, and still early for wide patterns.
    const STRETCH: usize = 4;
    let limit = u64::from(limit);
    let (columns, rest) = block.as_chunks::<LANES>();
    let (columns, single) = columns.as_chunks::<STRETCH>();
    let (whole, part) = query.as_chunks::<STRETCH>();
    let mut sums = [0; LANES];
    for (columns, query) in columns.iter().zip(whole) {
        columns.iter().zip(query).for_each(|(words, &query)| add(&mut sums, words, query));
        if smallest(&sums) > limit {
            return None;
        }
    }
    let mut part = part.iter();
    for (words, &query) in single.iter().zip(part.by_ref()) {
        add(&mut sums, words, query);
        if smallest(&sums) > limit {
            return None;
        }
    }
    if let Some(&query) = part.next() {
        add(&mut sums, &tail(rest), query);
    }
    (smallest(&sums) <= limit).then_some(sums)
}

#[inline(always)]
fn add(sums: &mut [u64; LANES], words: &[u64; LANES], query: u64) {
    for (sum, word) in sums.iter_mut().zip(words) {
        // Never more than 4096; a checked sum would keep the compiler from using vectors.
        *sum = sum.wrapping_add(u64::from((word ^ query).count_ones()));
    }
}

#[inline(always)]
fn smallest(sums: &[u64; LANES]) -> u64 {
    sums.iter().fold(u64::MAX, |smallest, &sum| smallest.min(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_gives_what_a_plain_loop_gives() {
        for row_bytes in [1usize, 7, 8, 9, 24, 32, 45, 130] {
            let blocks: Vec<u64> =
                (0u64..43 * row_bytes as u64).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
            let rows = Rows { blocks: &blocks, row_bytes };
            let query: Vec<u64> = rows.words(77).map(|word| word ^ 5).collect();
            let plain: Vec<u32> = (0..43 * LANES).map(|index| rows.distance(index, &query)).collect();
            let plain_first: Vec<u8> =
                (0..plain.len()).map(|index| (rows.word(index, 0) ^ query[0]).count_ones() as u8).collect();
            let wanted = |index: &usize, Wanted { low, high, limit }: Wanted| {
                (low..=high).contains(&plain_first[*index]) && plain[*index] <= limit
            };
            for kernel in Kernel::available() {
                let mut first = vec![[u8::MAX; GROUP]; 43usize.div_ceil(8)];
                kernel.run(CompareFirstColumn { rows, query: &query, first: &mut first });
                let written = first.as_flattened();
                assert_eq!(written[..plain.len()], plain_first, "{kernel:?}, {row_bytes} bytes");
                assert!(written[plain.len()..].iter().all(|&bits| bits == u8::MAX));
                for (low, high, limit) in [(0, 64, u32::MAX), (0, 26, 40), (3, 30, 400), (60, 64, 2), (0, 64, 2)] {
                    let search = Wanted { low, high, limit };
                    let expected: Vec<usize> = (0..plain.len()).filter(|index| wanted(index, search)).collect();
                    let (mut found, mut from, mut distances) = (Vec::new(), 0, [0; GROUP]);
                    while let Some(group) = kernel.run(FindNext {
                        rows,
                        query: &query,
                        first: &first,
                        from,
                        wanted: search,
                        distances: &mut distances,
                    }) {
                        for (index, &distance) in
                            (group * GROUP..).zip(&distances).filter(|&(_, &distance)| distance != FAR)
                        {
                            assert_eq!(u32::from(distance), plain[index], "{kernel:?}, {row_bytes} bytes");
                            found.extend(wanted(&index, search).then_some(index));
                        }
                        from = group + 1;
                    }
                    assert_eq!(found, expected, "{kernel:?}, {row_bytes} bytes, {search:?}");
                }
            }
        }
    }
}
