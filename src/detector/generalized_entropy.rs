//! Generalized entropy of the softmax probabilities.

use serde_json::json;

use super::logits::{log_odds, log_sum_exp, narrow, widen};
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// γ of the paper: below 1 it lets small probabilities count.
const GAMMA: f64 = 0.1;

/// M of the paper: most classes that count.
const MOST_CLASSES: usize = 100;

/// Score `Σ_c p_c^γ (1 − p_c)^γ` over the `min(M, K)` largest softmax probabilities, γ = 0.1, M = 100; from 0 (certain).
///
/// Liu, Lochman and Zach, *GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection*, CVPR 2023, §3, whose
/// score is the negative (higher for known images). Nothing is fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gen;

/// One class.
struct Term {
    class: usize,
    probability: f64,
    /// `p^γ (1 − p)^γ`.
    entropy: f64,
}

/// The classes that count, the most probable first.
fn terms(features: &Features) -> impl Iterator<Item = Term> {
    let logits = widen(&features.logits);
    let total = log_sum_exp(logits.iter().copied());
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    classes.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let predicted = classes[0];
    classes.into_iter().take(MOST_CLASSES).map(move |class| {
        let probability = (logits[class] - total).exp();
        // Where p rounds to 1, 1 − p is still known from the other classes.
        let entropy = if class == predicted {
            certain(log_odds(&logits, class))
        } else {
            (GAMMA * (logits[class] - total + (-probability).ln_1p())).exp()
        };
        Term { class, probability, entropy }
    })
}

/// `p^γ (1 − p)^γ` for given log-odds `l`: p(1 − p) = exp(−|l|) / (1 + exp(−|l|))².
fn certain(log_odds: f64) -> f64 {
    let rest = -log_odds.abs();
    (GAMMA * (rest - 2.0 * rest.exp().ln_1p())).exp()
}

impl Detector for Gen {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Gen
    }

    fn score(&self, features: &Features) -> f32 {
        narrow(terms(features).map(|term| term.entropy).sum())
    }

    /// The classes with the largest terms of the sum. Values are probabilities; expected is 1 for the predicted class, 0
    /// for the others.
    fn explain(&self, features: &Features) -> Explanation {
        let predicted = features.predicted_class();
        Explanation::of(terms(features).map(|term| Part {
            place: Place::Class(term.class),
            contribution: narrow(term.entropy),
            value: narrow(term.probability),
            expected: if term.class == predicted { 1.0 } else { 0.0 },
        }))
    }

    fn save(&self, _out: &mut TensorWriter<'_>) {}

    fn summary(&self) -> Summary {
        Summary::from([("classes".to_owned(), json!(MOST_CLASSES)), ("gamma".to_owned(), json!(GAMMA))])
    }
}

impl Fit for Gen {
    fn fit(_input: &FitInput<'_>) -> Result<Self, FitError> {
        Ok(Self)
    }

    fn load(_tensors: &TensorReader<'_>, _layout: &FeatureLayout) -> Result<Self, StorageError> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::detector::testing::{assert_finite_on_extremes, assert_same_from_a_file, synthetic_bank, vector_image};

    fn score(logits: &[f32]) -> f32 {
        Gen.score(&vector_image(logits, &[0.0]))
    }

    #[test]
    fn scores_by_hand() {
        assert_relative_eq!(score(&[3.0, 3.0]), 2.0 * 0.25f32.powf(0.1), max_relative = 1e-6);
        // p = 1 − exp(−50), which is 1 in f64; both classes have p(1 − p) = exp(−50).
        assert_relative_eq!(score(&[50.0, 0.0]), 2.0 * (-5f32).exp(), max_relative = 1e-6);
        assert_relative_eq!(score(&[0.0, 90.0, 0.0]), (2.0 + 2f32.powf(0.1)) * (-9f32).exp(), max_relative = 1e-6);
        assert_eq!(score(&[7.0]), 0.0, "an only class");
    }

    #[test]
    fn only_the_largest_probabilities_count() {
        let mut logits = vec![0.0; MOST_CLASSES];
        logits.extend([-40.0; 50]);
        let alike = f64::from(MOST_CLASSES as u32).recip();
        let expected = MOST_CLASSES as f64 * (alike * (1.0 - alike)).powf(GAMMA);
        assert_relative_eq!(f64::from(score(&logits)), expected, max_relative = 1e-6);
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let bank = synthetic_bank(6, 30, 3);
        for row in 0..bank.len() {
            let exponentials = bank.logits().row(row).mapv(|logit| f64::from(logit).exp());
            let probabilities = &exponentials / exponentials.sum();
            let expected: f64 = probabilities.iter().map(|p| p.powf(0.1) * (1.0 - p).powf(0.1)).sum();
            assert_relative_eq!(f64::from(Gen.score(&bank.features(row))), expected, max_relative = 1e-6);
        }
        assert_same_from_a_file(&Gen, &bank);
        assert_finite_on_extremes(&Gen, &bank);
    }

    #[test]
    fn the_largest_terms_are_named() {
        let features = vector_image(&[2f32.ln(), 6f32.ln(), 0.0], &[0.0]);
        let parts = Gen.explain(&features).parts;
        let found: Vec<_> = parts.iter().map(|part| (part.place, part.expected)).collect();
        // p(1 − p) is 14/81, 18/81 and 8/81.
        assert_eq!(found, [(Place::Class(1), 1.0), (Place::Class(0), 0.0), (Place::Class(2), 0.0)]);
        assert_relative_eq!(parts[1].value, 2.0 / 9.0, max_relative = 1e-6);
        let sum: f32 = parts.iter().map(|part| part.contribution).sum();
        assert_relative_eq!(sum, Gen.score(&features), max_relative = 1e-6);
    }

    proptest! {
        #[test]
        fn a_constant_on_all_logits_changes_nothing(
            logits in prop::collection::vec(-30f32..30.0, 2..9), constant in -50f32..50.0
        ) {
            let moved: Vec<f32> = logits.iter().map(|logit| logit + constant).collect();
            assert_relative_eq!(score(&moved), score(&logits), max_relative = 1e-4);
        }

        #[test]
        fn less_certain_images_score_higher(
            logits in prop::collection::vec(-9f32..9.0, 2..9), shrunk in 0.1f32..0.9
        ) {
            let flat: Vec<f32> = logits.iter().map(|logit| logit * shrunk).collect();
            prop_assert!(score(&flat) >= score(&logits) * (1.0 - 1e-6));
        }
    }
}
