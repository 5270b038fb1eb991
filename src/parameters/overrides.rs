//! Values given at the start: params files and `-p` rules, read as ROS reads them.
//!
//! rcl has read them, too, but r2r shows only the sections that are called `/**` or exactly as the node. So they are read
//! again here, with the rules of
//!
//! - rcl's parser for types and names (`rcl_yaml_param_parser`, `parse.c`): maps outside of `ros__parameters` are joined by
//!   `/` to the name of a node, maps inside by `.` to the name of a parameter; plain scalars are bool, integer, double or
//!   text, in this order; arrays hold one type;
//! - rclcpp for what counts for a node (`resolve_parameter_overrides`, `parameter_map_from`): in the name of a section `*`
//!   stands for one part of a name and `**` for any number of parts. Sections of one name are one section; sections count
//!   in the order in which their names first appear, over all files and `-p` rules in the order of the command line, and
//!   later values win. A `-p` rule without the name of a node belongs to the section `/**`.
//!
//! In one thing this is more generous than rclcpp, as r2r is: a name without slash, `monitor:` or `-p monitor:top_k:=1`,
//! means the node of that name in every namespace.

use super::rules::{Rule, rules};
use super::settings::Settings;
use super::table::{ParameterError, Value};
use super::yaml::{self, Tree};

/// The key above the parameters of a node.
const PARAMETERS_KEY: &str = "ros__parameters";

/// The section of a `-p` rule without the name of a node.
const ALL_NODES: &str = "/**";

/// Parameters that rclcpp declares by itself; launch files may set them for every node.
const OF_ROS: &str = "start_type_description_service";

/// Where values come from: a file, or all `-p` rules.
type Source = Option<String>;

/// Everything given at the start, for whichever node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    sections: Vec<Section>,
    /// Names of the sections of every source.
    seen: Vec<(Source, Vec<String>)>,
}

/// What is given for the nodes of one name or pattern.
#[derive(Debug, Clone, PartialEq)]
struct Section {
    nodes: String,
    values: Vec<(String, Value)>,
}

/// Why what was given cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    /// The file cannot be read.
    #[error("cannot read the params file {path}: {reason}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        reason: std::io::Error,
    },
    /// No YAML, or not of the form of a params file.
    #[error("cannot read {origin}: {reason}")]
    Form {
        /// The file, or the rule.
        origin: String,
        /// What is wrong where.
        reason: String,
    },
}

impl Overrides {
    /// Reads the params files and `-p` rules among the arguments of the process.
    ///
    /// # Errors
    /// [`OverrideError`] when a file is missing or something has not the form that rcl asks for.
    pub fn read(arguments: &[String]) -> Result<Self, OverrideError> {
        let mut overrides = Self::default();
        for rule in rules(arguments) {
            match rule {
                Rule::Parameter(rule) => overrides.add(None, vec![parse_rule(rule)?]),
                Rule::ParamsFile(path) => overrides.add(Some(path.to_owned()), read_file(path)?),
            }
        }
        Ok(overrides)
    }

    /// The values that count for the node with that full name, each parameter once.
    #[must_use]
    pub fn of_node(&self, full_name: &str) -> Vec<(String, Value)> {
        let mut values = Vec::new();
        for section in self.sections.iter().filter(|section| is_meant(&section.nodes, full_name)) {
            section.values.iter().for_each(|(name, value)| put(&mut values, name, value.clone()));
        }
        values
    }

    /// One sentence per params file, or for the `-p` rules, of which no section means the node with that full name.
    #[must_use]
    pub fn missed(&self, full_name: &str) -> Vec<String> {
        let missed = |(_, names): &&(Source, Vec<String>)| !names.iter().any(|nodes| is_meant(nodes, full_name));
        let sentence = |(source, names): &(Source, Vec<String>)| {
            let origin = source.as_deref().map_or("the -p rules".to_owned(), |path| format!("the params file {path}"));
            let sections = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            format!(
                "{origin} has nothing for this node: it is called {full_name}, the sections are for {sections}; `/**` is for \
                 every node"
            )
        };
        self.seen.iter().filter(|(_, names)| !names.is_empty()).filter(missed).map(sentence).collect()
    }

