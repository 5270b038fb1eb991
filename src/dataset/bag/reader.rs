//! Reads a rosbag2 folder or a single MCAP file in the order of log time.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcap::sans_io::indexed_reader::{IndexedReadEvent, IndexedReader, IndexedReaderOptions};
use mcap::sans_io::summary_reader::{SummaryReadEvent, SummaryReader, SummaryReaderOptions};
use serde::de::DeserializeOwned;

use super::{BagError, Topic};
use crate::dataset::cdr::{self, RosMessage};

/// One message as it lies in the bag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BagMessage {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// ROS type, for example `sensor_msgs/msg/Image`.
    pub type_name: Arc<str>,
    /// When it was recorded, nanoseconds since the epoch.
    pub log_nanos: u64,
    /// CDR with its four header bytes.
    pub data: Vec<u8>,
}

impl BagMessage {
    /// The message in Rust.
    ///
    /// # Errors
    /// [`BagError::Type`] when the topic carries another type, [`BagError::Message`] when the bytes do not fit it.
    pub fn decode<M: RosMessage + DeserializeOwned>(&self) -> Result<M, BagError> {
        let topic = || self.topic.as_ref().to_owned();
        if self.type_name.as_ref() != M::TYPE {
            let found = self.type_name.as_ref().to_owned();
            return Err(BagError::Type { topic: topic(), found, expected: M::TYPE });
        }
        cdr::decode(&self.data).map_err(|source| BagError::Message { topic: topic(), source })
    }
}

/// Iterates over the messages of a bag. Files of a split bag follow each other by their first message.
pub struct BagReader {
    topics: Vec<Topic>,
    span: (u64, u64),
    waiting: VecDeque<Recording>,
    current: Option<OpenRecording>,
    wanted: Option<Vec<String>>,
}

/// A file whose summary was read.
struct Recording {
    path: PathBuf,
    file: File,
    size: u64,
    summary: mcap::Summary,
}

struct OpenRecording {
    recording: Recording,
    reader: IndexedReader,
    channels: BTreeMap<u16, (Arc<str>, Arc<str>)>,
    buffer: Vec<u8>,
}

impl BagReader {
    /// Opens a rosbag2 folder or one `.mcap` file.
    ///
    /// # Errors
    /// [`BagError`] when nothing is there, another format is there, or a file is truncated, damaged or not indexed.
    pub fn open(path: &Path) -> Result<Self, BagError> {
        let mut recordings = files_of(path)?.iter().map(|file| Recording::open(file)).collect::<Result<Vec<_>, _>>()?;
        recordings.sort_by_key(|recording| recording.span().0);
        let start = recordings.iter().map(|recording| recording.span().0).min().unwrap_or(0);
        let end = recordings.iter().map(|recording| recording.span().1).max().unwrap_or(0);
        let topics = topics_of(&recordings);
        Ok(Self { topics, span: (start, end), waiting: recordings.into(), current: None, wanted: None })
    }

    /// Reads only these topics.
    #[must_use]
    pub fn only(mut self, topics: &[&str]) -> Self {
        self.wanted = Some(topics.iter().map(|&topic| topic.to_owned()).collect());
        self
    }

    /// The topics of the bag in alphabetical order.
    #[must_use]
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// Log time of the first and of the last message, nanoseconds since the epoch.
    #[must_use]
    pub fn span_nanos(&self) -> (u64, u64) {
        self.span
    }

    /// The next message of the current file, then of the next one.
    fn advance(&mut self) -> Result<Option<BagMessage>, BagError> {
        loop {
            if let Some(open) = &mut self.current
                && let Some(message) = open.next_message()?
            {
                return Ok(Some(message));
            }
            let Some(recording) = self.waiting.pop_front() else { return Ok(None) };
            self.current = Some(OpenRecording::new(recording, self.wanted.as_deref())?);
        }
    }
}

impl Iterator for BagReader {
    type Item = Result<BagMessage, BagError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, None | Some(Err(_))) {
            self.current = None;
            self.waiting.clear();
        }
        next
    }
}

impl Recording {
    fn open(path: &Path) -> Result<Self, BagError> {
        let mut file = File::open(path).map_err(BagError::io(path))?;
        let size = file.metadata().map_err(BagError::io(path))?.len();
        check_begin(path, &mut file)?;
        let summary = read_summary(path, &mut file, size)?;
        let messages = summary.stats.as_ref().map_or(0, |stats| stats.message_count);
        if summary.chunk_indexes.is_empty() && messages > 0 {
            return Err(BagError::NoIndex { path: path.to_path_buf(), messages });
        }
        Ok(Self { path: path.to_path_buf(), file, size, summary })
    }

    /// First and last log time by the chunk index.
    fn span(&self) -> (u64, u64) {
        let chunks = &self.summary.chunk_indexes;
        let start = chunks.iter().map(|chunk| chunk.message_start_time).min().unwrap_or(0);
        (start, chunks.iter().map(|chunk| chunk.message_end_time).max().unwrap_or(0))
    }

    /// Reads a part of the file; a part that reaches beyond its end is an error, not an allocation.
    fn read_exact(&mut self, offset: u64, length: usize, buffer: &mut Vec<u8>) -> Result<(), BagError> {
        if offset.saturating_add(length as u64) > self.size {
            return Err(BagError::Truncated { path: self.path.clone(), size: self.size });
        }
        buffer.resize(length, 0);
        self.file.seek(SeekFrom::Start(offset)).map_err(BagError::io(&self.path))?;
        self.file.read_exact(buffer).map_err(BagError::io(&self.path))
    }
}

