//! Confidence of the logits, guided by the nearest training images.

use serde_json::json;

use super::logits::{energy, narrow};
use super::neighbours::{Neighbours, choose};
use super::statistics::unit;
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, NearestExample, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Number of training images that guide.
const K: usize = 10;

/// Most training images that are kept.
const MAX_IMAGES: usize = 500;

/// Score: `−E · 1/k Σ_i E_i cos(z, z_i)` over the k = 10 kept training images i with the largest `E_i cos(z, z_i)`;
/// `E = ln Σ_c exp f_c` is the energy of the logits f, z the penultimate activations.
///
/// Park, Jung, Teoh, *Nearest Neighbor Guidance for Out-of-Distribution Detection*, ICCV 2023: an image that the network
/// is sure of has to lie close to training images that it is sure of, too. The paper keeps a random share of the training
/// images; here at most 500 correctly classified ones are chosen by the digest of their key ([`choose`]). With fewer
/// than k images, all of them guide.
#[derive(Debug, Clone, PartialEq)]
pub struct Nnguide {
    penultimate: usize,
    bank: Neighbours,
    /// `N`, E_i.
    energies: Slab<f32>,
}

impl Nnguide {
    /// The `k` images with the largest `E_i cos(z, z_i)`, the largest first.
    fn guides(&self, unit: &[f32], k: usize) -> Vec<(usize, f32)> {
        self.bank.most_similar(unit, &self.energies, k)
    }

    /// How far the energy stays below what training images have, as a share of that.
    fn missing_energy(&self, features: &Features) -> Part {
        let sum: f64 = self.energies.iter().map(|&energy| f64::from(energy)).sum();
        let (value, expected) = (energy(features.logits.view()), sum / self.energies.len() as f64);
        Part {
            place: Place::Class(features.predicted_class()),
            contribution: narrow((expected - value) / expected.abs().max(f64::MIN_POSITIVE)),
            value: narrow(value),
            expected: narrow(expected),
        }
    }
}

impl Detector for Nnguide {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Nnguide
    }

    fn score(&self, features: &Features) -> f32 {
        let guides = self.guides(&unit(&features.layers[self.penultimate].mean), K);
        let sum: f64 = guides.iter().map(|&(_, similarity)| f64::from(similarity)).sum();
        let guidance = sum / guides.len().max(1) as f64;
        narrow(-energy(features.logits.view()) * guidance)
    }

    /// What each of the two factors of the score lacks, as shares. Similarity to the training image n that guides most
    /// lacks `1 − cos(z, z_n) = Σ_j ½(ẑ_j − ẑ_nj)²`: the neurons with the largest terms; expected is ẑ_nj. Energy lacks
    /// `1 − E/Ē`, Ē the mean of the kept images: the predicted class, with E as value and Ē as expected. The distance of n
    /// is `‖ẑ − ẑ_n‖`.
    fn explain(&self, features: &Features) -> Explanation {
        let unit = unit(&features.layers[self.penultimate].mean);
        let Some(&(index, _)) = self.guides(&unit, 1).first() else { return Explanation::default() };
        let differences: Vec<Part> = self.bank.differences(index, &unit, self.penultimate).collect();
        let distance = differences.iter().map(|part| part.contribution).sum::<f32>().sqrt();
        let halves = differences.into_iter().map(|part| Part { contribution: 0.5 * part.contribution, ..part });
        let nearest = NearestExample { class: self.bank.class(index), distance, images: 1 };
        Explanation::of(halves.chain([self.missing_energy(features)])).near(Some(nearest))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.bank.save(out);
        out.put("energies", &[self.energies.len()], &self.energies);
    }

    fn summary(&self) -> Summary {
        Summary::from([("images".to_owned(), json!(self.bank.images())), ("k".to_owned(), json!(K))])
    }
}

