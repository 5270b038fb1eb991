//! A copy of a file that nobody else can change.

use std::fs::{File, Metadata};
use std::io::{self, Read, copy};
use std::path::Path;

use memmap2::{Mmap, MmapMut};

use super::StorageError;
use super::file::io as failed;

/// Files up to this size (1 GiB) are loaded into memory. Of a larger one a temporary file is made, whose pages the system can
/// take back when memory is short.
pub const LOAD_IN_MEMORY_BYTES: u64 = 1 << 30;

/// The bytes of a file in memory or, above `in_memory_bytes`, in a temporary file without a name. `meanwhile` runs after the
/// reading and before the check that nothing changed.
///
/// # Errors
/// [`StorageError::Io`] when the file cannot be read or copied, [`StorageError::Format`] when it is a folder or a device,
/// [`StorageError::Changed`] when its size or its time of modification changed meanwhile.
pub(super) fn private(path: &Path, in_memory_bytes: u64, meanwhile: impl FnOnce()) -> Result<Mmap, StorageError> {
    let file = File::open(path).map_err(|source| failed("open", path, source))?;
    let stat = || file.metadata().map_err(|source| failed("read", path, source));
    let before = stat()?;
    if !before.is_file() {
        return Err(StorageError::Format { path: path.display().to_string(), reason: "it is no regular file".into() });
    }
    let (action, copied) = match before.len() <= in_memory_bytes {
        true => ("read", in_memory(&file, before.len())),
        false => ("copy", on_disk(&file, before.len())),
    };
    meanwhile();
    match copied.map_err(|source| failed(action, path, source))? {
        Some(bytes) if unchanged(&before, &stat()?) => Ok(bytes),
        _ => Err(StorageError::Changed { path: path.display().to_string() }),
    }
}

/// Exactly `length` bytes; `None` when the file has fewer or more.
fn in_memory(mut file: &File, length: u64) -> io::Result<Option<Mmap>> {
    let mut bytes = MmapMut::map_anon(usize::try_from(length).map_err(io::Error::other)?)?;
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
        Ok(()) if file.read(&mut [0])? > 0 => Ok(None),
        Ok(()) => bytes.make_read_only().map(Some),
    }
}

/// The same in a temporary file.
fn on_disk(file: &File, length: u64) -> io::Result<Option<Mmap>> {
    let mut own = tempfile::tempfile()?;
    if copy(&mut file.take(length.saturating_add(1)), &mut own)? != length {
        return Ok(None);
    }
    map_own(&own).map(Some)
}

#[allow(unsafe_code)]
fn map_own(own: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is read-only and the file has no name, so no other process can open it; this one closes it with the
    // caller's handle and keeps the mapping alone, so the bytes behind the slices stay as they are.
    unsafe { Mmap::map(own) }
}

/// As far as the file system can tell. What it cannot (two writes within one tick of its clock) is found by the checksum.
fn unchanged(before: &Metadata, after: &Metadata) -> bool {
    before.len() == after.len() && before.modified().ok() == after.modified().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;

    const IN_MEMORY: u64 = 1 << 20;
    const ON_DISK: u64 = 0;

    #[test]
    fn a_copy_outlives_whatever_happens_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let content: Vec<u8> = (0..100_000u32).map(|index| (index % 251) as u8).collect();
        for limit in [IN_MEMORY, ON_DISK] {
            fs::write(&path, &content).unwrap();
            let copy = private(&path, limit, || ()).unwrap();
            OpenOptions::new().write(true).open(&path).unwrap().write_all(&[0xff; 5000]).unwrap();
            assert!(copy[..] == content[..], "overwritten, limit {limit}");
            File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
            assert!(copy[..] == content[..], "truncated, limit {limit}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the copy has no name");
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let other_time = || {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        };
        let longer = || OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        let shorter = || File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
        for limit in [IN_MEMORY, ON_DISK] {
            for change in [&other_time as &dyn Fn(), &longer, &shorter] {
                fs::write(&path, b"what was there").unwrap();
                let error = private(&path, limit, change).unwrap_err();
                assert!(matches!(error, StorageError::Changed { .. }), "{error}");
                assert!(error.to_string().contains("changed while it was read"), "{error}");
            }
        }
    }

    #[test]
    fn more_or_fewer_bytes_than_expected_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, b"12345").unwrap();
        let open = || File::open(&path).unwrap();
        for (length, found) in [(4, false), (5, true), (6, false)] {
            assert_eq!(in_memory(&open(), length).unwrap().is_some(), found, "{length}");
            assert_eq!(on_disk(&open(), length).unwrap().is_some(), found, "{length}");
        }
        fs::write(&path, b"").unwrap();
        assert!(in_memory(&open(), 0).unwrap().unwrap().is_empty());
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = private(folder.path(), IN_MEMORY, || ()).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
        assert!(matches!(private(&folder.path().join("none"), IN_MEMORY, || ()), Err(StorageError::Io { .. })));
    }
}
