//! Bootstrap confidence intervals: how much would a figure vary with other images?

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::interval::{CONFIDENCE, Interval};

/// A figure that more than this share of the resamples leaves undefined gets no interval.
const MAX_UNDEFINED: f64 = 0.05;

/// How bootstrap intervals are made.
///
/// The images are drawn anew with replacement, as many as there are; the figure is computed of every such resample; the
/// interval lies between the 2.5th and the 97.5th percentile (percentile interval, Efron and Tibshirani, *An
/// Introduction to the Bootstrap*, 1993, §13.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Number of resamples; 0 for no intervals.
    pub resamples: usize,
    /// Decides what is drawn: the same seed gives the same intervals, however many threads work.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 1000, seed: 0 }
    }
}

/// Images of one set, by index, in groups that are drawn as a whole.
#[derive(Debug)]
pub(super) struct Groups {
    groups: Vec<Vec<usize>>,
    images: usize,
}

impl Groups {
    /// Images with the same name belong together.
    pub(super) fn by_name<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut images = 0;
        for name in names {
            groups.entry(name).or_default().push(images);
            images += 1;
        }
        Self { groups: groups.into_values().collect(), images }
    }

    /// Every image for itself.
    pub(super) fn single(images: usize) -> Self {
        Self { groups: (0..images).map(|image| vec![image]).collect(), images }
    }

    /// Draws as many groups as there are; how often every image was drawn.
    fn draw(&self, random: &mut ChaCha8Rng) -> Vec<u32> {
        let mut counts = vec![0; self.images];
        for _ in &self.groups {
            let group = &self.groups[random.random_range(0..self.groups.len())];
            group.iter().for_each(|&image| counts[image] += 1);
        }
        counts
    }
}

impl Bootstrap {
    /// Intervals of the figures that `figures` computes when it is told how often every image of every set was drawn.
    /// Empty without resamples; `None` for a figure that is too often undefined.
    pub(super) fn intervals(
        &self,
        sets: &[&Groups],
        figures: impl Fn(&[Vec<u32>]) -> Vec<Option<f64>> + Sync,
    ) -> Vec<Option<Interval>> {
        let resample = |number: u64| {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(number);
            let draws: Vec<Vec<u32>> = sets.iter().map(|set| set.draw(&mut random)).collect();
            figures(&draws)
        };
        let resampled: Vec<Vec<Option<f64>>> = (0..self.resamples as u64).into_par_iter().map(resample).collect();
        let count = resampled.first().map_or(0, Vec::len);
        (0..count).map(|figure| percentile_interval(resampled.iter().map(|figures| figures[figure]))).collect()
    }
}

/// From the ⌊(B+1)·2.5 %⌋-th smallest to the as much largest of the B defined values.
fn percentile_interval(values: impl Iterator<Item = Option<f64>>) -> Option<Interval> {
    let all: Vec<Option<f64>> = values.collect();
    let mut values: Vec<f64> = all.iter().copied().flatten().collect();
    if values.is_empty() || (all.len() - values.len()) as f64 > MAX_UNDEFINED * all.len() as f64 {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - CONFIDENCE);
    let outside = ((values.len() + 1) as f64 * tail).max(1.0) as usize - 1;
    Some(Interval { low: values[outside], high: values[values.len() - 1 - outside] })
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 2000, seed: 3 };

    fn mean_of(values: &[f64]) -> impl Fn(&[Vec<u32>]) -> Vec<Option<f64>> + Sync {
        move |draws| {
            let sum: f64 = draws[0].iter().zip(values).map(|(&count, value)| f64::from(count) * value).sum();
            vec![Some(sum / f64::from(draws[0].iter().sum::<u32>()))]
        }
    }

    #[test]
    fn percentiles_by_hand() {
        let values: Vec<Option<f64>> = (1..=1000).rev().map(|value| Some(f64::from(value))).collect();
        let interval = percentile_interval(values.iter().copied());
        assert_eq!(interval, Some(Interval { low: 25.0, high: 976.0 }));
        let rarely_undefined = values.iter().copied().chain([None; 52]);
        assert_eq!(percentile_interval(rarely_undefined), interval);
        assert_eq!(percentile_interval(values.iter().copied().chain([None; 53])), None);
        assert_eq!(percentile_interval([Some(2.0)].into_iter()), Some(Interval { low: 2.0, high: 2.0 }));
        assert_eq!(percentile_interval([].into_iter()), None);
    }

    #[test]
    fn a_mean_has_the_textbook_interval() {
        // The numbers 0 to 399: standard deviation 115.47, standard error of the mean 5.77.
        let values: Vec<f64> = (0..400).map(f64::from).collect();
        let interval = BOOTSTRAP.intervals(&[&Groups::single(400)], mean_of(&values))[0].unwrap();
        assert_abs_diff_eq!(interval.low, 199.5 - 1.96 * 5.77, epsilon = 1.0);
        assert_abs_diff_eq!(interval.high, 199.5 + 1.96 * 5.77, epsilon = 1.0);
    }

    #[test]
    fn groups_are_drawn_whole() {
        // 16 groups of 25 equal numbers are worth 16 numbers, not 400: the interval is five times as wide.
        let values: Vec<f64> = (0..400).map(|image| f64::from(image / 25)).collect();
        let names: Vec<String> = values.iter().map(ToString::to_string).collect();
        let width = |groups: &Groups| {
            let interval = BOOTSTRAP.intervals(&[groups], mean_of(&values))[0].unwrap();
            interval.high - interval.low
        };
        let groups = Groups::by_name(names.iter().map(String::as_str));
        assert_abs_diff_eq!(width(&groups) / width(&Groups::single(400)), 5.0, epsilon = 0.5);
        let draw = groups.draw(&mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(draw.iter().sum::<u32>(), 400);
        assert!(draw.chunks(25).all(|group| group.iter().all(|&count| count == group[0])), "{draw:?}");
    }

    #[test]
    fn the_seed_decides() {
        let values: Vec<f64> = (0..50).map(f64::from).collect();
        let interval = |seed, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let bootstrap = Bootstrap { resamples: 200, seed };
            pool.install(|| bootstrap.intervals(&[&Groups::single(50)], mean_of(&values)))
        };
        assert_eq!(interval(1, 1), interval(1, 3));
        assert_ne!(interval(1, 1), interval(2, 1));
        assert_eq!(Bootstrap { resamples: 0, seed: 1 }.intervals(&[&Groups::single(50)], mean_of(&values)), []);
    }
}
