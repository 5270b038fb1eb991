//! From many detectors to one figure.

/// One figure out of the surprises −ln p of all detectors: per family of detectors their mean, then the mean over all
/// families. `families[i]` names the family of surprise `i`. 0 when there is no detector.
///
/// The mean of −ln p is Fisher's combination of p-values (*Statistical Methods for Research Workers*, 1925, §21.1) up to a
/// factor. Detectors that look at the same thing, such as the many functions of the logits, would outvote all others, so
/// each family has one vote. Neither the weights nor the rule are learnt, since there is no out-of-distribution data to
/// learn from; and Fisher's χ² distribution, which holds for independent tests, is not relied upon: calibrate the result.
#[must_use]
pub fn fuse<F: PartialEq>(surprises: impl IntoIterator<Item = (F, f64)>) -> f32 {
    let mut families: Vec<(F, f64, u32)> = Vec::new();
    for (family, surprise) in surprises {
        match families.iter_mut().find(|(known, ..)| *known == family) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + surprise, *count + 1),
            None => families.push((family, surprise, 1)),
        }
    }
    let votes = families.iter().map(|(_, sum, count)| sum / f64::from(*count));
    let fused = votes.sum::<f64>() / families.len().max(1) as f64;
    fused.min(f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fuse;

    #[test]
    fn every_family_has_one_vote() {
        assert_eq!(fuse([("a", 4.0), ("b", 1.0), ("b", 3.0), ("b", 2.0)]), 3.0);
        assert_eq!(fuse([("a", 4.0)]), 4.0);
        assert_eq!(fuse::<u8>([]), 0.0);
        assert_eq!(fuse([(0, 1e300)]), f32::MAX);
    }

    proptest! {
        #[test]
        fn more_surprise_never_lowers_the_result(
            surprises in prop::collection::vec((0u8..3, 0f64..20.0), 1..12), more in 0f64..5.0, which: prop::sample::Index
        ) {
            let mut raised = surprises.clone();
            raised[which.index(surprises.len())].1 += more;
            prop_assert!(fuse(raised) >= fuse(surprises.clone()));
            let mut reversed = surprises.clone();
            reversed.reverse();
            prop_assert!((fuse(reversed) - fuse(surprises)).abs() < 1e-5);
        }
    }
}
