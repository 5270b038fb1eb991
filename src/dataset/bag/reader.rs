//! Reads a rosbag2 folder or a single file of one.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::damage::Damages;
use super::files::{self, BagFile};
use super::overview::{Overview, Span, Topics};
use super::recording::Recording;
use super::{BagError, Damage, Topic, Wanted};
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

/// Iterates over the messages of a bag: MCAP or SQLite (`.db3`), in one file or split, compressed by rosbag2 or not.
///
/// The files follow each other by their first message. Within a file the messages come in the order of log time where it has
/// an index that allows it, otherwise in the order of recording: MCAP without an index of its chunks (not chunked, or cut off)
/// and SQLite without an index of the time stamps. Memory does not grow with the size of the bag.
///
/// Whatever is wrong with a file does not end the iteration. What can be read is delivered, and [`damage`](Self::damage) tells
/// the rest. The iterator gives an error, its last item, only when the disk or the system fails.
///
/// A file that rosbag2 compressed as a whole is unpacked into the folder for temporary files (`TMPDIR`) and removed from there
/// when it was read; one at a time, so that a split bag needs the space of one file. It is unpacked twice, when the bag is
/// opened and when its turn comes, unless it is the only one.
pub struct BagReader {
    topics: Vec<Topic>,
    span: (u64, u64),
    waiting: VecDeque<Part>,
    current: Option<(Recording, Progress)>,
    wanted: Wanted,
    damages: Damages,
}

/// A file that was looked at.
struct Part {
    path: PathBuf,
    overview: Overview,
    /// Kept open when there is no other.
    recording: Option<Recording>,
}

/// How much of what a file promises has come.
struct Progress {
    path: PathBuf,
    promised: u64,
    delivered: u64,
    /// Messages that were lost on the way.
    lost: u64,
    /// Whether something was lost that cannot be counted.
    uncounted: bool,
}

impl BagReader {
    /// Opens a rosbag2 folder or one file of one: `.mcap` or `.db3`, or either with `.zstd` behind it.
    ///
    /// A file whose end is missing is read once to tell what it holds.
    ///
    /// # Errors
    /// [`BagError`] when nothing is there, when it is no recording of ROS 2 or one that is compressed in an unknown way, when
    /// no topic is encoded in CDR, or when the disk fails. A damaged recording is no error.
    pub fn open(path: &Path) -> Result<Self, BagError> {
        let mut damages = Damages::default();
        let files = files::of(path, &mut damages)?;
        let mut parts = parts(&files, &mut damages)?;
        parts.sort_by_key(|part| part.overview.span.0.map_or(u64::MAX, |(first, _)| first));
        let (mut topics, mut span) = (Topics::default(), Span::default());
        for Part { overview, .. } in &parts {
            overview.topics.iter().for_each(|topic| topics.add(topic.clone()));
            span.join(overview.span);
        }
        let topics = topics.into_vec();
        check_encodings(path, &topics)?;
        let span = span.0.unwrap_or_default();
        Ok(Self { topics, span, waiting: parts.into(), current: None, wanted: Wanted::default(), damages })
    }

    /// Reads only these topics.
    #[must_use]
    pub fn only(mut self, topics: &[&str]) -> Self {
        self.wanted = Wanted(Some(topics.iter().map(|&topic| topic.to_owned()).collect()));
        self
    }

    /// The topics of the bag in alphabetical order, also those that are not [readable](Topic::readable).
    ///
    /// The counts are those of the summary of a file where it has one, otherwise those of the messages that can be read.
    #[must_use]
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// Log time of the first and of the last message, nanoseconds since the epoch.
    #[must_use]
    pub fn span_nanos(&self) -> (u64, u64) {
        self.span
    }

    /// What could not be read, as far as it is known by now: missing files and missing ends from the beginning, a damaged
    /// part within an indexed file when its turn has come. Parts without a message of the topics that were chosen with
    /// [`only`](Self::only) are not looked at.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        self.damages.as_slice()
    }

    /// The next message of the current file, then of the next one.
    fn advance(&mut self) -> Result<Option<BagMessage>, BagError> {
        loop {
            if let Some((recording, progress)) = &mut self.current {
                let next = recording.next(&self.wanted);
                progress.note(&mut recording.new_damage(), &mut self.damages);
                if let Some(message) = next? {
                    progress.delivered += 1;
                    return Ok(Some(message));
                }
                progress.finish(&mut self.damages);
                self.current = None;
            }
            let Some(Part { path, overview, recording }) = self.waiting.pop_front() else { return Ok(None) };
            let mut recording = recording.map_or_else(|| Recording::open(&path), Ok)?;
            recording.choose(&self.wanted);
            self.current = Some((recording, Progress::new(path, &overview, &self.wanted)));
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

impl Progress {
    fn new(path: PathBuf, overview: &Overview, wanted: &Wanted) -> Self {
        let chosen = overview.topics.iter().filter(|topic| wanted.takes(&topic.name, &topic.encoding));
        let promised = chosen.map(|topic| topic.message_count).fold(0, u64::saturating_add);
        Self { path, promised, delivered: 0, lost: 0, uncounted: false }
    }

    fn note(&mut self, new: &mut Damages, all: &mut Damages) {
        self.lost = self.lost.saturating_add(new.known());
        self.uncounted |= new.unknown();
        all.append(new);
    }

    /// Messages that an index does not lead to are missing without any sign of damage.
    fn finish(&self, damages: &mut Damages) {
        let missing = self.promised.saturating_sub(self.delivered).saturating_sub(self.lost);
        if missing > 0 && !self.uncounted {
            let reason = format!("{} of {} messages were found by its index", self.delivered, self.promised);
            damages.push(Damage::new(&self.path, reason).messages(missing));
        }
    }
}

/// Looks at each file. What is no recording is damage when there are others.
fn parts(files: &[BagFile], damages: &mut Damages) -> Result<Vec<Part>, BagError> {
    let mut parts = Vec::new();
    let mut refused = None;
    for file in files {
        match part(file, files.len() == 1, damages) {
            Ok(part) => parts.push(part),
            Err(error @ BagError::Format { .. }) => {
                damages.push(Damage::new(&file.path, error.found()).messages(file.messages));
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match refused {
        Some(error) if parts.is_empty() => Err(error),
        _ => Ok(parts),
    }
}

fn part(file: &BagFile, only: bool, damages: &mut Damages) -> Result<Part, BagError> {
    let mut recording = Recording::open(&file.path)?;
    let (overview, mut found) = recording.overview()?;
    if let Some(expected) = file.messages {
        found.settle(&file.path, "metadata.yaml", expected, overview.messages());
    }
    damages.append(&mut found);
    Ok(Part { path: file.path.clone(), overview, recording: only.then_some(recording) })
}

/// A bag without any topic is empty, one without any readable topic is of no use.
fn check_encodings(path: &Path, topics: &[Topic]) -> Result<(), BagError> {
    if topics.is_empty() || topics.iter().any(Topic::readable) {
        return Ok(());
    }
    let mut found: Vec<&str> = topics.iter().map(|topic| topic.encoding.as_str()).collect();
    found.sort_unstable();
    found.dedup();
    Err(BagError::Encoding { path: path.to_path_buf(), found: found.join(", ") })
}
