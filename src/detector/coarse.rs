//! Rows of numbers in a quarter of their memory, to find out fast which of them can be near.

use super::arrays::Matrix;
use super::neighbours::largest;
use crate::simd::{Kernel, Loop};

/// Steps of a byte.
const STEPS: f64 = u8::MAX as f64;

/// Longest rows whose squared distances in steps fit into 32 bits.
const MAX_COLUMNS: usize = (u32::MAX / (u8::MAX as u32 * u8::MAX as u32)) as usize;

/// More than the share that rounding adds to or takes from a distance.
const ROUNDING: f64 = 1e-3;

/// The rows of a matrix with one byte per number, `low + step · code`, and how far they lie from the rows at most.
///
/// By the triangle inequality the distance of two points is that of their codes, give or take what the codes are off. So
/// the codes alone tell which rows cannot be among the nearest ones, and the exact distances of the few others give exactly
/// what a search through all rows gives: Weber, Schek, Blott, *A Quantitative Analysis and Performance Study for
/// Similarity-Search Methods in High-Dimensional Spaces*, VLDB 1998, §4 (the VA-file).
#[derive(Debug, Clone, PartialEq)]
pub struct CoarseRows {
    rows: usize,
    /// `N×D`; empty where the rows are too long.
    codes: Vec<u8>,
    low: f64,
    step: f64,
    /// Largest distance of a row from its codes.
    error: f64,
}

impl CoarseRows {
    /// The codes of all rows. Rows that are too long for them have none.
    pub fn of(rows: &Matrix) -> Self {
        let values = || rows.iter().flatten().map(|&value| f64::from(value));
        let (low, high) = values().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let step = ((high - low) / STEPS).max(f64::MIN_POSITIVE);
        let mut coarse = Self { rows: rows.rows(), codes: Vec::new(), low, step, error: 0.0 };
        for row in rows.iter().filter(|row| row.len() <= MAX_COLUMNS) {
            let (codes, error) = coarse.encoded(row);
            coarse.codes.extend(codes);
            coarse.error = coarse.error.max(error);
        }
        coarse
    }

    /// Rising indices of rows among which are the `k` nearest to `x`.
    pub fn candidates(&self, x: &[f32], k: usize) -> Vec<usize> {
        if self.codes.is_empty() {
            return (0..self.rows).collect();
        }
        let (code, error) = self.encoded(x);
        let squares = Kernel::fastest().run(CodeDistances { codes: &self.codes, code: &code });
        let nearest = largest(squares.iter().map(|&square| -(square as f32)), k);
        let farthest = nearest.last().map_or(0.0, |&(_, negative)| f64::from(-negative).sqrt());
        // The k rows with the nearest codes lie within `farthest + off`, and those with codes beyond twice that do not.
        let off = (self.error + error) / self.step;
        let limit = ((farthest + 2.0 * off) * (1.0 + ROUNDING)).powi(2);
        let squares = squares.into_iter().enumerate();
        squares.filter(|&(_, square)| f64::from(square) <= limit).map(|(row, _)| row).collect()
    }

    /// The nearest codes, and how far they are from `x`.
    fn encoded(&self, x: &[f32]) -> (Vec<u8>, f64) {
        let per_step = self.step.recip();
        // The conversion rounds towards zero, and keeps what is out of range within it.
        let codes: Vec<u8> = x.iter().map(|&x| ((f64::from(x) - self.low) * per_step + 0.5) as u8).collect();
        let differences =
            x.iter().zip(&codes).map(|(&x, &code)| f64::from(x) - (self.low + self.step * f64::from(code)));
        let error = differences.map(|difference| difference * difference).sum::<f64>().sqrt();
        (codes, error)
    }
}

/// Squared distance of one code from those of all rows, in steps.
struct CodeDistances<'a> {
    codes: &'a [u8],
    code: &'a [u8],
}

impl Loop for CodeDistances<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn run(self) -> Vec<u32> {
        let mut squares = Vec::with_capacity(self.codes.len() / self.code.len());
        for row in self.codes.chunks_exact(self.code.len()) {
            let mut sum = 0i32;
            for (&a, &b) in row.iter().zip(self.code) {
                // Processors multiply and add pairs of 16 bits at once.
                let difference = i32::from(i16::from(a).wrapping_sub(i16::from(b)));
                sum = sum.wrapping_add(difference.wrapping_mul(difference));
            }
            squares.push(sum as u32);
        }
        squares
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detector::arrays::squared_distance;

