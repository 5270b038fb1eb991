//! rosbag2 recordings in MCAP storage.

mod metadata;
mod reader;
mod schema;
mod writer;

use std::path::{Path, PathBuf};

use super::cdr::CdrError;

pub use reader::{BagMessage, BagReader};
pub use writer::{BagSummary, BagWriter, Encoded};

/// One topic of a bag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name with the leading slash.
    pub name: String,
    /// ROS type, for example `sensor_msgs/msg/Image`.
    pub type_name: String,
    /// Messages on this topic.
    pub message_count: u64,
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
    /// The path holds no MCAP file.
    #[error("{}: {found}; supported are a rosbag2 folder with .mcap files, or one .mcap file{}", path.display(), hint(found))]
    Format {
        /// The path that was given.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// The recording was cut off.
    #[error("{} is truncated: {size} bytes without the end of an MCAP file; `mcap recover` saves what is there", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// The file is MCAP but cannot be played in the order of time.
    #[error("{} has no chunk index for its {messages} messages; `mcap recover` builds one", path.display())]
    NoIndex {
        /// The file.
        path: PathBuf,
        /// Messages it claims to hold.
        messages: u64,
    },
    /// The file is damaged, or a writer failed.
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
    if found.contains("db3") { "; `ros2 bag convert` turns a db3 recording into MCAP" } else { "" }
}

impl BagError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_path_buf(), source }
    }

    fn mcap(path: &Path) -> impl FnOnce(mcap::McapError) -> Self + '_ {
        move |source| Self::Mcap { path: path.to_path_buf(), source }
    }
}

#[cfg(test)]
mod tests;
