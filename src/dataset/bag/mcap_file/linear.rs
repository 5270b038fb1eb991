//! Reads an MCAP file from the front, record by record, in the order of the file.

use std::collections::BTreeMap;

use mcap::records::op;

use super::channels::{Channels, FRONT};
use super::chunk::{Chunk, Entry, Trouble};
use super::frames::{Frame, Frames, HEAD, Step};
use super::records::{Statistics, indexed_messages};
use crate::dataset::bag::damage::Damages;
use crate::dataset::bag::limits::{MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES};
use crate::dataset::bag::overview::{Overview, Span};
use crate::dataset::bag::{BagError, BagMessage, Damage, Wanted};

/// A damaged chunk. The message indexes after it may still tell how many messages it had.
struct Hurt {
    damage: Damage,
    /// Messages of it that could be read.
    read: u64,
    /// Messages that the indexes list.
    indexed: u64,
}

/// A file on its way from the front to the end. It holds one chunk at a time.
pub(super) struct Linear {
    frames: Frames,
    channels: Channels,
    chunk: Chunk,
    /// Entries of `chunk` that were delivered.
    delivered: usize,
    /// Messages that were found so far.
    found: u64,
    statistics: Option<Statistics>,
    damages: Damages,
    hurt: Option<Hurt>,
    /// Whether all messages were passed, so that only the summary follows.
    passed: bool,
    ended: bool,
}

impl Linear {
    /// Begins after the magic bytes.
    pub(super) fn new(mut frames: Frames) -> Self {
        frames.jump(mcap::MAGIC.len() as u64);
        Self {
            frames,
            channels: Channels::default(),
            chunk: Chunk::default(),
            delivered: 0,
            found: 0,
            statistics: None,
            damages: Damages::default(),
            hurt: None,
            passed: false,
            ended: false,
        }
    }

    /// Reads everything, to tell what is there.
    pub(super) fn survey(mut self) -> Result<(Overview, Damages), BagError> {
        let mut span = Span::default();
        let mut counts = BTreeMap::new();
        while let Some(entry) = self.advance()? {
            span.add(entry.log_nanos);
            *counts.entry(entry.channel).or_insert(0) += 1;
        }
        Ok((Overview { topics: self.channels.topics(&counts), span }, self.damages))
    }

    /// The next message.
    fn advance(&mut self) -> Result<Option<Entry>, BagError> {
        loop {
            if let Some(entry) = self.chunk.entries.get(self.delivered) {
                self.delivered += 1;
                self.found += 1;
                return Ok(Some(entry.clone()));
            }
            if self.ended {
                self.settle();
                return Ok(None);
            }
            match self.frames.step()? {
                Step::Record(frame) => self.record(frame)?,
                Step::Cut(frame) => self.cut(frame)?,
                Step::Rest { start } => self.stop_at(start, &self.broke_off()),
                Step::End => self.stop(self.broke_off(), None),
            }
        }
    }

    /// The next message of a wanted topic.
    pub(super) fn next(&mut self, wanted: &Wanted) -> Result<Option<BagMessage>, BagError> {
        while let Some(entry) = self.advance()? {
            if let Some(channel) = self.channels.get(entry.channel)
                && wanted.takes(&channel.topic, &channel.encoding)
            {
                return Ok(Some(channel.message(&entry, &self.chunk)));
            }
        }
        Ok(None)
    }

