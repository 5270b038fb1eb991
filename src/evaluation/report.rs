//! The figures of an evaluation, and their JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootstrap::Groups;
use super::classes::{by_class, tracks};
use super::metrics::Ranks;
use super::objects::{ObjectAlarms, ObjectScores, OodObjects};
use super::{
    AlarmIntervals, AlarmRates, Bootstrap, ClassReport, Interval, Ranking, ScoredImage, ScoredSet, Scores, accuracy,
};
use crate::calibration::ObjectCalibrator;

/// Everything `evaluate` finds out. All rates and areas are in 0..1, and `None` (JSON `null`) where undefined, for
/// example a misclassification AUROC without a misclassified image.
///
/// Names that end in `_ci` are 95 % confidence intervals: binomial for alarm rates ([`Interval::of_share`]), by the
/// bootstrap for all others ([`Bootstrap`]), which draws the tracks of known images as a whole, OOD images one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// Images of known classes.
    pub in_distribution: InDistributionReport,
    /// Sets of images of unknown things, by the name given to the set.
    pub ood: BTreeMap<String, OodReport>,
}

/// Figures on images of known classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InDistributionReport {
    /// Number of images.
    pub images: usize,
    /// Number of tracks: images that show one object.
    pub tracks: usize,
    /// Share of images classified correctly.
    pub accuracy: Option<f64>,
    /// By name of the detector; `fused` stands for all of them together.
    pub detectors: BTreeMap<String, InDistributionDetector>,
    /// By name of the true class; classes without images are left out.
    pub classes: BTreeMap<String, ClassReport>,
    /// Verdicts on objects; `None` where the monitor gives none, or where no track has enough views.
    pub objects: Option<ObjectAlarms>,
}

/// Figures of one detector on images of known classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InDistributionDetector {
    /// How well the score tells misclassified (positive) from correctly classified images.
    pub misclassification_auroc: Option<f64>,
    /// Its interval.
    pub misclassification_auroc_ci: Option<Interval>,
    /// Area under the risk-coverage curve, see [`Ranking::aurc`].
    pub aurc: Option<f64>,
    /// Its interval.
    pub aurc_ci: Option<Interval>,
    /// How far it is above the best possible one, see [`Ranking::excess_aurc`].
    pub excess_aurc: Option<f64>,
    /// Realised false-alarm rate.
    pub alarm_rate: AlarmRates,
    /// Its intervals.
    pub alarm_rate_ci: AlarmIntervals,
}

/// Figures on one set of images of unknown things.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OodReport {
    /// Number of images.
    pub images: usize,
    /// By name of the detector; `fused` stands for all of them together.
    pub detectors: BTreeMap<String, OodDetector>,
    /// Verdicts on objects: images whose names are the same up to the last `_` show one. `None` as for known images.
    pub objects: Option<OodObjects>,
}

/// Figures of one detector on one set of images of unknown things. The positive class is OOD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OodDetector {
    /// Area under the ROC curve.
    pub auroc: Option<f64>,
    /// Its interval.
    pub auroc_ci: Option<Interval>,
    /// Average precision with OOD as the positive class.
    pub aupr_out: Option<f64>,
    /// Average precision with in-distribution as the positive class.
    pub aupr_in: Option<f64>,
    /// Share of in-distribution images alarmed when 95 % of OOD is caught (OpenOOD's convention).
    pub fpr95: Option<f64>,
    /// Its interval.
    pub fpr95_ci: Option<Interval>,
    /// Share of OOD caught when at most 1 % of in-distribution images is alarmed.
    pub tpr_at_1pct: Option<f64>,
    /// Its interval.
    pub tpr_at_1pct_ci: Option<Interval>,
    /// Share of OOD caught when at most 0.1 % of in-distribution images is alarmed.
    pub tpr_at_01pct: Option<f64>,
    /// Accuracy at the best threshold for equally frequent known and unknown images, see
    /// [`Ranking::detection_accuracy`].
    pub detection_accuracy: Option<f64>,
    /// Share of OOD caught at the calibrated thresholds.
    pub alarm_rate: AlarmRates,
    /// Its intervals.
    pub alarm_rate_ci: AlarmIntervals,
}

