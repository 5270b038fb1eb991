//! `replay`: what the monitor would have said of recorded drives.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{bags, interrupt, output};
use crate::dataset::bag::BagWriter;
use crate::inference::messages::Identity;
use crate::model::DeviceChoice;
use crate::monitor::{Monitor, short_id};
use crate::parameters::overrides::{self, Overrides};
use crate::parameters::settings::Settings;
use crate::pipeline::Pipeline;
use crate::replay::{
    BagReport, Choice, Condition, Counter, Failure, NODE, OpenBag, Outputs, Played, Player, ReplayPage, RowFile, Tally,
    Timeline, TruthTable, figures_to_json, junit, report_json,
};

const EXAMPLES: &str = "\
Examples:
  activation-monitor replay --model models/signs --monitor signs.monitor drive
  activation-monitor replay --model models/signs --monitor signs.monitor \\
      drives --ground-truth truth.csv --json rows.jsonl --report report \\
      --fail-on 'false_alarms_per_hour>10' \\
      --fail-on 'detection_delay_secs_p95>1'

Judges every image of a bag as the node would, by the same code, with the same
parameters (-p, --params-file) and in the time of the bag. Exit codes: 0 done,
1 failed, 2 wrong usage, 3 a --fail-on condition holds.";

/// Replay recorded drives and say what the monitor would have said
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Replay {
    /// Folder of the model: model.pt (TorchScript) and model.json
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Monitor file that `fit` made for this model
    #[arg(long, value_name = "FILE")]
    monitor: PathBuf,
    /// Where the model runs: auto, cpu or cuda:N
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// rosbag2 recordings: folders, .mcap or .db3 files, or folders of them
    #[arg(required = true, value_name = "BAG")]
    bags: Vec<PathBuf>,
    /// Topics of images; all that there are when left out
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Topics of regions (RegionArray or vision_msgs/Detection2DArray); those that there are when left out
    #[arg(long, value_name = "TOPIC", conflicts_with = "whole_images")]
    regions: Vec<String>,
    /// Judge whole images, whatever regions there are
    #[arg(long)]
    whole_images: bool,
    /// What is true: a topic of GroundTruthArray, or a CSV file with begin_secs,end_secs and any of object, class_name,
    /// anomaly, bag, topic
    #[arg(long, value_name = "TOPIC|FILE.csv")]
    ground_truth: Option<String>,
    /// Write the node's messages: a .mcap file or a folder for one bag, a folder of recordings for several
    #[arg(long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Write one line of JSON per region
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write one row per region
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a report: index.html and report.json
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Write the conditions and the figures of every bag as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Exit with code 3 when this holds, for example false_alarms_per_hour>10
    #[arg(long, value_name = "EXPR")]
    fail_on: Vec<Condition>,
    /// Threads that judge; the answers do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// A params file of the node
    #[arg(long, value_name = "FILE")]
    params_file: Vec<String>,
    /// A parameter of the node, NAME:=VALUE
    #[arg(short = 'p', long = "param", value_name = "NAME:=VALUE")]
    param: Vec<String>,
}

/// Conditions that hold, for exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|failure| format!("failed: {failure}")).collect::<Vec<_>>().join("\n"))]
pub(super) struct GateFailed(Vec<Failure>);

/// Everything that all bags share.
struct Session<'a> {
    command: &'a Replay,
    pipeline: &'a Pipeline,
    settings: &'a Settings,
    identity: &'a Identity,
    choice: Choice,
    table: Option<TruthTable>,
}

