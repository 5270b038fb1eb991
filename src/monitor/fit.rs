//! Fitting a monitor.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::metadata::{BankSummary, DetectorSummary, Metadata, OverTimeSummary};
use super::scored::{Calibration, Scored};
use super::{Calibrated, Levels, ModelId, Monitor, MonitorError};
use crate::activation::{BankError, FeatureBank, Head};
use crate::calibration::{
    Calibrator, ConditionalCalibrator, Conditioning, MIN_BET_TRACKS, MIN_OBJECT_TRACKS, MIN_TRACK_VIEWS, OverTime,
    folds,
};
use crate::detector::{Detector, DetectorKind, FitError, FitInput};

/// How to fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitSettings {
    /// Which detectors; results come in the order of [`DetectorKind::ALL`].
    pub detectors: BTreeSet<DetectorKind>,
    /// Whether a detector that the model cannot serve is an error. Otherwise it is left out, and
    /// [`Metadata::notes`] say so.
    pub all_required: bool,
    /// Whether p-values compare with all calibration images or with those of the predicted class.
    #[serde(default)]
    pub conditioning: Conditioning,
    /// Seed of all random choices.
    pub seed: u64,
}

impl Default for FitSettings {
    /// All detectors that the model can serve.
    fn default() -> Self {
        Self {
            detectors: DetectorKind::ALL.iter().copied().collect(),
            all_required: false,
            conditioning: Conditioning::Pooled,
            seed: 0,
        }
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
        let scored = Scored::new(detectors.iter().map(Box::as_ref), &calibration, settings.conditioning);
        let calibrated = scored.calibrate(&folds(calibration.keys(), FOLDS, settings.seed));
        let too_few = || MonitorError::Calibration { images: calibration.len(), groups: scored.tracks() };
        let calibrated = calibrated.ok_or_else(too_few)?;
        notes.extend(calibration_notes(&calibrated.fused, &calibrated.over_time, settings.conditioning));
        let metadata = Metadata {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            model,
            layout: training.layout().clone(),
            settings: settings.clone(),
            detectors: detectors.iter().map(|detector| summary(detector.as_ref())).collect(),
            training: BankSummary::of(&training),
            calibration: BankSummary::of(&calibration),
            over_time: OverTimeSummary::of(&calibrated.over_time),
            recalibration: None,
            notes,
        };
        let Calibration { detectors: calibrators, fused, over_time } = calibrated;
        let detectors = detectors.into_iter().zip(calibrators);
        let detectors = detectors.map(|(detector, calibrator)| Calibrated { detector, calibrator }).collect();
        Ok(Self { metadata, detectors, fused, over_time, sha256: OnceLock::new() })
    }
}

/// The bank sorted and checked.
pub(super) fn prepared(bank: &FeatureBank, name: &'static str) -> Result<FeatureBank, MonitorError> {
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
pub(super) const FOLDS: usize = 20;

/// What the user must know about a calibration, in sentences.
pub(super) fn calibration_notes(
    fused: &ConditionalCalibrator,
    over_time: &OverTime,
    conditioning: Conditioning,
) -> Vec<String> {
    too_few(fused.pooled(), conditioning).into_iter().chain(too_few_tracks(over_time)).collect()
}

/// A note when even the smallest p-value is above the usual alarm level.
fn too_few(fused: &Calibrator, conditioning: Conditioning) -> Option<String> {
    let (smallest, alarm) = (fused.smallest_p_value(), Levels::default().alarm);
    let (images, wanted) = (fused.len(), (2.0 / alarm).ceil());
    let (found, advice) = match conditioning {
        Conditioning::Track => {
            ("the tracks of ", format!("images of {wanted} tracks, or fit with --conditioning pooled"))
        }
        Conditioning::Pooled | Conditioning::Class => ("only ", format!("at least {wanted} calibration images")),
    };
    (smallest > alarm).then(|| {
        format!(
            "{found}{images} images calibrate the fused score: its p-values never fall below {smallest:.3}, so alarms at a \
             level of {alarm} are impossible; give {advice}"
        )
    })
}

/// Notes on verdicts over several images that too few tracks make impossible.
fn too_few_tracks(over_time: &OverTime) -> Vec<String> {
    let objects = over_time.objects.is_none().then(|| {
        format!(
            "there are no verdicts on objects: they need calibration images of at least {MIN_OBJECT_TRACKS} tracks of \
             {MIN_TRACK_VIEWS} or more views; images of one object have the same name up to the last `_`"
        )
    });
    let alarm = Levels::default().alarm;
    let alarms = over_time.objects.as_ref().filter(|objects| objects.smallest_p_value() > alarm).map(|objects| {
        let (tracks, smallest) = (objects.tracks(), objects.smallest_p_value());
        format!(
            "only {tracks} tracks calibrate verdicts on objects: their p-values never fall below {smallest:.3}, so objects are never \
             OUT_OF_DISTRIBUTION at a level of {alarm}; give calibration images of at least {:.0} tracks",
            (1.0 / alarm).ceil()
        )
    });
    let streams = over_time.bets.is_none().then(|| {
        format!(
            "changes of a stream are not looked for: that needs calibration images of at least {MIN_BET_TRACKS} tracks"
        )
    });
    objects.into_iter().chain(alarms).chain(streams).collect()
}
