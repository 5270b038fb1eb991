//! Full names of topics. The graph is asked by full name, after expansion and remapping, which r2r does not tell.

/// Name rules of one node: its own name and the remapping arguments of the process.
#[derive(Debug, Clone)]
pub struct Names {
    node: String,
    namespace: String,
    rules: Vec<(String, String)>,
}

impl Names {
    /// `arguments` are those of the process; only `-r from:=to` after `--ros-args` counts.
    #[must_use]
    pub fn new(node: &str, namespace: &str, arguments: &[String]) -> Self {
        let rules = remappings(arguments).filter_map(|rule| applies_to(node, rule)).collect();
        Self { node: node.to_owned(), namespace: namespace.trim_end_matches('/').to_owned(), rules }
    }

    /// Full name of the node.
    #[must_use]
    pub fn node(&self) -> String {
        format!("{}/{}", self.namespace, self.node)
    }

    /// Name of `topic` in the graph: expanded and remapped; the first rule that fits wins, as in rcl.
    #[must_use]
    pub fn resolve(&self, topic: &str) -> String {
        let expanded = self.expand(topic);
        let fits =
            |(from, _): &&(String, String)| self.expand(from.strip_prefix("rostopic://").unwrap_or(from)) == expanded;
        self.rules.iter().find(fits).map_or(expanded.clone(), |(_, to)| self.expand(to))
    }

    fn expand(&self, topic: &str) -> String {
        match topic.strip_prefix('~') {
            Some(rest) => format!("{}/{}{}", self.namespace, self.node, rest),
            None if topic.starts_with('/') => topic.to_owned(),
            None => format!("{}/{topic}", self.namespace),
        }
    }
}

/// The `from:=to` of every `-r` or `--remap` between `--ros-args` and `--`.
fn remappings(arguments: &[String]) -> impl Iterator<Item = &str> {
    let mut in_ros_arguments = false;
    arguments.windows(2).filter_map(move |pair| {
        match pair[0].as_str() {
            "--ros-args" => in_ros_arguments = true,
            "--" => in_ros_arguments = false,
            "-r" | "--remap" if in_ros_arguments => return Some(pair[1].as_str()),
            _ => {}
        }
        None
    })
}

/// Splits a rule; `None` for rules of other nodes and for those of node name and namespace.
fn applies_to(node: &str, rule: &str) -> Option<(String, String)> {
    let (from, to) = rule.split_once(":=")?;
    let from = match from.split_once(':') {
        Some(("rostopic", _)) | None => from,
        Some((other, from)) if other == node => from,
        Some(_) => return None,
    };
    (!from.starts_with("__")).then(|| (from.to_owned(), to.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(namespace: &str, arguments: &str) -> Names {
        let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        Names::new("monitor", namespace, &arguments)
    }

    #[test]
    fn names_are_expanded() {
        let names = names("/front", "");
        assert_eq!(names.resolve("image"), "/front/image");
        assert_eq!(names.resolve("/camera/image"), "/camera/image");
        assert_eq!(names.resolve("~/ood"), "/front/monitor/ood");
    }

    #[test]
    fn the_root_namespace_adds_nothing() {
        assert_eq!(names("/", "").resolve("image"), "/image");
    }

    #[test]
    fn remapping_compares_full_names() {
        let names = names("/front", "node --ros-args -r image:=/camera/image_raw --remap __ns:=/front -p a:=b");
        assert_eq!(names.resolve("image"), "/camera/image_raw");
        assert_eq!(names.resolve("/front/image"), "/camera/image_raw");
        assert_eq!(names.resolve("/image"), "/image");
    }

    #[test]
    fn rules_of_other_nodes_and_outside_of_ros_arguments_do_not_count() {
        let names = names("/", "-r image:=/a --ros-args -r other:image:=/b -r monitor:image:=/c -- -r image:=/d");
        assert_eq!(names.resolve("image"), "/c");
    }
}
