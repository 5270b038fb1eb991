//! One layer of one image, as arrays; and which layers are asked for.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array1, Array3, ArrayView3, Axis};

use super::{Range, Scales};
use crate::activation::{FeatureLayout, Features, LayerActivation, LayerKind};
use crate::monitor::LayerComparison;

/// What a layer shows for one image, and what the monitor keeps of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerView {
    /// Name of the layer.
    pub name: String,
    /// Its number, from 1.
    pub number: usize,
    /// Number of layers of the model.
    pub layers: usize,
    /// Vector or map.
    pub kind: LayerKind,
    /// `C×H×W`; a vector of `D` neurons is `D×1×1`.
    pub activations: Array3<f32>,
    /// `C`, the mean of every channel over its `H×W` values.
    pub means: Array1<f32>,
    /// What the monitor keeps of this layer. `Ok(None)` without a monitor; in words why the image cannot be compared where it
    /// cannot.
    pub comparison: Result<Option<LayerComparison>, String>,
}

impl LayerView {
    /// Layer `index` (from 0) of image `row` of a batch; `None` when there is no such layer or image.
    #[must_use]
    pub fn of(
        layout: &FeatureLayout,
        index: usize,
        activation: &LayerActivation,
        (row, features): (usize, &Features),
        comparison: Result<Option<LayerComparison>, String>,
    ) -> Option<Self> {
        let activations = match activation {
            LayerActivation::Vector(values) if row < values.nrows() => {
                values.row(row).insert_axis(Axis(1)).insert_axis(Axis(2)).to_owned()
            }
            LayerActivation::Map(values) if row < values.len_of(Axis(0)) => values.index_axis(Axis(0), row).to_owned(),
            _ => return None,
        };
        Some(Self {
            name: layout.layers.get(index)?.name.clone(),
            number: index + 1,
            layers: layout.layers.len(),
            kind: activation.kind(),
            activations,
            means: features.layers.get(index)?.mean.clone(),
            comparison,
        })
    }

    /// `C×H×W`.
    pub(super) fn maps(&self) -> ArrayView3<'_, f32> {
        self.activations.view()
    }

    /// Number of channels or neurons.
    pub(super) fn channels(&self) -> usize {
        self.activations.len_of(Axis(0))
    }

    pub(super) fn is_vector(&self) -> bool {
        self.kind == LayerKind::Vector
    }

    /// What one of its channels is called.
    pub(super) fn unit(&self) -> &'static str {
        if self.is_vector() { "neuron" } else { "channel" }
    }

    /// Number of activations that are NaN or infinite.
    #[must_use]
    pub fn not_finite(&self) -> usize {
        self.activations.iter().filter(|value| !value.is_finite()).count()
    }

    /// What the monitor keeps, where there is something.
    pub(super) fn known(&self) -> Option<&LayerComparison> {
        self.comparison.as_ref().ok()?.as_ref()
    }

    /// `C`, mean of every channel minus its training mean.
    pub(super) fn deviations(&self) -> Option<Vec<f32>> {
        let expected = &self.known()?.expectation.as_ref()?.means;
        Some(self.means.iter().zip(expected).map(|(mean, expected)| mean - expected).collect())
    }

    /// Scales that are large enough for this layer.
    #[must_use]
    pub fn scales(&self) -> Scales {
        let expected = self.known().and_then(|known| known.expectation.as_ref()).map(|expected| &expected.means[..]);
        Scales {
            activations: Range::of(&self.activations),
            means: Range::of(self.means.iter().chain(expected.unwrap_or_default())),
            deviations: Range::of(&self.deviations().unwrap_or_default()),
        }
    }

    /// What a picture cannot show of this layer, in sentences for a user.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let name = &self.name;
        let mut remarks = Vec::new();
        match self.not_finite() {
            0 => {}
            1 => remarks.push(format!("1 activation of {name} is NaN or infinite")),
            count => remarks.push(format!("{count} activations of {name} are NaN or infinite")),
        }
        match &self.comparison {
            Ok(None) => {}
            Err(reason) => remarks.push(format!("{name} is not compared with the training images: {reason}")),
            Ok(Some(known)) => {
                if known.expectation.is_none() {
                    remarks.push(no_expectation(name));
                }
                if known.pattern.is_none() {
                    remarks.push(no_pattern(name));
                }
            }
        }
        remarks
    }

    /// `C` feature maps of their size, or neurons, in words.
    pub(super) fn shape(&self) -> String {
        let (channels, height, width) = self.activations.dim();
        let s = if channels == 1 { "" } else { "s" };
        match self.kind {
            LayerKind::Vector => format!("{channels} neuron{s}"),
            LayerKind::Map => format!("{channels} feature map{s} of {width}×{height}"),
        }
    }
}

fn no_expectation(layer: &str) -> String {
    format!(
        "the monitor keeps no training means of {layer}: gaussian_kl keeps those of feature maps, gaussian_diag those of the \
         penultimate layer"
    )
}

fn no_pattern(layer: &str) -> String {
    format!(
        "the monitor keeps no patterns of {layer}: pattern_hamming leaves out layers that never vary, and those whose channel \
         means are the penultimate layer"
    )
}

/// Which layers are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerChoice {
    /// All of them.
    All,
    /// One, by its name or its number from 1.
    One(String),
}

impl FromStr for LayerChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "all" { Self::All } else { Self::One(text.to_owned()) })
    }
}

