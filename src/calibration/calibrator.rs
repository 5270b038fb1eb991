//! Conformal p-values of one score.

use std::collections::BTreeMap;

use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Share of the calibration scores that determines how fast the tail beyond them falls.
const TAIL_SHARE: f64 = 0.1;

/// Value of the tensor `unseen` where all images weigh the same.
const BY_IMAGE: f32 = 1.0;
/// Value of the tensor `unseen` where every track does.
const BY_TRACK: f32 = 0.0;

/// What a score means: its rank among the scores of held-out in-distribution images.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrator {
    /// Rising, finite, not empty.
    scores: Slab<f32>,
    /// By track, what the scores from each one on weigh together; falling, positive. `None`: every image weighs 1.
    weights: Option<Slab<f32>>,
    /// Scale of the tail, in units of the score; positive.
    tail_scale: f32,
}

impl Calibrator {
    /// Calibrates on the scores of held-out images; `None` without scores or when one is not finite.
    #[must_use]
    pub fn fit(mut scores: Vec<f32>) -> Option<Self> {
        if scores.is_empty() || !scores.iter().all(|score| score.is_finite()) {
            return None;
        }
        scores.sort_unstable_by(f32::total_cmp);
        Some(Self { tail_scale: tail_scale(&scores), scores: scores.into(), weights: None })
    }

    /// Calibrates on the scores of images with their tracks, for images of other tracks; `None` as for [`Calibrator::fit`].
    ///
    /// Images of one track are alike, so an image of a new track is no further sample of the same images but part of a track
    /// that may be stranger than all others. Every track counts once, however long it is: each of its `N` images weighs `1/N`.
    #[must_use]
    pub fn fit_by_track<'a>(samples: impl IntoIterator<Item = (f32, &'a str)>) -> Option<Self> {
        let samples: Vec<(f32, &str)> = samples.into_iter().collect();
        let by_image = Self::fit(samples.iter().map(|(score, _)| *score).collect())?;
        let mut lengths: BTreeMap<&str, u32> = BTreeMap::new();
        samples.iter().for_each(|(_, track)| *lengths.entry(track).or_default() += 1);
        if lengths.len() == samples.len() {
            return Some(by_image);
        }
        let weight = |(score, track): (f32, &str)| (score, 1.0 / f64::from(lengths[track]));
        Some(Self { weights: Some(sums(samples.into_iter().map(weight).collect()).into()), ..by_image })
    }

    /// Number `n` of calibration scores.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there are no calibration scores; never true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// Conformal p-value `(1 + #{calibration scores ≥ score}) / (n + 1)`, in `1/(n+1)..=1`; small means out of
    /// distribution. For an image exchangeable with the calibration images, P(p ≤ α) ≤ α (Vovk, Gammerman, Shafer,
    /// *Algorithmic Learning in a Random World*, 2005, §2.2). A NaN gets the smallest p-value.
    ///
    /// By track ([`Calibrator::fit_by_track`]) `(1 + Σ_k #{scores of track k ≥ score} / N_k) / (K + 1)` for `K` tracks of `N_k`
    /// images, from `1/(K + 1)`: P(p ≤ α) ≤ α for an image of a track that is exchangeable with the calibration tracks, whatever
    /// their lengths are (hierarchical conformal prediction; Lee, Barber, Willett, *Distribution-free inference with hierarchical
    /// data*, 2023, §3).
    #[must_use]
    pub fn p_value(&self, score: f32) -> f32 {
        ((self.weight_from(self.lower(score)) + 1.0) / (self.weight() + 1.0)) as f32
    }

    /// How many images, or tracks, the scores stand for.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight_from(0)
    }

    /// What the scores from a rank on weigh.
    fn weight_from(&self, rank: usize) -> f64 {
        match &self.weights {
            None => (self.len() - rank) as f64,
            Some(weights) => weights.get(rank).map_or(0.0, |&weight| f64::from(weight)),
        }
    }

    /// The smallest p-value that there is.
    #[must_use]
    pub fn smallest_p_value(&self) -> f32 {
        self.p_value(f32::NAN)
    }

    /// How unusual a score is: −ln of the p-value (of single images, also by track), from 0, continued beyond the largest calibration score by a Pareto
    /// tail, so that scores further out count more instead of all being `ln(n + 1)`. The tail is heavy: one detector that is
    /// far out must not outvote all others.
    ///
    /// The tail's scale is the mean excess of the largest tenth of the calibration scores over the next lower one
    /// (peaks over threshold, generalised Pareto distribution with shape 1; Davison and Smith, J. R. Stat. Soc. B 52, 1990).
    #[must_use]
    pub fn surprise(&self, score: f32) -> f64 {
        let largest = self.scores[self.scores.len() - 1];
        let excess = (f64::from(score) - f64::from(largest)).max(0.0);
        let higher = (self.len() - self.lower(score)) as f64;
        (excess / f64::from(self.tail_scale)).ln_1p() - ((higher + 1.0) / (self.len() as f64 + 1.0)).ln()
    }

    /// Number of calibration scores below `score`. NaN is above all of them.
    fn lower(&self, score: f32) -> usize {
        if score.is_nan() { self.len() } else { self.scores.partition_point(|&other| other < score) }
    }

    /// Writes the tensors `scores`, `tail_scale` and `unseen`; by track `unseen` is 0 and the tensor `weights` follows.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("scores", &[self.len()], &self.scores);
        out.put("tail_scale", &[1], &[self.tail_scale]);
        out.put("unseen", &[1], &[if self.weights.is_none() { BY_IMAGE } else { BY_TRACK }]);
        if let Some(weights) = &self.weights {
            out.put("weights", &[self.len()], weights);
        }
    }

    /// Uses in place what [`Calibrator::save`] wrote.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing, misshapen, or holds numbers that no calibration gives.
    pub fn load(tensors: &TensorReader<'_>) -> Result<Self, StorageError> {
        let scores = tensors.vector::<f32>("scores")?;
        let tail_scale = tensors.get::<f32, 1>("tail_scale", [1])?[0];
        if scores.is_empty() || !scores.iter().all(|score| score.is_finite()) || !scores.is_sorted() {
            return Err(tensors.invalid("scores", "they are not finite numbers in rising order"));
        }
        if !(tail_scale.is_finite() && tail_scale > 0.0) {
            return Err(tensors.invalid("tail_scale", format!("{tail_scale} is not positive")));
        }
        let unseen = tensors.get::<f32, 1>("unseen", [1])?[0];
        let weights = match unseen {
            BY_IMAGE => None,
            BY_TRACK => Some(load_weights(tensors, scores.len())?),
            _ => {
                return Err(
                    tensors.invalid("unseen", "tracks of unequal length were weighed wrongly then: fit it again")
                );
            }
        };
        Ok(Self { scores, weights, tail_scale })
    }
}

