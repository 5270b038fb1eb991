//! Rows of numbers in a quarter of their memory, to find out fast which of them can be near.

use super::arrays::Matrix;
use super::neighbours::largest;
use crate::simd::{Kernel, Loop};

/// Steps of a byte.
const STEPS: f64 = u8::MAX as f64;

/// Codes of a query, which may lie outside of what the rows span.
const QUERY_STEPS: std::ops::RangeInclusive<f64> = -768.0..=1023.0;

/// Longest rows whose squared distances from a query fit into 32 bits.
const MAX_COLUMNS: usize = (i32::MAX / (1023 * 1023)) as usize;

/// Rows that vary less than this have no codes, whose unit would be too small for a number in single precision.
const SMALLEST_STEP: f64 = 1e-30;

/// Codes that are compared at a time. Rows are filled up to a whole number of blocks.
const BLOCK: usize = 64;

/// One block in so many is compared first. Rows that differ much in these need not be looked at further.
const FIRST: usize = 4;

/// More than the share that rounding adds to or takes from a distance.
const ROUNDING: f64 = 1e-3;

/// The rows of a matrix with one byte per number, `low + step · code`, and how far they lie from the rows at most.
///
/// By the triangle inequality the distance of two points is that of their codes, give or take what the codes are off. So
/// the codes alone tell which rows cannot be near, and the exact distances of the few others give exactly what a search
/// through all rows gives: Weber, Schek, Blott, *A Quantitative Analysis and Performance Study for Similarity-Search Methods
/// in High-Dimensional Spaces*, VLDB 1998, §4 (the VA-file).
#[derive(Debug, Clone, PartialEq)]
pub struct CoarseRows {
    rows: usize,
    /// Number of blocks of a row that are compared first.
    split: usize,
    /// The first blocks of all rows. Rows that are too long or do not vary have no codes: nothing is known of their distances.
    first: Vec<[u8; BLOCK]>,
    /// The other blocks of all rows.
    rest: Vec<[u8; BLOCK]>,
    low: f64,
    step: f64,
    /// Largest distance of a row from its codes, in steps.
    error: f64,
}

/// A point, compared with the first columns of all rows.
#[derive(Debug)]
pub struct Query<'a> {
    coarse: &'a CoarseRows,
    blocks: Vec<[i16; BLOCK]>,
    /// How far the codes of the point and of a row are off together, in steps.
    off: f64,
    /// `N`, squared distances over the first blocks, in steps.
    squares: Vec<i32>,
}

impl CoarseRows {
    /// The codes of all rows.
    pub fn of(matrix: &Matrix) -> Self {
        let values = || matrix.iter().flatten().map(|&value| f64::from(value));
        let (low, high) = values().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let step = (high - low) / STEPS;
        let (rows, split) = (matrix.rows(), matrix.columns().div_ceil(BLOCK).div_ceil(FIRST));
        let mut coarse = Self { rows, split, first: Vec::new(), rest: Vec::new(), low, step, error: 0.0 };
        if matrix.columns() > MAX_COLUMNS || step < SMALLEST_STEP {
            return coarse;
        }
        for row in matrix.iter() {
            let (blocks, error) = coarse.encoded(row);
            let blocks: Vec<[u8; BLOCK]> = blocks.into_iter().map(|block| block.map(|code| code as u8)).collect();
            let (first, rest) = blocks.split_at(split);
            coarse.first.extend(first);
            coarse.rest.extend(rest);
            coarse.error = coarse.error.max(error);
        }
        coarse
    }

    /// Compares `x` with the first blocks of all rows.
    pub fn query(&self, x: &[f32]) -> Query<'_> {
        if self.first.is_empty() {
            return Query { coarse: self, blocks: Vec::new(), off: 0.0, squares: Vec::new() };
        }
        let (blocks, error) = self.encoded(x);
        let squares = Kernel::fastest().run(FirstDistances { rows: &self.first, query: &blocks[..self.split] });
        Query { coarse: self, blocks, off: self.error + error, squares }
    }

    /// The nearest codes, and how far they are from `x`, in steps.
    fn encoded(&self, x: &[f32]) -> (Vec<[i16; BLOCK]>, f64) {
        let per_step = self.step.recip();
        let (mut blocks, mut error) = (vec![[0; BLOCK]; x.len().div_ceil(BLOCK)], 0.0);
        for (code, &x) in blocks.as_flattened_mut().iter_mut().zip(x) {
            let exact = (f64::from(x) - self.low) * per_step;
            // The conversion rounds towards zero.
            *code = (exact.clamp(*QUERY_STEPS.start(), *QUERY_STEPS.end()) + 1_000.5) as i16 - 1_000;
            error += (exact - f64::from(*code)) * (exact - f64::from(*code));
        }
        (blocks, error.sqrt())
    }
}

