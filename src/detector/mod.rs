//! Out-of-distribution detectors, one file each.
//!
//! A detector is fitted on the features of the training images ([`FitInput`]) and then gives every image a score: the
//! higher, the less like the training data. Scores have no common unit; [`crate::calibration`] gives them one.
//!
//! A further detector is one file that implements [`Detector`] and [`Fit`], and one line in [`registry`].

mod arrays;
mod box_distance;
mod coarse;
mod comparison;
mod curve;
mod decoy;
mod elementary;
mod energy;
mod explanation;
mod fdbd;
mod gaussian_diag;
mod gaussian_kl;
mod generalized_entropy;
mod head;
mod input;
mod kmeans;
mod knn;
mod logits;
mod mahalanobis;
mod max_logit;
mod mc_dropout;
mod msp;
mod neighbours;
mod nnguide;
mod pattern_hamming;
mod react;
pub mod registry;
mod relative_mahalanobis;
mod statistics;
mod usual;
mod vim;
mod whitening;

#[cfg(test)]
pub(crate) mod testing;

pub use box_distance::BoxDistance;
pub use comparison::{Bit, Expectation, PatternComparison, two_sided_p_value};
pub use decoy::Decoy;
pub use energy::Energy;
pub use explanation::{Explanation, MAX_PARTS, NearestExample, Part, Place};
pub use fdbd::Fdbd;
pub use gaussian_diag::GaussianDiag;
pub use gaussian_kl::GaussianKl;
pub use generalized_entropy::Gen;
pub use input::FitInput;
pub use knn::Knn;
pub use mahalanobis::Mahalanobis;
pub use max_logit::MaxLogit;
pub use mc_dropout::{McDropout, Uncertainty};
pub use msp::Msp;
pub use nnguide::Nnguide;
pub use pattern_hamming::PatternHamming;
pub use react::React;
pub use registry::{DetectorKind, Family, UnknownDetector};
pub use relative_mahalanobis::RelativeMahalanobis;
pub use vim::Vim;

use crate::activation::{FeatureLayout, Features};
use crate::pattern::PatternError;
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Settings and figures of a fitted detector, by name, for people to read.
pub type Summary = std::collections::BTreeMap<String, serde_json::Value>;

/// A fitted detector.
pub trait Detector: Send + Sync + std::fmt::Debug {
    /// Which detector this is.
    fn kind(&self) -> DetectorKind;

    /// How unlike the training data an image is; higher is less like it. The features must be finite and have the
    /// layout that the detector was fitted on.
    fn score(&self, features: &Features) -> f32;

    /// What makes this image's score high. The same conditions as for [`Detector::score`].
    fn explain(&self, features: &Features) -> Explanation;

    /// The score, and in how many bits the penultimate pattern differs from the nearest one seen in training for the predicted
    /// class; `None` for a detector without patterns. The same conditions as for [`Detector::score`].
    fn score_and_hamming_distance(&self, features: &Features) -> (f32, Option<u32>) {
        (self.score(features), None)
    }

    /// What is usual in every neuron (or channel) of layer `layer` for the predicted class, and how unusual this image is there;
    /// `None` where the detector knows no such thing of this layer. The same conditions as for [`Detector::score`].
    fn expectation(&self, _features: &Features, _layer: usize) -> Option<Expectation> {
        None
    }

    /// The binary pattern of layer `layer` beside the nearest one seen in training; `None` where the detector has no patterns
    /// of this layer. The same conditions as for [`Detector::score`].
    fn compare_pattern(&self, _features: &Features, _layer: usize) -> Option<PatternComparison> {
        None
    }

    /// Writes what [`Fit::load`] reads.
    fn save(&self, out: &mut TensorWriter<'_>);

    /// What it learnt and with which settings.
    fn summary(&self) -> Summary;
}

/// How a detector comes into being.
pub trait Fit: Detector + Sized {
    /// Learns from training images.
    ///
    /// # Errors
    /// [`FitError`] when the model lacks what the detector needs, or the images do not suffice.
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError>;

    /// Reads what [`Detector::save`] wrote, for features of the given layout.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing or does not fit the layout.
    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError>;
}

/// Why a detector cannot be fitted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FitError {
    /// The model does not give what the detector looks at.
    #[error("{detector} needs {missing}, which this model does not have")]
    Unsupported {
        /// The detector.
        detector: DetectorKind,
        /// What is missing.
        missing: &'static str,
    },
    /// There is nothing to learn from.
    #[error("none of the {images} training images is classified correctly; are model and labels of the same classes?")]
    NoCorrectImages {
        /// Number of training images.
        images: usize,
    },
    /// The activations give no patterns.
    #[error("{detector}: {source}")]
    Pattern {
        /// The detector.
        detector: DetectorKind,
        /// Cause.
        source: PatternError,
    },
    /// The activations do not vary enough, or too much, for the arithmetic.
    #[error(
        "{detector}: the covariance of the {images} training images cannot be inverted; are the activations constant?"
    )]
    Covariance {
        /// The detector.
        detector: DetectorKind,
        /// Number of training images used.
        images: usize,
    },
}
