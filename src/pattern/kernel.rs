//! The inner loops of the scan, compiled once per instruction set and chosen at run time.
//!
//! They are written as plain Rust over arrays of eight lanes; the compiler makes of them what the enabled instructions
//! allow: `VPOPCNTQ` on 512-bit registers, the nibble look-up of `VPSHUFB` with AVX2 (Muła, Kurz, Lemire, *Faster
//! Population Counts Using AVX2 Instructions*, The Computer Journal 2018), `CNT` with NEON, which every AArch64 has.

use super::rows::{LANES, Rows, tail};

/// Patterns whose first columns fill a vector.
pub(super) const GROUP: usize = 8 * LANES;

/// One number for every pattern of a group: in how many bits its first column differs from that of the query.
pub(super) type FirstColumn = [u8; GROUP];

/// The distances of a group's patterns; [`FAR`] for those that were not looked at.
pub(super) type Distances = [u16; GROUP];

/// Larger than every distance.
pub(super) const FAR: u16 = u16::MAX;

/// Which instructions the loops may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// AVX-512 with VPOPCNTDQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and POPCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on `AArch64`.
    Baseline,
}

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

impl Kernel {
    /// All that this machine can run, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, is_x86_feature_detected!("avx512vpopcntdq") && has_avx512()),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")),
            (Self::Baseline, true),
        ]
        .into_iter()
        .filter_map(|(kernel, available)| available.then_some(kernel))
    }

    /// The fastest that this machine can run.
    pub fn fastest() -> Self {
        Self::available().next().unwrap_or(Self::Baseline)
    }

    /// Writes for every pattern in how many bits its first column differs from that of the query. `first` has room for all
    /// blocks.
    #[allow(unsafe_code)]
    pub fn first_column(self, rows: Rows<'_>, query: &[u64], first: &mut [FirstColumn]) {
        match self {
            // SAFETY: `available` names these only on processors with the instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::first_column(rows, query, first) },
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::first_column(rows, query, first) },
            Self::Baseline => first_column(rows, query, first),
        }
    }

    /// The number of the next group from `from` on that may have a wanted pattern. Writes the distances of all that may be
    /// wanted, and others. `first` is what [`Kernel::first_column`] wrote.
    #[allow(unsafe_code)]
    pub fn next(
        self,
        rows: Rows<'_>,
        query: &[u64],
        first: &[FirstColumn],
        from: usize,
        wanted: Wanted,
        distances: &mut Distances,
    ) -> Option<usize> {
        match self {
            // SAFETY: `available` names these only on processors with the instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::next(rows, query, first, from, wanted, distances) },
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::next(rows, query, first, from, wanted, distances) },
            Self::Baseline => next(rows, query, first, from, wanted, distances),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(target_arch = "x86_64")]
macro_rules! compiled_for {
    ($name:ident, $features:literal) => {
        mod $name {
            use super::{Distances, FirstColumn, Rows, Wanted};

            #[target_feature(enable = $features)]
            pub fn first_column(rows: Rows<'_>, query: &[u64], first: &mut [FirstColumn]) {
                super::first_column(rows, query, first);
            }

            #[target_feature(enable = $features)]
            pub fn next(
                rows: Rows<'_>,
                query: &[u64],
                first: &[FirstColumn],
                from: usize,
                wanted: Wanted,
                distances: &mut Distances,
            ) -> Option<usize> {
                super::next(rows, query, first, from, wanted, distances)
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compiled_for!(avx512, "avx512f,avx512vl,avx512bw,avx512dq,avx512vpopcntdq,popcnt");
#[cfg(target_arch = "x86_64")]
compiled_for!(avx2, "avx2,popcnt");

#[inline(always)]
fn first_column(rows: Rows<'_>, query: &[u64], first: &mut [FirstColumn]) {
    let Some(&query) = query.first() else { return };
    let (first, _) = first.as_flattened_mut().as_chunks_mut::<LANES>();
    for (block, first) in rows.blocks.chunks_exact(rows.row_bytes).zip(first) {
        let words = match block.first_chunk() {
            Some(words) => *words,
            None => tail(block),
        };
        for (first, word) in first.iter_mut().zip(words) {
            *first = (word ^ query).count_ones() as u8;
        }
    }
}

#[inline(always)]
fn next(
    rows: Rows<'_>,
    query: &[u64],
    first: &[FirstColumn],
    from: usize,
    wanted: Wanted,
    distances: &mut Distances,
) -> Option<usize> {
    for (group, first) in first.iter().enumerate().skip(from) {
        if !any(first, wanted) {
            continue;
        }
        let mut found = false;
        let (blocks, (first, _)) = (group * GROUP / LANES, first.as_chunks::<LANES>());
        let (distances, _) = distances.as_chunks_mut::<LANES>();
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
                kernel.first_column(rows, &query, &mut first);
                let written = first.as_flattened();
                assert_eq!(written[..plain.len()], plain_first, "{kernel:?}, {row_bytes} bytes");
                assert!(written[plain.len()..].iter().all(|&bits| bits == u8::MAX));
                for (low, high, limit) in [(0, 64, u32::MAX), (0, 26, 40), (3, 30, 400), (60, 64, 2), (0, 64, 2)] {
                    let search = Wanted { low, high, limit };
                    let expected: Vec<usize> = (0..plain.len()).filter(|index| wanted(index, search)).collect();
                    let (mut found, mut from, mut distances) = (Vec::new(), 0, [0; GROUP]);
                    while let Some(group) = kernel.next(rows, &query, &first, from, search, &mut distances) {
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
