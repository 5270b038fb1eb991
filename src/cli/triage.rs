//! `triage`: what a fleet did not know.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{bags, interrupt, output, progress};
use crate::triage::{Collection, TriagePage, csv, groups, read_event};

const EXAMPLES: &str = "\
Example:
  activation-monitor triage robots/*/events --output triage

Reads events that the node's black box recorded, or any rosbag2 recording
with its ~/ood topic and the images; a folder of events stands for all of them.
DIR/index.html shows the regions that were called out of distribution, those of
the same cause and nearest class in one row, the least strange ones first: they
are what to label next. DIR/triage.csv has one row per region. Of an event that
was cut off, everything up to there counts.";

/// Group what recorded events show that the network did not know, for labelling
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Triage {
    /// Events: rosbag2 folders, .mcap or .db3 files, or folders of them
    #[arg(required = true, value_name = "EVENTS")]
    events: Vec<PathBuf>,
    /// Folder for index.html and triage.csv; made where it does not exist
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Take regions that were called suspect, too
    #[arg(long)]
    suspects: bool,
}

/// What was read.
#[derive(Default)]
struct Found {
    collection: Collection,
    /// Events that could be read.
    events: usize,
    /// Events that were left out, and parts of others, with their reasons.
    warnings: Vec<String>,
    skipped: usize,
}

impl Triage {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        output::check_folder(&self.output)?;
        let paths = bags::named_by(&self.events)?;
        let found = self.read(&paths)?;
        for warning in &found.warnings {
            eprintln!("warning: {warning}");
        }
        if found.skipped > 0 {
            eprintln!("warning: {} of {} events were left out", found.skipped, paths.len());
        }
        anyhow::ensure!(found.events > 0, "none of {} events could be read", paths.len());
        let sightings = found.collection.sightings();
        let groups = groups(sightings);
        let page = TriagePage { groups: &groups, events: found.events, notes: &found.warnings };
        output::write_into(&self.output, "index.html", &page.html().context("a crop cannot be encoded")?)?;
        output::write_into(&self.output, "triage.csv", &csv(sightings, &groups))?;
        let (regions, groups) = (sightings.len(), groups.len());
        eprintln!("{regions} regions of {} events in {groups} groups", found.events);
        Ok(())
    }

    fn read(&self, paths: &[PathBuf]) -> anyhow::Result<Found> {
        let bar = progress::bar(paths.len() as u64, "reading {wide_bar} {pos}/{len} events, {eta} left");
        let mut found = Found::default();
        for path in paths {
            interrupt::check()?;
            let name = path.display().to_string();
            match read_event(path, &name, self.suspects) {
                Ok(reading) => {
                    found.events += 1;
                    found.warnings.extend(reading.notes.iter().map(|note| format!("{name}: {note}")));
                    found.collection.add(reading);
                }
                Err(error) => {
                    found.skipped += 1;
                    let text = super::message(&error.into());
                    found.warnings.push(if text.starts_with(&name) { text } else { format!("{name}: {text}") });
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(found)
    }
}
