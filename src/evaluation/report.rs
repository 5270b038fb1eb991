//! The figures of an evaluation, and their JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ScoredSet, Scores, accuracy, alarm_rate, auroc, average_precision, fpr_at_tpr, tpr_at_fpr};

/// Everything `evaluate` finds out. All rates and areas are in 0..1, and `None` (JSON `null`) where undefined, for
/// example a misclassification AUROC without a misclassified image.
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
    /// Share of images classified correctly.
    pub accuracy: Option<f64>,
    /// By name of the detector; `fused` stands for all of them together.
    pub detectors: BTreeMap<String, InDistributionDetector>,
}

/// Figures of one detector on images of known classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InDistributionDetector {
    /// How well the score tells misclassified (positive) from correctly classified images.
    pub misclassification_auroc: Option<f64>,
    /// Realised false-alarm rate.
    pub alarm_rate: AlarmRates,
}

/// Figures on one set of images of unknown things.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OodReport {
    /// Number of images.
    pub images: usize,
    /// By name of the detector; `fused` stands for all of them together.
    pub detectors: BTreeMap<String, OodDetector>,
}

/// Figures of one detector on one set of images of unknown things. The positive class is OOD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OodDetector {
    /// Area under the ROC curve.
    pub auroc: Option<f64>,
    /// Average precision with OOD as the positive class.
    pub aupr_out: Option<f64>,
    /// Average precision with in-distribution as the positive class.
    pub aupr_in: Option<f64>,
    /// Share of in-distribution images alarmed when 95 % of OOD is caught (OpenOOD's convention).
    pub fpr95: Option<f64>,
    /// Share of OOD caught when at most 1 % of in-distribution images is alarmed.
    pub tpr_at_1pct: Option<f64>,
    /// Share of OOD caught at the calibrated thresholds.
    pub alarm_rate: AlarmRates,
}

/// Share of images whose p-value is at or below a nominal false-alarm rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AlarmRates {
    /// At a nominal 1 %.
    #[serde(rename = "0.01")]
    pub at_1_percent: Option<f64>,
    /// At a nominal 0.1 %.
    #[serde(rename = "0.001")]
    pub at_01_percent: Option<f64>,
}

impl EvaluationReport {
    /// Computes all figures from what the monitor said about known images and about each OOD set.
    #[must_use]
    pub fn new(in_distribution: &ScoredSet, ood: &BTreeMap<String, ScoredSet>) -> Self {
        let against = |(name, set): (&String, &ScoredSet)| (name.clone(), OodReport::new(in_distribution, set));
        Self { in_distribution: InDistributionReport::new(in_distribution), ood: ood.iter().map(against).collect() }
    }
}

impl InDistributionReport {
    fn new(set: &ScoredSet) -> Self {
        Self {
            images: set.images(),
            accuracy: accuracy(set.correct()),
            detectors: by_name(set, |_, scores| InDistributionDetector::new(set.correct(), scores)),
        }
    }
}

impl InDistributionDetector {
    fn new(correct: &[bool], detector: &Scores) -> Self {
        let of = |wanted: bool| -> Vec<f32> {
            let scored = detector.scores.iter().zip(correct);
            scored.filter(|(_, correct)| **correct == wanted).map(|(score, _)| *score).collect()
        };
        Self { misclassification_auroc: auroc(&of(true), &of(false)), alarm_rate: AlarmRates::new(&detector.p_values) }
    }
}

impl OodReport {
    fn new(in_distribution: &ScoredSet, set: &ScoredSet) -> Self {
        Self {
            images: set.images(),
            detectors: by_name(set, |name, scores| OodDetector::new(in_distribution.scores(name), scores)),
        }
    }
}

impl OodDetector {
    fn new(known: &[f32], detector: &Scores) -> Self {
        let unknown = &detector.scores;
        let negated = |scores: &[f32]| scores.iter().map(|score| -score).collect::<Vec<_>>();
        Self {
            auroc: auroc(known, unknown),
            aupr_out: average_precision(known, unknown),
            aupr_in: average_precision(&negated(unknown), &negated(known)),
            fpr95: fpr_at_tpr(known, unknown, 0.95),
            tpr_at_1pct: tpr_at_fpr(known, unknown, 0.01),
            alarm_rate: AlarmRates::new(&detector.p_values),
        }
    }
}

impl AlarmRates {
    fn new(p_values: &[f32]) -> Self {
        Self { at_1_percent: alarm_rate(p_values, 0.01), at_01_percent: alarm_rate(p_values, 0.001) }
    }
}

fn by_name<T>(set: &ScoredSet, figures: impl Fn(&str, &Scores) -> T) -> BTreeMap<String, T> {
    set.detectors().iter().map(|(name, scores)| (name.clone(), figures(name, scores))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> EvaluationReport {
        let mut known = ScoredSet::default();
        known.push(true, [("msp", -0.9, 0.75), ("fused", 0.3, 0.7)]);
        known.push(true, [("msp", -0.8, 0.5), ("fused", 0.5, 0.5)]);
        known.push(false, [("msp", -0.4, 0.01), ("fused", 4.0, 0.02)]);
        known.push(true, [("msp", -0.3, 0.001), ("fused", 3.0, 0.05)]);
        let mut unknown = ScoredSet::default();
        unknown.push(false, [("msp", -0.4, 0.01), ("fused", 7.0, 0.0009)]);
        unknown.push(false, [("msp", -0.2, 0.0005), ("fused", 3.5, 0.03)]);
        EvaluationReport::new(&known, &BTreeMap::from([("noise".to_owned(), unknown)]))
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
        insta::assert_snapshot!(report());
    }

    #[test]
    fn undefined_figures_are_null_and_dashes() {
        let mut known = ScoredSet::default();
        known.push(true, [("msp", -0.9, 0.75)]);
        let report = EvaluationReport::new(&known, &BTreeMap::new());
        assert_eq!(report.in_distribution.detectors["msp"].misclassification_auroc, None);
        assert!(report.to_string().contains(" – "), "{report}");
    }
}
