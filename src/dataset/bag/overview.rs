//! What a recording holds, told before its messages are read.

use std::collections::BTreeMap;

use super::Topic;

/// Topics by name, those of several files and channels together.
#[derive(Debug, Default, Clone)]
pub(super) struct Topics(BTreeMap<String, Topic>);

impl Topics {
    /// Adds to the count of a topic. What can be read decides about type and encoding, otherwise the first one.
    pub(super) fn add(&mut self, topic: Topic) {
        let Some(known) = self.0.get_mut(&topic.name) else {
            self.0.insert(topic.name.clone(), topic);
            return;
        };
        let count = known.message_count.saturating_add(topic.message_count);
        if topic.readable() && !known.readable() {
            *known = topic;
        }
        known.message_count = count;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.0.values()
    }

    /// In alphabetical order.
    pub(super) fn into_vec(self) -> Vec<Topic> {
        self.0.into_values().collect()
    }
}

/// First and last log time, nanoseconds since the epoch.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Span(pub(super) Option<(u64, u64)>);

impl Span {
    pub(super) fn add(&mut self, nanos: u64) {
        let (first, last) = self.0.unwrap_or((nanos, nanos));
        self.0 = Some((first.min(nanos), last.max(nanos)));
    }

    pub(super) fn join(&mut self, other: Self) {
        if let Some((first, last)) = other.0 {
            self.add(first);
            self.add(last);
        }
    }
}

/// What one file holds.
#[derive(Debug, Default)]
pub(super) struct Overview {
    pub(super) topics: Topics,
    pub(super) span: Span,
}

impl Overview {
    /// Messages on all topics.
    pub(super) fn messages(&self) -> u64 {
        self.topics.iter().map(|topic| topic.message_count).fold(0, u64::saturating_add)
    }
}
