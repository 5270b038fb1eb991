//! The report on one or several bags: an HTML page, JSON, and JUnit XML for continuous integration.

mod junit;
mod page;
mod sections;
mod timeline_chart;

use serde_json::{Value, json};

pub use junit::junit;
pub use page::ReplayPage;

use super::figures::to_json as figures;
use super::gate::{Condition, Failure};
use super::run::Played;
use super::select::CameraTopics;
use super::tally::Tally;
use super::timeline::Timeline;

/// What is reported of one bag.
#[derive(Debug, Clone)]
pub struct BagReport {
    /// Name of the bag.
    pub name: String,
    /// Its cameras.
    pub cameras: Vec<CameraTopics>,
    /// The course of every camera.
    pub timelines: Vec<Timeline>,
    /// What was counted.
    pub tally: Tally,
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
            cameras: cameras.to_vec(),
            timelines,
            tally,
            notes: played.unreadable.sentences().chain(damage).chain(early).collect(),
            elapsed_secs: played.elapsed.as_secs_f64(),
        }
    }
}

/// Everything in JSON: the figures of all bags and of each, alarms, and what was strange.
#[must_use]
pub fn json(total: &Tally, bags: &[BagReport], conditions: &[Condition], failures: &[Failure]) -> Value {
    let bag = |bag: &BagReport| {
        json!({
            "name": bag.name,
            "topics": bag.cameras.iter().map(|camera| camera.images.name.as_str()).collect::<Vec<_>>(),
            "figures": figures(&bag.tally),
            "alarms": bag.tally.alarms,
            "anomalies": bag.tally.anomalies,
            "strange_objects": bag.tally.objects,
            "faults": bag.tally.faults,
            "notes": bag.notes,
            "elapsed_secs": bag.elapsed_secs,
        })
    };
    json!({
        "figures": figures(total),
        "conditions": conditions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "failures": failures.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "bags": bags.iter().map(bag).collect::<Vec<_>>(),
    })
}
