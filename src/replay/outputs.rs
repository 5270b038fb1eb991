//! What a replay leaves behind of every bag: messages, lines of JSON, CSV.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::ReplayError;
use super::rows::{RowSource, rows, write_json_lines};
use super::run::{Answered, Listener};
use super::select::CameraTopics;
use super::tally::Counter;
use super::timeline::Timeline;
use super::truth::CameraTruth;
use super::view::ReplayView;
use crate::dataset::bag::BagWriter;
use crate::inference::messages::{self, Identity};
use crate::intake::stamp::Stamp;

/// Name of the node whose topics a recording has.
pub const NODE: &str = "/monitor";

/// A file of rows that grows bag by bag, under another name until it is complete.
pub struct RowFile {
    path: PathBuf,
    partial: PathBuf,
    format: Format,
}

enum Format {
    JsonLines(BufWriter<File>),
    Csv(Box<csv::Writer<File>>),
}

/// Where the answers of one bag go.
pub struct Outputs<'a> {
    /// Name of the bag.
    pub bag: &'a str,
    /// Its cameras.
    pub cameras: &'a [CameraTopics],
    /// What is true of them.
    pub truth: &'a [CameraTruth],
    /// Who judges.
    pub identity: &'a Identity,
    /// Messages on the topics of the node.
    pub recording: Option<BagWriter>,
    /// Rows.
    pub rows: &'a mut [RowFile],
    /// Counts.
    pub counter: Counter<'a>,
    /// The course of every camera.
    pub timelines: &'a mut [Timeline],
    /// A recording for rerun.
    pub view: Option<ReplayView>,
    /// Called after every image.
    pub progress: &'a dyn Fn(),
}

impl RowFile {
    /// A file of JSON lines. `kept` bytes of the file that an interrupted replay left stay; 0: it begins anew.
    ///
    /// # Errors
    /// When it cannot be made, or is shorter than that.
    pub fn json_lines(path: &Path, kept: u64) -> Result<Self, ReplayError> {
        Self::open(path, kept, |file| Format::JsonLines(BufWriter::new(file)))
    }

    /// A file of comma-separated values with a heading; `kept` as in [`RowFile::json_lines`].
    ///
    /// # Errors
    /// When it cannot be made, or is shorter than that.
    pub fn csv(path: &Path, kept: u64) -> Result<Self, ReplayError> {
        let writer = |file| csv::WriterBuilder::new().has_headers(kept == 0).from_writer(file);
        Self::open(path, kept, |file| Format::Csv(Box::new(writer(file))))
    }

    fn open(path: &Path, kept: u64, format: impl FnOnce(File) -> Format) -> Result<Self, ReplayError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = if kept == 0 { File::create(&partial) } else { keep(path, &partial, kept) };
        let file = file.map_err(output_error(&partial))?;
        Ok(Self { path: path.to_path_buf(), partial, format: format(file) })
    }

    /// Writes what is in memory, and returns the length of the file so far.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<u64, ReplayError> {
        let length = |file: &File| file.sync_data().and_then(|()| file.metadata()).map(|metadata| metadata.len());
        let flushed = match &mut self.format {
            Format::JsonLines(file) => file.flush().and_then(|()| length(file.get_ref())),
            Format::Csv(file) => file.flush().and_then(|()| length(file.get_ref())),
        };
        flushed.map_err(output_error(&self.partial))
    }

    fn write(&mut self, answered: &Answered<'_>, source: RowSource<'_>) -> Result<(), ReplayError> {
        let rows = rows(answered, source);
        let written = match &mut self.format {
            Format::JsonLines(file) => write_json_lines(file, answered.answer, &rows),
            Format::Csv(file) => rows.iter().try_for_each(|row| file.serialize(row)).map_err(io::Error::from),
        };
        written.map_err(output_error(&self.partial))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<(), ReplayError> {
        let flushed = match self.format {
            Format::JsonLines(mut file) => file.flush(),
            Format::Csv(mut file) => file.flush(),
        };
        flushed.and_then(|()| std::fs::rename(&self.partial, &self.path)).map_err(output_error(&self.path))
    }
}

/// The first bytes of a file that an interrupted replay left: under its own name when that replay could end it.
fn keep(path: &Path, partial: &Path, bytes: u64) -> io::Result<File> {
    if !partial.exists() {
        std::fs::rename(path, partial)?;
    }
    let mut file = File::options().write(true).open(partial)?;
    if file.metadata()?.len() < bytes {
        return Err(io::Error::other("it is shorter than it was: remove the progress and begin anew"));
    }
    file.set_len(bytes)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

fn output_error(path: &Path) -> impl FnOnce(io::Error) -> ReplayError + '_ {
    move |source| ReplayError::Output { what: path.display().to_string(), source }
}

impl Outputs<'_> {
    fn record(&mut self, answered: &Answered<'_>) -> Result<(), ReplayError> {
        let Some(recording) = &mut self.recording else { return Ok(()) };
        let Answered { camera, log_nanos, answer, .. } = *answered;
        let published = Stamp::from(std::time::Duration::from_nanos(log_nanos));
        let name = &self.cameras[camera].name;
        let topic = |output: &str| name.topic(output).replacen('~', NODE, 1);
        recording.write(&topic("ood"), log_nanos, &messages::ood(answer, published, self.identity))?;
        recording.write(
            &topic("classification"),
            log_nanos,
            &messages::classification(answer, published, self.identity),
        )?;
        let state = messages::stream_state(answer);
        recording.write(&topic("stream_state"), log_nanos, &state)?;
        if answer.observed.has_changed {
            recording.write(&topic("stream_changes"), log_nanos, &state)?;
        }
        Ok(())
    }
}

impl Listener for Outputs<'_> {
    fn answered(&mut self, answered: &Answered<'_>) -> Result<(), ReplayError> {
        self.record(answered)?;
        let (bag, classes) = (self.bag, self.identity.classes.as_slice());
        let (topic, truth) = (self.cameras[answered.camera].images.name.as_str(), &self.truth[answered.camera]);
        let source = RowSource { bag, topic, classes, truth };
        self.rows.iter_mut().try_for_each(|file| file.write(answered, source))?;
        self.counter.observe(answered);
        if let Some(view) = &mut self.view {
            view.show(answered);
        }
        self.timelines[answered.camera].observe(answered.answer);
        (self.progress)();
        Ok(())
    }
}
