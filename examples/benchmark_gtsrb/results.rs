//! What one seed gives.

use std::collections::BTreeMap;

use activation_monitor::evaluation::EvaluationReport;
use serde::{Deserialize, Serialize};

use crate::corrupted::Corrupted;

/// Everything measured with one seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeedResult {
    /// The seed.
    pub seed: u64,
    /// Size of `model.pt` in bytes.
    pub model_bytes: u64,
    /// Median time of the network for one image in milliseconds.
    pub forward_ms: f64,
    /// The evaluation: known test images against every set.
    pub report: EvaluationReport,
    /// Per corruption the figures at strength 0 to 5.
    pub corrupted: BTreeMap<String, Vec<Corrupted>>,
}