impl fmt::Display for LayerChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::All => "all",
            Self::One(text) => text,
        })
    }
}

/// The model has no such layer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the model has no layer `{asked}`; it has {known}: give a name, a number, or all")]
pub struct UnknownLayer {
    /// What was asked for.
    pub asked: String,
    /// Numbers and names of its layers.
    pub known: String,
}

impl LayerChoice {
    /// Indices (from 0) of the chosen layers. A name wins over a number.
    ///
    /// # Errors
    /// [`UnknownLayer`] with the layers that there are.
    pub fn indices(&self, layers: &[&str]) -> Result<Vec<usize>, UnknownLayer> {
        let Self::One(asked) = self else { return Ok((0..layers.len()).collect()) };
        let by_name = layers.iter().position(|name| name == asked);
        let by_number = || asked.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < layers.len());
        let index = by_name.or_else(by_number).ok_or_else(|| UnknownLayer {
            asked: asked.clone(),
            known: layers
                .iter()
                .enumerate()
                .map(|(index, name)| format!("{} {name}", index + 1))
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        Ok(vec![index])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::detector::{Bit, DetectorKind, Expectation, NearestExample, PatternComparison};

    /// A layer of maps whose values rise.
    pub(crate) fn maps(channels: usize, height: usize, width: usize) -> LayerView {
        let activations =
            Array3::from_shape_fn((channels, height, width), |(c, y, x)| (c * 7 + y * 3 + x) as f32 / 10.0);
        let mean = |map: ndarray::ArrayView2<'_, f32>| map.mean().unwrap_or(0.0);
        LayerView {
            name: "stage2".into(),
            number: 2,
            layers: 4,
            kind: LayerKind::Map,
            means: activations.axis_iter(Axis(0)).map(mean).collect(),
            activations,
            comparison: Ok(None),
        }
    }

    /// The same with all that a monitor may keep; two bits per channel.
    pub(crate) fn compared(channels: usize, height: usize, width: usize) -> LayerView {
        let view = maps(channels, height, width);
        let bit = |bit: usize| Bit {
            unit: bit / 2,
            threshold: bit as f32,
            image: bit.is_multiple_of(2),
            nearest: bit.is_multiple_of(3),
        };
        let expectation = Expectation {
            detector: DetectorKind::GaussianKl,
            meaning: "a share",
            means: view.means.iter().map(|mean| mean * 0.5).collect(),
            p_values: (0..channels).map(|channel| 0.5_f64.powi(channel as i32)).collect(),
        };
        let pattern = PatternComparison {
            bits: (0..2 * channels).map(bit).collect(),
            nearest: NearestExample { class: 1, distance: channels as f32, images: 3 },
        };
        let known = LayerComparison { expectation: Some(expectation), pattern: Some(pattern) };
        LayerView { comparison: Ok(Some(known)), ..view }
    }

    #[test]
    fn layers_are_chosen_by_name_number_or_all() {
        let layers = ["stage1", "3", "stage3"];
        let chosen = |text: &str| text.parse::<LayerChoice>().unwrap().indices(&layers);
        assert_eq!(chosen("all").unwrap(), [0, 1, 2]);
        assert_eq!((chosen("stage3").unwrap(), chosen("1").unwrap()), (vec![2], vec![0]));
        assert_eq!(chosen("3").unwrap(), [1], "a name wins over a number");
        let error = chosen("0").unwrap_err().to_string();
        assert_eq!(error, "the model has no layer `0`; it has 1 stage1, 2 3, 3 stage3: give a name, a number, or all");
        assert!(chosen("4").is_err() && chosen("").is_err() && chosen("-1").is_err());
    }

    #[test]
    fn what_cannot_be_shown_is_said() {
        assert!(maps(2, 2, 2).remarks().is_empty() && compared(2, 2, 2).remarks().is_empty());
        let nothing = Ok(Some(LayerComparison { expectation: None, pattern: None }));
        let view = LayerView { comparison: nothing, ..maps(2, 2, 2) };
        let remarks = view.remarks().join("\n");
        assert!(
            remarks.contains("no training means of stage2") && remarks.contains("no patterns of stage2"),
            "{remarks}"
        );
        let mut view = LayerView { comparison: Err("NaN".into()), ..maps(2, 2, 2) };
        view.activations[[0, 0, 0]] = f32::NAN;
        assert_eq!(
            view.remarks(),
            ["1 activation of stage2 is NaN or infinite", "stage2 is not compared with the training images: NaN"]
        );
    }

    #[test]
    fn a_row_of_a_batch_becomes_a_view() {
        let vectors = LayerActivation::Vector(ndarray::array![[1.0, 2.0], [3.0, 5.0]]);
        let layout = FeatureLayout {
            classes: 1,
            layers: vec![crate::activation::LayerSpec { name: "z".into(), kind: LayerKind::Vector, channels: 2 }],
            penultimate: 0,
        };
        let activations =
            crate::activation::Activations { logits: ndarray::array![[0.0], [0.0]], layers: vec![vectors.clone()] };
        let features = activations.features(1);
        let view = LayerView::of(&layout, 0, &vectors, (1, &features), Ok(None)).unwrap();
        assert_eq!((view.activations.dim(), view.shape().as_str()), ((2, 1, 1), "2 neurons"));
        assert_eq!(view.scales().means, Range { low: 0.0, high: 5.0 });
        assert!(LayerView::of(&layout, 0, &vectors, (2, &features), Ok(None)).is_none());
    }
}
