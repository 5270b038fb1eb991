//! Metrics of binary detection, exact for tied scores.
//!
//! All take scores of *negatives* and of *positives*, higher = more positive, and give `None` where the metric is
//! undefined because one side is empty. Infinite scores are ordered like numbers; NaN counts as larger than everything.

/// Area under the receiver operating characteristic: the probability that a positive scores higher than a negative,
/// ties counting one half (Hanley & McNeil 1982).
#[must_use]
pub fn auroc(negatives: &[f32], positives: &[f32]) -> Option<f64> {
    let pairs = pairs(negatives, positives)?;
    let mut below = 0.0;
    let mut won = 0.0;
    for tied in descending_thresholds(negatives, positives).iter().rev() {
        won += tied.positives as f64 * (below + 0.5 * tied.negatives as f64);
        below += tied.negatives as f64;
    }
    Some(won / pairs)
}

/// Average precision, the area under the precision-recall curve without interpolation:
/// Σ (recall_i − recall_{i−1}) · precision_i over all thresholds, as scikit-learn's `average_precision_score`.
#[must_use]
pub fn average_precision(negatives: &[f32], positives: &[f32]) -> Option<f64> {
    pairs(negatives, positives)?;
    let mut caught = 0.0;
    let mut alarms = 0.0;
    let mut sum = 0.0;
    for tied in descending_thresholds(negatives, positives) {
        caught += tied.positives as f64;
        alarms += (tied.positives + tied.negatives) as f64;
        sum += tied.positives as f64 * caught / alarms;
    }
    Some(sum / positives.len() as f64)
}

/// Share of the negatives alarmed at the highest threshold that catches at least `tpr` (0..1) of the positives.
/// With OOD as the positive class and 0.95 this is OpenOOD's FPR@95.
#[must_use]
pub fn fpr_at_tpr(negatives: &[f32], positives: &[f32], tpr: f64) -> Option<f64> {
    pairs(negatives, positives)?;
    let mut caught = 0;
    let mut alarmed = 0;
    for tied in descending_thresholds(negatives, positives) {
        caught += tied.positives;
        alarmed += tied.negatives;
        if share(caught, positives) >= tpr {
            break;
        }
    }
    Some(share(alarmed, negatives))
}

/// Share of the positives caught at the lowest threshold that alarms at most `fpr` (0..1) of the negatives.
#[must_use]
pub fn tpr_at_fpr(negatives: &[f32], positives: &[f32], fpr: f64) -> Option<f64> {
    pairs(negatives, positives)?;
    let mut caught = 0;
    let mut alarmed = 0;
    for tied in descending_thresholds(negatives, positives) {
        alarmed += tied.negatives;
        if share(alarmed, negatives) > fpr {
            break;
        }
        caught += tied.positives;
    }
    Some(share(caught, positives))
}

/// Share of `true` in `correct`; `None` when it is empty.
#[must_use]
pub fn accuracy(correct: &[bool]) -> Option<f64> {
    let right = correct.iter().filter(|&&correct| correct).count();
    (!correct.is_empty()).then(|| share(right, correct))
}

/// Share of the p-values (0..1) at or below `level`; `None` when there are none.
#[must_use]
pub fn alarm_rate(p_values: &[f32], level: f32) -> Option<f64> {
    let alarms = p_values.iter().filter(|&&p_value| p_value <= level).count();
    (!p_values.is_empty()).then(|| share(alarms, p_values))
}

fn share<T>(count: usize, of: &[T]) -> f64 {
    count as f64 / of.len() as f64
}

/// Number of (negative, positive) pairs; `None` when there are none.
fn pairs(negatives: &[f32], positives: &[f32]) -> Option<f64> {
    let pairs = negatives.len() as f64 * positives.len() as f64;
    (pairs > 0.0).then_some(pairs)
}

/// How many images share one score.
#[derive(Default)]
struct Tied {
    negatives: usize,
    positives: usize,
}

/// The distinct scores from high to low, each with how many images have it.
fn descending_thresholds(negatives: &[f32], positives: &[f32]) -> Vec<Tied> {
    let labelled =
        |scores: &[f32], positive: bool| scores.iter().map(move |&score| (score, positive)).collect::<Vec<_>>();
    let mut all = labelled(negatives, false);
    all.extend(labelled(positives, true));
    all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    all.chunk_by(|a, b| a.0 == b.0).map(count).collect()
}

