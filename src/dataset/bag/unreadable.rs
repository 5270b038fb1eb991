//! Messages that are whole in the file but not what their topic says.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Messages that could not be read, by topic: how many, and why the first could not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unreadable(BTreeMap<String, (u64, String)>);

impl Unreadable {
    /// Counts a message of a topic.
    pub fn add(&mut self, topic: &str, reason: &dyn Display) {
        self.0.entry(topic.to_owned()).or_insert_with(|| (0, reason.to_string())).0 += 1;
    }

    /// Number of all of them.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// One sentence per topic.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(topic, (count, reason))| {
            let messages = if *count == 1 { "message" } else { "messages" };
            format!("{count} {messages} on {topic} could not be read: {reason}")
        })
    }
}
