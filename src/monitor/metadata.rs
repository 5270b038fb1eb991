//! What a monitor says about itself.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{FitSettings, MonitorError};
use crate::activation::{FeatureBank, FeatureLayout, LayerKind};
use crate::detector::{DetectorKind, Summary};
use crate::storage::hex;

/// The model that a monitor belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// SHA-256 of the model file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
    /// Class that stands for none of the others, where the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoy_class: Option<usize>,
}

/// Everything about a monitor but its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of this program that fitted it.
    pub tool_version: String,
    /// The model.
    pub model: ModelId,
    /// Shape of the features.
    pub layout: FeatureLayout,
    /// How it was fitted.
    pub settings: FitSettings,
    /// The detectors, in the order of their results.
    pub detectors: Vec<DetectorSummary>,
    /// Training images.
    pub training: BankSummary,
    /// Calibration images. No p-value is below `1/(images + 1)`.
    pub calibration: BankSummary,
    /// What the user should know, in sentences.
    pub notes: Vec<String>,
}

/// One detector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectorSummary {
    /// Which one.
    pub name: DetectorKind,
    /// Settings and figures.
    pub summary: Summary,
}

/// Some images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankSummary {
    /// Number of images.
    pub images: usize,
    /// Number of correctly classified images.
    pub correct: usize,
    /// SHA-256 over the sorted keys and labels, in lower-case hexadecimal digits: the same images give the same one.
    pub fingerprint: String,
}

impl BankSummary {
    /// Summary of a sorted bank.
    pub(super) fn of(bank: &FeatureBank) -> Self {
        let correct = (0..bank.len()).filter(|&row| bank.features(row).predicted_class() == bank.labels()[row]).count();
        let mut sha = Sha256::new();
        for (key, label) in bank.keys().iter().zip(bank.labels()) {
            sha.update(format!("{key}\0{label}\n"));
        }
        Self { images: bank.len(), correct, fingerprint: hex(&sha.finalize()) }
    }
}

impl Metadata {
    /// Checks that the features have the layout that the monitor was fitted on.
    pub(super) fn check_layout(&self, layout: &FeatureLayout) -> Result<(), MonitorError> {
        if self.layout == *layout {
            return Ok(());
        }
        Err(MonitorError::Layout { expected: describe(&self.layout), actual: describe(layout) })
    }
}

impl ModelId {
    /// Checks that a layout is possible and that of a model with these classes.
    pub(super) fn check(&self, layout: &FeatureLayout) -> Result<(), MonitorError> {
        let FeatureLayout { classes, layers, penultimate } = layout;
        if self.classes.len() != *classes {
            return Err(MonitorError::Classes { names: self.classes.len(), logits: *classes });
        }
        let vector = layers.get(*penultimate).is_some_and(|layer| layer.kind == LayerKind::Vector);
        if *classes == 0 || !vector || layers.iter().any(|layer| layer.channels == 0) {
            return Err(MonitorError::Inconsistent(format!("impossible layout: {}", describe(layout))));
        }
        Ok(())
    }
}

/// A layout in words, for messages.
pub(super) fn describe(layout: &FeatureLayout) -> String {
    let layers = layout.layers.iter().enumerate().map(|(index, layer)| {
        let kind = match layer.kind {
            LayerKind::Vector => "vector",
            LayerKind::Map => "map",
        };
        let penultimate = if index == layout.penultimate { ", penultimate" } else { "" };
        format!("{} ({kind} of {}{penultimate})", layer.name, layer.channels)
    });
    format!("{} classes and layers {}", layout.classes, layers.collect::<Vec<_>>().join(", "))
}