impl OpenRecording {
    fn new(recording: Recording, wanted: Option<&[String]>) -> Result<Self, BagError> {
        let options = wanted.map_or_else(IndexedReaderOptions::new, |topics| {
            IndexedReaderOptions::new().include_topics(topics.to_vec())
        });
        let reader =
            IndexedReader::new_with_options(&recording.summary, options).map_err(BagError::mcap(&recording.path))?;
        let name = |channel: &mcap::Channel| -> (Arc<str>, Arc<str>) {
            (channel.topic.as_str().into(), type_of(channel).into())
        };
        let channels = recording.summary.channels.iter().map(|(&id, channel)| (id, name(channel))).collect();
        Ok(Self { recording, reader, channels, buffer: Vec::new() })
    }

    fn next_message(&mut self) -> Result<Option<BagMessage>, BagError> {
        let Self { recording, reader, channels, buffer } = self;
        let path = recording.path.clone();
        loop {
            let Some(event) = reader.next_event() else { return Ok(None) };
            match event.map_err(BagError::mcap(&path))? {
                IndexedReadEvent::ReadChunkRequest { offset, length } => {
                    recording.read_exact(offset, length, buffer)?;
                    reader.insert_chunk_record_data(offset, buffer).map_err(BagError::mcap(&path))?;
                }
                IndexedReadEvent::Message { header, data } => {
                    let Some((topic, type_name)) = channels.get(&header.channel_id) else {
                        let unknown = mcap::McapError::UnknownChannel(header.sequence, header.channel_id);
                        return Err(BagError::mcap(&path)(unknown));
                    };
                    let (topic, type_name) = (Arc::clone(topic), Arc::clone(type_name));
                    return Ok(Some(BagMessage { topic, type_name, log_nanos: header.log_time, data: data.to_vec() }));
                }
            }
        }
    }
}

/// The MCAP files that `path` means, by name.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, BagError> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(BagError::io(path))? {
        names.push(entry.map_err(BagError::io(path))?.path());
    }
    names.sort();
    let with = |extension: &str| -> Vec<PathBuf> {
        names.iter().filter(|name| name.extension().is_some_and(|found| found == extension)).cloned().collect()
    };
    let files = with("mcap");
    if files.is_empty() {
        let found = if with("db3").is_empty() { "a folder without .mcap files" } else { "a folder with .db3 files" };
        return Err(BagError::Format { path: path.to_path_buf(), found: found.into() });
    }
    Ok(files)
}

/// Checks the first bytes, so that other formats are called by their name.
fn check_begin(path: &Path, file: &mut File) -> Result<(), BagError> {
    let mut begin = Vec::new();
    file.take(16).read_to_end(&mut begin).map_err(BagError::io(path))?;
    if begin.starts_with(mcap::MAGIC) {
        return Ok(());
    }
    let found = match begin.as_slice() {
        [] => "an empty file",
        bytes if bytes.starts_with(b"SQLite format 3") => "a SQLite (db3) recording",
        bytes if bytes.starts_with(b"#ROSBAG") => "a ROS 1 bag",
        _ => "a file of another format",
    };
    Err(BagError::Format { path: path.to_path_buf(), found: found.into() })
}

/// Channels, chunk index and statistics from the end of the file.
fn read_summary(path: &Path, file: &mut File, size: u64) -> Result<mcap::Summary, BagError> {
    let truncated = || BagError::Truncated { path: path.to_path_buf(), size };
    let mut reader = SummaryReader::new_with_options(SummaryReaderOptions::default().with_file_size(size));
    while let Some(event) = reader.next_event() {
        match event.map_err(|source| error_at_end(path, size, source))? {
            SummaryReadEvent::ReadRequest(length) => {
                let count = file.read(reader.insert(length)).map_err(BagError::io(path))?;
                reader.notify_read(count);
            }
            SummaryReadEvent::SeekRequest(to) => {
                reader.notify_seeked(file.seek(to).map_err(|_| truncated())?);
            }
        }
    }
    reader.finish().ok_or_else(truncated)
}

/// A missing end means that the recording was cut off; anything else is damage.
fn error_at_end(path: &Path, size: u64, source: mcap::McapError) -> BagError {
    use mcap::McapError::{BadFooter, BadMagic, UnexpectedEof};
    match source {
        BadFooter | BadMagic | UnexpectedEof => BagError::Truncated { path: path.to_path_buf(), size },
        source => BagError::Mcap { path: path.to_path_buf(), source },
    }
}

fn topics_of(recordings: &[Recording]) -> Vec<Topic> {
    let mut topics = BTreeMap::new();
    for Recording { summary, .. } in recordings {
        for (id, channel) in &summary.channels {
            let counts = summary.stats.as_ref().map(|stats| &stats.channel_message_counts);
            let count = counts.and_then(|counts| counts.get(id)).copied().unwrap_or(0);
            let new = || Topic { name: channel.topic.clone(), type_name: type_of(channel), message_count: 0 };
            topics.entry(channel.topic.clone()).or_insert_with(new).message_count += count;
        }
    }
    topics.into_values().collect()
}

fn type_of(channel: &mcap::Channel) -> String {
    channel.schema.as_ref().map(|schema| schema.name.clone()).unwrap_or_default()
}
