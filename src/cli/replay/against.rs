//! The same images once more: judged by another monitor, or by the real node.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::session::Session;
use crate::cli::{interrupt, output};
use crate::dataset::cdr::{CompressedImage, RosMessage};
use crate::dataset::detections::Detection2DArray;
use crate::inference::messages::Identity;
use crate::monitor::{Monitor, short_id};
use crate::pipeline::Pipeline;
use crate::replay::{CameraTopics, Comparison, NODE, OpenBag, Strictness, compare};

/// The program that is compared with.
const PROGRAM: &str = "monitor_node";
/// As long as the node lets an image take.
const LONGEST_DEADLINE_SECS: &str = "60.0";
/// How long the node may take to end.
const PATIENCE: Duration = Duration::from_secs(15);
/// ROS domains that need no ports above those that programs get by chance.
const DOMAINS: u32 = 100;

/// What came of the comparisons that were asked for.
#[derive(Default)]
pub(super) struct Against {
    node: Option<Comparison>,
}

/// A running node; killed when dropped.
struct Node(Child);

impl Against {
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
    /// Makes the comparisons that were asked for, and says what came of them.
    pub(super) fn against(&self, bags: &[PathBuf]) -> anyhow::Result<Against> {
        let (mut other, mut node) = (None, None);
        for bag in bags {
            if self.command.compare.is_some() || self.command.through_node {
                interrupt::check()?;
                let folder = tempfile::tempdir().context("no folder for temporary files")?;
                let first = folder.path().join("first");
                self.play_into(bag, &first)?;
                if let Some(monitor) = &self.command.compare {
                    let second = folder.path().join("second");
                    self.play_with(bag, monitor, &second)?;
                    add(&mut other, &compare(&first, &second, Strictness::Decisions)?);
                }
                if self.command.through_node {
                    let second = folder.path().join("node");
                    self.play_to_node(bag, &second)?;
                    add(&mut node, &compare(&first, &second, Strictness::Exact)?);
                }
            }
        }
        for (comparison, name) in [(&other, "the other monitor"), (&node, "the node")] {
            comparison.iter().for_each(|comparison| say(comparison, name));
        }
        if let (Some(folder), Some(comparison)) = (&self.command.report, &other) {
            output::write_into(folder, "comparison.json", &(serde_json::to_string_pretty(comparison)? + "\n"))?;
        }
        Ok(Against { node })
    }

    /// Plays a bag with another monitor.
    fn play_with(&self, bag: &Path, monitor: &Path, recording: &Path) -> anyhow::Result<()> {
        let model = self.command.compare_model.as_deref().unwrap_or(&self.command.model);
        let pipeline = Pipeline::load(model, Some(monitor), &self.command.device)?;
        let id = pipeline.monitor().map(|monitor: &Monitor| monitor.id().to_owned()).unwrap_or_default();
        let classifier = pipeline.classifier();
        let identity = Identity::new(&classifier.manifest().classes, short_id(classifier.sha256()), &id);
        let session = Session {
            command: self.command,
            pipeline: &pipeline,
            settings: self.settings,
            identity: &identity,
            choice: self.choice.clone(),
            table: self.table.clone(),
        };
        session.play_into(bag, recording)
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
        let mut player = Node(player.spawn().context("cannot start the player")?);
        let status = loop {
            if let Some(status) = player.0.try_wait()? {
                break status;
            }
            if let Some(status) = node.0.try_wait()? {
                bail!("the node ended by itself ({status}); its message stands above");
            }
            interrupt::check()?;
            std::thread::sleep(Duration::from_millis(20));
        };
        node.end()?;
        ensure!(status.success(), "the bag could not be played to the node ({status}); the reason stands above");
        Ok(())
    }

    fn node(&self, cameras: &[CameraTopics], domain: u32) -> anyhow::Result<Node> {
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
        Ok(Node(command.spawn().with_context(|| format!("cannot start {PROGRAM}"))?))
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

fn add(sum: &mut Option<Comparison>, comparison: &Comparison) {
    sum.get_or_insert_default().add(comparison);
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

impl Node {
    /// Asks it to end as Ctrl-C does.
    fn end(&mut self) -> anyhow::Result<()> {
        if self.0.try_wait()?.is_none() {
            kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGINT)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.0.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the node did not end within {} s", PATIENCE.as_secs())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // Nothing more can be done when even that fails.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