impl EvaluationReport {
    /// Computes all figures from what the monitor said about known images and about each OOD set. `classes` are the
    /// names of the known classes by index, `calibrator` is what the monitor judges objects with.
    #[must_use]
    pub fn new(
        classes: &[String],
        in_distribution: &ScoredSet,
        ood: &BTreeMap<String, ScoredSet>,
        calibrator: Option<&ObjectCalibrator>,
        bootstrap: Bootstrap,
    ) -> Self {
        let objects =
            |set: &ScoredSet| calibrator.map(|calibrator| ObjectScores::new(set, calibrator)).unwrap_or_default();
        let known = objects(in_distribution);
        let against = |(name, set): (&String, &ScoredSet)| {
            (name.clone(), OodReport::new(in_distribution, set, objects(set).against(&known), bootstrap))
        };
        Self {
            in_distribution: InDistributionReport::new(classes, in_distribution, known.alarms(), bootstrap),
            ood: ood.iter().map(against).collect(),
        }
    }
}

impl InDistributionReport {
    fn new(classes: &[String], set: &ScoredSet, objects: Option<ObjectAlarms>, bootstrap: Bootstrap) -> Self {
        let intervals = misclassification_intervals(set, bootstrap);
        let detector = |index: usize, name: &str, scores: &Scores| {
            let [right, wrong] = set.by_correctness(name);
            InDistributionDetector::new(&Ranking::new(&right, &wrong), &intervals[index], &scores.p_values)
        };
        Self {
            images: set.images().len(),
            tracks: tracks(set.images().iter()),
            accuracy: accuracy(&set.correct()),
            detectors: by_name(set, detector),
            classes: by_class(set, classes),
            objects,
        }
    }
}

impl InDistributionDetector {
    fn new(ranking: &Ranking, intervals: &[Option<Interval>; 2], p_values: &[f32]) -> Self {
        let [misclassification_auroc, aurc] = misclassification(ranking);
        Self {
            misclassification_auroc,
            misclassification_auroc_ci: intervals[0],
            aurc,
            aurc_ci: intervals[1],
            excess_aurc: ranking.excess_aurc(),
            alarm_rate: AlarmRates::of_p_values(p_values),
            alarm_rate_ci: AlarmIntervals::of_p_values(p_values),
        }
    }
}

impl OodReport {
    fn new(in_distribution: &ScoredSet, set: &ScoredSet, objects: Option<OodObjects>, bootstrap: Bootstrap) -> Self {
        let intervals = detection_intervals(in_distribution, set, bootstrap);
        let detector = |index: usize, name: &str, scores: &Scores| {
            let ranking = Ranking::new(in_distribution.scores(name), &scores.scores);
            OodDetector::new(&ranking, &intervals[index], &scores.p_values)
        };
        Self { images: set.images().len(), detectors: by_name(set, detector), objects }
    }
}

impl OodDetector {
    fn new(ranking: &Ranking, intervals: &[Option<Interval>; 3], p_values: &[f32]) -> Self {
        let [auroc, fpr95, tpr_at_1pct] = detection(ranking);
        Self {
            auroc,
            auroc_ci: intervals[0],
            aupr_out: ranking.average_precision(),
            aupr_in: ranking.mirrored().average_precision(),
            fpr95,
            fpr95_ci: intervals[1],
            tpr_at_1pct,
            tpr_at_1pct_ci: intervals[2],
            tpr_at_01pct: ranking.tpr_at_fpr(0.001),
            detection_accuracy: ranking.detection_accuracy(),
            alarm_rate: AlarmRates::of_p_values(p_values),
            alarm_rate_ci: AlarmIntervals::of_p_values(p_values),
        }
    }
}

/// What is resampled of known images: misclassification AUROC and AURC.
fn misclassification(ranking: &Ranking) -> [Option<f64>; 2] {
    [ranking.auroc(), ranking.aurc()]
}

/// What is resampled of OOD images: AUROC, FPR95 and TPR at 1 %.
fn detection(ranking: &Ranking) -> [Option<f64>; 3] {
    [ranking.auroc(), ranking.fpr_at_tpr(0.95), ranking.tpr_at_fpr(0.01)]
}

