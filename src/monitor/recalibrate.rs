//! Another calibration for the same detectors: on drives of the robot that they are to watch.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::fit::{FOLDS, calibration_notes, prepared};
use super::metadata::{BankSummary, OverTimeSummary};
use super::scored::{Calibration, Scored};
use super::{Calibrated, Monitor, MonitorError};
use crate::activation::FeatureBank;
use crate::calibration::{ConditionalCalibrator, folds};
use crate::evaluation::AlarmRates;

/// Images of one drive in which everything was as it should be.
#[derive(Debug, Clone)]
pub struct NominalDrive {
    /// What it is called; no other drive has this name.
    pub name: String,
    /// Its images. Their keys begin with the name of the drive; labels are not looked at.
    pub images: FeatureBank,
}

/// A drive that the calibration comes from, and how often it would have alarmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriveSummary {
    /// What it is called.
    pub name: String,
    /// Its images.
    #[serde(flatten)]
    pub images: BankSummary,
    /// Share of its images that alarm at each nominal level with the calibration of before.
    pub before: AlarmRates,
    /// The same with a calibration on all other drives; `None` where there are none.
    pub after: Option<AlarmRates>,
}

impl DriveSummary {
    /// For people: the shares with a calibration on all other drives, in percent.
    #[must_use]
    pub fn after_in_words(&self) -> String {
        self.after.as_ref().map_or_else(|| "no other drive".to_owned(), AlarmRates::in_words)
    }
}

/// Where a calibration comes from that is not the one of `fit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recalibration {
    /// SHA-256 of the monitor whose detectors these are, in lower-case hexadecimal digits.
    pub monitor: String,
    /// The images that it was calibrated on before.
    pub before: BankSummary,
    /// The drives of the calibration.
    pub drives: Vec<DriveSummary>,
    /// Whether somebody took drives that looked strange for nominal.
    pub is_accepted: bool,
}

/// What drives say about a monitor: their images' p-values.
#[derive(Debug, Clone, PartialEq)]
pub struct DrivePValues {
    /// By the monitor as it is, for every image of the drive in the order of the keys.
    pub before: Vec<f32>,
    /// By a calibration on all other drives; `None` where there are none.
    pub after: Option<Vec<f32>>,
}

/// Drives, checked and in one bank.
struct Prepared {
    bank: FeatureBank,
    /// Rows of every drive.
    rows: Vec<Vec<usize>>,
}

impl Monitor {
    /// The p-values of all images of some drives: as they are, and as they would be with a calibration on all other drives. So the
    /// second says what rate the promise would have had on a drive that the calibration did not see.
    ///
    /// # Errors
    /// [`MonitorError`] when the images come from another model, occur twice, or have no finite activations.
    pub fn p_values_of_drives(&self, drives: &[NominalDrive]) -> Result<Vec<DrivePValues>, MonitorError> {
        let prepared = self.prepare(drives)?;
        Ok(self.p_values(&prepared, &self.scored(&prepared.bank)))
    }

    /// The same detectors, calibrated on nominal drives of another camera, or in another place. Drives are the folds of the
    /// calibration, so that the fused score of an image is compared with what other drives make of it; a single drive is
    /// divided by track.
    ///
    /// # Errors
    /// As for [`Monitor::p_values_of_drives`]; [`MonitorError::Calibration`] with fewer than two tracks.
    pub fn recalibrate(self, drives: &[NominalDrive], is_accepted: bool) -> Result<Self, MonitorError> {
        let prepared = self.prepare(drives)?;
        let scored = self.scored(&prepared.bank);
        let p_values = self.p_values(&prepared, &scored);
        let Prepared { bank, rows } = &prepared;
        let too_few = || MonitorError::Calibration { images: bank.len(), groups: scored.tracks() };
        let calibration = scored.calibrate(&self.folds(bank, rows)).ok_or_else(too_few)?;
        let mut metadata = self.metadata.clone();
        metadata.recalibration = Some(Recalibration {
            monitor: self.sha256().to_owned(),
            before: metadata.calibration,
            drives: drives.iter().zip(p_values).map(|(drive, p_values)| summary(drive, &p_values)).collect(),
            is_accepted,
        });
        metadata.calibration = BankSummary::unlabelled(bank);
        metadata.over_time = OverTimeSummary::of(&calibration.over_time);
        let conditioning = metadata.settings.conditioning;
        let outdated = calibration_notes(&self.fused, &self.over_time, conditioning);
        metadata.notes.retain(|note| !outdated.contains(note));
        metadata.notes.extend(calibration_notes(&calibration.fused, &calibration.over_time, conditioning));
        let Calibration { detectors, fused, over_time } = calibration;
        let calibrated = self.detectors.into_iter().zip(detectors);
        let detectors = calibrated.map(|(Calibrated { detector, .. }, calibrator)| Calibrated { detector, calibrator });
        Ok(Self { metadata, detectors: detectors.collect(), fused, over_time, sha256: OnceLock::new() })
    }

