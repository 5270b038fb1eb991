//! The keys of the messages of a database in the order in which they are delivered, page by page.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Params, Row};

use super::damage;
use crate::dataset::bag::damage::Damages;
use crate::dataset::bag::{BagError, Damage};

/// Keys that are read at once.
const PAGE: usize = 512;

/// Where a message is, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) row: i64,
    pub(super) topic: i64,
    time: i64,
    /// Bytes of the data; `None` without data.
    pub(super) length: Option<u64>,
}

/// What the keys are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Time stamp, then row: needs the index of time stamps.
    Time,
    /// Row.
    Recording,
}

/// Walks over the keys. Only one page of them is in memory.
pub(super) struct Keys {
    path: PathBuf,
    order: Order,
    /// Topics to read; `None` for all messages.
    topics: Option<BTreeSet<i64>>,
    /// Time stamp and row of the last key in the order of time.
    time: Option<(i64, i64)>,
    /// Row of the last key in the order of recording.
    row: Option<i64>,
    page: VecDeque<Key>,
    ended: bool,
    /// Rows that cannot be read.
    pub(super) damages: Damages,
    /// The index that cannot be used.
    pub(super) index_damage: Damages,
}

impl Key {
    /// Time stamps before the epoch count as the epoch.
    pub(super) fn log_nanos(&self) -> u64 {
        u64::try_from(self.time).unwrap_or(0)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let length = row.get::<_, Option<i64>>(3)?.map(|length| u64::try_from(length).unwrap_or(0));
        Ok(Self { row: row.get(0)?, topic: row.get(1)?, time: row.get(2)?, length })
    }
}

impl Keys {
    pub(super) fn new(path: &Path, order: Order) -> Self {
        Self {
            path: path.to_path_buf(),
            order,
            topics: None,
            time: None,
            row: None,
            page: VecDeque::new(),
            ended: false,
            damages: Damages::default(),
            index_damage: Damages::default(),
        }
    }

    /// Delivers only keys of these topics.
    pub(super) fn choose(&mut self, topics: BTreeSet<i64>) {
        self.topics = Some(topics);
    }

    pub(super) fn next(&mut self, connection: &Connection) -> Result<Option<Key>, BagError> {
        loop {
            if let Some(key) = self.page.pop_front() {
                return Ok(Some(key));
            }
            if self.ended {
                return Ok(None);
            }
            match self.order {
                Order::Time => self.page_by_time(connection)?,
                Order::Recording => self.page_by_row(connection)?,
            }
        }
    }

    fn page_by_time(&mut self, connection: &Connection) -> Result<(), BagError> {
        let sql = by_time(self.topics.as_ref());
        let (mut last, mut count) = (self.time, 0);
        let page = &mut self.page;
        let after = last.unwrap_or((i64::MIN, i64::MIN));
        let read = query(connection, &sql, after, |key| {
            let place = Some((key.time, key.row));
            let forward = place > last;
            if forward {
                page.push_back(key);
                (last, count) = (place, count + 1);
            }
            forward
        });
        self.time = last;
        match read {
            Ok(()) => self.ended = count < PAGE,
            Err(error) => self.give_up_index(error)?,
        }
        Ok(())
    }

    /// What was not delivered yet follows in the order of recording.
    fn give_up_index(&mut self, error: rusqlite::Error) -> Result<(), BagError> {
        let cause = damage(&self.path, error)?;
        let reason =
            format!("the index of time stamps cannot be read ({cause}): the rest comes in the order of recording");
        self.index_damage.push(Damage::new(&self.path, reason).messages(0));
        self.order = Order::Recording;
        Ok(())
    }

    fn page_by_row(&mut self, connection: &Connection) -> Result<(), BagError> {
        let sql = format!(
            "SELECT rowid, topic_id, timestamp, length(data) FROM messages
             WHERE rowid > ?1 ORDER BY rowid LIMIT {PAGE}"
        );
        let (mut last, mut count) = (self.row, 0);
        let (time, topics, page) = (self.time, self.topics.as_ref(), &mut self.page);
        let read = query(connection, &sql, [last.unwrap_or(i64::MIN)], |key| {
            let forward = last.is_none_or(|last| key.row > last);
            let chosen = topics.is_none_or(|topics| topics.contains(&key.topic));
            let delivered = time.is_some_and(|time| (key.time, key.row) <= time);
            if forward {
                (last, count) = (Some(key.row), count + 1);
            }
            if forward && chosen && !delivered {
                page.push_back(key);
            }
            forward
        });
        self.row = last;
        match read {
            Ok(()) => self.ended = count < PAGE,
            // What comes before the damage is delivered first; then this page fails at its first row.
            Err(error) => {
                let cause = damage(&self.path, error)?;
                if count == 0 {
                    self.skip(connection, &cause)?;
                }
            }
        }
        Ok(())
    }

