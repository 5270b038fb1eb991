//! Verdicts over time, measured: objects against single views, a camera's alarms against what is promised, delays.
//!
//! ```text
//! cargo run --release --example benchmark_stream -- --data gtsrb/train --markdown docs/results.md
//! ```
//!
//! **Objects**: ten classes of GTSRB are held out. For every seed a network is trained on some tracks of the other 33, a monitor
//! is fitted and calibrated on further ones, and what remains is judged: tracks of the known classes against those of the
//! held-out ones, view by view and as objects. **Streams**: the p-values of the known tracks that were not used for calibration, put
//! together in several ways, show how often a camera alarms by chance. **Drives**: the shipped monitor on drawn drives on which
//! something begins and stays. Networks are kept in `--work` and not trained again.

#[path = "../support/mod.rs"]
mod support;

mod drives;
mod objects;
mod simulation;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Measure verdicts over time.
#[derive(Parser, Debug)]
struct Arguments {
    /// GTSRB training images: `DIR/<class>/<track>_<frame>.png`.
    #[arg(long)]
    data: PathBuf,
    /// Seeds of split and training.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// Training steps of 128 images.
    #[arg(long, default_value_t = 1_000)]
    steps: usize,
    /// Seeds of the drawn drives.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5")]
    drives: Vec<u64>,
    /// Model folder for the drives.
    #[arg(long, default_value = "models/traffic_signs")]
    model: PathBuf,
    /// Monitor file for the drives.
    #[arg(long, default_value = "models/traffic_signs/traffic_signs.monitor")]
    monitor: PathBuf,
    /// Where models and judged tracks are kept.
    #[arg(long, default_value = "target/benchmark_stream")]
    work: PathBuf,
    /// Write the tables into this Markdown file, in place of those that it has.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.work)?;
    let judged = objects::judged(&arguments)?;
    let drives = drives::measure(&arguments)?;
    let text = format!(
        "## Verdicts over time\n\n```sh\ncargo run --release --example benchmark_stream -- --data gtsrb/train --steps {} \\\n    --markdown \
         docs/results.md\n```\n\n{}\n{}\n{}",
        arguments.steps,
        objects::table(&judged),
        simulation::table(&judged)?,
        drives
    );
    println!("{text}");
    if let Some(path) = &arguments.markdown {
        support::markdown::replace_section(path, "benchmark_stream", &text)?;
    }
    Ok(())
}
