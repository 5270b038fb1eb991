//! Metrics of binary detection, exact for tied scores.

use std::iter::repeat;

/// Negatives and positives ordered by their scores, higher = more positive: all that the metrics need to know.
///
/// A metric is `None` where it is undefined because one side is empty. Infinite scores are ordered like numbers; NaN
/// counts as larger than everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    /// The distinct scores from high to low.
    ties: Vec<Tied>,
    negatives: u32,
    positives: u32,
}

/// How many images share one score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tied {
    negatives: u32,
    positives: u32,
}

impl Tied {
    fn images(self) -> u32 {
        self.negatives + self.positives
    }
}

impl Ranking {
    /// Orders the scores of both sides.
    #[must_use]
    pub fn new(negatives: &[f32], positives: &[f32]) -> Self {
        Ranks::new(negatives, positives).counted(repeat(1), repeat(1))
    }

    /// The same for negated scores and exchanged sides.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let mirrored = |tied: &Tied| Tied { negatives: tied.positives, positives: tied.negatives };
        Self {
            ties: self.ties.iter().rev().map(mirrored).collect(),
            negatives: self.positives,
            positives: self.negatives,
        }
    }

    /// Area under the receiver operating characteristic: the probability that a positive scores higher than a negative,
    /// ties counting one half (Hanley & McNeil 1982).
    #[must_use]
    pub fn auroc(&self) -> Option<f64> {
        let pairs = self.pairs()?;
        let mut below = 0.0;
        let mut won = 0.0;
        for tied in self.ties.iter().rev() {
            won += f64::from(tied.positives) * (below + 0.5 * f64::from(tied.negatives));
            below += f64::from(tied.negatives);
        }
        Some(won / pairs)
    }

    /// Average precision, the area under the precision-recall curve without interpolation:
    /// Σ (recall_i − recall_{i−1}) · precision_i over all thresholds, as scikit-learn's `average_precision_score`.
    #[must_use]
    pub fn average_precision(&self) -> Option<f64> {
        self.pairs()?;
        let mut caught = 0.0;
        let mut alarms = 0.0;
        let mut sum = 0.0;
        for tied in &self.ties {
            caught += f64::from(tied.positives);
            alarms += f64::from(tied.images());
            sum += f64::from(tied.positives) * caught / alarms;
        }
        Some(sum / f64::from(self.positives))
    }

    /// Share of the negatives alarmed at the highest threshold that catches at least `tpr` (0..1) of the positives.
    /// With OOD as the positive class and 0.95 this is OpenOOD's FPR@95.
    #[must_use]
    pub fn fpr_at_tpr(&self, tpr: f64) -> Option<f64> {
        self.pairs()?;
        self.rates().find(|&(_, caught)| caught >= tpr).map(|(alarmed, _)| alarmed)
    }

    /// Share of the positives caught at the lowest threshold that alarms at most `fpr` (0..1) of the negatives.
    #[must_use]
    pub fn tpr_at_fpr(&self, fpr: f64) -> Option<f64> {
        self.pairs()?;
        Some(self.rates().take_while(|&(alarmed, _)| alarmed <= fpr).last().map_or(0.0, |(_, caught)| caught))
    }

    /// Accuracy at the best threshold δ when negatives and positives are equally frequent:
    /// `1 − min_δ {½ FNR(δ) + ½ FPR(δ)}` = `max_δ ½ (TPR + TNR)`, 0.5..1. Liang, Li, Srikant, *Enhancing the
    /// reliability of out-of-distribution image detection in neural networks* (ODIN), ICLR 2018, §4: one minus their
    /// detection error.
    #[must_use]
    pub fn detection_accuracy(&self) -> Option<f64> {
        self.pairs()?;
        let accuracy = |(alarmed, caught): (f64, f64)| 0.5 * (caught + 1.0 - alarmed);
        Some(self.rates().map(accuracy).fold(0.5, f64::max))
    }

    /// Area under the risk-coverage curve when the positives are errors and the score is a lack of confidence: the mean
    /// over i = 1..n of the share of errors among the i lowest scores, 0..1. Geifman, Uziel, El-Yaniv, *Bias-reduced
    /// uncertainty estimation for deep neural classifiers*, ICLR 2019, §3.
    ///
    /// Among tied images the mean over all their orders is taken, so the order of images does not matter. Defined with
    /// one side empty, too.
    #[must_use]
    pub fn aurc(&self) -> Option<f64> {
        let (mut kept, mut errors, mut risks) = (0.0, 0.0, 0.0);
        for tied in self.ties.iter().rev() {
            let share = f64::from(tied.positives) / f64::from(tied.images());
            let risk = |further: u32| (errors + share * f64::from(further)) / (kept + f64::from(further));
            risks += (1..=tied.images()).map(risk).sum::<f64>();
            kept += f64::from(tied.images());
            errors += f64::from(tied.positives);
        }
        (kept > 0.0).then(|| risks / kept)
    }

    /// How far [`Ranking::aurc`] is above that of the best possible order, with all errors last (the same paper's
    /// E-AURC, with the exact sum in place of its integral).
    #[must_use]
    pub fn excess_aurc(&self) -> Option<f64> {
        let images = f64::from(self.negatives) + f64::from(self.positives);
        let risk = |error: u32| f64::from(error) / (f64::from(self.negatives) + f64::from(error));
        let best = (1..=self.positives).map(risk).sum::<f64>() / images;
        self.aurc().map(|aurc| aurc - best)
    }

    /// The receiver operating characteristic: (share of the negatives alarmed, share of the positives caught) from
    /// (0, 0) to (1, 1), one point per threshold. Empty where undefined.
    #[must_use]
    pub fn roc(&self) -> Vec<(f64, f64)> {
        let start = self.pairs().map(|_| (0.0, 0.0));
        start.into_iter().chain(self.rates().filter(|_| start.is_some())).collect()
    }

    /// The risk-coverage curve with the positives as errors: (share of the images kept, share of errors among them),
    /// from the lowest score up, one point per threshold.
    #[must_use]
    pub fn risk_coverage(&self) -> Vec<(f64, f64)> {
        let images = f64::from(self.negatives) + f64::from(self.positives);
        let (mut kept, mut errors) = (0.0, 0.0);
        let point = |tied: &Tied| {
            kept += f64::from(tied.images());
            errors += f64::from(tied.positives);
            (kept / images, errors / kept)
        };
        self.ties.iter().rev().map(point).collect()
    }

    /// Number of (negative, positive) pairs; `None` when there are none.
    fn pairs(&self) -> Option<f64> {
        let pairs = f64::from(self.negatives) * f64::from(self.positives);
        (pairs > 0.0).then_some(pairs)
    }

    /// (Share of the negatives alarmed, share of the positives caught) at every threshold, the highest first.
    fn rates(&self) -> impl Iterator<Item = (f64, f64)> {
        let (mut alarmed, mut caught) = (0, 0);
        self.ties.iter().map(move |tied| {
            alarmed += tied.negatives;
            caught += tied.positives;
            (f64::from(alarmed) / f64::from(self.negatives), f64::from(caught) / f64::from(self.positives))
        })
    }
}

