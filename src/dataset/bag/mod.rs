//! rosbag2 recordings: MCAP and SQLite are read, MCAP is written.

mod compression;
mod damage;
mod files;
mod limits;
mod mcap_file;
mod metadata;
mod overview;
mod reader;
mod recording;
mod schema;
mod sqlite;
mod types;
mod unreadable;
mod writer;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cdr::CdrError;

pub use damage::Damage;
pub use files::is_recording;
pub use reader::{BagMessage, BagReader};
pub use unreadable::Unreadable;
pub use writer::{BagSummary, BagWriter, Encoded};

/// The encoding of messages in ROS 2.
const CDR: &str = "cdr";

/// One topic of a bag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Name with the leading slash.
    pub name: String,
    /// ROS type, for example `sensor_msgs/msg/Image`.
    pub type_name: String,
    /// Messages on this topic.
    pub message_count: u64,
    /// How its messages are encoded; `cdr` in ROS 2.
    pub encoding: String,
}

impl Topic {
    /// Whether its messages are delivered: those in CDR are, those of `ros1`, `protobuf`, `json` and others are not.
    #[must_use]
    pub fn readable(&self) -> bool {
        self.encoding == CDR
    }
}

/// Which topics to read; `None` for all that are readable.
#[derive(Debug, Default)]
struct Wanted(Option<Vec<String>>);

impl Wanted {
    fn takes(&self, topic: &str, encoding: &str) -> bool {
        encoding == CDR && self.0.as_ref().is_none_or(|topics| topics.iter().any(|wanted| wanted == topic))
    }
}

/// Why a bag cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BagError {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The path holds no recording of ROS 2.
    #[error("{}: {found}; supported are a rosbag2 folder, or one .mcap or .db3 file of one, also .zstd{}", path.display(), hint(found))]
    Format {
        /// The path that was given.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// No topic of the recording is encoded as ROS 2 does it.
    #[error("{} has messages encoded as {found} only, expected cdr{}", path.display(), hint(found))]
    Encoding {
        /// The path that was given.
        path: PathBuf,
        /// The encodings in the recording.
        found: String,
    },
    /// The recording is compressed in a way that only a plugin of rosbag2 knows.
    #[error("{} is compressed with {format}, expected zstd; `ros2 bag convert` with the plugin for {format} unpacks it", path.display())]
    Compression {
        /// The folder.
        path: PathBuf,
        /// The format by `metadata.yaml`.
        format: String,
    },
    /// SQLite cannot read a file because the disk or the system fails.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: rusqlite::Error,
    },
    /// A writer failed.
    #[error("{}: {source}", path.display())]
    Mcap {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: mcap::McapError,
    },
    /// A message is not what its topic says.
    #[error("message on {topic}: {source}")]
    Message {
        /// Topic of the message.
        topic: String,
        /// Cause.
        source: CdrError,
    },
    /// A message of another type was asked for.
    #[error("{topic} carries {found}, expected {expected}")]
    Type {
        /// Topic of the message.
        topic: String,
        /// Type in the bag.
        found: String,
        /// Type that was asked for.
        expected: &'static str,
    },
    /// The writer does not know the definition of a type.
    #[error("the definition of {0} is not known, so it cannot be recorded")]
    UnknownType(&'static str),
    /// The target exists.
    #[error("{} exists already: remove it or choose another output", .0.display())]
    Exists(PathBuf),
}

/// What to do about a format that is close to a supported one.
fn hint(found: &str) -> &'static str {
    let ros1 = found.contains("ROS 1") || found.split(", ").any(|encoding| encoding == "ros1");
    if ros1 {
        "; `rosbags-convert` of the Python package rosbags makes a recording of ROS 1 one of ROS 2"
    } else {
        "; `ros2 bag convert` makes MCAP of what other storage plugins of rosbag2 wrote"
    }
}

impl BagError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    fn mcap(path: &Path) -> impl FnOnce(mcap::McapError) -> Self + '_ {
        move |source| Self::Mcap { path: path.to_path_buf(), source }
    }

    fn sqlite(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + '_ {
        move |source| Self::Sqlite { path: path.to_path_buf(), source }
    }

    fn format(path: &Path, found: impl Into<String>) -> Self {
        Self::Format { path: path.to_path_buf(), found: found.into() }
    }

    /// What was found instead of a recording.
    fn found(&self) -> String {
        if let Self::Format { found, .. } = self { found.clone() } else { self.to_string() }
    }
}

#[cfg(test)]
mod tests;
