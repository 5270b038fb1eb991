//! How well a monitor tells known from unknown: metrics over scores, the report made of them, and its page.
//!
//! Everything here is pure: scores and p-values in, figures out. Scores are higher for images that look less like the
//! training data; the positive class is OOD.

mod bootstrap;
mod classes;
mod corruption;
mod interval;
mod levels;
mod metrics;
mod objects;
mod promise;
mod report;
pub mod report_page;
mod scored;
mod table;

pub use bootstrap::Bootstrap;
pub use classes::ClassReport;
pub use corruption::{Corruption, STRENGTHS};
pub use interval::{CONFIDENCE, Interval};
pub use levels::{AlarmIntervals, AlarmRates, ByLevel, LEVELS};
pub use metrics::{Ranking, accuracy, alarms};
pub use objects::{ObjectAlarms, OodObjects};
pub use promise::{Needed, RealisedRate, Wanted};
pub use report::{EvaluationReport, InDistributionDetector, InDistributionReport, OodDetector, OodReport};
pub use scored::{ScoredImage, ScoredSet, Scores};

pub use crate::calibration::FUSED;

/// All detectors by name, their fusion at the end.
fn fused_last<T>(detectors: &std::collections::BTreeMap<String, T>) -> impl Iterator<Item = (&String, &T)> {
    let single = detectors.iter().filter(|(name, _)| *name != FUSED);
    single.chain(detectors.get_key_value(FUSED))
}
