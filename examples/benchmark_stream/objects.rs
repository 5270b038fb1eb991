//! Objects against single views on tracks of GTSRB.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use activation_monitor::calibration::{Conditioning, OverTime, group_of};
use activation_monitor::evaluation::{Interval, Ranking};
use activation_monitor::model::{Classifier, DeviceChoice};
use activation_monitor::monitor::Monitor;
use activation_monitor::scenario::CLASS_NAMES;
use activation_monitor::stream::{Judged as View, ObjectView, over_views};
use activation_monitor::training::DecoyTarget;
use anyhow::{Context, Result};
use rayon::prelude::*;

use super::Arguments;
use super::support::features::{features, fit_monitor};
use super::support::held_out::{self, HELD_OUT_CLASSES, INPUT, of_known_class};
use super::support::samples::{Sample, image_set, is_held_out, load_samples};

/// Share of the known tracks that calibrates, and that is tested. A test track is no calibration track.
const SHARE: f64 = 0.16;
/// Seed of the choice of test tracks, beside that of the run.
const TEST_TRACKS: u64 = 1000;
/// Levels at which alarms are counted.
const LEVELS: [f32; 2] = [0.01, 0.001];

/// Rows of objects among those of [`verdicts`].
const LAST: usize = 3;
const EVER: usize = 4;

/// What a monitor says about the tracks that it was not fitted with.
pub struct Judged {
    /// Seed of split and training.
    pub seed: u64,
    /// How the monitor is calibrated.
    pub over_time: OverTime,
    /// Tracks of known classes.
    pub known: Vec<Vec<View>>,
    /// Tracks of held-out classes.
    pub unknown: Vec<Vec<View>>,
}

/// Score or evidence, and p-value.
type Figures = Vec<(f32, f32)>;

/// The p-values of the known or the unknown tracks.
type PValues<'a> = &'a dyn Fn(&Verdicts) -> Vec<f32>;

/// A figure per track and the p-values that go with it.
struct Verdicts {
    name: &'static str,
    known: (Vec<f32>, Vec<f32>),
    unknown: (Vec<f32>, Vec<f32>),
}

/// Trains where that was not done, and judges.
pub fn judged(arguments: &Arguments) -> Result<Vec<Judged>> {
    let classes: Vec<String> = CLASS_NAMES.iter().map(ToString::to_string).collect();
    let samples = load_samples(&arguments.data, &classes)?;
    let (unknown, known): (Vec<Sample>, Vec<Sample>) =
        samples.into_iter().partition(|sample| HELD_OUT_CLASSES.contains(&sample.class));
    let known: Vec<Sample> = known.into_iter().filter_map(of_known_class).collect();
    arguments.seeds.iter().map(|&seed| judge(arguments, seed, &known, &unknown)).collect()
}

fn judge(arguments: &Arguments, seed: u64, known: &[Sample], unknown: &[Sample]) -> Result<Judged> {
    let calibrates = |sample: &&Sample| is_held_out(&sample.key, SHARE, seed);
    let (calibration, others): (Vec<&Sample>, Vec<&Sample>) = known.iter().partition(calibrates);
    let tests = |sample: &&Sample| is_held_out(&sample.key, SHARE, seed + TEST_TRACKS);
    let (test, training): (Vec<&Sample>, Vec<&Sample>) = others.into_iter().partition(|sample| tests(sample));
    println!("seed {seed}: {} training, {} calibration, {} test images", training.len(), calibration.len(), test.len());
    let folder = folder(arguments, seed);
    if !folder.join("model.json").exists() {
        let plan = held_out::plan("benchmark_stream", arguments.steps, seed, Some(DecoyTarget::Undecided));
        plan.run(&image_set(training.iter().copied(), &INPUT)?, &folder)?;
    }
    let classifier = Classifier::load(&folder, &DeviceChoice::Cpu)?;
    let monitor = monitor(&folder, &classifier, &training, &calibration)?;
    let known = tracks(&classifier, &monitor, &test)?;
    let unknown = tracks(&classifier, &monitor, &unknown.iter().collect::<Vec<_>>())?;
    Ok(Judged { seed, over_time: monitor.over_time().clone(), known, unknown })
}