    fn p_values(&self, Prepared { bank, rows }: &Prepared, scored: &Scored<'_>) -> Vec<DrivePValues> {
        let before = |&row: &usize| scored.p_value(row, self.calibrators(), &self.fused);
        let of_drive = |(drive, own): (usize, &Vec<usize>)| {
            let others = self.folds(bank, &without(rows, drive));
            let after = scored.calibrate(&others).map(|Calibration { detectors, fused, .. }| {
                own.iter().map(|&row| scored.p_value(row, &detectors, &fused)).collect()
            });
            DrivePValues { before: own.iter().map(before).collect(), after }
        };
        rows.iter().enumerate().map(of_drive).collect()
    }

    fn prepare(&self, drives: &[NominalDrive]) -> Result<Prepared, MonitorError> {
        let mut bank = FeatureBank::new(self.metadata.layout.clone());
        let mut drive_of = BTreeMap::new();
        for (index, drive) in drives.iter().enumerate() {
            bank.merge(&drive.images)?;
            drive_of.extend(drive.images.keys().iter().map(|key| (key.as_str(), index)));
        }
        let bank = prepared(&bank, "calibration")?;
        let mut rows = vec![Vec::new(); drives.len()];
        bank.keys().iter().enumerate().for_each(|(row, key)| rows[drive_of[key.as_str()]].push(row));
        Ok(Prepared { bank, rows })
    }

    fn scored<'a>(&self, bank: &'a FeatureBank) -> Scored<'a> {
        let detectors = self.detectors.iter().map(|calibrated| calibrated.detector.as_ref());
        Scored::new(detectors, bank, self.metadata.settings.conditioning)
    }

    fn calibrators(&self) -> impl Iterator<Item = &ConditionalCalibrator> {
        self.detectors.iter().map(|calibrated| &calibrated.calibrator)
    }

    /// Drives as folds; the tracks of a single one.
    fn folds(&self, bank: &FeatureBank, drives: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let drives: Vec<&Vec<usize>> = drives.iter().filter(|rows| !rows.is_empty()).collect();
        let [only] = drives.as_slice() else { return drives.into_iter().cloned().collect() };
        let keys: Vec<String> = only.iter().map(|&row| bank.keys()[row].clone()).collect();
        let folds = folds(&keys, FOLDS, self.metadata.settings.seed);
        folds.into_iter().map(|fold| fold.into_iter().map(|index| only[index]).collect()).collect()
    }
}

fn without(rows: &[Vec<usize>], drive: usize) -> Vec<Vec<usize>> {
    let others = rows.iter().enumerate().filter(|(other, _)| *other != drive);
    others.map(|(_, rows)| rows.clone()).collect()
}