/// Intervals of [`misclassification`], one entry per detector.
fn misclassification_intervals(set: &ScoredSet, bootstrap: Bootstrap) -> Vec<[Option<Interval>; 2]> {
    let names = set.detectors().keys();
    let ranks: Vec<Ranks> = names.map(|name| set.by_correctness(name)).map(|[r, w]| Ranks::new(&r, &w)).collect();
    let images_of = |wanted: bool| -> Vec<usize> {
        (0..set.images().len()).filter(|&image| set.images()[image].is_correct() == wanted).collect()
    };
    let (right, wrong) = (images_of(true), images_of(false));
    let intervals = bootstrap.intervals(&[&tracks_of(set)], |draws| {
        let counts = |images: &[usize]| images.iter().map(|&image| draws[0][image]).collect::<Vec<_>>();
        let (right, wrong) = (counts(&right), counts(&wrong));
        let drawn = |ranks: &Ranks| ranks.counted(right.iter().copied(), wrong.iter().copied());
        ranks.iter().flat_map(|ranks| misclassification(&drawn(ranks))).collect()
    });
    per_detector(&intervals, ranks.len())
}

/// Intervals of [`detection`], one entry per detector of `set`.
fn detection_intervals(known: &ScoredSet, set: &ScoredSet, bootstrap: Bootstrap) -> Vec<[Option<Interval>; 3]> {
    let detectors = set.detectors().iter();
    let ranks: Vec<Ranks> = detectors.map(|(name, unknown)| Ranks::new(known.scores(name), &unknown.scores)).collect();
    let groups = [tracks_of(known), Groups::single(set.images().len())];
    let intervals = bootstrap.intervals(&groups.each_ref(), |draws| {
        let drawn = |ranks: &Ranks| ranks.counted(draws[0].iter().copied(), draws[1].iter().copied());
        ranks.iter().flat_map(|ranks| detection(&drawn(ranks))).collect()
    });
    per_detector(&intervals, ranks.len())
}

fn tracks_of(set: &ScoredSet) -> Groups {
    Groups::by_name(set.images().iter().map(ScoredImage::track))
}

/// Divides the intervals of all detectors' figures; `None` throughout where there are none.
fn per_detector<const N: usize>(intervals: &[Option<Interval>], detectors: usize) -> Vec<[Option<Interval>; N]> {
    let interval = |index: usize| intervals.get(index).copied().flatten();
    (0..detectors).map(|detector| std::array::from_fn(|figure| interval(detector * N + figure))).collect()
}

