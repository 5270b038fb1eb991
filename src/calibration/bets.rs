//! Bets against "these images are like the training data": e-values.

use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Exponent κ of the bet κ·p^(κ−1), in 0..1: small ones bet on very small p-values.
pub const KAPPA: f64 = 0.2;

/// Standard errors of the mean that the haircut allows for. Nominally that is 99 %; with a hundred tracks and tails as heavy as
/// those of the bets it is about 95 % (see the tests).
const DEVIATIONS: f64 = 2.326;

/// With fewer tracks their mean says nothing about others.
pub const MIN_BET_TRACKS: usize = 20;

/// Turns p-values into e-values, whose mean over images like the training data is at most 1.
///
/// `κ·p^(κ−1)` has the mean 1 for uniform p (Vovk and Wang, *E-values: calibration, combination and applications*, Ann. Stat. 49, 2021, §2).
/// Conformal p-values of one monitor share its calibration images, and are uniform only on average over all such
/// choices of images; a stream that is watched for hours is watched with one choice. So the bets are divided by an upper confidence
/// bound (about 95 %) of their mean over further tracks: the *haircut*.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bets {
    /// From 1.
    haircut: f32,
}

impl Bets {
    /// From the p-values of held-out images by track, each compared with images of other tracks; `None` with fewer than
    /// [`MIN_BET_TRACKS`] tracks. p-values that are not in 0..=1 are an error of the caller.
    ///
    /// The bound is the mean over all images plus 2.33 standard errors, those of a mean of clusters (Cochran, *Sampling Techniques*,
    /// 1977, §6.3 and §9A), since frames of one track are alike; at least 1.
    #[must_use]
    pub fn fit(tracks: &[Vec<f32>]) -> Option<Self> {
        if tracks.len() < MIN_BET_TRACKS {
            return None;
        }
        let images: usize = tracks.iter().map(Vec::len).sum();
        let sums: Vec<(f64, f64)> = tracks.iter().map(|track| (bets(track), track.len() as f64)).collect();
        let mean = sums.iter().map(|(sum, _)| sum).sum::<f64>() / images as f64;
        let squares: f64 = sums.iter().map(|(sum, length)| (sum - mean * length).powi(2)).sum();
        let count = tracks.len() as f64;
        let error = (squares * count / (count - 1.0)).sqrt() / images as f64;
        let haircut = (mean + DEVIATIONS * error).max(1.0) as f32;
        haircut.is_finite().then_some(Self { haircut })
    }

    /// What the bets are divided by, from 1.
    #[must_use]
    pub fn haircut(&self) -> f32 {
        self.haircut
    }

    /// E-value of a p-value in 0..=1, above 0; `None` for NaN. A mean of several is an e-value however they depend on each other.
    #[must_use]
    pub fn e_value(&self, p_value: f32) -> Option<f64> {
        (!p_value.is_nan()).then(|| bet(p_value) / f64::from(self.haircut))
    }

    /// Writes the tensor `haircut`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("haircut", &[1], &[self.haircut]);
    }

    /// Uses what [`Bets::save`] wrote.
    ///
    /// # Errors
    /// [`StorageError`] when the tensor is missing, misshapen, or holds no number from 1.
    pub fn load(tensors: &TensorReader<'_>) -> Result<Self, StorageError> {
        let haircut = tensors.get::<f32, 1>("haircut", [1])?[0];
        if !(haircut.is_finite() && haircut >= 1.0) {
            return Err(tensors.invalid("haircut", format!("{haircut} is not 1 or more")));
        }
        Ok(Self { haircut })
    }
}

fn bets(p_values: &[f32]) -> f64 {
    p_values.iter().map(|&p_value| bet(p_value)).sum()
}

/// A p-value of 0 occurs in no calibration; it is bounded rather than infinite.
fn bet(p_value: f32) -> f64 {
    KAPPA * f64::from(p_value.max(f32::MIN_POSITIVE)).powf(KAPPA - 1.0)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::calibration::Calibrator;
    use crate::calibration::testing::reopened;

    #[test]
    fn bets_by_hand() {
        assert_relative_eq!(bet(1.0), 0.2);
        assert_relative_eq!(bet(1e-5), 0.2 * 1e4, max_relative = 1e-6);
        let equal = Bets::fit(&vec![vec![1.0]; 20]).unwrap();
        assert_eq!(equal.haircut(), 1.0, "never an advance");
        assert_eq!(equal.e_value(f32::NAN), None);
        assert!(equal.e_value(0.0).unwrap().is_finite());
        assert!(Bets::fit(&vec![vec![1.0]; 19]).is_none());
    }

    /// Whatever tracks calibrate, nineteen of twenty monitors keep the mean of 1 over new images.
    #[test]
    fn the_haircut_makes_up_for_unlucky_calibration_tracks() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let (trials, tracks, frames, new) = (300, 100, 10, 4000);
        let mut score = |object: f32| object + random.random_range(0.0..0.05f32);
        let mut objects = ChaCha8Rng::seed_from_u64(5);
        let mut track = || {
            let object: f32 = objects.random_range(0.0..1.0f32).powi(2);
            (0..frames).map(|_| score(object)).collect::<Vec<f32>>()
        };
        let (mut kept, mut plain_kept) = (0u32, 0u32);
        for _ in 0..trials {
            let calibration: Vec<Vec<f32>> = (0..tracks).map(|_| track()).collect();
            let by_others = |left_out: usize| {
                let others = calibration.iter().enumerate().filter(|(index, _)| *index != left_out);
                Calibrator::fit(others.flat_map(|(_, track)| track.clone()).collect()).unwrap()
            };
            let p_values = |index: usize| {
                let others = by_others(index);
                calibration[index].iter().map(|&score| others.p_value(score)).collect()
            };
            let bets = Bets::fit(&(0..tracks).map(p_values).collect::<Vec<_>>()).unwrap();
            let calibrator = Calibrator::fit(calibration.concat()).unwrap();
            let mean =
                (0..new).map(|_| bets.e_value(calibrator.p_value(track()[0])).unwrap()).sum::<f64>() / f64::from(new);
            kept += u32::from(mean <= 1.0);
            plain_kept += u32::from(mean * f64::from(bets.haircut()) <= 1.0);
        }
        let [kept, plain] = [kept, plain_kept].map(|count| f64::from(count) / f64::from(trials));
        assert!(kept >= 0.92, "the mean is at most 1 for {kept} of the monitors");
        assert!(plain < 0.75, "without the haircut for {plain}: the test shows nothing");
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let bets = Bets { haircut: 1.25 };
        assert_eq!(reopened(|out| bets.save(out), |tensors| Bets::load(tensors).unwrap()), bets);
        assert!(reopened(|out| out.put("haircut", &[1], &[0.5f32]), |tensors| Bets::load(tensors).is_err()));
    }
}
