//! YAML as a tree, from the events of saphyr-parser: what params files and the metadata of bags are read from.

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

/// Deepest nesting of a document.
const MAX_DEPTH: usize = 32;

/// A part of a document.
#[derive(Debug)]
pub(crate) enum Node {
    /// A text, with what tells whether it may be read as something else.
    Scalar {
        /// The text.
        text: String,
        /// How it is quoted.
        style: ScalarStyle,
        /// Its type, where one is named.
        tag: Option<Tag>,
    },
    /// `[a, b]`.
    List(Vec<Node>),
    /// Keys and what is below them, in their order.
    Map(Vec<(String, Node)>),
    /// A reference to another part, which is not followed.
    Alias,
}

/// The first document of a text; `None` when there is nothing in it.
///
/// # Errors
/// What is no YAML, or nested too deep.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, String> {
    let mut document = Document(Parser::new_from_str(text));
    loop {
        match document.next()? {
            Event::StreamEnd => return Ok(None),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => return document.node(event, 0).map(Some),
        }
    }
}

impl Node {
    /// What is below a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(found, _)| found == key).map(|(_, node)| node)
    }

    /// The elements of a list; none of anything else.
    pub(crate) fn list(&self) -> &[Self] {
        if let Self::List(nodes) = self { nodes } else { &[] }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Scalar { text, .. } = self { Some(text) } else { None }
    }
}

struct Document<'a>(Parser<'a, StrInput<'a>>);

impl<'a> Document<'a> {
    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                Ok(Node::Scalar { text: text.into_owned(), style, tag: tag.map(|tag| tag.into_owned()) })
            }
            Event::SequenceStart(..) => self.list(depth),
            Event::MappingStart(..) => self.map(depth),
            Event::Alias(_) => Ok(Node::Alias),
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
