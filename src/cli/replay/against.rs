//! The same images once more: judged by another monitor, or by the real node.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{bail, ensure};

use super::session::Session;
use crate::cli::{interrupt, output};
use crate::dataset::cdr::{CompressedImage, RosMessage};
use crate::dataset::detections::Detection2DArray;
use crate::inference::messages::Identity;
use crate::pipeline::Pipeline;
use crate::program::Program;
use crate::replay::{Beside, CameraTopics, Comparison, NODE, OpenBag, Strictness, Tally, compare, figures_to_json};

/// The program that is compared with.
const PROGRAM: &str = "monitor_node";
/// As long as the node lets an image take.
const LONGEST_DEADLINE_SECS: &str = "60.0";
/// How often is looked whether the bag was played.
const POLL: Duration = Duration::from_millis(20);
/// ROS domains that need no ports above those that programs get by chance.
const DOMAINS: u32 = 100;

/// What came of the comparisons that were asked for.
#[derive(Default)]
pub(super) struct Against {
    other: Option<(Comparison, Tally)>,
    node: Option<Comparison>,
}

impl Against {
    /// Makes the comparisons of a bag whose answers lie in `recorded`; `folder` is for what they need.
    pub(super) fn add(
        &mut self,
        session: &Session<'_>,
        bag: &Path,
        recorded: &Path,
        folder: &Path,
    ) -> anyhow::Result<()> {
        if let Some(other) = session.other {
            let second = folder.join("second");
            let counted = session.with(other, &Identity::of(other)).play_into(bag, &second)?;
            let (comparison, tally) = self.other.get_or_insert_default();
            comparison.add(&compare(recorded, &second, Strictness::Decisions)?);
            tally.add(&counted);
        }
        if session.command.through_node {
            let second = folder.join("node");
            session.play_to_node(bag, &second)?;
            self.node.get_or_insert_default().add(&compare(recorded, &second, Strictness::Exact)?);
        }
        Ok(())
    }

    /// What came of them.
    pub(super) fn beside(&self) -> Vec<Beside<'_>> {
        let beside = |name, comparison, tally| Beside { name, comparison, tally };
        let other = self.other.as_ref().map(|(comparison, tally)| beside("the other monitor", comparison, Some(tally)));
        let node = self.node.as_ref().map(|comparison| beside("the node", comparison, None));
        other.into_iter().chain(node).collect()
    }

    /// Says what came of them.
    pub(super) fn say(&self) {
        self.beside().iter().for_each(|beside| say(beside.comparison, beside.name));
    }

    /// Writes what another monitor says into the folder of a report.
    pub(super) fn report(&self, folder: &Path) -> anyhow::Result<()> {
        let Some((comparison, tally)) = &self.other else { return Ok(()) };
        let mut json = serde_json::to_value(comparison)?;
        json["figures"] = figures_to_json(tally);
        output::write_into(folder, "comparison.json", &output::json(&json)?)
    }

    /// Fails where the node says anything else.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match &self.node {
            Some(node) if !node.is_equal() => bail!(
                "the node says something else: {} of {} images have no answer of both, {} messages differ; the first differences stand above",
                node.only_first + node.only_second,
                node.images + node.only_first + node.only_second,
                node.unequal_messages
            ),
            _ => Ok(()),
        }
    }
}

