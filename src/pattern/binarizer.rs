//! From activations to bits: which neurons count and above what value each is on.

use ndarray::{ArrayView1, ArrayView2};

use super::bits::check_width;
use super::{Pattern, PatternError};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// A neuron is dropped when fewer than this share of the training images turn it on (or off): a bit that is the same
/// for all but one image in a thousand tells nothing about the class, yet costs time in every comparison.
pub const MIN_SHARE: f64 = 0.001;

/// Turns the activations of one layer into a [`Pattern`]: one bit per kept neuron, on when its activation exceeds the
/// neuron's median over the training images.
///
/// The median and not zero: pooled or normalised activations hardly ever are zero, and a threshold that all images
/// exceed makes all patterns equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Binarizer {
    neurons: Slab<u32>,
    thresholds: Slab<f32>,
}

impl Binarizer {
    /// Learns thresholds from `N×D` finite activations.
    ///
    /// # Errors
    /// [`PatternError`] when there is no activation, no neuron varies, or too many do.
    pub fn fit(activations: ArrayView2<'_, f32>) -> Result<Self, PatternError> {
        if activations.is_empty() {
            return Err(PatternError::NoActivations);
        }
        let columns = activations.columns().into_iter().zip(0u32..);
        let kept = columns.filter_map(|(values, neuron)| Some((neuron, threshold(values)?)));
        let (neurons, thresholds): (Vec<u32>, Vec<f32>) = kept.unzip();
        if neurons.is_empty() {
            return Err(PatternError::Constant { neurons: activations.ncols(), images: activations.nrows() });
        }
        check_width(neurons.len())?;
        Ok(Self { neurons: neurons.into(), thresholds: thresholds.into() })
    }

    /// Number of bits of a pattern.
    #[must_use]
    pub fn width(&self) -> usize {
        self.neurons.len()
    }

    /// The neuron that bit `i` stands for, for every bit.
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
        let bits = self.neurons.iter().zip(self.thresholds.iter());
        Pattern::pack(bits.map(|(&neuron, &threshold)| activations[neuron as usize] > threshold))
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

/// The (lower) median, or the next smaller value where the median is also the largest; `None` for a neuron that hardly
/// varies.
fn threshold(values: ArrayView1<'_, f32>) -> Option<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let median = sorted[(sorted.len() - 1) / 2];
    let at_most = |limit: f32| sorted.partition_point(|&value| value <= limit);
    let threshold = if at_most(median) < sorted.len() {
        median
    } else {
        sorted[..sorted.partition_point(|&value| value < median)].last().copied()?
    };
    let off = at_most(threshold) as f64 / sorted.len() as f64;
    (off.min(1.0 - off) >= MIN_SHARE).then_some(threshold)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn thresholds_are_medians_and_constant_neurons_are_dropped() {
        let activations = array![[1.0, 7.0, 0.0], [2.0, 7.0, 0.0], [3.0, 7.0, 0.0], [4.0, 7.0, 5.0]];
        let binarizer = Binarizer::fit(activations.view()).unwrap();
        assert_eq!(binarizer.neurons(), [0, 2]);
        assert_eq!(binarizer.thresholds(), [2.0, 0.0]);
        assert_eq!(binarizer.pattern(array![2.0, 9.0, 0.1].view()).words(), [0b10]);
        assert_eq!(binarizer.pattern(array![2.1, 9.0, 0.0].view()).words(), [0b01]);
    }

    #[test]
    fn a_neuron_that_is_mostly_at_its_maximum_is_on_there() {
        let binarizer = Binarizer::fit(array![[6.0], [6.0], [6.0], [0.0], [1.0]].view()).unwrap();
        assert_eq!(binarizer.thresholds(), [1.0]);
    }

    #[test]
    fn a_neuron_that_one_image_in_two_thousand_turns_on_is_dropped() {
        let mut activations = Array2::zeros((2000, 2));
        activations.column_mut(0).iter_mut().zip(0u16..).for_each(|(value, row)| *value = f32::from(row));
        activations[(7, 1)] = 3.0;
        assert_eq!(Binarizer::fit(activations.view()).unwrap().neurons(), [0]);
    }

    #[test]
    fn nothing_to_learn_from_is_said() {
        assert_eq!(Binarizer::fit(Array2::zeros((0, 4)).view()), Err(PatternError::NoActivations));
        let constant = PatternError::Constant { neurons: 4, images: 9 };
        assert_eq!(Binarizer::fit(Array2::ones((9, 4)).view()), Err(constant));
        let wide = Array2::from_shape_fn((2, 4097), |(row, _)| row as f32);
        assert_eq!(Binarizer::fit(wide.view()), Err(PatternError::Width { width: 4097 }));
    }

    proptest! {
        #[test]
        fn at_most_half_of_the_training_images_exceed_a_median(values in prop::collection::vec(-9i8..9, 2..60)) {
            let column = Array2::from_shape_fn((values.len(), 1), |(row, _)| f32::from(values[row]));
            let maximum = f32::from(*values.iter().max().unwrap());
            match Binarizer::fit(column.view()) {
                Ok(binarizer) => {
                    let threshold = binarizer.thresholds()[0];
                    let on = column.iter().filter(|&&value| value > threshold).count();
                    let only_the_maximum = column.iter().all(|&value| value <= threshold || value == maximum);
                    prop_assert!(on >= 1 && (on * 2 <= values.len() || only_the_maximum));
                }
                Err(error) => {
                    prop_assert!(values.iter().all(|value| *value == values[0]), "{error}");
                }
            }
        }
    }
}
