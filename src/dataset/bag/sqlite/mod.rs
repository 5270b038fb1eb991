//! SQLite files (`.db3`) as rosbag2 writes them, schema versions 1 to 4.

mod keys;
mod open;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ffi::SQLITE_IOERR_SHORT_READ;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use tempfile::TempPath;

use super::damage::Damages;
use super::limits::{MAX_MESSAGE_BYTES, MAX_NAME_BYTES};
use super::overview::{Overview, Span, Topics};
use super::types::normalised;
use super::{BagError, BagMessage, Damage, Topic, Wanted};
use keys::{Key, Keys, Order};
use open::Opened;

pub(super) use open::MAGIC;

/// An open file.
///
/// Messages come in the order of their time stamps where the file has an index of them, as rosbag2 makes one, and otherwise in
/// the order of recording, so that nothing is sorted in memory. A damaged index is given up: what was not delivered by then
/// follows in the order of recording.
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
    topics: BTreeMap<i64, Source>,
    keys: Keys,
    /// Damage of the file and of the topics.
    found: Damages,
    /// Damage of single messages and of the index.
    new: Damages,
    /// Last, so that it is removed when the connection to it is closed.
    _copy: Option<TempPath>,
}

/// What the file says about a topic.
struct Source {
    name: Arc<str>,
    type_name: Arc<str>,
    encoding: Arc<str>,
}

impl Database {
    /// Opens `data`, which errors and damage call `path`.
    ///
    /// # Errors
    /// [`BagError::Io`] and [`BagError::Sqlite`] when the file cannot be read, [`BagError::Format`] for a database of
    /// something else.
    pub(super) fn open(path: &Path, data: &Path) -> Result<Self, BagError> {
        let mut found = Damages::default();
        let Opened { connection, cut, copy } = open::database(path, data, &mut found)?;
        open::check_tables(path, &connection, cut, &mut found)?;
        let topics = topics(path, &connection, &mut found)?;
        let order = if open::has_time_index(&connection) { Order::Time } else { Order::Recording };
        let keys = Keys::new(path, order);
        Ok(Self { path: path.to_path_buf(), connection, topics, keys, found, new: Damages::default(), _copy: copy })
    }

    /// What the file holds, by the keys of all messages.
    pub(super) fn overview(&mut self) -> Result<(Overview, Damages), BagError> {
        let mut span = Span::default();
        let mut counts: BTreeMap<i64, u64> = self.topics.keys().map(|&id| (id, 0)).collect();
        let mut lost = 0;
        let mut keys = Keys::new(&self.path, Order::Recording);
        while let Some(key) = keys.next(&self.connection)? {
            match counts.get_mut(&key.topic) {
                Some(count) => *count += 1,
                None => lost += 1,
            }
            span.add(key.log_nanos());
        }
        let mut damages = std::mem::take(&mut self.found);
        damages.append(&mut keys.damages);
        if lost > 0 {
            damages
                .push(Damage::new(&self.path, "messages of a topic that is not in the table of topics").messages(lost));
        }
        Ok((Overview { topics: self.counted(&counts), span }, damages))
    }

    /// Called once before the first message.
    pub(super) fn choose(&mut self, wanted: &Wanted) {
        let chosen = self.topics.iter().filter(|(_, topic)| wanted.takes(&topic.name, &topic.encoding));
        self.keys.choose(chosen.map(|(&id, _)| id).collect());
    }

    /// The next message of a chosen topic, still compressed if rosbag2 compressed it.
    pub(super) fn next(&mut self) -> Result<Option<BagMessage>, BagError> {
        while let Some(key) = self.keys.next(&self.connection)? {
            if let Some(message) = self.message(&key)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Damage that [`overview`](Self::overview) could not see.
    pub(super) fn new_damage(&mut self) -> Damages {
        let mut damages = std::mem::take(&mut self.new);
        damages.append(&mut std::mem::take(&mut self.keys.index_damage));
        damages
    }

    /// `None` for a message that is damage.
    fn message(&mut self, key: &Key) -> Result<Option<BagMessage>, BagError> {
        let Some(topic) = self.topics.get(&key.topic) else { return Ok(None) };
        let (topic, type_name) = (Arc::clone(&topic.name), Arc::clone(&topic.type_name));
        match self.data(key)? {
            Ok(data) => Ok(Some(BagMessage { topic, type_name, log_nanos: key.log_nanos(), data })),
            Err(reason) => {
                let reason = format!("message {} on {topic}: {reason}", key.row);
                self.new.push(Damage::new(&self.path, reason).messages(1).bytes(key.length));
                Ok(None)
            }
        }
    }

    /// The bytes of a message, or what is wrong with it.
    fn data(&self, key: &Key) -> Result<Result<Vec<u8>, String>, BagError> {
        let Some(length) = key.length else { return Ok(Err("it has no data".into())) };
        if length > MAX_MESSAGE_BYTES {
            return Ok(Err(format!("it has {length} bytes")));
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT data FROM messages WHERE rowid = ?1")
            .map_err(BagError::sqlite(&self.path))?;
        let bytes = |row: &rusqlite::Row<'_>| row.get_ref(0).map(|value| value.as_bytes().map(<[u8]>::to_vec));
        match statement.query_row([key.row], bytes).optional() {
            Ok(Some(Ok(data))) => Ok(Ok(data)),
            Ok(Some(Err(error))) => Ok(Err(error.to_string())),
            Ok(None) => Ok(Err("it is not in its table".into())),
            Err(error) => damage(&self.path, error).map(Err),
        }
    }

    fn counted(&self, counts: &BTreeMap<i64, u64>) -> Topics {
        let mut topics = Topics::default();
        for (id, topic) in &self.topics {
            topics.add(Topic {
                name: topic.name.as_ref().to_owned(),
                type_name: topic.type_name.as_ref().to_owned(),
                message_count: counts.get(id).copied().unwrap_or(0),
                encoding: topic.encoding.as_ref().to_owned(),
            });
        }
        topics
    }
}

/// The reason in words when an error means that the file is damaged; the error when the disk or the system is at fault.
fn damage(path: &Path, error: rusqlite::Error) -> Result<String, BagError> {
    // A page that the file ends in counts as a failure of the disk in SQLite.
    let short = error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHORT_READ);
    let system = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
        )
    );
    if system && !short { Err(BagError::sqlite(path)(error)) } else { Ok(error.to_string()) }
}

/// The topics up to where they can be read.
fn topics(path: &Path, connection: &Connection, damages: &mut Damages) -> Result<BTreeMap<i64, Source>, BagError> {
    let mut topics = BTreeMap::new();
    let mut read = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare("SELECT id, name, type, serialization_format FROM topics")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, encoding) = (text(row.get_ref(1)?), text(row.get_ref(3)?));
            let type_name = normalised(&text(row.get_ref(2)?)).into();
            topics.insert(row.get(0)?, Source { name: name.into(), type_name, encoding: encoding.into() });
        }
        Ok(())
    };
    if let Err(error) = read() {
        let reason = format!("the table of topics is damaged ({})", damage(path, error)?);
        damages.push(Damage::new(path, reason));
    }
    Ok(topics)
}

/// Text of a bounded length; what is none is empty.
fn text(value: ValueRef<'_>) -> String {
    let bytes = value.as_bytes().unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_NAME_BYTES)]).into_owned()
}
