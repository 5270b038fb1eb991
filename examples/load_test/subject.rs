//! The program under test, as a process.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use super::camera::CameraTopics;
use super::options::{Scenario, Subjects};
use super::program::{Program, parameter};

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The executable of this package.
    MonitorNode,
    /// The same while it records: every image is an alarm, and the event goes on for as long as the measurement.
    MonitorRecording,
    /// `tools/peer_node.py`.
    PeerNode,
}

/// Where images come from and where answers go.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Namespace of the node.
    pub namespace: String,
    /// One per camera.
    pub cameras: Vec<CameraTopics>,
    /// One per camera: what `ood` and `classification` are appended to.
    pub outputs: Vec<String>,
}

/// A running program; killed when dropped.
pub struct Subject {
    kind: Kind,
    program: Program,
    /// Where a recording node writes.
    events: Option<TempDir>,
}

impl Topics {
    /// Topics that no other trial uses: what is left of an earlier one does no harm.
    pub fn new(trial: usize, kind: Kind, scenario: &Scenario) -> Self {
        let namespace = format!("/load_test_{}_{trial}", std::process::id());
        let names = scenario.camera_names();
        let topics = |name: &String| CameraTopics {
            image: format!("{namespace}/{name}/image_raw"),
            regions: format!("{namespace}/{name}/regions"),
        };
        let node = match kind {
            Kind::MonitorNode | Kind::MonitorRecording => format!("{namespace}/monitor"),
            Kind::PeerNode => format!("{namespace}/peer"),
        };
        let output = |name: &String| if names.len() == 1 { node.clone() } else { format!("{node}/{name}") };
        Self { cameras: names.iter().map(topics).collect(), outputs: names.iter().map(output).collect(), namespace }
    }
}

impl Subject {
    /// Starts the program for that scenario. `fit` is the folder of images that the peer is fitted on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        kind: Kind,
        subjects: &Subjects,
        scenario: &Scenario,
        topics: &Topics,
        fit: Option<&Path>,
    ) -> Result<Self> {
        let events = (kind == Kind::MonitorRecording).then(tempfile::tempdir).transpose()?;
        let command = match kind {
            Kind::MonitorNode | Kind::MonitorRecording => {
                let events = events.as_ref().map(TempDir::path);
                monitor(subjects, scenario, topics, events)?
            }
            Kind::PeerNode => peer(subjects, topics, fit.context("the peer needs images to fit")?),
        };
        Ok(Self { kind, program: Program::start(command)?, events })
    }

    /// Which program it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// Fails when the process has ended by itself.
    ///
    /// # Errors
    /// See above.
    pub fn check_alive(&mut self) -> Result<()> {
        Ok(self.program.check_alive()?)
    }

    /// Asks the process to end as Ctrl-C does, and checks that it does so cleanly.
    ///
    /// # Errors
    /// When it does not, or when it should have recorded something and did not.
    pub fn end(self) -> Result<()> {
        self.program.end()?;
        let Some(events) = self.events else { return Ok(()) };
        let complete = std::fs::read_dir(events.path())?.filter_map(Result::ok);
        ensure!(
            complete.map(|event| event.path().join("metadata.yaml")).any(|file| file.exists()),
            "nothing was recorded"
        );
        Ok(())
    }
}

/// Executable of the node: the one that was named, or the one that was built beside this program.
///
/// # Errors
/// When this program does not know where it is.
pub fn executable(subjects: &Subjects) -> Result<PathBuf> {
    let beside = || Ok(std::env::current_exe()?.with_file_name("../monitor_node"));
    subjects.node.clone().map_or_else(beside, Ok)
}

/// Whether the node has that parameter.
///
/// # Errors
/// When the node cannot be asked.
pub fn has_parameter(subjects: &Subjects, name: &str) -> Result<bool> {
    let program = executable(subjects)?;
    let output = Command::new(&program).args(["--describe", "json"]).output();
    let output = output.with_context(|| format!("cannot run {}: build it first", program.display()))?;
    let table: Vec<Value> = serde_json::from_slice(&output.stdout).context("monitor_node --describe json")?;
    Ok(table.iter().any(|row| row["name"] == name))
}

fn monitor(subjects: &Subjects, scenario: &Scenario, topics: &Topics, events: Option<&Path>) -> Result<Command> {
    let mut command = Command::new(executable(subjects)?);
    command.args(["--ros-args", "--log-level", "warn", "-r", &format!("__ns:={}", topics.namespace)]);
    for (name, value) in parameters(subjects, scenario, topics) {
        command.args(parameter(&name, &value));
    }
    for (name, value) in events.map(recording).into_iter().flatten() {
        command.args(parameter(name, &value));
    }
    command.args(subjects.node_args.split_whitespace());
    Ok(command)
}

/// What makes a node record everything from the first image on.
fn recording(events: &Path) -> [(&'static str, String); 6] {
    let text = str::to_owned;
    [
        ("record", text("alarms")),
        ("record_path", events.display().to_string()),
        ("record_after_secs", text("600.0")),
        ("record_free_mib", text("0")),
        ("suspect_level", text("1.0")),
        ("alarm_level", text("1.0")),
    ]
}

fn parameters(subjects: &Subjects, scenario: &Scenario, topics: &Topics) -> Vec<(String, String)> {
    let transport = if scenario.compressed { "compressed" } else { "raw" };
    let reliability = if scenario.reliable { "reliable" } else { "sensor_data" };
    let (model, monitor) = (subjects.model.display().to_string(), subjects.monitor.display().to_string());
    let mut parameters = vec![("model".to_owned(), model), ("monitor".to_owned(), monitor)];
    let names = scenario.camera_names();
    if names.len() > 1 {
        parameters.push(("cameras".to_owned(), format!("[{}]", names.join(","))));
    }
    for (name, camera) in names.iter().zip(&topics.cameras) {
        let own = |parameter: &str| if names.len() > 1 { format!("{name}.{parameter}") } else { parameter.to_owned() };
        parameters.push((own("image_topic"), camera.image.clone()));
        parameters.push((own("image_transport"), transport.to_owned()));
        parameters.push((own("image_qos"), reliability.to_owned()));
        if scenario.regions > 0 {
            parameters.push((own("regions_topic"), camera.regions.clone()));
        }
    }
    parameters
}

fn peer(subjects: &Subjects, topics: &Topics, fit: &Path) -> Command {
    let mut command = Command::new(&subjects.peer_python);
    command.arg("tools/peer_node.py").arg("--model").arg(&subjects.model).arg("--fit").arg(fit);
    command.args(["--ros-args", "-r", &format!("__ns:={}", topics.namespace)]);
    command.args(["-r", &format!("image:={}", topics.cameras[0].image)]);
    command
}
