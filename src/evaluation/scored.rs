//! What a monitor said about one set of images.

use std::collections::BTreeMap;

use super::FUSED;
use crate::calibration::group_of;

/// Scores and p-values of one detector, one per image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Scores; higher = less like the training data.
    pub scores: Vec<f32>,
    /// p-values, 0..1; small = out of distribution.
    pub p_values: Vec<f32>,
}

/// One image and how it was classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoredImage {
    /// Path below the data folder, with `/` between the parts; tells the track (see [`group_of`]).
    pub key: String,
    /// Its true class; `None` where no class is right.
    pub class: Option<usize>,
    /// The class that the network predicts.
    pub predicted: usize,
}

impl ScoredImage {
    /// Whether the predicted class is the true one.
    #[must_use]
    pub fn is_correct(&self) -> bool {
        self.class == Some(self.predicted)
    }

    /// The track it belongs to.
    #[must_use]
    pub fn track(&self) -> &str {
        group_of(&self.key)
    }
}

/// Scores of all detectors on one set of images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoredSet {
    images: Vec<ScoredImage>,
    detectors: BTreeMap<String, Scores>,
}

impl ScoredSet {
    /// Adds one image with the name, score and p-value of every detector, which must be the same ones for all images.
    pub fn push<'a>(&mut self, image: ScoredImage, results: impl IntoIterator<Item = (&'a str, f32, f32)>) {
        self.images.push(image);
        for (name, score, p_value) in results {
            let detector = match self.detectors.get_mut(name) {
                Some(detector) => detector,
                None => self.detectors.entry(name.to_owned()).or_default(),
            };
            detector.scores.push(score);
            detector.p_values.push(p_value);
        }
    }

    /// The images, in the order of the scores.
    #[must_use]
    pub fn images(&self) -> &[ScoredImage] {
        &self.images
    }

    /// Per image, whether it was classified correctly.
    #[must_use]
    pub fn correct(&self) -> Vec<bool> {
        self.images.iter().map(ScoredImage::is_correct).collect()
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

    /// p-values of detector `name`; empty when it did not score this set.
    #[must_use]
    pub fn p_values(&self, name: &str) -> &[f32] {
        self.detectors.get(name).map_or(&[], |detector| &detector.p_values)
    }

    /// Indices of the images from the most to the least suspicious by the fused score; equal ones in their order.
    #[must_use]
    pub fn by_suspicion(&self) -> Vec<usize> {
        let scores = self.scores(FUSED);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order
    }

    /// Detector `name`'s scores of the correctly and of the wrongly classified images.
    #[must_use]
    pub fn by_correctness(&self, name: &str) -> [Vec<f32>; 2] {
        let of = |wanted: bool| {
            let scored = self.images.iter().zip(self.scores(name));
            scored.filter(|(image, _)| image.is_correct() == wanted).map(|(_, &score)| score).collect()
        };
        [of(true), of(false)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_suspicious_come_first() {
        let mut set = ScoredSet::default();
        for (predicted, score) in [1.0, 3.0, 2.0, 3.0].into_iter().enumerate() {
            let image = ScoredImage { key: format!("7/3_{predicted}.png"), class: Some(1), predicted };
            set.push(image, [(FUSED, score, 0.5), ("msp", -score, 0.1)]);
        }
        assert_eq!(set.by_suspicion(), [1, 3, 2, 0]);
        assert_eq!(set.by_correctness("msp"), [vec![-3.0], vec![-1.0, -2.0, -3.0]]);
        assert!(set.images().iter().all(|image| image.track() == "7/3"));
        assert_eq!((set.scores("none"), set.p_values("msp")), (&[][..], &[0.1; 4][..]));
        assert!(ScoredSet::default().by_suspicion().is_empty());
    }
}