/// What scores with their weights weigh together from each one on, in rising order of the scores.
fn sums(mut samples: Vec<(f32, f64)>) -> Vec<f32> {
    // Equal scores in one order of their weights, so that the sums do not depend on the order of the images.
    samples.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let mut sum = 0.0;
    let mut sums: Vec<f32> = samples.iter().rev().map(|(_, weight)| (sum += weight, sum as f32).1).collect();
    sums.reverse();
    sums
}

fn load_weights(tensors: &TensorReader<'_>, images: usize) -> Result<Slab<f32>, StorageError> {
    let weights = tensors.get::<f32, 1>("weights", [images])?;
    let falls = weights.windows(2).all(|pair| pair[0] >= pair[1]);
    if !(falls && weights[0].is_finite() && weights[images - 1] > 0.0) {
        return Err(tensors.invalid("weights", "they are not positive numbers in falling order"));
    }
    Ok(weights)
}

/// A p-value with as many digits as tell something, also when it is small.
pub(crate) fn p_text(p_value: f32) -> String {
    if p_value < 0.001 { format!("{p_value:.1e}") } else { format!("{p_value:.3}") }
}

/// Mean excess of the largest tenth; of all scores over the smallest where the largest are all equal; else 1.
fn tail_scale(sorted: &[f32]) -> f32 {
    let tail = (sorted.len() as f64 * TAIL_SHARE).ceil() as usize;
    let upper = mean_excess(&sorted[sorted.len().saturating_sub(tail + 1)..]);
    [upper, mean_excess(sorted)].into_iter().find(|&scale| scale.is_normal()).unwrap_or(1.0)
}

