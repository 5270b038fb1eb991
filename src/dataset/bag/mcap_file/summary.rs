//! The summary at the end of an MCAP file.

use mcap::records::op;

use super::channels::{Channels, FRONT};
use super::frames::{Frame, Frames, HEAD, Step};
use super::records::{ChunkIndex, Fields, Statistics};
use crate::dataset::bag::BagError;
use crate::dataset::bag::limits::MAX_CHUNK_BYTES;

/// Bytes of the body of a footer: two offsets and a checksum.
const FOOTER: u64 = 20;

/// Bytes from the footer to the end of the file.
const TAIL: u64 = HEAD + FOOTER + mcap::MAGIC.len() as u64;

/// Bytes that the checksum is computed over at once.
const BLOCK: u64 = 64 << 10;

/// What a whole summary says.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) channels: Channels,
    pub(super) chunks: Vec<ChunkIndex>,
    pub(super) statistics: Statistics,
}

/// What there is of a summary.
#[derive(Debug)]
pub(super) enum Found {
    /// All that reading in the order of time needs.
    Whole(Summary),
    /// None, or without an index of all chunks.
    Missing,
    /// One that cannot be trusted, and why.
    Damaged(&'static str),
}

struct Footer {
    summary_start: u64,
    /// First byte of the footer.
    start: u64,
    /// From the summary to before the checksum; 0 when there is none.
    crc: u32,
}

/// Reads the summary.
pub(super) fn read(frames: &mut Frames) -> Result<Found, BagError> {
    let Some(footer) = footer(frames)? else { return Ok(Found::Missing) };
    if footer.summary_start == 0 {
        return Ok(Found::Missing);
    }
    if footer.summary_start > footer.start {
        return Ok(Found::Damaged("a summary that lies beyond the end of the file"));
    }
    if footer.crc != 0 && checksum(frames, &footer)? != footer.crc {
        return Ok(Found::Damaged("a summary with a wrong checksum"));
    }
    let Some((summary, statistics)) = records(frames, &footer)? else {
        return Ok(Found::Damaged("a summary with broken records"));
    };
    Ok(complete(summary, statistics))
}

/// An index is of use when it has every chunk, and the statistics tell how many there are.
fn complete(summary: Summary, statistics: Option<Statistics>) -> Found {
    let Some(statistics) = statistics else { return Found::Missing };
    let indexed = !summary.chunks.is_empty()
        && summary.chunks.len() as u64 == u64::from(statistics.chunks)
        && !summary.channels.is_empty();
    if statistics.messages > 0 && !indexed {
        return Found::Missing;
    }
    Found::Whole(Summary { statistics, ..summary })
}

fn footer(frames: &mut Frames) -> Result<Option<Footer>, BagError> {
    let Some(start) = frames.size().checked_sub(TAIL) else { return Ok(None) };
    let mut tail = Vec::new();
    frames.read(start, TAIL, &mut tail)?;
    let Some(body) = tail.strip_suffix(mcap::MAGIC).and_then(|tail| tail.strip_prefix(&[op::FOOTER])) else {
        return Ok(None);
    };
    let mut fields = Fields(body);
    let parse = |fields: &mut Fields<'_>| -> Option<Footer> {
        let _length = fields.u64().filter(|&length| length == FOOTER)?;
        let summary_start = fields.u64()?;
        let _offsets = fields.u64()?;
        Some(Footer { summary_start, start, crc: fields.u32()? })
    };
    Ok(parse(&mut fields))
}

fn checksum(frames: &mut Frames, footer: &Footer) -> Result<u32, BagError> {
    let end = footer.start + HEAD + FOOTER - 4;
    let mut hasher = crc32fast::Hasher::new();
    let mut block = Vec::new();
    let mut at = footer.summary_start;
    while at < end {
        frames.read(at, BLOCK.min(end - at), &mut block)?;
        if block.is_empty() {
            break;
        }
        hasher.update(&block);
        at += block.len() as u64;
    }
    Ok(hasher.finalize())
}

/// `None` when a record is broken.
fn records(frames: &mut Frames, footer: &Footer) -> Result<Option<(Summary, Option<Statistics>)>, BagError> {
    let mut summary = Summary::default();
    let mut statistics = None;
    frames.jump(footer.summary_start);
    loop {
        let Step::Record(frame) = frames.step()? else { return Ok(None) };
        if frame.start == footer.start {
            return Ok(Some((summary, statistics)));
        }
        if frame.start > footer.start || add(frames, frame, &mut summary, &mut statistics)?.is_none() {
            return Ok(None);
        }
    }
}

fn add(
    frames: &mut Frames,
    frame: Frame,
    summary: &mut Summary,
    statistics: &mut Option<Statistics>,
) -> Result<Option<()>, BagError> {
    let mut body = Vec::new();
    let limit = match frame.opcode {
        op::SCHEMA | op::CHANNEL => FRONT,
        op::CHUNK_INDEX | op::STATISTICS => MAX_CHUNK_BYTES,
        _ => return Ok(Some(())),
    };
    frames.body(frame, limit, &mut body)?;
    Ok(match frame.opcode {
        op::SCHEMA => summary.channels.add_schema(&body),
        op::CHANNEL => summary.channels.add_channel(&body),
        op::CHUNK_INDEX => ChunkIndex::parse(&body).map(|chunk| summary.chunks.push(chunk)),
        _ => Statistics::parse(&body).map(|found| *statistics = Some(found)),
    })
}
