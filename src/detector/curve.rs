//! From a divergence to −ln of its p-value, by a table of training quantiles.

/// Number of quantiles in the table of one channel.
pub const KNOTS: usize = 64;

/// Quantiles of training values at survival probabilities that fall geometrically from 1 to `1/(n+1)`: knot `q` belongs
/// to `−ln p = q · step(n)`, so the tail is resolved as well as the bulk. `sorted` must not be empty.
pub fn knots(sorted: &[f32]) -> [f32; KNOTS] {
    let (last, step) = (sorted.len() - 1, step(sorted.len()));
    std::array::from_fn(|knot| {
        let not_higher = (1.0 - (-step * knot as f64).exp()) * (sorted.len() + 1) as f64;
        sorted[(not_higher as usize).min(last)]
    })
}

/// Difference in −ln p between two knots for `images` training values.
pub fn step(images: usize) -> f64 {
    ((images + 1) as f64).ln() / (KNOTS - 1) as f64
}

/// −ln p of a value: linear between knots, from 0 below the first one. Beyond the last one it goes on with the logarithm
/// of the ratio to it (a Pareto tail), so that one channel that is far out cannot decide for all others. NaN is as strange as
/// the largest number.
#[inline(always)]
pub fn surprise(knots: &[f32], step: f64, value: f32) -> f64 {
    // No comparison with NaN holds, so it would look as usual as can be.
    let value = if value.is_nan() { f32::MAX } else { value.min(f32::MAX) };
    // Counting all takes less time than a search, which the processor cannot foresee.
    let above = knots.iter().fold(0u32, |above, &knot| above.wrapping_add(u32::from(knot < value))) as usize;
    let level = above as f64 * step;
    let value = f64::from(value);
    match (above.checked_sub(1).map(|below| f64::from(knots[below])), knots.get(above)) {
        (None, _) => 0.0,
        (Some(below), Some(&above)) => level - step * (f64::from(above) - value) / (f64::from(above) - below),
        (Some(last), None) => level - step + (1.0 + (value - last) / last.max(f64::from(f32::MIN_POSITIVE))).ln(),
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn surprise_is_minus_ln_p_of_exponential_values() {
        // For the quantiles of Exp(1), −ln p(x) = x.
        let n = 5000;
        let sorted: Vec<f32> = (0..n).map(|rank| -(1.0 - (rank as f32 + 0.5) / n as f32).ln()).collect();
        let knots = knots(&sorted);
        for value in [0.01, 0.5, 1.0, 3.0, 6.0] {
            assert_abs_diff_eq!(surprise(&knots, step(n), value), f64::from(value), epsilon = 0.05);
        }
        // One training value is as large as the largest one: p = (1 + 1)/(n + 1). None is larger: p = 1/(n + 1).
        let last = knots[KNOTS - 1];
        assert_abs_diff_eq!(surprise(&knots, step(n), last), 2500.5f64.ln(), epsilon = step(n));
        assert_abs_diff_eq!(surprise(&knots, step(n), 10.0 * last), 5001f64.ln() + 10f64.ln(), epsilon = 1e-6);
        assert_eq!(surprise(&knots, step(n), 0.0), 0.0);
    }

    #[test]
    fn what_is_no_number_is_as_strange_as_can_be() {
        let knots = knots(&[0.5, 1.0, 2.0]);
        let most = surprise(&knots, step(3), f32::MAX);
        assert!(most.is_finite() && most > 80.0, "{most}");
        for value in [f32::NAN, f32::INFINITY] {
            assert_eq!(surprise(&knots, step(3), value), most);
        }
    }

    proptest! {
        #[test]
        fn surprise_is_monotone_and_finite(
            mut values in prop::collection::vec(prop::sample::select(vec![0f32, 0.5, 1.0, 2.0, 1e3, 1e30]), 1..200),
            one in 0f32..2000.0,
            other in prop::sample::select(vec![0.0, 0.5, 1.0, 1.5, 1e3, 1e31, f32::MAX]),
        ) {
            values.sort_by(f32::total_cmp);
            let knots = knots(&values);
            prop_assert!(knots.is_sorted());
            let surprise = |value| surprise(&knots, step(values.len()), value);
            prop_assert!(surprise(other).is_finite());
            prop_assert!(surprise(one.min(other)) <= surprise(one.max(other)) + 1e-12);
        }
    }
}
