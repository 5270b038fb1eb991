//! Recording to a file.
//!
//! rerun's own file sink ends at the first error, which it tells nobody but its log. This one says what is wrong, cuts off what
//! was written in part, so that the file stays readable, and goes on when there is room again. It writes no manifest of all
//! chunks at the end: rerun would gather it in memory as long as the node runs.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rerun::external::re_build_info::CrateVersion;
use rerun::external::re_log_encoding::{EncodeError, Encoder, EncodingOptions};
use rerun::log::LogMsg;
use rerun::sink::{LogSink, SinkFlushError};

use super::ViewerError;

/// Recordings of one name; more are refused.
const MOST_RECORDINGS: u32 = 10_000;

/// Makes a new file and says its number. Where there is one already it is kept, and the new one gets the next free number
/// from `first` on: `drive.rrd` (0), `drive-1.rrd`, `drive-2.rrd`, …
///
/// # Errors
/// [`ViewerError::File`] when the folder does not exist or the file cannot be made.
pub(super) fn create_new(path: &Path, first: u32) -> Result<(File, PathBuf, u32), ViewerError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let reason = format!("the folder {} does not exist; make it first", folder.display());
        return Err(ViewerError::file(path, &reason));
    }
    for number in first..first.saturating_add(MOST_RECORDINGS) {
        let place = numbered(path, number);
        match File::create_new(&place) {
            Ok(file) => return Ok((file, place, number)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && place.is_file() => {}
            Err(error) => return Err(ViewerError::file(&place, &error)),
        }
    }
    Err(ViewerError::file(path, &format!("there are {MOST_RECORDINGS} of that name already; remove some")))
}

/// `path` with a number before its extension; number 0 is the path itself.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Writes rerun's messages to a file.
pub(super) struct RecordingSink<S: Store> {
    state: Mutex<State<S>>,
    length: Arc<AtomicU64>,
}

struct State<S: Store> {
    encoder: Encoder<Whole<S>>,
    /// Why the newest message was not written.
    newest: Option<String>,
    /// Why a message since the last flush was not written.
    lost: Option<String>,
}

/// Where a recording is written to.
pub(super) trait Store: Write + Send + 'static {
    /// Forgets everything behind `length` bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Whether it still has a name.
    fn is_there(&self) -> bool;
}

impl Store for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }

    fn is_there(&self) -> bool {
        self.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }
}

impl<S: Store> RecordingSink<S> {
    /// Begins a recording.
    ///
    /// # Errors
    /// When not even the first bytes can be written.
    pub(super) fn new(store: S) -> io::Result<Self> {
        let length = Arc::new(AtomicU64::new(0));
        let whole = Whole { store, length: Arc::clone(&length), torn: false };
        let mut encoder = Encoder::new_eager(CrateVersion::LOCAL, EncodingOptions::PROTOBUF_COMPRESSED, whole)
            .map_err(|error| io::Error::other(reason(error)))?;
        encoder.do_not_emit_footer();
        Ok(Self { state: Mutex::new(State { encoder, newest: None, lost: None }), length })
    }

