//! The fitted whole: detectors, their calibration and what they were fitted on, in one file.
//!
//! [`Monitor::fit`] makes a monitor from the features of training and calibration images, [`Monitor::save`] and
//! [`Monitor::load`] keep it in a file, [`Monitor::judge`] says how far one image lies outside of what the network
//! learnt, [`Monitor::explain`] why, and [`Levels`] turn the p-value into a [`Verdict`]. [`Monitor::check_model`] refuses any
//! model but the one that was fitted on, down to the fields of `model.json` that decide. Fitting can be spread: collect the
//! features in [`Shard`]s and [`Monitor::merge`] them, which gives the same monitor as fitting on all images at once.

mod error;
mod explain;
mod file;
mod fit;
mod judge;
mod layer;
mod limits;
mod metadata;
mod model_id;
mod recalibrate;
mod scored;
mod shard;
mod verdict;

#[cfg(test)]
mod tests;

pub use error::MonitorError;
pub(crate) use explain::Short;
pub use explain::{DetectorExplanation, MAX_EXPLANATIONS, NamedPart, NamedPlace, NearestClass};
pub use file::{FORMAT_VERSION, FileKind, MonitorFile};
pub use fit::FitSettings;
pub use judge::{DetectorResult, Judgement};
pub use layer::LayerComparison;
pub use metadata::{BankSummary, DetectorSummary, Metadata, ObjectSummary, OverTimeSummary};
pub use model_id::{ModelField, ModelHead, ModelId, ModelInput, short_id};
pub use recalibrate::{DrivePValues, DriveSummary, NominalDrive, Recalibration};
pub use shard::Shard;
pub use verdict::{Levels, LevelsError, Verdict};

use std::sync::OnceLock;

use crate::activation::FeatureLayout;
pub use crate::calibration::FUSED;
use crate::calibration::{ConditionalCalibrator, OverTime};
use crate::detector::Detector;

/// Fitted detectors with their calibration.
#[derive(Debug)]
pub struct Monitor {
    metadata: Metadata,
    detectors: Vec<Calibrated>,
    fused: ConditionalCalibrator,
    over_time: OverTime,
    /// Digest of its file, of the one that it was read from or would be saved as.
    sha256: OnceLock<String>,
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

    /// What verdicts over several images are calibrated with, for [`crate::stream`].
    #[must_use]
    pub fn over_time(&self) -> &OverTime {
        &self.over_time
    }

    /// What a user must know before relying on it, in sentences: detectors that the model cannot serve, alarms that too few
    /// calibration images make impossible. Empty when there is nothing to say.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.metadata.notes.clone()
    }

    /// Checks that a model is the one that the monitor was fitted for, in everything that decides a verdict: its weights, the
    /// fields of `model.json` ([`ModelId`]) and the shape of its layers.
    ///
    /// # Errors
    /// [`MonitorError::Model`] for other weights, [`MonitorError::Manifest`] for another value in `model.json`,
    /// [`MonitorError::Layout`] for layers of another size.
    pub fn check_model(&self, model: &ModelId, layout: &FeatureLayout) -> Result<(), MonitorError> {
        self.metadata.check_model(model, layout)
    }

    /// SHA-256 of the monitor, in lower-case hexadecimal digits: that of its file's contents, or for a monitor that was fitted
    /// here of the file that [`Monitor::save`] would write.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| self.digest())
    }

    /// The first twelve digits of [`Monitor::sha256`].
    #[must_use]
    pub fn id(&self) -> &str {
        short_id(self.sha256())
    }
}
