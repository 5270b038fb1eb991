//! Plays bag after bag and keeps what is asked for.

use std::cell::Cell;
use std::path::Path;

use anyhow::Context;
use indicatif::ProgressBar;
use tempfile::TempDir;

use super::Replay;
use super::against::Against;
use super::input::Input;
use crate::cli::{interrupt, output, progress};
use crate::dataset::bag::BagWriter;
use crate::inference::messages::Identity;
use crate::monitor::Monitor;
use crate::parameters::settings::Settings;
use crate::pipeline::Pipeline;
use crate::replay::{
    BagReport, Checkpoint, Choice, Counter, FaultOutcome, Finished, Gate, Injected, OpenBag, Outputs, Played, Player,
    ReplayPage, ReplayView, RowFile, Tally, Timeline, TruthTable, junit, report_json,
};

/// Everything that all bags share.
pub(super) struct Session<'a> {
    pub(super) command: &'a Replay,
    pub(super) pipeline: &'a Pipeline,
    /// What is compared with.
    pub(super) other: Option<&'a Pipeline>,
    pub(super) settings: &'a Settings,
    pub(super) identity: &'a Identity,
    pub(super) choice: Choice,
    pub(super) table: Option<TruthTable>,
}

/// What is kept of a bag besides its figures.
#[derive(Default)]
struct Kept<'a> {
    recording: Option<BagWriter>,
    rows: &'a mut [RowFile],
    view: Option<ReplayView>,
}