/// Mean of what the scores exceed the first (and smallest) of them by.
fn mean_excess(sorted: &[f32]) -> f32 {
    let first = f64::from(sorted[0]);
    let sum: f64 = sorted.iter().map(|&score| f64::from(score) - first).sum();
    (sum / (sorted.len() - 1).max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, seq::SliceRandom};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn p_values_by_hand() {
        let calibrator = Calibrator::fit(vec![3.0, 1.0, 2.0, 2.0]).unwrap();
        for (score, p) in [(0.0, 1.0), (1.0, 1.0), (1.5, 0.8), (2.0, 0.8), (2.5, 0.4), (3.0, 0.4), (3.1, 0.2)] {
            assert_relative_eq!(calibrator.p_value(score), p);
        }
        assert_relative_eq!(calibrator.p_value(f32::NAN), 0.2);
    }

    #[test]
    fn a_track_counts_as_one() {
        // Three tracks of one, two and nine equal images: the ranks among three tracks.
        let images = [(1.0, "a", 1), (2.0, "b", 2), (3.0, "c", 9)];
        let samples = images.into_iter().flat_map(|(score, track, length)| vec![(score, track); length]);
        let calibrator = Calibrator::fit_by_track(samples).unwrap();
        for (score, p) in [(0.5, 1.0), (1.5, 0.75), (2.5, 0.5), (3.5, 0.25)] {
            assert_relative_eq!(calibrator.p_value(score), p);
        }
        assert_relative_eq!(calibrator.smallest_p_value(), 0.25);
        assert_relative_eq!(calibrator.weight(), 3.0);
        assert_relative_eq!(calibrator.surprise(2.5), -(10.0f64 / 13.0).ln());
        let single = Calibrator::fit_by_track([(1.0, "a"), (2.0, "b")]);
        assert_eq!(single, Calibrator::fit(vec![1.0, 2.0]), "tracks of one image");
    }

    /// How often the p-value of an image of a new track is at most 1 %, with 160 calibration tracks of one image and 40 of 30,
    /// where those of the long tracks score less.
    fn realised_with_long_tracks(fit: impl Fn(Vec<(f32, &str)>) -> Calibrator) -> f64 {
        let names: Vec<String> = (0..200).map(|track| track.to_string()).collect();
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut track = |length: usize| -> Vec<f32> {
            let centre: f32 = random.random_range(0.0..1.0) - if length > 1 { 0.5 } else { 0.0 };
            (0..length).map(|_| centre + random.random_range(0.0..0.001)).collect()
        };
        let (trials, mut alarmed) = (4000, 0u32);
        for trial in 0..trials {
            let lengths = (0..200).map(|index| if index < 160 { 1 } else { 30 });
            let samples = names.iter().zip(lengths).flat_map(|(name, length)| {
                track(length).into_iter().map(|score| (score, name.as_str())).collect::<Vec<_>>()
            });
            let calibrator = fit(samples.collect());
            let test = track(if trial % 5 < 4 { 1 } else { 30 })[0];
            alarmed += u32::from(calibrator.p_value(test) <= 0.01);
        }
        f64::from(alarmed) / f64::from(trials)
    }

    #[test]
    fn tracks_of_unequal_length_count_alike() {
        let deviation = (0.01 * 0.99 / 4000.0_f64).sqrt();
        let by_track = realised_with_long_tracks(|samples| Calibrator::fit_by_track(samples).unwrap());
        assert!(by_track <= 0.01 + 4.0 * deviation, "{by_track}");
        let by_image = realised_with_long_tracks(|samples| {
            Calibrator::fit(samples.into_iter().map(|(score, _)| score).collect()).unwrap()
        });
        assert!(by_image > 0.015, "by image the level is missed, so the test can fail: {by_image}");
    }

    #[test]
    fn p_values_by_track_hold_for_new_tracks() {
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let (trials, tracks, frames) = (4000, 39, 5);
        let names: Vec<String> = (0..tracks).map(|track| track.to_string()).collect();
        let (mut by_track, mut by_image) = (0u32, 0u32);
        let level = 0.05;
        for _ in 0..trials {
            let mut track = || {
                let centre: f32 = random.random_range(0.0..1.0);
                [0; 5].map(|_| centre + random.random_range(0.0..0.01))
            };
            let samples: Vec<(f32, &str)> =
                names.iter().flat_map(|name| track().map(|score| (score, name.as_str()))).collect();
            assert_eq!(samples.len(), tracks * frames);
            let test = track()[0];
            let scores = samples.iter().map(|(score, _)| *score).collect();
            by_track += u32::from(Calibrator::fit_by_track(samples).unwrap().p_value(test) <= level);
            by_image += u32::from(Calibrator::fit(scores).unwrap().p_value(test) <= level);
        }
        let [by_track, by_image] = [by_track, by_image].map(|count| f64::from(count) / f64::from(trials));
        let deviation = (0.05 * 0.95 / f64::from(trials)).sqrt();
        assert!(by_track <= 0.05 + 4.0 * deviation, "P(p <= {level}) = {by_track}");
        assert!(by_image > by_track, "images of few tracks promise too much: {by_image}");
    }

    #[test]
    fn the_tail_goes_on_beyond_the_largest_score() {
        let calibrator = Calibrator::fit((0u8..20).map(f32::from).collect()).unwrap();
        // The largest tenth are 18 and 19, the next lower is 17: mean excess 1.5.
        assert_relative_eq!(calibrator.tail_scale, 1.5);
        assert_relative_eq!(calibrator.surprise(19.0), -(2.0f64 / 21.0).ln());
        assert_relative_eq!(calibrator.surprise(22.0), 21.0f64.ln() + 3.0f64.ln());
        assert_eq!(calibrator.surprise(-5.0), 0.0);
    }

    #[test]
    fn equal_scores_still_give_a_finite_rising_tail() {
        for scores in [vec![4.0], vec![4.0; 30], [vec![1.0; 5], vec![4.0; 30]].concat()] {
            let calibrator = Calibrator::fit(scores).unwrap();
            assert!(calibrator.surprise(5.0) < calibrator.surprise(6.0));
            assert!(calibrator.surprise(f32::MAX).is_finite());
        }
    }

    #[test]
    fn impossible_scores_are_refused() {
        assert_eq!(Calibrator::fit(vec![]), None);
        assert_eq!(Calibrator::fit(vec![1.0, f32::NAN]), None);
        assert_eq!(Calibrator::fit(vec![f32::INFINITY]), None);
    }

    #[test]
    fn p_values_of_exchangeable_scores_are_super_uniform() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (trials, n) = (4000, 39);
        let mut below = [0u32; 3];
        let levels = [0.05, 0.1, 0.5];
        for _ in 0..trials {
            // Few distinct values, so that ties occur.
            let mut scores: Vec<f32> = (0..=n).map(|_| f32::from(random.random_range(0u8..30))).collect();
            scores.shuffle(&mut random);
            let test = scores.pop().unwrap();
            let p = Calibrator::fit(scores).unwrap().p_value(test);
            below.iter_mut().zip(levels).for_each(|(count, level)| *count += u32::from(p <= level));
        }
        for (count, level) in below.into_iter().zip(levels) {
            let (share, level) = (f64::from(count) / f64::from(trials), f64::from(level));
            let deviation = (level * (1.0 - level) / f64::from(trials)).sqrt();
            assert!(share <= level + 4.0 * deviation, "P(p <= {level}) = {share}");
        }
    }

    proptest! {
        #[test]
        fn both_figures_are_monotone(
            scores in prop::collection::vec(-50f32..50.0, 1..80),
            one in -200f32..200.0,
            other in -200f32..200.0,
        ) {
            let calibrator = Calibrator::fit(scores).unwrap();
            let (low, high) = (one.min(other), one.max(other));
            prop_assert!(calibrator.p_value(low) >= calibrator.p_value(high));
            prop_assert!(calibrator.surprise(low) <= calibrator.surprise(high));
        }

        #[test]
        fn p_values_count_scores_that_are_at_least_as_high(
            scores in prop::collection::vec(0u8..9, 1..60),
            test in 0u8..9,
        ) {
            let higher = scores.iter().filter(|&&score| score >= test).count();
            let expected = (1 + higher) as f32 / (scores.len() + 1) as f32;
            let calibrator = Calibrator::fit(scores.into_iter().map(f32::from).collect()).unwrap();
            prop_assert_eq!(calibrator.p_value(f32::from(test)), expected);
        }

        #[test]
        fn surprise_is_minus_ln_p_up_to_the_largest_score(scores in prop::collection::vec(-9f32..9.0, 1..60)) {
            let largest = scores.iter().copied().fold(f32::MIN, f32::max);
            let calibrator = Calibrator::fit(scores).unwrap();
            let surprise = calibrator.surprise(largest) as f32;
            prop_assert!((surprise + calibrator.p_value(largest).ln()).abs() < 1e-4);
        }
    }
}
