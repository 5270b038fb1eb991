//! Opens a database that may be damaged, without ever writing.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tempfile::{NamedTempFile, TempPath};

use super::damage;
use crate::dataset::bag::damage::Damages;
use crate::dataset::bag::limits::MAX_MESSAGE_BYTES;
use crate::dataset::bag::{BagError, Damage};

/// First bytes of the file.
pub(in crate::dataset::bag) const MAGIC: &[u8] = b"SQLite format 3\0";

/// Bytes of the header of the file.
const HEADER: usize = 100;

/// An open database.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Whether its end is missing.
    pub(super) cut: bool,
    /// What is read instead of a file that ends within a page.
    pub(super) copy: Option<TempPath>,
}

/// Opens `data`, which errors and damage call `path`.
pub(super) fn database(path: &Path, data: &Path, damages: &mut Damages) -> Result<Opened, BagError> {
    let log = fs::metadata(beside(data, "-wal")).map_or(0, |metadata| metadata.len());
    // With a log the file may rightly be shorter than its header says: the rest is in the log.
    let cut = if log > 0 { None } else { Cut::of(data).map_err(BagError::io(path))? };
    let copy = cut.as_ref().map(|cut| cut.whole_pages(data)).transpose().map_err(BagError::io(path))?.flatten();
    let connection = match copy.as_deref() {
        Some(copy) => open_uri(copy, "immutable=1").map_err(BagError::sqlite(path))?,
        None => open(path, data, log, damages)?,
    };
    // The schema is looked at only by the statements of this module: functions and views of it are not to be run. SQLite opens
    // a database that is shorter than its header says only with a writable schema, which is not written to all the same.
    let pragmas = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA writable_schema = ON;";
    connection.execute_batch(pragmas).map_err(BagError::sqlite(path))?;
    let limit = i32::try_from(MAX_MESSAGE_BYTES + (1 << 20)).unwrap_or(i32::MAX);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, limit).map_err(BagError::sqlite(path))?;
    let is_cut = cut.is_some();
    cut.into_iter().for_each(|cut| damages.push(cut.damage(path)));
    Ok(Opened { connection, cut: is_cut, copy })
}

/// Checks that the tables of rosbag2 are there.
///
/// # Errors
/// [`BagError::Format`] when this is a database of something else. A table of contents that cannot be read, or that is not in
/// a file that was `cut` off, is damage.
pub(super) fn check_tables(
    path: &Path,
    connection: &Connection,
    cut: bool,
    damages: &mut Damages,
) -> Result<(), BagError> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('topics', 'messages')
               AND sql NOT LIKE '%VIRTUAL%' AND sql NOT LIKE '%GENERATED%'";
    match connection.query_row(sql, [], |row| row.get::<_, i64>(0)) {
        Ok(2) => {}
        Ok(_) if !cut => return Err(BagError::format(path, "a SQLite database without the tables of rosbag2")),
        Ok(_) => damages.push(Damage::new(path, "the tables of rosbag2 are not in what is left of the database")),
        Err(error) => {
            let reason = format!("the database cannot be read ({})", damage(path, error)?);
            damages.push(Damage::new(path, reason));
        }
    }
    Ok(())
}

/// Whether the file has an index of all time stamps.
pub(super) fn has_time_index(connection: &Connection) -> bool {
    let sql = "SELECT 1 FROM pragma_index_list('messages') AS list, pragma_index_info(list.name) AS info
               WHERE info.seqno = 0 AND info.name = 'timestamp' AND list.partial = 0";
    connection.query_row(sql, [], |_| Ok(())).optional().is_ok_and(|found| found.is_some())
}

/// Without a write-ahead log nothing beside the file is looked at or written (`immutable`), so that a folder that cannot be
/// written to is no obstacle. With one of `log` bytes, SQLite makes an index of it beside the file, or else in memory; the file
/// and its log stay as they are. A log that cannot be used is left out.
fn open(path: &Path, data: &Path, log: u64, damages: &mut Damages) -> Result<Connection, BagError> {
    if log > 0 {
        match open_uri(data, "mode=ro") {
            Ok(connection) => return Ok(connection),
            Err(error) => {
                let reason = format!("the write-ahead log beside it cannot be applied ({error})");
                damages.push(Damage::new(path, reason).bytes(log));
            }
        }
    }
    open_uri(data, "immutable=1").map_err(BagError::sqlite(path))
}

fn open_uri(data: &Path, parameters: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(data, parameters), flags)?;
    if parameters == "mode=ro" {
        // Opening is lazy: this is what needs the log.
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    }
    Ok(connection)
}

/// Every byte that could mean something in a URI is escaped.
fn uri(data: &Path, parameters: &str) -> String {
    let mut uri = "file:".to_owned();
    for &byte in std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf()).as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    format!("{uri}?{parameters}")
}

fn beside(data: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = data.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A file whose end is missing.
struct Cut {
    size: u64,
    /// Its size by its header; `None` when that does not tell.
    claimed: Option<u64>,
    /// Bytes of a page; `None` when even the header is not all there.
    page: Option<u64>,
}

impl Cut {
    /// `None` for a file that is whole.
    fn of(data: &Path) -> io::Result<Option<Self>> {
        let mut header = Vec::new();
        let file = File::open(data)?;
        let size = file.metadata()?.len();
        file.take(HEADER as u64).read_to_end(&mut header)?;
        if header.len() < HEADER {
            return Ok(Some(Self { size, claimed: None, page: None }));
        }
        let page = page_bytes(&header);
        let claimed = page.and_then(|page| Some(page * u64::from(pages(&header)?))).filter(|&claimed| claimed > size);
        let partial = page.is_some_and(|page| !size.is_multiple_of(page));
        Ok((claimed.is_some() || partial).then_some(Self { size, claimed, page }))
    }

    fn damage(&self, path: &Path) -> Damage {
        let Self { size, claimed, .. } = self;
        match claimed {
            Some(claimed) => Damage::new(path, format!("cut off at byte {size} of {claimed}")).bytes(claimed - size),
            None => Damage::new(path, format!("cut off at byte {size}")),
        }
    }

    /// SQLite takes zeros for the missing part of a page and would deliver them as messages. What ends within a page is read
    /// from a copy without that page.
    fn whole_pages(&self, data: &Path) -> io::Result<Option<TempPath>> {
        let whole = self.page.map_or(0, |page| self.size - self.size % page);
        if whole == self.size {
            return Ok(None);
        }
        let mut copy = NamedTempFile::new()?;
        io::copy(&mut File::open(data)?.take(whole), &mut copy)?;
        Ok(Some(copy.into_temp_path()))
    }
}

/// Bytes of a page by the header: a power of two.
fn page_bytes(header: &[u8]) -> Option<u64> {
    match u16::from_be_bytes(header.get(16..18)?.try_into().ok()?) {
        1 => Some(65536),
        size => Some(u64::from(size)).filter(|size| size.is_power_of_two()),
    }
}

/// Pages by the header. The count is of use when it was written together with the counter of changes.
fn pages(header: &[u8]) -> Option<u32> {
    let field = |start: usize| header.get(start..start + 4)?.try_into().ok().map(u32::from_be_bytes);
    let (changes, pages, version) = (field(24)?, field(28)?, field(92)?);
    (changes == version).then_some(pages)
}
