//! Trains the shipped traffic-sign classifier on GTSRB and on drawn signs, and exports it as a model folder.
//!
//! ```text
//! cargo run --release --example train_traffic_signs -- --data gtsrb/train --test gtsrb/test \
//!     --output models/traffic_signs --split-output target/traffic_signs
//! ```
//!
//! GTSRB shows each physical sign on one *track* of 30 frames. Whole tracks are held out, never single frames: the
//! held-out part (`--split-output DIR/calibration`) is what `activation-monitor fit --calibration` wants.

use std::path::{Path, PathBuf};

use activation_monitor::dataset::{labelled_images, track_of};
use activation_monitor::frame::{self, Region};
use activation_monitor::model::{FORMAT_VERSION, InputSpec, Manifest};
use activation_monitor::scenario::{CLASS_NAMES, draw_training_sign};
use activation_monitor::training::{Decoys, ImageSet, Progress, Recipe, ResidualNetwork, accuracy, train};
use anyhow::{Context, Result, bail};
use clap::Parser;
use image::RgbImage;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tch::{Device, nn};

/// Side length in pixels at which drawn signs are made.
const DRAWN_SIZE_PX: u32 = 48;

/// Signs that a turn leaves as they are or makes another sign of: discs, diamonds, rings, a bar, and the two arrows of keep
/// right and keep left.
const TURN_INTO_A_SIGN: [usize; 7] = [12, 15, 17, 32, 38, 39, 40];

/// Train the shipped traffic-sign classifier.
#[derive(Parser, Debug)]
struct Arguments {
    /// GTSRB training images: `DIR/<class>/<track>_<frame>.png`.
    #[arg(long)]
    data: PathBuf,
    /// Test images, only to report the accuracy at the end.
    #[arg(long)]
    test: Option<PathBuf>,
    /// Model folder to write.
    #[arg(long)]
    output: PathBuf,
    /// Folder for the images as they were split: `training/<class>/` and `calibration/<class>/`.
    #[arg(long)]
    split_output: Option<PathBuf>,
    /// Drawn signs per class; a share like that of the tracks is held out.
    #[arg(long, default_value_t = 150)]
    drawn: usize,
    /// Share of the tracks of each class that is held out.
    #[arg(long, default_value_t = 0.15)]
    held_out: f64,
    /// Dropout rate in front of the head.
    #[arg(long, default_value_t = 0.3)]
    dropout: f64,
    /// Side length of the network's input in pixels.
    #[arg(long, default_value_t = 32)]
    input_px: usize,
    /// Training steps of 128 images.
    #[arg(long, default_value_t = 4_000)]
    steps: usize,
    /// Decoys per step of 128 images: training images on which the sign cannot be read any more, so that the network
    /// learns to be undecided; 0 for none.
    #[arg(long, default_value_t = 48)]
    decoys: i64,
    /// Weight of the decoys' loss.
    #[arg(long, default_value_t = 0.3)]
    decoy_weight: f64,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// One training image: where it comes from and what it shows.
struct Sample {
    image: RgbImage,
    class: usize,
    name: String,
    held_out: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tch::manual_seed(arguments.seed as i64);
    let input = InputSpec { width: arguments.input_px, height: arguments.input_px, region_margin: 0.1 };

    let samples = load_samples(&arguments)?;
    if let Some(folder) = &arguments.split_output {
        write_split(&samples, folder)?;
    }
    let training = image_set(samples.iter().filter(|sample| !sample.held_out), &input)?;
    let held_out = image_set(samples.iter().filter(|sample| sample.held_out), &input)?;
    drop(samples);
    println!("{} training images, {} held out", training.len(), held_out.len());

    let mut store = nn::VarStore::new(Device::Cpu);
    let network = ResidualNetwork::new(&store.root(), CLASS_NAMES.len(), arguments.dropout);
    let recipe =
        Recipe { steps: arguments.steps, seed: arguments.seed, decoys: decoys(&arguments), ..Recipe::default() };
    run_training(&network, &store, &training, &recipe)?;
    store.freeze();

