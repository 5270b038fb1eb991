//! `merge`: a monitor from shards.

use std::path::PathBuf;

use clap::Args;

use super::{fit, output};
use crate::monitor::{Monitor, Shard};

const EXAMPLES: &str = "\
Example, which makes the same monitor as a single `fit`:
  activation-monitor fit --model models/signs --data signs/train \\
      --shard 1/2 --output part1.shard
  activation-monitor fit --model models/signs --data signs/train \\
      --shard 2/2 --output part2.shard
  activation-monitor merge part1.shard part2.shard --output signs.monitor";

/// Make a monitor from the shards that `fit --shard` wrote
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Merge {
    /// All shards of one fit, in any order
    #[arg(required = true, value_name = "FILE")]
    shards: Vec<PathBuf>,
    /// Monitor file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

impl Merge {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        output::check_place(&self.output)?;
        let shards = self.shards.iter().map(|path| Shard::open(path)).collect::<Result<Vec<_>, _>>()?;
        fit::finish(&Monitor::merge(shards)?, &self.output)
    }
}
