//! The images of all cameras on their way through the network together.

use std::borrow::Borrow;
use std::time::{Duration, Instant};

use crate::calibration::OverTime;
use crate::frame::{DecodeOptions, Frame, FrameError, Note, Region};
use crate::intake::request::{Refusal, Request};
use crate::monitor::Monitor;
use crate::panics;
use crate::parameters::typed::Tuning;
use crate::pipeline::{Deadline, Job, Pipeline, PipelineOutput};

/// Judges regions of images; the node's view of the pipeline.
pub trait Judge {
    /// One output per job, in order. Problems are results. Regions that would begin after the deadline are not judged.
    fn judge(&mut self, jobs: &[Job<'_>], tuning: &Tuning, deadline: Option<Deadline>) -> Vec<PipelineOutput>;

    /// What verdicts over several images are calibrated with.
    fn over_time(&self) -> &OverTime {
        &OverTime::NONE
    }
}

/// A pipeline as a judge.
#[derive(Debug, Clone, Copy)]
pub struct PipelineJudge<P>(pub P);

impl<P: Borrow<Pipeline>> Judge for PipelineJudge<P> {
    fn judge(&mut self, jobs: &[Job<'_>], tuning: &Tuning, deadline: Option<Deadline>) -> Vec<PipelineOutput> {
        self.0.borrow().judge(jobs, &tuning.levels(), tuning.top_k, deadline)
    }

    fn over_time(&self) -> &OverTime {
        self.0.borrow().monitor().map_or(&OverTime::NONE, Monitor::over_time)
    }
}

/// What became of one image.
#[derive(Debug)]
pub struct Looked {
    /// What was found out, or why nothing was; `None` when there was nothing to look at.
    pub output: Option<Result<PipelineOutput, Refusal>>,
    /// The image where it had to be decoded as a whole.
    pub decoded: Option<Frame<'static>>,
    /// What is to be known of the image.
    pub notes: Vec<Note>,
    /// How it is read.
    pub options: DecodeOptions,
    /// Time from bytes to an image that can be cut; `None` when there was nothing to look at.
    pub decode: Option<Duration>,
}

/// An image with the regions to judge in it.
struct Opened<'a> {
    frame: Option<Result<Frame<'a>, Refusal>>,
    regions: Vec<Region>,
    options: DecodeOptions,
    decode: Option<Duration>,
}

/// Opens the images and judges their regions in one call. The result has one entry per request, in order.
pub fn look_at(
    judge: &mut impl Judge,
    requests: &[(&Request, DecodeOptions)],
    tuning: &Tuning,
    begun: Instant,
) -> Vec<Looked> {
    let opened: Vec<Opened<'_>> = requests.iter().map(|(request, options)| open(request, *options)).collect();
    let jobs: Vec<Job<'_>> = opened.iter().filter_map(Opened::job).collect();
    let deadline = (!tuning.deadline.is_zero()).then(|| Deadline::after(begun, tuning.deadline));
    let mut outputs = judged(judge, &jobs, tuning, deadline).into_iter();
    let mut next = || outputs.next().unwrap_or_else(|| Ok(PipelineOutput::default()));
    opened.into_iter().map(|opened| opened.looked(&mut next)).collect()
}

/// One output per job, in order. A failure that the images share is looked into image by image, so that the one that causes it
/// leaves the others alone.
fn judged(
    judge: &mut impl Judge,
    jobs: &[Job<'_>],
    tuning: &Tuning,
    deadline: Option<Deadline>,
) -> Vec<Result<PipelineOutput, Refusal>> {
    if jobs.is_empty() {
        return Vec::new();
    }
    match guarded(|| judge.judge(jobs, tuning, deadline)) {
        Ok(outputs) => outputs.into_iter().map(Ok).collect(),
        Err(refusal) if jobs.len() == 1 => vec![Err(refusal)],
        Err(_) => jobs.chunks(1).flat_map(|job| judged(judge, job, tuning, deadline)).collect(),
    }
}

/// Opens the image of a request, unless there is nothing to judge in it.
fn open(request: &Request, options: DecodeOptions) -> Opened<'_> {
    let regions: Vec<Region> = request.regions.iter().map(|named| named.region).collect();
    if regions.is_empty() {
        return Opened { frame: None, regions, options, decode: None };
    }
    let begun = Instant::now();
    let frame = guarded(|| request.picture.frame(&options));
    let frame = frame.and_then(|frame| frame.map_err(|error| undecodable(&error)));
    Opened { frame: Some(frame), regions, options, decode: Some(begun.elapsed()) }
}

impl Opened<'_> {
    fn job(&self) -> Option<Job<'_>> {
        let Some(Ok(frame)) = &self.frame else { return None };
        Some(Job { frame, regions: &self.regions })
    }

    /// `next` gives the output of the next job.
    fn looked(self, next: &mut impl FnMut() -> Result<PipelineOutput, Refusal>) -> Looked {
        let Self { frame, options, decode, .. } = self;
        match frame {
            None => Looked { output: None, decoded: None, notes: Vec::new(), options, decode },
            Some(Err(refusal)) => {
                Looked { output: Some(Err(refusal)), decoded: None, notes: Vec::new(), options, decode }
            }
            Some(Ok(frame)) => {
                let notes = frame.notes().to_vec();
                let decoded = frame.into_owned().filter(Frame::is_whole);
                Looked { output: Some(next()), decoded, notes, options, decode }
            }
        }
    }
}

/// Runs `action`; a panic in it becomes a reason.
fn guarded<T>(action: impl FnOnce() -> T) -> Result<T, Refusal> {
    panics::caught(action).map_err(|cause| {
        let reason = format!("judging failed inside the program, please report it: {cause}");
        Refusal { kind: "failure inside the program", reason }
    })
}

fn undecodable(error: &FrameError) -> Refusal {
    Refusal { kind: kind(error), reason: error.to_string() }
}

/// Short name of a decoding problem, for the counters.
fn kind(error: &FrameError) -> &'static str {
    match error {
        FrameError::Encoding { .. } => "unsupported encoding",
        FrameError::Depth { .. } => "depth image",
        FrameError::Format { .. } => "unsupported format",
        FrameError::Empty { .. } | FrameError::TooLarge { .. } | FrameError::Odd { .. } => "impossible dimensions",
        FrameError::Step { .. } | FrameError::DataLength { .. } => "wrong data size",
        FrameError::Truncated { .. } | FrameError::Jpeg(_) | FrameError::Decode(_) => "corrupt image",
        _ => "undecodable image",
    }
}
