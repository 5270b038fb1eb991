//! Command-line arguments of the executable, besides those of ROS.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::node::player::PlayedCamera;
use crate::parameters::reference;

const EXAMPLES: &str = "\
Examples:
  monitor_node --ros-args -p model:=models/traffic_signs \\
      -p monitor:=models/traffic_signs/traffic_signs.monitor \\
      -p image_topic:=/camera/image_raw
  monitor_node --ros-args --params-file params/monitor.yaml --log-level debug";

/// Judges camera images: publishes ~/classification, ~/ood and /diagnostics.
#[derive(Debug, Parser)]
#[command(name = "monitor_node", version, max_term_width = 120)]
#[command(override_usage = "monitor_node [--ros-args -p PARAMETER:=VALUE … -r FROM:=TO … --params-file FILE]")]
pub struct Arguments {
    /// Print the table of parameters and end
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub describe: Option<Format>,
    /// Print the names of all topics and end; what the node runs when nobody publishes images
    #[arg(long, hide = true)]
    pub list_topics: bool,
    /// Play a bag to another node and record its answers; what `activation-monitor replay --through-node` runs
    #[arg(long, hide = true, value_name = "BAG", requires = "record")]
    pub play: Option<PathBuf>,
    /// Where to record them
    #[arg(long, hide = true, value_name = "OUT")]
    pub record: Option<PathBuf>,
    /// A camera of that node: IMAGES,OUTPUTS[,REGIONS]
    #[arg(long = "camera", hide = true)]
    pub cameras: Vec<PlayedCamera>,
    /// How long an image waits for its regions
    #[arg(long, hide = true, default_value_t = 0.5)]
    pub regions_timeout_secs: f64,
}

/// How to print the table of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For programs.
    Json,
    /// A params file with all defaults: `params/monitor.yaml`.
    Yaml,
    /// `docs/parameters.md`.
    Markdown,
    /// What is in `/diagnostics` instead: `docs/diagnostics.md`.
    Diagnostics,
}

impl Arguments {
    /// Parses the arguments of the process without those between `--ros-args` and `--`. Ends the process for `--help`,
    /// `--version` and wrong usage.
    #[must_use]
    pub fn parse_process(arguments: &[String]) -> Self {
        let matches = command().get_matches_from(without_ros(arguments));
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

impl Format {
    /// The table of parameters in this format.
    #[must_use]
    pub fn table(self) -> String {
        match self {
            Self::Json => reference::json(),
            Self::Yaml => reference::yaml(),
            Self::Markdown => reference::markdown(),
            Self::Diagnostics => crate::node::health::reference::markdown(),
        }
    }
}

/// The command line with the table of parameters in its help.
fn command() -> clap::Command {
    Arguments::command().after_help(format!("Parameters:\n{}\n{EXAMPLES}", reference::plain()))
}

fn without_ros(arguments: &[String]) -> Vec<String> {
    let mut in_ros_arguments = false;
    let own = arguments.iter().filter(|argument| {
        let of_ros = in_ros_arguments || *argument == "--ros-args";
        match argument.as_str() {
            "--ros-args" => in_ros_arguments = true,
            "--" => in_ros_arguments = false,
            _ => {}
        }
        !of_ros
    });
    own.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments_of_ros_are_left_to_ros() {
        let arguments = words("node --describe yaml --ros-args -p a:=b --log-level debug -- --version");
        assert_eq!(without_ros(&arguments), words("node --describe yaml --version"));
        assert_eq!(without_ros(&words("node --ros-args -p a:=b")), words("node"));
    }

    #[test]
    fn the_command_is_consistent_and_its_help_lists_every_parameter() {
        command().debug_assert();
        let help = command().render_help().to_string();
        for row in crate::parameters::table::PARAMETERS {
            assert!(help.contains(row.name), "{}", row.name);
        }
    }
}
