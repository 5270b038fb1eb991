//! Diagnostics as ROS messages.

use r2r::builtin_interfaces::msg::Time;
use r2r::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus, KeyValue};

use super::diagnostics::Status;

/// The statuses of `node` (its full name) as one message at time `now`. Names and hardware id are those that
/// `diagnostic_updater` gives with `use_fqn`, so that an aggregator can tell two nodes apart.
#[must_use]
pub fn diagnostics(node: &str, statuses: Vec<Status>, now: Time) -> DiagnosticArray {
    let header = r2r::std_msgs::msg::Header { stamp: now, frame_id: String::new() };
    DiagnosticArray { header, status: statuses.into_iter().map(|status| diagnose(node, status)).collect() }
}

fn diagnose(node: &str, status: Status) -> DiagnosticStatus {
    let pair = |(key, value): (&str, String)| KeyValue { key: key.to_owned(), value };
    DiagnosticStatus {
        level: status.level as u8,
        name: format!("{node}: {}", status.name),
        message: status.message,
        hardware_id: node.to_owned(),
        values: status.values.into_iter().map(pair).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::health::diagnostics::Level;

    #[test]
    fn a_status_as_message() {
        let values = vec![("received", "3".to_owned())];
        let status = Status { level: Level::Stale, name: "camera".into(), message: "silent".into(), values };
        insta::assert_json_snapshot!(
            "diagnostics",
            diagnostics("/front/signs", vec![status], Time { sec: 7, nanosec: 8 })
        );
    }
}
