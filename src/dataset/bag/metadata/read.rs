//! Reads what `metadata.yaml` says about the files of a bag.
//!
//! The events of saphyr-parser are used as they come: a handful of keys is needed, whatever rosbag2 adds between them, and the
//! parameters of the node are read with the same parser.

use saphyr_parser::{Event, Parser, StrInput};

/// Deepest nesting; rosbag2 needs eight.
const MAX_DEPTH: usize = 32;

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

/// A YAML document.
#[derive(Debug)]
enum Node {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Listing {
    /// # Errors
    /// What is wrong with the text.
    pub(in crate::dataset::bag) fn parse(text: &str) -> Result<Self, String> {
        let document = Document(Parser::new_from_str(text)).read()?;
        let information = document.get("rosbag2_bagfile_information").ok_or("no rosbag2_bagfile_information in it")?;
        let paths = information.get("relative_file_paths").map(Node::list).unwrap_or_default();
        let names: Vec<&str> = paths.iter().filter_map(|path| path.text()).filter_map(file_name).collect();
        let files = names.iter().map(|&name| {
            let messages =
                information.messages_in(name).or_else(|| (names.len() == 1).then(|| information.messages())?);
            Listed { name: name.to_owned(), messages }
        });
        Ok(Self { files: files.collect(), compression: information.compression() })
    }
}

impl Node {
    fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(found, _)| found == key).map(|(_, node)| node)
    }

    fn list(&self) -> &[Self] {
        if let Self::List(nodes) = self { nodes } else { &[] }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Scalar(text) = self { Some(text) } else { None }
    }

    fn messages(&self) -> Option<u64> {
        self.get("message_count")?.text()?.parse().ok()
    }

    fn messages_in(&self, name: &str) -> Option<u64> {
        let is_it = |file: &&Self| file.get("path").and_then(Self::text).and_then(file_name) == Some(name);
        self.get("files")?.list().iter().find(is_it)?.messages()
    }

    /// rosbag2 writes an empty mode or NONE when nothing is compressed.
    fn compression(&self) -> String {
        let value = |key| self.get(key).and_then(Self::text).unwrap_or_default().to_lowercase();
        let mode = value("compression_mode");
        if matches!(mode.as_str(), "" | "none") { String::new() } else { value("compression_format") }
    }
}

/// Old versions put the name of the folder before that of the file.
fn file_name(path: &str) -> Option<&str> {
    std::path::Path::new(path).file_name()?.to_str()
}

struct Document<'a>(Parser<'a, StrInput<'a>>);

impl<'a> Document<'a> {
    fn read(mut self) -> Result<Node, String> {
        loop {
            match self.next()? {
                Event::StreamEnd => return Err("it is empty".into()),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                event => return self.node(event, 0),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        match event {
            Event::Scalar(text, ..) => Ok(Node::Scalar(text.into_owned())),
            // Writers repeat a QoS profile by reference; nothing that is needed here is.
            Event::Alias(_) => Ok(Node::Scalar(String::new())),
            Event::SequenceStart(..) => self.list(depth),
            Event::MappingStart(..) => self.map(depth),
            other => Err(format!("a value is missing before {other:?}")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, String> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Node::List(nodes)),
                event => nodes.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let mut entries = Vec::new();
        loop {
            match self.next()? {
                Event::MappingEnd => return Ok(Node::Map(entries)),
                Event::Scalar(key, ..) => {
                    let value = self.next()?;
                    entries.push((key.into_owned(), self.node(value, depth + 1)?));
                }
                other => return Err(format!("a key must be a text, found {other:?}")),
            }
        }
    }

    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.0.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }
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
