//! `synthesize`: a drawn drive past traffic signs, the usual one or that of a scenario.

use super::{interrupt, progress};
use crate::scenario::{SynthesizeArgs, SynthesizeSummary, record};

/// Draws and records the drive, with a progress bar on a terminal.
pub(super) fn run(options: &SynthesizeArgs) -> anyhow::Result<()> {
    let drive = options.drive()?;
    let output = options.output_of(&drive);
    let bar = progress::bar(drive.frames() as u64, "drawing {wide_bar} {pos}/{len} frames, {eta} left");
    let recorded = record(&drive, &output, |frames| {
        bar.set_position(frames as u64);
        !interrupt::is_set()
    });
    bar.finish_and_clear();
    let SynthesizeSummary { frames, regions, anomalous } = recorded?;
    let bag = output.display();
    eprintln!("wrote {bag}: {frames} frames with {regions} signs, {anomalous} of them out of distribution");
    Ok(())
}
