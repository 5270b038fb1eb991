//! One file of a bag.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::compression::{self, ZSTD_MAGIC};
use super::damage::Damages;
use super::limits::MAX_MESSAGE_BYTES;
use super::mcap_file::McapFile;
use super::overview::Overview;
use super::sqlite::{self, Database};
use super::{BagError, BagMessage, Damage, Wanted};

/// An open file. A compressed one is unpacked for as long as this lives.
pub(super) struct Recording {
    path: PathBuf,
    kind: Kind,
    damages: Damages,
    /// Last, so that it is removed when the file in it is closed.
    unpacked: Option<TempPath>,
}

enum Kind {
    Mcap(McapFile),
    Sqlite(Box<Database>),
    /// A compressed file that breaks off before its content begins.
    Nothing,
}

impl Recording {
    /// Opens a file; what it is, its first bytes tell.
    ///
    /// # Errors
    /// [`BagError::Format`] when it is no recording, and what its reader says.
    pub(super) fn open(path: &Path) -> Result<Self, BagError> {
        let begin = begin(path, path)?;
        if !begin.starts_with(&ZSTD_MAGIC) {
            let kind = Kind::open(path, path, &begin)?;
            return Ok(Self { path: path.to_path_buf(), kind, damages: Damages::default(), unpacked: None });
        }
        let compression::Unpacked { file, damage } = compression::file(path)?;
        let kind = match Kind::open(path, &file, &self::begin(path, &file)?) {
            Err(BagError::Format { .. }) if damage.is_some() => Kind::Nothing,
            kind => kind?,
        };
        let mut damages = Damages::default();
        damage.into_iter().for_each(|damage| damages.push(damage));
        Ok(Self { path: path.to_path_buf(), kind, damages, unpacked: Some(file) })
    }

    /// Where the content of a compressed file lies.
    #[cfg(test)]
    pub(super) fn unpacked(&self) -> Option<&Path> {
        self.unpacked.as_deref()
    }

    /// What the file holds, and what of it is damaged as far as that can be told without unpacking every message.
    pub(super) fn overview(&mut self) -> Result<(Overview, Damages), BagError> {
        let mut damages = std::mem::take(&mut self.damages);
        let data = self.unpacked.as_deref().unwrap_or(&self.path);
        let (overview, mut found) = match &mut self.kind {
            Kind::Mcap(file) => file.overview(&self.path, data)?,
            Kind::Sqlite(database) => database.overview()?,
            Kind::Nothing => Default::default(),
        };
        damages.append(&mut found);
        Ok((overview, damages))
    }

    /// Called once before the first message.
    pub(super) fn choose(&mut self, wanted: &Wanted) {
        self.damages = Damages::default();
        match &mut self.kind {
            Kind::Mcap(file) => file.choose(wanted),
            Kind::Sqlite(database) => database.choose(wanted),
            Kind::Nothing => {}
        }
    }

    /// The next message of a wanted topic.
    pub(super) fn next(&mut self, wanted: &Wanted) -> Result<Option<BagMessage>, BagError> {
        loop {
            let next = match &mut self.kind {
                Kind::Mcap(file) => file.next(wanted)?,
                Kind::Sqlite(database) => database.next()?,
                Kind::Nothing => None,
            };
            let Some(BagMessage { topic, type_name, log_nanos, data }) = next else { return Ok(None) };
            match unpacked(data) {
                Ok(data) => return Ok(Some(BagMessage { topic, type_name, log_nanos, data })),
                Err(reason) => {
                    let reason = format!("a message on {topic} at {log_nanos} ns: {reason}");
                    self.damages.push(Damage::new(&self.path, reason).messages(1));
                }
            }
        }
    }

    /// Damage that [`overview`](Self::overview) could not see and that was found since this was called last.
    pub(super) fn new_damage(&mut self) -> Damages {
        let mut damages = std::mem::take(&mut self.damages);
        damages.append(&mut match &mut self.kind {
            Kind::Mcap(file) => file.new_damage(),
            Kind::Sqlite(database) => database.new_damage(),
            Kind::Nothing => Damages::default(),
        });
        damages
    }
}

impl Kind {
    /// Opens `data`, which begins with `begin` and which errors call `path`.
    fn open(path: &Path, data: &Path, begin: &[u8]) -> Result<Self, BagError> {
        if begin.starts_with(mcap::MAGIC) {
            return McapFile::open(path, data).map(Self::Mcap);
        }
        if begin.starts_with(sqlite::MAGIC) {
            return Database::open(path, data).map(|database| Self::Sqlite(Box::new(database)));
        }
        let found = match begin {
            [] => "an empty file",
            bytes if mcap::MAGIC.starts_with(bytes) => "an MCAP file cut off within its first 8 bytes",
            bytes if sqlite::MAGIC.starts_with(bytes) => "a SQLite file cut off within its first 16 bytes",
            bytes if bytes.starts_with(b"#ROSBAG V") => "a ROS 1 bag",
            _ => "a file of another format",
        };
        Err(BagError::format(path, found))
    }
}

fn begin(path: &Path, data: &Path) -> Result<Vec<u8>, BagError> {
    let mut begin = Vec::new();
    let file = File::open(data).map_err(BagError::io(path))?;
    file.take(sqlite::MAGIC.len() as u64).read_to_end(&mut begin).map_err(BagError::io(path))?;
    Ok(begin)
}

fn unpacked(data: Vec<u8>) -> Result<Vec<u8>, String> {
    let size = data.len() as u64;
    if size > MAX_MESSAGE_BYTES { Err(format!("it has {size} bytes")) } else { compression::message(data) }
}
