//! How well out-of-distribution detection works on traffic signs: the held-out-classes protocol on GTSRB.
//!
//! ```text
//! cargo run --release --example benchmark_gtsrb -- --data gtsrb/train --test gtsrb/test --cifar cifar10 \
//!     --fashion fashion-mnist --kitti kitti_drive
//! ```
//!
//! Ten classes are held out. For every seed a network is trained on the other 33 (whole tracks are kept apart for
//! calibration), a monitor is fitted, and then judged: test images of the known classes against those of the held-out
//! classes (near), and against CIFAR-10, Fashion-MNIST, background of KITTI frames and noise (far); then test images made
//! worse step by step. Every trained network and every finished seed is kept in `--work` and not computed again; delete the
//! seed's JSON file to judge its network anew.

#[path = "../support/mod.rs"]
mod support;

mod corrupted;
mod results;
mod sets;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use activation_monitor::calibration::Conditioning;
use activation_monitor::evaluation::{Bootstrap, EvaluationReport};
use activation_monitor::model::{Classifier, DeviceChoice};
use activation_monitor::scenario::CLASS_NAMES;
use activation_monitor::training::DecoyTarget;
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use results::SeedResult;
use support::features::{fit_monitor, scored};
use support::held_out::{self, HELD_OUT_CLASSES, INPUT, class_names, of_known_class};
use support::samples::{Sample, image_set, is_held_out, load_samples};
use support::train::Plan;

/// Share of the tracks of known classes that calibrates.
const CALIBRATION_SHARE: f64 = 0.15;
/// Official test images that are frames of training track 14/00023.
const TEST_IMAGES_SEEN_IN_TRAINING: [&str; 8] =
    ["02291", "04548", "03594", "09575", "00666", "11906", "03546", "09384"];

/// Measure out-of-distribution detection on GTSRB with held-out classes.
#[derive(Parser, Debug)]
struct Arguments {
    /// GTSRB training images: `DIR/<class>/<track>_<frame>.png`.
    #[arg(long)]
    data: PathBuf,
    /// GTSRB test images, one folder per class.
    #[arg(long)]
    test: PathBuf,
    /// Folder of CIFAR-10 test images.
    #[arg(long)]
    cifar: PathBuf,
    /// Folder with Fashion-MNIST's `t10k-images-idx3-ubyte.gz`.
    #[arg(long)]
    fashion: PathBuf,
    /// Folder of KITTI frames with `sign_boxes.csv`.
    #[arg(long)]
    kitti: PathBuf,
    /// Seeds of split, training and images.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// What the network learns about decoys.
    #[arg(long, value_enum, default_value_t = Variant::Undecided)]
    variant: Variant,
    /// Training steps of 128 images.
    #[arg(long, default_value_t = 3_000)]
    steps: usize,
    /// Where models, monitors and the results of every seed are kept.
    #[arg(long, default_value = "target/benchmark_gtsrb")]
    work: PathBuf,
    /// Write all results to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the tables into this Markdown file, in place of those that it has.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

/// What the network learns about decoys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Variant {
    /// To be undecided about them: outlier exposure.
    Undecided,
    /// That they are a class of their own.
    Class,
    /// Nothing: there are none.
    None,
}

impl Variant {
    const ALL: [Self; 3] = [Self::Undecided, Self::Class, Self::None];

    fn name(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Class => "class",
            Self::None => "none",
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.work)?;
    let missing: Vec<u64> = arguments
        .seeds
        .iter()
        .copied()
        .filter(|&seed| !result_file(&arguments, arguments.variant, seed).exists())
        .collect();
    if !missing.is_empty() {
        let data = Data::load(&arguments)?;
        for seed in missing {
            let result = data.measure(&arguments, seed)?;
            std::fs::write(
                result_file(&arguments, arguments.variant, seed),
                serde_json::to_string_pretty(&result)? + "\n",
            )?;
        }
    }
    report(&arguments)
}

/// Folder of the network of one run. Its results lie beside it, with the ending `json`.
fn run_folder(arguments: &Arguments, variant: Variant, seed: u64) -> PathBuf {
    arguments.work.join(format!("{}-{}-seed{seed}", variant.name(), arguments.steps))
}

fn result_file(arguments: &Arguments, variant: Variant, seed: u64) -> PathBuf {
    run_folder(arguments, variant, seed).with_extension("json")
}

