//! How long it takes until a camera's state is CHANGED, on drawn drives on which something begins and stays.

use std::fmt::Write as _;
use std::time::Duration;

use activation_monitor::frame::Region;
use activation_monitor::model::DeviceChoice;
use activation_monitor::monitor::Levels;
use activation_monitor::pipeline::Pipeline;
use activation_monitor::scenario::{Anomaly, Drive, DriveSettings, Lasting};
use activation_monitor::stream::{CameraStream, ChangeState, Judged, StreamSettings, View};
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::Arguments;

/// When something begins, and how long the drives are, in seconds.
const FROM_SECS: f32 = 15.0;
const SECONDS: f32 = 30.0;
const RATE_HZ: f32 = 10.0;
/// Drawn at a time.
const BATCH: usize = 20;

/// What came of one drive, in seconds.
struct Outcome {
    /// From the first region that shows it until the camera was CHANGED.
    delay: Option<f32>,
    /// Alarms before that.
    early: u32,
}

/// The table of delays.
pub fn measure(arguments: &Arguments) -> Result<String> {
    let pipeline = Pipeline::load(&arguments.model, Some(&arguments.monitor), &DeviceChoice::Cpu)?;
    let anomalies: Vec<Anomaly> = Anomaly::ALL.into_iter().chain([Anomaly::CoveredLens]).collect();
    let bar = ProgressBar::new((anomalies.len() * arguments.drives.len()) as u64);
    let mut text = format!(
        "\n### Drives\n\nDrawn drives (seeds {:?}, 10 Hz, shipped monitor, one promised false alarm in 10 h) on which every sign from {FROM_SECS} s on has \
         the anomaly: seconds from the first region that shows it until the camera is CHANGED.\n\n\
         | anomaly | found | median delay, s | longest, s | alarms before |\n|---|---:|---:|---:|---:|\n",
        arguments.drives
    );
    for anomaly in anomalies {
        let mut outcomes = Vec::new();
        for &seed in &arguments.drives {
            outcomes.push(drive(&pipeline, anomaly, seed)?);
            bar.inc(1);
        }
        let mut delays: Vec<f32> = outcomes.iter().map(|outcome| outcome.delay.unwrap_or(f32::INFINITY)).collect();
        delays.sort_by(f32::total_cmp);
        let (found, early) = (
            delays.iter().filter(|delay| delay.is_finite()).count(),
            outcomes.iter().map(|one| one.early).sum::<u32>(),
        );
        let secs = |delay: f32| if delay.is_finite() { format!("{delay:.1}") } else { "–".to_owned() };
        let (median, longest) = (secs(delays[delays.len() / 2]), secs(delays[delays.len() - 1]));
        let _ = writeln!(text, "| {} | {found} of {} | {median} | {longest} | {early} |", anomaly.name(), delays.len());
    }
    bar.finish_and_clear();
    Ok(text)
}

fn drive(pipeline: &Pipeline, anomaly: Anomaly, seed: u64) -> Result<Outcome> {
    let over_time = pipeline.monitor().context("the drives need a monitor")?.over_time();
    let lasting = Some(Lasting { anomaly, from_secs: FROM_SECS });
    let drive = Drive::new(DriveSettings { seed, seconds: SECONDS, width: 1280, height: 720, lasting });
    let (mut stream, levels) = (CameraStream::new(StreamSettings::default()), Levels::default());
    let (mut begin, mut outcome) = (None, Outcome { delay: None, early: 0 });
    let frames: Vec<usize> = (0..(SECONDS * RATE_HZ) as usize).collect();
    for batch in frames.chunks(BATCH) {
        let drawn: Vec<_> = batch.par_iter().map(|&frame| drive.frame(frame as f32 / RATE_HZ)).collect();
        for (&frame, (image, signs)) in batch.iter().zip(drawn) {
            let secs = frame as f32 / RATE_HZ;
            if begin.is_none() && signs.iter().any(|sign| sign.anomaly.is_some()) {
                begin = Some(secs);
            }
            let regions: Vec<Region> = signs.iter().map(|sign| region(sign.rectangle)).collect();
            let output = pipeline.judge_image(image, &regions, &levels, 1);
            let views = signs.iter().zip(&output.results).map(|(sign, result)| {
                let judgement = result.outcome.as_ref().ok().and_then(|outcome| outcome.judgement.as_ref());
                View { id: &sign.id, judged: judgement.map(Judged::from) }
            });
            let views: Vec<View<'_>> = views.collect();
            let change = stream.observe(Duration::from_secs_f32(secs), &views, over_time, levels.alarm).change;
            match begin {
                None => outcome.early = change.alarms,
                Some(begin) if change.state == ChangeState::Changed && outcome.delay.is_none() => {
                    outcome.delay = Some(secs - begin);
                }
                Some(_) => {}
            }
        }
    }
    Ok(outcome)
}

fn region([x, y, width, height]: [u32; 4]) -> Region {
    Region { x, y, width, height }
}