    /// The k nearest rows by a search through all of them.
    fn nearest(rows: &Matrix, x: &[f32], k: usize) -> Vec<(usize, f32)> {
        largest(rows.iter().map(|row| -squared_distance(row, x)), k)
    }

    /// The same through the candidates.
    fn nearest_candidates(rows: &Matrix, x: &[f32], k: usize) -> Vec<(usize, f32)> {
        let candidates = CoarseRows::of(rows).candidates(x, k);
        assert!(candidates.is_sorted());
        let squares = rows.squared_distances(candidates.iter().copied(), x);
        largest(squares.into_iter().map(|square| -square), k).into_iter().map(|(at, d)| (candidates[at], d)).collect()
    }

    #[test]
    fn far_rows_are_no_candidates() {
        // Rows at 0, 1, …, 255: one step each, no error.
        let rows = Matrix::new(1, (0..256u16).map(f32::from).collect());
        let coarse = CoarseRows::of(&rows);
        assert_eq!((coarse.step, coarse.error), (1.0, 0.0));
        assert_eq!(coarse.candidates(&[100.0], 3), [99, 100, 101]);
        // 0.25 beside its code: 99 could be as near as 101, which is the third.
        assert_eq!(coarse.candidates(&[100.25], 3), [99, 100, 101]);
        assert_eq!(coarse.candidates(&[100.25], 2), [99, 100, 101]);
        assert_eq!(coarse.candidates(&[100.25], 1), [100]);
        assert_eq!(coarse.candidates(&[300.0], 1).last(), Some(&255), "out of range");
        assert_eq!(coarse.candidates(&[0.0], 1_000).len(), 256);
    }

    #[test]
    fn constant_rows_and_extreme_numbers_are_searched_in_full() {
        for rows in [vec![0.0; 6], vec![1e-40; 6], vec![f32::MAX, f32::MIN, 0.0, 1.0, f32::MIN, f32::MAX]] {
            let rows = Matrix::new(2, rows);
            for x in [[0.0, 0.0], [1e-40, 1.0], [f32::MAX, f32::MIN], [3.0, 4.0]] {
                assert_eq!(nearest_candidates(&rows, &x, 2), nearest(&rows, &x, 2), "{x:?}");
            }
        }
    }

    #[test]
    fn rows_that_are_too_long_are_all_candidates() {
        let rows = Matrix::new(MAX_COLUMNS + 1, vec![0.5; 2 * (MAX_COLUMNS + 1)]);
        assert_eq!(CoarseRows::of(&rows).candidates(&vec![0.5; MAX_COLUMNS + 1], 1), [0, 1]);
        let longest = Matrix::new(MAX_COLUMNS, [vec![0.0; MAX_COLUMNS], vec![1.0; MAX_COLUMNS]].concat());
        assert_eq!(CoarseRows::of(&longest).candidates(&vec![1.0; MAX_COLUMNS], 1), [1], "the largest distance fits");
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_full_search(
            columns in 1usize..40,
            count in 1usize..60,
            seed in 0u64..1_000,
            spread in prop::sample::select(vec![1e-6f32, 0.1, 1.0, 50.0]),
            k in 1usize..8,
        ) {
            use rand::{Rng, SeedableRng};
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            // Some rows are equal, some differ by rounding.
            let mut values: Vec<f32> = (0..count * columns).map(|_| random.random::<f32>()).collect();
            for row in (columns..values.len()).step_by(3 * columns) {
                values.copy_within(row - columns..row, row);
                values[row] *= 1.0 + f32::EPSILON * (random.random_range(0..3) as f32);
            }
            let rows = Matrix::new(columns, values);
            let x: Vec<f32> = rows.row(count / 2).iter().map(|v| v + spread * (random.random::<f32>() - 0.5)).collect();
            prop_assert_eq!(nearest_candidates(&rows, &x, k), nearest(&rows, &x, k));
        }
    }
}
