//! Training images that are kept to compare others with.

use sha2::{Digest, Sha256};

use super::arrays::{Matrix, load_classes};
use super::coarse::CoarseRows;
use super::statistics::unit;
use super::{FitInput, Part, Place};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Rows of the correctly classified training images to keep: all of them, or the `at_most` whose keys have the smallest
/// SHA-256. The choice and its order depend on the set of keys only, so shards and the order of the images have no
/// influence, and it is as good as random.
pub fn choose(input: &FitInput<'_>, at_most: usize) -> Vec<usize> {
    let digest = |&row: &usize| (Sha256::digest(&input.bank.keys()[row]), row);
    let mut digests: Vec<_> = input.correct().iter().map(digest).collect();
    digests.sort_unstable();
    digests.into_iter().take(at_most).map(|(_, row)| row).collect()
}

/// The `k` largest of some values and their positions, the largest first; the first of equals. Fewer when there are fewer.
pub fn largest(values: impl Iterator<Item = f32>, k: usize) -> Vec<(usize, f32)> {
    let mut kept: Vec<(usize, f32)> = Vec::with_capacity(k + 1);
    let mut bound = f32::NEG_INFINITY;
    for (index, value) in values.enumerate() {
        if value <= bound {
            continue;
        }
        kept.insert(kept.partition_point(|&(_, other)| other >= value), (index, value));
        kept.truncate(k);
        if kept.len() == k {
            bound = kept.last().map_or(f32::INFINITY, |&(_, value)| value);
        }
    }
    kept
}

/// Normalised penultimate activations ẑ = z/‖z‖ of training images, and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// `N×D`, `N ≥ 1`, rows of length 1 (or 0 where z is 0).
    rows: Matrix,
    /// `N`.
    classes: Slab<u32>,
    coarse: CoarseRows,
}

impl Neighbours {
    /// Those of the given rows of the bank, at least one.
    pub fn of(input: &FitInput<'_>, rows: &[usize]) -> Self {
        let z = input.bank.penultimate();
        let units = rows.iter().flat_map(|&row| unit(&z.row(row).to_owned())).collect();
        let classes: Vec<u32> = rows.iter().map(|&row| input.bank.labels()[row] as u32).collect();
        Self::new(Matrix::new(z.ncols(), units), classes.into())
    }

    fn new(rows: Matrix, classes: Slab<u32>) -> Self {
        Self { coarse: CoarseRows::of(&rows), rows, classes }
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.rows.rows()
    }

    /// Class of image `index`.
    pub fn class(&self, index: usize) -> usize {
        self.classes[index] as usize
    }

    /// The `k` images with the smallest `‖ẑ − ẑ_i‖²`, the nearest first, the first of equals. `‖ẑ − ẑ_i‖²` takes no longer
    /// than `2 − 2 ẑ·ẑ_i`, loses nothing where the two are close, and is right for z = 0.
    pub fn nearest(&self, unit: &[f32], k: usize) -> Vec<(usize, f32)> {
        let candidates = self.coarse.candidates(unit, k);
        let squares = self.rows.squared_distances(candidates.iter().copied(), unit);
        let nearest = largest(squares.into_iter().map(|square| -square), k);
        nearest.into_iter().map(|(index, negative)| (candidates[index], -negative)).collect()
    }

    /// `cos(ẑ, ẑ_i)` for every image i; 0 for z = 0.
    pub fn cosines(&self, unit: &[f32]) -> Vec<f32> {
        self.rows.dots(unit)
    }

    /// Per neuron j of layer `layer`, `(ẑ_j − ẑ_ij)²` with i = `index`; expected is ẑ_ij.
    pub fn differences(&self, index: usize, unit: &[f32], layer: usize) -> impl Iterator<Item = Part> {
        unit.iter().zip(self.rows.row(index)).enumerate().map(move |(neuron, (&value, &expected))| Part {
            place: Place::Unit { layer, unit: neuron },
            contribution: (value - expected) * (value - expected),
            value,
            expected,
        })
    }

    /// Writes the tensors `neighbours` and `classes`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        self.rows.save("neighbours", out);
        out.put("classes", &[self.classes.len()], &self.classes);
    }

    /// Reads what [`Neighbours::save`] wrote, for `neurons` activations and `classes` classes.
    pub fn load(tensors: &TensorReader<'_>, neurons: usize, classes: usize) -> Result<Self, StorageError> {
        let [images, _] = tensors.shape::<f32, 2>("neighbours")?;
        if images == 0 {
            return Err(tensors.invalid("neighbours", "there is no image"));
        }
        let classes = load_classes(tensors, images, classes)?;
        Ok(Self::new(Matrix::load("neighbours", tensors, images, neurons)?, classes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activation::FeatureBank;
    use crate::detector::testing::{bank, synthetic_bank, vector_image};

    #[test]
    fn the_smallest_digests_are_kept() {
        // SHA-256 of "a" is ca978112…, of "b" 3e23e816…, of "c" 2e7d2c03…, of "d" 18ac3e73….
        let mut bank = FeatureBank::new(bank(&[(0, vector_image(&[1.0, 0.0], &[3.0, 4.0]))]).layout().clone());
        for (key, label) in [("a", 0), ("b", 0), ("c", 0), ("d", 1)] {
            bank.push(key, label, &vector_image(&[1.0, 0.0], &[3.0, 4.0])).unwrap();
        }
        let input = FitInput::new(&bank, None).unwrap();
        assert_eq!(choose(&input, 2), [2, 1], "d is misclassified");
        assert_eq!(choose(&input, 9), [2, 1, 0]);
        let neighbours = Neighbours::of(&input, &[1]);
        assert_eq!((neighbours.images(), neighbours.class(0), neighbours.rows.row(0)), (1, 0, [0.6, 0.8].as_slice()));
        assert_eq!(neighbours.cosines(&[0.0, 1.0]), [0.8]);
    }

    #[test]
    fn the_order_of_the_images_has_no_influence() {
        let bank = synthetic_bank(3, 30, 1);
        let reversed = bank.select(&(0..bank.len()).rev().collect::<Vec<_>>());
        let chosen = [bank, reversed].map(|bank| {
            let input = FitInput::new(&bank, None).unwrap();
            Neighbours::of(&input, &choose(&input, 20))
        });
        assert_eq!(chosen[0], chosen[1]);
        assert_eq!(chosen[0].images(), 20);
    }

    proptest! {
        #[test]
        fn the_largest_are_those_of_a_sorted_list(values in prop::collection::vec(-9i8..9, 0..40), k in 1usize..12) {
            let mut sorted: Vec<(usize, f32)> = values.iter().map(|&value| f32::from(value)).enumerate().collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            sorted.truncate(k);
            prop_assert_eq!(largest(values.iter().map(|&value| f32::from(value)), k), sorted);
        }
    }
}
