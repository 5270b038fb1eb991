//! What of a recording could not be read.

use std::fmt;
use std::path::{Path, PathBuf};

/// Places that are told one by one. Further ones are summed up in the last entry, so that a file that is broken all over
/// does not fill the memory with reports.
const MAX_PLACES: usize = 1000;

/// A part of a recording that could not be read. Everything else of the recording was, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file that is damaged.
    pub path: PathBuf,
    /// What is wrong with it, in words.
    pub reason: String,
    /// Messages that are lost by it; `None` when the file does not tell.
    pub lost_messages: Option<u64>,
    /// Bytes that are missing or could not be used; `None` when the file does not tell.
    pub lost_bytes: Option<u64>,
}

impl Damage {
    pub(super) fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), reason: reason.into(), lost_messages: None, lost_bytes: None }
    }

    pub(super) fn messages(self, lost: impl Into<Option<u64>>) -> Self {
        Self { lost_messages: lost.into(), ..self }
    }

    pub(super) fn bytes(self, lost: impl Into<Option<u64>>) -> Self {
        Self { lost_bytes: lost.into(), ..self }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path.display(), self.reason)?;
        match self.lost_messages {
            Some(0) => write!(formatter, " (no message is lost)"),
            Some(1) => write!(formatter, " (1 message is lost)"),
            Some(count) => write!(formatter, " ({count} messages are lost)"),
            None => write!(formatter, " (how many messages are lost is not known)"),
        }
    }
}

/// Damage in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct Damages(Vec<Damage>);

impl Damages {
    pub(super) fn push(&mut self, damage: Damage) {
        match self.0.get_mut(MAX_PLACES - 1) {
            Some(last) => last.add(&damage),
            None => self.0.push(damage),
        }
    }

    pub(super) fn append(&mut self, other: &mut Self) {
        for damage in other.0.drain(..) {
            self.push(damage);
        }
    }

    pub(super) fn as_slice(&self) -> &[Damage] {
        &self.0
    }

    /// Messages whose loss is known.
    pub(super) fn known(&self) -> u64 {
        self.0.iter().filter_map(|damage| damage.lost_messages).fold(0, u64::saturating_add)
    }

    /// Whether some damage does not tell its messages.
    pub(super) fn unknown(&self) -> bool {
        self.0.iter().any(|damage| damage.lost_messages.is_none())
    }

    /// Compares with the count that `source` gives for the whole file: what is missing belongs to the first damage that does
    /// not know its messages, or is damage of its own.
    pub(super) fn settle(&mut self, path: &Path, source: &str, expected: u64, found: u64) {
        let missing = expected.saturating_sub(found).saturating_sub(self.known());
        if missing == 0 {
            return;
        }
        match self.0.iter_mut().find(|damage| damage.lost_messages.is_none()) {
            Some(damage) => damage.lost_messages = Some(missing),
            None => {
                let reason = format!("{source} counts {expected} messages, {found} were found");
                self.push(Damage::new(path, reason).messages(missing));
            }
        }
    }
}

impl Damage {
    /// Sums up what is not told place by place.
    fn add(&mut self, other: &Self) {
        const MORE: &str = "more damage than can be told place by place";
        if self.reason != MORE {
            self.reason = MORE.into();
        }
        let sum = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        self.lost_messages = sum(self.lost_messages, other.lost_messages);
        self.lost_bytes = sum(self.lost_bytes, other.lost_bytes);
    }
}
