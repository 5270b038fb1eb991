//! How long it takes until a camera's state is CHANGED, on drawn drives on which something begins and stays.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use activation_monitor::frame::Region;
use activation_monitor::model::DeviceChoice;
use activation_monitor::monitor::Levels;
use activation_monitor::pipeline::Pipeline;
use activation_monitor::scenario::{Anomaly, Drive, DriveSettings, Lasting, SeenSign};
use activation_monitor::stream::{CameraStream, ChangeState, Judged, StreamSettings, View};
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::Arguments;
use super::objects::{Judged as Signs, rows_of};

/// When something begins, and how long the drives are, in seconds.
const FROM_SECS: f32 = 15.0;
const SECONDS: f32 = 30.0;
/// Length of drives on which known and strange signs alternate, in seconds.
const MIXED_SECONDS: f32 = 40.0;
const RATE_HZ: f32 = 10.0;
/// Drawn at a time.
const BATCH: usize = 20;

/// What came of one drive, in seconds.
struct Outcome {
    /// From the first region that shows it until the camera was CHANGED.
    delay: Option<f32>,
    /// Part of it: images with a region, times the period.
    seen: f32,
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
         the anomaly: seconds from the first region that shows it until the camera is CHANGED, and how many of them had a sign to judge (in fog and \
         behind dirt signs are seen late and one by one).\n\n\
         | anomaly | found | median delay, s | longest, s | median, s with a sign | alarms before |\n|---|---:|---:|---:|---:|---:|\n",
        arguments.drives
    );
    for anomaly in anomalies {
        let mut outcomes = Vec::new();
        for &seed in &arguments.drives {
            outcomes.push(drive(&pipeline, anomaly, seed)?);
            bar.inc(1);
        }
        let sorted = |of: &dyn Fn(&Outcome) -> f32| {
            let mut values: Vec<f32> =
                outcomes.iter().map(|one| one.delay.map_or(f32::INFINITY, |_| of(one))).collect();
            values.sort_by(f32::total_cmp);
            values
        };
        let delays = sorted(&|one| one.delay.unwrap_or_default());
        let seen = sorted(&|one| one.seen);
        let (found, early) = (
            delays.iter().filter(|delay| delay.is_finite()).count(),
            outcomes.iter().map(|one| one.early).sum::<u32>(),
        );
        let secs = |delay: f32| if delay.is_finite() { format!("{delay:.1}") } else { "–".to_owned() };
        let (median, longest) = (secs(delays[delays.len() / 2]), secs(delays[delays.len() - 1]));
        let (name, of, seen) = (anomaly.name(), delays.len(), secs(seen[seen.len() / 2]));
        let _ = writeln!(text, "| {name} | {found} of {of} | {median} | {longest} | {seen} | {early} |");
    }
    bar.finish_and_clear();
    let signs = signs(&pipeline, &arguments.drives)?;
    let _ = writeln!(
        text,
        "\nSigns of mixed drives (the same seeds, {MIXED_SECONDS} s, shipped monitor): {} known and {} strange ones.\n\n{}",
        signs.known.len(),
        signs.unknown.len(),
        rows_of(&signs)
    );
    Ok(text)
}

/// The signs of mixed drives, known and strange ones, with what is said of their views.
fn signs(pipeline: &Pipeline, seeds: &[u64]) -> Result<Signs> {
    let over_time = pipeline.monitor().context("the drives need a monitor")?.over_time().clone();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for &seed in seeds {
        let drive = Drive::new(DriveSettings { seed, seconds: MIXED_SECONDS, width: 1280, height: 720, lasting: None });
        let mut tracks: BTreeMap<String, (bool, Vec<Judged>)> = BTreeMap::new();
        film(pipeline, &drive, MIXED_SECONDS, |_, signs, views| {
            for (sign, view) in signs.iter().zip(views) {
                let track = tracks.entry(sign.id.clone()).or_insert((sign.anomaly.is_some(), Vec::new()));
                track.1.extend(view.judged);
            }
        });
        let (strange, usual): (Vec<_>, Vec<_>) = tracks.into_values().partition(|(is_strange, _)| *is_strange);
        known.extend(usual.into_iter().map(|(_, views)| views));
        unknown.extend(strange.into_iter().map(|(_, views)| views));
    }
    Ok(Signs { seed: 0, over_time, known, unknown })
}

/// Draws a drive and judges its signs; hands every frame with its time in seconds and the views to `each`.
fn film(pipeline: &Pipeline, drive: &Drive, seconds: f32, mut each: impl FnMut(f32, &[SeenSign], &[View<'_>])) {
    let levels = Levels::default();
    let frames: Vec<usize> = (0..(seconds * RATE_HZ) as usize).collect();
    for batch in frames.chunks(BATCH) {
        let drawn: Vec<_> = batch.par_iter().map(|&frame| drive.frame(frame as f32 / RATE_HZ)).collect();
        for (&frame, (image, signs)) in batch.iter().zip(drawn) {
            let regions: Vec<Region> = signs.iter().map(|sign| region(sign.rectangle)).collect();
            let output = pipeline.judge_image(image, &regions, &levels, 1);
            let views = signs.iter().zip(&output.results).map(|(sign, result)| {
                let judgement = result.outcome.as_ref().ok().and_then(|outcome| outcome.judgement.as_ref());
                View { id: &sign.id, judged: judgement.map(Judged::from) }
            });
            each(frame as f32 / RATE_HZ, &signs, &views.collect::<Vec<_>>());
        }
    }
}

fn drive(pipeline: &Pipeline, anomaly: Anomaly, seed: u64) -> Result<Outcome> {
    let over_time = pipeline.monitor().context("the drives need a monitor")?.over_time();
    let lasting = Some(Lasting { anomaly, from_secs: FROM_SECS });
    let drive = Drive::new(DriveSettings { seed, seconds: SECONDS, width: 1280, height: 720, lasting });
    let (mut stream, alarm_level) = (CameraStream::new(StreamSettings::default()), Levels::default().alarm);
    let (mut begin, mut outcome) = (None, Outcome { delay: None, seen: 0.0, early: 0 });
    film(pipeline, &drive, SECONDS, |secs, signs, views| {
        if begin.is_none() && signs.iter().any(|sign| sign.anomaly.is_some()) {
            begin = Some(secs);
        }
        let change = stream.observe(Duration::from_secs_f32(secs), views, over_time, alarm_level).change;
        match begin {
            None => outcome.early = change.alarms,
            Some(begin) if outcome.delay.is_none() => {
                outcome.seen += if signs.is_empty() { 0.0 } else { 1.0 / RATE_HZ };
                outcome.delay = (change.state == ChangeState::Changed).then_some(secs - begin);
            }
            Some(_) => {}
        }
    });
    Ok(outcome)
}

fn region([x, y, width, height]: [u32; 4]) -> Region {
    Region { x, y, width, height }
}
