//! The one road from a camera image to a verdict, used by the node, the command line and the examples alike: what was
//! evaluated is what drives.

use std::path::Path;

use image::RgbImage;
use ndarray::{Array3, Array4, Axis, stack};

use crate::activation::{Activations, Features};
use crate::frame::{self, Region};
use crate::model::{Classifier, DeviceChoice, HeadSpec, InputSpec, Manifest, ModelError};
use crate::monitor::{
    DetectorExplanation, Judgement, Levels, ModelHead, ModelId, ModelInput, Monitor, MonitorError, Verdict,
};

/// Most regions that go through the network at once; more are judged in several passes.
const LARGEST_BATCH: usize = 64;

/// Why a pipeline cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The model cannot be loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The monitor cannot be loaded or belongs to another model.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
}

/// How a monitor knows the model that it belongs to; layers and penultimate layer are in [`Classifier::layout`].
#[must_use]
pub fn model_id(classifier: &Classifier) -> ModelId {
    let manifest = classifier.manifest();
    // No `..`: whoever adds a field decides here whether it can change a verdict.
    let Manifest {
        classes,
        input: InputSpec { width, height, region_margin },
        head,
        decoy_class: _,
        layers: _,
        penultimate: _,
        format_version: _,
        name: _,
        provenance: _,
        license: _,
    } = manifest;
    let head = head.as_ref().map(|HeadSpec { weight, bias, dropout }| ModelHead {
        weight: weight.clone(),
        bias: bias.clone(),
        dropout: *dropout,
    });
    ModelId {
        sha256: classifier.sha256().to_owned(),
        classes: classes.clone(),
        decoy_class: manifest.decoy_index(),
        input: ModelInput { width: *width, height: *height, region_margin: *region_margin },
        head,
    }
}

/// A classifier with the monitor that was fitted on it.
#[derive(Debug)]
pub struct Pipeline {
    classifier: Classifier,
    monitor: Option<Monitor>,
}

/// One class with its softmax probability (0..1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hypothesis {
    /// Index into the model's class names.
    pub class: usize,
    /// Softmax probability, 0..1.
    pub score: f32,
}

/// What the network and the monitor say about one region.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Best classes first; at least one.
    pub top_k: Vec<Hypothesis>,
    /// The monitor's scores and p-values.
    pub judgement: Option<Judgement>,
    /// Why the most suspicious detectors are suspicious; empty without a judgement.
    pub explanations: Vec<DetectorExplanation>,
    /// Verdict; `Unknown` without a judgement.
    pub verdict: Verdict,
    /// Why the verdict is `Unknown`; empty otherwise.
    pub reason: String,
}

/// One region with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionResult {
    /// The region as it was asked for.
    pub region: Region,
    /// The outcome, or why the region could not be classified at all.
    pub outcome: Result<Outcome, String>,
    /// Row of this region in [`PipelineOutput::activations`]; `None` when it is not among them.
    pub row: Option<usize>,
}

/// What comes out for one image.
#[derive(Debug, Clone, Default)]
pub struct PipelineOutput {
    /// One result per region, in the same order.
    pub results: Vec<RegionResult>,
    /// Activations of the first forward pass, for looking at; `None` when nothing was classified.
    pub activations: Option<Activations>,
}

impl Outcome {
    /// A classification that nothing can be said about.
    #[must_use]
    pub fn unknown(top_k: Vec<Hypothesis>, reason: String) -> Self {
        Self { top_k, judgement: None, explanations: Vec::new(), verdict: Verdict::Unknown, reason }
    }
}

impl Pipeline {
    /// Loads a model folder and, where given, the monitor file fitted on it.
    ///
    /// # Errors
    /// [`PipelineError`] when either cannot be loaded or they do not belong together.
    pub fn load(model: &Path, monitor: Option<&Path>, device: &DeviceChoice) -> Result<Self, PipelineError> {
        let classifier = Classifier::load(model, device)?;
        let monitor = monitor.map(Monitor::load).transpose()?;
        if let Some(monitor) = &monitor {
            monitor.check_model(&model_id(&classifier), classifier.layout())?;
        }
        Ok(Self { classifier, monitor })
    }

    /// The model.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// The monitor, where one was given.
    #[must_use]
    pub fn monitor(&self) -> Option<&Monitor> {
        self.monitor.as_ref()
    }

    /// Judges the regions of an image ([`Region::WHOLE`] for the whole image). Never fails: a region that cannot be
    /// judged gets a result that says why.
    #[must_use]
    pub fn judge(&self, image: &RgbImage, regions: &[Region], levels: &Levels, top_k: usize) -> PipelineOutput {
        let mut inputs = Vec::with_capacity(regions.len());
        let cuts: Vec<Result<usize, String>> = regions
            .iter()
            .map(|&region| {
                inputs.push(frame::cut(image, region, &self.classifier.manifest().input).map_err(|e| e.to_string())?);
                Ok(inputs.len() - 1)
            })
            .collect();
        let (outcomes, activations) = self.classify(&inputs, levels, top_k);
        let rows = activations.as_ref().map_or(0, Activations::len);
        let result = |(&region, cut): (&Region, Result<usize, String>)| RegionResult {
            region,
            row: cut.as_ref().ok().copied().filter(|&row| row < rows),
            outcome: cut.and_then(|index| outcomes[index].clone()),
        };
        PipelineOutput { results: regions.iter().zip(cuts).map(result).collect(), activations }
    }

    fn classify(
        &self,
        inputs: &[Array3<f32>],
        levels: &Levels,
        top_k: usize,
    ) -> (Vec<Result<Outcome, String>>, Option<Activations>) {
        let mut outcomes = Vec::with_capacity(inputs.len());
        let mut first = None;
        for (pass, chunk) in inputs.chunks(LARGEST_BATCH).enumerate() {
            match self.classifier.forward(batch(chunk).view()) {
                Ok(batch) => {
                    outcomes.extend((0..batch.len()).map(|row| Ok(self.outcome(&batch.features(row), levels, top_k))));
                    first = first.or((pass == 0).then_some(batch));
                }
                Err(error) => outcomes.extend(chunk.iter().map(|_| Err(error.to_string()))),
            }
        }
        (outcomes, first)
    }

    fn outcome(&self, features: &Features, levels: &Levels, top_k: usize) -> Outcome {
        let top_k = best_classes(features, top_k.max(1));
        let judgement = match &self.monitor {
            Some(monitor) => monitor.judge(features).map_err(|error| error.to_string()),
            None => Err("no monitor loaded: set the monitor to a file made by `activation-monitor fit`".to_owned()),
        };
        match judgement {
            Ok(judgement) => {
                let verdict = levels.verdict(judgement.fused.p_value);
                let explanations = self.monitor.as_ref().map(|monitor| monitor.explain(features, &judgement));
                let explanations = explanations.unwrap_or_default();
                Outcome { top_k, judgement: Some(judgement), explanations, verdict, reason: String::new() }
            }
            Err(reason) => Outcome::unknown(top_k, reason),
        }
    }
}

fn batch(inputs: &[Array3<f32>]) -> Array4<f32> {
    let views: Vec<_> = inputs.iter().map(Array3::view).collect();
    stack(Axis(0), &views).expect("frame::cut gives every region the model's input size")
}

fn best_classes(features: &Features, count: usize) -> Vec<Hypothesis> {
    let probabilities = features.softmax();
    let mut classes: Vec<Hypothesis> =
        probabilities.iter().enumerate().map(|(class, &score)| Hypothesis { class, score }).collect();
    classes.sort_by(|a, b| b.score.total_cmp(&a.score));
    classes.truncate(count);
    classes
}
