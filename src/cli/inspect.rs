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
    monitor::{
        FileKind, FitSettings, Metadata, ModelField, ModelId, Monitor, MonitorFile, ObjectSummary, OverTimeSummary,
        Shard, short_id,
    },
};

const EXAMPLES: &str = "\
Examples:
  activation-monitor inspect signs.monitor
  activation-monitor inspect signs.monitor --json | jq .calibration

The whole file is read and its checksum compared, so this also finds damage.";

/// Say what is inside a monitor file or shard, and check it for damage
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Inspect {
    /// Monitor file or shard
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
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
    writeln!(text, "training    {} images, {} classified correctly", training.images, training.correct)?;
    writeln!(text, "calibration {} images, {} classified correctly", calibration.images, calibration.correct)?;
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
