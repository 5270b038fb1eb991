//! Definitions of the recorded types as `ros2msg` schemas: the type's own text, then every type it uses.

/// Name in a schema, text, and the types it uses directly.
struct Definition {
    name: &'static str,
    text: &'static str,
    uses: &'static [&'static str],
}

const DEFINITIONS: [Definition; 22] = [
    Definition { name: "builtin_interfaces/Time", text: "int32 sec\nuint32 nanosec\n", uses: &[] },
    Definition {
        name: "std_msgs/Header",
        text: "builtin_interfaces/Time stamp\nstring frame_id\n",
        uses: &["builtin_interfaces/Time"],
    },
    Definition {
        name: "rosgraph_msgs/Clock",
        text: "builtin_interfaces/Time clock\n",
        uses: &["builtin_interfaces/Time"],
    },
    Definition {
        name: "sensor_msgs/Image",
        text: "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\n\
               uint8[] data\n",
        uses: &["std_msgs/Header"],
    },
    Definition {
        name: "sensor_msgs/CompressedImage",
        text: "std_msgs/Header header\nstring format\nuint8[] data\n",
        uses: &["std_msgs/Header"],
    },
    Definition {
        name: "sensor_msgs/RegionOfInterest",
        text: "uint32 x_offset\nuint32 y_offset\nuint32 height\nuint32 width\nbool do_rectify\n",
        uses: &[],
    },
    Definition {
        name: "activation_monitor/Region",
        text: include_str!("../../../msg/Region.msg"),
        uses: &["sensor_msgs/RegionOfInterest"],
    },
    Definition {
        name: "activation_monitor/RegionArray",
        text: include_str!("../../../msg/RegionArray.msg"),
        uses: &["std_msgs/Header", "activation_monitor/Region"],
    },
    Definition {
        name: "activation_monitor/GroundTruth",
        text: include_str!("../../../msg/GroundTruth.msg"),
        uses: &["activation_monitor/Region"],
    },
    Definition {
        name: "activation_monitor/GroundTruthArray",
        text: include_str!("../../../msg/GroundTruthArray.msg"),
        uses: &["std_msgs/Header", "activation_monitor/GroundTruth"],
    },
    Definition {
        name: "diagnostic_msgs/DiagnosticArray",
        text: "std_msgs/Header header\nDiagnosticStatus[] status\n",
        uses: &["std_msgs/Header", "diagnostic_msgs/DiagnosticStatus"],
    },
    Definition {
        name: "diagnostic_msgs/DiagnosticStatus",
        text: "byte OK=0\nbyte WARN=1\nbyte ERROR=2\nbyte STALE=3\nbyte level\nstring name\nstring message\n\
               string hardware_id\nKeyValue[] values\n",
        uses: &["diagnostic_msgs/KeyValue"],
    },
    Definition { name: "diagnostic_msgs/KeyValue", text: "string key\nstring value\n", uses: &[] },
    Definition {
        name: "activation_monitor/ClassHypothesis",
        text: include_str!("../../../msg/ClassHypothesis.msg"),
        uses: &[],
    },
    Definition {
        name: "activation_monitor/Classification",
        text: include_str!("../../../msg/Classification.msg"),
        uses: &["activation_monitor/Region", "activation_monitor/ClassHypothesis"],
    },
    Definition {
        name: "activation_monitor/ClassificationArray",
        text: include_str!("../../../msg/ClassificationArray.msg"),
        uses: &["std_msgs/Header", "builtin_interfaces/Time", "activation_monitor/Classification"],
    },
    Definition {
        name: "activation_monitor/DetectorScore",
        text: include_str!("../../../msg/DetectorScore.msg"),
        uses: &[],
    },
    Definition { name: "activation_monitor/Deviation", text: include_str!("../../../msg/Deviation.msg"), uses: &[] },
    Definition {
        name: "activation_monitor/ObjectConfidence",
        text: include_str!("../../../msg/ObjectConfidence.msg"),
        uses: &["builtin_interfaces/Time"],
    },
    Definition {
        name: "activation_monitor/OodConfidence",
        text: include_str!("../../../msg/OodConfidence.msg"),
        uses: &[
            "activation_monitor/Region",
            "activation_monitor/DetectorScore",
            "activation_monitor/Deviation",
            "activation_monitor/ObjectConfidence",
        ],
    },
    Definition {
        name: "activation_monitor/OodConfidenceArray",
        text: include_str!("../../../msg/OodConfidenceArray.msg"),
        uses: &["std_msgs/Header", "builtin_interfaces/Time", "activation_monitor/OodConfidence"],
    },
    Definition {
        name: "activation_monitor/StreamState",
        text: include_str!("../../../msg/StreamState.msg"),
        uses: &["std_msgs/Header", "builtin_interfaces/Time"],
    },
];

/// The schema text of a type such as `std_msgs/msg/Header`; `None` for a type that is not recorded by this package.
pub(super) fn ros2msg(type_name: &str) -> Option<String> {
    let wanted = find(&type_name.replace("/msg/", "/"))?;
    let mut schema = wanted.text.to_owned();
    let mut open: Vec<_> = wanted.uses.iter().rev().copied().collect();
    let mut written = Vec::new();
    while let Some(name) = open.pop() {
        if written.contains(&name) {
            continue;
        }
        let used = find(name)?;
        schema.push_str(&format!("{}\nMSG: {name}\n{}", "=".repeat(80), used.text));
        written.push(name);
        open.extend(used.uses.iter().rev());
    }
    Some(schema)
}

fn find(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_names_each_dependency_once() {
        let schema = ros2msg("activation_monitor/msg/GroundTruthArray").unwrap();
        for name in ["std_msgs/Header", "builtin_interfaces/Time", "activation_monitor/GroundTruth\n"] {
            assert_eq!(schema.matches(&format!("MSG: {name}")).count(), 1, "{name}");
        }
        assert!(schema.starts_with("# The true content"));
    }

    #[test]
    fn every_message_of_this_package_has_a_definition() {
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/msg")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(ros2msg(&format!("activation_monitor/msg/{name}")).is_some(), "{name}");
        }
    }

    #[test]
    fn every_use_has_a_definition() {
        for definition in &DEFINITIONS {
            assert!(ros2msg(definition.name).is_some(), "{}", definition.name);
        }
        assert!(ros2msg("std_msgs/msg/String").is_none());
    }
}
