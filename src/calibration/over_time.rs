//! What verdicts over several images need: on an object from its views, on a camera from its stream.

use std::collections::BTreeMap;

use super::{Bets, ConditionalCalibrator, Conditioning, ObjectCalibrator, Sample};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Calibration of verdicts over several images.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OverTime {
    /// For objects; `None` when too few tracks are long enough.
    pub objects: Option<ObjectCalibrator>,
    /// For streams; `None` when there are too few tracks.
    pub bets: Option<Bets>,
}

/// Some calibration images whose fused scores come from detectors that were calibrated on all others.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold<'a> {
    /// Rising positions of the images in the order of their keys, which is that of the views of an object.
    pub rows: Vec<usize>,
    /// One per row.
    pub samples: Vec<Sample<'a>>,
}

/// Fused score and p-value of the views of one track, by their positions.
type Track = BTreeMap<usize, (f32, f32)>;

impl OverTime {
    /// No verdicts over several images.
    pub const NONE: Self = Self { objects: None, bets: None };

    /// Calibrates on the same images as the fused score. Their p-values compare each fold with all others, so no image is compared with
    /// its own track.
    #[must_use]
    pub fn fit(folds: &[Fold<'_>], conditioning: Conditioning) -> Self {
        let mut tracks: BTreeMap<&str, Track> = BTreeMap::new();
        for (index, fold) in folds.iter().enumerate() {
            let others = folds.iter().enumerate().filter(|(other, _)| *other != index);
            let others: Vec<Sample<'_>> = others.flat_map(|(_, fold)| fold.samples.iter().copied()).collect();
            let Some(calibrator) = ConditionalCalibrator::fit(&others, conditioning) else { return Self::NONE };
            for (&row, sample) in fold.rows.iter().zip(&fold.samples) {
                let p_value = calibrator.of(sample.class).p_value(sample.score);
                tracks.entry(sample.track).or_default().insert(row, (sample.score, p_value));
            }
        }
        let column = |value: fn(&(f32, f32)) -> f32| -> Vec<Vec<f32>> {
            tracks.values().map(|track| track.values().map(value).collect()).collect()
        };
        Self { objects: ObjectCalibrator::fit(&column(|view| view.0)), bets: Bets::fit(&column(|view| view.1)) }
    }

    /// Writes what there is below `objects` and `bets`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        if let Some(objects) = &self.objects {
            objects.save(&mut out.scope("objects"));
        }
        if let Some(bets) = &self.bets {
            bets.save(&mut out.scope("bets"));
        }
    }

    /// Uses in place what [`OverTime::save`] wrote; what there must be says `objects` and `bets`.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing, misshapen, or holds numbers that no calibration gives.
    pub fn load(tensors: &TensorReader<'_>, objects: bool, bets: bool) -> Result<Self, StorageError> {
        Ok(Self {
            objects: objects.then(|| ObjectCalibrator::load(&tensors.scope("objects"))).transpose()?,
            bets: bets.then(|| Bets::load(&tensors.scope("bets"))).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::testing::reopened;

    /// Track `t` has the rows `t`, `t + 30`, … of 300.
    fn folds(names: &[String]) -> Vec<Fold<'_>> {
        let fold = |fold: usize| {
            let rows: Vec<usize> = (0..300).filter(|row| row % 30 % 5 == fold).collect();
            let sample = |&row: &usize| Sample { score: row as f32 / 300.0, class: row % 2, track: &names[row % 30] };
            Fold { samples: rows.iter().map(sample).collect(), rows }
        };
        (0..5).map(fold).collect()
    }

    fn names() -> Vec<String> {
        (0..30).map(|track| track.to_string()).collect()
    }

    #[test]
    fn views_are_taken_in_the_order_of_the_keys() {
        let names = names();
        let fitted = OverTime::fit(&folds(&names), Conditioning::Pooled);
        let ordered: Vec<Vec<f32>> =
            (0..30).map(|track| (track..300).step_by(30).map(|row| row as f32 / 300.0).collect()).collect();
        assert_eq!(fitted.objects, ObjectCalibrator::fit(&ordered));
        assert!(fitted.objects.is_some() && fitted.bets.is_some());
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let names = names();
        for fitted in [OverTime::fit(&folds(&names), Conditioning::Class), OverTime::default()] {
            let (objects, bets) = (fitted.objects.is_some(), fitted.bets.is_some());
            let load = |tensors: &TensorReader<'_>| OverTime::load(tensors, objects, bets).unwrap();
            assert_eq!(reopened(|out| fitted.save(out), load), fitted);
        }
    }
}
