//! What the views of one object say together, compared with whole tracks of known objects.

use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Latest views of an object whose median is its evidence. Recent views are the nearest and largest ones, and a median ignores
/// the few in which something else went by.
pub const WINDOW: usize = 8;

/// Tracks with fewer views say too little about objects.
pub const MIN_TRACK_VIEWS: usize = WINDOW;

/// With fewer tracks there are no verdicts on objects: their p-values would not fall below 1/21.
pub const MIN_OBJECT_TRACKS: usize = 20;

/// Smallest spread, in nats: where all tracks agree, rounding must not become evidence.
const MIN_SPREAD: f32 = 1e-2;

/// p-values of objects that are looked at after every view.
///
/// The statistic after `n` views is the median of the fused scores of the last [`WINDOW`] views. Its centre (median) and spread
/// (90 % quantile less median) over the calibration tracks depend on `n`: the first, small views vary more than the later ones.
/// *Evidence* is the statistic less the centre, in units of the spread. A new object's evidence is compared with the
/// largest that each calibration track ever had, so that it may be looked at after every view. Centre and spread hardly depend on any
/// single track; a rank, or a tail behind the largest statistic, would make the strangest track, which is compared with the others, look
/// stranger than an equally strange new object, which is compared with all.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectCalibrator {
    /// Median of the statistic after 1, 2, … views.
    centre: Slab<f32>,
    /// Spread of the statistic after 1, 2, … views; positive.
    spread: Slab<f32>,
    /// Largest evidence of every calibration track, rising.
    maxima: Slab<f32>,
}

impl ObjectCalibrator {
    /// Calibrates on the fused scores of held-out tracks, each in the order in which its views were seen. Tracks of fewer than
    /// [`MIN_TRACK_VIEWS`] views are left out; `None` with fewer than [`MIN_OBJECT_TRACKS`] others, or where a score is not finite.
    ///
    /// Every track is compared with centre and spread of the others, as a new object will be.
    #[must_use]
    pub fn fit(tracks: &[Vec<f32>]) -> Option<Self> {
        let tracks: Vec<Vec<f32>> =
            tracks.iter().filter(|track| track.len() >= MIN_TRACK_VIEWS).map(|track| statistics(track)).collect();
        if tracks.len() < MIN_OBJECT_TRACKS || !tracks.iter().flatten().all(|statistic| statistic.is_finite()) {
            return None;
        }
        let columns: Vec<Column> = (0..usual_length(&tracks)).map(|views| Column::new(&tracks, views)).collect();
        let largest = |index: usize| {
            let evidence = tracks[index].iter().enumerate().map(|(views, &statistic)| {
                let column = &columns[views.min(columns.len() - 1)];
                column.without(index).evidence(statistic)
            });
            evidence.fold(f32::MIN, f32::max)
        };
        let mut maxima: Vec<f32> = (0..tracks.len()).map(largest).collect();
        maxima.sort_unstable_by(f32::total_cmp);
        let all = columns.iter().map(Column::all);
        let (centre, spread): (Vec<f32>, Vec<f32>) = all.map(|Scale { centre, spread }| (centre, spread)).unzip();
        Some(Self { centre: centre.into(), spread: spread.into(), maxima: maxima.into() })
    }

    /// Number of calibration tracks.
    #[must_use]
    pub fn tracks(&self) -> usize {
        self.maxima.len()
    }

    /// Views that calibration tracks usually have; more are judged as several objects one after the other.
    #[must_use]
    pub fn length(&self) -> usize {
        self.centre.len()
    }

    /// The smallest p-value that there is: `1/(tracks + 1)`.
    #[must_use]
    pub fn smallest_p_value(&self) -> f32 {
        1.0 / (self.tracks() as f32 + 1.0)
    }

    /// Evidence after `views` views (from 1) of which the last `latest` (at most [`WINDOW`]) have these fused scores, in units of what calibration
    /// tracks vary by: 0 is usual, positive is strange. NaN without scores.
    #[must_use]
    pub fn evidence(&self, views: usize, latest: &[f32]) -> f32 {
        let column = views.clamp(1, self.length()) - 1;
        Scale { centre: self.centre[column], spread: self.spread[column] }.evidence(median(latest))
    }

