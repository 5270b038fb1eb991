//! `inspect`: what is inside a monitor file.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::output;
use crate::{
    activation::{FeatureLayout, LayerKind},
    evaluation::{Needed, RealisedRate, Wanted},
    monitor::{
        DriveSummary, FileKind, FitSettings, Metadata, ModelField, ModelId, Monitor, MonitorFile, ObjectSummary,
        OverTimeSummary, Recalibration, Shard, short_id,
    },
};

const EXAMPLES: &str = "\
Examples:
  activation-monitor inspect signs.monitor
  activation-monitor inspect signs.monitor --json | jq .calibration
  activation-monitor inspect signs.monitor --want 'one per 10 h at 15 Hz'

The whole file is read and its checksum compared, so this also finds damage.";

/// Say what is inside a monitor file or shard, and check it for damage
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// Monitor file or shard
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["promise", "want"])]
    json: bool,
    /// Say what rates of false alarms this calibration can promise
    #[arg(long)]
    promise: bool,
    /// Say what calibration a rate of false alarms needs, for example 'one per 10 h at 15 Hz'
    #[arg(long, value_name = "RATE")]
    want: Option<Wanted>,
}

/// The JSON of a monitor.
#[derive(Serialize)]
struct MonitorContent<'a> {
    id: &'a str,
    sha256: &'a str,
    /// No fused p-value is below this, 0..1.
    smallest_p_value: f32,
    /// From this level on an alarm is possible for every class, 0..1.
    reachable_alarm_level: f32,
    #[serde(flatten)]
    metadata: &'a Metadata,
}

/// The JSON of a shard.
#[derive(Serialize)]
struct ShardContent<'a> {
    model: &'a ModelId,
    layout: &'a FeatureLayout,
    settings: &'a FitSettings,
    training_images: usize,
    calibration_images: usize,
}

#[derive(Serialize)]
struct Tagged<'a, T> {
    kind: FileKind,
    #[serde(flatten)]
    content: &'a T,
}

impl Inspect {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match MonitorFile::load(&self.file)? {
            MonitorFile::Monitor(monitor) if self.promise || self.want.is_some() => {
                output::print(&promise(monitor.metadata(), self.want.as_ref())?)
            }
            MonitorFile::Shard(_) if self.promise || self.want.is_some() => {
                anyhow::bail!("{} is a shard, which promises nothing: `merge` makes a monitor", self.file.display())
            }
            MonitorFile::Monitor(monitor) => {
                self.show(FileKind::Monitor, &MonitorContent::new(&monitor), describe_monitor)
            }
            MonitorFile::Shard(shard) => self.show(FileKind::Shard, &ShardContent::new(&shard), describe_shard),
        }
    }

    fn show<T: Serialize>(
        &self,
        kind: FileKind,
        content: &T,
        describe: impl Fn(&T) -> Result<String, std::fmt::Error>,
    ) -> anyhow::Result<()> {
        if self.json {
            return output::print_json(&Tagged { kind, content });
        }
        output::print(&format!("{}\n{}", heading(&self.file, kind)?, describe(content)?))
    }
}

impl<'a> MonitorContent<'a> {
    fn new(monitor: &'a Monitor) -> Self {
        Self {
            id: monitor.id(),
            sha256: monitor.sha256(),
            smallest_p_value: monitor.smallest_p_value(),
            reachable_alarm_level: monitor.reachable_alarm_level(),
            metadata: monitor.metadata(),
        }
    }
}

impl<'a> ShardContent<'a> {
    fn new(shard: &'a Shard) -> Self {
        Self {
            model: &shard.model,
            layout: shard.training.layout(),
            settings: &shard.settings,
            training_images: shard.training.len(),
            calibration_images: shard.calibration.len(),
        }
    }
}

/// What a calibration can promise, and what a wanted rate needs.
fn promise(metadata: &Metadata, want: Option<&Wanted>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let calibration = &metadata.calibration;
    writeln!(text, "calibration {}", calibration.in_words())?;
    for (what, samples) in [("images", calibration.images), ("tracks", calibration.tracks)] {
        if samples == 0 {
            writeln!(text, "{what:<11} were not counted: fit the monitor again to learn more")?;
            continue;
        }
        writeln!(
            text,
            "if {what} are independent: no p-value below {:.2e}; rate of false alarms",
            1.0 / (samples as f64 + 1.0)
        )?;
        for level in [0.1, 0.01, 0.001] {
            match RealisedRate::of(level, samples) {
                Some(RealisedRate { interval, .. }) => writeln!(
                    text,
                    "  at {:>4} %   {:.3} to {:.3} % with 95 % confidence",
                    100.0 * level,
                    100.0 * interval.low,
                    100.0 * interval.high
                )?,
                None => writeln!(text, "  at {:>4} %   nothing can alarm", 100.0 * level)?,
            }
        }
    }
    writeln!(text, "Frames of one track are alike: believe the figures for tracks.")?;
    want.map_or(Ok(()), |want| write_needed(&mut text, metadata, want))?;
    Ok(text)
}

