//! Loads the real node with camera images and measures its answers, its processor time and its memory.
//!
//! ```text
//! tools/load_test                              1280×720 at 30 Hz
//! tools/load_test --suite --soak --peer        the table of docs/performance.md
//! tools/load_test --publish-only               a camera for any node
//! ```
//!
//! The node runs as a process of its own. This one publishes drawn images that were serialised beforehand, from one
//! thread per camera, and listens to the answers, so that no other language's serialisation is measured. Run it by
//! `tools/load_test`: it builds everything and keeps to a ROS domain of its own.

#[path = "../support/markdown.rs"]
mod markdown;
#[path = "../support/program.rs"]
mod program;

mod camera;
mod client;
mod footage;
mod options;
mod process;
mod report;
mod statistics;
mod subject;
mod trial;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use activation_monitor::scenario::{CLASS_NAMES, draw_training_sign};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use rayon::prelude::*;

use self::camera::{Camera, CameraTopics};
use self::footage::{Encoding, Footage};
use self::markdown::replace_section;
use self::options::{Options, Scenario};
use self::report::Row;
use self::subject::Kind;
use self::trial::Setting;

/// Measured seconds of a repetition.
const DURATION_SECS: f64 = 20.0;
/// Repetitions where several rows are compared.
const REPETITIONS: u32 = 3;
/// Images per second with and without recording.
const RECORDER_HZ: f64 = 10.0;
/// Images per class that the peer is fitted on.
const FIT_IMAGES: u64 = 20;
const FIT_SIDE_PX: u32 = 64;

/// Becomes true with Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

fn main() -> Result<()> {
    let options = Options::parse();
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))?;
    let context = r2r::Context::create()?;
    if options.publish_only {
        return publish_only(&context, &options);
    }
    let mut rows = rows(&options)?;
    measure(&context, &options, &mut rows)?;
    let to_stdout = options.json.as_deref() != Some(Path::new("-"));
    let text = report::text(&rows);
    if to_stdout {
        println!("{text}");
    } else {
        eprintln!("{text}");
    }
    if let Some(path) = &options.json {
        report::write(&report::json(&rows)?, path)?;
    }
    if let Some(path) = &options.markdown {
        replace_section(path, "load_test", &report::markdown(&rows))?;
    }
    let failed: Vec<&str> = rows.iter().filter_map(|row| row.failure.as_deref()).collect();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

fn publish_only(context: &r2r::Context, options: &Options) -> Result<()> {
    let scenario = &options.scenario;
    let mut node = r2r::Node::create(context.clone(), "load_test_camera", "")?;
    let footage = Footage::draw(scenario)?;
    let mut cameras = Vec::new();
    for index in 0..scenario.cameras as usize {
        let number = if scenario.cameras == 1 { String::new() } else { format!("_{index}") };
        let image = format!("{}{number}", options.topic);
        let topics = CameraTopics { regions: format!("{image}/regions"), image };
        eprintln!("{} on {}", scenario.title(), topics.image);
        cameras.push(Camera::new(&mut node, &topics, footage.clone(), scenario, index)?);
    }
    camera::film_alone(&mut cameras, scenario.rate_hz, options.timing.duration_secs)
}

/// What is to be measured.
fn rows(options: &Options) -> Result<Vec<Row>> {
    let Options { scenario: given, timing, suite, soak, peer, recorder, .. } = options;
    let hd = Scenario { width: 1280, height: 720, rate_hz: 30.0, cameras: 1, ..*given };
    let full_hd = Scenario { width: 1920, height: 1080, ..hd };
    let four = Scenario { rate_hz: 15.0, cameras: 4, ..hd };
    let base = if *suite { hd } else { *given };
    if *recorder {
        let jpeg = Scenario { rate_hz: RECORDER_HZ, compressed: true, ..*given };
        let without = row(options, "monitor_node", Kind::MonitorNode, jpeg)?;
        return Ok(vec![without, row(options, "monitor_node, recording", Kind::MonitorRecording, jpeg)?]);
    }
    let mut rows = Vec::new();
    if *suite || !soak {
        rows.push(row(options, "monitor_node", Kind::MonitorNode, base)?);
    }
    if *peer {
        ensure_peer_can(base)?;
        // Beside the node that it is compared with.
        rows.push(row(options, "peer_node", Kind::PeerNode, base)?);
    }
    if *suite {
        rows.push(row(options, "monitor_node", Kind::MonitorNode, full_hd)?);
        rows.push(row(options, "monitor_node", Kind::MonitorNode, four)?);
    }
    if *soak {
        let row = row(options, "monitor_node, soak", Kind::MonitorNode, four)?;
        rows.push(Row { duration_secs: timing.soak_secs, repetitions: 1, ..row });
    }
    Ok(rows)
}

