//! `synthesize`: a drawn drive past traffic signs, the usual one or that of a scenario.

use std::path::Path;

use super::{interrupt, progress};
use crate::scenario::{Drive, SynthesizeArgs, SynthesizeError, SynthesizeSummary, record};

/// Draws and records the drive, with a progress bar on a terminal.
pub(super) fn run(options: &SynthesizeArgs) -> anyhow::Result<()> {
    let drive = options.drive()?;
    let output = options.output_of(&drive);
    let SynthesizeSummary { frames, regions, anomalous } = draw(&drive, &output, "drawing")?;
    let bag = output.display();
    eprintln!("wrote {bag}: {frames} frames with {regions} signs, {anomalous} of them out of distribution");
    Ok(())
}

/// Draws a drive into a new folder, until the user interrupts it; `title` stands before the progress bar.
pub(super) fn draw(drive: &Drive, output: &Path, title: &str) -> Result<SynthesizeSummary, SynthesizeError> {
    let bar = progress::bar(drive.frames() as u64, "{prefix} {wide_bar} {pos}/{len} frames, {eta} left");
    let bar = bar.with_prefix(title.to_owned());
    let drawn = record(drive, output, |frames| {
        bar.set_position(frames as u64);
        !interrupt::is_set()
    });
    bar.finish_and_clear();
    drawn
}
