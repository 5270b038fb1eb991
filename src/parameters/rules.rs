//! The `-p` rules and params files among the arguments of ROS.

/// One `-p` rule or params file among the arguments of ROS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'a> {
    /// `[NODE:]NAME:=VALUE`.
    Parameter(&'a str),
    /// Path of a YAML file.
    ParamsFile(&'a str),
}

/// The `-p` rules and params files between `--ros-args` and `--`, in order.
pub fn rules(arguments: &[String]) -> Vec<Rule<'_>> {
    let (mut rules, mut in_ros_arguments) = (Vec::new(), false);
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--ros-args" => in_ros_arguments = true,
            "--" => in_ros_arguments = false,
            "-p" | "--param" if in_ros_arguments => rules.extend(words.next().map(Rule::Parameter)),
            "--params-file" if in_ros_arguments => rules.extend(words.next().map(Rule::ParamsFile)),
            // The word behind it belongs to it, whatever it looks like.
            "-r" | "--remap" | "--log-level" if in_ros_arguments => drop(words.next()),
            _ => {}
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn rules_stand_between_ros_args_and_two_dashes() {
        let given =
            words("node -p x:=0 --ros-args -r -p:=a -p a:=1 --params-file f --log-level -p --param b:=2 -- -p c:=3");
        assert_eq!(rules(&given), [Rule::Parameter("a:=1"), Rule::ParamsFile("f"), Rule::Parameter("b:=2")]);
        assert_eq!(rules(&words("node --ros-args -p")), []);
    }
}
