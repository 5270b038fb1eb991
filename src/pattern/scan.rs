//! Compares a query with all patterns of a range.
//!
//! Twice: first the first column of all of them, one byte of result each, without a branch. Where patterns cluster, as
//! those of a class do, the smallest of these bytes leads to the nearest pattern or to one hardly farther, and after it
//! hardly any other first column is small enough for a second look. That is why a search costs little more than reading
//! an eighth of a cache line per pattern. Where nothing is near, the second pass reads nearly everything; large sets are then
//! read once, without the first pass.

use std::cell::RefCell;
use std::ops::Range;

use super::collect::{Collector, Neighbour};
use super::kernel::{CompareFirstColumn, FindNext, FirstColumn, GROUP, Kernel, Wanted};
use super::rows::{LANES, Rows};

/// Blocks that are looked at before the second pass; their bytes of result stay in the processor's cache.
const PIECE: usize = 1 << 13;
/// In no column do more bits differ.
const MOST_IN_A_COLUMN: u8 = 64;
/// Marks a pattern that does not belong to the range.
const EXCLUDED: u8 = u8::MAX;

thread_local! {
    /// Kept, because clearing new memory would cost a short search as much as the search itself.
    static FIRST: RefCell<Vec<FirstColumn>> = const { RefCell::new(Vec::new()) };
}

/// Offers the collector all patterns among `members` that can be of use to it.
pub(super) fn scan(
    kernel: Kernel,
    rows: Rows<'_>,
    members: &Range<usize>,
    query: &[u64],
    collector: &mut impl Collector,
) {
    if members.is_empty() {
        return;
    }
    FIRST.with_borrow_mut(|first| {
        let (start, end) = (members.start / LANES, members.end.div_ceil(LANES));
        let mut nothing_near = false;
        for piece in (start..end).step_by(PIECE) {
            let until = end.min(piece + PIECE);
            let groups = ((until - piece) * LANES).div_ceil(GROUP);
            if first.len() < groups {
                first.resize(groups, [0; GROUP]);
            }
            let piece = Piece { kernel, rows: rows.blocks(piece, until), start: piece * LANES, query };
            nothing_near = piece.scan(members, nothing_near, &mut first[..groups], collector);
        }
    });
}

/// Some of the blocks.
struct Piece<'a> {
    kernel: Kernel,
    rows: Rows<'a>,
    /// Number of the first pattern.
    start: usize,
    query: &'a [u64],
}

impl Piece<'_> {
    /// Says whether the second pass had to look at most blocks. When it had to in the piece before, there is no first.
    fn scan(
        &self,
        members: &Range<usize>,
        nothing_near: bool,
        first: &mut [FirstColumn],
        collector: &mut impl Collector,
    ) -> bool {
        if nothing_near {
            first.fill([0; GROUP]);
            self.exclude_others(members, first);
            let before = collector.limit();
            self.compare(first, 0, MOST_IN_A_COLUMN, collector);
            return collector.limit() == before;
        }
        self.kernel.run(CompareFirstColumn { rows: self.rows, query: self.query, first });
        self.exclude_others(members, first);
        let promising = promising(first, collector);
        self.compare(first, 0, promising, collector);
        let seconds = at_most(first, in_a_column(collector.limit()));
        self.compare(first, promising + 1, MOST_IN_A_COLUMN, collector);
        // Four blocks in five have one of their eight patterns among every fifth.
        seconds * 5 > first.len() * GROUP
    }

    fn exclude_others(&self, members: &Range<usize>, first: &mut [FirstColumn]) {
        let places = first.as_flattened_mut();
        places[..members.start.saturating_sub(self.start)].fill(EXCLUDED);
        let end = places.len().min(members.end - self.start);
        places[end..].fill(EXCLUDED);
    }

    /// Compares the patterns whose first column differs in `low` to `high` bits.
    fn compare(&self, first: &[FirstColumn], low: u8, high: u8, collector: &mut impl Collector) {
        let (mut from, mut distances) = (0, [0; GROUP]);
        loop {
            let limit = collector.limit();
            let wanted = Wanted { low, high: in_a_column(limit).min(high), limit };
            let (rows, query) = (self.rows, self.query);
            let found = self.kernel.run(FindNext { rows, query, first, from, wanted, distances: &mut distances });
            let Some(group) = found else { return };
            let places = first[group].iter().zip(distances).zip(self.start + group * GROUP..);
            for ((&first, distance), index) in places {
                let distance = u32::from(distance);
                if distance <= collector.limit() && wanted.admits(first) {
                    collector.take(Neighbour { distance, index });
                }
            }
            from = group + 1;
        }
    }
}

/// In so many bits the first column of a pattern within the limit can differ.
fn in_a_column(limit: u32) -> u8 {
    limit.min(u32::from(MOST_IN_A_COLUMN)) as u8
}

/// Patterns whose first column differs in at most so many bits are compared first, for they make the limit fall.
fn promising(first: &[FirstColumn], collector: &impl Collector) -> u8 {
    match collector.wants() {
        None => MOST_IN_A_COLUMN,
        Some(1) => first.iter().flatten().fold(MOST_IN_A_COLUMN, |smallest, &bits| smallest.min(bits)),
        Some(wanted) => {
            // The smallest number that enough patterns do not exceed.
            let (mut low, mut high) = (0, MOST_IN_A_COLUMN);
            while low < high {
                let middle = u8::midpoint(low, high);
                if at_most(first, middle) < wanted { low = middle + 1 } else { high = middle }
            }
            low
        }
    }
}

/// Number of patterns whose first column differs in at most so many bits.
fn at_most(first: &[FirstColumn], bits: u8) -> usize {
    let in_group =
        |group: &FirstColumn| group.iter().fold(0u8, |sum, &first| sum.wrapping_add(u8::from(first <= bits)));
    first.iter().map(|group| usize::from(in_group(group))).sum()
}