impl Query<'_> {
    /// `k` rows that are likely to have the largest values, fewer when there are fewer; `value` is that of a row at about some
    /// squared distance.
    pub fn likely(&self, k: usize, value: impl Fn(usize, f32) -> f32) -> Vec<usize> {
        if self.squares.is_empty() {
            return (0..k.min(self.coarse.rows)).collect();
        }
        let scale = (self.coarse.step * self.coarse.step) as f32 * self.blocks.len() as f32 / self.coarse.split as f32;
        let values = self.squares.iter().enumerate().map(|(row, &square)| value(row, scale * square as f32));
        largest(&values.collect::<Vec<f32>>(), k).into_iter().map(|(row, _)| row).collect()
    }

    /// Rising indices of all rows that lie within their reach, and of some others.
    pub fn within(&self, reach: &[f32]) -> Vec<usize> {
        if self.squares.is_empty() {
            return (0..self.coarse.rows).collect();
        }
        self.possible(reach).into_iter().map(|(row, _)| row).collect()
    }

    /// Rising indices of rows among which are the `k` nearest, which lie within `reach`.
    pub fn nearest(&self, k: usize, reach: f32) -> Vec<usize> {
        if self.squares.is_empty() {
            return (0..self.coarse.rows).collect();
        }
        let possible = self.possible(&vec![reach; self.coarse.rows]);
        let negative: Vec<f32> = possible.iter().map(|&(_, square)| -(square as f32)).collect();
        let farthest = largest(&negative, k).last().map_or(0.0, |&(_, negative)| f64::from(-negative).sqrt());
        // The k rows with the nearest codes lie within `farthest + off`, and those with codes beyond twice that do not.
        let limit = ((farthest + 2.0 * self.off) * (1.0 + ROUNDING)).powi(2);
        possible.into_iter().filter(|&(_, square)| f64::from(square) <= limit).map(|(row, _)| row).collect()
    }

    /// The rows that may lie within their reach, with the squared distances of their codes.
    fn possible(&self, reach: &[f32]) -> Vec<(usize, i32)> {
        let Self { coarse, blocks, off, squares } = self;
        let (rest, query) = (&coarse.rest, &blocks[coarse.split..]);
        let (per_step, off) = ((coarse.step.recip() * (1.0 + ROUNDING)) as f32, (off * (1.0 + ROUNDING)) as f32);
        Kernel::fastest().run(Possible { rest, query, squares, reach, per_step, off })
    }
}

/// Squared distances of codes from the first blocks of all rows.
struct FirstDistances<'a> {
    rows: &'a [[u8; BLOCK]],
    query: &'a [[i16; BLOCK]],
}

impl Loop for FirstDistances<'_> {
    type Output = Vec<i32>;

    #[inline(always)]
    fn run(self) -> Vec<i32> {
        let mut squares = Vec::with_capacity(self.rows.len() / self.query.len());
        for row in self.rows.chunks_exact(self.query.len()) {
            squares.push(squared_distance(row, self.query));
        }
        squares
    }
}

/// What [`Query::possible`] does.
struct Possible<'a> {
    rest: &'a [[u8; BLOCK]],
    query: &'a [[i16; BLOCK]],
    squares: &'a [i32],
    reach: &'a [f32],
    per_step: f32,
    off: f32,
}

impl Loop for Possible<'_> {
    type Output = Vec<(usize, i32)>;

    #[inline(always)]
    fn run(self) -> Vec<(usize, i32)> {
        let mut limits: Vec<f32> = self.reach.to_vec();
        for limit in &mut limits {
            let steps = *limit * self.per_step + self.off;
            *limit = steps * steps;
        }
        let mut rows = Vec::new();
        for (row, &limit) in limits.iter().enumerate() {
            let square = self.squares[row];
            if square as f32 > limit {
                continue;
            }
            let rest = &self.rest[row * self.query.len()..][..self.query.len()];
            let square = square.wrapping_add(squared_distance(rest, self.query));
            if square as f32 <= limit {
                rows.push((row, square));
            }
        }
        rows
    }
}

