//! `fit`: from training images to a monitor file.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{
    features::Extractor,
    hold_out::{SHARE, hold_out},
    interrupt,
    model::ModelArgs,
    output,
    shard::ShardChoice,
};
use crate::{
    activation::FeatureBank,
    calibration::Conditioning,
    dataset::{ImageFile, LabelledImage, labelled_images},
    detector::DetectorKind,
    monitor::{FitSettings, Monitor, Shard},
    pipeline::model_id,
};

const EXAMPLES: &str = "\
Examples:
  activation-monitor fit --model models/signs --data signs/train \\
      --output signs.monitor
  activation-monitor fit --model models/signs --data signs/train \\
      --calibration signs/held-out --output signs.monitor

Images lie in one folder per class, named after the class or its index.
--data are the images that the model was trained on. Calibration decides how
often the monitor raises a false alarm: its images must be of known classes, but
the model must not have been trained on them. Frames of one object share their
file name up to the last `_`; without --calibration a fifth of these tracks is
held out of --data.";

/// Fit a monitor to a model and its training images
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Fit {
    #[command(flatten)]
    model: ModelArgs,
    /// Labelled training images
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Labelled images to calibrate on [default: 20 % of the tracks of --data]
    #[arg(long, value_name = "DIR")]
    calibration: Option<PathBuf>,
    /// Monitor file to write; with --shard the shard
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Detectors to fit, separated by commas [default: all that the model can serve]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    detectors: Vec<DetectorKind>,
    /// Compare with all calibration images; with whole tracks, so that the false-alarm rate holds for new ones; or with
    /// the tracks of the predicted class where there are a hundred
    #[arg(long, value_name = "WHAT", default_value = "pooled")]
    conditioning: ConditioningChoice,
    /// Look at part I of N only and write a shard for `merge`
    #[arg(long, value_name = "I/N")]
    shard: Option<ShardChoice>,
    /// Decides what is held out, and everything random in fitting
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Values of `--conditioning`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ConditioningChoice {
    Pooled,
    Track,
    Class,
}

impl From<ConditioningChoice> for Conditioning {
    fn from(choice: ConditioningChoice) -> Self {
        match choice {
            ConditioningChoice::Pooled => Self::Pooled,
            ConditioningChoice::Track => Self::Track,
            ConditioningChoice::Class => Self::Class,
        }
    }
}

/// Images to fit on and images to calibrate on.
struct Data {
    training: Vec<LabelledImage>,
    calibration: Vec<LabelledImage>,
}

impl Fit {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        output::check_place(&self.output)?;
        let classifier = self.model.load()?;
        let data = self.list(&classifier.manifest().classes)?;
        let extractor = Extractor { classifier: &classifier, batch_size: self.model.batch_size() };
        let training = bank(&extractor, "training", &data.training)?;
        let calibration = bank(&extractor, "calibration", &data.calibration)?;
        let shard = Shard {
            model: model_id(&classifier),
            settings: self.settings(),
            head: classifier.head().cloned(),
            training,
            calibration,
        };
        match self.shard {
            Some(_) => {
                shard.save(&self.output)?;
                eprintln!(
                    "wrote the shard {}; `activation-monitor merge` makes a monitor of all shards",
                    self.output.display()
                );
                Ok(())
            }
            None => finish(&Monitor::merge([shard])?, &self.output),
        }
    }

    fn settings(&self) -> FitSettings {
        let settings = match self.detectors.as_slice() {
            [] => FitSettings::default(),
            chosen => FitSettings::only(chosen.to_vec()),
        };
        FitSettings { seed: self.seed, conditioning: self.conditioning.into(), ..settings }
    }

    fn list(&self, classes: &[String]) -> anyhow::Result<Data> {
        let all = labelled_images(&self.data, classes)?;
        let (training, calibration) = match &self.calibration {
            Some(folder) => {
                self.check_apart(folder)?;
                (all, labelled_images(folder, classes)?)
            }
            None => self.hold_out(all)?,
        };
        let part = |images: Vec<LabelledImage>| match self.shard {
            Some(shard) => shard.select(images),
            None => images,
        };
        Ok(Data { training: part(training), calibration: part(calibration) })
    }

    fn check_apart(&self, calibration: &Path) -> anyhow::Result<()> {
        let same = calibration.canonicalize().ok() == self.data.canonicalize().ok();
        anyhow::ensure!(
            !same,
            "--calibration is the folder of --data: p-values would mean nothing; give other images or leave it out"
        );
        Ok(())
    }

    fn hold_out(&self, all: Vec<LabelledImage>) -> anyhow::Result<(Vec<LabelledImage>, Vec<LabelledImage>)> {
        let (training, calibration) = hold_out(all, self.seed);
        anyhow::ensure!(
            !calibration.is_empty(),
            "every class of {} has one track only, so none can be held out: give --calibration",
            self.data.display()
        );
        eprintln!(
            "no --calibration: {:.0} % of the tracks are held out for it ({} of {} images)",
            100.0 * SHARE,
            calibration.len(),
            training.len() + calibration.len()
        );
        Ok((training, calibration))
    }
}

/// Writes a fitted monitor and says what the user should know about it.
pub(super) fn finish(monitor: &Monitor, path: &Path) -> anyhow::Result<()> {
    interrupt::check()?;
    monitor.save(path)?;
    for note in monitor.notes() {
        eprintln!("note: {note}");
    }
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn bank(extractor: &Extractor<'_>, title: &str, images: &[LabelledImage]) -> anyhow::Result<FeatureBank> {
    let mut bank = FeatureBank::new(extractor.classifier.layout().clone());
    let files: Vec<&ImageFile> = images.iter().map(|image| &image.file).collect();
    extractor.run(title, &files, |index, features| {
        let image = &images[index];
        Ok(bank.push(image.file.key.clone(), image.class, &features)?)
    })?;
    Ok(bank)
}