fn by_name<T>(set: &ScoredSet, figures: impl Fn(usize, &str, &Scores) -> T) -> BTreeMap<String, T> {
    let detectors = set.detectors().iter().enumerate();
    detectors.map(|(index, (name, scores))| (name.clone(), figures(index, name, scores))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 200, seed: 1 };

    fn classes() -> Vec<String> {
        vec!["stop".to_owned(), "yield".to_owned()]
    }

    fn image(key: &str, class: Option<usize>, predicted: usize) -> ScoredImage {
        ScoredImage { key: key.to_owned(), class, predicted }
    }

    fn known() -> ScoredSet {
        let mut known = ScoredSet::default();
        known.push(image("0/7_0.png", Some(0), 0), [("msp", -0.9, 0.75), ("fused", 0.3, 0.7)]);
        known.push(image("0/7_1.png", Some(0), 0), [("msp", -0.8, 0.5), ("fused", 0.5, 0.5)]);
        known.push(image("0/8_0.png", Some(0), 1), [("msp", -0.4, 0.01), ("fused", 4.0, 0.02)]);
        known.push(image("1/1_0.png", Some(1), 1), [("msp", -0.3, 0.001), ("fused", 3.0, 0.05)]);
        known
    }

    fn report() -> EvaluationReport {
        let mut unknown = ScoredSet::default();
        unknown.push(image("a.png", None, 0), [("msp", -0.4, 0.01), ("fused", 7.0, 0.0009)]);
        unknown.push(image("b.png", None, 1), [("msp", -0.2, 0.0005), ("fused", 3.5, 0.03)]);
        EvaluationReport::new(&classes(), &known(), &BTreeMap::from([("noise".to_owned(), unknown)]), None, BOOTSTRAP)
    }

    #[test]
    fn json_has_the_agreed_shape() {
        insta::assert_json_snapshot!(report());
    }

    #[test]
    fn json_is_read_back() {
        let text = serde_json::to_string(&report()).unwrap();
        assert_eq!(serde_json::from_str::<EvaluationReport>(&text).unwrap(), report());
    }

    #[test]
    fn table_is_readable() {
        let table = report().to_string();
        assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
        insta::assert_snapshot!(table);
    }

    #[test]
    fn undefined_figures_are_null_and_dashes() {
        let mut known = ScoredSet::default();
        known.push(image("0/0.png", Some(0), 0), [("msp", -0.9, 0.75)]);
        let report = EvaluationReport::new(&classes(), &known, &BTreeMap::new(), None, BOOTSTRAP);
        assert_eq!(report.in_distribution.detectors["msp"].misclassification_auroc, None);
        assert_eq!(report.in_distribution.detectors["msp"].misclassification_auroc_ci, None);
        assert!(report.to_string().contains(" – "), "{report}");
        let empty = EvaluationReport::new(&classes(), &ScoredSet::default(), &BTreeMap::new(), None, BOOTSTRAP);
        assert_eq!((empty.in_distribution.accuracy, empty.in_distribution.tracks), (None, 0));
    }

    /// Known scores 0..60, unknown ones 30..90; five known images per track, with almost the same score.
    fn overlapping(frames_share_a_track: bool) -> EvaluationReport {
        let (mut known, mut unknown) = (ScoredSet::default(), ScoredSet::default());
        for number in 0..300u16 {
            let (track, frame) = (number / 5, number % 5);
            let key = if frames_share_a_track { format!("0/{track}_{frame}.png") } else { format!("0/{number}.png") };
            let score = f32::from(track) + 0.1 * f32::from(frame);
            known.push(image(&key, Some(0), usize::from(number > 280)), [("fused", score, 0.5)]);
            unknown.push(image(&key, None, 0), [("fused", 30.0 + f32::from(number) / 5.0, 0.01)]);
        }
        EvaluationReport::new(&classes(), &known, &BTreeMap::from([("set".to_owned(), unknown)]), None, BOOTSTRAP)
    }

    #[test]
    fn intervals_contain_the_figure_and_are_wider_for_tracks() {
        let width = |interval: Option<Interval>| interval.map(|interval| interval.high - interval.low).unwrap();
        let [single, tracks] = [false, true].map(overlapping);
        let [single_set, tracks_set] = [&single, &tracks].map(|report| &report.ood["set"].detectors["fused"]);
        assert_eq!((single_set.auroc, single_set.fpr95), (tracks_set.auroc, tracks_set.fpr95));
        assert!(width(tracks_set.auroc_ci) > 1.3 * width(single_set.auroc_ci));
        assert!(width(tracks_set.fpr95_ci) > 1.3 * width(single_set.fpr95_ci));
        let known = &tracks.in_distribution.detectors["fused"];
        for (figure, interval) in [
            (tracks_set.auroc, tracks_set.auroc_ci),
            (tracks_set.fpr95, tracks_set.fpr95_ci),
            (tracks_set.tpr_at_1pct, tracks_set.tpr_at_1pct_ci),
            (known.misclassification_auroc, known.misclassification_auroc_ci),
            (known.aurc, known.aurc_ci),
        ] {
            let (figure, interval) = (figure.unwrap(), interval.unwrap());
            assert!(interval.low <= figure && figure <= interval.high, "{figure} {interval:?}");
        }
        assert_eq!((tracks.in_distribution.tracks, single.in_distribution.tracks), (60, 300));
    }

    #[test]
    fn without_resamples_there_are_no_intervals_by_resampling() {
        let none = Bootstrap { resamples: 0, seed: 1 };
        let report = EvaluationReport::new(&classes(), &known(), &BTreeMap::new(), None, none);
        let fused = &report.in_distribution.detectors["fused"];
        assert_eq!((fused.misclassification_auroc, fused.misclassification_auroc_ci), (Some(1.0), None));
        assert!(fused.alarm_rate_ci.at_1_percent.is_some());
    }
}