#[inline(always)]
fn squared_distance(row: &[[u8; BLOCK]], query: &[[i16; BLOCK]]) -> i32 {
    let mut sum = 0i32;
    for (row, query) in row.iter().zip(query) {
        for at in 0..BLOCK {
            // Processors multiply and add pairs of 16 bits at once.
            let difference = i32::from(i16::from(row[at]).wrapping_sub(query[at]));
            sum = sum.wrapping_add(difference.wrapping_mul(difference));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detector::arrays;

    /// Squared distances.
    fn exact(rows: &Matrix, x: &[f32]) -> Vec<f32> {
        rows.iter().map(|row| arrays::squared_distance(row, x)).collect()
    }

    #[test]
    fn far_rows_are_left_out() {
        // Rows at 0, 1, …, 255: one step each, no error.
        let rows = Matrix::new(1, (0..256u16).map(f32::from).collect());
        let coarse = CoarseRows::of(&rows);
        assert_eq!((coarse.step, coarse.error), (1.0, 0.0));
        let within = |x: f32, reach: f32| coarse.query(&[x]).within(&[reach; 256]);
        assert_eq!(within(100.0, 1.5), [99, 100, 101]);
        // 0.25 beside its code: 99 could be as near as 101 is.
        assert_eq!(within(100.25, 0.75), [99, 100, 101]);
        assert_eq!(within(100.25, 0.5), [100]);
        assert_eq!(within(300.0, 46.0), [254, 255]);
        assert_eq!(within(9_000.0, 8_750.0).last(), Some(&255), "beyond all codes");
        assert_eq!(within(-3.0, f32::INFINITY).len(), 256);
        assert_eq!(coarse.query(&[100.25]).nearest(1, 9.0), [100]);
        assert_eq!(coarse.query(&[100.25]).nearest(2, 9.0), [99, 100, 101]);
        assert_eq!(coarse.query(&[100.25]).likely(3, |_, square| -square), [100, 99, 101]);
        assert_eq!(coarse.query(&[100.25]).likely(2, |row, square| 2.0 * row as f32 - square), [101, 100]);
        assert_eq!(coarse.query(&[-7.0]).likely(1_000, |_, square| -square).len(), 256);
    }

    #[test]
    fn rows_without_codes_are_all_possible() {
        let rows = Matrix::new(MAX_COLUMNS + 1, vec![0.5; 2 * (MAX_COLUMNS + 1)]);
        let coarse = CoarseRows::of(&rows);
        let query = coarse.query(&vec![0.5; MAX_COLUMNS + 1]);
        assert_eq!(
            (query.nearest(1, 0.0), query.within(&[0.0; 2]), query.likely(1, |_, square| -square)),
            (vec![0, 1], vec![0, 1], vec![0])
        );
        let constant = CoarseRows::of(&Matrix::new(2, vec![0.5; 6]));
        assert_eq!(constant.query(&[0.5, 0.5]).within(&[0.0; 3]), [0, 1, 2]);
        let longest = Matrix::new(MAX_COLUMNS, [vec![0.0; MAX_COLUMNS], vec![1.0; MAX_COLUMNS]].concat());
        let coarse = CoarseRows::of(&longest);
        assert_eq!(coarse.query(&vec![1.0; MAX_COLUMNS]).within(&[1.0; 2]), [1]);
        assert_eq!(coarse.query(&vec![4.0; MAX_COLUMNS]).within(&[150.0; 2]), [1], "the largest distance fits");
    }

    proptest! {
        #[test]
        fn what_is_within_reach_is_found(
            columns in 1usize..300,
            count in 1usize..30,
            seed in 0u64..1_000,
            scale in prop::sample::select(vec![0.0f32, 1e-40, 1e-6, 0.1, 1.0, 1e3, 1e15]),
            spread in prop::sample::select(vec![0.0f32, 1e-6, 0.1, 1.0, 50.0, 1e20]),
        ) {
            use rand::{Rng, SeedableRng};
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let values = (0..count * columns).map(|_| scale * (random.random::<f32>() - 0.2)).collect();
            let rows = Matrix::new(columns, values);
            let near = rows.row(count / 2).to_vec();
            let x: Vec<f32> = near.iter().map(|v| v + scale * spread * (random.random::<f32>() - 0.5)).collect();
            let squares = exact(&rows, &x);
            let coarse = CoarseRows::of(&rows);
            let query = coarse.query(&x);
            let farthest: Vec<f32> = squares.iter().map(|square| square.sqrt()).collect();
            prop_assert_eq!(query.within(&farthest).len(), count, "each is within its own distance");
            let reach = farthest[count / 3];
            let found = query.within(&vec![reach; count]);
            prop_assert!(found.is_sorted());
            prop_assert!((0..count).all(|row| farthest[row] > reach || found.contains(&row)));
        }
    }
}