    /// The number of bytes in the file, as it grows.
    pub(super) fn length(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.length)
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> LogSink for RecordingSink<S> {
    fn send(&self, message: LogMsg) {
        let mut state = self.lock();
        state.newest = state.encoder.append(&message).err().map(reason);
        if state.lost.is_none() {
            state.lost = state.newest.clone();
        }
    }

    /// An error when a message since the last flush is lost, or when nothing can be written any more.
    fn flush_blocking(&self, _timeout: Duration) -> Result<(), SinkFlushError> {
        let mut state = self.lock();
        let lost = state.lost.take().or_else(|| state.newest.clone());
        match lost.or_else(|| state.encoder.flush_blocking().err().map(reason)) {
            Some(reason) => Err(SinkFlushError::failed(reason)),
            None => Ok(()),
        }
    }
}

/// What the operating system says, without rerun's words around it.
fn reason(error: EncodeError) -> String {
    match error {
        EncodeError::Write(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Takes bytes whole or not at all.
struct Whole<S> {
    store: S,
    /// Bytes that were written whole.
    length: Arc<AtomicU64>,
    /// Whether something is behind them that could not be cut off.
    torn: bool,
}

impl<S: Store> Write for Whole<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = self.length.load(Ordering::Relaxed);
        if self.torn {
            self.store.cut(length)?;
            self.torn = false;
        }
        if let Err(error) = self.store.write_all(bytes) {
            self.torn = self.store.cut(length).is_err();
            return Err(error);
        }
        self.length.store(length + bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.store.is_there() { self.store.flush() } else { Err(io::Error::other("somebody removed the file")) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use rerun::{RecordingStreamBuilder, TextLog};

    use super::*;

    #[test]
    fn an_older_recording_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let made: Vec<String> = (0..3)
            .map(|content: u8| {
                let (mut file, place, _) = create_new(&folder.path().join("my drive.rrd"), 0).unwrap();
                file.write_all(&[content]).unwrap();
                place.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(made, ["my drive.rrd", "my drive-1.rrd", "my drive-2.rrd"]);
        assert_eq!(fs::read(folder.path().join("my drive.rrd")).unwrap(), [0]);
        fs::remove_file(folder.path().join("my drive.rrd")).unwrap();
        assert_eq!(create_new(&folder.path().join("my drive.rrd"), 2).unwrap().2, 3);
        assert_eq!(numbered(Path::new("a.b/drive"), 7), Path::new("a.b/drive-7"));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &Path| create_new(path, 0).unwrap_err().to_string();
        let nowhere = folder.path().join("nowhere");
        let missing = error(&nowhere.join("x.rrd"));
        assert!(missing.contains(&format!("the folder {} does not exist", nowhere.display())), "{missing}");
        assert!(!nowhere.exists());
        assert!(error(folder.path()).contains("File exists"), "a folder is no recording");
        assert!(error(Path::new("/dev/full")).contains("cannot record to /dev/full"));
    }

    /// A disk with room for `room` bytes, of which a write fills what it can.
    #[derive(Clone)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn new(room: usize) -> Self {
            Self(Arc::new(Mutex::new((Vec::new(), room))))
        }

        fn set_room(&self, room: usize) {
            self.0.lock().unwrap().1 = room;
        }

        fn bytes(&self) -> Vec<u8> {
            self.0.lock().unwrap().0.clone()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (written, room) = &mut *self.0.lock().unwrap();
            let fitting = bytes.len().min(room.saturating_sub(written.len()));
            written.extend(&bytes[..fitting]);
            if fitting == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fitting) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Store for Disk {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.0.lock().unwrap().0.truncate(length as usize);
            Ok(())
        }

        fn is_there(&self) -> bool {
            true
        }
    }

    /// Different messages of some size.
    fn messages() -> Vec<LogMsg> {
        let (stream, storage) = RecordingStreamBuilder::new("test").memory().unwrap();
        for index in 0..6 {
            stream.log(format!("line/{index}"), &TextLog::new(format!("{index} ").repeat(50))).unwrap();
        }
        let messages = storage.take();
        assert!(messages.len() >= 6, "{messages:?}");
        messages
    }

    fn flush(sink: &impl LogSink) -> Result<(), String> {
        sink.flush_blocking(Duration::ZERO).map_err(|error| error.to_string())
    }

    #[test]
    fn a_full_disk_is_an_error_until_there_is_room_and_leaves_whole_messages() {
        let messages = messages();
        let (disk, expected) = (Disk::new(usize::MAX), Disk::new(usize::MAX));
        let sink = RecordingSink::new(disk.clone()).unwrap();
        let others = RecordingSink::new(expected.clone()).unwrap();
        assert_eq!(flush(&sink), Ok(()));
        sink.send(messages[0].clone());
        assert_eq!(flush(&sink), Ok(()));
        disk.set_room(disk.bytes().len() + 50); // in the middle of the next message
        sink.send(messages[1].clone());
        sink.send(messages[2].clone());
        let full = Err("no storage space".to_owned());
        assert_eq!((flush(&sink), flush(&sink)), (full.clone(), full.clone()), "also while nothing new comes");
        disk.set_room(usize::MAX);
        sink.send(messages[3].clone());
        assert_eq!(flush(&sink), Ok(()));
        disk.set_room(0);
        sink.send(messages[4].clone());
        disk.set_room(usize::MAX);
        sink.send(messages[5].clone());
        assert_eq!((flush(&sink), flush(&sink)), (full, Ok(())), "what was lost in between is told once");
        [0, 3, 5].into_iter().for_each(|index| others.send(messages[index].clone()));
        assert!(disk.bytes() == expected.bytes(), "only whole messages are in the file");
    }

    #[test]
    fn a_disk_without_room_for_the_first_bytes_is_refused() {
        let error = RecordingSink::new(Disk::new(3)).map(drop).unwrap_err();
        assert_eq!(error.to_string(), "no storage space");
    }

    #[test]
    fn a_removed_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, place, _) = create_new(&folder.path().join("x.rrd"), 0).unwrap();
        let sink = RecordingSink::new(file).unwrap();
        assert_eq!(flush(&sink), Ok(()));
        fs::remove_file(&place).unwrap();
        assert_eq!(flush(&sink), Err("somebody removed the file".to_owned()));
    }

    #[test]
    fn what_cannot_be_cut_off_stops_the_recording() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut whole = Whole { store: full, length: Arc::default(), torn: false };
        for _ in 0..2 {
            assert!(whole.write_all(b"message").is_err() && whole.torn);
        }
    }
}
