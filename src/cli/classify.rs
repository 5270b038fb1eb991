//! `classify`: single images.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use ndarray::Axis;
use serde::Serialize;

use super::{interrupt, model::ModelArgs, output};
use crate::{
    activation::Features,
    dataset::unlabelled_images,
    frame::{self, Region},
    model::Classifier,
    monitor::{DetectorExplanation, DetectorResult, Judgement, Levels, Monitor, Verdict},
    pipeline::load_monitor,
};

const EXAMPLES: &str = "\
Examples:
  activation-monitor classify --model models/signs --monitor signs.monitor \\
      photo.jpg
  activation-monitor classify --model models/signs --monitor signs.monitor \\
      --json folder | jq '.[].explanation[0]'

The verdict follows from the fused p-value. Small means unlike the training
data: one in a hundred images of known classes gets 0.01 or less. Below an image
that is suspect or out of distribution stands what deviates most, as its most
suspicious detector sees it; --json has more. UNKNOWN means that the image could
not be judged; the exit code is then 1.";

/// Classify images and judge each one
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Classify {
    #[command(flatten)]
    model: ModelArgs,
    /// Monitor file that `fit` made for this model
    #[arg(long, value_name = "FILE")]
    monitor: PathBuf,
    /// Image files, or folders of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Print a JSON array with the scores of all detectors and what made them high
    #[arg(long)]
    json: bool,
}

/// What is said about one image.
#[derive(Debug, Serialize)]
struct Answer {
    image: PathBuf,
    verdict: Verdict,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Judged(Opinion),
    Failed { reason: String },
}

#[derive(Debug, Serialize)]
struct Opinion {
    class: String,
    class_index: usize,
    /// Softmax of the class, 0..1.
    score: f32,
    /// Fused p-value, 0..1.
    p_value: f32,
    hamming_distance: Option<u32>,
    /// All detectors, without their fusion.
    detectors: Vec<DetectorResult>,
    /// What the most suspicious detectors found.
    explanation: Vec<DetectorExplanation>,
}

impl Classify {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let classifier = self.model.load()?;
        let monitor = load_monitor(&self.monitor, &classifier)?;
        let examiner = Examiner { classifier, monitor, levels: Levels::default() };
        let mut answers = Vec::new();
        for path in self.files()? {
            interrupt::check()?;
            let answer = examiner.examine(path);
            if !self.json {
                output::print(&format!("{answer}\n"))?;
            }
            answers.push(answer);
        }
        if self.json {
            output::print_json(&answers)?;
        }
        let failed = answers.iter().filter(|answer| matches!(answer.outcome, Outcome::Failed { .. })).count();
        anyhow::ensure!(failed == 0, "{failed} of {} images could not be judged", answers.len());
        Ok(())
    }

    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in &self.images {
            if path.is_dir() {
                files.extend(unlabelled_images(path)?.into_iter().map(|file| file.path));
            } else {
                files.push(path.clone());
            }
        }
        Ok(files)
    }
}

struct Examiner {
    classifier: Classifier,
    monitor: Monitor,
    levels: Levels,
}

impl Examiner {
    fn examine(&self, path: PathBuf) -> Answer {
        match self.judge(&path) {
            Ok((features, judgement)) => {
                let verdict = self.levels.verdict(judgement.fused.p_value);
                Answer { image: path, verdict, outcome: Outcome::Judged(self.opinion(&features, judgement)) }
            }
            Err(error) => {
                let outcome = Outcome::Failed { reason: super::message(&error) };
                Answer { image: path, verdict: Verdict::Unknown, outcome }
            }
        }
    }

    fn judge(&self, path: &Path) -> anyhow::Result<(Features, Judgement)> {
        let image = frame::cut(&frame::read_file(path)?, Region::WHOLE, &self.classifier.manifest().input)?;
        let features = self.classifier.forward(image.view().insert_axis(Axis(0)))?.features(0);
        let judgement = self.monitor.judge(&features)?;
        Ok((features, judgement))
    }

    fn opinion(&self, features: &Features, judgement: Judgement) -> Opinion {
        let class_index = judgement.predicted_class;
        let explanation = self.monitor.explain(features, &judgement);
        Opinion {
            class: self.classifier.manifest().classes[class_index].clone(),
            class_index,
            score: features.softmax()[class_index],
            p_value: judgement.fused.p_value,
            hamming_distance: judgement.hamming_distance,
            detectors: judgement.detectors,
            explanation,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}  {}  ", self.image.display(), self.verdict)?;
        let opinion = match &self.outcome {
            Outcome::Judged(opinion) => opinion,
            Outcome::Failed { reason } => return formatter.write_str(reason),
        };
        let Opinion { class, score, p_value, explanation, .. } = opinion;
        write!(formatter, "{class} ({:.1} %)  p = {p_value:.2e}", 100.0 * score)?;
        match explanation.first().filter(|_| self.verdict != Verdict::InDistribution) {
            Some(first) => write!(formatter, "\n  {} (p = {:.2e}): {first}", first.detector, first.p_value),
            None => Ok(()),
        }
    }
}
