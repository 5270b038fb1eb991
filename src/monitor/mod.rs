//! The fitted whole: detectors, their calibration and what they were fitted on, in one file.
//!
//! [`Monitor::fit`] makes a monitor from the features of training and calibration images, [`Monitor::save`] and
//! [`Monitor::open`] keep it in a file, [`Monitor::judge`] says how far one image lies outside of what the network
//! learnt, [`Monitor::explain`] why, and [`Levels`] turn the p-value into a [`Verdict`]. Fitting can be spread: collect the features in [`Shard`]s
//! and [`Monitor::merge`] them, which gives the same monitor as fitting on all images at once.

mod error;
mod explain;
mod file;
mod fit;
mod judge;
mod metadata;
mod shard;
mod verdict;

#[cfg(test)]
mod tests;

pub use error::MonitorError;
pub use explain::{DetectorExplanation, MAX_EXPLANATIONS, NamedPart, NamedPlace, NearestClass};
pub use file::{FORMAT_VERSION, FileKind, file_kind};
pub use fit::FitSettings;
pub use judge::{DetectorResult, Judgement};
pub use metadata::{BankSummary, DetectorSummary, Metadata, ModelId};
pub use shard::Shard;
pub use verdict::{Levels, LevelsError, Verdict};

use crate::activation::FeatureLayout;
use crate::calibration::ConditionalCalibrator;
pub use crate::calibration::FUSED;
use crate::detector::Detector;

/// Fitted detectors with their calibration.
#[derive(Debug)]
pub struct Monitor {
    metadata: Metadata,
    detectors: Vec<Calibrated>,
    fused: ConditionalCalibrator,
}

/// A detector and what its scores mean.
#[derive(Debug)]
struct Calibrated {
    detector: Box<dyn Detector>,
    calibrator: ConditionalCalibrator,
}

impl Monitor {
    /// What the monitor was fitted on, and how.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Checks that a model is the one that the monitor was fitted for. `sha256` is the digest of its file, in lower-case
    /// hexadecimal digits.
    ///
    /// # Errors
    /// [`MonitorError::Model`] for another model file, [`MonitorError::Layout`] for one with other classes or layers.
    pub fn check_model(&self, sha256: &str, layout: &FeatureLayout) -> Result<(), MonitorError> {
        if self.metadata.model.sha256 != sha256 {
            return Err(MonitorError::Model {
                expected: self.metadata.model.sha256.clone(),
                actual: sha256.to_owned(),
            });
        }
        self.metadata.check_layout(layout)
    }
}
