//! From many detectors to one figure.

/// Name of all detectors together, in files, messages and tables.
pub const FUSED: &str = "fused";

/// One figure out of the surprises −ln p of all detectors: for every family of detectors −ln of the harmonic mean of their
/// p-values, `ln(1/n Σ_i exp(surprise_i))`, then the mean over all families with the positive weights of `weight`. Every
/// detector comes with its family; 0 when there is none.
///
/// Detectors of one family look at the same thing, such as the many functions of the logits, so they depend on each other
/// and would outvote all others. The harmonic mean (Wilson, *The harmonic mean p-value for combining dependent tests*, PNAS
/// 116, 2019) is made for that: it hears the one detector that is certain. Families look at different things; the
/// weighted mean of −ln p is Good's combination (*On the weighted combination of significance tests*, J. R. Stat. Soc. B 17,
/// 1955), with equal weights Fisher's (*Statistical Methods for Research Workers*, 1925, §21.1), up to a factor. Neither
/// null distribution is relied upon: calibrate the result.
#[must_use]
pub fn fuse<F: PartialEq>(surprises: impl IntoIterator<Item = (F, f64)>, weight: impl Fn(&F) -> f64) -> f32 {
    let mut families: Vec<(F, Vec<f64>)> = Vec::new();
    for (family, surprise) in surprises {
        match families.iter_mut().find(|(known, _)| *known == family) {
            Some((_, members)) => members.push(surprise),
            None => families.push((family, vec![surprise])),
        }
    }
    let (mut fused, mut total) = (0.0, 0.0);
    for (family, members) in &families {
        fused += weight(family) * harmonic(members);
        total += weight(family);
    }
    if families.is_empty() { 0.0 } else { (fused / total).min(f64::from(f32::MAX)) as f32 }
}

/// −ln of the harmonic mean of the p-values with these −ln p; the largest is taken out against overflow.
fn harmonic(surprises: &[f64]) -> f64 {
    let largest = surprises.iter().copied().fold(0.0, f64::max);
    let sum: f64 = surprises.iter().map(|surprise| (surprise - largest).exp()).sum();
    largest + (sum / surprises.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fuse;

    fn alike<F>(_: &F) -> f64 {
        1.0
    }

    #[test]
    fn a_family_has_the_harmonic_mean_of_its_p_values() {
        // The harmonic mean of 1/2, 1/4 and 1/6 is 1/4.
        let surprises = [2f64, 4.0, 6.0].map(|inverse| ("a", inverse.ln()));
        assert!((fuse(surprises, alike) - 4f32.ln()).abs() < 1e-6);
        assert_eq!(fuse([("a", 5.0), ("a", 5.0)], alike), 5.0);
        let certain = fuse([40.0, 0.1, 0.1, 0.1, 0.1].map(|surprise| ("a", surprise)), alike);
        assert!((certain - (40.0 - 5f32.ln())).abs() < 1e-4, "{certain}");
    }

    #[test]
    fn every_family_has_one_vote() {
        assert_eq!(fuse([("a", 4.0), ("b", 2.0), ("b", 2.0), ("b", 2.0)], alike), 3.0);
        assert_eq!(fuse([("a", 4.0)], alike), 4.0);
        assert_eq!(fuse::<u8>([], alike), 0.0);
        assert_eq!(fuse([(0, 1e300)], alike), f32::MAX);
    }

    #[test]
    fn votes_have_weights() {
        assert_eq!(fuse([(3.0, 4.0), (1.0, 8.0)], |family: &f64| *family), 5.0);
    }

    proptest! {
        #[test]
        fn more_surprise_never_lowers_the_result(
            surprises in prop::collection::vec((0u8..3, 0f64..20.0), 1..12), more in 0f64..5.0, which: prop::sample::Index
        ) {
            let weight = |family: &u8| f64::from(*family) + 0.5;
            let mut raised = surprises.clone();
            raised[which.index(surprises.len())].1 += more;
            prop_assert!(fuse(raised, weight) >= fuse(surprises.clone(), weight) - 1e-5);
            let mut reversed = surprises.clone();
            reversed.reverse();
            prop_assert!((fuse(reversed, weight) - fuse(surprises, weight)).abs() < 1e-5);
        }
    }
}
