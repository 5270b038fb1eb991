//! Reads what `metadata.yaml` says about the files of a bag.

use crate::yaml::{self, Node};

/// The files of a bag.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dataset::bag) struct Listing {
    pub(in crate::dataset::bag) files: Vec<Listed>,
    /// How files or messages are compressed, in lower case; empty when they are not.
    pub(in crate::dataset::bag) compression: String,
}

/// One file of a bag.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dataset::bag) struct Listed {
    /// Its name without folders: all files of a bag lie beside its metadata.
    pub(in crate::dataset::bag) name: String,
    /// Messages in it; `None` when that is not said.
    pub(in crate::dataset::bag) messages: Option<u64>,
}

impl Listing {
    /// # Errors
    /// What is wrong with the text.
    pub(in crate::dataset::bag) fn parse(text: &str) -> Result<Self, String> {
        let document = yaml::parse(text)?.ok_or("it is empty")?;
        let information = document.get("rosbag2_bagfile_information").ok_or("no rosbag2_bagfile_information in it")?;
        let paths = information.get("relative_file_paths").map(Node::list).unwrap_or_default();
        let names: Vec<&str> = paths.iter().filter_map(|path| path.text()).filter_map(file_name).collect();
        let files = names.iter().map(|&name| {
            let messages =
                messages_in(information, name).or_else(|| (names.len() == 1).then(|| messages(information))?);
            Listed { name: name.to_owned(), messages }
        });
        Ok(Self { files: files.collect(), compression: compression(information) })
    }
}

fn messages(node: &Node) -> Option<u64> {
    node.get("message_count")?.text()?.parse().ok()
}

fn messages_in(information: &Node, name: &str) -> Option<u64> {
    let is_it = |file: &&Node| file.get("path").and_then(Node::text).and_then(file_name) == Some(name);
    messages(information.get("files")?.list().iter().find(is_it)?)
}

/// rosbag2 writes an empty mode or NONE when nothing is compressed.
fn compression(information: &Node) -> String {
    let value = |key| information.get(key).and_then(Node::text).unwrap_or_default().to_lowercase();
    let mode = value("compression_mode");
    if matches!(mode.as_str(), "" | "none") { String::new() } else { value("compression_format") }
}

/// Old versions put the name of the folder before that of the file.
fn file_name(path: &str) -> Option<&str> {
    std::path::Path::new(path).file_name()?.to_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_their_messages() {
        let text = "rosbag2_bagfile_information:
  version: 5
  message_count: 7
  compression_format: ZSTD
  compression_mode: FILE
  relative_file_paths: [old/a_0.db3.zstd, a_1.db3.zstd]
  files:
    - {path: a_0.db3.zstd, message_count: 4}
  topics_with_message_count:
    - topic_metadata: {name: /a, offered_qos_profiles: &qos \"\"}
    - topic_metadata: {name: /b, offered_qos_profiles: *qos}
";
        let listed = |name: &str, messages| Listed { name: name.into(), messages };
        let files = vec![listed("a_0.db3.zstd", Some(4)), listed("a_1.db3.zstd", None)];
        assert_eq!(Listing::parse(text).unwrap(), Listing { files, compression: "zstd".into() });
    }

    #[test]
    fn one_file_has_all_messages() {
        let text = "rosbag2_bagfile_information:\n  message_count: 7\n  relative_file_paths:\n    - a.db3\n";
        let files = vec![Listed { name: "a.db3".into(), messages: Some(7) }];
        assert_eq!(Listing::parse(text).unwrap(), Listing { files, compression: String::new() });
    }

    #[test]
    fn other_texts_are_errors() {
        let deep = format!("a: {}1{}", "[".repeat(100), "]".repeat(100));
        for text in ["", "a: 1", "rosbag2_bagfile_information", "a: [", "? [a]\n: 1", "a: &b [*b]\n- c", &deep] {
            assert!(Listing::parse(text).is_err(), "{text}");
        }
    }
}
