//! Verdicts on objects: what all views of a track say together, as the node gives them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::levels::{AlarmIntervals, AlarmRates};
use super::{FUSED, Ranking, ScoredSet};
use crate::calibration::{MIN_TRACK_VIEWS, ObjectCalibrator};
use crate::stream::{Judged, over_views};

/// Alarms on the objects of a set: on its tracks of at least [`MIN_TRACK_VIEWS`] views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectAlarms {
    /// Number of objects.
    pub objects: usize,
    /// Share of objects that are alarmed after their last view.
    pub alarm_rate: AlarmRates,
    /// Its binomial intervals.
    pub alarm_rate_ci: AlarmIntervals,
    /// Share of objects that are alarmed after any of their views. For known objects the promise is that this is at most the nominal rate.
    pub ever_alarm_rate: AlarmRates,
    /// Its binomial intervals.
    pub ever_alarm_rate_ci: AlarmIntervals,
}

/// Figures on the objects of a set of unknown things. The positive class is OOD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OodObjects {
    /// Area under the ROC curve of the evidence after the last view, against known objects.
    pub auroc: Option<f64>,
    /// Share of known objects alarmed when 95 % of unknown ones are caught, by the same evidence.
    pub fpr95: Option<f64>,
    /// Alarms at the calibrated levels.
    #[serde(flatten)]
    pub alarms: ObjectAlarms,
}

/// What is said of the objects of a set, one entry each.
#[derive(Debug, Default)]
pub(super) struct ObjectScores {
    evidence: Vec<f32>,
    p_values: Vec<f32>,
    smallest: Vec<f32>,
}

impl ObjectScores {
    /// Views of a track come in the order of their names.
    pub(super) fn new(set: &ScoredSet, calibrator: &ObjectCalibrator) -> Self {
        let mut tracks: BTreeMap<&str, BTreeMap<&str, Judged>> = BTreeMap::new();
        let fused = set.scores(FUSED).iter().zip(set.p_values(FUSED));
        for (image, (&score, &p_value)) in set.images().iter().zip(fused) {
            let view = Judged { score, p_value, class: image.predicted };
            tracks.entry(image.track()).or_default().insert(&image.key, view);
        }
        let mut scores = Self::default();
        for track in tracks.into_values().filter(|track| track.len() >= MIN_TRACK_VIEWS) {
            scores.add(&track.into_values().collect::<Vec<_>>(), calibrator);
        }
        scores
    }

    fn add(&mut self, views: &[Judged], calibrator: &ObjectCalibrator) {
        let after = over_views(views, calibrator);
        let p_values = || after.iter().filter_map(|object| object.p_value.as_ref().ok().copied());
        if let (Some(last), Some(p_value)) = (after.last(), p_values().next_back()) {
            self.evidence.push(last.evidence);
            self.p_values.push(p_value);
            self.smallest.push(p_values().fold(p_value, f32::min));
        }
    }

    /// `None` without objects.
    pub(super) fn alarms(&self) -> Option<ObjectAlarms> {
        (!self.p_values.is_empty()).then(|| ObjectAlarms {
            objects: self.p_values.len(),
            alarm_rate: AlarmRates::of_p_values(&self.p_values),
            alarm_rate_ci: AlarmIntervals::of_p_values(&self.p_values),
            ever_alarm_rate: AlarmRates::of_p_values(&self.smallest),
            ever_alarm_rate_ci: AlarmIntervals::of_p_values(&self.smallest),
        })
    }

    /// As objects of an OOD set, against known ones; `None` without objects.
    pub(super) fn against(&self, known: &Self) -> Option<OodObjects> {
        let ranking = Ranking::new(&known.evidence, &self.evidence);
        Some(OodObjects { auroc: ranking.auroc(), fpr95: ranking.fpr_at_tpr(0.95), alarms: self.alarms()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::ScoredImage;

    /// Tracks of ten views, all with the score of the track.
    fn set(scores: impl IntoIterator<Item = f32>) -> ScoredSet {
        let mut set = ScoredSet::default();
        for (track, score) in scores.into_iter().enumerate() {
            for view in 0..10 {
                let image = ScoredImage { key: format!("1/{track}_{view}.png"), class: Some(1), predicted: 1 };
                set.push(image, [(FUSED, score, 0.5)]);
            }
        }
        set
    }

    fn calibrator() -> ObjectCalibrator {
        let tracks: Vec<Vec<f32>> = (0..39u8).map(|value| vec![f32::from(value); 10]).collect();
        ObjectCalibrator::fit(&tracks).unwrap()
    }

    #[test]
    fn objects_by_hand() {
        let known = ObjectScores::new(&set([1.0, 2.0, 3.0, 30.0]), &calibrator());
        let unknown = ObjectScores::new(&set([25.0, 50.0]), &calibrator());
        let alarms = known.alarms().unwrap();
        assert_eq!((alarms.objects, alarms.alarm_rate.at_10_percent), (4, Some(0.0)));
        let unknown = unknown.against(&known).unwrap();
        assert_eq!((unknown.auroc, unknown.fpr95), (Some(0.875), Some(0.25)));
        assert_eq!(unknown.alarms.alarm_rate.at_10_percent, Some(0.5));
        assert_eq!(unknown.alarms.ever_alarm_rate_ci.at_1_percent.map(|interval| interval.low), Some(0.0));
    }

    #[test]
    fn one_strange_stretch_counts_as_ever_alarmed() {
        let mut views = set([2.0]);
        let mut strange = ScoredSet::default();
        for (index, image) in std::mem::take(&mut views).images().iter().enumerate() {
            strange.push(image.clone(), [(FUSED, if index < 1 { 90.0 } else { 2.0 }, 0.5)]);
        }
        let alarms = ObjectScores::new(&strange, &calibrator()).alarms().unwrap();
        assert_eq!((alarms.alarm_rate.at_10_percent, alarms.ever_alarm_rate.at_10_percent), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn single_images_are_no_objects() {
        let mut single = ScoredSet::default();
        for number in 0..20 {
            let image = ScoredImage { key: format!("1/{number}.png"), class: None, predicted: 1 };
            single.push(image, [(FUSED, 1.0, 0.5)]);
        }
        assert_eq!(ObjectScores::new(&single, &calibrator()).alarms(), None);
    }
}