    /// p-value of this evidence after `views` views: `(1 + #{calibration tracks whose largest evidence is at least as high}) / (tracks + 1)`.
    ///
    /// For an object that is exchangeable with the calibration tracks and has at most [`length`](Self::length) views, the probability that it
    /// *ever* falls to α or below is at most α, whenever it is looked at and whoever decides to stop (the trajectory is one conformal
    /// score; conformal prediction by the maximum over time as in Cleaveland et al., *Conformal prediction regions for time series
    /// using linear complementarity programming*, AAAI 2024, §3). An object that stays for `k` such lengths is tested
    /// `k` times: p-values are multiplied by the number of lengths begun (Bonferroni), up to 1. NaN for evidence that is NaN.
    #[must_use]
    pub fn p_value(&self, views: usize, evidence: f32) -> f32 {
        if evidence.is_nan() {
            return f32::NAN;
        }
        let lower = self.maxima.partition_point(|&largest| largest < evidence);
        let share = (self.tracks() - lower + 1) as f32 / (self.tracks() as f32 + 1.0);
        (share * views.div_ceil(self.length()).max(1) as f32).min(1.0)
    }

    /// Writes the tensors `centre`, `spread` and `maxima`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("centre", &[self.centre.len()], &self.centre);
        out.put("spread", &[self.spread.len()], &self.spread);
        out.put("maxima", &[self.maxima.len()], &self.maxima);
    }

    /// Uses in place what [`ObjectCalibrator::save`] wrote.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing, misshapen, or holds numbers that no calibration gives.
    pub fn load(tensors: &TensorReader<'_>) -> Result<Self, StorageError> {
        let (centre, maxima) = (tensors.vector::<f32>("centre")?, tensors.vector::<f32>("maxima")?);
        let spread = tensors.get::<f32, 1>("spread", [centre.len()])?;
        let finite = |values: &[f32]| !values.is_empty() && values.iter().all(|value| value.is_finite());
        if !finite(&centre) {
            return Err(tensors.invalid("centre", "they are not finite numbers"));
        }
        if !finite(&spread) || !spread.iter().all(|&spread| spread > 0.0) {
            return Err(tensors.invalid("spread", "they are not positive numbers"));
        }
        if !finite(&maxima) || !maxima.is_sorted() {
            return Err(tensors.invalid("maxima", "they are not finite numbers in rising order"));
        }
        Ok(Self { centre, spread, maxima })
    }
}

/// The statistic after every view of a track.
fn statistics(scores: &[f32]) -> Vec<f32> {
    (1..=scores.len()).map(|views| median(&scores[views.saturating_sub(WINDOW)..views])).collect()
}

/// The number of views that half of the tracks, and enough of them, reach.
fn usual_length(tracks: &[Vec<f32>]) -> usize {
    let mut lengths: Vec<usize> = tracks.iter().map(Vec::len).collect();
    lengths.sort_unstable_by(|one, other| other.cmp(one));
    lengths[(tracks.len() / 2).max(MIN_OBJECT_TRACKS - 1)]
}

/// Centre and spread of the statistic after one number of views.
#[derive(Debug, Clone, Copy)]
struct Scale {
    centre: f32,
    spread: f32,
}

impl Scale {
    fn evidence(self, statistic: f32) -> f32 {
        (statistic - self.centre) / self.spread
    }

    /// Of `length` rising values.
    fn of(length: usize, value: impl Fn(usize) -> f32) -> Self {
        let quantile = |share: f64| value((share * length.saturating_sub(1) as f64).round() as usize);
        let centre = quantile(0.5);
        Self { centre, spread: (quantile(0.9) - centre).max(MIN_SPREAD) }
    }
}

/// The statistics of all tracks after one number of views.
struct Column {
    /// Statistic and index of the track, rising.
    values: Vec<(f32, usize)>,
    /// Place of every track among them.
    places: Vec<Option<usize>>,
}

impl Column {
    fn new(tracks: &[Vec<f32>], views: usize) -> Self {
        let statistics = tracks.iter().enumerate();
        let mut values: Vec<(f32, usize)> =
            statistics.filter_map(|(index, track)| Some((*track.get(views)?, index))).collect();
        values.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let mut places = vec![None; tracks.len()];
        values.iter().enumerate().for_each(|(place, (_, track))| places[*track] = Some(place));
        Self { values, places }
    }

    fn all(&self) -> Scale {
        Scale::of(self.values.len(), |place| self.values[place].0)
    }

    fn without(&self, track: usize) -> Scale {
        let Some(skipped) = self.places[track] else { return self.all() };
        Scale::of(self.values.len() - 1, |place| self.values[place + usize::from(place >= skipped)].0)
    }
}

