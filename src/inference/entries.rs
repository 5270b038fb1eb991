//! The entries of an answer, and how they are counted.

use super::shared::Shared;
use crate::intake::request::{Entry, NamedRegion, Refusal};
use crate::monitor::Verdict;
use crate::pipeline::{Outcome, RegionResult};

/// Entries with what was found out about the regions.
pub fn judged(regions: Vec<NamedRegion>, results: Vec<RegionResult>) -> Vec<Entry> {
    let outcomes = results.into_iter().map(|result| result.outcome);
    regions.into_iter().zip(outcomes).map(|(region, outcome)| Entry { region, outcome }).collect()
}

/// Entries of which each has the same reason.
pub fn refused(regions: Vec<NamedRegion>, reason: &str) -> Vec<Entry> {
    regions.into_iter().map(|region| Entry { region, outcome: Err(reason.to_owned()) }).collect()
}

/// Why regions beyond the parameter `max_regions` are not judged; `judged` are.
pub fn beyond_limit(judged: usize) -> Refusal {
    let reason = format!("over max_regions: only the first {judged} regions of an image are judged; raise max_regions");
    Refusal { kind: "over max_regions", reason }
}

/// Counts the verdicts of judged entries.
pub fn count_verdicts(shared: &Shared, camera: usize, entries: &[Entry]) {
    shared.count(camera, |statistics| {
        for entry in entries {
            match &entry.outcome {
                Err(reason) | Ok(Outcome { verdict: Verdict::Unknown, reason, .. }) => {
                    statistics.unknown(short(reason), reason);
                }
                Ok(outcome) => statistics.verdict(outcome.verdict),
            }
        }
    });
}

/// Counts `regions` that were refused.
pub fn count_refused(shared: &Shared, camera: usize, regions: usize, refusal: &Refusal) {
    shared.count(camera, |statistics| {
        (0..regions).for_each(|_| statistics.unknown(refusal.kind, &refusal.reason));
    });
}

/// The part of a reason that is the same for every image.
fn short(reason: &str) -> &str {
    let varies = |c: char| c.is_ascii_digit() || c == ':' || c == '`';
    let end = reason.find(varies).unwrap_or(reason.len());
    if reason[..end].trim().is_empty() { "other" } else { reason[..end].trim() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_without_their_numbers() {
        assert_eq!(short("region 3,4 is outside"), "region");
        assert_eq!(short("activations are not finite"), "activations are not finite");
        assert_eq!(short("12 oranges"), "other");
    }
}
