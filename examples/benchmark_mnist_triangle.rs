//! Does a monitor notice a triangle that is drawn over a digit? A small network learns MNIST, a monitor is fitted on its
//! activations, and both are shown digits, digits with a triangle over them, triangles alone, and clothes.
//!
//! ```text
//! cargo run --release --example benchmark_mnist_triangle -- --mnist data/mnist --fashion data/fashion-mnist \
//!     --json mnist.json --markdown docs/results.md --images target/mnist
//! ```
//!
//! The folders hold the IDX files as they are published: `train-images-idx3-ubyte.gz` and so on. Neither the network nor
//! the monitor has seen a triangle or a piece of clothing, and nothing is chosen by how well these are told from digits.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use activation_monitor::activation::Features;
use activation_monitor::calibration::Conditioning;
use activation_monitor::dataset::{read_idx_images, read_idx_labels};
use activation_monitor::evaluation::{AlarmRates, Bootstrap, EvaluationReport, OodDetector, ScoredImage, ScoredSet};
use activation_monitor::model::{Classifier, DeviceChoice, InputSpec};
use activation_monitor::monitor::{FUSED, Judgement, Monitor};
use activation_monitor::scenario::draw_triangle;
use activation_monitor::training::{Architecture, Augmentation, DecoyKind, DecoyTarget, Decoys, Recipe};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use image::{GrayImage, Luma, RgbImage, imageops};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;

use support::features::{features, fit_monitor};
use support::markdown::replace_section;
use support::samples::{Sample, image_set, is_held_out};
use support::train::Plan;

