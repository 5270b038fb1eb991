//! The monitor node as a process.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Arguments;

/// How long the node may take to end cleanly.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running `monitor_node`; killed when dropped.
pub struct MonitorNode {
    child: Mutex<Child>,
}

impl MonitorNode {
    /// Starts the executable that was built beside this example.
    pub fn start(arguments: &Arguments, recording: &Path) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("../monitor_node");
        let transport = arguments.image_transport.to_possible_value();
        let mut command = Command::new(&program);
        command.args(["--ros-args", "--log-level", "warn"]);
        for (name, value) in [
            ("model", arguments.model.display().to_string()),
            ("monitor", arguments.monitor.display().to_string()),
            ("image_topic", arguments.image_topic.clone()),
            ("image_transport", transport.map_or_else(String::new, |value| value.get_name().to_owned())),
            ("regions_topic", arguments.regions_topic.clone()),
            // The bag is played reliably: the demo shows the monitor, not the network.
            ("image_qos", "reliable".to_owned()),
            ("use_sim_time", "true".to_owned()),
            ("viewer", "save".to_owned()),
            ("viewer_path", recording.display().to_string()),
            ("viewer_queue", "1000".to_owned()),
        ] {
            command.args(["-p".to_owned(), format!("{name}:={}", quoted(&value))]);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}: build it first (`make build`)", program.display()))?;
        Ok(Self { child: Mutex::new(child) })
    }

    /// Fails when the process has ended by itself.
    pub fn check_alive(&self) -> Result<()> {
        match self.lock().try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the node ended by itself ({status}); its message stands above"),
        }
    }

    /// Asks the node to end as Ctrl-C does, and checks that it does so cleanly.
    pub fn end(&self) -> Result<()> {
        let mut child = self.lock();
        if child.try_wait()?.is_none() {
            kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "the node ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the node did not end within {} s of SIGINT", PATIENCE.as_secs())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for MonitorNode {
    fn drop(&mut self) {
        let mut child = self.lock();
        if matches!(child.try_wait(), Ok(None)) {
            // Nothing more can be done when even that fails.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// ROS reads values as YAML; an unquoted empty text would be nothing.
fn quoted(value: &str) -> String {
    if value.is_empty() { "\"\"".to_owned() } else { value.to_owned() }
}
