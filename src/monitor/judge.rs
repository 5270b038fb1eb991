//! Judging one image.

use serde::Serialize;

use super::{Calibrated, Monitor, MonitorError};
use crate::activation::Features;
use crate::calibration::{FUSED, fuse};

/// What one detector, or all of them together, say about one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectorResult {
    /// Name of the detector, or [`FUSED`].
    pub name: &'static str,
    /// Higher is less like the training data; the unit is the detector's own. Always finite.
    pub score: f32,
    /// Conformal p-value, above 0 to 1; small means out of distribution.
    pub p_value: f32,
}

/// What the monitor says about one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The class that the network predicts.
    pub predicted_class: usize,
    /// One result per detector, in the monitor's order.
    pub detectors: Vec<DetectorResult>,
    /// All detectors together; the score is a weighted mean of −ln of their p-values (see [`fuse`]).
    pub fused: DetectorResult,
    /// Bits in which the binary pattern of the penultimate layer differs from the nearest one seen in training for the predicted class; `None`
    /// without the detector `pattern_hamming`.
    pub hamming_distance: Option<u32>,
}

impl Judgement {
    /// The results of all detectors, their fusion at the end.
    pub fn results(&self) -> impl Iterator<Item = &DetectorResult> {
        self.detectors.iter().chain([&self.fused])
    }
}

/// The nearest finite number; NaN counts as too large, so that it ranks as most unusual.
pub(super) fn bounded(score: f32) -> f32 {
    if score < f32::MAX { score.max(f32::MIN) } else { f32::MAX }
}

impl Monitor {
    /// Judges one image by its features.
    ///
    /// # Errors
    /// [`MonitorError::Features`] when the features come from another model, [`MonitorError::NonFinite`] when an
    /// activation is NaN or infinite.
    pub fn judge(&self, features: &Features) -> Result<Judgement, MonitorError> {
        self.check_features(features)?;
        let class = features.predicted_class();
        let results = self.detectors.iter().map(|calibrated| calibrated.result(class, features));
        let (detectors, distances): (Vec<DetectorResult>, Vec<Option<u32>>) = results.unzip();
        let surprises = self.detectors.iter().zip(&detectors).map(|(calibrated, result)| {
            (calibrated.detector.kind().family(), calibrated.calibrator.of(class).surprise(result.score))
        });
        let fused = fuse(surprises, |family| family.weight());
        Ok(Judgement {
            predicted_class: class,
            hamming_distance: distances.into_iter().flatten().next(),
            detectors,
            fused: DetectorResult { name: FUSED, score: fused, p_value: self.fused.of(class).p_value(fused) },
        })
    }

    /// Whether detectors can look at these features.
    pub(super) fn check_features(&self, features: &Features) -> Result<(), MonitorError> {
        if !features.matches(&self.metadata.layout) {
            return Err(MonitorError::Features { expected: super::metadata::describe(&self.metadata.layout) });
        }
        if !features.is_finite() {
            return Err(MonitorError::NonFinite { image: String::new() });
        }
        Ok(())
    }
}

impl Calibrated {
    /// The detector's result, and the Hamming distance where it has one.
    fn result(&self, class: usize, features: &Features) -> (DetectorResult, Option<u32>) {
        let (score, distance) = self.detector.score_and_hamming_distance(features);
        let score = bounded(score);
        let p_value = self.calibrator.of(class).p_value(score);
        (DetectorResult { name: self.detector.kind().name(), score, p_value }, distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_kept_finite() {
        for (score, kept) in
            [(1.5, 1.5), (f32::NAN, f32::MAX), (f32::INFINITY, f32::MAX), (f32::NEG_INFINITY, f32::MIN), (-0.5, -0.5)]
        {
            assert_eq!(bounded(score), kept);
        }
    }
}