fn count(tied: &[(f32, bool)]) -> Tied {
    let positives = tied.iter().filter(|(_, positive)| *positive).count();
    Tied { negatives: tied.len() - positives, positives }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    use super::*;

    /// In-distribution and OOD scores with ties within and across. The expected values in
    /// `agrees_with_scikit_learn` were computed once by scikit-learn 1.7.2:
    ///
    /// ```python
    /// from sklearn.metrics import roc_auc_score, average_precision_score, roc_curve
    /// n, p = [NEGATIVES], [POSITIVES]
    /// y, s = [0] * len(n) + [1] * len(p), n + p
    /// print(roc_auc_score(y, s), average_precision_score(y, s))
    /// print(average_precision_score([1 - v for v in y], [-v for v in s]))
    /// fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    /// print(fpr[(tpr >= 0.95).argmax()], fpr[(tpr >= 0.6).argmax()], tpr[fpr <= 0.1].max(), tpr[fpr <= 0.5].max())
    /// ```
    const NEGATIVES: [f32; 12] = [0.5, 1.25, -0.75, 2.0, 0.5, 3.5, 1.0, 1.25, -2.0, 0.0, 2.0, 4.0];
    const POSITIVES: [f32; 9] = [2.0, 3.5, 5.0, 1.25, 4.5, 7.0, 2.0, 0.75, 6.0];

    fn negated(scores: &[f32]) -> Vec<f32> {
        scores.iter().map(|score| -score).collect()
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let (negatives, positives) = (&NEGATIVES, &POSITIVES);
        let close =
            |actual: Option<f64>, expected: f64| assert_abs_diff_eq!(actual.unwrap(), expected, epsilon = 1e-12);
        close(auroc(negatives, positives), 0.8194444444444444);
        close(average_precision(negatives, positives), 0.7912157287157289);
        close(average_precision(&negated(positives), &negated(negatives)), 0.8565913865546219);
        close(fpr_at_tpr(negatives, positives, 0.95), 0.5833333333333334);
        close(fpr_at_tpr(negatives, positives, 0.6), 0.3333333333333333);
        close(tpr_at_fpr(negatives, positives, 0.1), 0.4444444444444444);
        close(tpr_at_fpr(negatives, positives, 0.5), 0.8888888888888888);
    }

    #[test]
    fn by_hand() {
        // Pairs (negative, positive): 1<2 won, 1<3 won, 2=2 half, 2<3 won.
        assert_eq!(auroc(&[1.0, 2.0], &[2.0, 3.0]), Some(3.5 / 4.0));
        // Thresholds 3: precision 1, recall 1/2; 2: precision 2/3, recall 1.
        assert_eq!(average_precision(&[1.0, 2.0], &[2.0, 3.0]), Some(0.5 + 0.5 * 2.0 / 3.0));
        // All positives are caught at threshold 2, where one of two negatives is alarmed.
        assert_eq!(fpr_at_tpr(&[1.0, 2.0], &[2.0, 3.0], 0.95), Some(0.5));
        // Without a false alarm the threshold lies above 2.
        assert_eq!(tpr_at_fpr(&[1.0, 2.0], &[2.0, 3.0], 0.01), Some(0.5));
        assert_eq!(accuracy(&[true, false, true, true]), Some(0.75));
        assert_eq!(alarm_rate(&[0.01, 0.02, 0.001, 1.0], 0.01), Some(0.5));
    }

    #[test]
    fn infinite_scores_are_ordered() {
        let infinity = f32::INFINITY;
        assert_eq!(auroc(&[1.0, -infinity], &[infinity, infinity]), Some(1.0));
        assert_eq!(auroc(&[infinity], &[infinity]), Some(0.5));
    }

    #[test]
    fn an_empty_side_leaves_everything_undefined() {
        for (negatives, positives) in [(&[][..], &[1.0][..]), (&[1.0], &[]), (&[], &[])] {
            assert_eq!(auroc(negatives, positives), None);
            assert_eq!(average_precision(negatives, positives), None);
            assert_eq!(fpr_at_tpr(negatives, positives, 0.95), None);
            assert_eq!(tpr_at_fpr(negatives, positives, 0.01), None);
        }
        assert_eq!((accuracy(&[]), alarm_rate(&[], 0.01)), (None, None));
    }

    /// Small integers, so that ties are frequent.
    fn scores() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec((-8i8..8).prop_map(f32::from), 1..40)
    }

    fn all(negatives: &[f32], positives: &[f32]) -> [f64; 4] {
        [
            auroc(negatives, positives),
            average_precision(negatives, positives),
            fpr_at_tpr(negatives, positives, 0.95),
            tpr_at_fpr(negatives, positives, 0.01),
        ]
        .map(Option::unwrap)
    }

    proptest! {
        #[test]
        fn only_the_order_of_scores_counts(negatives in scores(), positives in scores()) {
            let map = |scores: &[f32]| scores.iter().map(|score| (score / 4.0).exp() - 3.0).collect::<Vec<_>>();
            prop_assert_eq!(all(&negatives, &positives), all(&map(&negatives), &map(&positives)));
        }

        #[test]
        fn swapping_the_sides_mirrors_auroc(negatives in scores(), positives in scores()) {
            let there = auroc(&negatives, &positives).unwrap();
            prop_assert!((there + auroc(&positives, &negatives).unwrap() - 1.0).abs() < 1e-12);
            let negated = auroc(&negated(&positives), &negated(&negatives)).unwrap();
            prop_assert!((there - negated).abs() < 1e-12);
        }

        #[test]
        fn auroc_counts_pairs(negatives in scores(), positives in scores()) {
            let mut won = 0.0;
            for negative in &negatives {
                for positive in &positives {
                    won += if positive > negative { 1.0 } else if positive == negative { 0.5 } else { 0.0 };
                }
            }
            let expected = won / (negatives.len() * positives.len()) as f64;
            prop_assert!((auroc(&negatives, &positives).unwrap() - expected).abs() < 1e-12);
        }

        #[test]
        fn rates_stay_between_0_and_1(negatives in scores(), positives in scores()) {
            prop_assert!(all(&negatives, &positives).iter().all(|value| (0.0..=1.0).contains(value)));
        }

        #[test]
        fn perfect_separation_is_perfect(negatives in scores(), positives in scores()) {
            let positives: Vec<f32> = positives.iter().map(|score| score + 100.0).collect();
            prop_assert_eq!(all(&negatives, &positives), [1.0, 1.0, 0.0, 1.0]);
        }
    }
}
