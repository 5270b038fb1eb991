//! What a monitor said about one set of images.

use std::collections::BTreeMap;

/// Scores and p-values of one detector, one per image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Scores; higher = less like the training data.
    pub scores: Vec<f32>,
    /// p-values, 0..1; small = out of distribution.
    pub p_values: Vec<f32>,
}

/// Scores of all detectors on one set of images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoredSet {
    correct: Vec<bool>,
    detectors: BTreeMap<String, Scores>,
}

impl ScoredSet {
    /// Adds one image: whether it was classified correctly (`false` where no class is correct) and the name, score and
    /// p-value of every detector.
    pub fn push<'a>(&mut self, correct: bool, results: impl IntoIterator<Item = (&'a str, f32, f32)>) {
        self.correct.push(correct);
        for (name, score, p_value) in results {
            let detector = self.detectors.entry(name.to_owned()).or_default();
            detector.scores.push(score);
            detector.p_values.push(p_value);
        }
    }

    /// Number of images.
    #[must_use]
    pub fn images(&self) -> usize {
        self.correct.len()
    }

    /// Per image, whether it was classified correctly.
    #[must_use]
    pub fn correct(&self) -> &[bool] {
        &self.correct
    }

    /// Scores by name of the detector.
    #[must_use]
    pub fn detectors(&self) -> &BTreeMap<String, Scores> {
        &self.detectors
    }

    /// Scores of detector `name`; empty when it did not score this set.
    #[must_use]
    pub fn scores(&self, name: &str) -> &[f32] {
        self.detectors.get(name).map_or(&[], |detector| &detector.scores)
    }
}
