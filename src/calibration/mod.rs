//! From scores to p-values, and from many detectors to one figure.
//!
//! A detector's score has no unit. [`Calibrator`] compares it with the scores of held-out images that the model knows:
//! the conformal p-value is the share of those that score at least as high. [`fuse`] combines the detectors; the fused
//! score is calibrated in the same way, each fold of the images ([`folds`]) against detectors calibrated on all others, so
//! its p-value is valid whatever the combination rule is. No out-of-distribution image is ever used.

mod calibrator;
mod groups;

pub use calibrator::Calibrator;
pub use groups::{folds, group_of};

/// One figure out of the surprises −ln p of all detectors: −ln of the harmonic mean of their p-values,
/// `ln(1/n Σ_i exp(surprise_i))`. 0 when there is no detector.
///
/// Wilson, *The harmonic mean p-value for combining dependent tests*, PNAS 116, 2019. Detectors look at the same
/// activations, so Fisher's combination, which is for independent tests, does not apply; the harmonic mean needs no weights
/// (there is no out-of-distribution data to learn weights from) and hears a single detector that is certain, where a mean
/// of all would drown it. Its null distribution is not relied upon: calibrate the result.
#[must_use]
pub fn fuse(surprises: impl Iterator<Item = f64>) -> f32 {
    let surprises: Vec<f64> = surprises.collect();
    let largest = surprises.iter().copied().fold(0.0, f64::max);
    let sum: f64 = surprises.iter().map(|surprise| (surprise - largest).exp()).sum();
    let fused = if surprises.is_empty() { 0.0 } else { largest + (sum / surprises.len() as f64).ln() };
    fused.min(f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests {
    use super::fuse;

    #[test]
    fn the_fused_score_is_that_of_the_harmonic_mean() {
        // The harmonic mean of 1/2, 1/4 and 1/6 is 1/4.
        let surprises = [2f64, 4.0, 6.0].map(f64::ln);
        assert!((fuse(surprises.into_iter()) - 4f32.ln()).abs() < 1e-6);
        assert_eq!(fuse([5.0, 5.0].into_iter()), 5.0);
        assert_eq!(fuse([].into_iter()), 0.0);
        assert_eq!(fuse([1e300].into_iter()), f32::MAX);
    }

    #[test]
    fn one_certain_detector_is_heard() {
        let fused = fuse([40.0, 0.1, 0.1, 0.1, 0.1].into_iter());
        assert!((fused - (40.0 - 5f32.ln())).abs() < 1e-4, "{fused}");
    }
}
