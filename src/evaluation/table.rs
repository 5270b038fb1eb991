//! The report as text for a terminal.

use std::{collections::BTreeMap, fmt};

use super::{AlarmRates, EvaluationReport, InDistributionReport, OodReport};

/// The row that comes last: all detectors together.
const FUSED: &str = "fused";

const LEGEND: &str = "\
All figures in %; the positive class is OOD.
FPR95: known images alarmed when 95 % of OOD is caught. TPR@1%: OOD caught when 1 % of the known images is alarmed.
alarm@1%, alarm@0.1%: images with a p-value up to that. err. AUROC: how well misclassified images are told.";

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
        writeln!(formatter, "In distribution: {} images, accuracy {}", self.images, percent(self.accuracy))?;
        write_row(formatter, "", &["err. AUROC", "alarm@1%", "alarm@0.1%"].map(str::to_owned))?;
        for (name, detector) in fused_last(&self.detectors) {
            let [often, rare] = alarms(&detector.alarm_rate);
            write_row(formatter, name, &[percent(detector.misclassification_auroc), often, rare])?;
        }
        Ok(())
    }
}

impl fmt::Display for OodReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["AUROC", "AUPR-out", "AUPR-in", "FPR95", "TPR@1%", "alarm@1%", "alarm@0.1%"];
        write_row(formatter, "", &titles.map(str::to_owned))?;
        for (name, detector) in fused_last(&self.detectors) {
            let [often, rare] = alarms(&detector.alarm_rate);
            let [auroc, out, into, fpr95, tpr] =
                [detector.auroc, detector.aupr_out, detector.aupr_in, detector.fpr95, detector.tpr_at_1pct]
                    .map(percent);
            write_row(formatter, name, &[auroc, out, into, fpr95, tpr, often, rare])?;
        }
        Ok(())
    }
}

fn write_row(formatter: &mut fmt::Formatter<'_>, name: &str, cells: &[String]) -> fmt::Result {
    write!(formatter, "  {name:<20}")?;
    for cell in cells {
        write!(formatter, "{cell:>12}")?;
    }
    writeln!(formatter)
}

fn alarms(rates: &AlarmRates) -> [String; 2] {
    [percent(rates.at_1_percent), percent(rates.at_01_percent)]
}

fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.2}", 100.0 * share))
}

/// All detectors by name, their fusion at the end.
fn fused_last<T>(detectors: &BTreeMap<String, T>) -> impl Iterator<Item = (&String, &T)> {
    let single = detectors.iter().filter(|(name, _)| *name != FUSED);
    single.chain(detectors.get_key_value(FUSED))
}
