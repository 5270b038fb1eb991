//! `synthesize`: a drawn drive past traffic signs.

use super::{interrupt, progress};
use crate::scenario::{SynthesizeArgs, SynthesizeSummary, synthesize};

/// Draws and records the drive, with a progress bar on a terminal.
pub(super) fn run(options: &SynthesizeArgs) -> anyhow::Result<()> {
    let bar = progress::bar(options.frames() as u64, "drawing {wide_bar} {pos}/{len} frames, {eta} left");
    let recorded = synthesize(options, |frames| {
        bar.set_position(frames as u64);
        !interrupt::is_set()
    });
    bar.finish_and_clear();
    let SynthesizeSummary { frames, regions, anomalous } = recorded?;
    let bag = options.output.display();
    eprintln!("wrote {bag}: {frames} frames with {regions} signs, {anomalous} of them out of distribution");
    Ok(())
}
