//! The one road from a camera image to a verdict, used by the node, the command line and the examples alike: what was
//! evaluated is what drives.

use std::fmt;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::{Array3, Axis, stack};

use crate::activation::{Activations, Features};
use crate::frame::{self, Frame, FrameError, Region};
use crate::model::{Classifier, DeviceChoice, HeadSpec, InputSpec, Manifest, ModelError};
use crate::monitor::{
    DetectorExplanation, Judgement, Levels, ModelHead, ModelId, ModelInput, Monitor, MonitorError, Verdict,
};

/// Most regions that are cut out and go through the network at once; more are judged in several passes.
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

/// Loads the monitor file that was fitted on a model.
///
/// # Errors
/// [`MonitorError`] when it cannot be loaded or belongs to another model.
pub fn load_monitor(path: &Path, classifier: &Classifier) -> Result<Monitor, MonitorError> {
    let monitor = Monitor::load(path)?;
    monitor.check_model(&model_id(classifier), classifier.layout())?;
    Ok(monitor)
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
    monitor: Option<Arc<Monitor>>,
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

/// One image with the regions to judge in it.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The image.
    pub frame: &'a Frame<'a>,
    /// Regions of it; [`Region::WHOLE`] for the whole image.
    pub regions: &'a [Region],
}

/// Until when passes through the network may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    start: Instant,
    limit: Duration,
}

/// One region with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionResult {
    /// The region as it was asked for.
    pub region: Region,
    /// The part of it that lies in the image and was judged, before the model's margin is added; `None` where nothing
    /// was judged.
    pub judged: Option<Region>,
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
    /// Activations of the first forward pass that a region of the image went through, for looking at; regions of other
    /// images may be among them. `None` when nothing was classified.
    pub activations: Option<Arc<Activations>>,
    /// Time of the passes that regions of the image went through; `None` when there was none.
    pub timings: Option<Timings>,
}

/// Where the time of passes through the network went, those of other images in them included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Cutting out, resizing and the network.
    pub network: Duration,
    /// The detectors.
    pub monitor: Duration,
}

impl Deadline {
    /// `limit` after `start`.
    #[must_use]
    pub fn after(start: Instant, limit: Duration) -> Self {
        Self { start, limit }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.start.elapsed() >= self.limit
    }
}

impl AddAssign for Timings {
    fn add_assign(&mut self, more: Self) {
        self.network += more.network;
        self.monitor += more.monitor;
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} s", self.limit.as_secs_f64())
    }
}

impl Outcome {
    /// Class of the nearest training data, by the most suspicious detector that knows it; empty when none does.
    #[must_use]
    pub fn nearest_class(&self) -> &str {
        self.explanations.iter().find_map(|one| one.nearest.as_ref()).map_or("", |nearest| &nearest.class)
    }

