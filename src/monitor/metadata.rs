//! What a monitor says about itself.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::model_id::Difference;
use super::{FitSettings, ModelId, MonitorError, Recalibration};
use crate::activation::{FeatureBank, FeatureLayout, LayerKind};
use crate::calibration::{Bets, OverTime, count_groups, group_of};
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
    /// Where the calibration comes from; `None` for that of `fit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibration: Option<Recalibration>,
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
    /// Number of tracks that they belong to; 0 in files of versions that did not count them.
    #[serde(default)]
    pub tracks: usize,
    /// Number of correctly classified images; `None` where nobody knows what they show.
    pub correct: Option<usize>,
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
        Self { correct: Some(correct), ..Self::unlabelled(bank) }
    }

    /// Summary of a sorted bank whose labels mean nothing.
    pub(super) fn unlabelled(bank: &FeatureBank) -> Self {
        let mut sha = Sha256::new();
        for (key, label) in bank.keys().iter().zip(bank.labels()) {
            sha.update(format!("{key}\0{label}\n"));
        }
        let tracks = count_groups(bank.keys().iter().map(|key| group_of(key)));
        Self { images: bank.len(), tracks, correct: None, fingerprint: hex(&sha.finalize()) }
    }

    /// For people: `900 images of 30 tracks, 887 classified correctly`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let tracks = if self.tracks > 0 { format!(" of {} tracks", self.tracks) } else { String::new() };
        let correct = self.correct.map_or_else(String::new, |correct| format!(", {correct} classified correctly"));
        format!("{} images{tracks}{correct}", self.images)
    }

    /// Share of correctly classified images, 0..1; `None` where nobody knows, or without images.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        (self.images > 0).then_some(self.correct? as f64 / self.images as f64)
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