    println!("accuracy on held-out tracks and drawn signs: {:.4}", accuracy(&network, &held_out));
    if let Some(test) = &arguments.test {
        let images = image_set(load_folder(test, 0.0, arguments.seed)?.iter(), &input)?;
        println!("accuracy on {} test images: {:.4}", images.len(), accuracy(&network, &images));
    }
    export(&network, &arguments, input)
}

fn decoys(arguments: &Arguments) -> Option<Decoys> {
    let turns = (0..CLASS_NAMES.len()).map(|class| !TURN_INTO_A_SIGN.contains(&class)).collect();
    let Arguments { decoys: per_step, decoy_weight: weight, .. } = *arguments;
    (per_step > 0).then_some(Decoys { per_step, weight, turns })
}

fn load_samples(arguments: &Arguments) -> Result<Vec<Sample>> {
    let mut samples = load_folder(&arguments.data, arguments.held_out, arguments.seed)?;
    let held_out = (arguments.drawn as f64 * arguments.held_out).round() as usize;
    let jobs: Vec<(usize, usize)> =
        (0..CLASS_NAMES.len()).flat_map(|class| (0..arguments.drawn).map(move |number| (class, number))).collect();
    let drawn: Vec<Sample> = jobs
        .into_par_iter()
        .map(|(class, number)| Sample {
            image: draw_training_sign(class, arguments.seed * 1_000_000 + number as u64, DRAWN_SIZE_PX),
            class,
            name: format!("drawn-{number:05}_00000"),
            held_out: number < held_out,
        })
        .collect();
    samples.extend(drawn);
    Ok(samples)
}

fn load_folder(folder: &Path, held_out: f64, seed: u64) -> Result<Vec<Sample>> {
    let classes: Vec<String> = CLASS_NAMES.iter().map(ToString::to_string).collect();
    labelled_images(folder, &classes)?
        .par_iter()
        .map(|entry| {
            let path = &entry.file.path;
            let image = image::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let held_out = share(&format!("{seed}/{}", track_of(&entry.file.key))) < held_out;
            Ok(Sample { image: image.into_rgb8(), class: entry.class, name, held_out })
        })
        .collect()
}

/// A number in 0..1 that depends on `text` alone.
fn share(text: &str) -> f64 {
    let digest = Sha256::digest(text.as_bytes());
    let bytes: [u8; 4] = [digest[0], digest[1], digest[2], digest[3]];
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

fn image_set<'a>(samples: impl Iterator<Item = &'a Sample>, input: &InputSpec) -> Result<ImageSet> {
    let mut set = ImageSet::new(input.height, input.width);
    for sample in samples {
        set.push(frame::cut(&sample.image, Region::WHOLE, input)?.view(), sample.class);
    }
    if set.is_empty() {
        bail!("no images: is --data the folder with one sub-folder per class?");
    }
    Ok(set)
}

fn write_split(samples: &[Sample], folder: &Path) -> Result<()> {
    for part in ["training", "calibration"] {
        for class in 0..CLASS_NAMES.len() {
            std::fs::create_dir_all(folder.join(part).join(format!("{class:05}")))?;
        }
    }
    samples.par_iter().try_for_each(|sample| {
        let part = if sample.held_out { "calibration" } else { "training" };
        let path = folder.join(part).join(format!("{:05}", sample.class)).join(format!("{}.png", sample.name));
        sample.image.save(&path).with_context(|| format!("cannot write {}", path.display()))
    })
}

fn run_training(network: &ResidualNetwork, store: &nn::VarStore, images: &ImageSet, recipe: &Recipe) -> Result<()> {
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {pos}/{len} steps, {eta} left, {msg}")?;
    let bar = ProgressBar::new(recipe.steps as u64).with_style(style);
    let mut average = f64::NAN;
    train(network, store, images, recipe, |Progress { step, loss }| {
        average = if average.is_nan() { loss } else { 0.98 * average + 0.02 * loss };
        bar.set_position(step as u64);
        bar.set_message(format!("loss {average:.3}"));
        if bar.is_hidden() && step % 100 == 0 {
            println!("step {step}/{}, loss {average:.3}", recipe.steps);
        }
        average.is_finite()
    })?;
    bar.finish();
    if !average.is_finite() {
        bail!("the training diverged: lower the learning rate");
    }
    Ok(())
}

fn export(network: &ResidualNetwork, arguments: &Arguments, input: InputSpec) -> Result<()> {
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: "traffic_signs".into(),
        classes: CLASS_NAMES.iter().map(ToString::to_string).collect(),
        input,
        layers: network.layers(),
        penultimate: ResidualNetwork::PENULTIMATE.into(),
        head: Some(network.head_spec()),
        decoy_class: None,
        provenance: format!(
            "examples/train_traffic_signs.rs --steps {} --drawn {} --held-out {} --dropout {} --input-px {} --decoys {} \
             --decoy-weight {} --seed {} on the GTSRB training set (Stallkamp et al. 2012) and drawn signs",
            arguments.steps,
            arguments.drawn,
            arguments.held_out,
            arguments.dropout,
            arguments.input_px,
            arguments.decoys,
            arguments.decoy_weight,
            arguments.seed
        ),
        license: "Apache-2.0 (weights); GTSRB images carry no licence text, see MODEL_CARD.md".into(),
    };
    std::fs::create_dir_all(&arguments.output)?;
    network.export("TrafficSignNet").save(&arguments.output.join("model.pt"))?;
    std::fs::write(arguments.output.join("model.json"), serde_json::to_string_pretty(&manifest)? + "\n")?;
    println!("wrote {}", arguments.output.display());
    Ok(())
}
