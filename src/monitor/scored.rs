//! What detectors say about calibration images, and the calibration that follows from it.

use rayon::prelude::*;

use crate::activation::{FeatureBank, Features};
use crate::calibration::{ConditionalCalibrator, Conditioning, Fold, OverTime, Sample, count_groups, fuse, group_of};
use crate::detector::{Detector, Family};

/// What all detectors say about the calibration images.
pub(super) struct Scored<'a> {
    /// Track and predicted class.
    images: Vec<(&'a str, usize)>,
    /// Per detector its family and its scores, one per image.
    detectors: Vec<(Family, Vec<f32>)>,
    conditioning: Conditioning,
}

/// What scores mean.
pub(super) struct Calibration {
    /// One per detector.
    pub detectors: Vec<ConditionalCalibrator>,
    /// Of all detectors together.
    pub fused: ConditionalCalibrator,
    /// Of several images.
    pub over_time: OverTime,
}

impl<'a> Scored<'a> {
    /// Lets detectors look at a sorted bank.
    pub fn new<'d>(
        detectors: impl IntoIterator<Item = &'d dyn Detector>,
        bank: &'a FeatureBank,
        conditioning: Conditioning,
    ) -> Self {
        let features: Vec<Features> = (0..bank.len()).map(|row| bank.features(row)).collect();
        let scores = |detector: &dyn Detector| {
            let scores = features.par_iter().map(|features| super::judge::bounded(detector.score(features)));
            (detector.kind().family(), scores.collect())
        };
        let keys = bank.keys().iter().zip(&features);
        Self {
            images: keys.map(|(key, features)| (group_of(key), features.predicted_class())).collect(),
            detectors: detectors.into_iter().map(scores).collect(),
            conditioning,
        }
    }

    /// Number of tracks.
    pub fn tracks(&self) -> usize {
        count_groups(self.images.iter().map(|(track, _)| *track))
    }

    /// Calibrates the detectors on all images of the folds, and their fusion by cross-fitting (cross-conformal prediction:
    /// Vovk, *Cross-conformal predictors*, Ann. Math. Artif. Intell. 74, 2015): the fused scores of every fold come from
    /// detectors that were calibrated on the other folds. So no image is compared with frames of its own track, and every
    /// image counts: tracks are few, and a half of them would leave the levels of 1 % and below to one or two tracks.
    ///
    /// `None` with fewer than two folds.
    pub fn calibrate(&self, folds: &[Vec<usize>]) -> Option<Calibration> {
        let scores = (0..folds.len()).into_par_iter().map(|fold| self.fused(folds, fold));
        let scores: Vec<Fold<'_>> = scores.collect::<Option<_>>()?;
        let samples: Vec<Sample<'_>> = scores.iter().flat_map(|fold| fold.samples.iter().copied()).collect();
        let all: Vec<usize> = folds.concat();
        Some(Calibration {
            detectors: self.calibrators(&all)?,
            fused: ConditionalCalibrator::fit(&samples, self.conditioning)?,
            over_time: OverTime::fit(&scores, self.conditioning),
        })
    }

    /// The p-value of an image's fused score by a calibration on others.
    pub fn p_value<'c>(
        &self,
        row: usize,
        detectors: impl IntoIterator<Item = &'c ConditionalCalibrator>,
        fused: &ConditionalCalibrator,
    ) -> f32 {
        fused.of(self.images[row].1).p_value(self.score(row, detectors))
    }

    /// One calibrator per detector, on the given images; `None` when there are none.
    fn calibrators(&self, rows: &[usize]) -> Option<Vec<ConditionalCalibrator>> {
        let calibrator = |(_, scores): &(Family, Vec<f32>)| {
            let samples: Vec<Sample<'_>> = rows.iter().map(|&row| self.sample(row, scores[row])).collect();
            ConditionalCalibrator::fit(&samples, self.conditioning)
        };
        self.detectors.iter().map(calibrator).collect()
    }

    /// Fused scores of a fold, the detectors calibrated on all other folds; `None` when there is no other one.
    fn fused(&self, folds: &[Vec<usize>], fold: usize) -> Option<Fold<'a>> {
        let others = folds.iter().enumerate().filter(|(other, _)| *other != fold);
        let others: Vec<usize> = others.flat_map(|(_, rows)| rows).copied().collect();
        let calibrators = self.calibrators(&others)?;
        let rows = folds[fold].clone();
        Some(Fold { samples: rows.iter().map(|&row| self.sample(row, self.score(row, &calibrators))).collect(), rows })
    }

    /// An image's fused score by calibrated detectors.
    fn score<'c>(&self, row: usize, calibrators: impl IntoIterator<Item = &'c ConditionalCalibrator>) -> f32 {
        let class = self.images[row].1;
        let detectors = calibrators.into_iter().zip(&self.detectors);
        let surprises = detectors.map(|(one, (family, scores))| (*family, one.of(class).surprise(scores[row])));
        fuse(surprises, |family| family.weight())
    }

    fn sample(&self, row: usize, score: f32) -> Sample<'a> {
        let (track, class) = self.images[row];
        Sample { score, class, track }
    }
}
