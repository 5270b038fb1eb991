//! What a calibration can promise: the rate of false alarms that comes of a nominal one, and the images that a wanted one needs.

use serde::Serialize;
use statrs::function::beta::inv_beta_reg;

use super::interval::{CONFIDENCE, Interval};

/// What comes of an alarm level with a given number of exchangeable calibration images or tracks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RealisedRate {
    /// Nominal rate, 0..1.
    pub level: f64,
    /// Mean over all calibrations of this size, 0..1.
    pub mean: f64,
    /// In which the rate of *this* calibration lies with [`CONFIDENCE`].
    pub interval: Interval,
}

impl RealisedRate {
    /// Rate at which images alarm whose p-value is to be `level` or less, where `samples` calibrate.
    ///
    /// The rate is random, since it depends on which images happen to calibrate; once they are chosen it stays what it is for all images to come. With
    /// `k = ⌊α (n + 1)⌋` it has the distribution Beta(k, n + 1 − k) (Vovk, *Conditional validity of inductive conformal predictors*, ACML 2012, §2;
    /// Bates, Candès, Lei, Romano, Sesia, *Testing for outliers with conformal p-values*, Ann. Stat. 51, 2023, §3), for scores without ties.
    ///
    /// `None` when nothing can alarm at this level, `k = 0`, or everything does.
    #[must_use]
    pub fn of(level: f64, samples: usize) -> Option<Self> {
        let count = samples as f64 + 1.0;
        // A level such as 0.1 is no binary number: 0.1 · 10 is to be 1.
        let alarmed = (level * count * (1.0 + f64::EPSILON)).floor();
        let (low, high) = (0.5 * (1.0 - CONFIDENCE), 0.5 * (1.0 + CONFIDENCE));
        let quantile = |share| inv_beta_reg(alarmed, count - alarmed, share);
        (1.0..count).contains(&alarmed).then(|| Self {
            level,
            mean: alarmed / count,
            interval: Interval { low: quantile(low), high: quantile(high) },
        })
    }
}

/// What a wanted rate of false alarms needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Needed {
    /// Exchangeable calibration images or tracks with which the rate is kept on average over all calibrations.
    pub on_average: u64,
    /// With which it is kept with [`CONFIDENCE`] by the calibration at hand.
    pub with_confidence: u64,
}

impl Needed {
    /// For a rate of false alarms in 0..1, both exclusive: `n ≥ 1/α − 1`, the smallest p-value being `1/(n + 1)`; and the smallest `n` for which Beta(1, n) is at most α
    /// with [`CONFIDENCE`], `n ≥ ln(1 − CONFIDENCE) / ln(1 − α)`, since `1 − (1 − α)^n` is its distribution. Infinite needs are `u64::MAX`.
    #[must_use]
    pub fn for_rate(rate: f64) -> Self {
        let with_confidence = (1.0 - CONFIDENCE).ln() / (-rate).ln_1p();
        // One less by rounding would promise too much, one more does no harm.
        Self {
            on_average: (1.0 / rate - 1.0 - 1e-9).ceil().max(1.0) as u64,
            with_confidence: with_confidence.ceil().max(1.0) as u64,
        }
    }
}

/// A wanted rate of false alarms, such as `one per 10 h at 15 Hz`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Wanted {
    /// False alarms per second, above 0.
    pub alarms_per_sec: f64,
    /// Images per second, above 0.
    pub images_per_sec: f64,
}

impl Wanted {
    /// False alarms per image; above 1 where more are wanted than there are images.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.alarms_per_sec / self.images_per_sec
    }
}

impl std::str::FromStr for Wanted {
    type Err = String;

