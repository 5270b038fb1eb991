//! Matrices of fitted numbers and the inner loops of the scores.

use crate::simd::{Kernel, Loop};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// A row-major matrix that may lie in a mapped file.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    columns: usize,
    values: Slab<f32>,
}

impl Matrix {
    /// A matrix of rows of `columns` numbers. Panics when `values` is not a whole number of rows.
    pub fn new(columns: usize, values: Vec<f32>) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "{} numbers in rows of {columns}", values.len());
        Self { columns, values: values.into() }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row `index`. Panics when there is no such row.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns)
    }

    /// Writes it as tensor `name`.
    pub fn save(&self, name: &str, out: &mut TensorWriter<'_>) {
        out.put(name, &[self.rows(), self.columns], &self.values);
    }

    /// Reads tensor `name`, which must have this shape.
    pub fn load(name: &str, tensors: &TensorReader<'_>, rows: usize, columns: usize) -> Result<Self, StorageError> {
        if columns == 0 {
            return Err(tensors.invalid(name, "its rows are empty"));
        }
        Ok(Self { columns, values: tensors.get(name, [rows, columns])? })
    }
}

/// Reads the tensor `classes`: the class of each of `count` stored examples, all below `classes`.
pub fn load_classes(tensors: &TensorReader<'_>, count: usize, classes: usize) -> Result<Slab<u32>, StorageError> {
    let labels = tensors.get::<u32, 1>("classes", [count])?;
    if labels.iter().any(|&class| class as usize >= classes) {
        return Err(tensors.invalid("classes", "one is not a class of the model"));
    }
    Ok(labels)
}

/// Numbers that are added side by side.
pub const LANES: usize = 8;

/// Sum over `a[i] · b[i]`, in a fixed order that the compiler can vectorise.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_lanes([0.0; LANES], a, b, |a, b| a * b)
}

/// Sum over `(a[i] − b[i])²`.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    sum_lanes([0.0; LANES], a, b, |a, b| (a - b) * (a - b))
}

impl Matrix {
    /// [`dot`] of the given rows with `x`.
    pub fn dots(&self, rows: &[usize], x: &[f32]) -> Vec<f32> {
        self.sums(rows.len(), |index| (rows[index], self.columns), x, |a, b| a * b)
    }

    /// [`dot`] of every row with `x`.
    pub fn all_dots(&self, x: &[f32]) -> Vec<f32> {
        self.sums(self.rows(), |row| (row, self.columns), x, |a, b| a * b)
    }

    /// [`dot`] of every row of a lower triangular matrix with `x`: what is above the diagonal is not read.
    pub fn triangular_dots(&self, x: &[f32]) -> Vec<f32> {
        self.sums(self.rows(), |row| (row, row + 1), x, |a, b| a * b)
    }

    /// [`squared_distance`] of every row from `x`.
    pub fn all_squared_distances(&self, x: &[f32]) -> Vec<f32> {
        self.sums(self.rows(), |row| (row, self.columns), x, |a, b| (a - b) * (a - b))
    }

    /// [`squared_distance`] of the given rows from `x`.
    pub fn squared_distances(&self, rows: &[usize], x: &[f32]) -> Vec<f32> {
        self.sums(rows.len(), |index| (rows[index], self.columns), x, |a, b| (a - b) * (a - b))
    }

    /// `count` sums of terms; `part` tells for each of them the row and the number of its first columns that count.
    fn sums(
        &self,
        count: usize,
        part: impl Fn(usize) -> (usize, usize),
        x: &[f32],
        term: impl Fn(f32, f32) -> f32,
    ) -> Vec<f32> {
        let values: &[f32] = &self.values;
        let row = |index| {
            let (row, length) = part(index);
            &values[row * self.columns..][..length]
        };
        Kernel::fastest_of_256_bits().run(Sums { count, row, x, term })
    }
}

/// [`sum_lanes`] of `x` with some rows that are at most as long.
struct Sums<'a, R, T> {
    count: usize,
    row: R,
    x: &'a [f32],
    term: T,
}