impl Session<'_> {
    /// Plays all bags that were not finished before, up to an interruption, and makes the comparisons that were asked for.
    pub(super) fn play_all(
        &self,
        inputs: &[Input],
        mut before: Vec<Finished>,
        checkpoint: &mut Option<Checkpoint>,
    ) -> anyhow::Result<(Vec<BagReport>, Against)> {
        before.truncate(inputs.len());
        let kept = before.last().map_or_else(Vec::new, |finished| finished.row_bytes.clone());
        let mut files = self.row_files(&kept)?;
        let mut reports: Vec<BagReport> = before.into_iter().map(|finished| finished.report).collect();
        if !reports.is_empty() {
            eprintln!("{} recordings were finished before", reports.len());
        }
        let mut against = Against::default();
        for input in &inputs[reports.len()..] {
            let Some(recorded) = input.recorded()? else { break };
            let report = self.play_one(recorded.path(), inputs.len() > 1, &mut files, &mut against)?;
            if let (Some(checkpoint), false) = (checkpoint.as_mut(), interrupt::is_set()) {
                let row_bytes = files.iter_mut().map(RowFile::flush).collect::<Result<_, _>>()?;
                checkpoint.add(&Finished { report: report.clone(), row_bytes })?;
            }
            reports.push(report);
            if interrupt::is_set() {
                break;
            }
        }
        files.into_iter().try_for_each(RowFile::finish)?;
        inputs.iter().zip(&mut reports).for_each(|(input, report)| input.judge(report));
        Ok((reports, against))
    }

    fn play_one(
        &self,
        path: &Path,
        is_one_of_several: bool,
        files: &mut [RowFile],
        against: &mut Against,
    ) -> anyhow::Result<BagReport> {
        let folder = self.compares().then(tempfile::tempdir).transpose().context("no folder for temporary files")?;
        let bag = self.open(path)?;
        let recording = self.recording(&bag.name, is_one_of_several, folder.as_ref().map(TempDir::path))?;
        let answers = recording.as_ref().map(|recording| recording.folder().to_path_buf());
        let view = self.view(&bag)?;
        let mut report = self.play(path, bag, Kept { recording, rows: files, view }, None)?;
        if !interrupt::is_set() {
            report.tally.faults = self.inject(path, &report)?;
            if let (Some(folder), Some(answers)) = (&folder, &answers) {
                against.add(self, path, answers, folder.path())?;
            }
        }
        report.tally.alarmed.clear();
        Ok(report)
    }

    fn compares(&self) -> bool {
        self.other.is_some() || self.command.through_node
    }

    fn view(&self, bag: &OpenBag) -> anyhow::Result<Option<ReplayView>> {
        let path = self.command.rerun.as_deref();
        let create = |path| ReplayView::create(path, &bag.names(), self.settings, self.pipeline);
        Ok(path.map(create).transpose()?)
    }

    /// Writes what was asked for beside the rows.
    pub(super) fn report(
        &self,
        total: &Tally,
        bags: &[BagReport],
        gate: &Gate,
        against: &Against,
    ) -> anyhow::Result<()> {
        let command = self.command;
        if let Some(path) = &command.junit {
            output::write(path, &junit(bags, gate)?)?;
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
            gate,
            beside: &against.beside(),
        };
        output::write_into(folder, "index.html", &page.html()?)?;
        let json = report_json(total, bags, gate);
        output::write_into(folder, "report.json", &output::json(&json)?)?;
        against.report(folder)
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

    /// Files of rows, with as many bytes as were there when the last recording was finished.
    fn row_files(&self, kept: &[u64]) -> anyhow::Result<Vec<RowFile>> {
        let (json, csv) = (self.command.json.as_deref(), self.command.csv.as_deref());
        let mut kept = kept.iter().copied();
        let json = json.map(|path| RowFile::json_lines(path, kept.next().unwrap_or(0))).transpose()?;
        let csv = csv.map(|path| RowFile::csv(path, kept.next().unwrap_or(0))).transpose()?;
        Ok(json.into_iter().chain(csv).collect())
    }

    /// Opens a bag.
    pub(super) fn open(&self, path: &Path) -> anyhow::Result<OpenBag> {
        OpenBag::open(path, &self.choice, self.table.as_ref()).with_context(|| path.display().to_string())
    }

    /// Plays a bag into a recording, and counts.
    pub(super) fn play_into(&self, path: &Path, recording: &Path) -> anyhow::Result<Tally> {
        let kept = Kept { recording: Some(BagWriter::create(recording)?), ..Kept::default() };
        Ok(self.play(path, self.open(path)?, kept, None)?.tally)
    }

    /// Plays a bag once more for every fault.
    fn inject(&self, path: &Path, plain: &BagReport) -> anyhow::Result<Vec<FaultOutcome>> {
        let mut outcomes = Vec::new();
        let Some(first) = plain.tally.first_stamp_nanos else { return Ok(outcomes) };
        for fault in &self.command.inject {
            let bag = self.open(path)?;
            let (begin, end) = bag.span_nanos;
            let third = end.saturating_sub(begin) / 3;
            let after = self.command.inject_from_secs.map_or(third, |secs| (secs * 1e9) as u64);
            let injected = Injected { fault: *fault, from_nanos: first.saturating_add(after) };
            let bag = bag.with_fault(injected, &plain.tally);
            let report = self.play(path, bag, Kept::default(), Some(injected))?;
            if interrupt::is_set() {
                break;
            }
            outcomes.push(FaultOutcome::new(&plain.name, &injected, &report.tally, &plain.tally));
        }
        Ok(outcomes)
    }

    /// Plays a bag, with a fault where there is one.
    fn play(&self, path: &Path, bag: OpenBag, kept: Kept<'_>, injected: Option<Injected>) -> anyhow::Result<BagReport> {
        let Kept { recording, rows, view } = kept;
        let (name, selection, truth) = (bag.name.clone(), bag.selection.clone(), bag.truth.clone());
        for topic in &selection.skipped {
            tracing::info!("{name}: {} ({}) is not read", topic.name, topic.type_name);
        }
        let bar = progress_bar(&name, bag.images());
        let topics: Vec<String> = selection.cameras.iter().map(|camera| camera.images.name.clone()).collect();
        let judged = Cell::new(0_u64);
        let progress = || {
            judged.set(judged.get() + 1);
            bar.set_position(judged.get());
        };
        let keeps_alarms = injected.is_none() && !self.command.inject.is_empty();
        let mut timelines = vec![Timeline::default(); topics.len()];
        let mut outputs = Outputs {
            bag: &name,
            cameras: &selection.cameras,
            truth: &truth,
            identity: self.identity,
            recording,
            rows,
            counter: Counter::new(&topics, &truth, &self.identity.classes, keeps_alarms),
            timelines: &mut timelines,
            view,
            progress: &progress,
        };
        let player = Player {
            pipeline: self.pipeline,
            settings: self.settings,
            jobs: self.command.jobs(),
            injected,
            whole_images: outputs.view.is_some(),
            stop: interrupt::flag(),
        };
        let played = player.play(bag, &mut outputs).with_context(|| path.display().to_string())?;
        let Outputs { recording, counter, view, .. } = outputs;
        if let Some(reason) = view.and_then(ReplayView::finish) {
            eprintln!("warning: {name}: the recording for rerun is not complete: {reason}");
        }
        recording.map(BagWriter::finish).transpose()?;
        bar.finish_and_clear();
        let tally = counter.end(&played);
        let report = BagReport::new(&name, &selection.cameras, timelines, tally, &played);
        say(&report, &played);
        Ok(report)
    }

    /// Where the answers are recorded: where the user asks for it, or in a folder for comparisons.
    fn recording(
        &self,
        bag: &str,
        is_one_of_several: bool,
        for_comparison: Option<&Path>,
    ) -> anyhow::Result<Option<BagWriter>> {
        let Some(out) = &self.command.output else {
            return Ok(for_comparison.map(|folder| BagWriter::create(&folder.join("first"))).transpose()?);
        };
        if is_one_of_several {
            std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
        }
        let place = if is_one_of_several { out.join(bag) } else { out.clone() };
        if self.command.resume.is_some() {
            remove_begun(&place).with_context(|| format!("cannot replace {}", place.display()))?;
        }
        let is_file = place.extension().is_some_and(|extension| extension == "mcap") && !is_one_of_several;
        Ok(Some(if is_file { BagWriter::create_file(&place)? } else { BagWriter::create(&place)? }))
    }
}

/// Removes what an interrupted replay of the same command has begun.
fn remove_begun(place: &Path) -> std::io::Result<()> {
    match place.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(place),
        Ok(_) => std::fs::remove_file(place),
        Err(_) => Ok(()),
    }
}

/// What was lost of a bag, and how fast it was.
fn say(report: &BagReport, played: &Played) {
    let name = &report.name;
    for note in &report.notes {
        eprintln!("warning: {name}: {note}");
    }
    let images: u64 = played.counts.iter().map(|counts| counts.judged).sum();
    let secs = report.elapsed_secs;
    eprintln!("{name}: {images} images in {secs:.1} s, {:.0} images/s", images as f64 / secs.max(1e-9));
}

fn progress_bar(name: &str, images: u64) -> ProgressBar {
    // A name must not be read as a part of the template.
    let name = name.replace(['{', '}'], "");
    progress::bar(images, &format!("{name} {{wide_bar}} {{pos}}/{{len}} images, {{per_sec}}, {{eta}} left"))
}