impl Replay {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let bags = bags::named_by(&self.bags)?;
        self.check_places(bags.len())?;
        let (choice, table) = self.choice()?;
        let settings = self.settings()?;
        let pipeline = Pipeline::load(&self.model, Some(&self.monitor), &self.device)?;
        let monitor_id = pipeline.monitor().map(|monitor| monitor.id().to_owned()).unwrap_or_default();
        for note in pipeline.monitor().map_or_else(Vec::new, Monitor::notes) {
            tracing::info!("monitor: {note}");
        }
        let classes = &pipeline.classifier().manifest().classes;
        let identity = Identity::new(classes, short_id(pipeline.classifier().sha256()), &monitor_id);
        let session =
            Session { command: self, pipeline: &pipeline, settings: &settings, identity: &identity, choice, table };
        let reports = session.play_all(&bags)?;
        let mut total = Tally::default();
        reports.iter().for_each(|bag| total.add(&bag.tally));
        let failures: Vec<Failure> = self.fail_on.iter().filter_map(|condition| condition.failure(&total)).collect();
        session.report(&total, &reports, &failures)?;
        output::print_json(&figures_to_json(&total))?;
        if failures.is_empty() { Ok(()) } else { Err(GateFailed(failures).into()) }
    }

    /// Fails before hours of work where a result cannot be put.
    fn check_places(&self, bags: usize) -> anyhow::Result<()> {
        [&self.json, &self.csv, &self.junit].into_iter().flatten().try_for_each(|path| output::check_place(path))?;
        self.report.as_deref().map(output::check_folder).transpose()?;
        let Some(out) = &self.output else { return Ok(()) };
        anyhow::ensure!(!out.exists(), "{} exists already: remove it or choose another output", out.display());
        let is_file = out.extension().is_some_and(|extension| extension == "mcap");
        anyhow::ensure!(
            bags == 1 || !is_file,
            "--output must be a folder for {bags} bags: each has a recording of its own"
        );
        output::check_place(out)
    }

    fn choice(&self) -> anyhow::Result<(Choice, Option<TruthTable>)> {
        let is_file = |text: &&String| Path::new(text.as_str()).extension().is_some_and(|extension| extension == "csv");
        let table =
            self.ground_truth.as_ref().filter(is_file).map(|path| TruthTable::read(Path::new(path))).transpose()?;
        let choice = Choice {
            images: self.topics.clone(),
            regions: self.regions.clone(),
            whole_images: self.whole_images,
            truth: self.ground_truth.clone().filter(|text| !is_file(&text)),
        };
        Ok((choice, table))
    }

    /// The parameters of a node with that name, as rcl would read them.
    fn settings(&self) -> anyhow::Result<Settings> {
        let files = self.params_file.iter().flat_map(|path| ["--params-file".to_owned(), path.clone()]);
        let rules = self.param.iter().flat_map(|rule| ["-p".to_owned(), rule.clone()]);
        let arguments: Vec<String> = ["--ros-args".to_owned()].into_iter().chain(files).chain(rules).collect();
        let given = Overrides::read(&arguments)?;
        let mut settings = Settings::default();
        for sentence in overrides::apply(given.of_node(NODE), &mut settings)?.iter().chain(&given.missed(NODE)) {
            eprintln!("warning: {sentence}");
        }
        settings.check()?;
        Ok(settings)
    }

    fn jobs(&self) -> usize {
        self.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
    }
}

