//! How well a monitor tells known from unknown: metrics over scores, and the report made of them.
//!
//! Everything here is pure: scores and p-values in, figures out. Scores are higher for images that look less like the
//! training data; the positive class is OOD.

mod corruption;
mod metrics;
mod report;
mod scored;
mod table;

pub use corruption::{Corruption, STRENGTHS};
pub use metrics::{accuracy, alarm_rate, auroc, average_precision, fpr_at_tpr, tpr_at_fpr};
pub use report::{AlarmRates, EvaluationReport, InDistributionDetector, InDistributionReport, OodDetector, OodReport};
pub use scored::{ScoredSet, Scores};
