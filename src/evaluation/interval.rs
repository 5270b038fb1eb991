//! Confidence intervals.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Gamma};
use statrs::function::beta::inv_beta_reg;

/// Share of the repetitions of an experiment in which a confidence interval is to contain the true value.
pub const CONFIDENCE: f64 = 0.95;

/// A confidence interval of [`CONFIDENCE`]; `[low, high]` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Interval of the probability behind `count` events among `of` independent images: the exact one of Clopper and
    /// Pearson, *Biometrika* 26, 1934, with the quantiles `B(α/2; k, n−k+1)` and `B(1−α/2; k+1, n−k)` of the beta
    /// distribution. It contains the true value at least as often as it should. `None` without images; `count` must not
    /// exceed `of`.
    ///
    /// Frames of one track are *not* independent, so for such data the interval is too narrow: the number of tracks,
    /// not that of images, says how much was seen.
    #[must_use]
    pub fn of_share(count: usize, of: usize) -> Option<Self> {
        let tail = 0.5 * (1.0 - CONFIDENCE);
        let (hits, misses) = (count as f64, of.checked_sub(count)? as f64);
        let low = if count == 0 { 0.0 } else { inv_beta_reg(hits, misses + 1.0, tail) };
        let high = if count == of { 1.0 } else { inv_beta_reg(hits + 1.0, misses, 1.0 - tail) };
        (of > 0).then_some(Self { low, high })
    }

    /// Interval of the rate behind `count` events in an `exposure` of time, per unit of it: the exact one of Garwood, *Biometrika* 28, 1936, with the quantiles
    /// `G(α/2; k)` and `G(1−α/2; k+1)` of the gamma distribution. `None` without exposure. For events that come independently of each other.
    #[must_use]
    pub fn of_rate(count: usize, exposure: f64) -> Option<Self> {
        let tail = 0.5 * (1.0 - CONFIDENCE);
        let quantile = |shape: f64, share: f64| Some(Gamma::new(shape, 1.0).ok()?.inverse_cdf(share) / exposure);
        let low = if count == 0 { 0.0 } else { quantile(count as f64, tail)? };
        let high = quantile(count as f64 + 1.0, 1.0 - tail)?;
        (exposure > 0.0).then_some(Self { low, high })
    }
}

impl From<[f64; 2]> for Interval {
    fn from([low, high]: [f64; 2]) -> Self {
        Self { low, high }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.low, interval.high]
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    /// Expected values by SciPy 1.17.1: `scipy.stats.gamma.ppf([0.025], count)` and `ppf([0.975], count + 1)`.
    #[test]
    fn rates() {
        for (count, low, high) in [(0, 0.0, 3.688_879), (1, 0.025_318, 5.571_643), (10, 4.795_389, 18.390_356)] {
            let interval = Interval::of_rate(count, 1.0).unwrap();
            assert_abs_diff_eq!(interval.low, low, epsilon = 1e-5);
            assert_abs_diff_eq!(interval.high, high, epsilon = 1e-5);
        }
        assert_abs_diff_eq!(Interval::of_rate(10, 2.0).unwrap().high, 9.195_178, epsilon = 1e-5);
        assert_eq!(Interval::of_rate(3, 0.0), None);
    }

    /// Expected values by SciPy 1.17.1:
    ///
    /// ```python
    /// from scipy.stats import binomtest
    /// print(binomtest(count, of).proportion_ci(0.95, "exact"))
    /// ```
    #[test]
    fn shares_agree_with_scipy() {
        for (count, of, low, high) in [
            (0, 20, 0.0, 0.1684334709830853),
            (20, 20, 0.8315665290169146, 1.0),
            (1, 20, 0.0012650894979498038, 0.24873276277202777),
            (7, 6315, 0.00044577565091588736, 0.002282533699137718),
            (79, 6315, 0.00991637203789889, 0.015566996773226179),
            (500, 1000, 0.46854917297179194, 0.531450827028208),
            (0, 1, 0.0, 0.975),
            (3, 4, 0.19412044968324338, 0.9936905367902902),
        ] {
            let interval = Interval::of_share(count, of).unwrap();
            assert_abs_diff_eq!(interval.low, low, epsilon = 1e-9);
            assert_abs_diff_eq!(interval.high, high, epsilon = 1e-9);
        }
        assert_eq!((Interval::of_share(0, 0), Interval::of_share(3, 2)), (None, None));
    }
}
