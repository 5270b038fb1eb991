//! `replay`: what the monitor would have said of recorded drives.

mod against;
mod input;
mod session;

use std::path::{Path, PathBuf};

use clap::Args;

use self::input::Input;
use self::session::Session;
use super::bags::TopicArgs;
use super::{all_cores, interrupt, output, seconds};
use crate::inference::messages::Identity;
use crate::model::DeviceChoice;
use crate::monitor::Monitor;
use crate::parameters::overrides::{self, Overrides};
use crate::parameters::settings::Settings;
use crate::pipeline::Pipeline;
use crate::replay::{
    BagReport, Checkpoint, Choice, Condition, Fault, Finished, Gate, NODE, Tally, Task, TruthTable, figures_to_json,
};

const EXAMPLES: &str = "\
Examples:
  activation-monitor replay --model models/signs --monitor signs.monitor drive
  activation-monitor replay --model models/signs --monitor signs.monitor \\
      drives --ground-truth truth.csv --json rows.jsonl --report report \\
      --fail-on 'false_alarms_per_hour>10' \\
      --fail-on 'detection_delay_secs_p95>1'
  activation-monitor replay --model models/signs --monitor signs.monitor \\
      tests/scenarios/*.yaml --report report

Judges every image of a bag as the node would, by the same code, with the same
parameters (-p, --params-file) and in the time of the bag. Exit codes: 0 done,
1 failed, 2 wrong usage, 3 a --fail-on condition holds, or one of a scenario.";

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
    /// rosbag2 recordings: folders, .mcap or .db3 files, or folders of them; or scenarios (.yaml), which are drawn and must
    /// meet what they expect
    #[arg(required = true, value_name = "BAG")]
    bags: Vec<PathBuf>,
    #[command(flatten)]
    topics: TopicArgs,
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
    /// Put a fault into the bags and say whether and how soon it is found: KIND[:STRENGTH], strength 0..1
    #[arg(long, value_name = "KIND[:STRENGTH]")]
    inject: Vec<Fault>,
    /// Seconds from the first image at which faults begin; a third of the bag when left out
    #[arg(long, value_name = "SECS", requires = "inject", value_parser = seconds)]
    inject_from_secs: Option<f64>,
    /// Compare with what another monitor says of the same images
    #[arg(long, value_name = "MONITOR")]
    compare: Option<PathBuf>,
    /// Model of that monitor, where it is another one
    #[arg(long, value_name = "DIR", requires = "compare")]
    compare_model: Option<PathBuf>,
    /// Play the bags to the real node, too, and fail when it says anything else
    #[arg(long)]
    through_node: bool,
    /// Write a recording for rerun, with the layout of the live view; of one bag
    #[arg(long, value_name = "FILE.rrd")]
    rerun: Option<PathBuf>,
    /// Exit with code 3 when this holds, for example false_alarms_per_hour>10
    #[arg(long, value_name = "EXPR")]
    fail_on: Vec<Condition>,
    /// Keep what is done in this file, and go on from there when the same command is given again after an interruption;
    /// recording by recording
    #[arg(long, value_name = "FILE", conflicts_with_all = ["compare", "through_node", "rerun"])]
    resume: Option<PathBuf>,
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
pub(super) struct GateFailed(Vec<String>);

impl Replay {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let inputs = Input::of(&self.bags)?;
        self.check_places(inputs.len())?;
        let (choice, table) = self.choice()?;
        let settings = self.settings()?;
        let pipeline = Pipeline::load(&self.model, Some(&self.monitor), &self.device)?;
        for note in pipeline.monitor().map_or_else(Vec::new, Monitor::notes) {
            tracing::info!("monitor: {note}");
        }
        let other = self.other()?;
        let identity = Identity::of(&pipeline);
        let (mut checkpoint, finished) = self.checkpoint(&identity)?;
        let session = Session {
            command: self,
            pipeline: &pipeline,
            other: other.as_ref(),
            settings: &settings,
            identity: &identity,
            choice,
            table,
        };
        let (reports, against) = session.play_all(&inputs, finished, &mut checkpoint)?;
        let mut total = Tally::default();
        reports.iter().for_each(|bag| total.add(&bag.tally));
        against.say();
        let gate = Gate::new(&self.fail_on, &total);
        session.report(&total, &reports, &gate, &against)?;
        output::print_json(&figures_to_json(&total))?;
        let how = if self.resume.is_some() { "; the same command goes on from there" } else { "" };
        anyhow::ensure!(!interrupt::is_set(), "interrupted: what was done up to there is written{how}");
        checkpoint.map(Checkpoint::remove).transpose()?;
        against.check()?;
        let of_bag = |bag: &BagReport| {
            let name = bag.name.clone();
            bag.gate.failures().map(move |failure| format!("{name}: {failure}")).collect::<Vec<_>>()
        };
        let failures = gate.failures().map(ToString::to_string).chain(reports.iter().flat_map(of_bag));
        let failures: Vec<String> = failures.collect();
        if failures.is_empty() { Ok(()) } else { Err(GateFailed(failures).into()) }
    }

    /// Fails before hours of work where a result cannot be put.
    fn check_places(&self, bags: usize) -> anyhow::Result<()> {
        [&self.json, &self.csv, &self.junit, &self.rerun, &self.resume]
            .into_iter()
            .flatten()
            .try_for_each(|path| output::check_place(path))?;
        self.report.as_deref().map(output::check_folder).transpose()?;
        anyhow::ensure!(bags == 1 || self.rerun.is_none(), "--rerun is for one bag: replay these {bags} one by one");
        let Some(out) = &self.output else { return Ok(()) };
        let may_be_there = self.resume.as_ref().is_some_and(|progress| progress.exists());
        if may_be_there && out.exists() {
            return Ok(());
        }
        anyhow::ensure!(!out.exists(), "{} exists already: remove it or choose another output", out.display());
        let is_file = out.extension().is_some_and(|extension| extension == "mcap");
        anyhow::ensure!(
            bags == 1 || !is_file,
            "--output must be a folder for {bags} bags: each has a recording of its own"
        );
        output::check_place(out)
    }

    /// What an interrupted replay of the same command has finished.
    fn checkpoint(&self, identity: &Identity) -> anyhow::Result<(Option<Checkpoint>, Vec<Finished>)> {
        let Some(path) = &self.resume else { return Ok((None, Vec::new())) };
        let task = Task::new(std::env::args().skip(1).collect(), &identity.model_id, &identity.monitor_id);
        let (checkpoint, finished) = Checkpoint::open(path, &task)?;
        Ok((Some(checkpoint), finished))
    }

    /// Model and monitor to compare with.
    fn other(&self) -> anyhow::Result<Option<Pipeline>> {
        let model = self.compare_model.as_deref().unwrap_or(&self.model);
        let load = |monitor: &PathBuf| Pipeline::load(model, Some(monitor), &self.device);
        Ok(self.compare.as_ref().map(load).transpose()?)
    }

    fn choice(&self) -> anyhow::Result<(Choice, Option<TruthTable>)> {
        let is_file = |text: &&String| Path::new(text.as_str()).extension().is_some_and(|extension| extension == "csv");
        let table =
            self.ground_truth.as_ref().filter(is_file).map(|path| TruthTable::read(Path::new(path))).transpose()?;
        Ok((self.topics.choice(self.ground_truth.clone().filter(|text| !is_file(&text))), table))
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
        self.jobs.map_or_else(all_cores, usize::from)
    }
}
