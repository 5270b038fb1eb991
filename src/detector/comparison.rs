//! One image beside the training images, neuron by neuron and bit by bit: what [`crate::visualize`] shows.

use statrs::function::erf::erfc;

use super::{DetectorKind, NearestExample};

/// What is usual in every neuron (or channel) of a layer for the predicted class, and how unusual one image is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The detector that knows it.
    pub detector: DetectorKind,
    /// What the p-values are, in words.
    pub meaning: &'static str,
    /// Training mean of the predicted class, one per neuron or channel.
    pub means: Vec<f32>,
    /// One per neuron or channel, 0 to 1; small is unusual. They are not calibrated on held-out images.
    pub p_values: Vec<f64>,
}

/// The binary pattern of one layer of an image beside the nearest one seen in training.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternComparison {
    /// All bits of the pattern, those of one neuron (or channel) one after the other, by rising threshold.
    pub bits: Vec<Bit>,
    /// The nearest training pattern; its distance is the number of bits that differ.
    pub nearest: NearestExample,
}

/// One bit of two patterns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bit {
    /// Index of its neuron or channel.
    pub unit: usize,
    /// The activation (of a channel: the mean) above which it is on.
    pub threshold: f32,
    /// Whether it is on for the image.
    pub image: bool,
    /// Whether it is on in the nearest training pattern.
    pub nearest: bool,
}

impl Bit {
    /// Whether the two patterns differ in it.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.image != self.nearest
    }
}

/// Two-sided p-value of a standard normal deviate z, 0 to 1: `P(|Z| ≥ |z|) = erfc(|z|/√2)` (Abramowitz and Stegun, *Handbook of
/// Mathematical Functions*, 1964, 26.2.29 and 7.1.22).
#[must_use]
pub fn two_sided_p_value(z: f64) -> f64 {
    erfc(z.abs() * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn p_values_are_those_of_the_tables() {
        for (z, p_value) in [(0.0, 1.0), (1.0, 0.317_310_5), (-1.959_964, 0.05), (2.575_829, 0.01), (-5.0, 5.733e-7)] {
            assert_abs_diff_eq!(two_sided_p_value(z), p_value, epsilon = 1e-6);
        }
        assert_eq!(two_sided_p_value(f64::INFINITY), 0.0);
        assert!(two_sided_p_value(f64::NAN).is_nan());
    }
}
