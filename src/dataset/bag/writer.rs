//! Writes a rosbag2 folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use mcap::records::MessageHeader;

use super::metadata::{Metadata, channel_qos};
use super::{BagError, CDR, Topic, schema};
use crate::dataset::cdr::{self, RosMessage};

/// Bytes of messages that are gathered before a chunk is written.
const CHUNK_BYTES: u64 = 4 << 20;

/// Records messages into `FOLDER/NAME_0.mcap` and `FOLDER/metadata.yaml`, with NAME the name of the folder. The same
/// messages give the same bytes. The folder appears under its name when [`finish`](Self::finish) succeeds; until then it is
/// called `FOLDER.partial`.
pub struct BagWriter {
    folder: PathBuf,
    /// Whether `folder` is to be a file.
    is_file: bool,
    partial: PathBuf,
    file_name: String,
    mcap: mcap::Writer<BufWriter<File>>,
    /// Channel and message count of each topic.
    channels: BTreeMap<String, Channel>,
    /// First and last log time.
    span: Option<(u64, u64)>,
}

struct Channel {
    id: u16,
    topic: Topic,
}

/// A message as it is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// Name with the leading slash.
    pub topic: &'a str,
    /// ROS type, for example `sensor_msgs/msg/Image`.
    pub type_name: &'static str,
    /// When it was received, nanoseconds since the epoch.
    pub log_nanos: u64,
    /// When it was published, nanoseconds since the epoch.
    pub publish_nanos: u64,
    /// CDR with its four header bytes.
    pub data: &'a [u8],
}

/// What a finished bag holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BagSummary {
    /// The topics in alphabetical order.
    pub topics: Vec<Topic>,
    /// From the first to the last message.
    pub duration_nanos: u64,
}

impl BagWriter {
    /// Begins a bag in `folder`, which must not exist yet. A partial folder that an interrupted writer left is replaced.
    ///
    /// # Errors
    /// [`BagError::Exists`], or [`BagError::Io`] when the folder cannot be made.
    pub fn create(folder: &Path) -> Result<Self, BagError> {
        Self::begin(folder, false)
    }

