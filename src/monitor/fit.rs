//! Fitting a monitor.

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::metadata::{BankSummary, DetectorSummary, Metadata, ModelId};
use super::{Calibrated, Levels, Monitor, MonitorError};
use crate::activation::{BankError, FeatureBank, Head};
use crate::calibration::{Calibrator, folds, fuse, group_of};
use crate::detector::{Detector, DetectorKind, FitError, FitInput};

/// How to fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitSettings {
    /// Which detectors; results come in the order of [`DetectorKind::ALL`].
    pub detectors: BTreeSet<DetectorKind>,
    /// Whether a detector that the model cannot serve is an error. Otherwise it is left out, and
    /// [`Metadata::notes`] say so.
    pub all_required: bool,
    /// Seed of all random choices.
    pub seed: u64,
}

impl Default for FitSettings {
    /// All detectors that the model can serve.
    fn default() -> Self {
        Self { detectors: DetectorKind::ALL.iter().copied().collect(), all_required: false, seed: 0 }
    }
}

impl FitSettings {
    /// Exactly these detectors; one that the model cannot serve is an error.
    #[must_use]
    pub fn only(detectors: impl IntoIterator<Item = DetectorKind>) -> Self {
        Self { detectors: detectors.into_iter().collect(), all_required: true, ..Self::default() }
    }
}

impl Monitor {
    /// Fits the detectors on training images and calibrates them on other images that the model knows.
    ///
    /// `calibration` must be in-distribution images that the network was not trained on, of other tracks than the
    /// training images. It is divided by track into folds that calibrate the fused score crosswise. The order of the
    /// images has no influence.
    ///
    /// # Errors
    /// [`MonitorError`] when the images do not suffice, occur twice, have no finite activations or do not belong
    /// together, or when a required detector cannot be fitted.
    pub fn fit(
        training: &FeatureBank,
        calibration: &FeatureBank,
        head: Option<&Head>,
        model: ModelId,
        settings: &FitSettings,
    ) -> Result<Self, MonitorError> {
        model.check(training.layout())?;
        let (training, calibration) = (prepared(training, "training")?, prepared(calibration, "calibration")?);
        if calibration.layout() != training.layout() {
            return Err(BankError::Layout.into());
        }
        let (detectors, mut notes) =
            fit_detectors(&FitInput::new(&training, head)?.with_decoy_class(model.decoy_class), settings)?;
        let (detectors, fused) = calibrate(detectors, &calibration, settings.seed)?;
        notes.extend(too_few(fused.len()));
        let metadata = Metadata {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            model,
            layout: training.layout().clone(),
            settings: settings.clone(),
            detectors: detectors.iter().map(|calibrated| summary(calibrated.detector.as_ref())).collect(),
            training: BankSummary::of(&training),
            calibration: BankSummary::of(&calibration),
            notes,
        };
        Ok(Self { metadata, detectors, fused })
    }
}

/// The bank sorted and checked.
fn prepared(bank: &FeatureBank, name: &'static str) -> Result<FeatureBank, MonitorError> {
    let bank = bank.sort();
    if let Some(twice) = bank.keys().windows(2).find(|keys| keys[0] == keys[1]) {
        return Err(MonitorError::Duplicate { key: twice[0].clone(), bank: name });
    }
    match (0..bank.len()).find(|&row| !bank.features(row).is_finite()) {
        Some(row) => Err(MonitorError::NonFinite { image: format!(" for image {}", bank.keys()[row]) }),
        None => Ok(bank),
    }
}

type Fitted = (Vec<Box<dyn Detector>>, Vec<String>);

/// The detectors that the model can serve, and a note for each that it cannot.
fn fit_detectors(input: &FitInput<'_>, settings: &FitSettings) -> Result<Fitted, MonitorError> {
    let (mut detectors, mut notes) = (Vec::new(), Vec::new());
    for kind in &settings.detectors {
        match kind.fit(input) {
            Ok(detector) => detectors.push(detector),
            Err(error @ FitError::Unsupported { .. }) if !settings.all_required => {
                notes.push(format!("{kind} was left out: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if detectors.is_empty() { Err(MonitorError::NoDetector) } else { Ok((detectors, notes)) }
}

fn summary(detector: &dyn Detector) -> DetectorSummary {
    DetectorSummary { name: detector.kind(), summary: detector.summary() }
}

/// Parts of the calibration images that are compared with all others in turn. Many, so that the detectors of a fold are
/// calibrated on nearly as many images as those that judge later.
const FOLDS: usize = 20;

/// Calibrates the detectors on all images, and their fusion by cross-fitting (cross-conformal prediction: Vovk,
/// *Cross-conformal predictors*, Ann. Math. Artif. Intell. 74, 2015): the fused scores of every fold come from detectors
/// that were calibrated on the other folds. So no image is compared with frames of its own track, and every image counts:
/// tracks are few, and a half of them would leave the levels of 1 % and below to one or two tracks.
fn calibrate(
    detectors: Vec<Box<dyn Detector>>,
    bank: &FeatureBank,
    seed: u64,
) -> Result<(Vec<Calibrated>, Calibrator), MonitorError> {
    let groups = bank.keys().iter().map(|key| group_of(key)).collect::<BTreeSet<_>>().len();
    let too_few = || MonitorError::Calibration { images: bank.len(), groups };
    let scores: Vec<Vec<f32>> = detectors.iter().map(|detector| scores(detector.as_ref(), bank)).collect();
    let folds = folds(bank.keys(), FOLDS, seed);
    let fused = (0..folds.len()).into_par_iter().map(|fold| fused_scores(&scores, &folds, fold));
    let fused: Vec<Vec<f32>> = fused.collect::<Option<_>>().ok_or_else(too_few)?;
    let fused = Calibrator::fit(fused.concat()).ok_or_else(too_few)?;
    let calibrated = detectors.into_iter().zip(scores);
    let calibrated =
        calibrated.map(|(detector, scores)| Some(Calibrated { calibrator: Calibrator::fit(scores)?, detector }));
    Ok((calibrated.collect::<Option<_>>().ok_or_else(too_few)?, fused))
}

/// What a detector says about every image.
fn scores(detector: &dyn Detector, bank: &FeatureBank) -> Vec<f32> {
    (0..bank.len()).into_par_iter().map(|row| super::judge::bounded(detector.score(&bank.features(row)))).collect()
}

/// Fused scores of a fold, the detectors calibrated on all other folds; `None` when there is no other one.
fn fused_scores(scores: &[Vec<f32>], folds: &[Vec<usize>], fold: usize) -> Option<Vec<f32>> {
    let others = || folds.iter().enumerate().filter(|(other, _)| *other != fold).flat_map(|(_, rows)| rows);
    let calibrators = scores.iter().map(|scores| Calibrator::fit(others().map(|&row| scores[row]).collect()));
    let calibrators: Vec<Calibrator> = calibrators.collect::<Option<_>>()?;
    let surprises = |row: usize| calibrators.iter().zip(scores).map(move |(one, scores)| one.surprise(scores[row]));
    Some(folds[fold].iter().map(|&row| fuse(surprises(row))).collect())
}

/// A note when even the smallest p-value is above the usual alarm level.
fn too_few(images: usize) -> Option<String> {
    let smallest = 1.0 / (images + 1) as f32;
    let alarm = Levels::default().alarm;
    (smallest > alarm).then(|| {
        format!(
            "only {images} images calibrate the fused score: its p-values never fall below {smallest:.3}, \
             so alarms at a level of {alarm} are impossible; give at least {} calibration images",
            (2.0 / alarm).ceil()
        )
    })
}
