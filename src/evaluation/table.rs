//! The report as text for a terminal.

use std::fmt;

use super::{EvaluationReport, InDistributionReport, Interval, ObjectAlarms, OodReport, fused_last};

const LEGEND: &str = "\
All figures in %; the positive class is OOD. Brackets: 95 % confidence, by resampling tracks or, for alarms, binomial.
FPR95: known images alarmed when 95 % of OOD is caught. TPR@1%: OOD caught when 1 % of the known images is alarmed.
alarm@1%: images with a p-value up to that. det.acc.: accuracy at the best threshold when OOD is as frequent as known.
objects: all views of a track together, after its last view; ever: after any of its views.
err. AUROC: how well misclassified images are told. AURC: mean share of errors among the images trusted most.";

/// Title and width of a column.
type Column = (&'static str, usize);

const KNOWN: [Column; 8] = [
    ("err. AUROC", 11),
    ("[95 %]", 16),
    ("AURC", 8),
    ("alarm@10%", 11),
    ("alarm@1%", 10),
    ("[95 %]", 15),
    ("alarm@0.1%", 12),
    ("[95 %]", 15),
];
const OOD: [Column; 10] = [
    ("AUROC", 8),
    ("[95 %]", 16),
    ("AUPR-out", 9),
    ("AUPR-in", 8),
    ("FPR95", 7),
    ("TPR@1%", 8),
    ("TPR@0.1%", 10),
    ("det.acc.", 9),
    ("alarm@1%", 10),
    ("alarm@0.1%", 12),
];

impl fmt::Display for EvaluationReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_distribution.fmt(formatter)?;
        for (name, set) in &self.ood {
            writeln!(formatter, "\nOOD {name}: {} images", set.images)?;
            set.fmt(formatter)?;
        }
        writeln!(formatter, "\n{LEGEND}")
    }
}

impl fmt::Display for InDistributionReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, tracks, accuracy, .. } = self;
        writeln!(formatter, "In distribution: {images} images of {tracks} tracks, accuracy {}", percent(*accuracy))?;
        write_row(formatter, "", &KNOWN, KNOWN.map(|(title, _)| title.to_owned()))?;
        for (name, detector) in fused_last(&self.detectors) {
            let [often, sometimes, rarely] = detector.alarm_rate.each().map(|rate| percent(*rate));
            let [_, around_sometimes, around_rarely] = detector.alarm_rate_ci.each().map(|interval| range(*interval));
            let cells = [
                percent(detector.misclassification_auroc),
                range(detector.misclassification_auroc_ci),
                thousandths(detector.aurc),
                often,
                sometimes,
                around_sometimes,
                rarely,
                around_rarely,
            ];
            write_row(formatter, name, &KNOWN, cells)?;
        }
        self.objects.as_ref().map_or(Ok(()), |alarms| writeln!(formatter, "{}", objects(alarms)))
    }
}

impl fmt::Display for OodReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_row(formatter, "", &OOD, OOD.map(|(title, _)| title.to_owned()))?;
        for (name, detector) in fused_last(&self.detectors) {
            let cells = [
                percent(detector.auroc),
                range(detector.auroc_ci),
                percent(detector.aupr_out),
                percent(detector.aupr_in),
                percent(detector.fpr95),
                percent(detector.tpr_at_1pct),
                percent(detector.tpr_at_01pct),
                percent(detector.detection_accuracy),
                percent(detector.alarm_rate.at_1_percent),
                percent(detector.alarm_rate.at_01_percent),
            ];
            write_row(formatter, name, &OOD, cells)?;
        }
        self.objects.as_ref().map_or(Ok(()), |found| {
            let (auroc, fpr95) = (percent(found.auroc), percent(found.fpr95));
            writeln!(formatter, "{}, AUROC {auroc}, FPR95 {fpr95}", objects(&found.alarms))
        })
    }
}

/// Alarms on objects in one line.
fn objects(alarms: &ObjectAlarms) -> String {
    let [_, last, last_rarely] = alarms.alarm_rate.each().map(|rate| percent(*rate));
    let [_, ever, ever_rarely] = alarms.ever_alarm_rate.each().map(|rate| percent(*rate));
    let [_, around, _] = alarms.ever_alarm_rate_ci.each().map(|interval| range(*interval));
    format!(
        "  {} objects: alarm@1% {last} (ever {ever} {around}), alarm@0.1% {last_rarely} (ever {ever_rarely})",
        alarms.objects
    )
}

fn write_row<const N: usize>(
    formatter: &mut fmt::Formatter<'_>,
    name: &str,
    columns: &[Column; N],
    cells: [String; N],
) -> fmt::Result {
    write!(formatter, "  {name:<20}")?;
    for ((_, width), cell) in columns.iter().zip(cells) {
        write!(formatter, "{cell:>width$}")?;
    }
    writeln!(formatter)
}

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.2}", 100.0 * share))
}

/// In percent, with a further digit for small figures.
fn thousandths(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.3}", 100.0 * share))
}

fn range(interval: Option<Interval>) -> String {
    interval.map_or("–".to_owned(), |Interval { low, high }| format!("[{:.2}–{:.2}]", 100.0 * low, 100.0 * high))
}
