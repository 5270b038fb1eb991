//! `calibrate`: the same detectors for another camera or another place.

mod drive;
mod page;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use self::drive::{Examiner, Shown};
use self::page::CalibrationPage;
use super::{bags::TopicArgs, fit, interrupt, model::ModelArgs, output};
use crate::evaluation::AlarmRates;
use crate::monitor::{DriveSummary, Monitor};

/// Share of a drive's images that alarm at a nominal 1 % from which on the drive itself looks strange.
const STRANGE_AT_1_PERCENT: f64 = 0.5;
/// The same at a nominal 10 %, for monitors that cannot alarm at 1 %.
const STRANGE_AT_10_PERCENT: f64 = 0.8;

const EXAMPLES: &str = "\
Example:
  activation-monitor calibrate --model models/signs --monitor signs.monitor \\
      --nominal drives/monday drives/tuesday drives/friday --output robot.monitor

A monitor promises its rate of false alarms for the camera that took the training
images. This replaces that promise by one for the robot that drives: the
detectors stay, what their scores mean comes from nominal drives, in which nothing
is to be found. Nobody needs to label them. A drive is a rosbag2 recording or a
folder of images; three or more tell how the promise would have held on a drive
that was not there. Views of one object have one Region.id, or in a folder the
same file name up to the last `_`.

Where half of a drive's images alarm at 1 %, or most at 10 %, it may be no nominal
drive: look at the report, and give --accept to take it for one.";

/// Calibrate a monitor on your own nominal drives, without labels
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Calibrate {
    #[command(flatten)]
    model: ModelArgs,
    /// Monitor file that `fit` made for this model; it stays as it is
    #[arg(long, value_name = "FILE")]
    monitor: PathBuf,
    /// Drives in which nothing is strange: rosbag2 recordings, folders of them, or folders of images
    #[arg(long, value_name = "DRIVE", required = true, num_args = 1..)]
    nominal: Vec<PathBuf>,
    /// Monitor file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Folder for the report [default: the output with the ending .report]
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    topics: TopicArgs,
    /// Take drives that look strange for nominal
    #[arg(long)]
    accept: bool,
}

impl Calibrate {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let report = self.report.clone().unwrap_or_else(|| self.output.with_extension("report"));
        self.check_places(&report)?;
        let pipeline = self.model.pipeline(&self.monitor)?;
        let choice = self.topics.choice(None);
        let examiner = Examiner { pipeline: &pipeline, choice: &choice, batch_size: self.model.batch_size() };
        let (drives, shown) = examiner.examine(&self.nominal)?;
        let monitor = pipeline.shared_monitor();
        drop(pipeline);
        let monitor = monitor.and_then(Arc::into_inner).context("the monitor is still in use")?;
        eprintln!("calibrating on {} drives", drives.len());
        let calibrated = monitor.recalibrate(&drives, self.accept)?;
        interrupt::check()?;
        self.finish(&calibrated, &shown, &report)
    }

    /// Says how the promise holds on every drive, and writes the monitor unless a drive looks strange.
    fn finish(&self, calibrated: &Monitor, shown: &[Shown], report: &Path) -> anyhow::Result<()> {
        let recalibration = calibrated.metadata().recalibration.as_ref().context("the monitor was not calibrated")?;
        let drives = &recalibration.drives;
        output::print(&table(drives)?)?;
        let strange: Vec<String> = drives.iter().filter_map(strangeness).collect();
        let page = CalibrationPage { drives, shown, strange: &strange, notes: &calibrated.notes() };
        output::write_into(report, "index.html", &page.html().context("an image cannot be encoded")?)?;
        let index = report.join("index.html");
        anyhow::ensure!(
            strange.is_empty() || self.accept,
            "{}; nothing was calibrated: look at {}, leave such drives out, or give --accept",
            strange.join("; "),
            index.display()
        );
        fit::finish(calibrated, &self.output)
    }

    fn check_places(&self, report: &Path) -> anyhow::Result<()> {
        output::check_place(&self.output)?;
        output::check_folder(report)?;
        let is_same =
            self.output.canonicalize().is_ok_and(|path| self.monitor.canonicalize().is_ok_and(|old| old == path));
        anyhow::ensure!(!is_same, "--output is the file of --monitor, which stays as it is: name another file");
        Ok(())
    }
}

/// Why a drive may not be nominal, if anything says so.
fn strangeness(drive: &DriveSummary) -> Option<String> {
    let before = strange_share(&drive.before).map(|share| (share, "this monitor"));
    let after = || Some((strange_share(drive.after.as_ref()?)?, "a calibration on the other drives"));
    let ((share, level), by) = before.or_else(after)?;
    let percent = 100.0 * share;
    Some(format!("drive {} looks strange: {percent:.0} % of its images alarm at {level} % by {by}", drive.name))
}

/// A share of images that is too large, and the level in percent at which they alarm.
fn strange_share(rates: &AlarmRates) -> Option<(f64, u8)> {
    let above = |share: Option<f64>, most: f64, level| Some((share.filter(|share| *share > most)?, level));
    let at_10_percent = || above(rates.at_10_percent, STRANGE_AT_10_PERCENT, 10);
    above(rates.at_1_percent, STRANGE_AT_1_PERCENT, 1).or_else(at_10_percent)
}

fn table(drives: &[DriveSummary]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let width = drives.iter().map(|drive| drive.name.chars().count()).max().unwrap_or(0).max("drive".len());
    writeln!(text, "Images that alarm at a nominal 10, 1, 0.1 %")?;
    writeln!(text, "{:<width$}  {:>8} {:>7}  {:<22} calibrated on the others", "drive", "images", "tracks", "before")?;
    for drive in drives {
        let DriveSummary { name, images, before, .. } = drive;
        let (before, after) = (before.in_words(), drive.after_in_words());
        writeln!(text, "{name:<width$}  {:>8} {:>7}  {before:<22} {after}", images.images, images.tracks)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::BankSummary;

    fn drive(before: &[f32], after: Option<&[f32]>) -> DriveSummary {
        DriveSummary {
            name: "monday".into(),
            images: BankSummary { images: before.len(), tracks: 2, correct: None, fingerprint: String::new() },
            before: AlarmRates::of_p_values(before),
            after: after.map(AlarmRates::of_p_values),
        }
    }

    #[test]
    fn a_drive_is_strange_when_most_of_it_alarms() {
        assert_eq!(strangeness(&drive(&[0.5, 0.005], Some(&[0.5, 0.005]))), None, "a half is not more than a half");
        let text = strangeness(&drive(&[0.005, 0.005, 0.5], None)).unwrap();
        assert_eq!(text, "drive monday looks strange: 67 % of its images alarm at 1 % by this monitor");
        let text = strangeness(&drive(&[0.5, 0.5], Some(&[0.001, 0.001]))).unwrap();
        assert!(text.ends_with("100 % of its images alarm at 1 % by a calibration on the other drives"), "{text}");
    }

    #[test]
    fn the_table_reads_well() {
        let drives = [drive(&[0.5, 0.05, 0.5, 0.5], Some(&[0.5; 4])), drive(&[0.5], None)];
        insta::assert_snapshot!(table(&drives).unwrap(), @r"
        Images that alarm at a nominal 10, 1, 0.1 %
        drive     images  tracks  before                 calibrated on the others
        monday         4       2  25.00, 0.00, 0.00 %    0.00, 0.00, 0.00 %
        monday         1       2  0.00, 0.00, 0.00 %     no other drive
        ");
    }
}