    /// Goes on behind the rows that cannot be read.
    fn skip(&mut self, connection: &Connection, cause: &str) -> Result<(), BagError> {
        let from = self.row.unwrap_or(0);
        let damage = |reason: String| Damage::new(&self.path, reason);
        match readable_after(connection, from) {
            Some((start, row)) => {
                // rosbag2 numbers the rows one by one.
                let lost = row.abs_diff(from).saturating_sub(1);
                let reason = format!("messages {} to {} cannot be read ({cause})", from.saturating_add(1), row - 1);
                self.damages.push(damage(reason).messages(lost));
                self.row = Some(start);
            }
            None => {
                self.damages.push(damage(format!(
                    "messages after number {from} cannot be read ({cause}); `.recover` of the sqlite3 program may find some"
                )));
                self.ended = true;
            }
        }
        Ok(())
    }
}

/// A page in the order of time. The index has the time stamp and the row, so nothing is sorted.
fn by_time(topics: Option<&BTreeSet<i64>>) -> String {
    let filter = topics.map(|topics| {
        let ids: Vec<String> = topics.iter().map(i64::to_string).collect();
        format!("AND topic_id IN ({})", ids.join(","))
    });
    format!(
        "SELECT rowid, topic_id, timestamp, length(data) FROM messages
         WHERE (timestamp, rowid) > (?1, ?2) {} ORDER BY timestamp, rowid LIMIT {PAGE}",
        filter.unwrap_or_default()
    )
}

/// Runs a query up to its end, its first error, or a key that `take` refuses because it leads backwards.
fn query(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    mut take: impl FnMut(Key) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        if !take(Key::read(row)?) {
            let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(corrupt, Some("its keys are not in order".into())));
        }
    }
    Ok(())
}

/// The lowest number after `from` behind which a row can be read, and that row: found by doubling, then by halving.
fn readable_after(connection: &Connection, from: i64) -> Option<(i64, i64)> {
    let mut bad = from;
    let mut step = 1_i64;
    let (mut good, mut row) = loop {
        let at = from.saturating_add(step);
        match probe(connection, at) {
            Ok(Some(row)) => break (at, row),
            Ok(None) => return None,
            Err(_) if step == i64::MAX => return None,
            Err(_) => bad = at,
        }
        step = step.saturating_mul(2);
    };
    while good.abs_diff(bad) > 1 {
        let middle = i64::midpoint(bad, good);
        match probe(connection, middle) {
            Ok(Some(found)) => (good, row) = (middle, found),
            Ok(None) | Err(_) => bad = middle,
        }
    }
    Some((good, row))
}

/// The first row after `at`.
fn probe(connection: &Connection, at: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT rowid, topic_id, timestamp, length(data) FROM messages WHERE rowid > ?1 ORDER BY rowid LIMIT 1";
    let mut row = None;
    query(connection, sql, [at], |key| {
        row = (key.row > at).then_some(key.row);
        row.is_some()
    })?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sorted_to_read_in_the_order_of_time() {
        let connection = Connection::open_in_memory().unwrap();
        let schema =
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
                        data BLOB NOT NULL);
                      CREATE INDEX timestamp_idx ON messages (timestamp ASC);";
        connection.execute_batch(schema).unwrap();
        for topics in [None, Some(&BTreeSet::from([1, 2]))] {
            let sql = format!("EXPLAIN QUERY PLAN {}", by_time(topics));
            let plan: String = connection.query_row(&sql, (1, 1), |row| row.get(3)).unwrap();
            assert!(plan.starts_with("SEARCH messages USING INDEX timestamp_idx"), "{plan}");
        }
    }
}