fn folder(arguments: &Arguments, seed: u64) -> PathBuf {
    arguments.work.join(format!("{}-seed{seed}", arguments.steps))
}

/// The monitor beside the model, fitted where it is not there or of another version.
fn monitor(folder: &Path, classifier: &Classifier, training: &[&Sample], calibration: &[&Sample]) -> Result<Monitor> {
    let path = folder.join("benchmark.monitor");
    if let Ok(monitor) = Monitor::load(&path) {
        return Ok(monitor);
    }
    println!("fitting the monitor");
    let monitor = fit_monitor(classifier, training, calibration, Conditioning::Pooled)?;
    monitor.save(&path)?;
    Ok(monitor)
}

/// The tracks with their views in order.
fn tracks(classifier: &Classifier, monitor: &Monitor, samples: &[&Sample]) -> Result<Vec<Vec<View>>> {
    let features = features(classifier, samples.iter().map(|sample| &sample.image))?;
    let view = |(sample, features)| {
        let sample: &&Sample = sample;
        let judgement = monitor.judge(features).with_context(|| sample.key.clone())?;
        Ok((sample.key.clone(), View::from(&judgement)))
    };
    let views: Vec<(String, View)> = samples.par_iter().zip(&features).map(view).collect::<Result<_>>()?;
    let mut tracks: BTreeMap<String, BTreeMap<String, View>> = BTreeMap::new();
    for (key, view) in views {
        tracks.entry(group_of(&key).to_owned()).or_default().insert(key, view);
    }
    Ok(tracks.into_values().map(|track| track.into_values().collect()).collect())
}

/// Evidence and p-value of an object after every view, as the node would say them.
fn of_object(judged: &Judged, track: &[View]) -> Figures {
    let Some(calibrator) = &judged.over_time.objects else { return Vec::new() };
    let figures = |object: ObjectView| (object.evidence, object.p_value.unwrap_or(f32::NAN));
    over_views(track, calibrator).into_iter().map(figures).collect()
}

fn verdicts(judged: &Judged) -> Vec<Verdicts> {
    let each = |name, of: &dyn Fn(&[View]) -> Figures| {
        let all = |tracks: &[Vec<View>]| tracks.iter().flat_map(|track| of(track)).unzip();
        Verdicts { name, known: all(&judged.known), unknown: all(&judged.unknown) }
    };
    let single = |view: &View| (view.score, view.p_value);
    let smallest = |views: Figures| {
        views.into_iter().fold((f32::MIN, 1.0), |(most, p), (evidence, next)| (most.max(evidence), f32::min(p, next)))
    };
    vec![
        each("single views", &|track| track.iter().map(single).collect()),
        each("last view", &|track| track.last().map(single).into_iter().collect()),
        each("strangest view", &|track| vec![smallest(track.iter().map(single).collect())]),
        each("object, at its last view", &|track| of_object(judged, track).last().copied().into_iter().collect()),
        each("object, ever", &|track| vec![smallest(of_object(judged, track))]),
    ]
}

