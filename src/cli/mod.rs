//! The command line. One file per command; what they share lies beside them.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a condition of `replay --fail-on` holds.

mod bags;
mod calibrate;
mod classify;
mod evaluate;
mod features;
mod fit;
mod hold_out;
mod inspect;
mod interrupt;
mod merge;
mod model;
mod output;
mod progress;
mod replay;
mod shard;
mod synthesize;
mod triage;
mod visualize;

use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::scenario::SynthesizeArgs;

/// A condition of `--fail-on` holds.
const EXIT_CODE_GATE: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  activation-monitor fit --model models/signs --data signs/train \\
      --output signs.monitor
  activation-monitor calibrate --model models/signs --monitor signs.monitor \\
      --nominal drives --output robot.monitor
  activation-monitor evaluate --model models/signs --monitor signs.monitor \\
      --in-distribution signs/test --ood animals=animals
  activation-monitor classify --model models/signs --monitor signs.monitor \\
      photo.jpg
  activation-monitor synthesize --output drive
  activation-monitor replay --model models/signs --monitor signs.monitor drive
  activation-monitor triage events --output triage
  activation-monitor visualize --model models/signs --monitor signs.monitor \\
      --output layers.png photo.jpg

A model is a folder with model.pt and model.json. Every command has --help.";

/// Classifies images and says how far each one lies outside of what the network learnt.
#[derive(Debug, Parser)]
#[command(name = "activation-monitor", version, after_help = EXAMPLES, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more: -v informs, -vv debugs. RUST_LOG, where set, wins
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fit(fit::Fit),
    Merge(merge::Merge),
    Calibrate(calibrate::Calibrate),
    Evaluate(evaluate::Evaluate),
    Classify(classify::Classify),
    Inspect(inspect::Inspect),
    Synthesize(SynthesizeArgs),
    Replay(Box<replay::Replay>),
    Triage(triage::Triage),
    Visualize(visualize::Visualize),
}

impl Command {
    fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Fit(command) => command.run(),
            Self::Merge(command) => command.run(),
            Self::Calibrate(command) => command.run(),
            Self::Evaluate(command) => command.run(),
            Self::Classify(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Synthesize(options) => synthesize::run(options),
            Self::Replay(command) => command.run(),
            Self::Triage(command) => command.run(),
            Self::Visualize(command) => command.run(),
        }
    }
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.verbose);
    crate::memory::keep_freed();
    match interrupt::listen().and_then(|()| cli.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<replay::GateFailed>() {
            Some(failed) => {
                eprintln!("{failed}");
                ExitCode::from(EXIT_CODE_GATE)
            }
            None => {
                eprintln!("error: {}", message(&error));
                ExitCode::FAILURE
            }
        },
    }
}

/// How many threads may run at a time.
fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Reads a number of seconds.
fn seconds(text: &str) -> Result<f64, String> {
    let secs = text.parse::<f64>().ok().filter(|secs| (0.0..1e6).contains(secs));
    secs.ok_or_else(|| format!("`{text}` is no number of seconds from 0 to a million"))
}

fn start_log(verbose: u8) {
    let level = ["warn", "info", "debug"][usize::from(verbose.min(2))];
    // Libraries say more than a user wants to know.
    let filter = format!("error,{}={level}", env!("CARGO_CRATE_NAME"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

/// The error and its causes in one line. Causes that the error quotes already are left out.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn causes_are_named_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read it: {source}")]
        struct Quoting {
            source: std::io::Error,
        }
        let error = Quoting { source: std::io::Error::other("disk on fire") };
        let error = Err::<(), _>(error).context("fit stopped").unwrap_err();
        assert_eq!(message(&error), "fit stopped: cannot read it: disk on fire");
    }
}
