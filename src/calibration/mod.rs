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

/// One figure out of the surprises of all detectors: their mean.
///
/// The mean is symmetric, needs no weights (there is no out-of-distribution data to learn weights from), and an image
/// that is far out for one detector is far out in the mean. 0 when there is no detector.
///
/// Surprises are −ln p̃, so this is Fisher's combination (Fisher 1925, §21.1) up to a factor. Detectors that look at the
/// same activations are dependent, so its χ² distribution does not apply: calibrate the result.
#[must_use]
pub fn fuse(surprises: impl Iterator<Item = f64>) -> f32 {
    let (sum, count) = surprises.fold((0.0, 0u32), |(sum, count), surprise| (sum + surprise, count + 1));
    (sum / f64::from(count.max(1))).min(f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests {
    use super::fuse;

    #[test]
    fn the_fused_score_is_the_mean_surprise() {
        assert_eq!(fuse([1.0, 2.0, 6.0].into_iter()), 3.0);
        assert_eq!(fuse([].into_iter()), 0.0);
        assert_eq!(fuse([1e300].into_iter()), f32::MAX);
    }
}