/// Place of every image in the order of scores: sorted once, counted as often as images are drawn anew.
pub(super) struct Ranks {
    negatives: Vec<u32>,
    positives: Vec<u32>,
    distinct: usize,
}

impl Ranks {
    /// Orders the scores; the highest has place 0, equal ones share a place.
    pub(super) fn new(negatives: &[f32], positives: &[f32]) -> Self {
        let mut order: Vec<(f32, usize)> = negatives.iter().chain(positives).copied().zip(0..).collect();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut ranks = vec![0; order.len()];
        let mut distinct = 0;
        for tied in order.chunk_by(|a, b| a.0 == b.0) {
            tied.iter().for_each(|&(_, image)| ranks[image] = distinct);
            distinct += 1;
        }
        let positives = ranks.split_off(negatives.len());
        Self { negatives: ranks, positives, distinct: distinct as usize }
    }

    /// The ranking in which every image counts as often as the iterators say.
    pub(super) fn counted(
        &self,
        negatives: impl Iterator<Item = u32>,
        positives: impl Iterator<Item = u32>,
    ) -> Ranking {
        let mut ties = vec![Tied::default(); self.distinct];
        self.negatives.iter().zip(negatives).for_each(|(&rank, count)| ties[rank as usize].negatives += count);
        self.positives.iter().zip(positives).for_each(|(&rank, count)| ties[rank as usize].positives += count);
        ties.retain(|tied| tied.images() > 0);
        let negatives = ties.iter().map(|tied| tied.negatives).sum();
        let positives = ties.iter().map(|tied| tied.positives).sum();
        Ranking { ties, negatives, positives }
    }
}

/// Share of `true` in `correct`; `None` when it is empty.
#[must_use]
pub fn accuracy(correct: &[bool]) -> Option<f64> {
    let right = correct.iter().filter(|&&correct| correct).count();
    share(right, correct.len())
}

