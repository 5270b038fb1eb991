//! The folder of the events: their names, how much room they take, and what an earlier run left.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::utc::Utc;

/// Written at the end of an event's name while it is being recorded, as [`crate::dataset::bag::BagWriter`] does.
const PARTIAL: &str = ".partial";
/// Written at the end of an event's name when it was not completed.
const CUT_OFF: &str = ".cut_off";
/// What happened, beside the recording.
pub(super) const NOTE: &str = "event.json";
/// The note while it is being written.
pub(super) const NOTE_PARTIAL: &str = "event.json.partial";
/// Held by the black box that writes into the folder.
const LOCK: &str = ".black_box.lock";
/// Letters of a trigger's name that are in the name of its event.
const MOST_LETTERS: usize = 40;

/// The folder of the events, of which this process has the lock.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
    /// Of the next event: higher than all there are, so that the order of events is known whatever the clock did.
    next_number: u64,
}

/// Why a folder cannot be used.
#[derive(Debug)]
pub(super) enum FolderError {
    /// It can neither be used nor made.
    Io(io::Error),
    /// Another black box writes into it.
    Busy,
}

/// An event that lies in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    path: PathBuf,
    name: EventName,
    /// Bytes of the files of the black box in it.
    pub(super) bytes: u64,
}

/// What room the events take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes of all events together.
    pub(super) bytes: u64,
    /// Events that were deleted just now.
    pub(super) deleted: u64,
    /// What is wrong with one that cannot be deleted.
    pub(super) refused: Option<String>,
}

/// `event_<UTC time>_<trigger>_<number>`, and what is written behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EventName {
    stem: String,
    number: u64,
    partial: bool,
}

impl Folder {
    /// Makes the folder where it does not exist, locks it, and marks what an earlier run did not complete; the number of those
    /// events.
    pub(super) fn open(path: &Path) -> Result<(Self, u64), FolderError> {
        let lock = make(path)?;
        let mut folder = Self { path: path.to_path_buf(), lock, next_number: 1 };
        let events = folder.events().map_err(FolderError::Io)?;
        folder.next_number = events.iter().map(|event| event.name.number).max().unwrap_or(0) + 1;
        let partial = events.iter().filter(|event| event.name.partial);
        let marked: io::Result<Vec<_>> = partial.map(|event| mark_cut_off(&event.path)).collect();
        Ok((folder, marked.map_err(FolderError::Io)?.len() as u64))
    }

    /// Makes the folder anew when it vanished.
    pub(super) fn ensure(&mut self) -> Result<(), FolderError> {
        if !self.path.join(LOCK).exists() {
            self.lock = make(&self.path)?;
        }
        Ok(())
    }

    /// Where the next event goes.
    pub(super) fn next_event(&mut self, stamp_nanos: u64, trigger: &str) -> PathBuf {
        let number = self.next_number;
        self.next_number += 1;
        let time = Utc::from_nanos(stamp_nanos).compact();
        self.path.join(format!("event_{time}_{}_{number}", plain(trigger)))
    }