/// The results that there are.
fn results(arguments: &Arguments, variant: Variant) -> Result<Vec<SeedResult>> {
    let files = arguments.seeds.iter().map(|&seed| result_file(arguments, variant, seed));
    let read = |file: PathBuf| Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?);
    files.filter(|file| file.exists()).map(read).collect()
}

/// All results that there are, of every variant.
fn report(arguments: &Arguments) -> Result<()> {
    let mut variants = BTreeMap::new();
    for variant in Variant::ALL {
        variants.insert(variant.name(), results(arguments, variant)?);
    }
    let text = table::markdown(&variants, Variant::Undecided.name(), arguments.steps);
    println!("{text}");
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&variants)? + "\n")?;
    }
    if let Some(path) = &arguments.markdown {
        support::markdown::replace_section(path, "benchmark_gtsrb", &text)?;
    }
    Ok(())
}

/// All images, read once.
struct Data {
    /// Training images of the known classes.
    known: Vec<Sample>,
    /// Test images of the known classes.
    test: Vec<Sample>,
    /// The other sets by name.
    unknown: BTreeMap<String, Vec<Sample>>,
}

impl Data {
    fn load(arguments: &Arguments) -> Result<Self> {
        let classes: Vec<String> = CLASS_NAMES.iter().map(ToString::to_string).collect();
        println!("reading images");
        let known = load_samples(&arguments.data, &classes)?.into_iter().filter_map(of_known_class).collect();
        let mut test = load_samples(&arguments.test, &classes)?;
        test.retain(|sample| {
            !TEST_IMAGES_SEEN_IN_TRAINING.iter().any(|name| sample.key.ends_with(&format!("/{name}.png")))
        });
        let near = test.iter().filter(|sample| HELD_OUT_CLASSES.contains(&sample.class)).cloned().collect();
        let unknown = BTreeMap::from([
            ("near".to_owned(), near),
            ("cifar10".to_owned(), sets::folder(&arguments.cifar)?),
            ("fashion_mnist".to_owned(), sets::fashion(&arguments.fashion)?),
            ("kitti".to_owned(), sets::kitti(&arguments.kitti)?),
            ("noise".to_owned(), sets::noise()),
        ]);
        Ok(Self { known, test: test.into_iter().filter_map(of_known_class).collect(), unknown })
    }

    fn measure(&self, arguments: &Arguments, seed: u64) -> Result<SeedResult> {
        let folder = run_folder(arguments, arguments.variant, seed);
        let (calibration, training): (Vec<&Sample>, Vec<&Sample>) =
            self.known.iter().partition(|sample| is_held_out(&sample.key, CALIBRATION_SHARE, seed));
        println!("seed {seed}: {} training and {} calibration images", training.len(), calibration.len());
        if !folder.join("model.json").exists() {
            plan(arguments, seed).run(&image_set(training.iter().copied(), &INPUT)?, &folder)?;
        }
        let classifier = Classifier::load(&folder, &DeviceChoice::Cpu)?;
        println!("fitting the monitor");
        let monitor = fit_monitor(&classifier, &training, &calibration, Conditioning::Track)?;
        monitor.save(&folder.join("benchmark.monitor"))?;
        println!("judging");
        let known = scored(&classifier, &monitor, &self.test, true)?;
        let mut unknown = BTreeMap::new();
        for (name, samples) in &self.unknown {
            unknown.insert(name.clone(), scored(&classifier, &monitor, samples, false)?);
        }
        let corrupted = corrupted::measure(&classifier, &monitor, &self.test, seed)?;
        let report =
            EvaluationReport::new(&classifier.manifest().classes, &known, &unknown, None, Bootstrap::default());
        let model_bytes = std::fs::metadata(folder.join("model.pt"))?.len();
        let forward_ms = forward_ms(&classifier, &folder)?;
        Ok(SeedResult { seed, model_bytes, forward_ms, report, corrupted })
    }
}

/// Median time of a forward pass for one image in milliseconds, on as many cores as libtorch uses.
fn forward_ms(classifier: &Classifier, folder: &Path) -> Result<f64> {
    let image = ndarray::Array4::from_elem((1, 3, INPUT.height, INPUT.width), 0.5);
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        classifier.forward(image.view()).with_context(|| folder.display().to_string())?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn plan(arguments: &Arguments, seed: u64) -> Plan {
    let decoys = match arguments.variant {
        Variant::Class => Some(DecoyTarget::Class(class_names().len())),
        Variant::Undecided => Some(DecoyTarget::Undecided),
        Variant::None => None,
    };
    held_out::plan("benchmark_gtsrb", arguments.steps, seed, decoys)
}
