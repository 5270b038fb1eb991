//! What came out of one forward pass: logits and named layers, and their reduction to per-image features.
//!
//! A model returns logits and *taps*: vectors (`N×D`) or feature maps (`N×C×H×W`). The detectors never see the raw
//! maps. They see [`Features`]: per layer one mean per channel and, for maps, one spatial variance per channel. That
//! keeps every detector pure `ndarray` and lets fitting store one small row per image ([`FeatureBank`]).

mod bank;
mod features;

pub use bank::{BankError, FeatureBank};
pub use features::{FeatureLayout, Features, LayerFeatures};

use ndarray::{Array1, Array2, Array4, ArrayView1, ArrayView3, Axis};
use serde::{Deserialize, Serialize};

/// Shape of what a layer returns for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// `D` numbers, for example the penultimate layer.
    Vector,
    /// `C×H×W` numbers: one map per channel.
    Map,
}

/// Name and shape of one tapped layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerSpec {
    /// Name in the model's manifest.
    pub name: String,
    /// Vector or map.
    pub kind: LayerKind,
    /// `D` of a vector, `C` of a map.
    pub channels: usize,
}

/// The last linear layer of a classifier: `logits = weight · z + bias`, `z` the penultimate activations.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// `K×D`.
    pub weight: Array2<f32>,
    /// `K`.
    pub bias: Array1<f32>,
    /// Dropout rate on `z` during training, 0..1 (0: none).
    pub dropout: f32,
}

/// Activations of one layer for a batch of `N` images.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerActivation {
    /// `N×D`.
    Vector(Array2<f32>),
    /// `N×C×H×W`.
    Map(Array4<f32>),
}

/// Output of one forward pass over a batch of `N` images.
#[derive(Debug, Clone, PartialEq)]
pub struct Activations {
    /// `N×K`, before softmax.
    pub logits: Array2<f32>,
    /// One entry per tapped layer, in the manifest's order.
    pub layers: Vec<LayerActivation>,
}

impl Activations {
    /// Number of images in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.logits.nrows()
    }

    /// Whether the batch is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reduces image `index` of the batch to what the detectors look at. Panics when `index ≥ len()`.
    #[must_use]
    pub fn features(&self, index: usize) -> Features {
        Features {
            logits: self.logits.row(index).to_owned(),
            layers: self.layers.iter().map(|layer| layer.features(index)).collect(),
        }
    }
}

impl LayerActivation {
    /// Kind of this layer.
    #[must_use]
    pub fn kind(&self) -> LayerKind {
        match self {
            Self::Vector(_) => LayerKind::Vector,
            Self::Map(_) => LayerKind::Map,
        }
    }

    /// `D` of a vector, `C` of a map.
    #[must_use]
    pub fn channels(&self) -> usize {
        match self {
            Self::Vector(values) => values.ncols(),
            Self::Map(values) => values.len_of(Axis(1)),
        }
    }

    /// The vector of image `index`; `None` for a map.
    #[must_use]
    pub fn vector(&self, index: usize) -> Option<ArrayView1<'_, f32>> {
        match self {
            Self::Vector(values) => Some(values.row(index)),
            Self::Map(_) => None,
        }
    }

    /// The `C×H×W` maps of image `index`; `None` for a vector.
    #[must_use]
    pub fn maps(&self, index: usize) -> Option<ArrayView3<'_, f32>> {
        match self {
            Self::Vector(_) => None,
            Self::Map(values) => Some(values.index_axis(Axis(0), index)),
        }
    }

    fn features(&self, index: usize) -> LayerFeatures {
        match self {
            Self::Vector(values) => LayerFeatures::vector(values.row(index).to_owned()),
            Self::Map(values) => LayerFeatures::pooled(values.index_axis(Axis(0), index)),
        }
    }
}