/// Names the section of the results page.
const NAME: &str = "benchmark_mnist_triangle";
const CLASSES: [&str; 10] = ["Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
/// Digits that a quarter or half turn makes something else of. 0, 1 and 8 stay (or lie down), 6 and 9 change places, 2 and 5
/// are nearly the same after half a turn.
const TURN_INTO_SOMETHING_ELSE: [usize; 3] = [3, 4, 7];
/// Share of the training digits that calibrate the monitor.
const HELD_OUT: f64 = 0.15;
/// The network halves the resolution three times, so 28 would leave a remainder.
const INPUT: InputSpec = InputSpec { width: 32, height: 32, region_margin: 0.0 };
const CHANNELS: [i64; 4] = [16, 16, 32, 64];
const DROPOUT: f64 = 0.2;
/// A plain classifier would believe an answer with at least this probability.
const BELIEVED: f32 = 0.9;
/// Images that are judged between two steps of the progress bar.
const CHUNK: usize = 500;

/// Measure how well triangles are told from digits.
#[derive(Parser, Debug)]
struct Arguments {
    /// Folder with the four MNIST files.
    #[arg(long)]
    mnist: PathBuf,
    /// Folder with the test images of Fashion-MNIST.
    #[arg(long)]
    fashion: PathBuf,
    /// Training steps of 128 images.
    #[arg(long, default_value_t = 1_000)]
    steps: usize,
    /// Networks in the ensemble.
    #[arg(long, default_value_t = 2)]
    members: usize,
    /// Decoys per step: training digits made into something that is none of the digits; 0 for none.
    #[arg(long, default_value_t = 64)]
    decoys: i64,
    /// Weight of the decoys' loss.
    #[arg(long, default_value_t = 0.3)]
    decoy_weight: f64,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write all figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Put the tables into their section of this page.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Folder for sheets with examples of every set.
    #[arg(long)]
    images: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let sets = test_sets(&arguments)?;
    if let Some(folder) = &arguments.images {
        write_sheets(&sets, folder)?;
    }
    let started = Instant::now();
    let (calibration, training) = training_digits(&arguments)?;
    println!("{} training digits, {} for calibration", training.len(), calibration.len());
    let classifier = trained(&arguments, &training)?;
    let trained = started.elapsed();
    let monitor = with_spinner("fitting the monitor", || {
        let (training, calibration): (Vec<_>, Vec<_>) = (training.iter().collect(), calibration.iter().collect());
        fit_monitor(&classifier, &training, &calibration, Conditioning::Pooled)
    })?;
    let fitted = started.elapsed();
    let judged = sets.iter().map(|set| judge(&classifier, &monitor, set)).collect::<Result<Vec<_>>>()?;
    let seconds = Seconds::new(trained, fitted - trained, started.elapsed() - fitted);
    let images = (training.len(), calibration.len());
    write_report(&Report::new(&arguments, images, seconds, &judged), &arguments)
}

/// Images that are judged together.
struct TestSet {
    /// Name in files.
    name: &'static str,
    /// Name in tables.
    title: &'static str,
    images: Vec<GrayImage>,
    /// Digit of every image, for a drawn-over one the digit beneath; empty where there is none.
    digits: Vec<usize>,
}

/// The clean digits first.
fn test_sets(arguments: &Arguments) -> Result<Vec<TestSet>> {
    let (clean, digits) = read_digits(&arguments.mnist, "t10k")?;
    let clothes = read_idx_images(&arguments.fashion.join("t10k-images-idx3-ubyte.gz"))?;
    let with_triangle = |(index, image): (usize, &GrayImage)| {
        let mut image = image.clone();
        draw_triangle(&mut image, arguments.seed.wrapping_mul(1_000_000).wrapping_add(index as u64));
        image
    };
    let over = clean.iter().enumerate().map(with_triangle).collect();
    let blank = |image: &GrayImage| GrayImage::new(image.width(), image.height());
    let alone = clean.iter().map(blank).enumerate().map(|(index, image)| with_triangle((index, &image))).collect();
    let set = |name, title, images, digits: &[usize]| TestSet { name, title, images, digits: digits.to_vec() };
    Ok(vec![
        set("digits", "test digits", clean, &digits),
        set("triangle_over_digit", "triangle over a digit", over, &digits),
        set("triangle_alone", "triangle alone", alone, &[]),
        set("fashion_mnist", "Fashion-MNIST", clothes, &[]),
    ])
}

/// Images and their digits of one part (`train` or `t10k`) of MNIST.
fn read_digits(folder: &Path, part: &str) -> Result<(Vec<GrayImage>, Vec<usize>)> {
    let images = read_idx_images(&folder.join(format!("{part}-images-idx3-ubyte.gz")))?;
    let labels = read_idx_labels(&folder.join(format!("{part}-labels-idx1-ubyte.gz")))?;
    ensure!(images.len() == labels.len(), "{part}: {} images, but {} labels", images.len(), labels.len());
    ensure!(labels.iter().all(|&label| usize::from(label) < CLASSES.len()), "{part}: a label is no digit");
    Ok((images, labels.into_iter().map(usize::from).collect()))
}

/// The held-out part, and the rest. Every digit is a track of its own.
fn training_digits(arguments: &Arguments) -> Result<(Vec<Sample>, Vec<Sample>)> {
    let (images, digits) = read_digits(&arguments.mnist, "train")?;
    let samples = images.iter().zip(digits).enumerate().map(|(index, (image, class))| Sample {
        image: rgb(image),
        class,
        key: format!("digit/{index:05}.png"),
    });
    Ok(samples.partition(|sample| is_held_out(&sample.key, HELD_OUT, arguments.seed)))
}

/// The grey image with three equal channels.
fn rgb(image: &GrayImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| image::Rgb([image.get_pixel(x, y).0[0]; 3]))
}

/// Trains the network and loads what was exported, as a robot would.
fn trained(arguments: &Arguments, training: &[Sample]) -> Result<Classifier> {
    let folder = tempfile::tempdir()?;
    plan(arguments).run(&image_set(training, &INPUT)?, folder.path())?;
    Ok(Classifier::load(folder.path(), &DeviceChoice::Cpu)?)
}

