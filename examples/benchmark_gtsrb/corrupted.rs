//! Test images made worse: does the monitor notice when the classifier begins to fail?

use std::collections::BTreeMap;

use activation_monitor::evaluation::{AlarmRates, Corruption, Ranking, STRENGTHS, ScoredSet, accuracy};
use activation_monitor::model::Classifier;
use activation_monitor::monitor::{FUSED, Monitor};
use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::support::features::scored;
use crate::support::samples::Sample;

/// Every so many test images are looked at.
const STRIDE: usize = 4;

/// Figures at one strength, all in 0..1.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Corrupted {
    /// Share classified correctly.
    pub accuracy: Option<f64>,
    /// Share alarmed at a fused p-value of 0.01.
    pub alarmed: Option<f64>,
    /// Share alarmed of the images that are misclassified; `None` without any.
    pub misclassified_alarmed: Option<f64>,
    /// Share alarmed of the images that are classified correctly; `None` without any.
    pub correct_alarmed: Option<f64>,
    /// How well the fused score tells them from the same images before.
    pub auroc: Option<f64>,
}

/// Per corruption the figures at strength 0 (clean) to 5.
pub fn measure(
    classifier: &Classifier,
    monitor: &Monitor,
    test: &[Sample],
    seed: u64,
) -> Result<BTreeMap<String, Vec<Corrupted>>> {
    let clean: Vec<Sample> = test.iter().step_by(STRIDE).cloned().collect();
    let before = scored(classifier, monitor, &clean, true)?;
    let mut all = BTreeMap::new();
    for corruption in Corruption::ALL {
        let mut steps = vec![figures(&before, &before)];
        for strength in STRENGTHS {
            let worse = clean.iter().zip(0..).map(|(sample, index)| Sample {
                image: corruption.apply(&sample.image, strength, seed * 1_000_000 + index),
                ..sample.clone()
            });
            let worse: Vec<Sample> = worse.collect();
            steps.push(figures(&before, &scored(classifier, monitor, &worse, true)?));
        }
        all.insert(corruption.name().to_owned(), steps);
    }
    Ok(all)
}

fn figures(before: &ScoredSet, after: &ScoredSet) -> Corrupted {
    let p_values = after.p_values(FUSED);
    let correct = after.correct();
    let of = |wanted: bool| -> Vec<f32> {
        p_values.iter().zip(&correct).filter(|(_, correct)| **correct == wanted).map(|(p_value, _)| *p_value).collect()
    };
    Corrupted {
        accuracy: accuracy(&correct),
        alarmed: alarmed(p_values),
        misclassified_alarmed: alarmed(&of(false)),
        correct_alarmed: alarmed(&of(true)),
        auroc: Ranking::new(before.scores(FUSED), after.scores(FUSED)).auroc(),
    }
}

/// Share with a p-value of at most 0.01.
fn alarmed(p_values: &[f32]) -> Option<f64> {
    AlarmRates::of_p_values(p_values).at_1_percent
}
