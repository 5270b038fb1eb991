//! The model's last layer, for detectors that compute logits from changed activations.

use super::arrays::Matrix;
use super::{DetectorKind, FitError, FitInput};
use crate::activation::{FeatureLayout, Head};
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
        let logits = self.weight.iter().zip(self.bias.iter()).map(|(weights, &bias)| {
            f64::from(bias) + weights.iter().zip(z).map(|(&weight, z)| f64::from(weight) * z).sum::<f64>()
        });
        logits.collect()
    }

    /// `K` biases: the logits of an image without activations.
    pub fn biases(&self) -> Vec<f64> {
        self.bias.iter().map(|&bias| f64::from(bias)).collect()
    }

    /// `K` weights of a neuron.
    pub fn weights_of(&self, neuron: usize) -> impl Iterator<Item = f64> {
        self.weight.iter().map(move |weights| f64::from(weights[neuron]))
    }

    /// `D×K`: what every neuron adds to every logit, `z_j W_cj`.
    pub fn terms(&self, z: &[f64]) -> Vec<f64> {
        let classes = self.bias.len();
        let mut terms = vec![0.0; z.len() * classes];
        for (class, weights) in self.weight.iter().enumerate() {
            for ((row, &weight), z) in terms.chunks_exact_mut(classes).zip(weights).zip(z) {
                row[class] = f64::from(weight) * z;
            }
        }
        terms
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
        assert_eq!(head.terms(&[3.0, 2.0]), [3.0, 0.0, 12.0, 4.0, -2.0, 1.0]);
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
