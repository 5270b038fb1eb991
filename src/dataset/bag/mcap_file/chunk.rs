//! The messages of a chunk.

use std::ops::Range;

use super::channels::Channels;
use super::records::{ChunkHeader, Fields, MessageHeader, record};
use crate::dataset::bag::compression;
use crate::dataset::bag::limits::MAX_CHUNK_BYTES;
use mcap::records::op;

/// A message within unpacked records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) log_nanos: u64,
    pub(super) channel: u16,
    data: Range<usize>,
}

/// Unpacked records and the messages among them.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    records: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

/// What is wrong with a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) reason: String,
    pub(super) lost_messages: Option<u64>,
}

impl Trouble {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lost_messages: None }
    }
}

impl Chunk {
    /// Unpacks the body of a chunk record that is all there. The channels that it announces are added to `channels`.
    ///
    /// # Errors
    /// What is wrong when nothing of it can be trusted: it cannot be decoded or its checksum is wrong.
    pub(super) fn unpack(body: &[u8], channels: &mut Channels) -> Result<(Self, Option<Trouble>), Trouble> {
        let header = ChunkHeader::parse(body).ok_or_else(|| Trouble::new("a chunk with a broken header"))?;
        let size = header.unpacked_size;
        if size > MAX_CHUNK_BYTES {
            return Err(Trouble::new(format!("a chunk that claims to unpack to {size} bytes")));
        }
        let packed = usize::try_from(header.packed_size).ok().and_then(|size| header.rest.get(..size));
        let packed = packed.ok_or_else(|| Trouble::new("a chunk that claims more bytes than its record has"))?;
        let records = compression::chunk(header.compression, packed, size)
            .map_err(|(_, reason)| Trouble::new(format!("undecodable chunk: {reason}")))?;
        if records.len() as u64 != size {
            return Err(Trouble::new(format!("a chunk that does not unpack to the {size} bytes it claims")));
        }
        if header.crc != 0 && crc32fast::hash(&records) != header.crc {
            return Err(Trouble::new("a chunk with a wrong checksum"));
        }
        Ok(Self::walk(records, channels, true))
    }

    /// Unpacks what is there of a chunk that the end of the file cuts off. Its checksum cannot be checked.
    pub(super) fn salvage(body: &[u8], channels: &mut Channels) -> Self {
        let Some(header) = ChunkHeader::parse(body) else { return Self::default() };
        let records = match compression::chunk(header.compression, header.rest, header.unpacked_size) {
            Ok(records) | Err((records, _)) => records,
        };
        Self::walk(records, channels, false).0
    }

    /// A message outside of any chunk; `body` is that of its record.
    pub(super) fn single(body: Vec<u8>, channels: &Channels) -> (Self, Option<Trouble>) {
        let mut chunk = Self { entries: Vec::new(), records: body };
        let Some(entry) = entry(&chunk.records, 0) else {
            return (chunk, Some(Trouble { lost_messages: Some(1), ..Trouble::new("a message that is too short") }));
        };
        chunk.entries.push(entry);
        let trouble = chunk.leave_out_unknown(channels);
        (chunk, trouble)
    }

    pub(super) fn data(&self, entry: &Entry) -> &[u8] {
        self.records.get(entry.data.clone()).unwrap_or_default()
    }

    /// Bytes that are held in memory.
    pub(super) fn held(&self) -> usize {
        self.records.len()
    }

    fn walk(records: Vec<u8>, channels: &mut Channels, whole: bool) -> (Self, Option<Trouble>) {
        let mut entries = Vec::new();
        let mut fields = Fields(&records);
        let mut broken = false;
        while !fields.0.is_empty() && !broken {
            let Some((opcode, body)) = record(&mut fields) else {
                broken = true;
                break;
            };
            let start = records.len() - fields.0.len() - body.len();
            broken = match opcode {
                op::MESSAGE => entry(body, start).map(|entry| entries.push(entry)).is_none(),
                op::SCHEMA => channels.add_schema(body).is_none(),
                op::CHANNEL => channels.add_channel(body).is_none(),
                _ => false,
            };
        }
        let mut chunk = Self { records, entries };
        let unknown = chunk.leave_out_unknown(channels);
        let trouble = (broken && whole).then(|| Trouble::new("a chunk with broken records")).or(unknown);
        (chunk, trouble)
    }

    /// Leaves out messages of channels that nothing is known about.
    fn leave_out_unknown(&mut self, channels: &Channels) -> Option<Trouble> {
        let before = self.entries.len();
        self.entries.retain(|entry| channels.get(entry.channel).is_some());
        let lost = before - self.entries.len();
        let reason = "messages of a channel that was not announced";
        (lost > 0).then(|| Trouble { lost_messages: Some(lost as u64), ..Trouble::new(reason) })
    }
}

/// The message whose record has this body, which begins at `start`.
fn entry(body: &[u8], start: usize) -> Option<Entry> {
    let MessageHeader { channel, log_nanos } = MessageHeader::parse(body)?;
    Some(Entry { log_nanos, channel, data: start + MessageHeader::LENGTH..start + body.len() })
}
