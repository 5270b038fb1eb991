//! One image reduced to what the detectors look at.

use ndarray::{Array1, ArrayView3, Axis, Zip};
use serde::{Deserialize, Serialize};

use super::{LayerKind, LayerSpec};

/// Shape of [`Features`]: the contract between a model and the detectors fitted on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureLayout {
    /// Number of classes `K`.
    pub classes: usize,
    /// Tapped layers in the model's output order.
    pub layers: Vec<LayerSpec>,
    /// Index of the penultimate layer (the input of the head) in `layers`; always a vector.
    pub penultimate: usize,
}

/// Features of one layer of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerFeatures {
    /// Vector layers: the activations (`D`). Maps: the spatial mean of every channel (`C`).
    pub mean: Array1<f32>,
    /// Maps: the spatial (population) variance of every channel (`C`). `None` for vectors.
    pub variance: Option<Array1<f32>>,
}

/// Features of one image: what every detector is fitted on and scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// `K` logits, before softmax.
    pub logits: Array1<f32>,
    /// One entry per layer of the [`FeatureLayout`].
    pub layers: Vec<LayerFeatures>,
}

impl LayerFeatures {
    /// Features of a vector layer.
    #[must_use]
    pub fn vector(mean: Array1<f32>) -> Self {
        Self { mean, variance: None }
    }

    /// Spatial mean and population variance of every channel of `C×H×W` maps.
    #[must_use]
    pub fn pooled(maps: ArrayView3<'_, f32>) -> Self {
        let (mean, variance) = match maps.strides()[0] {
            1 => pooled_pixels(maps.permuted_axes([1, 2, 0])),
            _ => pooled_planes(maps),
        };
        Self { mean, variance: Some(variance) }
    }
}

fn pooled_planes(maps: ArrayView3<'_, f32>) -> (Array1<f32>, Array1<f32>) {
    let planes = maps.axis_iter(Axis(0)).map(|map| mean_and_variance(map.iter().copied(), map.len()));
    let (mean, variance): (Vec<f32>, Vec<f32>) = planes.unzip();
    (mean.into(), variance.into())
}

/// The same of `H×W×C` pixels: all channels side by side, but each in the same order and so with the same rounding.
fn pooled_pixels(pixels: ArrayView3<'_, f32>) -> (Array1<f32>, Array1<f32>) {
    let (height, width, channels) = pixels.dim();
    let len = (height * width) as f32;
    let (mut mean, mut variance) = (Array1::zeros(channels), Array1::zeros(channels));
    pixels.rows().into_iter().for_each(|pixel| mean += &pixel);
    mean /= len;
    for pixel in pixels.rows() {
        let squares = Zip::from(&mut variance).and(&pixel).and(&mean);
        squares.for_each(|variance, value, mean| *variance += (value - mean) * (value - mean));
    }
    variance /= len;
    (mean, variance)
}

fn mean_and_variance(values: impl Iterator<Item = f32> + Clone, len: usize) -> (f32, f32) {
    let len = len as f32;
    let mean = values.clone().sum::<f32>() / len;
    let variance = values.map(|value| (value - mean) * (value - mean)).sum::<f32>() / len;
    (mean, variance)
}

impl Features {
    /// Class with the largest logit; the first of equals. NaN logits never win; 0 when all are NaN.
    #[must_use]
    pub fn predicted_class(&self) -> usize {
        let mut best = 0;
        for (class, logit) in self.logits.iter().enumerate() {
            if *logit > self.logits[best] || (self.logits[best].is_nan() && !logit.is_nan()) {
                best = class;
            }
        }
        best
    }

    /// Softmax probabilities (`K`, sum 1), computed against overflow by subtracting the largest logit.
    #[must_use]
    pub fn softmax(&self) -> Array1<f32> {
        let largest = self.logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials = self.logits.mapv(|logit| (logit - largest).exp());
        let sum = exponentials.sum();
        exponentials / sum
    }

    /// Whether every number is finite. A NaN or infinity anywhere makes every score meaningless.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let finite = |values: &Array1<f32>| values.iter().all(|value| value.is_finite());
        finite(&self.logits)
            && self.layers.iter().all(|layer| finite(&layer.mean) && layer.variance.as_ref().is_none_or(finite))
    }

    /// Whether the shape is that of `layout`.
    #[must_use]
    pub fn matches(&self, layout: &FeatureLayout) -> bool {
        self.logits.len() == layout.classes
            && self.layers.len() == layout.layers.len()
            && self.layers.iter().zip(&layout.layers).all(|(layer, spec)| {
                layer.mean.len() == spec.channels && layer.variance.is_some() == (spec.kind == LayerKind::Map)
            })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{arr1, array};

    use super::*;

    fn image(logits: &[f32]) -> Features {
        Features { logits: arr1(logits), layers: vec![LayerFeatures::vector(arr1(&[1.0]))] }
    }

    #[test]
    fn maps_become_means_and_population_variances() {
        let pooled = LayerFeatures::pooled(array![[[1.0, 3.0], [1.0, 3.0]], [[5.0, 5.0], [5.0, 5.0]]].view());
        assert_eq!(pooled.mean, array![2.0, 5.0]);
        assert_eq!(pooled.variance, Some(array![1.0, 0.0]));
    }

    #[test]
    fn the_order_in_memory_has_no_influence() {
        let value = |(c, y, x)| ((c * 31 + y * 17 + x * 7) % 23) as f32 / 7.0 - 1.0;
        let maps = ndarray::Array3::from_shape_fn((5, 4, 6), value);
        let pixels = maps.view().permuted_axes([1, 2, 0]).as_standard_layout().into_owned();
        let pixels = pixels.view().permuted_axes([2, 0, 1]);
        assert_eq!((pixels.strides()[0], &pixels), (1, &maps.view()));
        assert_eq!(LayerFeatures::pooled(pixels), LayerFeatures::pooled(maps.view()));
    }

    #[test]
    fn the_largest_logit_wins() {
        for (logits, class) in
            [(&[1.0, 3.0, 2.0], 1), (&[4.0, 4.0, 2.0], 0), (&[f32::NAN, -1.0, -2.0], 1), (&[f32::NAN; 3], 0)]
        {
            assert_eq!(image(logits).predicted_class(), class, "{logits:?}");
        }
    }

    #[test]
    fn softmax_survives_huge_logits() {
        let softmax = image(&[1000.0, 1000.0 + 3f32.ln(), -1e30]).softmax();
        assert_relative_eq!(softmax.as_slice().unwrap(), [0.25, 0.75, 0.0].as_slice(), max_relative = 1e-4);
    }

    #[test]
    fn one_bad_number_is_found() {
        assert!(image(&[1.0]).is_finite() && !image(&[f32::INFINITY]).is_finite());
        let mut bad = image(&[1.0]);
        bad.layers[0].variance = Some(arr1(&[f32::NAN]));
        assert!(!bad.is_finite());
    }
}