    /// The reasons of the most suspicious detector in words; empty without any.
    #[must_use]
    pub fn explanation(&self) -> String {
        self.explanations.first().map(|first| format!("{}: {first}", first.detector)).unwrap_or_default()
    }

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
        let monitor = monitor.map(|path| load_monitor(path, &classifier)).transpose()?.map(Arc::new);
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
        self.monitor.as_deref()
    }

    /// The monitor, to be shared with those that look at what it knows.
    #[must_use]
    pub fn shared_monitor(&self) -> Option<Arc<Monitor>> {
        self.monitor.clone()
    }

    /// Judges the regions of one image; see [`Pipeline::judge`].
    #[must_use]
    pub fn judge_image<'a>(
        &self,
        image: impl Into<Frame<'a>>,
        regions: &[Region],
        levels: &Levels,
        top_k: usize,
    ) -> PipelineOutput {
        let job = Job { frame: &image.into(), regions };
        self.judge(&[job], levels, top_k, None).pop().unwrap_or_default()
    }

    /// Judges the regions of several images, one output per image in the same order. The regions of all images go through
    /// the network together, in batches that are cut out one after the other; the images take turns, so that one with many
    /// regions does not keep the others waiting. Regions whose turn would come after the deadline are not judged.
    ///
    /// Never fails: a region that cannot be judged gets a result that says why.
    #[must_use]
    pub fn judge(
        &self,
        jobs: &[Job<'_>],
        levels: &Levels,
        top_k: usize,
        deadline: Option<Deadline>,
    ) -> Vec<PipelineOutput> {
        let mut outputs: Vec<PipelineOutput> = jobs.iter().map(waiting).collect();
        let mut places = in_turns(jobs).peekable();
        while places.peek().is_some() {
            if let Some(deadline) = deadline.filter(Deadline::is_over) {
                let reason = format!(
                    "not judged: the deadline of {deadline} was over; ask for fewer regions or raise deadline_secs"
                );
                places.for_each(|place| place.result(&mut outputs).outcome = Err(reason.clone()));
                break;
            }
            let begun = Instant::now();
            let batch = self.cut_batch(jobs, &mut places, &mut outputs);
            if !batch.is_empty() {
                self.judge_batch(begun, &batch, levels, top_k, &mut outputs);
            }
        }
        outputs
    }

    /// Cuts out the regions whose turn it is, up to [`LARGEST_BATCH`]; those that cannot be cut out get their result.
    fn cut_batch(
        &self,
        jobs: &[Job<'_>],
        places: &mut impl Iterator<Item = Place>,
        outputs: &mut [PipelineOutput],
    ) -> Vec<(Place, Array3<f32>)> {
        let mut batch = Vec::new();
        while batch.len() < LARGEST_BATCH
            && let Some(place) = places.next()
        {
            let (frame, result) = (jobs[place.job].frame, place.result(outputs));
            match self.cut(frame, result.region) {
                Ok((judged, input)) => {
                    result.judged = Some(judged);
                    batch.push((place, input));
                }
                Err(error) => result.outcome = Err(error.to_string()),
            }
        }
        batch
    }

    fn cut(&self, frame: &Frame<'_>, region: Region) -> Result<(Region, Array3<f32>), FrameError> {
        let judged = region.clipped(frame.width(), frame.height())?;
        Ok((judged, frame::cut(frame, region, &self.classifier.manifest().input)?))
    }

    fn judge_batch(
        &self,
        begun: Instant,
        batch: &[(Place, Array3<f32>)],
        levels: &Levels,
        top_k: usize,
        outputs: &mut [PipelineOutput],
    ) {
        let passed = self.forward(batch);
        let network = begun.elapsed();
        match passed {
            Ok(activations) => {
                let activations = Arc::new(activations);
                for (row, (place, _)) in batch.iter().enumerate() {
                    let shown = outputs[place.job].activations.get_or_insert_with(|| Arc::clone(&activations));
                    let row_shown = Arc::ptr_eq(shown, &activations).then_some(row);
                    let result = place.result(outputs);
                    result.outcome = Ok(self.outcome(&activations.features(row), levels, top_k));
                    result.row = row_shown;
                }
            }
            // One image may be to blame, or there was no memory for so many: each has a pass of its own.
            Err(_) if batch.len() > 1 => {
                return batch.chunks(1).for_each(|one| self.judge_batch(Instant::now(), one, levels, top_k, outputs));
            }
            Err(reason) => batch.iter().for_each(|(place, _)| {
                let result = place.result(outputs);
                (result.judged, result.outcome) = (None, Err(reason.clone()));
            }),
        }
        let timings = Timings { network, monitor: begun.elapsed().saturating_sub(network) };
        let mut jobs: Vec<usize> = batch.iter().map(|(place, _)| place.job).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs.into_iter().for_each(|job| *outputs[job].timings.get_or_insert_default() += timings);
    }

    fn forward(&self, batch: &[(Place, Array3<f32>)]) -> Result<Activations, String> {
        let views: Vec<_> = batch.iter().map(|(_, input)| input.view()).collect();
        let images = stack(Axis(0), &views).map_err(|error| error.to_string())?;
        self.classifier.forward(images.view()).map_err(|error| error.to_string())
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

/// Where the result of a region belongs.
#[derive(Debug, Clone, Copy)]
struct Place {
    job: usize,
    region: usize,
}

impl Place {
    fn result(self, outputs: &mut [PipelineOutput]) -> &mut RegionResult {
        &mut outputs[self.job].results[self.region]
    }
}

/// The regions of all jobs: the first of each, then the second of each, and so on.
fn in_turns(jobs: &[Job<'_>]) -> impl Iterator<Item = Place> {
    let most = jobs.iter().map(|job| job.regions.len()).max().unwrap_or(0);
    let of_each = move |region| (0..jobs.len()).map(move |job| Place { job, region });
    (0..most).flat_map(of_each).filter(|place| place.region < jobs[place.job].regions.len())
}

/// Results to be filled in.
fn waiting(job: &Job<'_>) -> PipelineOutput {
    let result = |&region: &Region| RegionResult { region, judged: None, outcome: Err(String::new()), row: None };
    PipelineOutput { results: job.regions.iter().map(result).collect(), activations: None, timings: None }
}

fn best_classes(features: &Features, count: usize) -> Vec<Hypothesis> {
    let probabilities = features.softmax();
    let mut classes: Vec<Hypothesis> =
        probabilities.iter().enumerate().map(|(class, &score)| Hypothesis { class, score }).collect();
    classes.sort_by(|a, b| b.score.total_cmp(&a.score));
    classes.truncate(count);
    classes
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    #[test]
    fn the_images_take_turns() {
        let image = RgbImage::new(2, 2);
        let frame = Frame::from(&image);
        let regions = [Region::WHOLE; 3];
        let jobs = [3, 0, 1, 2].map(|count| Job { frame: &frame, regions: &regions[..count] });
        let turns: Vec<(usize, usize)> = in_turns(&jobs).map(|place| (place.job, place.region)).collect();
        assert_eq!(turns, [(0, 0), (2, 0), (3, 0), (0, 1), (3, 1), (0, 2)]);
        assert_eq!(in_turns(&[]).count(), 0);
    }

    #[test]
    fn a_deadline_counts_from_its_start_and_names_its_length() {
        let now = Instant::now();
        let later = Deadline::after(now, Duration::from_secs(3600));
        assert!(!later.is_over() && Deadline::after(now, Duration::ZERO).is_over());
        assert_eq!(Deadline::after(now, Duration::from_millis(80)).to_string(), "0.08 s");
    }
}
