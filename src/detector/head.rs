//! The model's last layer, for detectors that compute logits from changed activations.

use super::arrays::{LANES, Matrix};
use super::{DetectorKind, FitError, FitInput};
use crate::activation::{FeatureLayout, Head};
use crate::simd::{Kernel, Loop};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// `f = Wz + b`, z the penultimate activations.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearHead {
    /// `K×D`.
    weight: Matrix,
    /// `K`.
    bias: Slab<f32>,
}

/// The model's head, if it has one of the shape that its layout tells.
pub fn head_of<'a>(input: &FitInput<'a>) -> Option<&'a Head> {
    let shape = (input.bank.layout().classes, input.bank.penultimate().ncols());
    input.head.filter(|head| head.weight.dim() == shape && head.bias.len() == shape.0 && shape.1 > 0)
}

/// The same, an error without.
pub fn required_head<'a>(input: &FitInput<'a>, detector: DetectorKind) -> Result<&'a Head, FitError> {
    head_of(input).ok_or(FitError::Unsupported { detector, missing: "a head (last linear layer)" })
}

impl LinearHead {
    /// A copy of the model's head.
    pub fn new(head: &Head) -> Self {
        Self {
            weight: Matrix::new(head.weight.ncols(), head.weight.iter().copied().collect()),
            bias: head.bias.to_vec().into(),
        }
    }

    /// `K` logits of `D` activations.
    pub fn logits(&self, z: &[f64]) -> Vec<f64> {
        Kernel::fastest().run(Logits { weight: &self.weight, bias: &self.bias, z })
    }

    /// `D`, the number of activations.
    pub fn neurons(&self) -> usize {
        self.weight.columns()
    }

    /// `K` biases: the logits of an image without activations.
    pub fn biases(&self) -> Vec<f64> {
        self.bias.iter().map(|&bias| f64::from(bias)).collect()
    }

    /// Weight of a neuron for a class.
    pub fn weight(&self, class: usize, neuron: usize) -> f64 {
        f64::from(self.weight.row(class)[neuron])
    }

    /// `K` weights of a neuron.
    pub fn weights_of(&self, neuron: usize) -> impl Iterator<Item = f64> {
        self.weight.iter().map(move |weights| f64::from(weights[neuron]))
    }

    /// Writes what [`Self::load`] reads.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        self.weight.save("weight", out);
        out.put("bias", &[self.bias.len()], &self.bias);
    }

    /// Reads a head that fits the layout.
    pub fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let (classes, neurons) = (layout.classes, layout.layers[layout.penultimate].channels);
        Ok(Self { weight: Matrix::load("weight", tensors, classes, neurons)?, bias: tensors.get("bias", [classes])? })
    }
}

struct Logits<'a> {
    weight: &'a Matrix,
    bias: &'a [f32],
    z: &'a [f64],
}

impl Loop for Logits<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let mut logits: Vec<f64> = self.bias.iter().map(|&bias| f64::from(bias)).collect();
        let (blocks, rest) = self.z.as_chunks::<LANES>();
        for (logit, weights) in logits.iter_mut().zip(self.weight.iter()) {
            let (weight_blocks, weights_rest) = weights.as_chunks::<LANES>();
            let mut lanes = [0.0; LANES];
            for (weights, z) in weight_blocks.iter().zip(blocks) {
                for lane in 0..LANES {
                    lanes[lane] += f64::from(weights[lane]) * z[lane];
                }
            }
            *logit += lanes.iter().sum::<f64>();
            *logit += weights_rest.iter().zip(rest).map(|(&weight, z)| f64::from(weight) * z).sum::<f64>();
        }
        logits
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use ndarray::{Array2, arr1, array};

    use super::*;
    use crate::detector::testing::linear_bank;

    #[test]
    fn logits_by_hand() {
        let head =
            Head { weight: array![[1.0, 2.0], [0.0, -1.0], [4.0, 0.5]], bias: arr1(&[0.5, 0.0, -1.0]), dropout: 0.0 };
        let head = LinearHead::new(&head);
        assert_eq!(head.logits(&[3.0, 2.0]), [7.5, -2.0, 12.0]);
        assert_eq!(head.weights_of(1).collect::<Vec<_>>(), [2.0, -1.0, 0.5]);
        assert_eq!(head.biases(), [0.5, 0.0, -1.0]);
    }

    #[test]
    fn logits_are_those_of_the_model() {
        let (bank, head) = linear_bank(3, 10, 1);
        let head = LinearHead::new(&head);
        for (z, logits) in bank.penultimate().rows().into_iter().zip(bank.logits().rows()) {
            let found = head.logits(&z.iter().map(|&z| f64::from(z)).collect::<Vec<_>>());
            assert_abs_diff_eq!(found.as_slice(), logits.mapv(f64::from).as_slice().unwrap(), epsilon = 1e-4);
        }
    }

    #[test]
    fn a_head_of_another_shape_counts_as_none() {
        let (bank, head) = linear_bank(3, 10, 1);
        let found =
            |head: Option<&Head>| required_head(&FitInput::new(&bank, head).unwrap(), DetectorKind::React).is_ok();
        assert!(found(Some(&head)) && !found(None));
        let wider = Head { weight: Array2::zeros((3, 11)), ..head.clone() };
        let shorter = Head { bias: arr1(&[0.0, 0.0]), ..head };
        assert!(!found(Some(&wider)) && !found(Some(&shorter)));
    }
}
