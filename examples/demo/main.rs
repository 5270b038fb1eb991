//! The demo: plays a drive past traffic signs to the real node over DDS and says what the node made of it.
//!
//! ```text
//! make demo
//! cargo run --release --example demo -- --bag path/to/bag     a drive of one's own, with the same topics
//! ```
//!
//! Without `--bag` the drive is drawn first. The node runs as a process of its own; this one plays the bag, listens to
//! `~/classification` and `~/ood`, prints one line per sign, and writes `summary.json` and, by the node's viewer, a
//! recording for rerun.

#[path = "../support/program.rs"]
mod program;

mod node;
mod player;
mod scoring;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use activation_monitor::scenario::{IMAGE_TOPIC, REGIONS_TOPIC, SynthesizeArgs, record};
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;

use self::player::Player;
use self::program::Program;
use self::scoring::Scores;

/// Play a drive to the node and score its answers.
#[derive(Parser, Debug)]
struct Arguments {
    /// Bag to play; without it the standard drive is drawn
    #[arg(long, value_name = "BAG")]
    bag: Option<PathBuf>,
    /// Seed of the drawn drive
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Length of the drawn drive in seconds
    #[arg(long, default_value_t = 40.0)]
    duration_secs: f32,
    /// How much faster than recorded the bag is played
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Topic of the images in the bag
    #[arg(long, default_value = IMAGE_TOPIC)]
    image_topic: String,
    /// What the image topic carries
    #[arg(long, value_enum, default_value_t = Transport::Compressed)]
    image_transport: Transport,
    /// Topic of the regions in the bag; empty: judge whole images
    #[arg(long, default_value = REGIONS_TOPIC)]
    regions_topic: String,
    /// Model folder
    #[arg(long, default_value = "models/traffic_signs")]
    model: PathBuf,
    /// Monitor file
    #[arg(long, default_value = "models/traffic_signs/traffic_signs.monitor")]
    monitor: PathBuf,
    /// Folder for summary, recording and drawn drive
    #[arg(long, default_value = "target/demo")]
    output: PathBuf,
}

/// Message type of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// `sensor_msgs/msg/Image`
    Raw,
    /// `sensor_msgs/msg/CompressedImage`
    Compressed,
}

/// Becomes true with Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))?;
    std::fs::create_dir_all(&arguments.output)
        .with_context(|| format!("cannot make the folder {}", arguments.output.display()))?;
    let bag = match &arguments.bag {
        Some(bag) => bag.clone(),
        None => draw(&arguments)?,
    };
    let recording = arguments.output.join("demo.rrd");
    remove_older(&recording)?;
    let mut node = node::start(&arguments, &recording)?;
    let scores = play(&bag, &arguments, &mut node);
    // Also after an error: the node must not outlive the demo.
    let ended = node.end();
    let scores = scores?;
    ended?;
    let summary = arguments.output.join("summary.json");
    scores.report(&summary)?;
    println!("summary    {}\nrecording  {1}  (look at it with `rerun {1}`)", summary.display(), recording.display());
    Ok(())
}

fn play(bag: &Path, arguments: &Arguments, node: &mut Program) -> Result<Scores> {
    let mut player = Player::open(bag, arguments)?;
    player.wait_for_node(node)?;
    println!("{}", scoring::HEADING);
    player.play(node)
}

/// Of the demo only the newest recording is wanted; the node itself overwrites none.
fn remove_older(recording: &Path) -> Result<()> {
    match std::fs::remove_file(recording) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", recording.display()))
        }
        _ => Ok(()),
    }
}

/// Draws the drive, unless the same one is there already.
fn draw(arguments: &Arguments) -> Result<PathBuf> {
    let Arguments { seed, duration_secs, output, .. } = arguments;
    let bag = output.join(format!("drive_seed_{seed}_{duration_secs}_s"));
    if bag.exists() {
        std::fs::remove_dir_all(&bag).with_context(|| format!("cannot replace {}", bag.display()))?;
    }
    let options = SynthesizeArgs { seed: *seed, duration_secs: *duration_secs, ..SynthesizeArgs::new(&bag) };
    println!("drawing a drive of {duration_secs} s (seed {seed}) ...");
    let drive = options.drive()?;
    let bar = ProgressBar::new(drive.frames() as u64);
    let drawn = record(&drive, &bag, |frames| {
        bar.set_position(frames as u64);
        !interrupted()
    });
    bar.finish_and_clear();
    let drawn = drawn?;
    println!("{} frames with {} signs, {} out of distribution", drawn.frames, drawn.regions, drawn.anomalous);
    Ok(bag)
}
