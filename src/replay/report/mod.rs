//! The report on one or several bags: an HTML page, JSON, and JUnit XML for continuous integration.

mod beside;
mod junit;
mod page;
mod sections;
mod timeline_chart;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use beside::Beside;
pub use junit::junit;
pub use page::ReplayPage;

use super::figures::to_json as figures;
use super::gate::{Failure, Gate};
use super::run::Played;
use super::select::CameraTopics;
use super::tally::Tally;
use super::timeline::Timeline;

/// What is reported of one bag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BagReport {
    /// Name of the bag.
    pub name: String,
    /// What it shows, as its scenario says; empty where nothing says so.
    pub description: String,
    /// Its cameras.
    pub cameras: Vec<CameraTopics>,
    /// The course of every camera.
    pub timelines: Vec<Timeline>,
    /// What was counted.
    pub tally: Tally,
    /// What is expected of this recording alone, as by a scenario.
    #[serde(skip)]
    pub gate: Gate,
    /// What was lost or left out, in sentences.
    pub notes: Vec<String>,
    /// Time that the replay took, seconds.
    pub elapsed_secs: f64,
}

impl BagReport {
    /// Of a bag that was played.
    #[must_use]
    pub fn new(name: &str, cameras: &[CameraTopics], timelines: Vec<Timeline>, tally: Tally, played: &Played) -> Self {
        let damage = played.damage.iter().map(ToString::to_string);
        let early = played.is_interrupted.then(|| "interrupted before its end".to_owned());
        Self {
            name: name.to_owned(),
            description: String::new(),
            cameras: cameras.to_vec(),
            timelines,
            tally,
            gate: Gate::default(),
            notes: played.unreadable.sentences().chain(damage).chain(early).collect(),
            elapsed_secs: played.elapsed.as_secs_f64(),
        }
    }
}

/// Everything in JSON: the figures of all bags and of each, alarms, and what was strange.
#[must_use]
pub fn json(total: &Tally, bags: &[BagReport], gate: &Gate) -> Value {
    let bag = |bag: &BagReport| {
        json!({
            "name": bag.name,
            "topics": bag.cameras.iter().map(|camera| camera.images.name.as_str()).collect::<Vec<_>>(),
            "figures": figures(&bag.tally),
            "conditions": conditions(&bag.gate),
            "failures": failures(&bag.gate),
            "alarms": bag.tally.alarms,
            "anomalies": bag.tally.anomalies,
            "strange_objects": bag.tally.objects,
            "warnings": bag.tally.warnings,
            "faults": bag.tally.faults,
            "notes": bag.notes,
            "elapsed_secs": bag.elapsed_secs,
        })
    };
    json!({
        "figures": figures(total),
        "conditions": conditions(gate),
        "failures": failures(gate),
        "bags": bags.iter().map(bag).collect::<Vec<_>>(),
    })
}

fn conditions(gate: &Gate) -> Vec<String> {
    gate.conditions().map(|(condition, _)| condition.to_string()).collect()
}

fn failures(gate: &Gate) -> Vec<String> {
    gate.failures().map(Failure::to_string).collect()
}
