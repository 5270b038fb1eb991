//! What a monitor says about itself.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::model_id::Difference;
use super::{FitSettings, ModelId, MonitorError};
use crate::activation::{FeatureBank, FeatureLayout, LayerKind};
use crate::calibration::{Bets, OverTime};
use crate::detector::{DetectorKind, Summary};
use crate::storage::hex;

/// Everything about a monitor but its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of this program that fitted it.
    pub tool_version: String,
    /// The model: everything about it that decides a verdict.
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
    /// What calibrates verdicts over several images.
    pub over_time: OverTimeSummary,
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

/// What calibrates verdicts over several images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverTimeSummary {
    /// For objects; `None` when there are no verdicts on them.
    pub objects: Option<ObjectSummary>,
    /// What bets on a stream are divided by ([`crate::calibration::Bets`]), from 1; `None` when streams are not watched.
    pub haircut: Option<f32>,
}

/// What calibrates verdicts on objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSummary {
    /// Number of tracks. No p-value of an object is below `1/(tracks + 1)`.
    pub tracks: usize,
    /// Views that they usually have.
    pub views: usize,
}

impl OverTimeSummary {
    /// Summary of a calibration.
    pub(super) fn of(over_time: &OverTime) -> Self {
        let objects = over_time.objects.as_ref();
        Self {
            objects: objects.map(|objects| ObjectSummary { tracks: objects.tracks(), views: objects.length() }),
            haircut: over_time.bets.as_ref().map(Bets::haircut),
        }
    }
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
    /// Checks that a model is the one that the monitor was fitted for.
    pub(super) fn check_model(&self, model: &ModelId, layout: &FeatureLayout) -> Result<(), MonitorError> {
        if self.model.sha256 != model.sha256 {
            let (expected, actual) = (self.model.sha256.clone(), model.sha256.clone());
            return Err(MonitorError::Model { expected, actual });
        }
        if let Some(Difference { field, first, other }) = self.model.difference(&self.layout, model, layout) {
            return Err(MonitorError::Manifest { field, expected: first, actual: other });
        }
        self.check_layout(layout)
    }

    /// Checks that the features have the layout that the monitor was fitted on.
    pub(super) fn check_layout(&self, layout: &FeatureLayout) -> Result<(), MonitorError> {
        if self.layout == *layout {
            return Ok(());
        }
        Err(MonitorError::Layout { expected: describe(&self.layout), actual: describe(layout) })
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
