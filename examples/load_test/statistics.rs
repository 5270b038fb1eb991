//! Quantiles of one measurement, medians over several.

use serde::Serialize;

/// Nearest-rank quantiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half of the values are at most this.
    pub p50: f64,
    /// 95 % are.
    pub p95: f64,
    /// 99 % are.
    pub p99: f64,
    /// All are.
    pub max: f64,
}

/// A figure over several repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Smallest value.
    pub min: f64,
    /// Median: the mean of the middle two when their number is even.
    pub median: f64,
    /// Largest value.
    pub max: f64,
}

impl Quantiles {
    /// Of these values; `None` when there are none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let sorted = sorted(values);
        let last = sorted.len().checked_sub(1)?;
        let at = |share: f64| sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, last + 1) - 1];
        Some(Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted[last] })
    }
}

impl Spread {
    /// Of these values; `None` when there are none.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let sorted = sorted(values);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Self { min, median, max })
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}
