//! From activations to bits: which neurons count and above what values each is on.

use ndarray::{ArrayView1, ArrayView2};

use super::bits::{WORD_BITS, check_width};
use super::{Pattern, PatternError};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// A bit is dropped when fewer than this share of the training images turn it on (or off): a bit that is the same for all
/// but one image in a thousand tells nothing about the class, yet costs time in every comparison.
pub const MIN_SHARE: f64 = 0.001;

/// Quantiles of the training activations that are thresholds.
pub const QUANTILES: [f64; 3] = [0.25, 0.5, 0.75];

/// Turns the activations of one layer into a [`Pattern`]: one bit per kept neuron and threshold, on when the activation
/// exceeds it. The thresholds of a neuron are the quartiles of its training activations.
///
/// Quartiles and not zero: pooled or normalised activations hardly ever are zero, and a threshold that all images exceed
/// makes all patterns equal. Several thresholds form a thermometer code (Buckman et al., ICLR 2018, §3), in which the
/// Hamming distance counts by how many quarters two activations differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Binarizer {
    neurons: Slab<u32>,
    thresholds: Slab<f32>,
}

impl Binarizer {
    /// Learns thresholds from `N×D` finite activations. Neurons that hardly vary are dropped. When the rest would need more
    /// than `max_bits` (1 to [`super::MAX_WIDTH`]), those are kept whose `relevance` (one number per neuron) is largest.
    ///
    /// # Errors
    /// [`PatternError`] when there is no activation or no neuron varies.
    pub fn fit(activations: ArrayView2<'_, f32>, relevance: &[f64], max_bits: usize) -> Result<Self, PatternError> {
        check_width(max_bits)?;
        if activations.is_empty() {
            return Err(PatternError::NoActivations);
        }
        let columns = activations.columns().into_iter().zip(0u32..);
        let neurons = columns.map(|(values, neuron)| (neuron, thresholds(values)));
        let bits =
            most_relevant(neurons.filter(|(_, thresholds)| !thresholds.is_empty()).collect(), relevance, max_bits);
        let bits = bits.iter().flat_map(|(neuron, thresholds)| thresholds.iter().map(move |&value| (*neuron, value)));
        let (neurons, thresholds): (Vec<u32>, Vec<f32>) = bits.unzip();
        if neurons.is_empty() {
            return Err(PatternError::Constant { neurons: activations.ncols(), images: activations.nrows() });
        }
        Ok(Self { neurons: neurons.into(), thresholds: thresholds.into() })
    }

    /// Number of bits of a pattern.
    #[must_use]
    pub fn width(&self) -> usize {
        self.neurons.len()
    }

    /// The neuron that bit `i` stands for, for every bit; rising.
    #[must_use]
    pub fn neurons(&self) -> &[u32] {
        &self.neurons
    }

    /// The value above which bit `i` is on, for every bit.
    #[must_use]
    pub fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// The pattern of one image's `D` activations. Panics when there are fewer than in training.
    #[must_use]
    pub fn pattern(&self, activations: ArrayView1<'_, f32>) -> Pattern {
        match activations.as_slice() {
            Some(values) => self.compare(|neuron| values[neuron]),
            None => self.compare(|neuron| activations[neuron]),
        }
    }

    fn compare(&self, activation: impl Fn(usize) -> f32) -> Pattern {
        let words =
            self.neurons.chunks(WORD_BITS).zip(self.thresholds.chunks(WORD_BITS)).map(|(neurons, thresholds)| {
                let bits =
                    neurons.iter().zip(thresholds).map(|(&neuron, &threshold)| activation(neuron as usize) > threshold);
                bits.rev().fold(0, |word, bit| word << 1 | u64::from(bit))
            });
        Pattern::from_words(words.collect())
    }

    /// Writes the tensors `neurons` and `thresholds`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("neurons", &[self.width()], &self.neurons);
        out.put("thresholds", &[self.width()], &self.thresholds);
    }

    /// Reads what [`Binarizer::save`] wrote, for a layer of `activations` neurons.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing, misshapen or names a neuron that does not exist.
    pub fn load(tensors: &TensorReader<'_>, activations: usize) -> Result<Self, StorageError> {
        let neurons = tensors.vector::<u32>("neurons")?;
        let thresholds = tensors.get("thresholds", [neurons.len()])?;
        check_width(neurons.len()).map_err(|error| tensors.invalid("neurons", error.to_string()))?;
        if let Some(neuron) = neurons.iter().find(|&&neuron| neuron as usize >= activations) {
            return Err(tensors.invalid("neurons", format!("neuron {neuron} is not below {activations}")));
        }
        Ok(Self { neurons, thresholds })
    }
}

/// The neurons that fit into `max_bits`, the least relevant left out.
fn most_relevant(mut neurons: Vec<(u32, Vec<f32>)>, relevance: &[f64], max_bits: usize) -> Vec<(u32, Vec<f32>)> {
    let mut order: Vec<usize> = (0..neurons.len()).collect();
    order.sort_by(|&a, &b| relevance[neurons[b].0 as usize].total_cmp(&relevance[neurons[a].0 as usize]));
    let mut bits = 0;
    let mut kept: Vec<usize> = order
        .into_iter()
        .take_while(|&index| {
            bits += neurons[index].1.len();
            bits <= max_bits
        })
        .collect();
    kept.sort_unstable();
    kept.into_iter().map(|index| std::mem::take(&mut neurons[index])).collect()
}