/// Number of p-values (0..1) at or below `level`.
#[must_use]
pub fn alarms(p_values: &[f32], level: f32) -> usize {
    p_values.iter().filter(|&&p_value| p_value <= level).count()
}

/// `count / of`; `None` of nothing.
pub(super) fn share(count: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    use super::*;

    /// In-distribution and OOD scores with ties within and across. The expected values in
    /// `agrees_with_scikit_learn` were computed once by scikit-learn 1.7.2 and 1.9.1:
    ///
    /// ```python
    /// from itertools import permutations, product
    /// from sklearn.metrics import roc_auc_score, average_precision_score, roc_curve, zero_one_loss
    /// n, p = [NEGATIVES], [POSITIVES]
    /// y, s = [0] * len(n) + [1] * len(p), n + p
    /// print(roc_auc_score(y, s), average_precision_score(y, s))
    /// print(average_precision_score([1 - v for v in y], [-v for v in s]))
    /// fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    /// print(fpr[(tpr >= 0.95).argmax()], fpr[(tpr >= 0.6).argmax()], tpr[fpr <= 0.1].max(), tpr[fpr <= 0.5].max())
    /// print(tpr[fpr <= 0.001].max(), (0.5 * (tpr + 1 - fpr)).max())
    /// # AURC, n predictions being right and p wrong: the mean over all orders of tied images.
    /// tied = [set(permutations(v for v, t in zip(y, s) if t == u)) for u in sorted(set(s))]
    /// orders = [sum(order, ()) for order in product(*tied)]
    /// risks = lambda e: [zero_one_loss([0] * k, list(e[:k])) for k in range(1, len(e) + 1)]
    /// mean = lambda values: sum(values) / len(values)
    /// print(mean([mean(risks(e)) for e in orders]), mean(risks(sorted(y))))
    /// ```
    const NEGATIVES: [f32; 12] = [0.5, 1.25, -0.75, 2.0, 0.5, 3.5, 1.0, 1.25, -2.0, 0.0, 2.0, 4.0];
    const POSITIVES: [f32; 9] = [2.0, 3.5, 5.0, 1.25, 4.5, 7.0, 2.0, 0.75, 6.0];

    fn auroc(negatives: &[f32], positives: &[f32]) -> Option<f64> {
        Ranking::new(negatives, positives).auroc()
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let ranking = Ranking::new(&NEGATIVES, &POSITIVES);
        let close =
            |actual: Option<f64>, expected: f64| assert_abs_diff_eq!(actual.unwrap(), expected, epsilon = 1e-12);
        close(ranking.auroc(), 0.8194444444444444);
        close(ranking.average_precision(), 0.7912157287157289);
        close(ranking.mirrored().average_precision(), 0.8565913865546219);
        close(ranking.fpr_at_tpr(0.95), 0.5833333333333334);
        close(ranking.fpr_at_tpr(0.6), 0.3333333333333333);
        close(ranking.tpr_at_fpr(0.1), 0.4444444444444444);
        close(ranking.tpr_at_fpr(0.5), 0.8888888888888888);
        close(ranking.tpr_at_fpr(0.001), 0.4444444444444444);
        close(ranking.detection_accuracy(), 0.7222222222222222);
        close(ranking.aurc(), 0.20621604310421945);
        close(ranking.excess_aurc(), 0.20621604310421945 - 0.11877255625597066);
    }

    #[test]
    fn by_hand() {
        let ranking = Ranking::new(&[1.0, 2.0], &[2.0, 3.0]);
        // Pairs (negative, positive): 1<2 won, 1<3 won, 2=2 half, 2<3 won.
        assert_eq!(ranking.auroc(), Some(3.5 / 4.0));
        // Thresholds 3: precision 1, recall 1/2; 2: precision 2/3, recall 1.
        assert_eq!(ranking.average_precision(), Some(0.5 + 0.5 * 2.0 / 3.0));
        // All positives are caught at threshold 2, where one of two negatives is alarmed.
        assert_eq!(ranking.fpr_at_tpr(0.95), Some(0.5));
        // Without a false alarm the threshold lies above 2.
        assert_eq!(ranking.tpr_at_fpr(0.01), Some(0.5));
        // At threshold 3 half of the positives and no negative, at threshold 2 all positives and half of the negatives.
        assert_eq!(ranking.detection_accuracy(), Some(0.75));
        // Kept: 1 (right); then 2 and 2, in either order one of them wrong: 1/2 · (0 + 1/2) and 1/3; then 3: 2/4.
        assert_abs_diff_eq!(ranking.aurc().unwrap(), (0.25 + 1.0 / 3.0 + 0.5) / 4.0, epsilon = 1e-15);
        assert_eq!(ranking.roc(), [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        assert_eq!(ranking.risk_coverage(), [(0.25, 0.0), (0.75, 1.0 / 3.0), (1.0, 0.5)]);
        assert_eq!(accuracy(&[true, false, true, true]), Some(0.75));
        assert_eq!(alarms(&[0.01, 0.02, 0.001, 1.0], 0.01), 2);
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
            let ranking = Ranking::new(negatives, positives);
            let figures = [ranking.auroc(), ranking.average_precision(), ranking.fpr_at_tpr(0.95)];
            assert_eq!(figures, [None; 3]);
            assert_eq!((ranking.tpr_at_fpr(0.01), ranking.detection_accuracy()), (None, None));
            assert_eq!(ranking.roc(), []);
        }
        assert_eq!(accuracy(&[]), None);
    }

    #[test]
    fn the_risk_needs_no_errors() {
        assert_eq!(Ranking::new(&[1.0, 2.0], &[]).aurc(), Some(0.0));
        assert_eq!(Ranking::new(&[], &[1.0, 2.0]).aurc(), Some(1.0));
        assert_eq!(Ranking::new(&[], &[1.0, 2.0]).excess_aurc(), Some(0.0));
        assert_eq!((Ranking::new(&[], &[]).aurc(), Ranking::new(&[], &[]).excess_aurc()), (None, None));
    }

    /// Small integers, so that ties are frequent.
    fn scores() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec((-8i8..8).prop_map(f32::from), 1..40)
    }

    fn all(negatives: &[f32], positives: &[f32]) -> [f64; 6] {
        let ranking = Ranking::new(negatives, positives);
        [
            ranking.auroc(),
            ranking.average_precision(),
            ranking.fpr_at_tpr(0.95),
            ranking.tpr_at_fpr(0.01),
            ranking.detection_accuracy(),
            ranking.aurc(),
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
        fn the_order_of_images_does_not_count(mut negatives in scores(), mut positives in scores()) {
            let before = all(&negatives, &positives);
            negatives.reverse();
            positives.sort_by(f32::total_cmp);
            prop_assert_eq!(before, all(&negatives, &positives));
        }

        #[test]
        fn swapping_the_sides_mirrors_auroc(negatives in scores(), positives in scores()) {
            let there = auroc(&negatives, &positives).unwrap();
            prop_assert!((there + auroc(&positives, &negatives).unwrap() - 1.0).abs() < 1e-12);
            let mirrored = Ranking::new(&negatives, &positives).mirrored().auroc().unwrap();
            prop_assert!((there - mirrored).abs() < 1e-12);
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
            prop_assert!(Ranking::new(&negatives, &positives).excess_aurc().unwrap() >= -1e-12);
        }

        #[test]
        fn perfect_separation_is_perfect(negatives in scores(), positives in scores()) {
            let positives: Vec<f32> = positives.iter().map(|score| score + 100.0).collect();
            prop_assert_eq!(&all(&negatives, &positives)[..5], [1.0, 1.0, 0.0, 1.0, 1.0].as_slice());
            prop_assert!(Ranking::new(&negatives, &positives).excess_aurc().unwrap().abs() < 1e-12);
        }

        #[test]
        fn the_roc_rises_from_corner_to_corner(negatives in scores(), positives in scores()) {
            let ranking = Ranking::new(&negatives, &positives);
            let roc = ranking.roc();
            prop_assert_eq!((roc[0], roc[roc.len() - 1]), ((0.0, 0.0), (1.0, 1.0)));
            let trapezium = |points: &[(f64, f64)]| 0.5 * (points[1].0 - points[0].0) * (points[0].1 + points[1].1);
            let area: f64 = roc.windows(2).map(trapezium).sum();
            prop_assert!((area - ranking.auroc().unwrap()).abs() < 1e-12);
        }

        #[test]
        fn counts_are_repetitions(
            images in prop::collection::vec(((-8i8..8).prop_map(f32::from), 0u32..3, any::<bool>()), 1..40)
        ) {
            let of = |wanted: bool| images.iter().filter(move |image| image.2 == wanted);
            let once = |wanted| of(wanted).map(|image| image.0).collect::<Vec<f32>>();
            let repeated = |wanted| of(wanted).flat_map(|image| vec![image.0; image.1 as usize]).collect::<Vec<f32>>();
            let ranks = Ranks::new(&once(false), &once(true));
            let counted = ranks.counted(of(false).map(|image| image.1), of(true).map(|image| image.1));
            prop_assert_eq!(counted, Ranking::new(&repeated(false), &repeated(true)));
        }
    }
}
