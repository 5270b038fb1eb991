//! The table of all detectors.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Detector, Fit, FitError, FitInput};
use crate::activation::FeatureLayout;
use crate::storage::{StorageError, TensorReader};

/// What a detector looks at. Detectors of one family tend to agree; see [`crate::calibration::fuse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Every neuron or channel on its own: on or off, its range, mean and variance.
    Neuron,
    /// Distance of the whole activation from the distribution of a class or from a principal subspace.
    Distribution,
    /// Distance from the nearest training images.
    Neighbours,
    /// The logits, or what the head makes of altered activations.
    Logits,
}

impl Family {
    /// Weight of the family's vote in [`crate::calibration::fuse`].
    ///
    /// Neighbours count twice: images that the network misclassifies are told best by them, and so it is on held-out tracks of
    /// the training set of GTSRB (`examples/benchmark_gtsrb`), too.
    #[must_use]
    pub const fn weight(self) -> f64 {
        match self {
            Self::Neuron | Self::Distribution | Self::Logits => 1.0,
            Self::Neighbours => 2.0,
        }
    }
}

macro_rules! registry {
    ($($(#[$doc:meta])* $kind:ident = $name:literal in $family:ident,)*) => {
        /// Which detector.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum DetectorKind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        impl DetectorKind {
            /// All detectors, in the order of their results.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Name in files, messages and options.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What the detector looks at.
            #[must_use]
            pub const fn family(self) -> Family {
                match self {
                    $(Self::$kind => Family::$family,)*
                }
            }

            /// Fits this detector.
            ///
            /// # Errors
            /// [`FitError`] when the model lacks what the detector needs, or the images do not suffice.
            pub fn fit(self, input: &FitInput<'_>) -> Result<Box<dyn Detector>, FitError> {
                match self {
                    $(Self::$kind => Ok(Box::new(<super::$kind as Fit>::fit(input)?)),)*
                }
            }

            /// Reads this detector from a file.
            ///
            /// # Errors
            /// [`StorageError`] when a tensor is missing or does not fit the layout.
            pub fn load(
                self,
                tensors: &TensorReader<'_>,
                layout: &FeatureLayout,
            ) -> Result<Box<dyn Detector>, StorageError> {
                match self {
                    $(Self::$kind => Ok(Box::new(<super::$kind as Fit>::load(tensors, layout)?)),)*
                }
            }
        }
    };
}

registry! {
    /// [`super::PatternHamming`]
    PatternHamming = "pattern_hamming" in Neuron,
    /// [`super::BoxDistance`]
    BoxDistance = "box" in Neuron,
    /// [`super::GaussianDiag`]
    GaussianDiag = "gaussian_diag" in Neuron,
    /// [`super::GaussianKl`]
    GaussianKl = "gaussian_kl" in Neuron,
    /// [`super::Mahalanobis`]
    Mahalanobis = "mahalanobis" in Distribution,
    /// [`super::RelativeMahalanobis`]
    RelativeMahalanobis = "relative_mahalanobis" in Distribution,
    /// [`super::Knn`]
    Knn = "knn" in Neighbours,
    /// [`super::Vim`]
    Vim = "vim" in Distribution,
    /// [`super::Nnguide`]
    Nnguide = "nnguide" in Logits,
    /// [`super::Msp`]
    Msp = "msp" in Logits,
    /// [`super::MaxLogit`]
    MaxLogit = "max_logit" in Logits,
    /// [`super::Energy`]
    Energy = "energy" in Logits,
    /// [`super::Gen`]
    Gen = "gen" in Logits,
    /// [`super::React`]
    React = "react" in Logits,
    /// [`super::Fdbd`]
    Fdbd = "fdbd" in Logits,
    /// [`super::McDropout`]
    McDropout = "mc_dropout" in Logits,
    /// [`super::Decoy`]
    Decoy = "decoy" in Logits,
}

/// A name that no detector has.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no detector `{name}`; choose among {}", names())]
pub struct UnknownDetector {
    /// The name that was given.
    pub name: String,
}

fn names() -> String {
    DetectorKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

impl FromStr for DetectorKind {
    type Err = UnknownDetector;

    fn from_str(name: &str) -> Result<Self, UnknownDetector> {
        let found = Self::ALL.iter().find(|kind| kind.name() == name);
        found.copied().ok_or_else(|| UnknownDetector { name: name.to_owned() })
    }
}

impl fmt::Display for DetectorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_same_everywhere() {
        for (index, kind) in DetectorKind::ALL.iter().enumerate() {
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(format!("{kind:>20}").trim_start(), kind.name());
            assert!(DetectorKind::ALL[..index].iter().all(|other| other.name() != kind.name()));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = "telepathy".parse::<DetectorKind>().unwrap_err().to_string();
        assert!(message.contains("telepathy") && message.contains("pattern_hamming, box"), "{message}");
    }
}
