//! The monitor node as a process.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use super::Arguments;
use super::program::{Program, parameter};

/// Starts the executable that was built beside this example.
pub fn start(arguments: &Arguments, recording: &Path) -> Result<Program> {
    let program = std::env::current_exe()?.with_file_name("../monitor_node");
    let transport = arguments.image_transport.to_possible_value();
    let mut command = Command::new(program);
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
        command.args(parameter(name, &value));
    }
    Ok(Program::start(command)?)
}
