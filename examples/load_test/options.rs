//! What is published, to whom, and for how long.

use std::path::PathBuf;

use clap::{Args, Parser};
use serde::Serialize;

use super::footage::Encoding;

const EXAMPLES: &str = "\
Examples:
  tools/load_test                                            1280×720 rgb8 at 30 Hz
  tools/load_test --suite --soak --peer --json figures.json  the table of docs/performance.md
  tools/load_test --soak                                     ten minutes of four cameras: does the memory grow?
  tools/load_test --peer                                     against a Python node on the same images
  tools/load_test --recorder                                 what recording costs
  tools/load_test --width 1920 --height 1080 --encoding bgr8 --rate-hz 60
  tools/load_test --regions 8 --node-args '-p device:=cpu'
  tools/load_test --publish-only --topic /camera/image_raw   a camera for any node";

/// Publish drawn camera images to the real monitor_node and measure its answers.
#[derive(Parser, Debug, Clone)]
#[command(name = "load_test", after_help = EXAMPLES, max_term_width = 120)]
pub struct Options {
    /// What is published.
    #[command(flatten)]
    pub scenario: Scenario,
    /// How long is measured.
    #[command(flatten)]
    pub timing: Timing,
    /// The node to load.
    #[command(flatten)]
    pub subjects: Subjects,
    /// Measure 720p, 1080p and four cameras, whatever --width, --height, --rate-hz and --cameras say
    #[arg(long, conflicts_with = "publish_only")]
    pub suite: bool,
    /// Measure four cameras for ten minutes; alone or with --suite
    #[arg(long, conflicts_with = "publish_only")]
    pub soak: bool,
    /// Measure tools/peer_node.py (Python, PyTorch, pytorch-ood) on the same images, too
    #[arg(long, conflicts_with = "publish_only")]
    pub peer: bool,
    /// Measure the node on JPEG images at 10 Hz, without and with recording (record:=alarms)
    #[arg(long, conflicts_with_all = ["publish_only", "suite", "soak", "peer"])]
    pub recorder: bool,
    /// Only publish, as a camera; ends with Ctrl-C
    #[arg(long)]
    pub publish_only: bool,
    /// Topic of the images of --publish-only; with several cameras it is followed by _0, _1, …
    #[arg(long, default_value = "/camera/image_raw", requires = "publish_only")]
    pub topic: String,
    /// Write the figures as JSON to FILE, or to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,
    /// Put the figures as a table between the markers `load_test begin` and `load_test end` of a document
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// Cameras and what they deliver.
#[derive(Args, Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scenario {
    /// Width of the images in pixels
    #[arg(long, default_value_t = 1280, value_parser = clap::value_parser!(u32).range(160..=4096))]
    pub width: u32,
    /// Height of the images in pixels
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(120..=4096))]
    pub height: u32,
    /// Images per second of every camera
    #[arg(long, default_value_t = 30.0, value_parser = rate)]
    pub rate_hz: f64,
    /// Number of cameras
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub cameras: u32,
    /// Encoding of raw images
    #[arg(long, value_enum, default_value_t = Encoding::Rgb8)]
    pub encoding: Encoding,
    /// Publish JPEG (sensor_msgs/CompressedImage) instead of raw images
    #[arg(long)]
    pub compressed: bool,
    /// Regions per image; 0: the whole image is judged
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub regions: u32,
    /// Let the cameras take turns instead of publishing at the same moment
    #[arg(long)]
    pub stagger: bool,
    /// Publish and subscribe to the images reliably instead of best effort
    #[arg(long)]
    pub reliable: bool,
    /// Different images that are drawn before the start and then repeated
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub frames: u32,
}

/// Length of a measurement.
#[derive(Args, Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Measured time of one repetition in seconds [default: 20]
    #[arg(long, value_parser = seconds)]
    pub duration_secs: Option<f64>,
    /// Measured time of --soak in seconds
    #[arg(long, default_value_t = 600.0, value_parser = seconds)]
    pub soak_secs: f64,
    /// Time in seconds that is published but not measured
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub warmup_secs: f64,
    /// Repetitions; those of several rows take turns [default: 1, with --suite, --peer and --recorder 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repetitions: Option<u32>,
}

/// Programs that are measured.
#[derive(Args, Debug, Clone)]
pub struct Subjects {
    /// Executable of the node [default: monitor_node beside this program]
    #[arg(long)]
    pub node: Option<PathBuf>,
    /// Model folder
    #[arg(long, default_value = "models/traffic_signs")]
    pub model: PathBuf,
    /// Monitor file; an empty text: none
    #[arg(long, default_value = "models/traffic_signs/traffic_signs.monitor")]
    pub monitor: PathBuf,
    /// Further ROS arguments of the node, separated by blanks
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    pub node_args: String,
    /// Python with torch, pytorch-ood and rclpy for --peer; tools/load_test makes one
    #[arg(long, default_value = "python3")]
    pub peer_python: PathBuf,
}

impl Scenario {
    /// Names of the cameras.
    pub fn camera_names(&self) -> Vec<String> {
        (0..self.cameras).map(|index| format!("camera_{index}")).collect()
    }

    /// In words, for a table.
    pub fn title(&self) -> String {
        let Self { width, height, rate_hz, cameras, regions, .. } = self;
        let cameras = if *cameras == 1 { String::new() } else { format!("{cameras} cameras ") };
        let kind = if self.compressed { "jpeg" } else { self.encoding.ros_name() };
        let regions = if *regions == 0 { String::new() } else { format!(", {regions} regions") };
        format!("{cameras}{width}×{height} {kind} at {rate_hz} Hz{regions}")
    }
}

fn rate(text: &str) -> Result<f64, String> {
    within(text, 0.1, 1000.0)
}

fn seconds(text: &str) -> Result<f64, String> {
    within(text, 0.1, 86_400.0)
}

fn within(text: &str, low: f64, high: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("expected a number, found {text}"))?;
    if (low..=high).contains(&number) { Ok(number) } else { Err(format!("expected {low} to {high}, found {number}")) }
}