fn plan(arguments: &Arguments) -> Plan {
    let turns = (0..CLASSES.len()).map(|class| TURN_INTO_SOMETHING_ELSE.contains(&class)).collect();
    let Arguments { steps, members, decoys: per_step, decoy_weight: weight, seed, .. } = *arguments;
    let kinds = DecoyKind::STROKES.to_vec();
    let decoys = Decoys { kinds, per_step, weight, target: DecoyTarget::Undecided, turns };
    let augmentation = Augmentation {
        rotation_degrees: 10.0,
        scale: 0.1,
        shift: 0.06,
        shear: 0.08,
        distant: 0.0,
        resolution: 1.0,
        contrast: 0.0,
        brightness: 0.0,
        colour: 0.0,
        noise: 0.0,
    };
    Plan {
        name: "mnist".into(),
        classes: CLASSES.map(str::to_owned).to_vec(),
        decoy_class: false,
        architecture: Architecture { members, channels: CHANNELS },
        dropout: DROPOUT,
        input: INPUT,
        recipe: Recipe { steps, seed, augmentation, decoys: (per_step > 0).then_some(decoys), ..Recipe::default() },
        provenance: command(arguments),
        license: "Apache-2.0 (weights)".into(),
    }
}

/// The command that gives the same figures.
fn command(arguments: &Arguments) -> String {
    let Arguments { steps, members, decoys, decoy_weight, seed, .. } = arguments;
    format!(
        "cargo run --release --example {NAME} -- --mnist data/mnist --fashion data/fashion-mnist --steps {steps} \
         --members {members} --decoys {decoys} --decoy-weight {decoy_weight} --seed {seed}"
    )
}

fn with_spinner<T>(message: &'static str, work: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(200));
    if spinner.is_hidden() {
        println!("{message}");
    }
    let result = work();
    spinner.finish_and_clear();
    result
}

/// What network and monitor say about a set.
struct Judged<'a> {
    set: &'a TestSet,
    scored: ScoredSet,
    /// Number of images predicted to be of each class.
    predicted: [usize; CLASSES.len()],
    /// Number of images that a plain classifier would believe.
    believed: usize,
}

fn judge<'a>(classifier: &Classifier, monitor: &Monitor, set: &'a TestSet) -> Result<Judged<'a>> {
    let mut judged = Judged { set, scored: ScoredSet::default(), predicted: [0; CLASSES.len()], believed: 0 };
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {pos}/{len} judged, {eta} left, {msg}")?;
    let bar = ProgressBar::new(set.images.len() as u64).with_style(style).with_message(set.title);
    if bar.is_hidden() {
        println!("judging {} images: {}", set.images.len(), set.title);
    }
    for chunk in set.images.chunks(CHUNK) {
        let images: Vec<RgbImage> = chunk.iter().map(rgb).collect();
        let features = features(classifier, &images)?;
        let judgements = features.par_iter().map(|features| monitor.judge(features)).collect::<Result<Vec<_>, _>>()?;
        judgements.iter().zip(&features).for_each(|(judgement, features)| judged.push(judgement, features));
        bar.inc(chunk.len() as u64);
    }
    bar.finish();
    Ok(judged)
}

impl Judged<'_> {
    /// Adds what is said about the next image of the set.
    fn push(&mut self, judgement: &Judgement, features: &Features) {
        let index = self.scored.images().len();
        let image = ScoredImage {
            key: index.to_string(),
            class: self.set.digits.get(index).copied(),
            predicted: judgement.predicted_class,
        };
        self.scored.push(image, judgement.results().map(|result| (result.name, result.score, result.p_value)));
        self.predicted[judgement.predicted_class] += 1;
        self.believed += usize::from(features.softmax().iter().any(|&probability| probability >= BELIEVED));
    }

    fn share(&self, count: usize) -> f64 {
        count as f64 / self.scored.images().len().max(1) as f64
    }
}

/// All figures. Rates are in 0..1.
#[derive(Serialize)]
struct Report {
    command: String,
    training_images: usize,
    calibration_images: usize,
    seconds: Seconds,
    /// By name of the set.
    predictions: BTreeMap<&'static str, Predictions>,
    /// By name of the detector, on the clean test digits.
    false_alarms: BTreeMap<String, AlarmRates>,
    #[serde(flatten)]
    evaluation: EvaluationReport,
    /// Name and title of the sets that are not in distribution, in the order of the tables.
    #[serde(skip)]
    ood: Vec<(&'static str, &'static str)>,
}