/// Rows that are summed up at the same time: a processor can begin several sums before the first is done.
const ROWS: usize = 4;

impl<'a, R: Fn(usize) -> &'a [f32], T: Fn(f32, f32) -> f32> Loop for Sums<'a, R, T> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        let mut sums = vec![0.0; self.count];
        let (groups, rest) = sums.as_chunks_mut::<ROWS>();
        for (group, sums) in groups.iter_mut().enumerate() {
            let rows: [&[f32]; ROWS] = std::array::from_fn(|row| (self.row)(group * ROWS + row));
            let blocks = rows.iter().map(|row| row.len()).min().unwrap_or(0) / LANES;
            let mut lanes = [[0.0; LANES]; ROWS];
            let (x, _) = self.x.as_chunks::<LANES>();
            let starts = rows.map(|row| &row.as_chunks::<LANES>().0[..blocks]);
            for (block, x) in x[..blocks].iter().enumerate() {
                for (lanes, row) in lanes.iter_mut().zip(&starts) {
                    add(lanes, x, &row[block], &self.term);
                }
            }
            let done = blocks * LANES;
            for ((sum, lanes), row) in sums.iter_mut().zip(lanes).zip(rows) {
                *sum = sum_lanes(lanes, &self.x[done..row.len()], &row[done..], &self.term);
            }
        }
        for (sum, index) in rest.iter_mut().zip(self.count / ROWS * ROWS..) {
            let row = (self.row)(index);
            *sum = sum_lanes([0.0; LANES], &self.x[..row.len()], row, &self.term);
        }
        sums
    }
}

#[inline(always)]
fn add(lanes: &mut [f32; LANES], a: &[f32; LANES], b: &[f32; LANES], term: impl Fn(f32, f32) -> f32) {
    for lane in 0..LANES {
        lanes[lane] += term(a[lane], b[lane]);
    }
}

/// Adds the terms of `a` and `b` to the lanes, and these together.
#[inline(always)]
fn sum_lanes(mut lanes: [f32; LANES], a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        add(&mut lanes, a, b, &term);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&a, &b)| term(a, b)).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_agree_with_plain_loops(pairs in prop::collection::vec((-9f32..9.0, -9f32..9.0), 0..70)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let pairs = || a.iter().zip(&b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
            let product: f64 = pairs().map(|(a, b)| a * b).sum();
            let distance: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
            assert_relative_eq!(f64::from(dot(&a, &b)), product, epsilon = 1e-2, max_relative = 1e-4);
            assert_relative_eq!(f64::from(squared_distance(&a, &b)), distance, epsilon = 1e-2, max_relative = 1e-4);
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_same_bits(x in prop::collection::vec(-9f32..9.0, 1..70), seed in 0usize..99) {
            let rows = x.len();
            let values = (0..rows * rows).map(|index| ((index * 31 + seed) % 97) as f32 / 7.0 - 6.0).collect();
            let matrix = Matrix::new(rows, values);
            let all = || matrix.iter().enumerate();
            prop_assert_eq!(matrix.all_dots(&x), all().map(|(_, row)| dot(row, &x)).collect::<Vec<_>>());
            let triangle = all().map(|(index, row)| dot(&row[..=index], &x[..=index]));
            prop_assert_eq!(matrix.triangular_dots(&x), triangle.collect::<Vec<_>>());
            let rows: Vec<usize> = (0..rows).step_by(3).collect();
            let some = rows.iter().map(|&row| squared_distance(matrix.row(row), &x));
            prop_assert_eq!(matrix.squared_distances(&rows, &x), some.collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_by_hand() {
        let matrix = Matrix::new(2, vec![1.0, 2.0, 3.0, 4.0]);
        assert_eq!((matrix.rows(), matrix.row(1)), (2, [3.0, 4.0].as_slice()));
        assert_eq!(matrix.iter().map(|row| row[0]).sum::<f32>(), 4.0);
    }
}
