//! `synthesize`: a drawn drive past traffic signs.

use indicatif::{ProgressBar, ProgressStyle};

use super::interrupt;
use crate::scenario::{SynthesizeArgs, SynthesizeSummary, synthesize};

/// Draws and records the drive, with a progress bar on a terminal.
pub(super) fn run(options: &SynthesizeArgs) -> anyhow::Result<()> {
    let bar = ProgressBar::new(options.frames() as u64);
    if let Ok(style) = ProgressStyle::with_template("drawing {wide_bar} {pos}/{len} frames, {eta} left") {
        bar.set_style(style);
    }
    let recorded = synthesize(options, |frames| {
        bar.set_position(frames as u64);
        !interrupt::flag().load(std::sync::atomic::Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let SynthesizeSummary { frames, regions, anomalous } = recorded?;
    let bag = options.output.display();
    eprintln!("wrote {bag}: {frames} frames with {regions} signs, {anomalous} of them out of distribution");
    Ok(())
}
