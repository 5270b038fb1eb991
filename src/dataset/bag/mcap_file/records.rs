//! The fields of MCAP records that are needed here.
//!
//! They are read here and not by the mcap crate because that takes the memory for a text before it looks whether the text is
//! there: four bytes of a broken file would ask for 4 GiB.

use std::collections::BTreeMap;

use crate::dataset::bag::limits::MAX_NAME_BYTES;

/// Reads little-endian fields from the front; `None` where the record is too short.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A text with its length before it.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        let length = self.u32()? as usize;
        if length > MAX_NAME_BYTES {
            return None;
        }
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    /// A map with its length in bytes before it.
    fn map(&mut self) -> Option<Self> {
        let length = self.u32()? as usize;
        self.bytes(length).map(Self)
    }
}

/// Opcode and length of a record inside of a chunk, and the bytes of its body; `None` when it is not all there.
pub(super) fn record<'a>(fields: &mut Fields<'a>) -> Option<(u8, &'a [u8])> {
    let [opcode] = fields.array()?;
    let length = usize::try_from(fields.u64()?).ok()?;
    Some((opcode, fields.bytes(length)?))
}

/// What comes before the data of a message.
pub(super) struct MessageHeader {
    pub(super) channel: u16,
    pub(super) log_nanos: u64,
}

impl MessageHeader {
    /// Bytes before the data.
    pub(super) const LENGTH: usize = 22;

    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let channel = fields.u16()?;
        let _sequence = fields.u32()?;
        let log_nanos = fields.u64()?;
        let _publish_nanos = fields.u64()?;
        Some(Self { channel, log_nanos })
    }
}

/// What comes before the records of a chunk.
pub(super) struct ChunkHeader<'a> {
    pub(super) unpacked_size: u64,
    /// Of the unpacked records; 0 when there is none.
    pub(super) crc: u32,
    pub(super) compression: &'a str,
    pub(super) packed_size: u64,
    /// Everything that follows the header.
    pub(super) rest: &'a [u8],
}

impl<'a> ChunkHeader<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let _start = fields.u64()?;
        let _end = fields.u64()?;
        let unpacked_size = fields.u64()?;
        let crc = fields.u32()?;
        let compression = fields.name()?;
        let packed_size = fields.u64()?;
        Some(Self { unpacked_size, crc, compression, packed_size, rest: fields.0 })
    }
}

/// Where a chunk lies.
#[derive(Debug, Clone)]
pub(super) struct ChunkIndex {
    /// Log time of its first message, nanoseconds.
    pub(super) start_nanos: u64,
    /// First byte of the record in the file.
    pub(super) offset: u64,
    /// Bytes of the record.
    pub(super) length: u64,
    /// Channels of its messages; empty when the writer did not note them.
    pub(super) channels: Box<[u16]>,
}

impl ChunkIndex {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let start_nanos = fields.u64()?;
        let _end = fields.u64()?;
        let offset = fields.u64()?;
        let length = fields.u64()?;
        let mut map = fields.map()?;
        let channels = std::iter::from_fn(|| Some((map.u16()?, map.u64()?))).map(|(channel, _)| channel).collect();
        Some(Self { start_nanos, offset, length, channels })
    }
}

/// What a file holds altogether.
#[derive(Debug, Clone, Default)]
pub(super) struct Statistics {
    pub(super) messages: u64,
    pub(super) chunks: u32,
    /// First and last log time, nanoseconds.
    pub(super) span: (u64, u64),
    /// Messages of each channel.
    pub(super) channels: BTreeMap<u16, u64>,
}

impl Statistics {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let messages = fields.u64()?;
        let _schemas = fields.u16()?;
        let _channels = fields.u32()?;
        let _attachments = fields.u32()?;
        let _metadata = fields.u32()?;
        let chunks = fields.u32()?;
        let span = (fields.u64()?, fields.u64()?);
        let mut map = fields.map()?;
        let channels = std::iter::from_fn(|| Some((map.u16()?, map.u64()?))).collect();
        Some(Self { messages, chunks, span, channels })
    }
}

/// Messages that the body of a message index record of `length` bytes lists.
pub(super) const fn indexed_messages(length: u64) -> u64 {
    const BEFORE_ENTRIES: u64 = 6;
    const ENTRY: u64 = 16;
    length.saturating_sub(BEFORE_ENTRIES) / ENTRY
}