    fn add(&mut self, source: Source, sections: Vec<Section>) {
        let names = sections.iter().map(|section| section.nodes.clone());
        match self.seen.iter_mut().find(|(seen, _)| *seen == source) {
            Some((_, seen)) => seen.extend(names),
            None => self.seen.push((source, names.collect())),
        }
        sections.into_iter().for_each(|section| self.merge(section));
    }

    fn merge(&mut self, section: Section) {
        match self.sections.iter_mut().find(|other| other.nodes == section.nodes) {
            Some(same) => section.values.into_iter().for_each(|(name, value)| put(&mut same.values, &name, value)),
            None => self.sections.push(section),
        }
    }
}

/// Puts what was given into the settings. Returns sentences about what is not used: files may hold parameters of other
/// nodes, so that is no error.
///
/// # Errors
/// [`ParameterError`] for a value that is not allowed.
pub fn apply(given: Vec<(String, Value)>, settings: &mut Settings) -> Result<Vec<String>, ParameterError> {
    let mut unused = Vec::new();
    // `cameras` first: it decides which parameters there are.
    let (first, rest): (Vec<_>, Vec<_>) = given.into_iter().partition(|(name, _)| name == "cameras");
    for (name, value) in first.into_iter().chain(rest).filter(|(name, _)| name != OF_ROS) {
        match settings.set(&name, value) {
            Ok(()) => {}
            Err(error @ ParameterError::Unapplied(_)) => unused.push(error.to_string()),
            Err(ParameterError::Unknown(name)) => {
                unused.push(format!("there is no parameter `{name}`, it is ignored; `monitor_node --help` lists them"));
            }
            // Whatever another node calls so need not be allowed here.
            Err(error) if settings.is_without_camera(&name) => unused.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    settings.check()?;
    let lonely = settings.without_camera().into_iter();
    unused.extend(lonely.map(|name| format!("`{name}` is for a camera that the parameter `cameras` does not name")));
    Ok(unused)
}

/// Whether the section `nodes` is for the node with that full name.
fn is_meant(nodes: &str, full_name: &str) -> bool {
    if !nodes.contains('/') && !nodes.contains('*') {
        return full_name.rsplit('/').next() == Some(nodes);
    }
    let name: Vec<&str> = full_name.split('/').filter(|part| !part.is_empty()).collect();
    matches(nodes.split('/').filter(|part| !part.is_empty()), &name)
}

/// Matches a pattern part by part; `ends[n]` says whether the pattern up to here can stand for the first n parts.
fn matches<'a>(pattern: impl Iterator<Item = &'a str>, name: &[&str]) -> bool {
    let mut ends = vec![false; name.len() + 1];
    ends[0] = true;
    for part in pattern {
        if part == "**" {
            let first = ends.iter().position(|&end| end).unwrap_or(ends.len());
            ends[first..].fill(true);
        } else {
            for n in (1..ends.len()).rev() {
                ends[n] = ends[n - 1] && (part == "*" || part == name[n - 1]);
            }
            ends[0] = false;
        }
    }
    ends[name.len()]
}

fn put(values: &mut Vec<(String, Value)>, name: &str, value: Value) {
    match values.iter_mut().find(|(other, _)| other == name) {
        Some((_, old)) => *old = value,
        None => values.push((name.to_owned(), value)),
    }
}

fn read_file(path: &str) -> Result<Vec<Section>, OverrideError> {
    let bytes = std::fs::read(path).map_err(|reason| OverrideError::File { path: path.to_owned(), reason })?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    let form = |reason| OverrideError::Form { origin: format!("the params file {path}"), reason };
    let mut sections = Vec::new();
    let document = yaml::tree(text).map_err(form)?;
    collect_sections(document.unwrap_or(Tree::Map(Vec::new())), "", &mut sections).map_err(form)?;
    Ok(sections)
}

/// `[NODE:]NAME:=VALUE`.
fn parse_rule(rule: &str) -> Result<Section, OverrideError> {
    let form = |reason: String| OverrideError::Form { origin: format!("-p {rule}"), reason };
    let (left, value) = rule.split_once(":=").ok_or_else(|| form("there is no :=".to_owned()))?;
    let (nodes, name) = left.split_once(':').unwrap_or((ALL_NODES, left));
    let value = match yaml::tree(value).map_err(form)? {
        Some(Tree::Value(value)) => value,
        _ => return Err(form("there is no value".to_owned())),
    };
    Ok(Section { nodes: nodes.to_owned(), values: vec![(name.to_owned(), value)] })
}

/// Finds `ros__parameters` under the names of nodes.
fn collect_sections(tree: Tree, above: &str, sections: &mut Vec<Section>) -> Result<(), String> {
    let entries = match tree {
        Tree::Map(entries) => entries,
        Tree::Value(Value::Text(text)) if text.is_empty() => return Ok(()),
        Tree::Value(_) => return Err(format!("`{above}` has a value, but no {PARAMETERS_KEY}")),
    };
    for (key, below) in entries {
        if key == PARAMETERS_KEY {
            let mut values = Vec::new();
            collect_values(below, "", &mut values);
            sections.push(Section { nodes: above.to_owned(), values });
        } else {
            let name = if above.is_empty() { key } else { format!("{above}/{key}") };
            collect_sections(below, &name, sections)?;
        }
    }
    Ok(())
}

fn collect_values(tree: Tree, above: &str, values: &mut Vec<(String, Value)>) {
    match tree {
        Tree::Value(value) if !above.is_empty() => put(values, above, value),
        Tree::Value(_) => {}
        Tree::Map(entries) => {
            for (key, below) in entries {
                let name = if above.is_empty() { key } else { format!("{above}.{key}") };
                collect_values(below, &name, values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<String> {
        text.split('|').map(str::to_owned).collect()
    }

    /// Overrides of params files with these contents and of further arguments, separated by `|`.
    fn overrides(files: &[&str], more: &str) -> Overrides {
        let folder = tempfile::tempdir().unwrap();
        let mut given = arguments("node|--ros-args");
        for (index, text) in files.iter().enumerate() {
            let path = folder.path().join(format!("{index}.yaml"));
            std::fs::write(&path, text).unwrap();
            given.extend(["--params-file".to_owned(), path.display().to_string()]);
        }
        given.extend(arguments(more).into_iter().filter(|argument| !argument.is_empty()));
        Overrides::read(&given).unwrap()
    }

    fn section(nodes: &str) -> String {
        format!("{nodes}:\n  ros__parameters:\n    top_k: 5\n")
    }

    fn integer_of(overrides: &Overrides, node: &str) -> Option<i64> {
        match overrides.of_node(node).into_iter().find(|(name, _)| name == "top_k")?.1 {
            Value::Integer(value) => Some(value),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn sections_match_as_in_rclcpp() {
        for (nodes, full_name, meant) in [
            ("/**", "/front/monitor", true),
            ("/**", "/monitor", true),
            ("/**/monitor", "/front/monitor", true),
            ("/**/monitor", "/a/b/monitor", true),
            ("/**/monitor", "/monitor", true),
            ("/**/monitor", "/front/other", false),
            ("/front/**", "/front/monitor", true),
            ("/front/**", "/front/left/monitor", true),
            ("/front/**", "/rear/monitor", false),
            ("/*/monitor", "/front/monitor", true),
            ("/*/monitor", "/monitor", false),
            ("/*/monitor", "/a/b/monitor", false),
            ("/front/*", "/front/monitor", true),
            ("/*", "/monitor", true),
            ("/*", "/front/monitor", false),
            ("/front/monitor", "/front/monitor", true),
            ("front/monitor", "/front/monitor", true),
            ("/monitor", "/front/monitor", false),
            ("monitor", "/front/monitor", true),
            ("monitor", "/monitor", true),
            ("onitor", "/monitor", false),
            ("**", "/front/monitor", true),
            ("*", "/front/monitor", false),
            ("/**/**/**/monitor", "/a/b/monitor", true),
        ] {
            let overrides = overrides(&[&section(&format!("'{nodes}'"))], "");
            assert_eq!(integer_of(&overrides, full_name).is_some(), meant, "{nodes} for {full_name}");
            assert_eq!(overrides.missed(full_name).is_empty(), meant, "{nodes} for {full_name}");
        }
    }

    #[test]
    fn nested_names_are_joined() {
        let text = "front:\n  monitor:\n    ros__parameters:\n      front: {image_topic: a, deep: {er: 1}}\n      rear.image_topic: b\n";
        let values = overrides(&[text], "").of_node("/front/monitor");
        let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["front.image_topic", "front.deep.er", "rear.image_topic"]);
    }

    #[test]
    fn later_values_win_within_a_section_and_later_sections_over_earlier_ones() {
        let (all, exact) = ("/**: {ros__parameters: {top_k: 1}}", "/monitor: {ros__parameters: {top_k: 2}}");
        let top_k = |files: &[&str], more: &str| integer_of(&overrides(files, more), "/monitor").unwrap();
        assert_eq!(top_k(&[all, exact], ""), 2);
        assert_eq!(top_k(&[exact, all], ""), 1);
        assert_eq!(top_k(&[all], "-p|top_k:=3"), 3);
        assert_eq!(top_k(&[exact], "-p|top_k:=3"), 3);
        // The section /** was there first, so /monitor still stands behind it.
        assert_eq!(top_k(&[all, exact], "-p|top_k:=3"), 2);
        assert_eq!(top_k(&[all, exact], "-p|monitor:top_k:=3"), 3);
        assert_eq!(top_k(&[], "-p|top_k:=3|--param|top_k:=4"), 4);
    }

    #[test]
    fn rules_may_name_a_node() {
        let overrides = overrides(&[], "-p|monitor:top_k:=5|-p|other:top_k:=6");
        assert_eq!(integer_of(&overrides, "/front/monitor"), Some(5));
        assert_eq!(integer_of(&overrides, "/other"), Some(6));
        assert_eq!(integer_of(&overrides, "/third"), None);
    }

    /// What rcl itself made of these texts, seen through rclpy.
    #[test]
    fn scalars_have_the_types_that_rcl_gives_them() {
        for (text, expected) in [
            ("2", Value::Integer(2)),
            ("010", Value::Integer(8)),
            ("0x10", Value::Integer(16)),
            ("-7", Value::Integer(-7)),
            ("08", Value::Double(8.0)),
            ("9223372036854775808", Value::Double(9_223_372_036_854_775_808.0)),
            ("2.", Value::Double(2.0)),
            ("1e3", Value::Double(1000.0)),
            ("infinity", Value::Double(f64::INFINITY)),
            ("-.inf", Value::Double(f64::NEG_INFINITY)),
            ("1e999", Value::Text("1e999".into())),
            ("1_000", Value::Text("1_000".into())),
            ("+-5", Value::Text("+-5".into())),
            ("off", Value::Bool(false)),
            ("yes", Value::Bool(true)),
            ("'off'", Value::Text("off".into())),
            ("\"\"", Value::Text(String::new())),
            ("!!str 5", Value::Text("5".into())),
            ("~", Value::Text("~".into())),
            ("null", Value::Text("null".into())),
            ("hello world # comment", Value::Text("hello world".into())),
            ("[front, \"rear\"]", Value::TextArray(vec!["front".into(), "rear".into()])),
            ("- a", Value::TextArray(vec!["a".into()])),
            ("[]", Value::TextArray(Vec::new())),
            ("[1, 2]", Value::Other("an array of something else")),
        ] {
            assert_eq!(parse_rule(&format!("b:={text}")).unwrap().values[0].1, expected, "{text}");
        }
        assert!(matches!(parse_rule("b:=nan").unwrap().values[0].1, Value::Double(value) if value.is_nan()));
    }

    #[test]
    fn what_has_another_form_is_an_error_that_names_the_place() {
        for rule in ["b", "b:=", "b:={c: 1}", "b:=[{c: 1}]", "b:=[", "b:=&x 1", "b:=*x"] {
            if let Err(error) = parse_rule(rule) {
                assert!(error.to_string().contains(rule), "{error}");
            } else {
                assert_eq!(rule, "b:=&x 1");
            }
        }
        let deep = format!("/**: {{ros__parameters: {}1{}}}", "{a: ".repeat(40), "}".repeat(40));
        assert!(yaml::tree(&deep).unwrap_err().contains("deep"));
        let read = Overrides::read(&arguments("node|--ros-args|--params-file|/nowhere.yaml"));
        assert!(read.unwrap_err().to_string().contains("/nowhere.yaml"));
    }

    #[test]
    fn files_need_not_be_clean_utf8() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("params.yaml");
        std::fs::write(&path, b"\xef\xbb\xbf/**: {ros__parameters: {model: \"\xff\", top_k: 5}}").unwrap();
        let sections = read_file(path.to_str().unwrap()).unwrap();
        assert_eq!(sections[0].nodes, "/**");
        assert_eq!(sections[0].values[1], ("top_k".to_owned(), Value::Integer(5)));
    }

    #[test]
    fn empty_files_and_sections_give_nothing() {
        for text in ["", "# nothing\n", "---\n", "/**:\n  ros__parameters:\n", "/**: {ros__parameters: {}}"] {
            assert_eq!(overrides(&[text], "").of_node("/monitor"), [], "{text}");
        }
    }

    #[test]
    fn files_that_are_for_others_only_are_told_with_their_sections() {
        let (for_others, for_us) = ("a: {ros__parameters: {x: 1}}\n/b/**: {ros__parameters: {x: 1}}", section("/**"));
        let missed = overrides(&[for_others, &for_us], "-p|c:x:=1").missed("/front/monitor");
        assert_eq!(missed.len(), 2);
        assert!(missed[0].contains("0.yaml") && missed[0].contains("/front/monitor"), "{}", missed[0]);
        assert!(missed[0].contains("`a`, `/b/**`"), "{}", missed[0]);
        assert!(missed[1].starts_with("the -p rules") && missed[1].contains("`c`"), "{}", missed[1]);
    }

    fn apply_to(given: &[(&str, Value)]) -> Result<(Settings, Vec<String>), ParameterError> {
        let mut settings = Settings::default();
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        apply(given, &mut settings).map(|unused| (settings, unused))
    }

    #[test]
    fn values_from_the_start_are_applied_and_strange_names_told() {
        let (settings, unused) = apply_to(&[
            ("model", Value::Text("/m".into())),
            ("viewer", Value::Bool(false)),
            ("alarm_levl", Value::Double(0.1)),
            ("start_type_description_service", Value::Bool(true)),
            ("qos_overrides./image.subscription.depth", Value::Integer(1)),
            ("qos_overrides./image.subscription.lifespan", Value::Integer(1)),
            ("front.bit_depth", Value::Integer(12)),
            ("rear.bit_depth", Value::Integer(12)),
            ("detector.bit_depth", Value::Text("any".into())),
            ("cameras", Value::TextArray(vec!["front".into()])),
        ])
        .unwrap();
        assert_eq!((settings.text("model"), settings.text("viewer")), ("/m", "off"));
        assert_eq!(settings.get("front.bit_depth"), Some(Value::Integer(12)));
        let words = [
            "no parameter `alarm_levl`",
            "subscription.lifespan` is not applied",
            "`detector.bit_depth` must be an integer",
            "`rear.bit_depth` is for a camera",
        ];
        assert_eq!(unused.len(), words.len(), "{unused:?}");
        for (sentence, word) in unused.iter().zip(words) {
            assert!(sentence.contains(word), "{sentence}");
        }
    }

    #[test]
    fn values_that_are_not_allowed_are_refused() {
        for (name, value) in [
            ("alarm_level", Value::Double(2.0)),
            ("alarm_level", Value::Double(0.5)), // above suspect_level
            ("model", Value::TextArray(vec![])),
            ("top_k", Value::Text("3".into())),
            ("image_topic", Value::Text("a b".into())),
            ("cameras", Value::TextArray(vec!["a/b".into()])),
            ("cameras", Value::Text("front".into())),
            ("qos_overrides./image.subscription.depth", Value::Integer(0)),
        ] {
            let error = apply_to(&[(name, value.clone())]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_written_panics(text in ".*", yaml in "[-a-z0-9:{}\\[\\]'\"|>&*!#~., \n]{0,60}") {
            for text in [&text, &yaml] {
                let _ = parse_rule(text);
                let _ = parse_rule(&format!("b:={text}"));
                let _ = yaml::tree(text).map(|tree| tree.map(|tree| collect_sections(tree, "", &mut Vec::new())));
            }
        }
    }
}