fn share(p_values: &[f32], level: f32) -> (usize, usize) {
    (p_values.iter().filter(|p_value| **p_value <= level).count(), p_values.len())
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// One row per kind of verdict, the mean of the seeds; false alarms of objects with their interval over all seeds.
pub fn table(judged: &[Judged]) -> String {
    let mut text = String::from("### Objects\n\n");
    for one in judged {
        let objects = one.over_time.objects.as_ref();
        let (tracks, views) = objects.map_or((0, 0), |objects| (objects.tracks(), objects.length()));
        let (known, unknown) = (one.known.len(), one.unknown.len());
        let _ = writeln!(
            text,
            "Seed {}: {tracks} calibration tracks of {views} views, {known} known and {unknown} unknown test tracks.",
            one.seed
        );
    }
    let all: Vec<Vec<Verdicts>> = judged.iter().map(verdicts).collect();
    text + "\nMeans of the seeds, in %; a verdict per single view, or one per track. \"Ever\": at any of its views.\n\n"
        + &rows(&all)
        + &by_seed(judged, &all)
        + &by_level(&all)
}

/// One row per kind of verdict on tracks that were judged otherwise.
pub fn rows_of(judged: &Judged) -> String {
    rows(&[verdicts(judged)])
}

fn rows(all: &[Vec<Verdicts>]) -> String {
    let mut text = String::from(
        "| verdict by | AUROC | FPR95 | false alarms at 1 % | at 0.1 % | caught at 1 % | at 0.1 % |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in 0..all.first().map_or(0, Vec::len) {
        let _ = writeln!(text, "{}", line(&all.iter().map(|seed| &seed[row]).collect::<Vec<_>>()));
    }
    text
}

fn line(seeds: &[&Verdicts]) -> String {
    let mean = |of: &dyn Fn(&Verdicts) -> f64| seeds.iter().map(|one| of(one)).sum::<f64>() / seeds.len() as f64;
    let auroc = mean(&|one| Ranking::new(&one.known.0, &one.unknown.0).auroc().unwrap_or(f64::NAN));
    let fpr95 = mean(&|one| fpr95(one));
    let at = |p_values: PValues<'_>, level: f32| {
        let (count, of) = share(&seeds.iter().flat_map(|one| p_values(one)).collect::<Vec<_>>(), level);
        let interval = Interval::of_share(count, of)
            .map_or_else(String::new, |interval| format!(" ({} – {})", percent(interval.low), percent(interval.high)));
        format!("{}{interval}", percent(count as f64 / of as f64))
    };
    let [known, unknown]: [PValues<'_>; 2] = [&|one| one.known.1.clone(), &|one| one.unknown.1.clone()];
    format!(
        "| {} | {} | {} | {} | {} | {} | {} |",
        seeds[0].name,
        percent(auroc),
        percent(fpr95),
        at(known, LEVELS[0]),
        at(known, LEVELS[1]),
        at(unknown, LEVELS[0]),
        at(unknown, LEVELS[1])
    )
}

fn fpr95(one: &Verdicts) -> f64 {
    Ranking::new(&one.known.0, &one.unknown.0).fpr_at_tpr(0.95).unwrap_or(f64::NAN)
}

/// Objects at their last view at higher levels: no p-value of few tracks falls below a low one by much.
fn by_level(all: &[Vec<Verdicts>]) -> String {
    let mut text = String::from(
        "\n| level | objects: false alarms, ever | caught at the last view | caught, ever |\n|---:|---:|---:|---:|\n",
    );
    for level in [0.01, 0.02, 0.05, 0.1] {
        let of = |row: usize, p_values: PValues<'_>| {
            let (count, of) = share(&all.iter().flat_map(|rows| p_values(&rows[row])).collect::<Vec<_>>(), level);
            percent(count as f64 / of as f64)
        };
        let (known, unknown): (PValues<'_>, PValues<'_>) = (&|one| one.known.1.clone(), &|one| one.unknown.1.clone());
        let (alarms, last, ever) = (of(EVER, known), of(LAST, unknown), of(EVER, unknown));
        let _ = writeln!(text, "| {:.0} % | {alarms} | {last} | {ever} |", 100.0 * level);
    }
    text
}

/// FPR95 of the object over those of single and last views, seed by seed.
fn by_seed(judged: &[Judged], all: &[Vec<Verdicts>]) -> String {
    let mut text = String::from("\nFPR95 of the object over that of single views and of the last view: ");
    let ratios = judged.iter().zip(all).map(|(one, rows)| {
        let of = |row: usize| fpr95(&rows[row]);
        format!("seed {}: {:.2} and {:.2}", one.seed, of(LAST) / of(0), of(LAST) / of(1))
    });
    text += &ratios.collect::<Vec<_>>().join("; ");
    text + ".\n"
}