/// Distinct thresholds of one neuron, rising; empty for a neuron that hardly varies.
fn thresholds(values: ArrayView1<'_, f32>) -> Vec<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let mut thresholds: Vec<f32> = QUANTILES.iter().filter_map(|&quantile| threshold(&sorted, quantile)).collect();
    thresholds.dedup();
    thresholds
}

/// The (lower) quantile, or the next smaller value where it is also the largest; `None` where the bit hardly varies.
fn threshold(sorted: &[f32], quantile: f64) -> Option<f32> {
    let value = sorted[((sorted.len() - 1) as f64 * quantile) as usize];
    let at_most = |limit: f32| sorted.partition_point(|&value| value <= limit);
    let threshold = if at_most(value) < sorted.len() {
        value
    } else {
        sorted[..sorted.partition_point(|&other| other < value)].last().copied()?
    };
    let off = at_most(threshold) as f64 / sorted.len() as f64;
    (off.min(1.0 - off) >= MIN_SHARE).then_some(threshold)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::MAX_WIDTH;

    fn fit(activations: ArrayView2<'_, f32>) -> Result<Binarizer, PatternError> {
        Binarizer::fit(activations, &vec![0.0; activations.ncols()], MAX_WIDTH)
    }

    #[test]
    fn thresholds_are_quartiles_and_constant_neurons_are_dropped() {
        let activations = array![[1.0, 7.0, 0.0], [2.0, 7.0, 0.0], [3.0, 7.0, 0.0], [4.0, 7.0, 5.0], [5.0, 7.0, 5.0]];
        let binarizer = fit(activations.view()).unwrap();
        assert_eq!(binarizer.neurons(), [0, 0, 0, 2]);
        assert_eq!(binarizer.thresholds(), [2.0, 3.0, 4.0, 0.0]);
        assert_eq!(binarizer.pattern(array![2.0, 9.0, 0.1].view()).words(), [0b1000]);
        assert_eq!(binarizer.pattern(array![3.1, 9.0, 0.0].view()).words(), [0b0011]);
    }

    #[test]
    fn a_neuron_that_is_mostly_at_its_maximum_is_on_there() {
        assert_eq!(fit(array![[6.0], [6.0], [6.0], [0.0], [1.0]].view()).unwrap().thresholds(), [1.0]);
    }

    #[test]
    fn a_neuron_that_one_image_in_two_thousand_turns_on_is_dropped() {
        let mut activations = Array2::zeros((2000, 2));
        activations.column_mut(0).iter_mut().zip(0u16..).for_each(|(value, row)| *value = f32::from(row));
        activations[(7, 1)] = 3.0;
        assert_eq!(fit(activations.view()).unwrap().neurons(), [0, 0, 0]);
    }

    #[test]
    fn the_least_relevant_neurons_make_room() {
        let wide = Array2::from_shape_fn((4, 1400), |(row, _)| row as f32);
        let mut relevance = vec![1.0; 1400];
        relevance[3] = 0.5;
        relevance[1399] = 9.0;
        let binarizer = Binarizer::fit(wide.view(), &relevance, 500).unwrap();
        assert!(binarizer.width() <= 500 && binarizer.width() > 497);
        assert!(!binarizer.neurons().contains(&3) && binarizer.neurons().contains(&1399));
        assert!(binarizer.neurons().is_sorted());
    }

    #[test]
    fn nothing_to_learn_from_is_said() {
        assert_eq!(fit(Array2::zeros((0, 4)).view()), Err(PatternError::NoActivations));
        let constant = PatternError::Constant { neurons: 4, images: 9 };
        assert_eq!(fit(Array2::ones((9, 4)).view()), Err(constant));
    }

    proptest! {
        #[test]
        fn the_code_is_a_thermometer(values in prop::collection::vec(-9i8..9, 2..60), one in -9i8..9, other in -9i8..9) {
            let column = Array2::from_shape_fn((values.len(), 1), |(row, _)| f32::from(values[row]));
            match fit(column.view()) {
                Ok(binarizer) => {
                    prop_assert!(binarizer.thresholds().is_sorted());
                    let bits = |value: i8| binarizer.pattern(ndarray::arr1(&[f32::from(value)]).view());
                    let ones = |value: i8| bits(value).words()[0].count_ones();
                    prop_assert!(ones(one.min(other)) <= ones(one.max(other)));
                    prop_assert_eq!(bits(one).distance(&bits(other)), ones(one).abs_diff(ones(other)));
                    for &threshold in binarizer.thresholds() {
                        prop_assert!(column.iter().any(|&value| value > threshold));
                        prop_assert!(column.iter().any(|&value| value <= threshold));
                    }
                }
                Err(error) => {
                    prop_assert!(values.iter().all(|value| *value == values[0]), "{error}");
                }
            }
        }
    }
}
