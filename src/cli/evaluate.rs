//! `evaluate`: how good is a monitor?

mod exhibits;
mod page;

pub(super) use exhibits::finding;

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use anyhow::Context;
use clap::Args;

use super::{features::Extractor, model::ModelArgs, output};
use crate::{
    dataset::{ImageFile, LabelledImage, labelled_images, unlabelled_images},
    evaluation::{Bootstrap, EvaluationReport, ScoredImage, ScoredSet},
    monitor::{Judgement, Monitor},
    pipeline::load_monitor,
};

const EXAMPLES: &str = "\
Example:
  activation-monitor evaluate --model models/signs --monitor signs.monitor \\
      --in-distribution signs/test --ood animals=data/animals \\
      --ood digits=data/digits --json figures.json --report report

Use images that neither the model nor the monitor was trained or calibrated on.
Labelled images lie in one folder per class, named after the class or its index;
OOD images may be nested in any way. Known images whose file names are the same
up to the last `_` show one object (a track); confidence intervals are wider for
few tracks, and what all views say together is reported, too. --report makes one page, DIR/index.html, that needs nothing else.";

/// Measure a monitor: accuracy, false alarms, and how well it tells unknown images
///
/// Prints a table; with --json also writes the figures, all in 0..1, `null` where undefined; with --report also a page
/// with curves, false alarms by class and the most telling images.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Evaluate {
    #[command(flatten)]
    model: ModelArgs,
    /// Monitor file that `fit` made for this model
    #[arg(long, value_name = "FILE")]
    monitor: PathBuf,
    /// Labelled images of known classes
    #[arg(long, value_name = "DIR")]
    in_distribution: PathBuf,
    /// Sets of images of unknown things: a name of your choice and a folder
    #[arg(long, value_name = "NAME=DIR", num_args = 1..)]
    ood: Vec<OodFolder>,
    /// Write the figures to this file; `-` prints them instead of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page for the browser into this folder: tables, curves, images with explanations
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Resamples behind the confidence intervals; 0 for none
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().resamples)]
    resamples: usize,
    /// Decides what is drawn when resampling
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().seed)]
    seed: u64,
}

/// A named folder of OOD images.
#[derive(Debug, Clone, PartialEq)]
struct OodFolder {
    name: String,
    folder: PathBuf,
}

impl FromStr for OodFolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
                Ok(Self { name: name.to_owned(), folder: folder.into() })
            }
            _ => Err("expected NAME=DIR, for example animals=data/animals".to_owned()),
        }
    }
}

impl Evaluate {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let to_stdout = self.json.as_ref().is_some_and(|path| path.as_os_str() == output::STDOUT);
        if let Some(path) = self.json.as_ref().filter(|_| !to_stdout) {
            output::check_place(path)?;
        }
        if let Some(folder) = &self.report {
            output::check_folder(folder)?;
        }
        let classifier = self.model.load()?;
        let monitor = load_monitor(&self.monitor, &classifier)?;
        let judge = Judge {
            extractor: Extractor { classifier: &classifier, batch_size: self.model.batch_size() },
            monitor: &monitor,
        };
        // All folders are listed before any work, so that a wrong one is found at once.
        let known = labelled_images(&self.in_distribution, &classifier.manifest().classes)?;
        let data = Data { known, ood: self.list_ood()? };
        let evaluated = self.evaluate(&judge, &data)?;
        match &self.json {
            Some(_) if to_stdout => output::print_json(&evaluated.report)?,
            Some(path) => output::write_json(path, &evaluated.report)?,
            None => {}
        }
        if !to_stdout {
            output::print(&evaluated.report.to_string())?;
        }
        self.report.as_ref().map_or(Ok(()), |folder| {
            let galleries = judge.galleries(&evaluated, &data)?;
            output::write_into(folder, "index.html", &self.page(&judge, &evaluated, galleries)?)
        })
    }

    fn evaluate(&self, judge: &Judge<'_>, data: &Data) -> anyhow::Result<Evaluated> {
        let files = data.known_files();
        let known = judge.score("in-distribution", &files, |index| Some(data.known[index].class))?;
        let mut ood = BTreeMap::new();
        for (name, files) in &data.ood {
            ood.insert(name.clone(), judge.score(name, &files.iter().collect::<Vec<_>>(), |_| None)?);
        }
        let classes = &judge.extractor.classifier.manifest().classes;
        let bootstrap = Bootstrap { resamples: self.resamples, seed: self.seed };
        let objects = judge.monitor.over_time().objects.as_ref();
        let report = EvaluationReport::new(classes, &known, &ood, objects, bootstrap);
        Ok(Evaluated { report, known, ood })
    }

    fn list_ood(&self) -> anyhow::Result<BTreeMap<String, Vec<ImageFile>>> {
        let mut sets = BTreeMap::new();
        for set in &self.ood {
            let files = unlabelled_images(&set.folder)?;
            anyhow::ensure!(sets.insert(set.name.clone(), files).is_none(), "--ood names `{}` twice", set.name);
        }
        Ok(sets)
    }
}

/// The images that are evaluated.
struct Data {
    known: Vec<LabelledImage>,
    ood: BTreeMap<String, Vec<ImageFile>>,
}

impl Data {
    fn known_files(&self) -> Vec<&ImageFile> {
        self.known.iter().map(|image| &image.file).collect()
    }
}

/// What came out.
struct Evaluated {
    report: EvaluationReport,
    known: ScoredSet,
    ood: BTreeMap<String, ScoredSet>,
}

struct Judge<'a> {
    extractor: Extractor<'a>,
    monitor: &'a Monitor,
}

impl Judge<'_> {
    /// Judges every readable file; `class` tells the true class of a file by its index, where it has one.
    fn score(
        &self,
        title: &str,
        files: &[&ImageFile],
        class: impl Fn(usize) -> Option<usize>,
    ) -> anyhow::Result<ScoredSet> {
        let mut set = ScoredSet::default();
        self.extractor.run(title, files, |index, features| {
            let file = files[index];
            let judgement = self.monitor.judge(&features).with_context(|| file.path.display().to_string())?;
            let predicted = judgement.predicted_class;
            let image = ScoredImage { key: file.key.clone(), class: class(index), predicted };
            set.push(image, results(&judgement));
            Ok(())
        })?;
        Ok(set)
    }
}

fn results(judgement: &Judgement) -> impl Iterator<Item = (&str, f32, f32)> {
    judgement.results().map(|result| (result.name, result.score, result.p_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ood_sets_have_a_name_and_a_folder() {
        let set = OodFolder { name: "a".into(), folder: "b=c/d".into() };
        assert_eq!("a=b=c/d".parse(), Ok(set));
        for wrong in ["a", "=b", "a=", ""] {
            assert!(wrong.parse::<OodFolder>().is_err(), "{wrong}");
        }
    }
}