/// How long it took, in seconds.
#[derive(Serialize)]
struct Seconds {
    training: f64,
    fitting: f64,
    judging: f64,
}

/// What the network took the images of a set for.
#[derive(Serialize)]
struct Predictions {
    #[serde(skip)]
    title: &'static str,
    images: usize,
    /// Share of the images by predicted class.
    classes: BTreeMap<&'static str, f64>,
    /// Share classified as the digit in the image (or beneath the triangle); `None` where there is no digit.
    correct: Option<f64>,
    /// Share whose largest softmax probability is 0.9 or more.
    believed: f64,
}

impl Seconds {
    fn new(training: Duration, fitting: Duration, judging: Duration) -> Self {
        let [training, fitting, judging] = [training, fitting, judging].map(|part| part.as_secs_f64().round());
        Self { training, fitting, judging }
    }
}

impl Report {
    /// The first set is the one in distribution.
    fn new(arguments: &Arguments, images: (usize, usize), seconds: Seconds, judged: &[Judged<'_>]) -> Self {
        let (known, ood) = (&judged[0].scored, &judged[1..]);
        let classes = CLASSES.map(str::to_owned);
        let unknown = ood.iter().map(|judged| (judged.set.name.to_owned(), judged.scored.clone())).collect();
        let alarms =
            known.detectors().iter().map(|(name, scores)| (name.clone(), AlarmRates::of_p_values(&scores.p_values)));
        Self {
            command: command(arguments),
            training_images: images.0,
            calibration_images: images.1,
            seconds,
            predictions: judged.iter().map(|judged| (judged.set.name, Predictions::new(judged))).collect(),
            false_alarms: alarms.collect(),
            evaluation: EvaluationReport::new(&classes, known, &unknown, None, Bootstrap::default()),
            ood: ood.iter().map(|judged| (judged.set.name, judged.set.title)).collect(),
        }
    }
}

impl Predictions {
    fn new(judged: &Judged<'_>) -> Self {
        let correct = judged.scored.correct().iter().filter(|&&correct| correct).count();
        Self {
            title: judged.set.title,
            images: judged.scored.images().len(),
            classes: CLASSES.into_iter().zip(judged.predicted.map(|count| judged.share(count))).collect(),
            correct: (!judged.set.digits.is_empty()).then(|| judged.share(correct)),
            believed: judged.share(judged.believed),
        }
    }
}

fn write_report(report: &Report, arguments: &Arguments) -> Result<()> {
    let tables = report.markdown();
    println!("\n{tables}");
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(report)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    arguments.markdown.as_ref().map_or(Ok(()), |path| replace_section(path, NAME, &tables))
}

impl Report {
    /// Tables for the results page. Rates in %.
    fn markdown(&self) -> String {
        let Seconds { training, fitting, judging } = self.seconds;
        format!(
            "## A triangle over a digit\n\n\
             A small network learns MNIST ({} training digits, {} for calibration) and is then shown digits with a triangle \
             drawn over them, triangles alone, and clothes. It never saw any of these before, and nothing was tuned on them. \
             All rates are in %.\n\n\
             What the network takes the images for; *right*: the digit in the image or beneath the triangle; *believed*: \
             softmax of {BELIEVED} or more, what would pass without a monitor (the network is \
             trained with decoys, which are meant to make it less sure of itself than a plain one).\n\n{}\n\
             How well each detector tells the images from clean test digits: AUROC / FPR95 / share alarmed at p ≤ 0.01.\n\n{}\n\
             False alarms on clean test digits at three nominal rates.\n\n{}\n\
             Training took {training:.0} s, fitting {fitting:.0} s, judging {judging:.0} s. Made by\n\n```text\n{}\n```\n",
            self.training_images,
            self.calibration_images,
            self.prediction_table(),
            self.detector_table(),
            self.false_alarm_table(),
            self.command.replace(" --steps", " \\\n    --steps"),
        )
    }

