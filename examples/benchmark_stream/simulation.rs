//! How often a camera alarms by chance, against what is promised.

use std::fmt::Write as _;
use std::time::Duration;

use activation_monitor::calibration::Bets;
use activation_monitor::stream::ChangeDetector;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use super::objects::Judged;

const BLOCK: Duration = Duration::from_millis(500);
/// Time between two images, 10 Hz.
const PERIOD: Duration = Duration::from_millis(100);
const IMAGES: usize = 5;
const PROMISED_HOURS: [f64; 4] = [1.0 / 6.0, 1.0, 10.0, 100.0];
/// A simulation ends after so many alarms, or so many times the promised time.
const ALARMS: u32 = 40;
const TIMES: f64 = 60.0;
/// And after so many blocks in any case.
const MOST_BLOCKS: u64 = 60_000_000;

/// A way to put a stream together.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Setting {
    /// Uniform p-values, the same for all images of a block.
    Uniform,
    /// Some images in a row of a test track for every block, of a track drawn at random.
    Blocks,
    /// Whole test tracks one after the other: six blocks each, that are alike.
    Tracks,
    /// Uniform p-values, autoregressive over blocks (Gaussian copula) with this coefficient.
    Autoregressive(f64),
    /// As `Blocks`, with strangeness that rises and falls with the hours: the exponent of p goes from 1 to this and back.
    DayAndNight(f64),
}

impl Setting {
    const ALL: [(Self, &'static str, bool); 6] = [
        (Self::Uniform, "uniform p-values, blocks independent", true),
        (Self::Blocks, "held-out tracks, blocks drawn independently", true),
        (Self::Autoregressive(0.5), "AR(1) from block to block, 0.5", false),
        (Self::Autoregressive(0.9), "AR(1) from block to block, 0.9", false),
        (Self::Tracks, "held-out tracks, whole, one after the other", false),
        (Self::DayAndNight(1.3), "day and night: p to the power of 1 to 1.3 over 24 h", false),
    ];
}

/// The p-values of the images of the next blocks.
struct Stream<'a> {
    setting: Setting,
    tracks: &'a [Vec<f32>],
    random: ChaCha8Rng,
    latent: f64,
    waiting: Vec<f32>,
    block: u64,
}

impl Stream<'_> {
    fn next(&mut self) -> Vec<f32> {
        self.block += 1;
        match self.setting {
            Setting::Uniform => vec![1.0 - self.random.random::<f32>(); IMAGES],
            Setting::Blocks => self.some(),
            Setting::DayAndNight(power) => {
                let hours = self.block as f64 * BLOCK.as_secs_f64() / 3600.0;
                let night = 0.5 - 0.5 * (hours / 24.0 * std::f64::consts::TAU).cos();
                let power = 1.0 + (power - 1.0) * night;
                self.some().into_iter().map(|p| f64::from(p).powf(power) as f32).collect()
            }
            Setting::Tracks => {
                while self.waiting.len() < IMAGES {
                    let track = self.tracks.choose(&mut self.random).cloned().unwrap_or_default();
                    self.waiting.extend(track);
                }
                self.waiting.drain(..IMAGES).collect()
            }
            Setting::Autoregressive(coefficient) => {
                let normal = Normal::standard();
                let fresh = normal.inverse_cdf(self.random.random_range(1e-12..1.0));
                self.latent = coefficient * self.latent + (1.0 - coefficient * coefficient).sqrt() * fresh;
                vec![normal.cdf(self.latent) as f32; IMAGES]
            }
        }
    }

    fn some(&mut self) -> Vec<f32> {
        let Some(track) = self.tracks.choose(&mut self.random) else { return Vec::new() };
        let begin = self.random.random_range(0..=track.len().saturating_sub(IMAGES));
        track[begin..(begin + IMAGES).min(track.len())].to_vec()
    }
}

/// Hours between alarms, and their number.
fn realised(setting: Setting, tracks: &[Vec<f32>], bets: &Bets, promised_hours: f64, seed: u64) -> (f64, u32) {
    let promised = Duration::from_secs_f64(3600.0 * promised_hours);
    let mut detector = ChangeDetector::new(promised, BLOCK);
    let random = ChaCha8Rng::seed_from_u64(seed);
    let mut stream = Stream { setting, tracks, random, latent: 0.0, waiting: Vec::new(), block: 0 };
    let blocks = (promised_hours * 3600.0 / BLOCK.as_secs_f64() * TIMES) as u64;
    let (mut alarms, mut run) = (0, 0);
    while run < blocks.min(MOST_BLOCKS) && alarms < ALARMS {
        for (image, p_value) in stream.next().into_iter().enumerate() {
            let stamp = Duration::from_millis(run * BLOCK.as_millis() as u64) + PERIOD * image as u32;
            alarms = detector.observe(stamp, std::iter::once(p_value), Some(bets)).alarms;
        }
        run += 1;
    }
    (run as f64 * BLOCK.as_secs_f64() / 3600.0 / f64::from(alarms.max(1)), alarms)
}

/// Realised against promised hours for every setting.
pub fn table(judged: &[Judged]) -> Result<String> {
    let mut text = String::from(
        "\n### Streams\n\nRealised over promised mean time between false alarms of a camera (10 Hz, blocks of 0.5 s), the smallest of the \
         seeds' monitors; `>`: fewer than five alarms in the simulated time. p-values are those of known test tracks. The promise is made \
         for streams whose blocks do not depend on each other (first two rows); the others show its limits.\n\n\
         | stream | promised 10 min | 1 h | 10 h | 100 h |\n|---|---:|---:|---:|---:|\n",
    );
    let bar = ProgressBar::new((Setting::ALL.len() * PROMISED_HOURS.len()) as u64);
    for (setting, name, promised) in Setting::ALL {
        let cells = PROMISED_HOURS.map(|hours| {
            let run = |one: &Judged| -> Result<(f64, u32)> {
                let bets = one.over_time.bets.as_ref().context("too few calibration tracks")?;
                let tracks: Vec<Vec<f32>> =
                    one.known.iter().map(|track| track.iter().map(|view| view.p_value).collect()).collect();
                Ok(realised(setting, &tracks, bets, hours, one.seed + 7))
            };
            let runs: Vec<(f64, u32)> = judged.par_iter().map(run).collect::<Result<_>>()?;
            bar.inc(1);
            let worst = runs.into_iter().min_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or((f64::NAN, 0));
            anyhow::Ok(format!("{}{:.2}", if worst.1 < 5 { "> " } else { "" }, worst.0 / hours))
        });
        let cells = cells.into_iter().collect::<Result<Vec<_>>>()?;
        let condition = if promised { "" } else { " *" };
        let _ = writeln!(text, "| {name}{condition} | {} |", cells.join(" | "));
    }
    bar.finish_and_clear();
    text += "\n\\* blocks depend on each other, or the p-values are not those of calibration: no promise.\n";
    let haircuts =
        judged.iter().filter_map(|one| one.over_time.bets.as_ref()).map(|bets| format!("{:.2}", bets.haircut()));
    let _ = writeln!(text, "\nHaircuts of the bets: {}.", haircuts.collect::<Vec<_>>().join(", "));
    Ok(text)
}
