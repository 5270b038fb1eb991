//! The channels of an MCAP file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chunk::{Chunk, Entry};
use super::records::Fields;
use crate::dataset::bag::overview::Topics;
use crate::dataset::bag::types::normalised;
use crate::dataset::bag::{BagMessage, Topic};

/// What is needed of the record of a channel or of a schema: the names at its front, not the definition of the type.
pub(super) const FRONT: u64 = 64 << 10;

/// Where messages of a channel belong.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) topic: Arc<str>,
    type_name: Arc<str>,
    pub(super) encoding: Arc<str>,
}

impl Channel {
    /// A message of this channel.
    pub(super) fn message(&self, entry: &Entry, chunk: &Chunk) -> BagMessage {
        BagMessage {
            topic: Arc::clone(&self.topic),
            type_name: Arc::clone(&self.type_name),
            log_nanos: entry.log_nanos,
            data: chunk.data(entry).to_vec(),
        }
    }
}

/// Channels by their number. The first record of a number counts: writers repeat it, they do not change it.
#[derive(Debug, Default)]
pub(super) struct Channels {
    types: BTreeMap<u16, Arc<str>>,
    channels: BTreeMap<u16, Channel>,
}

impl Channels {
    pub(super) fn get(&self, id: u16) -> Option<&Channel> {
        self.channels.get(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// `None` for a broken record.
    pub(super) fn add_schema(&mut self, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        let id = fields.u16()?;
        let name = normalised(fields.name()?);
        self.types.entry(id).or_insert_with(|| name.into());
        Some(())
    }

    /// `None` for a broken record.
    pub(super) fn add_channel(&mut self, body: &[u8]) -> Option<()> {
        let mut fields = Fields(body);
        let id = fields.u16()?;
        let schema = fields.u16()?;
        let topic = fields.name()?;
        let encoding = fields.name()?;
        let type_name = self.types.get(&schema).cloned().unwrap_or_default();
        let channel = || Channel { topic: topic.into(), type_name, encoding: encoding.into() };
        self.channels.entry(id).or_insert_with(channel);
        Some(())
    }

    /// The topics with these message counts per channel.
    pub(super) fn topics(&self, counts: &BTreeMap<u16, u64>) -> Topics {
        let mut topics = Topics::default();
        for (id, channel) in &self.channels {
            topics.add(Topic {
                name: channel.topic.as_ref().to_owned(),
                type_name: channel.type_name.as_ref().to_owned(),
                message_count: counts.get(id).copied().unwrap_or(0),
                encoding: channel.encoding.as_ref().to_owned(),
            });
        }
        topics
    }
}