    fn prediction_table(&self) -> String {
        let header = ["set", "images"].into_iter().chain(CLASSES).chain(["right", "believed"]);
        let sets = ["digits"].into_iter().chain(self.ood.iter().map(|(name, _)| *name));
        let rows = sets.filter_map(|name| self.predictions.get(name)).map(|set| {
            let classes = CLASSES.iter().map(|class| percent(set.classes.get(class).copied()));
            let first = [set.title.to_owned(), set.images.to_string()].into_iter();
            first.chain(classes).chain([percent(set.correct), percent(Some(set.believed))]).collect()
        });
        table(header.map(str::to_owned).collect(), rows)
    }

    fn detector_table(&self) -> String {
        let header = ["detector"].into_iter().chain(self.ood.iter().map(|(_, title)| *title));
        let rows = self.detectors().map(|detector| {
            let figures = self.ood.iter().map(|(set, _)| self.figures(set, detector));
            [detector.to_owned()].into_iter().chain(figures).collect()
        });
        table(header.map(str::to_owned).collect(), rows)
    }

    /// AUROC, FPR95 and the share that is caught.
    fn figures(&self, set: &str, detector: &str) -> String {
        let found = self.evaluation.ood.get(set).and_then(|set| set.detectors.get(detector));
        let figure = |of: fn(&OodDetector) -> Option<f64>| percent(found.and_then(of));
        let (auroc, fpr95) = (figure(|found| found.auroc), figure(|found| found.fpr95));
        format!("{auroc} / {fpr95} / {}", figure(|found| found.alarm_rate.at_1_percent))
    }

    fn false_alarm_table(&self) -> String {
        let rows = self.detectors().filter_map(|name| {
            let alarms = self.false_alarms.get(name)?;
            let rates = [alarms.at_10_percent, alarms.at_1_percent, alarms.at_01_percent].map(percent);
            Some([name.to_owned()].into_iter().chain(rates).collect())
        });
        table(["detector", "at 10 %", "at 1 %", "at 0.1 %"].map(str::to_owned).to_vec(), rows)
    }

    /// All detectors by name, their fusion at the end.
    fn detectors(&self) -> impl Iterator<Item = &str> {
        let single = self.false_alarms.keys().map(String::as_str).filter(|name| *name != FUSED);
        single.chain([FUSED])
    }
}

/// A Markdown table; the first column is text, all others are numbers.
fn table(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let rule = ["---".to_owned()].into_iter().chain((1..header.len()).map(|_| "---:".to_owned())).collect();
    let lines = [header, rule].into_iter().chain(rows);
    lines.map(|cells: Vec<String>| format!("| {} |\n", cells.join(" | "))).collect()
}

fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.2}", 100.0 * share))
}

/// One sheet per set: two rows of its first images.
fn write_sheets(sets: &[TestSet], folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    sets.iter().try_for_each(|set| {
        let path = folder.join(format!("{}.png", set.name));
        sheet(&set.images).save(&path).with_context(|| format!("cannot write {}", path.display()))
    })
}

fn sheet(images: &[GrayImage]) -> GrayImage {
    const COLUMNS: usize = 10;
    const ROWS: usize = 2;
    const TILE_PX: u32 = 84;
    const STEP_PX: u32 = TILE_PX + 4;
    let mut sheet = GrayImage::from_pixel(STEP_PX * COLUMNS as u32, STEP_PX * ROWS as u32, Luma([128]));
    for (index, image) in images.iter().take(COLUMNS * ROWS).enumerate() {
        let tile = imageops::resize(image, TILE_PX, TILE_PX, imageops::FilterType::Nearest);
        let place = |at: usize| at as i64 * i64::from(STEP_PX) + 2;
        imageops::replace(&mut sheet, &tile, place(index % COLUMNS), place(index / COLUMNS));
    }
    sheet
}
