//! `evaluate`: how good is a monitor?

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use anyhow::Context;
use clap::Args;

use super::{features::Extractor, model::ModelArgs, output};
use crate::{
    dataset::{ImageFile, labelled_images, unlabelled_images},
    evaluation::{EvaluationReport, ScoredSet},
    monitor::{Judgement, Monitor},
};

const EXAMPLES: &str = "\
Example:
  activation-monitor evaluate --model models/signs --monitor signs.monitor \\
      --in-distribution signs/test --ood animals=data/animals \\
      --ood digits=data/digits --json figures.json

Use images that neither the model nor the monitor was trained or calibrated on.
Labelled images lie in one folder per class, named after the class or its index;
OOD images may be nested in any way.";

/// Measure a monitor: accuracy, false alarms, and how well it tells unknown images
///
/// Prints a table; with --json also writes the figures, all in 0..1, `null` where undefined.
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
        let report = self.report()?;
        match &self.json {
            Some(_) if to_stdout => output::print_json(&report),
            Some(path) => output::write_json(path, &report).and_then(|()| output::print(&report.to_string())),
            None => output::print(&report.to_string()),
        }
    }

    fn report(&self) -> anyhow::Result<EvaluationReport> {
        let classifier = self.model.load()?;
        let monitor = Monitor::open(&self.monitor)?;
        monitor.check_model(classifier.sha256(), classifier.layout())?;
        let judge =
            Judge { extractor: Extractor { classifier: &classifier, batch_size: self.model.batch_size() }, monitor };
        // All folders are listed before any work, so that a wrong one is found at once.
        let known = labelled_images(&self.in_distribution, &classifier.manifest().classes)?;
        let unknown = self.list_ood()?;
        let files: Vec<&ImageFile> = known.iter().map(|image| &image.file).collect();
        let known = judge.score("in-distribution", &files, |index, class| known[index].class == class)?;
        let mut ood = BTreeMap::new();
        for (name, files) in unknown {
            let files: Vec<&ImageFile> = files.iter().collect();
            let set = judge.score(name, &files, |_, _| false)?;
            ood.insert(name.to_owned(), set);
        }
        Ok(EvaluationReport::new(&known, &ood))
    }

    fn list_ood(&self) -> anyhow::Result<BTreeMap<&str, Vec<ImageFile>>> {
        let mut sets = BTreeMap::new();
        for set in &self.ood {
            let files = unlabelled_images(&set.folder)?;
            anyhow::ensure!(sets.insert(set.name.as_str(), files).is_none(), "--ood names `{}` twice", set.name);
        }
        Ok(sets)
    }
}

struct Judge<'a> {
    extractor: Extractor<'a>,
    monitor: Monitor,
}

impl Judge<'_> {
    /// Judges every readable file; `correct` tells from its index and the predicted class whether that is right.
    fn score(
        &self,
        title: &str,
        files: &[&ImageFile],
        correct: impl Fn(usize, usize) -> bool,
    ) -> anyhow::Result<ScoredSet> {
        let mut set = ScoredSet::default();
        self.extractor.run(title, files, |index, features| {
            let judgement = self.monitor.judge(&features).with_context(|| files[index].path.display().to_string())?;
            set.push(correct(index, judgement.predicted_class), results(&judgement));
            Ok(())
        })?;
        Ok(set)
    }
}

fn results(judgement: &Judgement) -> impl Iterator<Item = (&str, f32, f32)> {
    judgement.detectors.iter().chain([&judgement.fused]).map(|result| (result.name, result.score, result.p_value))
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
