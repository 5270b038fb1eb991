//! Which files make up a bag.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::damage::Damages;
use super::limits::MAX_METADATA_BYTES;
use super::metadata::{Listed, Listing};
use super::{BagError, Damage};

/// Endings of recordings.
const ENDINGS: [&str; 4] = [".mcap", ".db3", ".mcap.zstd", ".db3.zstd"];

/// What rosbag2 appends to the name of a compressed file.
const COMPRESSED: &str = ".zstd";

/// A file of a bag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BagFile {
    pub(super) path: PathBuf,
    /// Messages in it by `metadata.yaml`.
    pub(super) messages: Option<u64>,
}

/// The files that `path` means: itself, or for a folder those that its `metadata.yaml` names. Where there is none, or it is
/// broken, or nothing of what it names is there, all recordings in the folder.
///
/// # Errors
/// [`BagError::Io`], [`BagError::Format`] for a folder without a recording, [`BagError::Compression`].
pub(super) fn of(path: &Path, damages: &mut Damages) -> Result<Vec<BagFile>, BagError> {
    if !path.is_dir() {
        return Ok(vec![BagFile { path: path.to_path_buf(), messages: None }]);
    }
    let names = names(path)?;
    let listing = listing(&path.join("metadata.yaml"), damages)?;
    if !matches!(listing.compression.as_str(), "" | "zstd") {
        return Err(BagError::Compression { path: path.to_path_buf(), format: listing.compression });
    }
    let files = listed(path, &names, &listing.files, damages);
    if !files.is_empty() {
        return Ok(files);
    }
    let found: Vec<&String> =
        names.iter().filter(|name| is_recording(name) && !is_unpacked_beside(name, &names)).collect();
    if found.is_empty() {
        return Err(BagError::format(path, what_is_there(&names)));
    }
    Ok(found.into_iter().map(|name| BagFile { path: path.join(name), messages: None }).collect())
}

/// Names in a folder in alphabetical order; recordings have names in UTF-8.
fn names(folder: &Path) -> Result<Vec<String>, BagError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(BagError::io(folder))? {
        names.extend(entry.map_err(BagError::io(folder))?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Whether a file of that name is a recording, or a part of one.
#[must_use]
pub fn is_recording(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// A file beside its compressed copy is whole, the copy may be unfinished.
fn is_unpacked_beside(name: &str, names: &[String]) -> bool {
    name.strip_suffix(COMPRESSED).is_some_and(|unpacked| contains(names, unpacked))
}

fn contains(names: &[String], name: &str) -> bool {
    names.iter().any(|found| found == name)
}

fn what_is_there(names: &[String]) -> &'static str {
    let has = |ending| names.iter().any(|name| name.ends_with(ending));
    if has(".bag") { "a folder with ROS 1 bags" } else { "a folder without .mcap or .db3 files" }
}

/// A missing file lists nothing, a broken one is damage.
fn listing(path: &Path, damages: &mut Damages) -> Result<Listing, BagError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Listing::default()),
        Err(error) => return Err(BagError::io(path)(error)),
    };
    let mut text = Vec::new();
    file.take(MAX_METADATA_BYTES).read_to_end(&mut text).map_err(BagError::io(path))?;
    Ok(Listing::parse(&String::from_utf8_lossy(&text)).unwrap_or_else(|reason| {
        let reason = format!("{reason}: the recordings in the folder are read without it");
        damages.push(Damage::new(path, reason).messages(0));
        Listing::default()
    }))
}

/// The listed files that are there. Those that are not are damage, unless none is: then the list belongs to another bag.
fn listed(folder: &Path, names: &[String], listed: &[Listed], damages: &mut Damages) -> Vec<BagFile> {
    let mut missing = Vec::new();
    let mut files = Vec::new();
    for Listed { name, messages } in listed {
        match there(name, names) {
            Some(name) => files.push(BagFile { path: folder.join(name), messages: *messages }),
            None => missing.push(
                Damage::new(&folder.join(name), "named in metadata.yaml, but not in the folder").messages(*messages),
            ),
        }
    }
    if files.is_empty() && !listed.is_empty() {
        let reason = "names no file that is there: the recordings in the folder are read without it";
        damages.push(Damage::new(&folder.join("metadata.yaml"), reason).messages(0));
        return files;
    }
    missing.into_iter().for_each(|damage| damages.push(damage));
    files
}

/// The name under which a listed file is there: it may have been unpacked or compressed since.
fn there(name: &str, names: &[String]) -> Option<String> {
    let unpacked = name.strip_suffix(COMPRESSED).map(str::to_owned);
    let candidates = [unpacked, Some(name.to_owned()), Some(format!("{name}{COMPRESSED}"))];
    candidates.into_iter().flatten().find(|candidate| contains(names, candidate))
}