    fn record(&mut self, frame: Frame) -> Result<(), BagError> {
        match frame.opcode {
            op::MESSAGE_INDEX => self.index(frame),
            _ => self.note_hurt(),
        }
        match frame.opcode {
            op::MESSAGE => self.message(frame),
            op::CHUNK => self.chunk(frame),
            op::SCHEMA | op::CHANNEL | op::STATISTICS => self.front(frame),
            op::FOOTER => self.footer(frame),
            op::DATA_END => {
                self.passed = true;
                Ok(())
            }
            0 => {
                self.stop_at(frame.start, "no MCAP record");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn message(&mut self, frame: Frame) -> Result<(), BagError> {
        if frame.length > MAX_MESSAGE_BYTES {
            let reason = format!("a message of {} bytes at byte {}", frame.length, frame.start);
            self.damages.push(self.damage(frame, reason).messages(1));
            return Ok(());
        }
        let mut body = Vec::new();
        self.frames.body(frame, frame.length, &mut body)?;
        let (chunk, trouble) = Chunk::single(body, &self.channels);
        self.take(chunk);
        if let Some(trouble) = trouble {
            let damage = self.damage(frame, format!("{} at byte {}", trouble.reason, frame.start));
            self.damages.push(damage.messages(trouble.lost_messages));
        }
        Ok(())
    }

    fn chunk(&mut self, frame: Frame) -> Result<(), BagError> {
        if frame.length > MAX_CHUNK_BYTES {
            let reason = format!("a chunk of {} bytes at byte {}", frame.length, frame.start);
            self.hurt = Some(Hurt { damage: self.damage(frame, reason), read: 0, indexed: 0 });
            return Ok(());
        }
        let mut body = Vec::new();
        self.frames.body(frame, frame.length, &mut body)?;
        let at = |reason: &str| format!("{reason} at byte {}", frame.start);
        let damage = match Chunk::unpack(&body, &mut self.channels) {
            Ok((chunk, trouble)) => {
                self.take(chunk);
                trouble.map(|Trouble { reason, lost_messages }| {
                    Damage::new(self.frames.path(), at(&reason)).messages(lost_messages)
                })
            }
            Err(trouble) => {
                self.take(Chunk::default());
                Some(self.damage(frame, at(&trouble.reason)))
            }
        };
        let read = self.chunk.entries.len() as u64;
        self.hurt = damage.map(|damage| Hurt { damage, read, indexed: 0 });
        Ok(())
    }

    /// What is needed lies at the front of these records.
    fn front(&mut self, frame: Frame) -> Result<(), BagError> {
        let mut body = Vec::new();
        let limit = if frame.opcode == op::STATISTICS { MAX_CHUNK_BYTES } else { FRONT };
        self.frames.body(frame, limit, &mut body)?;
        let read = match frame.opcode {
            op::SCHEMA => self.channels.add_schema(&body),
            op::CHANNEL => self.channels.add_channel(&body),
            _ => Statistics::parse(&body).map(|statistics| self.statistics = Some(statistics)),
        };
        if read.is_none() {
            let reason = format!("a broken record of kind {} at byte {}", frame.opcode, frame.start);
            self.damages.push(self.damage(frame, reason));
        }
        Ok(())
    }

    fn footer(&mut self, frame: Frame) -> Result<(), BagError> {
        let mut magic = Vec::new();
        self.frames.read(frame.start + HEAD + frame.length, mcap::MAGIC.len() as u64, &mut magic)?;
        self.ended = true;
        if magic != mcap::MAGIC {
            let reason = format!("the end of the file is missing after byte {}", self.frames.size());
            self.damages.push(Damage::new(self.frames.path(), reason).messages(0));
        }
        Ok(())
    }

    /// A message index belongs to the chunk before it.
    fn index(&mut self, frame: Frame) {
        if let Some(hurt) = &mut self.hurt {
            hurt.indexed = hurt.indexed.saturating_add(indexed_messages(frame.length));
        }
    }

    fn note_hurt(&mut self) {
        let Some(Hurt { damage, read, indexed }) = self.hurt.take() else { return };
        let lost = damage.lost_messages.or_else(|| indexed.checked_sub(read).filter(|_| indexed > 0));
        self.damages.push(damage.messages(lost));
    }

    /// The file ends within a record. Of a chunk, everything before the break is taken.
    fn cut(&mut self, frame: Frame) -> Result<(), BagError> {
        self.note_hurt();
        if frame.opcode == op::CHUNK {
            let mut body = Vec::new();
            self.frames.body(frame, MAX_CHUNK_BYTES, &mut body)?;
            let chunk = Chunk::salvage(&body, &mut self.channels);
            self.take(chunk);
            if !self.chunk.entries.is_empty() {
                self.stop(self.broke_off(), None);
                return Ok(());
            }
        }
        self.stop_at(frame.start, &self.broke_off());
        Ok(())
    }

    fn broke_off(&self) -> String {
        format!("cut off at byte {}: the end of the recording is missing", self.frames.size())
    }

    /// Nothing from `start` on can be used.
    fn stop_at(&mut self, start: u64, reason: &str) {
        let left = self.frames.size().saturating_sub(start);
        self.stop(format!("{reason}, from byte {start} on"), Some(left));
    }

    fn stop(&mut self, reason: String, lost_bytes: Option<u64>) {
        self.note_hurt();
        let lost_messages = self.passed.then_some(0);
        self.damages.push(Damage::new(self.frames.path(), reason).messages(lost_messages).bytes(lost_bytes));
        self.ended = true;
    }

    /// Compares with what the summary counts.
    fn settle(&mut self) {
        if let Some(statistics) = self.statistics.take() {
            self.damages.settle(self.frames.path(), "the summary", statistics.messages, self.found);
        }
    }

    fn take(&mut self, chunk: Chunk) {
        self.chunk = chunk;
        self.delivered = 0;
    }

    fn damage(&self, frame: Frame, reason: String) -> Damage {
        Damage::new(self.frames.path(), reason).bytes(frame.length.saturating_add(HEAD))
    }
}