fn summary(drive: &NominalDrive, p_values: &DrivePValues) -> DriveSummary {
    DriveSummary {
        name: drive.name.clone(),
        images: BankSummary::unlabelled(&drive.images.sort()),
        before: AlarmRates::of_p_values(&p_values.before),
        after: p_values.after.as_deref().map(AlarmRates::of_p_values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::LayerFeatures;
    use crate::detector::DetectorKind;
    use crate::detector::testing::synthetic_bank;
    use crate::monitor::FitSettings;
    use crate::monitor::model_id::tests::model;

    const CLASSES: usize = 3;

    fn fitted() -> Monitor {
        let (training, calibration) = (synthetic_bank(CLASSES, 60, 1), synthetic_bank(CLASSES, 200, 2));
        let settings = FitSettings::only([DetectorKind::GaussianDiag, DetectorKind::Mahalanobis, DetectorKind::Knn]);
        Monitor::fit(&training, &calibration, None, model(), &settings).unwrap()
    }

    /// A drive with another camera: all activations are larger by `shift`.
    fn drive(name: &str, images: usize, seed: u64, shift: f32) -> NominalDrive {
        let bank = synthetic_bank(CLASSES, images, seed);
        let mut shifted = FeatureBank::new(bank.layout().clone());
        for row in 0..bank.len() {
            let mut features = bank.features(row);
            features.layers.iter_mut().for_each(|LayerFeatures { mean, .. }| *mean += shift);
            shifted.push(format!("{name}/{}", bank.keys()[row]), 0, &features).unwrap();
        }
        NominalDrive { name: name.to_owned(), images: shifted }
    }

    fn drives(shift: f32) -> Vec<NominalDrive> {
        [("a", 3), ("b", 4), ("c", 5)].map(|(name, seed)| drive(name, 100, seed, shift)).into()
    }

    fn at_10_percent(p_values: &[f32]) -> f64 {
        AlarmRates::of_p_values(p_values).at_10_percent.unwrap()
    }

    #[test]
    fn the_promise_holds_on_a_drive_that_calibration_did_not_see() {
        for DrivePValues { before, after } in fitted().p_values_of_drives(&drives(0.6)).unwrap() {
            assert!(at_10_percent(&before) > 0.2, "the shift is seen: {}", at_10_percent(&before));
            let after = at_10_percent(&after.unwrap());
            assert!((0.04..0.16).contains(&after), "{after}");
        }
    }

    #[test]
    fn the_new_monitor_keeps_its_promise_and_says_where_it_comes_from() {
        let (before, sha256) = (fitted(), fitted().sha256().to_owned());
        let notes = before.metadata.notes.clone();
        let old_calibration = before.metadata.calibration.clone();
        let monitor = before.recalibrate(&drives(0.6), true).unwrap();
        let unseen = drive("unseen", 300, 9, 0.6);
        let p_values = monitor.p_values_of_drives(std::slice::from_ref(&unseen)).unwrap();
        assert!((0.06..0.14).contains(&at_10_percent(&p_values[0].before)), "{}", at_10_percent(&p_values[0].before));
        assert_eq!(p_values[0].after, None, "there is no other drive");
        let metadata = monitor.metadata();
        assert_eq!((metadata.calibration.images, metadata.calibration.correct), (900, None));
        assert_eq!(metadata.notes, notes);
        let recalibration = metadata.recalibration.as_ref().unwrap();
        assert_eq!((&recalibration.monitor, &recalibration.before), (&sha256, &old_calibration));
        assert!(recalibration.is_accepted);
        assert_eq!(recalibration.drives.iter().map(|drive| drive.images.images).collect::<Vec<_>>(), [300; 3]);
        let twice = monitor.recalibrate(&[unseen], false).unwrap();
        assert_eq!(twice.metadata().recalibration.as_ref().unwrap().drives.len(), 1, "a single drive, by track");
    }

    #[test]
    fn notes_on_detectors_stay_and_those_on_the_calibration_are_made_anew() {
        let few = synthetic_bank(CLASSES, 10, 2);
        let monitor =
            Monitor::fit(&synthetic_bank(CLASSES, 60, 1), &few, None, model(), &FitSettings::default()).unwrap();
        let kept: Vec<String> =
            monitor.metadata.notes.iter().filter(|note| note.contains("was left out")).cloned().collect();
        assert!(!kept.is_empty() && monitor.metadata.notes.len() > kept.len(), "{:?}", monitor.metadata.notes);
        let calibrated = monitor.recalibrate(&[drive("a", 600, 3, 0.0), drive("b", 600, 4, 0.0)], false).unwrap();
        assert_eq!(calibrated.metadata.notes[..kept.len()], kept);
        let new = &calibrated.metadata.notes[kept.len()..];
        assert!(!new.iter().any(|note| note.contains("only 30 images")), "{new:?}");
    }

    #[test]
    fn judging_and_p_values_of_drives_agree() {
        let (monitor, drive) = (fitted(), drive("a", 20, 3, 0.3));
        let sorted = drive.images.sort();
        let judged: Vec<f32> =
            (0..sorted.len()).map(|row| monitor.judge(&sorted.features(row)).unwrap().fused.p_value).collect();
        assert_eq!(monitor.p_values_of_drives(&[drive]).unwrap()[0].before, judged);
    }

    #[test]
    fn unusable_drives_are_refused() {
        let twice = [drive("a", 5, 3, 0.0), drive("a", 5, 3, 0.0)];
        assert!(matches!(fitted().recalibrate(&twice, false), Err(MonitorError::Duplicate { .. })));
        let alone = NominalDrive { name: "a".into(), images: drive("a", 5, 3, 0.0).images.select(&[0]) };
        assert!(matches!(
            fitted().recalibrate(&[alone], false),
            Err(MonitorError::Calibration { images: 1, groups: 1 })
        ));
    }
}