fn row(options: &Options, name: &str, subject: Kind, scenario: Scenario) -> Result<Row> {
    let Options { timing, suite, peer, recorder, .. } = options;
    let known = scenario.cameras == 1 || subject::has_parameter(&options.subjects, "cameras")?;
    Ok(Row {
        name: name.to_owned(),
        subject,
        scenario,
        unavailable: (!known).then(|| "this monitor_node has no parameter `cameras`".to_owned()),
        duration_secs: timing.duration_secs.unwrap_or(DURATION_SECS),
        repetitions: timing.repetitions.unwrap_or(if *suite || *peer || *recorder { REPETITIONS } else { 1 }),
        failure: None,
        trials: Vec::new(),
    })
}

fn ensure_peer_can(scenario: Scenario) -> Result<()> {
    let Scenario { cameras, compressed, regions, encoding, .. } = scenario;
    ensure!(
        cameras == 1 && !compressed && regions == 0 && encoding == Encoding::Rgb8,
        "the peer takes whole rgb8 images of one camera, not {}",
        scenario.title()
    );
    Ok(())
}

/// Measures all rows in turns, so that a noisy minute of the machine does not hit one of them alone.
fn measure(context: &r2r::Context, options: &Options, rows: &mut [Row]) -> Result<()> {
    eprintln!("drawing {} images for every scenario ...", options.scenario.frames);
    let footage = rows.iter().map(|row| Footage::draw(&row.scenario)).collect::<Result<Vec<_>>>()?;
    let fit = options.peer.then(draw_fit).transpose()?;
    let mut number = 0;
    for repetition in 0..rows.iter().map(|row| row.repetitions).max().unwrap_or(0) {
        for (row, footage) in rows.iter_mut().zip(&footage) {
            if row.reason().is_some() || repetition >= row.repetitions {
                continue;
            }
            eprintln!(
                "{} ({}), {} of {}: {} s ...",
                row.name,
                row.scenario.title(),
                repetition + 1,
                row.repetitions,
                row.duration_secs
            );
            let setting = Setting {
                kind: row.subject,
                subjects: &options.subjects,
                scenario: &row.scenario,
                footage,
                fit: fit.as_ref().map(tempfile::TempDir::path),
                duration_secs: row.duration_secs,
                warmup_secs: options.timing.warmup_secs,
            };
            match trial::run(context, &setting, number) {
                Ok(trial) => row.trials.push(trial),
                Err(error) if interrupted() => return Err(error),
                // The other rows are worth having all the same.
                Err(error) => row.failure = Some(format!("{}: {error}", row.name)),
            }
            number += 1;
        }
    }
    Ok(())
}

/// Drawn signs as `<class>/<number>.png` for the detectors of the peer.
fn draw_fit() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir().context("cannot make a folder for the images that the peer is fitted on")?;
    (0..CLASS_NAMES.len()).into_par_iter().try_for_each(|class| draw_class(folder.path(), class))?;
    Ok(folder)
}

fn draw_class(folder: &Path, class: usize) -> Result<()> {
    let folder = folder.join(format!("{class:02}"));
    std::fs::create_dir(&folder)?;
    for number in 0..FIT_IMAGES {
        draw_training_sign(class, number, FIT_SIDE_PX).save(folder.join(format!("{number:02}.png")))?;
    }
    Ok(())
}
