//! Training images that are kept to compare others with.

use sha2::{Digest, Sha256};

use super::arrays::{Matrix, load_classes};
use super::coarse::CoarseRows;
use super::statistics::unit;
use super::{FitInput, Part, Place};
use crate::simd::{Kernel, Loop};
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
pub fn largest(values: &[f32], k: usize) -> Vec<(usize, f32)> {
    /// Values that are looked at together, since hardly any is among the largest.
    const BLOCK: usize = 16;
    let mut kept: Vec<(usize, f32)> = Vec::with_capacity(k + 1);
    let mut bound = f32::NEG_INFINITY;
    for (number, block) in values.chunks(BLOCK).enumerate() {
        if block.iter().fold(true, |all, value| all & (*value <= bound)) {
            continue;
        }
        for (index, &value) in (number * BLOCK..).zip(block) {
            if value <= bound {
                continue;
            }
            kept.insert(kept.partition_point(|&(_, other)| other >= value), (index, value));
            kept.truncate(k);
            if kept.len() == k {
                bound = kept.last().map_or(f32::INFINITY, |&(_, value)| value);
            }
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
        let query = self.coarse.query(unit);
        let likely = self.rows.squared_distances(&query.likely(k, |_, square| -square), unit);
        let reach = likely.into_iter().fold(0.0, f32::max).sqrt();
        let possible = query.nearest(k, reach);
        let negative: Vec<f32> = self.rows.squared_distances(&possible, unit).iter().map(|square| -square).collect();
        largest(&negative, k).into_iter().map(|(index, negative)| (possible[index], -negative)).collect()
    }

    /// The `k` images with the largest `w_i cos(ẑ, ẑ_i)`, the largest first, the first of equals, for weights w; the cosine is 0
    /// for z = 0.
    pub fn most_similar(&self, unit: &[f32], weights: &[f32], k: usize) -> Vec<(usize, f32)> {
        let query = self.coarse.query(unit);
        let likely = query.likely(k, |row, square| weights[row] * (1.0 - 0.5 * square));
        let likely = self.similarities(unit, weights, &likely);
        let least = likely.into_iter().fold(f32::INFINITY, f32::min);
        let possible = query.within(&Kernel::fastest().run(Reaches { weights, least }));
        let similarities = self.similarities(unit, weights, &possible);
        largest(&similarities, k).into_iter().map(|(index, value)| (possible[index], value)).collect()
    }

    fn similarities(&self, unit: &[f32], weights: &[f32], rows: &[usize]) -> Vec<f32> {
        let cosines = self.rows.dots(rows, unit);
        rows.iter().zip(cosines).map(|(&row, cosine)| weights[row] * cosine).collect()
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

/// How far unit vectors may be from another one so that `w_i` times their cosine can be at least `least`.
struct Reaches<'a> {
    weights: &'a [f32],
    least: f32,
}

impl Loop for Reaches<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run(self) -> Vec<f32> {
        /// More than the rounding of a cosine.
        const ROUNDING: f32 = 1e-4;
        let mut reaches = vec![f32::INFINITY; self.weights.len()];
        if self.least > 0.0 {
            for (reach, &weight) in reaches.iter_mut().zip(self.weights) {
                // ‖ẑ − ẑ_i‖² = 2 − 2 cos(ẑ, ẑ_i)
                let square = 2.0 - 2.0 * self.least / weight + ROUNDING;
                *reach = if weight > 0.0 { square.max(0.0).sqrt() } else { f32::INFINITY };
            }
        }
        reaches
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activation::FeatureBank;
    use crate::detector::arrays::{dot, squared_distance};
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
        assert_eq!(neighbours.most_similar(&[0.0, 1.0], &[2.0], 3), [(0, 1.6)]);
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
        fn a_search_finds_what_comparing_all_finds(
            neurons in 1usize..150, images in 1usize..60, k in 1usize..8, seed in 0u64..1_000, negative in any::<bool>()
        ) {
            use rand::{Rng, SeedableRng};
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut vector = |center: f32| -> Vec<f32> {
                unit(&(0..neurons).map(|_| (random.random::<f32>() - 0.3 + center).max(0.0)).collect())
            };
            let rows: Vec<Vec<f32>> = (0..images).map(|image| vector((image % 3) as f32)).collect();
            let query = vector(1.0);
            let weights: Vec<f32> = (0..images).map(|i| (i % 7 + 2) as f32 * if negative { -0.5 } else { 1.5 }).collect();
            let neighbours = Neighbours::new(Matrix::new(neurons, rows.concat()), vec![0; images].into());
            let squares: Vec<f32> = rows.iter().map(|row| -squared_distance(row, &query)).collect();
            let nearest = largest(&squares, k).into_iter().map(|(index, square)| (index, -square));
            prop_assert_eq!(neighbours.nearest(&query, k), nearest.collect::<Vec<_>>());
            let similarities = rows.iter().zip(&weights).map(|(row, weight)| weight * dot(row, &query));
            let similarities: Vec<f32> = similarities.collect();
            prop_assert_eq!(neighbours.most_similar(&query, &weights, k), largest(&similarities, k));
        }

        #[test]
        fn the_largest_are_those_of_a_sorted_list(values in prop::collection::vec(-50i8..50, 0..90), k in 1usize..12) {
            let mut sorted: Vec<(usize, f32)> = values.iter().map(|&value| f32::from(value)).enumerate().collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            sorted.truncate(k);
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            prop_assert_eq!(largest(&values, k), sorted);
        }
    }
}
