//! Distance to the nearest training images.

use serde_json::json;

use super::neighbours::{Neighbours, choose};
use super::statistics::unit;
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, NearestExample, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Which of the nearest training images gives the score.
const K: usize = 5;

/// Most training images that are kept. It bounds the monitor file and the time of a query.
const MAX_IMAGES: usize = 2_000;

/// Score: `‖ẑ − ẑ_(k)‖`, the distance to the k-th nearest of the kept training images, k = 5; ẑ = z/‖z‖ are the normalised
/// penultimate activations. From 0 to 2, after a ReLU to √2.
///
/// Sun, Ming, Zhu, Li, *Out-of-Distribution Detection with Deep Nearest Neighbors*, ICML 2022, §3. Kept are at most 2,000
/// correctly classified images, chosen by the digest of their key ([`choose`]); the search is exact. With fewer than k
/// images, the farthest counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Knn {
    penultimate: usize,
    bank: Neighbours,
}

impl Knn {
    fn unit(&self, features: &Features) -> Vec<f32> {
        unit(&features.layers[self.penultimate].mean)
    }

    /// The `k` nearest images and their distances, the nearest first.
    fn nearest(&self, unit: &[f32], k: usize) -> Vec<(usize, f32)> {
        self.bank.nearest(unit, k).into_iter().map(|(index, square)| (index, square.sqrt())).collect()
    }
}

impl Detector for Knn {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Knn
    }

    fn score(&self, features: &Features) -> f32 {
        self.nearest(&self.unit(features), K).last().map_or(f32::MAX, |&(_, distance)| distance)
    }

    /// The nearest training image n, and the neurons with the largest `(ẑ_j − ẑ_nj)²`; expected is ẑ_nj. All neurons
    /// together give the square of the distance to n, which is at most the score.
    fn explain(&self, features: &Features) -> Explanation {
        let unit = self.unit(features);
        let Some(&(index, distance)) = self.nearest(&unit, 1).first() else { return Explanation::default() };
        let nearest = NearestExample { class: self.bank.class(index), distance, images: 1 };
        Explanation::of(self.bank.differences(index, &unit, self.penultimate)).near(Some(nearest))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.bank.save(out);
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("images".to_owned(), json!(self.bank.images())),
            ("k".to_owned(), json!(K)),
            ("normalised".to_owned(), json!(true)),
        ])
    }
}

impl Fit for Knn {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let bank = Neighbours::of(input, &choose(input, MAX_IMAGES));
        Ok(Self { penultimate: input.bank.layout().penultimate, bank })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let neurons = layout.layers[layout.penultimate].channels;
        let bank = Neighbours::load(tensors, neurons, layout.classes)?;
        Ok(Self { penultimate: layout.penultimate, bank })
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use proptest::prelude::*;

    use super::*;
    use crate::detector::Place;
    use crate::detector::testing::{assert_survives_a_file, bank, synthetic_bank, vector_image};

    fn fitted(images: &[(usize, Features)]) -> Knn {
        Knn::fit(&FitInput::new(&bank(images), None).unwrap()).unwrap()
    }

    fn image(class: usize, z: &[f32]) -> (usize, Features) {
        (class, vector_image(&[0, 1].map(|other| if other == class { 1.0 } else { 0.0 }), z))
    }

    #[test]
    fn scores_by_hand() {
        let right = [1.0, 2.0, 3.0, 4.0].map(|length| image(0, &[length, 0.0]));
        let mut images = right.to_vec();
        images.extend([image(1, &[0.0, 2.0]), image(1, &[-3.0, 0.0])]);
        let detector = fitted(&images);
        let score = |z: &[f32]| detector.score(&image(0, z).1);
        assert_relative_eq!(score(&[7.0, 0.0]), 2f32.sqrt());
        assert_relative_eq!(score(&[-7.0, 0.0]), 2.0);
        // The nearest is (0, 1), the next four are (1, 0): ‖(0.6 − 1, 0.8)‖² = 0.8.
        assert_relative_eq!(score(&[3.0, 4.0]), 0.8f32.sqrt(), max_relative = 1e-6);
        assert_relative_eq!(score(&[0.0, 0.0]), 1.0);
        let explanation = detector.explain(&image(0, &[3.0, 4.0]).1);
        let nearest = explanation.nearest.unwrap();
        assert_eq!(nearest.class, 1);
        assert_relative_eq!(nearest.distance, 0.4f32.sqrt(), max_relative = 1e-6);
        let part = explanation.parts[0];
        assert_eq!((part.place, part.value, part.expected), (Place::Unit { layer: 0, unit: 0 }, 0.6, 0.0));
        assert_relative_eq!(part.contribution, 0.36, max_relative = 1e-6);
        assert_relative_eq!(fitted(&right[..2]).score(&image(0, &[0.0, 1.0]).1), 2f32.sqrt());
    }

    #[test]
    fn scores_agree_with_sorting_all_distances() {
        let bank = synthetic_bank(4, 60, 11);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = Knn::fit(&input).unwrap();
        let direction = |row: usize| {
            let z = bank.penultimate().row(row).mapv(f64::from);
            &z / z.dot(&z).sqrt()
        };
        for row in (0..bank.len()).step_by(5) {
            let differences = input.correct().iter().map(|&other| direction(row) - direction(other));
            let mut distances: Vec<f64> = differences.map(|difference| difference.dot(&difference).sqrt()).collect();
            distances.sort_by(f64::total_cmp);
            let score = f64::from(detector.score(&bank.features(row)));
            assert_relative_eq!(score, distances[4], max_relative = 1e-5);
        }
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn no_more_than_the_bound_is_kept() {
        let images: Vec<_> = (0..MAX_IMAGES + 5).map(|index| image(index % 2, &[index as f32, 1.0])).collect();
        assert_eq!(fitted(&images).bank.images(), MAX_IMAGES);
    }

    #[test]
    fn extreme_activations_give_finite_scores() {
        let bank = synthetic_bank(3, 40, 2);
        let detector = Knn::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        for value in [0.0, 1e-40, f32::MAX, f32::MIN] {
            let mut features = bank.features(1);
            features.layers[1].mean.fill(value);
            assert!((0.0..=2.001).contains(&detector.score(&features)), "{value}");
        }
    }

    proptest! {
        #[test]
        fn scaling_an_image_changes_nothing(row in 0usize..90, scale in 1e-6f32..1e6) {
            let bank = synthetic_bank(3, 30, 2);
            let detector = Knn::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
            let mut features = bank.features(row);
            let score = detector.score(&features);
            features.layers[1].mean *= scale;
            assert_abs_diff_eq!(detector.score(&features), score, epsilon = 1e-5);
        }

        #[test]
        fn an_image_that_was_seen_often_has_distance_zero(z in prop::collection::vec(-9f32..9.0, 3)) {
            let mut images = vec![image(0, &z); K];
            images.extend((0..9).map(|index| image(1, &[index as f32, 1.0, 2.0])));
            prop_assert_eq!(fitted(&images).score(&image(0, &z).1), 0.0);
            prop_assert!(fitted(&images[1..]).score(&image(0, &[-5.0, -5.0, -5.0]).1) > 0.0);
        }
    }
}
