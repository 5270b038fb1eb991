//! Names that parameters hold: topics and cameras.

use std::fmt;

use super::table::PARAMETERS;

/// Longest name of a topic that every middleware takes, as in rmw (`RMW_TOPIC_MAX_NAME_LENGTH`).
const MAX_TOPIC_LENGTH: usize = 247;

/// What the node itself calls `~/NAME`, and what may not be taken for the parameters of a camera.
const TAKEN: [&str; 22] = [
    "change_state",
    "classification",
    "describe_parameters",
    "detections",
    "enable",
    "get_available_states",
    "get_available_transitions",
    "get_parameter_types",
    "get_parameters",
    "get_state",
    "get_transition_graph",
    "list_parameters",
    "ood",
    "overlay",
    "qos_overrides",
    "reset",
    "save_event",
    "set_parameters",
    "set_parameters_atomically",
    "stream_changes",
    "stream_state",
    "transition_event",
];

/// Most cameras of one node.
const MAX_CAMERAS: usize = 64;

/// Most characters of a name or value that a message repeats.
const MAX_REPEATED: usize = 100;

/// Name of a camera; the only camera of a node without the parameter `cameras` has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct CameraName(Option<String>);

impl CameraName {
    /// A camera of that name, which must have passed [`check_cameras`].
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(Some(name.to_owned()))
    }

    /// The name; `None` for the only camera of a node without the parameter `cameras`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Private topic of an output of this camera: `~/<camera>/<output>`, or `~/<output>`.
    #[must_use]
    pub fn topic(&self, output: &str) -> String {
        self.name().map_or_else(|| format!("~/{output}"), |camera| format!("~/{camera}/{output}"))
    }

    /// Full name of the parameter that holds a row of the table for this camera.
    #[must_use]
    pub fn parameter(&self, row: &str) -> String {
        self.name().map_or_else(|| row.to_owned(), |camera| format!("{camera}.{row}"))
    }

    /// `topic` under the name of this camera: `image` → `front/image`, `/image` → `/front/image`, `~/image` →
    /// `~/front/image`.
    #[must_use]
    pub fn prefix(&self, topic: &str) -> String {
        let Some(camera) = self.name() else { return topic.to_owned() };
        let start = if topic.starts_with("~/") { 2 } else { usize::from(topic.starts_with('/')) };
        let (root, rest) = topic.split_at(start);
        format!("{root}{camera}/{rest}")
    }
}

impl fmt::Display for CameraName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name().unwrap_or("camera"))
    }
}

/// Checks a relative, absolute or private topic name by the rules of ROS 2 (rcl's `validate_topic_name`). Substitutions
/// in braces are not taken.
///
/// # Errors
/// What is wrong with it.
pub fn check_topic(topic: &str) -> Result<(), String> {
    let wrong = |reason: String| Err(format!("`{}` is not a topic name: {reason}", cut(topic)));
    if topic.is_empty() {
        return wrong("it is empty".to_owned());
    }
    if topic.len() > MAX_TOPIC_LENGTH {
        return wrong(format!("{} characters, {MAX_TOPIC_LENGTH} are allowed", topic.len()));
    }
    if topic.ends_with('/') {
        return wrong("it ends with a slash".to_owned());
    }
    let path = topic.strip_prefix("~/").or_else(|| topic.strip_prefix('/')).unwrap_or(topic);
    path.split('/').map(check_token).find_map(Result::err).map_or(Ok(()), wrong)
}

/// Checks the names of cameras: tokens of ROS names, each once, none that the node uses itself.
///
/// # Errors
/// What is wrong with which name.
pub fn check_cameras(cameras: &[String]) -> Result<(), String> {
    if cameras.len() > MAX_CAMERAS {
        return Err(format!("{} cameras are named, at most {MAX_CAMERAS} are allowed", cameras.len()));
    }
    for (index, camera) in cameras.iter().enumerate() {
        check_token(camera).map_err(|reason| format!("`{}` cannot name a camera: {reason}", cut(camera)))?;
        if cameras[..index].contains(camera) {
            return Err(format!("the camera `{}` is named twice", cut(camera)));
        }
        if TAKEN.contains(&camera.as_str()) || PARAMETERS.iter().any(|row| row.name == camera) {
            return Err(format!("`{camera}` cannot name a camera: the node uses that name itself"));
        }
    }
    Ok(())
}

/// `text`, or its beginning: messages do not repeat whatever somebody sends.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_REPEATED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// One part of a name between slashes.
fn check_token(token: &str) -> Result<(), String> {
    if token.is_empty() {
        return Err("a part of it between slashes is empty".to_owned());
    }
    if token.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("`{}` starts with a digit", cut(token)));
    }
    match token.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
        Some(c) => Err(format!("`{c}` is not allowed, only letters, digits and _")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_follow_the_rules_of_ros() {
        for topic in ["image", "/camera/image_raw", "~/image", "a/b_1", "_x", "/a"] {
            assert_eq!(check_topic(topic), Ok(()), "{topic}");
        }
        for (topic, word) in [
            ("", "empty"),
            ("/", "ends with a slash"),
            ("a/", "ends with a slash"),
            ("a//b", "empty"),
            ("a/1b", "starts with a digit"),
            ("a b", "` ` is not allowed"),
            ("a-b", "`-` is not allowed"),
            ("a~", "`~` is not allowed"),
            ("~image", "`~` is not allowed"),
            ("bild/grün", "`ü` is not allowed"),
            ("{node}/a", "`{` is not allowed"),
        ] {
            let reason = check_topic(topic).unwrap_err();
            assert!(reason.contains(word), "{topic}: {reason}");
        }
        assert!(check_topic(&"a".repeat(248)).unwrap_err().contains("248 characters"));
    }

    #[test]
    fn cameras_are_different_tokens_that_nothing_else_uses() {
        let check = |names: &[&str]| check_cameras(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["front", "rear_2"]), Ok(()));
        for (names, word) in [
            (&["front", "front"][..], "twice"),
            (&["a/b"], "`/` is not allowed"),
            (&["a.b"], "`.` is not allowed"),
            (&["2nd"], "digit"),
            (&["", "a"], "empty"),
            (&["ood"], "uses that name"),
            (&["model"], "uses that name"),
            (&["qos_overrides"], "uses that name"),
        ] {
            let reason = check(names).unwrap_err();
            assert!(reason.contains(word), "{names:?}: {reason}");
        }
    }

    #[test]
    fn cameras_are_bounded() {
        let names: Vec<String> = (0..65).map(|index| format!("camera_{index}")).collect();
        assert_eq!(check_cameras(&names[..64]), Ok(()));
        assert!(check_cameras(&names).unwrap_err().contains("65 cameras"));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ü".repeat(101)), format!("{}…", "ü".repeat(100)));
        assert_eq!(cut(&"ü".repeat(100)), "ü".repeat(100));
    }

    #[test]
    fn names_of_a_camera() {
        let (front, only) = (CameraName::named("front"), CameraName::default());
        assert_eq!((front.topic("ood"), only.topic("ood")), ("~/front/ood".into(), "~/ood".into()));
        assert_eq!(
            (front.parameter("bit_depth"), only.parameter("bit_depth")),
            ("front.bit_depth".into(), "bit_depth".into())
        );
        assert_eq!(front.prefix("image"), "front/image");
        assert_eq!(front.prefix("/camera/image"), "/front/camera/image");
        assert_eq!(front.prefix("~/image"), "~/front/image");
        assert_eq!(only.prefix("image"), "image");
    }
}
