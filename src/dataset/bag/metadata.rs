//! `metadata.yaml` beside the recording, in the layout that rosbag2 of ROS 2 Jazzy writes.

mod read;

use std::fmt::Write;

use super::Topic;

pub(super) use read::{Listed, Listing};

/// Offered QoS of one publisher, as rosbag2 notes it: reliable, volatile, everything else at its default.
const QOS: &str = "\
- history: keep_last
  depth: 10
  reliability: reliable
  durability: volatile
  deadline:
    sec: 9223372036
    nsec: 854775807
  lifespan:
    sec: 9223372036
    nsec: 854775807
  liveliness: automatic
  liveliness_lease_duration:
    sec: 9223372036
    nsec: 854775807
  avoid_ros_namespace_conventions: false
";

/// What `metadata.yaml` says about a recording in one file.
pub(super) struct Metadata<'a> {
    pub(super) file_name: &'a str,
    pub(super) start_nanos: u64,
    pub(super) duration_nanos: u64,
    pub(super) topics: &'a [Topic],
}

/// The QoS text that rosbag2 puts into the metadata of an MCAP channel.
pub(super) const fn channel_qos() -> &'static str {
    QOS
}

impl Metadata<'_> {
    /// The text of the file.
    pub(super) fn to_yaml(&self) -> String {
        let Self { file_name, start_nanos, duration_nanos, .. } = self;
        let count: u64 = self.topics.iter().map(|topic| topic.message_count).sum();
        let topics: String = self.topics.iter().map(topic_yaml).collect();
        format!(
            "rosbag2_bagfile_information:
  version: 9
  storage_identifier: mcap
  duration:
    nanoseconds: {duration_nanos}
  starting_time:
    nanoseconds_since_epoch: {start_nanos}
  message_count: {count}
  topics_with_message_count:
{topics}  compression_format: \"\"
  compression_mode: \"\"
  relative_file_paths:
    - {file_name}
  files:
    - path: {file_name}
      starting_time:
        nanoseconds_since_epoch: {start_nanos}
      duration:
        nanoseconds: {duration_nanos}
      message_count: {count}
  custom_data: ~
  ros_distro: jazzy
"
        )
    }
}

fn topic_yaml(topic: &Topic) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "    - topic_metadata:
        name: {}
        type: {}
        serialization_format: cdr
        offered_qos_profiles:
",
        topic.name, topic.type_name
    );
    for line in QOS.lines() {
        let _ = writeln!(text, "          {line}");
    }
    let _ = write!(text, "        type_description_hash: \"\"\n      message_count: {}\n", topic.message_count);
    text
}
