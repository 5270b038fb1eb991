//! What a replay keeps on disk of the recordings that it has finished, so that it can go on after an interruption.
//!
//! The file is a row of CBOR items: a [`Task`], then one item per finished recording. An item that was cut off by a crash
//! is dropped, and its recording is replayed again.

use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::report::BagReport;

/// Version of the format.
const VERSION: u32 = 1;

/// What a replay must have in common with the one that it continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    version: u32,
    arguments: Vec<String>,
    model_id: String,
    monitor_id: String,
}

/// A recording that was finished.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What is reported of it.
    pub report: BagReport,
    /// Lengths of the files of rows at its end, bytes.
    pub row_bytes: Vec<u64>,
}

/// The file.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: File,
}

/// Why a replay cannot go on or keep what it has done.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be read or written.
    #[error("cannot keep the progress in {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is no progress of a replay: remove it or name another file", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// It was made by another replay.
    #[error("{} is the progress of another replay ({what} differs): remove it, or repeat the command that made it", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
struct Item {
    report: BagReport,
    row_bytes: Vec<u64>,
    /// Crops of the alarms, which a report does not hold when it is written as JSON.
    crops: Vec<Option<Crop>>,
}

#[derive(Serialize, Deserialize)]
struct Crop {
    width: u32,
    height: u32,
    pixels: ByteBuf,
}

impl Task {
    /// Of a replay with these arguments, by a model and a monitor.
    #[must_use]
    pub fn new(arguments: Vec<String>, model_id: &str, monitor_id: &str) -> Self {
        Self { version: VERSION, arguments, model_id: model_id.to_owned(), monitor_id: monitor_id.to_owned() }
    }

    fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.version != other.version, "its version"),
            (self.model_id != other.model_id, "the model"),
            (self.monitor_id != other.monitor_id, "the monitor"),
            (self.arguments != other.arguments, "the command line"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

impl Checkpoint {
    /// Opens the progress of a task, or begins it where there is none; with what was finished before, in order.
    ///
    /// # Errors
    /// [`CheckpointError`] when the file cannot be used or is that of another task.
    pub fn open(path: &Path, task: &Task) -> Result<(Self, Vec<Finished>), CheckpointError> {
        let io = |source| CheckpointError::Io { path: path.to_path_buf(), source };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(io)?;
        let bytes = std::fs::read(path).map_err(io)?;
        let (finished, length) = if bytes.is_empty() { (Vec::new(), 0) } else { read(path, &bytes, task)? };
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(io)?;
        let mut checkpoint = Self { path: path.to_path_buf(), file };
        if length == 0 {
            checkpoint.append(task)?;
        }
        Ok((checkpoint, finished))
    }

    /// Adds a recording that was finished.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, finished: &Finished) -> Result<(), CheckpointError> {
        let Finished { report, row_bytes } = finished;
        let crops = report.tally.alarms.iter().map(|alarm| alarm.crop.as_ref().map(Crop::of)).collect();
        self.append(&Item { report: report.clone(), row_bytes: row_bytes.clone(), crops })
    }

    /// Removes the file of a replay that is complete.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> Result<(), CheckpointError> {
        std::fs::remove_file(&self.path).map_err(|source| CheckpointError::Io { path: self.path, source })
    }

    fn append(&mut self, item: &impl Serialize) -> Result<(), CheckpointError> {
        let mut bytes = Vec::new();
        let encoded = ciborium::into_writer(item, &mut bytes).map_err(io::Error::other);
        let written = encoded.and_then(|()| self.file.write_all(&bytes)).and_then(|()| self.file.sync_data());
        written.map_err(|source| CheckpointError::Io { path: self.path.clone(), source })
    }
}

/// The recordings in a file of this task, and up to which byte it is whole.
fn read(path: &Path, bytes: &[u8], task: &Task) -> Result<(Vec<Finished>, u64), CheckpointError> {
    let mut cursor = Cursor::new(bytes);
    let found: Task =
        ciborium::from_reader(&mut cursor).map_err(|_| CheckpointError::Format { path: path.to_path_buf() })?;
    if let Some(what) = found.difference(task) {
        return Err(CheckpointError::Other { path: path.to_path_buf(), what });
    }
    let (mut finished, mut length) = (Vec::new(), cursor.position());
    while let Ok(item) = ciborium::from_reader::<Item, _>(&mut cursor) {
        finished.push(item.into());
        length = cursor.position();
    }
    Ok((finished, length))
}

