//! Trains the shipped traffic-sign classifier on GTSRB and on drawn signs, and exports it as a model folder.
//!
//! ```text
//! cargo run --release --example train_traffic_signs -- --data gtsrb/train --test gtsrb/test \
//!     --output models/traffic_signs --split-output target/traffic_signs
//! ```
//!
//! GTSRB shows each physical sign on one *track* of 30 frames. Whole tracks are held out, never single frames: the
//! held-out part (`--split-output DIR/calibration`) is what `activation-monitor fit --calibration` wants.

mod support;

use std::path::{Path, PathBuf};

use activation_monitor::model::InputSpec;
use activation_monitor::scenario::{CLASS_NAMES, TURN_INTO_A_SIGN, draw_training_sign};
use activation_monitor::training::{Architecture, DecoyTarget, Decoys, Recipe, accuracy};
use anyhow::{Context, Result};
use clap::Parser;
use rayon::prelude::*;

use support::samples::{Sample, image_set, is_held_out, load_samples};
use support::train::Plan;

/// Side length in pixels at which drawn signs are made.
const DRAWN_SIZE_PX: u32 = 48;

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
    #[arg(long, default_value_t = 40)]
    input_px: usize,
    /// Training steps of 128 images.
    #[arg(long, default_value_t = 3_500)]
    steps: usize,
    /// Decoys per step of 128 images: training images made into something that is none of the classes; 0 for none.
    #[arg(long, default_value_t = Decoys::default().per_step)]
    decoys: i64,
    /// Weight of the decoys' loss.
    #[arg(long, default_value_t = Decoys::default().weight)]
    decoy_weight: f64,
    /// Give the decoys a class of their own; otherwise the network learns to be undecided about them.
    #[arg(long)]
    decoy: bool,
    /// Networks in the ensemble.
    #[arg(long, default_value_t = Architecture::default().members)]
    members: usize,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let input = InputSpec { width: arguments.input_px, height: arguments.input_px, region_margin: 0.1 };
    let (held_out, training): (Vec<Sample>, Vec<Sample>) =
        all_samples(&arguments)?.into_iter().partition(|sample| sample.is_held_out(&arguments));
    if let Some(folder) = &arguments.split_output {
        write_split(&training, &folder.join("training"))?;
        write_split(&held_out, &folder.join("calibration"))?;
    }
    let (training, held_out) = (image_set(&training, &input)?, image_set(&held_out, &input)?);
    println!("{} training images, {} held out", training.len(), held_out.len());
    let network = plan(&arguments, input).run(&training, &arguments.output)?;
    println!("accuracy on held-out tracks and drawn signs: {:.4}", accuracy(&network, &held_out));
    if let Some(test) = &arguments.test {
        let images = image_set(&load_samples(test, &classes())?, &input)?;
        println!("accuracy on {} test images: {:.4}", images.len(), accuracy(&network, &images));
    }
    Ok(())
}

fn classes() -> Vec<String> {
    CLASS_NAMES.iter().map(ToString::to_string).collect()
}

fn plan(arguments: &Arguments, input: InputSpec) -> Plan {
    let Arguments { steps, drawn, held_out, dropout, input_px, decoys, decoy_weight, members, seed, decoy, .. } =
        arguments;
    let recipe = Recipe { steps: *steps, seed: *seed, decoys: decoy_recipe(arguments), ..Recipe::default() };
    Plan {
        name: "traffic_signs".into(),
        classes: classes(),
        decoy_class: *decoy,
        architecture: Architecture { members: *members, ..Architecture::default() },
        dropout: *dropout,
        input,
        recipe,
        provenance: format!(
            "examples/train_traffic_signs.rs --steps {steps} --drawn {drawn} --held-out {held_out} --dropout {dropout} \
             --input-px {input_px} --members {members} --decoys {decoys} --decoy-weight {decoy_weight}{} --seed {seed} on \
             the GTSRB training set (Stallkamp et al. 2012) and drawn signs",
            if *decoy { " --decoy" } else { "" }
        ),
        license: "Apache-2.0 (weights); GTSRB images carry no licence text, see MODEL_CARD.md".into(),
    }
}

fn decoy_recipe(arguments: &Arguments) -> Option<Decoys> {
    let turns = (0..CLASS_NAMES.len()).map(|class| !TURN_INTO_A_SIGN.contains(&class)).collect();
    let target = if arguments.decoy { DecoyTarget::Class(CLASS_NAMES.len()) } else { DecoyTarget::Undecided };
    let Arguments { decoys: per_step, decoy_weight: weight, .. } = *arguments;
    (per_step > 0).then_some(Decoys { per_step, weight, target, turns, ..Decoys::default() })
}

/// The images of the data folder and the drawn signs.
fn all_samples(arguments: &Arguments) -> Result<Vec<Sample>> {
    let mut samples = load_samples(&arguments.data, &classes())?;
    let jobs: Vec<(usize, usize)> =
        (0..CLASS_NAMES.len()).flat_map(|class| (0..arguments.drawn).map(move |number| (class, number))).collect();
    let drawn = jobs.into_par_iter().map(|(class, number)| Sample {
        image: draw_training_sign(class, arguments.seed * 1_000_000 + number as u64, DRAWN_SIZE_PX),
        class,
        key: format!("{class:05}/{DRAWN}{number:05}_00000.png"),
    });
    samples.par_extend(drawn);
    Ok(samples)
}

/// Begins the name of every drawn sign.
const DRAWN: &str = "drawn-";

impl Sample {
    /// Of the drawn signs of every class the first are held out, of the others whole tracks by their hash.
    fn is_held_out(&self, arguments: &Arguments) -> bool {
        let drawn = self.key.split_once(DRAWN).and_then(|(_, rest)| rest.split_once('_')?.0.parse::<usize>().ok());
        match drawn {
            Some(number) => number < (arguments.drawn as f64 * arguments.held_out).round() as usize,
            None => is_held_out(&self.key, arguments.held_out, arguments.seed),
        }
    }
}

/// Writes the images as `FOLDER/<class>/<name>.png`.
fn write_split(samples: &[Sample], folder: &Path) -> Result<()> {
    for class in 0..CLASS_NAMES.len() {
        std::fs::create_dir_all(folder.join(format!("{class:05}")))?;
    }
    samples.par_iter().try_for_each(|sample| {
        let name = Path::new(&sample.key).file_stem().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!("{:05}", sample.class)).join(format!("{name}.png"));
        sample.image.save(&path).with_context(|| format!("cannot write {}", path.display()))
    })
}