    /// Begins a bag that becomes one file without `metadata.yaml`, which must not exist yet; otherwise as [`create`](Self::create).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_file(path: &Path) -> Result<Self, BagError> {
        Self::begin(path, true)
    }

    fn begin(folder: &Path, is_file: bool) -> Result<Self, BagError> {
        if folder.exists() {
            return Err(BagError::Exists(folder.to_path_buf()));
        }
        let name = folder.file_name().map_or_else(|| "bag".into(), |name| name.to_string_lossy().into_owned());
        let partial = folder.with_file_name(format!("{name}.partial"));
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(BagError::io(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(BagError::io(&partial))?;
        let file_name = format!("{name}_0.mcap");
        let path = partial.join(&file_name);
        let file = File::create(&path).map_err(BagError::io(&path))?;
        let mcap = options().create(BufWriter::new(file)).map_err(BagError::mcap(&path))?;
        let folder = folder.to_path_buf();
        Ok(Self { folder, is_file, partial, file_name, mcap, channels: BTreeMap::new(), span: None })
    }

    /// Appends a message with `nanos` (since the epoch) as log and publish time.
    ///
    /// # Errors
    /// [`BagError`] when the type of the message has no known definition or the file cannot be written.
    pub fn write<M: RosMessage>(&mut self, topic: &str, nanos: u64, message: &M) -> Result<(), BagError> {
        let data = cdr::encode(message).map_err(|source| BagError::Message { topic: topic.to_owned(), source })?;
        self.write_cdr(&Encoded { topic, type_name: M::TYPE, log_nanos: nanos, publish_nanos: nanos, data: &data })
    }

    /// Appends a message that is CDR already.
    ///
    /// # Errors
    /// [`BagError`] when the topic carries another type, when the type has no known definition, or when the file cannot be
    /// written.
    pub fn write_cdr(&mut self, message: &Encoded<'_>) -> Result<(), BagError> {
        let Encoded { topic, type_name, log_nanos, publish_nanos, data } = *message;
        if !self.channels.contains_key(topic) {
            self.add_channel(topic, type_name)?;
        }
        let path = self.partial.join(&self.file_name);
        let Some(channel) = self.channels.get_mut(topic) else { return Ok(()) };
        if channel.topic.type_name != type_name {
            let found = channel.topic.type_name.clone();
            return Err(BagError::Type { topic: topic.to_owned(), found, expected: type_name });
        }
        let sequence = u32::try_from(channel.topic.message_count).unwrap_or(u32::MAX);
        let header =
            MessageHeader { channel_id: channel.id, sequence, log_time: log_nanos, publish_time: publish_nanos };
        self.mcap.write_to_known_channel(&header, data).map_err(BagError::mcap(&path))?;
        channel.topic.message_count += 1;
        let (first, last) = self.span.unwrap_or((log_nanos, log_nanos));
        self.span = Some((first.min(log_nanos), last.max(log_nanos)));
        Ok(())
    }

    /// Where the recording lies when it is finished.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the recording lies until it is finished: `FOLDER.partial`.
    #[must_use]
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Hands what was written so far to the operating system. Whatever happens to this process afterwards, a reader that
    /// reads from the front finds it.
    ///
    /// # Errors
    /// [`BagError::Mcap`] when the file cannot be written.
    pub fn flush(&mut self) -> Result<(), BagError> {
        self.mcap.flush().map_err(BagError::mcap(&self.partial.join(&self.file_name)))
    }

    /// Closes the file, writes `metadata.yaml` where there is to be one, and gives the recording its name.
    ///
    /// # Errors
    /// [`BagError`] when something cannot be written.
    pub fn finish(mut self) -> Result<BagSummary, BagError> {
        self.mcap.finish().map_err(BagError::mcap(&self.partial.join(&self.file_name)))?;
        let topics: Vec<Topic> = self.channels.into_values().map(|channel| channel.topic).collect();
        let (first, last) = self.span.unwrap_or_default();
        let duration_nanos = last - first;
        if self.is_file {
            let file = self.partial.join(&self.file_name);
            fs::rename(&file, &self.folder).map_err(BagError::io(&self.folder))?;
            fs::remove_dir(&self.partial).map_err(BagError::io(&self.partial))?;
            return Ok(BagSummary { topics, duration_nanos });
        }
        let metadata = Metadata { file_name: &self.file_name, start_nanos: first, duration_nanos, topics: &topics };
        let path = self.partial.join("metadata.yaml");
        fs::write(&path, metadata.to_yaml()).map_err(BagError::io(&path))?;
        fs::rename(&self.partial, &self.folder).map_err(BagError::io(&self.folder))?;
        Ok(BagSummary { topics, duration_nanos })
    }

    /// Gives the recording up and removes what was written.
    ///
    /// # Errors
    /// [`BagError::Io`] when it cannot be removed.
    pub fn discard(self) -> Result<(), BagError> {
        let partial = self.partial;
        drop(self.mcap);
        fs::remove_dir_all(&partial).map_err(BagError::io(&partial))
    }

    fn add_channel(&mut self, topic: &str, type_name: &'static str) -> Result<(), BagError> {
        let text = schema::ros2msg(type_name).ok_or(BagError::UnknownType(type_name))?;
        let path = self.partial.join(&self.file_name);
        let schema = self.mcap.add_schema(type_name, "ros2msg", text.as_bytes()).map_err(BagError::mcap(&path))?;
        let qos = BTreeMap::from([("offered_qos_profiles".to_owned(), channel_qos().to_owned())]);
        let id = self.mcap.add_channel(schema, topic, CDR, &qos).map_err(BagError::mcap(&path))?;
        let (name, type_name, encoding) = (topic.to_owned(), type_name.to_owned(), CDR.to_owned());
        let topic = Topic { name, type_name, message_count: 0, encoding };
        self.channels.insert(topic.name.clone(), Channel { id, topic });
        Ok(())
    }
}

/// Uncompressed, because camera images are compressed already. A chunk is written at once, not begun and corrected
/// afterwards, so that a file that is cut off consists of whole chunks up to there.
fn options() -> mcap::WriteOptions {
    mcap::WriteOptions::new()
        .profile("ros2")
        .library(concat!("activation_monitor ", env!("CARGO_PKG_VERSION")))
        .compression(None)
        .chunk_size(Some(CHUNK_BYTES))
        .disable_seeking(true)
}