    /// Reads `COUNT per [TIME] UNIT at RATE Hz`: `one per 10 h at 15 Hz`, `2 per day at 10 Hz`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no rate such as `one per 10 h at 15 Hz`, with s, min, h, days or weeks");
        // `10h` is read as `10 h`.
        let mut spaced = String::new();
        for letter in text.to_lowercase().chars() {
            let after_digit = spaced.ends_with(|last: char| last.is_ascii_digit());
            spaced.extend((letter.is_alphabetic() && after_digit).then_some(' '));
            spaced.push(letter);
        }
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let (count, time, unit, images) = match words.as_slice() {
            [count, "per", unit, "at", images, "hz"] => (*count, "1", *unit, *images),
            [count, "per", time, unit, "at", images, "hz"] => (*count, *time, *unit, *images),
            _ => return Err(wrong()),
        };
        let number = |text: &str| match text {
            "a" | "one" => Some(1.0),
            text => text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0),
        };
        let secs = match unit {
            "s" | "sec" | "second" | "seconds" => 1.0,
            "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "week" | "weeks" => 604_800.0,
            _ => return Err(wrong()),
        };
        let read = || Some((number(count)?, number(time)?, number(images)?));
        let (count, time, images_per_sec) = read().ok_or_else(wrong)?;
        let wanted = Self { alarms_per_sec: count / (time * secs), images_per_sec };
        if wanted.rate() >= 1.0 {
            return Err(format!("`{text}` wants more false alarms than there are images"));
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::calibration::Calibrator;

    #[test]
    fn rates_by_hand() {
        // The quantiles by SciPy 1.17.1: scipy.stats.beta(10, 90).ppf([0.025, 0.975]).
        let rate = RealisedRate::of(0.1, 99).unwrap();
        assert_relative_eq!(rate.mean, 0.1);
        assert_relative_eq!(rate.interval.low, 0.049_510_87, epsilon = 1e-7);
        assert_relative_eq!(rate.interval.high, 0.165_568_98, epsilon = 1e-7);
        assert_eq!(RealisedRate::of(0.1, 9).unwrap().mean, 0.1, "the smallest p-value is the level");
        assert_eq!(RealisedRate::of(0.1, 8), None, "nothing alarms");
        assert_eq!(RealisedRate::of(0.01, 0), None);
    }

    #[test]
    fn the_rate_of_a_calibration_lies_in_the_interval_as_often_as_promised() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let rate = RealisedRate::of(0.05, 199).unwrap();
        let trials = 2000;
        let mut inside = 0;
        for _ in 0..trials {
            let calibrator = Calibrator::fit((0..199).map(|_| random.random()).collect()).unwrap();
            // For uniform scores, the rate is one minus the score from which on p is at most the level.
            let scores = 20_000;
            let threshold = (0..scores).find(|score| calibrator.p_value(*score as f32 / scores as f32) <= 0.05);
            let realised = 1.0 - f64::from(threshold.unwrap()) / f64::from(scores);
            inside += i32::from((rate.interval.low..=rate.interval.high).contains(&realised));
        }
        let share = f64::from(inside) / f64::from(trials);
        assert!((share - 0.95).abs() < 0.02, "{share}");
    }

    #[test]
    fn needs_by_hand() {
        assert_eq!(Needed::for_rate(0.01), Needed { on_average: 99, with_confidence: 299 });
        assert_eq!(Needed::for_rate(1.0 / 540_000.0).on_average, 539_999);
    }

    #[test]
    fn wanted_rates_are_read() {
        let read = |text: &str| text.parse::<Wanted>();
        let wanted = read("one per 10 h at 15 Hz").unwrap();
        assert_relative_eq!(wanted.rate(), 1.0 / 540_000.0);
        assert_eq!(read("1 per 10h at 15hz").unwrap(), wanted);
        assert_relative_eq!(read("2 per day at 10 Hz").unwrap().rate(), 2.0 / 864_000.0);
        assert_relative_eq!(read("a per 2 weeks at 0.5 Hz").unwrap().rate(), 1.0 / 604_800.0);
        for wrong in [
            "",
            "one per 10 parsecs at 15 Hz",
            "none per h at 1 Hz",
            "0 per h at 1 Hz",
            "one per h",
            "one per h at -1 Hz",
        ] {
            assert!(read(wrong).unwrap_err().contains("one per 10 h at 15 Hz"), "{wrong}");
        }
        assert!(read("9 per s at 3 Hz").unwrap_err().contains("more false alarms than there are images"));
    }

    proptest! {
        #[test]
        fn more_samples_tell_more(level in 0.001f64..0.5, samples in 1000usize..5000) {
            let width = |samples| { let interval = RealisedRate::of(level, samples).unwrap().interval; interval.high - interval.low };
            prop_assert!(width(4 * samples) < width(samples));
            let rate = RealisedRate::of(level, samples).unwrap();
            prop_assert!(rate.interval.low < rate.mean && rate.mean < rate.interval.high && rate.mean <= level + 1e-12);
        }

        #[test]
        fn what_is_needed_suffices_and_less_does_not(rate in 1e-5f64..0.5) {
            let needed = Needed::for_rate(rate);
            prop_assert!(1.0 / (needed.on_average as f64 + 1.0) <= rate * (1.0 + 1e-6));
            let confidence = |samples: u64| 1.0 - (1.0 - rate).powf(samples as f64);
            prop_assert!(confidence(needed.with_confidence) >= CONFIDENCE - 1e-9);
            prop_assert!(needed.with_confidence == 1 || confidence(needed.with_confidence - 1) < CONFIDENCE + 1e-9);
        }
    }
}