impl Session<'_> {
    fn play_all(&self, bags: &[PathBuf]) -> anyhow::Result<Vec<BagReport>> {
        let mut files = self.row_files()?;
        let mut reports = Vec::new();
        for bag in bags {
            let (report, played) = self.play(bag, bags.len() > 1, &mut files)?;
            reports.push(report);
            if played.is_interrupted || interrupt::flag().load(Ordering::Relaxed) {
                eprintln!("interrupted: what was done up to here is written");
                break;
            }
        }
        files.into_iter().try_for_each(RowFile::finish)?;
        Ok(reports)
    }

    /// Writes what was asked for beside the rows.
    fn report(&self, total: &Tally, bags: &[BagReport], failures: &[Failure]) -> anyhow::Result<()> {
        let command = self.command;
        if let Some(path) = &command.junit {
            output::write(path, &junit(total, bags, &command.fail_on)?)?;
        }
        let Some(folder) = &command.report else { return Ok(()) };
        let monitor = self.pipeline.monitor();
        let page = ReplayPage {
            model: &self.pipeline.classifier().manifest().name,
            facts: vec![
                ("model", format!("{}, {}", command.model.display(), self.identity.model_id)),
                ("monitor", format!("{}, {}", command.monitor.display(), self.identity.monitor_id)),
                ("device", self.pipeline.classifier().device_name()),
                ("parameters", self.parameters()),
            ],
            notes: &monitor.map_or_else(Vec::new, Monitor::notes),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            total,
            bags,
            conditions: &command.fail_on,
        };
        output::write_into(folder, "index.html", &page.html()?)?;
        let json = report_json(total, bags, &command.fail_on, failures);
        output::write_into(folder, "report.json", &(serde_json::to_string_pretty(&json)? + "\n"))
    }

    /// Parameters that verdicts depend on.
    fn parameters(&self) -> String {
        let tuning = self.settings.tuning();
        let hours = tuning.stream.mean_time_between_false_alarms.as_secs_f64() / 3600.0;
        format!(
            "suspect_level {}, alarm_level {}, mean_time_between_false_alarms {hours} h",
            tuning.suspect_level, tuning.alarm_level
        )
    }

    fn row_files(&self) -> anyhow::Result<Vec<RowFile>> {
        let json = self.command.json.as_deref().map(RowFile::json_lines).transpose()?;
        let csv = self.command.csv.as_deref().map(RowFile::csv).transpose()?;
        Ok(json.into_iter().chain(csv).collect())
    }

    fn play(&self, path: &Path, is_one_of_several: bool, rows: &mut [RowFile]) -> anyhow::Result<(BagReport, Played)> {
        let bag = OpenBag::open(path, &self.choice, self.table.as_ref()).with_context(|| path.display().to_string())?;
        let (name, selection, truth) = (bag.name.clone(), bag.selection.clone(), bag.truth.clone());
        for topic in &selection.skipped {
            tracing::info!("{name}: {} ({}) is not read", topic.name, topic.type_name);
        }
        let bar = progress_bar(&name, bag.images());
        let recording = self.recording(&name, is_one_of_several)?;
        let topics: Vec<String> = selection.cameras.iter().map(|camera| camera.images.name.clone()).collect();
        let judged = Cell::new(0_u64);
        let progress = || {
            judged.set(judged.get() + 1);
            bar.set_position(judged.get());
        };
        let mut timelines = vec![Timeline::default(); topics.len()];
        let mut outputs = Outputs {
            bag: &name,
            cameras: &selection.cameras,
            truth: &truth,
            identity: self.identity,
            recording,
            rows,
            counter: Counter::new(&topics, &truth, &self.identity.classes),
            timelines: &mut timelines,
            progress: &progress,
        };
        let player = Player {
            pipeline: self.pipeline,
            settings: self.settings,
            jobs: self.command.jobs(),
            stop: interrupt::flag(),
        };
        let played = player.play(bag, &mut outputs).with_context(|| path.display().to_string())?;
        let Outputs { recording, counter, .. } = outputs;
        recording.map(BagWriter::finish).transpose()?;
        bar.finish_and_clear();
        say(&name, &played);
        let tally = counter.end(&played);
        Ok((BagReport::new(&name, &selection.cameras, timelines, tally, &played), played))
    }

    fn recording(&self, bag: &str, is_one_of_several: bool) -> anyhow::Result<Option<BagWriter>> {
        let Some(out) = &self.command.output else { return Ok(None) };
        if !is_one_of_several {
            return Ok(Some(BagWriter::create(out)?));
        }
        std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
        Ok(Some(BagWriter::create(&out.join(bag))?))
    }
}

/// What was lost of a bag, and how fast it was.
fn say(name: &str, played: &Played) {
    for (topic, (count, reason)) in &played.unreadable {
        eprintln!("warning: {name}: {count} messages on {topic} could not be read: {reason}");
    }
    for damage in &played.damage {
        eprintln!("warning: {name}: {damage}");
    }
    let images: u64 = played.counts.iter().map(|counts| counts.judged).sum();
    let secs = played.elapsed.as_secs_f64();
    eprintln!("{name}: {images} images in {secs:.1} s, {:.0} images/s", images as f64 / secs.max(1e-9));
}

/// Draws on stderr, and only where that is a terminal.
fn progress_bar(name: &str, images: u64) -> ProgressBar {
    let bar = ProgressBar::new(images);
    let template =
        format!("{} {{wide_bar}} {{pos}}/{{len}} images, {{per_sec}}, {{eta}} left", name.replace(['{', '}'], ""));
    let style = ProgressStyle::with_template(&template);
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}