/// Median of a few values; of an even number the mean of the two in the middle. NaN without values.
fn median(values: &[f32]) -> f32 {
    let mut sorted = [f32::NAN; WINDOW];
    let sorted = &mut sorted[..values.len().min(WINDOW)];
    sorted.copy_from_slice(&values[values.len() - sorted.len()..]);
    sorted.sort_unstable_by(f32::total_cmp);
    match sorted.len() {
        0 => f32::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f32::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::calibration::testing::reopened;

    /// Scores of a track: what the object is like, and how its views differ; the first views differ more.
    fn track(random: &mut ChaCha8Rng, views: usize) -> Vec<f32> {
        let object: f32 = random.random_range(0.0..1.0);
        (0..views).map(|view| object + random.random_range(0.0..1.0) / (1.0 + view as f32 / 4.0)).collect()
    }

    fn tracks(random: &mut ChaCha8Rng, count: usize, views: usize) -> Vec<Vec<f32>> {
        (0..count).map(|_| track(random, views)).collect()
    }

    fn p_values(calibrator: &ObjectCalibrator, scores: &[f32]) -> Vec<f32> {
        let after = |views: usize| {
            let latest = &scores[views.saturating_sub(WINDOW)..views];
            calibrator.p_value(views, calibrator.evidence(views, latest))
        };
        (1..=scores.len()).map(after).collect()
    }

    #[test]
    fn medians_by_hand() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[5.0, 1.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[100.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]), 1.5, "only the last eight count");
    }

    #[test]
    fn evidence_by_hand() {
        // Tracks of eight equal views with the statistics 0, 1, … 20: centre 10, 90 % quantile 18.
        let tracks: Vec<Vec<f32>> = (0..21u8).map(|value| vec![f32::from(value); 8]).collect();
        let calibrator = ObjectCalibrator::fit(&tracks).unwrap();
        assert_eq!((calibrator.tracks(), calibrator.length()), (21, 8));
        assert_relative_eq!(calibrator.evidence(3, &[14.0, 14.0, 14.0]), 0.5);
        assert_relative_eq!(calibrator.p_value(3, f32::MAX), 1.0 / 22.0);
        assert_relative_eq!(calibrator.p_value(3, f32::MIN), 1.0);
        assert_relative_eq!(calibrator.p_value(9, f32::MAX), 2.0 / 22.0, epsilon = 1e-6);
        assert!(calibrator.evidence(1, &[]).is_nan() && calibrator.p_value(1, f32::NAN).is_nan());
    }

    #[test]
    fn too_few_tracks_give_no_verdicts() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        assert!(ObjectCalibrator::fit(&tracks(&mut random, MIN_OBJECT_TRACKS, 8)).is_some());
        assert!(ObjectCalibrator::fit(&tracks(&mut random, MIN_OBJECT_TRACKS - 1, 8)).is_none());
        assert!(ObjectCalibrator::fit(&tracks(&mut random, 100, 7)).is_none(), "short tracks");
        let mut spoilt = tracks(&mut random, 30, 8);
        spoilt[3][2] = f32::INFINITY;
        assert!(ObjectCalibrator::fit(&spoilt).is_some(), "the median ignores one");
        spoilt[3] = vec![f32::NAN; 8];
        assert!(ObjectCalibrator::fit(&spoilt).is_none());
    }

    #[test]
    fn however_often_an_object_is_looked_at_the_level_holds() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let (trials, level) = (3000, 0.1);
        let mut alarmed = 0u32;
        for _ in 0..trials {
            let calibrator = ObjectCalibrator::fit(&tracks(&mut random, 39, 12)).unwrap();
            let smallest = p_values(&calibrator, &track(&mut random, 12)).into_iter().fold(1.0, f32::min);
            alarmed += u32::from(smallest <= level);
        }
        let (share, level) = (f64::from(alarmed) / f64::from(trials), f64::from(level));
        let deviation = (level * (1.0 - level) / f64::from(trials)).sqrt();
        assert!(share <= level + 4.0 * deviation, "P(ever p <= {level}) = {share}");
        assert!(share >= level / 2.0, "{share}: it hardly ever alarms, the test shows nothing");
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let calibrator = ObjectCalibrator::fit(&tracks(&mut ChaCha8Rng::seed_from_u64(3), 25, 10)).unwrap();
        let read = reopened(|out| calibrator.save(out), |tensors| ObjectCalibrator::load(tensors).unwrap());
        assert_eq!(read, calibrator);
    }

    proptest! {
        #[test]
        fn stranger_views_are_never_less_suspicious(
            seed in 0u64..50,
            scores in prop::collection::vec(-3f32..9.0, 1..40),
            more in 0f32..5.0,
        ) {
            let calibrator = ObjectCalibrator::fit(&tracks(&mut ChaCha8Rng::seed_from_u64(seed), 30, 10)).unwrap();
            let stranger: Vec<f32> = scores.iter().map(|score| score + more).collect();
            for (p, stranger) in p_values(&calibrator, &scores).into_iter().zip(p_values(&calibrator, &stranger)) {
                prop_assert!(0.0 < stranger && stranger <= p && p <= 1.0);
            }
        }
    }
}