impl From<Item> for Finished {
    fn from(Item { mut report, row_bytes, crops }: Item) -> Self {
        for (alarm, crop) in report.tally.alarms.iter_mut().zip(crops) {
            alarm.crop = crop.and_then(Crop::image);
        }
        Self { report, row_bytes }
    }
}

impl Crop {
    fn of(image: &RgbImage) -> Self {
        Self { width: image.width(), height: image.height(), pixels: ByteBuf::from(image.as_raw().clone()) }
    }

    fn image(self) -> Option<RgbImage> {
        RgbImage::from_raw(self.width, self.height, self.pixels.into_vec())
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::replay::{Alarm, Cause, Played, Subject, Tally};

    fn task() -> Task {
        Task::new(vec!["replay".into(), "a".into()], "model", "monitor")
    }

    fn finished(name: &str) -> Finished {
        let mut tally = Tally::default();
        tally.note_micros(1234);
        tally.alarms.push(Alarm {
            topic: "/camera".into(),
            subject: Subject::Object("sign".into()),
            cause: Cause::Nominal,
            begin_nanos: 1,
            end_nanos: 2,
            onset_nanos: None,
            images: 3,
            p_value: f32::NAN,
            class_name: "stop".into(),
            nearest_class_name: "yield".into(),
            explanation: "neuron 7".into(),
            crop: Some(RgbImage::from_pixel(3, 2, Rgb([1, 2, 200]))),
        });
        let report = BagReport::new(name, &[], Vec::new(), tally, &Played::default());
        Finished { report, row_bytes: vec![10, 20] }
    }

    fn names(finished: &[Finished]) -> Vec<&str> {
        finished.iter().map(|one| one.report.name.as_str()).collect()
    }

    #[test]
    fn what_was_finished_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress");
        let (mut checkpoint, before) = Checkpoint::open(&path, &task()).unwrap();
        assert!(before.is_empty());
        checkpoint.add(&finished("a")).unwrap();
        let (mut checkpoint, before) = Checkpoint::open(&path, &task()).unwrap();
        assert_eq!((names(&before), &before[0].row_bytes), (vec!["a"], &vec![10, 20]));
        let tally = &before[0].report.tally;
        assert_eq!(tally.latency_ms(0.5), finished("a").report.tally.latency_ms(0.5));
        assert!(tally.alarms[0].p_value.is_nan());
        assert_eq!(tally.alarms[0].crop, finished("a").report.tally.alarms[0].crop);
        checkpoint.add(&finished("b")).unwrap();
        let (checkpoint, before) = Checkpoint::open(&path, &task()).unwrap();
        assert_eq!(names(&before), ["a", "b"]);
        checkpoint.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn an_item_that_was_cut_off_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress");
        let (mut checkpoint, _) = Checkpoint::open(&path, &task()).unwrap();
        checkpoint.add(&finished("a")).unwrap();
        let whole = std::fs::metadata(&path).unwrap().len();
        checkpoint.add(&finished("b")).unwrap();
        for length in [whole + 1, std::fs::metadata(&path).unwrap().len() - 1] {
            File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
            let (mut checkpoint, before) = Checkpoint::open(&path, &task()).unwrap();
            assert_eq!(names(&before), ["a"]);
            checkpoint.add(&finished("c")).unwrap();
            let (_, before) = Checkpoint::open(&path, &task()).unwrap();
            assert_eq!(names(&before), ["a", "c"]);
        }
    }

    #[test]
    fn other_files_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress");
        std::fs::write(&path, "my thesis").unwrap();
        assert!(matches!(Checkpoint::open(&path, &task()), Err(CheckpointError::Format { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"my thesis");
        std::fs::remove_file(&path).unwrap();
        drop(Checkpoint::open(&path, &task()).unwrap());
        let other = Task::new(vec!["replay".into(), "b".into()], "model", "monitor");
        let error = Checkpoint::open(&path, &other).unwrap_err().to_string();
        assert!(error.contains("the command line differs"), "{error}");
        let other = Task::new(vec!["replay".into(), "a".into()], "model", "another");
        assert!(Checkpoint::open(&path, &other).unwrap_err().to_string().contains("the monitor differs"));
    }
}