    /// The events in the folder, the oldest first.
    pub(super) fn events(&self) -> io::Result<Vec<Recorded>> {
        let mut events = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Some(name) = EventName::parse(&entry.file_name().to_string_lossy()) else { continue };
            if entry.file_type()?.is_dir() {
                let path = entry.path();
                let bytes = name.files().iter().filter_map(|file| size(&path.join(file))).sum();
                events.push(Recorded { path, name, bytes });
            }
        }
        events.sort_by_key(|event| event.name.number);
        Ok(events)
    }

    /// Deletes the oldest events but `keep` until all together have at most `quota` bytes. One that cannot be deleted is passed
    /// over.
    pub(super) fn make_room(&self, quota: u64, keep: Option<&Path>) -> io::Result<Room> {
        let events = self.events()?;
        let mut room = Room { bytes: events.iter().map(|event| event.bytes).sum(), deleted: 0, refused: None };
        for event in events.iter().filter(|event| event.bytes > 0 && keep != Some(event.path.as_path())) {
            if room.bytes <= quota {
                break;
            }
            if let Err(error) = event.delete() {
                room.refused = Some(format!("{} cannot be deleted: {error}", event.path.display()));
                continue;
            }
            room.bytes -= event.bytes;
            room.deleted += 1;
        }
        Ok(room)
    }

    /// Bytes of the file system that are free for this process.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let found = statvfs(&self.path)?;
        Ok(found.blocks_available().saturating_mul(found.fragment_size()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Recorded {
    /// Deletes the files of the black box, and the folder when nothing else is in it.
    fn delete(&self) -> io::Result<()> {
        for file in self.name.files() {
            match fs::remove_file(self.path.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            _ => Ok(()),
        }
    }
}

impl EventName {
    /// `None` for a name that the black box does not give.
    fn parse(name: &str) -> Option<Self> {
        let partial = name.strip_suffix(PARTIAL);
        let stem = partial.or(name.strip_suffix(CUT_OFF)).unwrap_or(name);
        let (time, rest) = stem.strip_prefix("event_")?.split_once('_')?;
        let (trigger, number) = rest.rsplit_once('_')?;
        let is_time = time.len() == 16
            && time.char_indices().all(|(place, letter)| match place {
                8 => letter == 'T',
                15 => letter == 'Z',
                _ => letter.is_ascii_digit(),
            });
        let is_plain = !trigger.is_empty() && plain(trigger) == trigger;
        let number = number.parse().ok().filter(|_| is_time && is_plain)?;
        Some(Self { stem: stem.to_owned(), number, partial: partial.is_some() })
    }

    /// The files that the black box makes in it.
    fn files(&self) -> [String; 4] {
        let own = [NOTE, NOTE_PARTIAL, "metadata.yaml"].map(str::to_owned);
        let [note, note_partial, metadata] = own;
        [format!("{}_0.mcap", self.stem), metadata, note, note_partial]
    }
}

/// Renames a folder that is still called partial, so that what is in it is kept and seen; its new path.
pub(super) fn mark_cut_off(partial: &Path) -> io::Result<PathBuf> {
    let name = partial.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let marked = partial.with_file_name(format!("{}{CUT_OFF}", name.strip_suffix(PARTIAL).unwrap_or(&name)));
    fs::rename(partial, &marked)?;
    Ok(marked)
}

/// Removes what there is of an event that could not be begun; what cannot be removed is marked at the next start.
pub(super) fn discard(event: &Path) {
    let mut partial = event.as_os_str().to_owned();
    partial.push(PARTIAL);
    let _ = fs::remove_dir_all(partial);
}

fn make(path: &Path) -> Result<File, FolderError> {
    fs::create_dir_all(path).map_err(FolderError::Io)?;
    let lock = File::create(path.join(LOCK)).map_err(FolderError::Io)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(FolderError::Busy),
        Err(TryLockError::Error(error)) => Err(FolderError::Io(error)),
    }
}

/// What may be in a name of a file: lower-case letters, digits and `_`.
fn plain(name: &str) -> String {
    let letters = name.chars().take(MOST_LETTERS).map(|letter| letter.to_ascii_lowercase());
    let plain: String = letters.map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if plain.is_empty() { "unnamed".to_owned() } else { plain }
}

/// Bytes of a file; `None` when it is none.
fn size(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An event of `bytes` bytes.
    fn event(folder: &mut Folder, bytes: usize) -> PathBuf {
        let path = folder.next_event(1_750_000_000_000_000_000, "alarm");
        fs::create_dir(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        fs::write(path.join(format!("{name}_0.mcap")), vec![0; bytes]).unwrap();
        path
    }

    #[test]
    fn names_say_when_and_why() {
        let directory = tempfile::tempdir().unwrap();
        let (mut folder, _) = Folder::open(directory.path()).unwrap();
        let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(name(folder.next_event(0, "camera_changed")), "event_19700101T000000Z_camera_changed_1");
        assert_eq!(name(folder.next_event(0, "../Ümlaut")), "event_19700101T000000Z_____mlaut_2");
    }

    #[test]
    fn only_the_oldest_own_files_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let (mut folder, _) = Folder::open(directory.path()).unwrap();
        let paths: Vec<PathBuf> = (0..4).map(|_| event(&mut folder, 100)).collect();
        for foreign in ["event_holiday", "event_20250615T150640Z_alarm_x", "drive"] {
            fs::create_dir(directory.path().join(foreign)).unwrap();
            fs::write(directory.path().join(foreign).join("drive_0.mcap"), [0; 999]).unwrap();
        }
        fs::write(paths[0].join("notes.txt"), "mine").unwrap();
        std::os::unix::fs::symlink(&paths[3], directory.path().join("event_20250615T150640Z_alarm_0")).unwrap();
        let room = |quota, keep| folder.make_room(quota, keep).unwrap();
        assert_eq!(room(250, Some(&*paths[1])), Room { bytes: 200, deleted: 2, refused: None });
        assert_eq!([0, 1, 2, 3].map(|number| paths[number].exists()), [true, true, false, true]);
        assert_eq!(fs::read_dir(&paths[0]).unwrap().count(), 1, "the foreign file is kept");
        assert_eq!(room(0, None), Room { bytes: 0, deleted: 2, refused: None });
        assert!(directory.path().join("event_holiday/drive_0.mcap").exists());
        assert!(directory.path().join("drive/drive_0.mcap").exists());
    }

    #[test]
    fn an_event_that_cannot_be_deleted_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let (mut folder, _) = Folder::open(directory.path()).unwrap();
        let paths: Vec<PathBuf> = (0..3).map(|_| event(&mut folder, 100)).collect();
        // Not even root removes a folder as if it were a file.
        fs::create_dir(paths[0].join("metadata.yaml")).unwrap();
        let room = folder.make_room(100, None).unwrap();
        assert!(room.refused.unwrap().contains("_alarm_1 cannot be deleted"));
        assert_eq!((room.deleted, paths[1].exists(), paths[2].exists()), (2, false, false));
    }

    #[test]
    fn what_an_earlier_run_left_is_marked_and_numbers_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let partial = directory.path().join("event_20250615T150640Z_alarm_7.partial");
        fs::create_dir(&partial).unwrap();
        let (mut folder, cut_off) = Folder::open(directory.path()).unwrap();
        assert_eq!(cut_off, 1);
        assert!(!partial.exists() && directory.path().join("event_20250615T150640Z_alarm_7.cut_off").exists());
        assert!(folder.next_event(0, "alarm").to_string_lossy().ends_with("_8"));
        assert!(matches!(Folder::open(directory.path()), Err(FolderError::Busy)));
        drop(folder);
        assert_eq!(Folder::open(directory.path()).unwrap().1, 0);
    }

    proptest! {
        #[test]
        fn every_name_is_recognised(trigger in "\\PC{0,60}", nanos in any::<u64>(), number in any::<u64>()) {
            let name = format!("event_{}_{}_{number}", Utc::from_nanos(nanos).compact(), plain(&trigger));
            let parsed = EventName::parse(&name).unwrap();
            prop_assert_eq!((parsed.number, parsed.partial), (number, false));
            let partial = EventName::parse(&format!("{name}.partial")).unwrap();
            prop_assert!(partial.partial);
            prop_assert_eq!(EventName::parse(&format!("{name}.cut_off")).unwrap().stem, name);
        }

        #[test]
        fn other_names_never_panic(name in "\\PC{0,60}") {
            let _ = EventName::parse(&name);
            let _ = EventName::parse(&format!("event_{name}"));
        }
    }
}
