//! eˣ and ln x without branches and calls, so that the compiler computes several side by side.
//!
//! Cody and Waite, *Software Manual for the Elementary Functions*, 1980, ch. 5 and 6: numbers are brought close to 0 or 1 by
//! powers of two, and a series does the rest.

use std::f64::consts::{FRAC_1_SQRT_2, LOG2_E};

/// ln 2 in two parts, the first with so few digits that its product with a small integer is exact.
const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
/// Bits of a number without sign and exponent.
const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: u64 = 1023;

/// eˣ for x ≤ 0, right to the last digits; 0 where it is below 10⁻²⁹⁹.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    const SMALLEST: f64 = -690.0;
    // Added to a number, it leaves the nearest integer in the lowest bits: 1.5 · 2⁵².
    const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
    // 1/k!, from k = 12 to 0.
    const SERIES: [f64; 13] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let shifted = x * LOG2_E + TO_INTEGER;
    let n = shifted - TO_INTEGER;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let power = f64::from_bits(shifted.to_bits().wrapping_add(EXPONENT_BIAS) << MANTISSA_BITS);
    if x < SMALLEST { 0.0 } else { power * polynomial(&SERIES, r) }
}

/// ln x for positive, normal x, right to the last digits (of 1, where the result is smaller).
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    // 2/(2k + 1), from k = 10 to 0: ln m = Σ_k 2/(2k + 1) f^(2k + 1) with f = (m − 1)/(m + 1).
    const SERIES: [f64; 11] = [
        2.0 / 21.0,
        2.0 / 19.0,
        2.0 / 17.0,
        2.0 / 15.0,
        2.0 / 13.0,
        2.0 / 11.0,
        2.0 / 9.0,
        2.0 / 7.0,
        2.0 / 5.0,
        2.0 / 3.0,
        2.0,
    ];
    // x = 2ⁿ m with m from √½ to √2.
    let above = x.to_bits().wrapping_sub(FRAC_1_SQRT_2.to_bits());
    let n = (above as i64) >> MANTISSA_BITS;
    let m = f64::from_bits(x.to_bits().wrapping_sub((n as u64) << MANTISSA_BITS));
    let n = f64::from(n as i32);
    let f = (m - 1.0) / (m + 1.0);
    n * LN_2[0] + (n * LN_2[1] + f * polynomial(&SERIES, f * f))
}

/// The highest power comes first.
#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = sum * x + coefficient;
    }
    sum
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exponentials_are_right_to_the_last_digits() {
        for step in 0..=69_000 {
            let x = f64::from(-step) / 100.0;
            assert_relative_eq!(exp(x), x.exp(), max_relative = 1e-15);
        }
        assert_eq!([0.0, -0.0, -690.1, -1e300, f64::NEG_INFINITY].map(exp), [1.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn logarithms_are_right_to_the_last_digits() {
        for step in -3_000..=3_000 {
            let x = 1.25f64.powi(step);
            assert_relative_eq!(ln(x), x.ln(), max_relative = 1e-15, epsilon = 1e-15);
        }
        assert_eq!([1.0, 2.0, 0.5].map(ln), [1.0f64, 2.0, 0.5].map(f64::ln));
    }

    proptest! {
        #[test]
        fn they_undo_each_other(x in -600f64..0.0) {
            assert_relative_eq!(ln(exp(x)), x, max_relative = 1e-14, epsilon = 1e-15);
        }
    }
}
