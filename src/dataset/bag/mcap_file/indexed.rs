//! Reads an MCAP file by its index of chunks, in the order of log time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use mcap::records::op;

use super::channels::Channels;
use super::chunk::{Chunk, Entry, Trouble};
use super::frames::{Frames, HEAD, Step};
use super::records::{ChunkIndex, Statistics, indexed_messages};
use super::summary::Summary;
use crate::dataset::bag::damage::Damages;
use crate::dataset::bag::limits::{MAX_CHUNK_BYTES, MAX_HELD_BYTES};
use crate::dataset::bag::overview::{Overview, Span};
use crate::dataset::bag::{BagError, BagMessage, Damage, Wanted};

/// Log time, first byte of the chunk, and place within it: the order of messages.
type Key = (u64, u64, usize);

/// A file whose chunks are read in the order of their first message. Only chunks that overlap in time are held together.
pub(super) struct Indexed {
    frames: Frames,
    channels: Channels,
    statistics: Statistics,
    /// Chunks that were not read yet.
    waiting: VecDeque<ChunkIndex>,
    /// Chunks with messages that were not delivered yet, by their first byte.
    held: BTreeMap<u64, Held>,
    held_bytes: usize,
    order: BinaryHeap<Reverse<Key>>,
    pub(super) damages: Damages,
}

struct Held {
    chunk: Chunk,
    /// Messages that were not delivered yet.
    left: usize,
}

impl Indexed {
    pub(super) fn new(frames: Frames, summary: Summary) -> Self {
        let Summary { channels, mut chunks, statistics } = summary;
        chunks.sort_by_key(|chunk| (chunk.start_nanos, chunk.offset));
        let mut seen = BTreeSet::new();
        chunks.retain(|chunk| seen.insert(chunk.offset));
        Self {
            frames,
            channels,
            statistics,
            waiting: chunks.into(),
            held: BTreeMap::new(),
            held_bytes: 0,
            order: BinaryHeap::new(),
            damages: Damages::default(),
        }
    }

    /// What the summary says. Nothing else is read.
    pub(super) fn overview(&self) -> Overview {
        let Statistics { messages, span, channels, .. } = &self.statistics;
        let span = if *messages == 0 { Span::default() } else { Span(Some(*span)) };
        Overview { topics: self.channels.topics(channels), span }
    }

    /// Leaves out chunks without a message of these topics.
    pub(super) fn choose(&mut self, wanted: &Wanted) {
        let channels = &self.channels;
        let takes = |id: &u16| channels.get(*id).is_none_or(|channel| wanted.takes(&channel.topic, &channel.encoding));
        self.waiting.retain(|chunk| chunk.channels.is_empty() || chunk.channels.iter().any(takes));
    }

    /// The next message of a wanted topic.
    pub(super) fn next(&mut self, wanted: &Wanted) -> Result<Option<BagMessage>, BagError> {
        while let Some(chunk) = self.due() {
            self.load(&chunk, wanted)?;
        }
        let Some(Reverse((_, offset, place))) = self.order.pop() else { return Ok(None) };
        let Some(held) = self.held.get_mut(&offset) else { return Ok(None) };
        let Some(entry) = held.chunk.entries.get(place) else { return Ok(None) };
        let message = self.channels.get(entry.channel).map(|channel| channel.message(entry, &held.chunk));
        held.left -= 1;
        if held.left == 0 {
            self.held_bytes -= held.chunk.held();
            self.held.remove(&offset);
        }
        Ok(message)
    }

    /// The next chunk, when it can hold a message that is earlier than all that are held.
    fn due(&mut self) -> Option<ChunkIndex> {
        let next = self.waiting.front()?;
        let earliest = self.order.peek().map(|Reverse((nanos, ..))| *nanos);
        let due = earliest.is_none_or(|nanos| next.start_nanos <= nanos && self.held_bytes < MAX_HELD_BYTES);
        if due { self.waiting.pop_front() } else { None }
    }

    fn load(&mut self, index: &ChunkIndex, wanted: &Wanted) -> Result<(), BagError> {
        let (chunk, damage) = match self.read(index)? {
            Ok((chunk, trouble)) => (chunk, trouble.map(|trouble| (trouble, None))),
            Err(trouble) => (Chunk::default(), Some((trouble, Some(index.length)))),
        };
        if let Some((Trouble { reason, lost_messages }, bytes)) = damage {
            let indexed = self.indexed_after(index)?.and_then(|count| count.checked_sub(chunk.entries.len() as u64));
            let damage = Damage::new(self.frames.path(), format!("{reason} at byte {}", index.offset));
            self.damages.push(damage.messages(lost_messages.or(indexed)).bytes(bytes));
        }
        self.hold(index.offset, chunk, wanted);
        Ok(())
    }

    /// Reads a chunk from where the index says that it is.
    fn read(&mut self, index: &ChunkIndex) -> Result<Result<(Chunk, Option<Trouble>), Trouble>, BagError> {
        let trouble = |reason: String| Ok(Err(Trouble { reason, lost_messages: None }));
        self.frames.jump(index.offset);
        let frame = match self.frames.step()? {
            Step::Record(frame) if frame.opcode == op::CHUNK && frame.length.saturating_add(HEAD) == index.length => {
                frame
            }
            _ => return trouble("no chunk of the indexed length".into()),
        };
        if frame.length > MAX_CHUNK_BYTES {
            return trouble(format!("a chunk of {} bytes", frame.length));
        }
        let mut body = Vec::new();
        self.frames.body(frame, frame.length, &mut body)?;
        Ok(Chunk::unpack(&body, &mut self.channels))
    }

    /// Messages of a chunk by the message indexes after it; `None` without any.
    fn indexed_after(&mut self, index: &ChunkIndex) -> Result<Option<u64>, BagError> {
        let mut count = None;
        self.frames.jump(index.offset.saturating_add(index.length));
        while let Step::Record(frame) = self.frames.step()?
            && frame.opcode == op::MESSAGE_INDEX
        {
            count = Some(count.unwrap_or(0_u64).saturating_add(indexed_messages(frame.length)));
        }
        Ok(count)
    }

    fn hold(&mut self, offset: u64, chunk: Chunk, wanted: &Wanted) {
        let channels = &self.channels;
        let takes = |entry: &Entry| {
            channels.get(entry.channel).is_some_and(|channel| wanted.takes(&channel.topic, &channel.encoding))
        };
        let chosen = chunk.entries.iter().enumerate().filter(|(_, entry)| takes(entry));
        let keys: Vec<_> = chosen.map(|(place, entry)| Reverse((entry.log_nanos, offset, place))).collect();
        if keys.is_empty() {
            return;
        }
        self.held_bytes += chunk.held();
        self.held.insert(offset, Held { chunk, left: keys.len() });
        self.order.extend(keys);
    }
}
