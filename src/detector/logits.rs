//! Softmax and what belongs to it, in `f64`: safe against overflow, and exact where a probability rounds to 1.

use ndarray::{Array1, ArrayView1};

/// The numbers in double precision.
pub fn widen(values: &Array1<f32>) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The nearest finite number in single precision.
pub fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// `ln Σ_c exp(f_c)`, with the largest logit subtracted before; −∞ without logits.
pub fn log_sum_exp(logits: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + logits.map(|logit| (logit - largest).exp()).sum::<f64>().ln()
}

/// Energy `ln Σ_c exp(f_c)` of the logits of one image.
pub fn energy(logits: ArrayView1<'_, f32>) -> f64 {
    log_sum_exp(logits.iter().map(|&logit| f64::from(logit)))
}

/// `p = softmax(f)`, `K` numbers with sum 1.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut probabilities: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|probability| *probability /= sum);
    probabilities
}

/// `ln p_c − ln(1 − p_c)`, which is the logit of the class less [`log_sum_exp`] of the others; +∞ for an only class.
pub fn log_odds(logits: &[f64], class: usize) -> f64 {
    let others = logits.iter().enumerate().filter(|(other, _)| *other != class);
    logits[class] - log_sum_exp(others.map(|(_, &logit)| logit))
}

/// `−p ln p`, in nats; 0 for `p = 0`.
pub fn entropy_term(probability: f64) -> f64 {
    if probability > 0.0 { -probability * probability.ln() } else { 0.0 }
}

/// `−Σ_c p_c ln p_c`, in nats, from 0 (certain) to ln K.
pub fn entropy(probabilities: &[f64]) -> f64 {
    probabilities.iter().map(|&probability| entropy_term(probability)).sum()
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_by_hand() {
        let logits = [2f64.ln(), 6f64.ln(), 0.0];
        assert_relative_eq!(log_sum_exp(logits.into_iter()), 9f64.ln(), max_relative = 1e-15);
        assert_relative_eq!(softmax(&logits).as_slice(), [2.0 / 9.0, 6.0 / 9.0, 1.0 / 9.0].as_slice(), epsilon = 1e-15);
        assert_relative_eq!(log_odds(&logits, 1), 2f64.ln(), max_relative = 1e-14);
        assert_relative_eq!(entropy(&[0.25; 4]), 4f64.ln(), max_relative = 1e-15);
        assert_eq!(entropy(&[1.0, 0.0]), 0.0);
    }

    #[test]
    fn sure_and_huge_logits_keep_their_meaning() {
        assert_eq!(log_odds(&[100.0, 0.0], 0), 100.0, "1 − p rounds to 0");
        assert_eq!(log_odds(&[-1e38, 1e38], 0), -2e38);
        assert_eq!(log_odds(&[3.0], 0), f64::INFINITY);
        assert_eq!(log_sum_exp([1e38, -1e38].into_iter()), 1e38);
        assert_eq!(softmax(&[1e38, -1e38]), [1.0, 0.0]);
        assert_eq!(log_sum_exp(std::iter::empty()), f64::NEG_INFINITY);
        assert_eq!([f64::INFINITY, 1e300, -1e300, 0.5].map(narrow), [f32::MAX, f32::MAX, f32::MIN, 0.5]);
    }

    proptest! {
        #[test]
        fn a_constant_on_all_logits_only_moves_their_sum(
            logits in prop::collection::vec(-30f64..30.0, 2..9), constant in -50f64..50.0
        ) {
            let moved: Vec<f64> = logits.iter().map(|logit| logit + constant).collect();
            let sum = |logits: &[f64]| log_sum_exp(logits.iter().copied());
            assert_abs_diff_eq!(sum(&moved), sum(&logits) + constant, epsilon = 1e-11);
            assert_abs_diff_eq!(softmax(&moved).as_slice(), softmax(&logits).as_slice(), epsilon = 1e-11);
            assert_abs_diff_eq!(log_odds(&moved, 1), log_odds(&logits, 1), epsilon = 1e-11);
        }
    }
}