impl Fit for Nnguide {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let rows = choose(input, MAX_IMAGES);
        let logits = input.bank.logits();
        let energies = rows.iter().map(|&row| narrow(energy(logits.row(row))));
        Ok(Self {
            penultimate: input.bank.layout().penultimate,
            energies: energies.collect::<Vec<_>>().into(),
            bank: Neighbours::of(input, &rows),
        })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let neurons = layout.layers[layout.penultimate].channels;
        let bank = Neighbours::load(tensors, neurons, layout.classes)?;
        let energies = tensors.get("energies", [bank.images()])?;
        Ok(Self { penultimate: layout.penultimate, bank, energies })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::detector::testing::{
        assert_finite_on_extreme_activations, assert_survives_a_file, bank, synthetic_bank, vector_image,
    };

    fn fitted(images: &[(usize, Features)]) -> Nnguide {
        Nnguide::fit(&FitInput::new(&bank(images), None).unwrap()).unwrap()
    }

    #[test]
    fn scores_by_hand() {
        // Energy ln(3 + 1) of the training image, ln(1 + 1) of the other; cosine 0.6.
        let detector = fitted(&[(0, vector_image(&[3f32.ln(), 0.0], &[2.0, 0.0]))]);
        let features = vector_image(&[0.0, 0.0], &[3.0, 4.0]);
        let (two, four) = (2f32.ln(), 4f32.ln());
        assert_relative_eq!(detector.score(&features), -two * 0.6 * four, max_relative = 1e-6);
        let explanation = detector.explain(&features);
        // Energy lacks one half, neuron 1 lacks ½ 0.8², neuron 0 ½ 0.4²: the last two together 1 − 0.6.
        let places: Vec<Place> = explanation.parts.iter().map(|part| part.place).collect();
        assert_eq!(places, [Place::Class(0), Place::Unit { layer: 0, unit: 1 }, Place::Unit { layer: 0, unit: 0 }]);
        for (part, expected) in explanation.parts.iter().zip([(0.5, two, four), (0.32, 0.8, 0.0), (0.08, 0.6, 1.0)]) {
            assert_relative_eq!(part.contribution, expected.0, max_relative = 1e-5);
            assert_relative_eq!(part.value, expected.1, max_relative = 1e-5);
            assert_relative_eq!(part.expected, expected.2, max_relative = 1e-5);
        }
        let nearest = explanation.nearest.unwrap();
        assert_eq!(nearest.class, 0);
        assert_relative_eq!(nearest.distance, 0.8f32.sqrt(), max_relative = 1e-6);
    }

    #[test]
    fn scores_agree_with_the_formula() {
        let bank = synthetic_bank(4, 60, 11);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = Nnguide::fit(&input).unwrap();
        let image = |row: usize| {
            let z = bank.penultimate().row(row).mapv(f64::from);
            (&z / z.dot(&z).sqrt(), bank.logits().row(row).iter().map(|&f| f64::from(f).exp()).sum::<f64>().ln())
        };
        for row in (0..bank.len()).step_by(5) {
            let (z, energy) = image(row);
            let similarity = |&other: &usize| image(other).1 * z.dot(&image(other).0);
            let mut similarities: Vec<f64> = input.correct().iter().map(similarity).collect();
            similarities.sort_by(f64::total_cmp);
            let expected = -energy * similarities[similarities.len() - K..].iter().sum::<f64>() / K as f64;
            assert_relative_eq!(f64::from(detector.score(&bank.features(row))), expected, max_relative = 1e-5);
        }
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn extreme_images_give_finite_scores() {
        let bank = synthetic_bank(3, 40, 2);
        let detector = Nnguide::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        assert_finite_on_extreme_activations(&detector, &bank);
    }

    proptest! {
        #[test]
        fn a_surer_network_lowers_the_score(row in 0usize..90, more in 0.1f32..9.0, scale in 0.1f32..9.0) {
            let bank = synthetic_bank(3, 30, 2);
            let detector = Nnguide::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
            let mut features = bank.features(row);
            let score = detector.score(&features);
            features.layers[1].mean *= scale;
            assert_relative_eq!(detector.score(&features), score, max_relative = 1e-5);
            features.logits += more;
            prop_assert!(detector.score(&features) < score);
        }
    }
}