fn write_needed(text: &mut String, metadata: &Metadata, want: &Wanted) -> std::fmt::Result {
    let (rate, calibration) = (want.rate(), &metadata.calibration);
    let Needed { on_average, with_confidence } = Needed::for_rate(rate);
    writeln!(text, "wanted      a false alarm in {:.0} images: an alarm_level of {rate:.2e}", 1.0 / rate)?;
    // As many images per track as in this calibration.
    let per_track = calibration.images as f64 / calibration.tracks.max(1) as f64;
    let hours = |tracks: u64| tracks as f64 * per_track / want.images_per_sec / 3600.0;
    for (how, tracks) in [("on average", on_average), ("with 95 % confidence", with_confidence)] {
        write!(text, "  {how:<20} needs {tracks} independent tracks")?;
        match calibration.tracks {
            0 => writeln!(text)?,
            _ => writeln!(text, ", {:.1} h of nominal driving with {per_track:.1} images each", hours(tracks))?,
        }
    }
    let is_reachable = calibration.tracks as u64 >= on_average;
    writeln!(text, "  this calibration {}", if is_reachable { "has enough on average" } else { "has too few" })?;
    writeln!(
        text,
        "Alarms of the camera as a whole need no such level: see the parameter mean_time_between_false_alarms."
    )
}

fn heading(path: &Path, kind: FileKind) -> anyhow::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    let name = match kind {
        FileKind::Monitor => "monitor",
        FileKind::Shard => "shard of a monitor",
    };
    Ok(format!("{}: {name}, {}, checksum correct", path.display(), indicatif::HumanBytes(bytes)))
}

fn write_over_time(text: &mut String, over_time: &OverTimeSummary) -> std::fmt::Result {
    match &over_time.objects {
        Some(ObjectSummary { tracks, views }) => {
            writeln!(text, "objects     {tracks} calibration tracks of {views} views")?;
        }
        None => writeln!(text, "objects     no verdicts, see the notes")?,
    }
    match over_time.haircut {
        Some(haircut) => writeln!(text, "streams     bets with a haircut of {haircut:.3}"),
        None => writeln!(text, "streams     not watched, see the notes"),
    }
}

fn describe_monitor(monitor: &MonitorContent<'_>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let metadata = monitor.metadata;
    let (training, calibration) = (&metadata.training, &metadata.calibration);
    writeln!(text, "id          {}", monitor.id)?;
    write_model(&mut text, &metadata.model, &metadata.layout)?;
    writeln!(text, "fitted      by version {}, seed {}", metadata.tool_version, metadata.settings.seed)?;
    writeln!(text, "training    {}", training.in_words())?;
    writeln!(text, "calibration {}", calibration.in_words())?;
    if let Some(recalibration) = &metadata.recalibration {
        write_recalibration(&mut text, recalibration)?;
    }
    writeln!(text, "{}", limits(monitor.smallest_p_value, monitor.reachable_alarm_level))?;
    write_over_time(&mut text, &metadata.over_time)?;
    writeln!(text, "detectors")?;
    for detector in &metadata.detectors {
        let figures: Vec<String> = detector.summary.iter().map(|(name, value)| format!("{name} {value}")).collect();
        writeln!(text, "  {:<18} {}", detector.name, figures.join(", "))?;
    }
    metadata.notes.iter().try_for_each(|note| writeln!(text, "note: {note}"))?;
    Ok(text)
}

/// Where the calibration comes from that replaced the one of `fit`.
fn write_recalibration(text: &mut String, recalibration: &Recalibration) -> std::fmt::Result {
    let Recalibration { monitor, before, drives, is_accepted } = recalibration;
    let accepted = if *is_accepted { ", accepted as they are" } else { "" };
    writeln!(text, "  on        {} nominal drives{accepted}; alarms at 10, 1, 0.1 % before and after", drives.len())?;
    for drive in drives {
        let DriveSummary { name, images, before, .. } = drive;
        let (before, after) = (before.in_words(), drive.after_in_words());
        writeln!(text, "  {name:<18} {}, {before} → {after}", images.in_words())?;
    }
    writeln!(text, "  replaces  {} of monitor {}", before.in_words(), short_id(monitor))
}

/// How small fused p-values can get.
fn limits(smallest: f32, reachable: f32) -> String {
    let rarest = format!(", for the rarest class never below {reachable:.2e}");
    let rarest = if reachable > smallest { rarest.as_str() } else { "" };
    format!("p-values    never below {smallest:.2e}{rarest}: a lower alarm level cannot alarm")
}

fn describe_shard(shard: &ShardContent<'_>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let detectors: Vec<&str> = shard.settings.detectors.iter().map(|kind| kind.name()).collect();
    write_model(&mut text, shard.model, shard.layout)?;
    writeln!(text, "training    {} images", shard.training_images)?;
    writeln!(text, "calibration {} images", shard.calibration_images)?;
    writeln!(text, "to be fitted: {}; seed {}", detectors.join(", "), shard.settings.seed)?;
    Ok(text)
}

fn write_model(text: &mut String, model: &ModelId, layout: &FeatureLayout) -> std::fmt::Result {
    writeln!(text, "model       {}, SHA-256 {}", short_id(&model.sha256), model.sha256)?;
    writeln!(text, "classes     {}: {}", model.classes.len(), model.classes.join(", "))?;
    writeln!(text, "layers")?;
    for (index, layer) in layout.layers.iter().enumerate() {
        let kind = match layer.kind {
            LayerKind::Vector => "neurons",
            LayerKind::Map => "feature maps",
        };
        let role = if index == layout.penultimate { " (penultimate)" } else { "" };
        writeln!(text, "  {:<18} {} {kind}{role}", layer.name, layer.channels)?;
    }
    writeln!(text, "model.json  must have these classes and layers, and")?;
    let told = ["classes", "layers", "penultimate"];
    let mut fields = model.fields(layout).into_iter().filter(|field| !told.contains(&field.name.as_str()));
    fields.try_for_each(|ModelField { name, value }| writeln!(text, "  {name:<18} {value}"))
}
