//! The parameter table as text: help, params file, documentation.

use std::fmt::Write as _;

use super::table::{Kind, PARAMETERS, Parameter, Value, When};

/// Name of the node unless it is remapped.
pub const NODE_NAME: &str = "monitor";

/// The parameter that ROS itself knows.
const USE_SIM_TIME: &str = "use_sim_time";

/// A JSON array with one object per parameter.
pub fn json() -> String {
    let table = serde_json::to_string_pretty(PARAMETERS);
    table.expect("the table holds only texts and finite numbers") + "\n"
}

const YAML_START: &str = "\
# All parameters of monitor_node with their defaults. Made by `monitor_node --describe yaml`; compared with it by a test.
# What is marked (own) can be given to one camera of several, too: `front.image_topic: ...`, or `front: {image_topic: ...}`.
/**:
  ros__parameters:
";

/// A params file with the default of every parameter and its description as a comment.
pub fn yaml() -> String {
    let mut text = String::from(YAML_START);
    for row in PARAMETERS {
        let Parameter { name, kind, per_camera, description, .. } = row;
        let (own, allowed) = (if *per_camera { "(own) " } else { "" }, allowed_sentence(kind));
        line(&mut text, format_args!("    # {own}{description}{allowed}"));
        // launch_ros sets it before the params file is read, so a value here would defeat that of a launch file.
        let comment = if *name == USE_SIM_TIME { "# " } else { "" };
        line(&mut text, format_args!("    {comment}{name}: {}", yaml_value(&kind.default_value())));
    }
    text
}

const MARKDOWN_START: &str = "\
# Parameters of `monitor_node`

Made by `monitor_node --describe markdown`; compared with it by a test. *When* says when a parameter can be changed
(`ros2 param set /monitor NAME VALUE`): *live* at any time; *configure* while the node is unconfigured or inactive, for
the next `configure`; *start* never, it is read when the process starts.

A parameter with *own* can be given to one camera as `<camera>.<name>`, for example `front.image_topic`; a camera without a
value of its own takes the one for all. With several cameras, topics for all are taken under the name of each camera:
`image` becomes `front/image` and `rear/image`, `/image` becomes `/front/image` and `/rear/image`.

| name | type | default | allowed | when | camera | what it does |
|---|---|---|---|---|---|---|
";

const MARKDOWN_END: &str = "
## Changing them while the node runs

Values of one request that are allowed together are set together, so `suspect_level` 0.3 and `alarm_level` 0.2 may come in
one request in any order. Otherwise `set_parameters` sets them one by one, each with its own result, and
`set_parameters_atomically` changes nothing and says why. Types are not adapted: `1` is no double. An `alarm_level` below
the smallest p-value that the loaded monitor can give is refused, with the smallest level that works. Changes are told on
`/parameter_events`, those of cameras that follow a value for all included.

## Params files

Sections are matched as rclcpp does: `/**` is every node, `/**/monitor` the node `monitor` in every namespace, `/front/**`
every node below `/front`, `/*/monitor` the node `monitor` one level below the root, `/front/monitor` exactly that one.
`monitor` without a slash is the node of that name in every namespace. Sections count in the order in which their names
first appear in all files and `-p` rules, later values win, and a `-p` rule without a node belongs to `/**`: so a file with
sections `/**` and `/monitor` keeps the values of `/monitor` against `-p NAME:=VALUE`, but not against
`-p monitor:NAME:=VALUE`. A file that has no section for the node is said in the log.

## Quality of service

`qos_overrides.<topic>.<subscription|publisher>.<policy>` changes one topic, which is given by its full name after
remapping; `policy` is `reliability` (`reliable`, `best_effort`), `durability` (`volatile`, `transient_local`), `history`
(`keep_last`, `keep_all`) or `depth` (1..10000). Other policies, and topics that the node does not have, are said in the
log. They are read when the process starts.
";

/// `docs/parameters.md`.
pub fn markdown() -> String {
    let mut text = String::from(MARKDOWN_START);
    for Parameter { name, kind, when, per_camera, description } in PARAMETERS {
        let kind_name = kind.type_name().trim_start_matches("an ").trim_start_matches("a ");
        let (default, allowed) = (yaml_value(&kind.default_value()), kind.allowed());
        let (when, own) = (when_word(*when), if *per_camera { "own" } else { "" });
        let description = description.replace('<', "\\<");
        line(
            &mut text,
            format_args!("| `{name}` | {kind_name} | `{default}` | {allowed} | {when} | {own} | {description} |"),
        );
    }
    text + MARKDOWN_END
}

fn when_word(when: When) -> &'static str {
    match when {
        When::Start => "start",
        When::Configure => "configure",
        When::Live => "live",
    }
}

/// For `--help`.
pub fn plain() -> String {
    let mut text = String::new();
    for Parameter { name, kind, per_camera, description, .. } in PARAMETERS {
        let default = yaml_value(&kind.default_value());
        let own = if *per_camera { format!(", <camera>.{name}") } else { String::new() };
        line(&mut text, format_args!("  {name}{own} [{default}]\n      {description}{}", allowed_sentence(kind)));
    }
    text
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{content}");
    debug_assert!(written.is_ok(), "writing to a string succeeds");
}

fn allowed_sentence(kind: &Kind) -> String {
    match kind {
        Kind::Text { .. } | Kind::Topic { .. } | Kind::Bool { .. } => String::new(),
        _ => format!(" Must be {}.", kind.allowed()),
    }
}

fn yaml_value(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_in_every_format() {
        let objects: Vec<serde_json::Value> = serde_json::from_str(&json()).unwrap();
        assert_eq!(objects.len(), PARAMETERS.len());
        for (row, object) in PARAMETERS.iter().zip(objects) {
            assert_eq!(object["name"], row.name);
            let commented = if row.name == USE_SIM_TIME { "# " } else { "" };
            assert!(yaml().contains(&format!("\n    {commented}{}: ", row.name)), "{}", row.name);
            assert!(markdown().contains(&format!("| `{}` |", row.name)), "{}", row.name);
            assert!(plain().contains(row.description), "{}", row.name);
        }
    }

    #[test]
    fn what_a_camera_may_have_of_its_own_is_marked_in_every_format() {
        let objects: Vec<serde_json::Value> = serde_json::from_str(&json()).unwrap();
        for (row, object) in PARAMETERS.iter().zip(objects) {
            let (name, own) = (row.name, row.per_camera);
            assert_eq!(object["per_camera"], own);
            let comment = if own { "# (own) " } else { "# " };
            assert!(yaml().contains(&format!("{comment}{}", row.description)), "{name}");
            let line = markdown().lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap().to_owned();
            assert_eq!(line.split(" | ").nth(5).unwrap().trim() == "own", own, "{line}");
            assert_eq!(plain().contains(&format!("<camera>.{name} ")), own, "{name}");
        }
    }

    /// `viewer: off` would be a bool in YAML.
    #[test]
    fn texts_are_quoted_and_doubles_keep_their_point() {
        assert!(yaml().contains("    viewer: \"off\"\n"));
        assert!(yaml().contains("    diagnostics_period_secs: 1.0\n"));
        assert!(yaml().contains("    top_k: 3\n"));
        assert!(yaml().contains("    cameras: []\n"));
    }

    /// The files in the repository.
    #[test]
    fn the_files_are_up_to_date() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for (file, format, text) in
            [("params/monitor.yaml", "yaml", yaml()), ("docs/parameters.md", "markdown", markdown())]
        {
            let written = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            assert!(written == text, "{file} is out of date: run `monitor_node --describe {format} > {file}`");
        }
    }
}