impl Session<'_> {
    /// The same with another model and monitor, which are compared with nothing.
    fn with<'a>(&'a self, pipeline: &'a Pipeline, identity: &'a Identity) -> Session<'a> {
        Session {
            command: self.command,
            pipeline,
            other: None,
            settings: self.settings,
            identity,
            choice: self.choice.clone(),
            table: self.table.clone(),
        }
    }

    /// Plays a bag to the real node in a ROS domain of its own.
    fn play_to_node(&self, bag: &Path, recording: &Path) -> anyhow::Result<()> {
        let OpenBag { selection, .. } = self.open(bag)?;
        let domain = own_domain();
        let mut node = self.node(&selection.cameras, domain)?;
        let mut player = program(domain)?;
        player.arg("--play").arg(bag).arg("--record").arg(recording);
        for camera in &selection.cameras {
            player.arg("--camera").arg(played(camera));
        }
        player.arg("--regions-timeout-secs").arg(self.settings.double("regions_timeout_secs").to_string());
        let mut player = Program::start(player)?;
        let status = loop {
            if let Some(status) = player.status()? {
                break status;
            }
            node.check_alive()?;
            ensure!(!interrupt::is_set(), "interrupted while the bag was played to the node");
            std::thread::sleep(POLL);
        };
        node.end()?;
        ensure!(status.success(), "the bag could not be played to the node ({status}); the reason stands above");
        Ok(())
    }

    fn node(&self, cameras: &[CameraTopics], domain: u32) -> anyhow::Result<Program> {
        let mut command = program(domain)?;
        command.arg("--ros-args").arg("--log-level").arg("warn");
        for file in &self.command.params_file {
            command.arg("--params-file").arg(file);
        }
        let device = self.command.device.to_string();
        let mut parameters = vec![
            ("model".to_owned(), self.command.model.display().to_string()),
            ("monitor".to_owned(), self.command.monitor.display().to_string()),
            ("device".to_owned(), device),
            ("deadline_secs".to_owned(), LONGEST_DEADLINE_SECS.to_owned()),
            ("use_sim_time".to_owned(), "true".to_owned()),
            ("viewer".to_owned(), "\"off\"".to_owned()),
            ("record".to_owned(), "\"off\"".to_owned()),
        ];
        let names: Vec<&str> = cameras.iter().filter_map(|camera| camera.name.name()).collect();
        if !names.is_empty() {
            parameters.push(("cameras".to_owned(), format!("[{}]", names.join(", "))));
        }
        parameters.extend(cameras.iter().flat_map(of_camera));
        for (name, value) in parameters {
            command.arg("-p").arg(format!("{name}:={value}"));
        }
        // What the user asks for wins.
        for rule in &self.command.param {
            command.arg("-p").arg(rule);
        }
        Ok(Program::start(command)?)
    }
}

/// Parameters of one camera.
fn of_camera(camera: &CameraTopics) -> Vec<(String, String)> {
    let transport = if camera.images.type_name == CompressedImage::TYPE { "compressed" } else { "raw" };
    let regions = camera.regions.as_ref();
    let kind = regions.filter(|topic| topic.type_name == Detection2DArray::TYPE);
    let values = [
        ("image_topic", camera.images.name.clone()),
        ("image_transport", transport.to_owned()),
        ("regions_topic", regions.map_or_else(|| "\"\"".to_owned(), |topic| topic.name.clone())),
        ("regions_type", kind.map_or("region_array", |_| "detection2d_array").to_owned()),
    ];
    values.map(|(row, value)| (camera.name.parameter(row), value)).into()
}

/// A camera as the player is told of it.
fn played(camera: &CameraTopics) -> String {
    let outputs = camera.name.topic("ood").replacen('~', NODE, 1);
    let outputs = outputs.strip_suffix("/ood").unwrap_or(&outputs);
    let regions = camera.regions.as_ref().map(|topic| format!(",{}", topic.name)).unwrap_or_default();
    format!("{},{outputs}{regions}", camera.images.name)
}

/// The node's executable, which lies beside this one, in a ROS domain that nobody else hears.
fn program(domain: u32) -> anyhow::Result<Command> {
    let path = std::env::current_exe()?.with_file_name(PROGRAM);
    ensure!(path.exists(), "{} is not there: --through-node needs the package built with ROS", path.display());
    let mut command = Command::new(path);
    command.env("ROS_DOMAIN_ID", domain.to_string()).env("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST");
    // Figures are on this program's stdout.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

/// A domain that is not that of the user's robot.
fn own_domain() -> u32 {
    let theirs = std::env::var("ROS_DOMAIN_ID").ok().and_then(|domain| domain.parse().ok()).unwrap_or(0);
    let own = 1 + std::process::id() % DOMAINS;
    if own == theirs { 1 + own % DOMAINS } else { own }
}

fn say(comparison: &Comparison, name: &str) {
    let Comparison {
        images, regions, changed_verdicts, changed_object_verdicts, changed_classes, changed_states, ..
    } = comparison;
    eprintln!(
        "beside {name}: {images} images, {regions} regions; other verdicts of views {changed_verdicts}, of objects {changed_object_verdicts}, other classes \
         {changed_classes}, other states {changed_states}, new alarms {}, alarms gone {}, largest change of a p-value {}, images without an answer {} and {}",
        comparison.new_alarms,
        comparison.gone_alarms,
        comparison.largest_p_value_change,
        comparison.only_second,
        comparison.only_first
    );
    for difference in comparison.differences.iter().take(10) {
        let (topic, stamp, object) = (&difference.topic, difference.stamp_nanos, &difference.object);
        eprintln!("  {topic} {stamp} {object}: {} {} → {}", difference.field, difference.first, difference.second);
    }
}
