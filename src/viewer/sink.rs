//! Opens the target of the view, and opens it again when it went away.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rerun::blueprint::Blueprint;
use rerun::external::re_uri::RedapUri;
use rerun::grpc_server::GrpcServerSink;
use rerun::log::{ChunkBatcherConfig, LogMsg};
use rerun::sink::{GrpcSink, GrpcSinkConnectionState, LogSink, SinkFlushError};
use rerun::{MemoryLimit, PlaybackBehavior, RecordingStream, RecordingStreamBuilder, ServerOptions};

use super::recording::{RecordingSink, create_new};
use super::{Rotation, ViewerError, ViewerTarget};

/// Name under which rerun keeps layout and recordings together.
const APPLICATION: &str = "activation_monitor";

/// History that the server keeps for viewers that connect late.
const SERVER_MEMORY_BYTES: u64 = 256 << 20;

/// How long a viewer may take to answer before it counts as absent.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(2);

/// A way out of the process that may break and be made again.
pub(super) struct Link {
    target: ViewerTarget,
    layout: Box<dyn Fn() -> Blueprint + Send>,
    /// Takes entities; `None` while nobody is there.
    stream: Option<RecordingStream>,
    /// To the viewer that is connected to. As long as there is no stream nothing is sent through it, so it never fills up and
    /// nobody waits for it.
    connection: Option<Arc<GrpcSink>>,
    /// The files of a recording.
    files: Option<Files>,
}

/// Files that take turns.
struct Files {
    rotation: Rotation,
    /// The name that was asked for.
    path: PathBuf,
    /// Number of the next one.
    next: u32,
    /// Those of this start that are complete, the oldest first.
    complete: VecDeque<PathBuf>,
    /// When the one that is written was begun.
    begun: Instant,
    /// Its length now and before the first frame, bytes.
    length: Arc<AtomicU64>,
    length_before: u64,
}

/// What a look at the link found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// It is the one it was before.
    Same,
    /// It has just been made: the other side knows nothing yet.
    New,
    /// The viewer may still answer.
    Waiting,
}

impl Link {
    /// Opens `target`; `layout` makes the layout of every new stream.
    ///
    /// # Errors
    /// [`ViewerError`] when the file cannot be written or the address not be bound.
    pub(super) fn open(
        target: &ViewerTarget,
        rotation: Rotation,
        layout: impl Fn() -> Blueprint + Send + 'static,
    ) -> Result<Self, ViewerError> {
        let mut link =
            Self { target: target.clone(), layout: Box::new(layout), stream: None, connection: None, files: None };
        match target {
            ViewerTarget::Save(path) => {
                let mut files = Files::new(path.clone(), rotation);
                link.record(&mut files)?;
                link.files = Some(files);
            }
            ViewerTarget::Serve(address, port) => link.begin(serve(address, *port)?)?,
            ViewerTarget::Connect(address, port) => link.connection = Some(connect(address, *port)?),
        }
        Ok(link)
    }

    /// Where it goes; for a recording the file that is written.
    pub(super) fn target(&self) -> &ViewerTarget {
        &self.target
    }

    /// Takes entities; `None` while nobody is there.
    pub(super) fn stream(&self) -> Option<&RecordingStream> {
        self.stream.as_ref()
    }

    /// Sees whether somebody is there, and makes the link again where it broke.
    ///
    /// # Errors
    /// Why nobody is there.
    pub(super) fn look(&mut self) -> Result<Looked, String> {
        let result = match self.target.clone() {
            ViewerTarget::Serve(address, port) if self.stream.is_none() => {
                serve(&address, port).and_then(|sink| self.begin(sink)).map(|()| Looked::New)
            }
            ViewerTarget::Save(_) => self.rotate(),
            ViewerTarget::Serve(..) => Ok(Looked::Same),
            ViewerTarget::Connect(address, port) => self.look_for_viewer(&address, port),
        };
        result.map_err(|error| error.to_string())
    }

    /// Waits until everything has arrived, as long as that takes.
    ///
    /// # Errors
    /// Why it cannot arrive.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        self.flush_stream().map_err(|error| match &self.target {
            ViewerTarget::Save(path) => format!("cannot write {}: {error}", path.display()),
            ViewerTarget::Serve(..) => {
                // It does not come back by itself; the next look makes another one.
                self.stream = None;
                format!("the server does not run: {error}")
            }
            ViewerTarget::Connect(..) => error.to_string(),
        })
    }

    fn flush_stream(&self) -> Result<(), SinkFlushError> {
        self.stream.as_ref().map_or(Ok(()), RecordingStream::flush_blocking)
    }

    /// Makes a new file with the layout in it.
    fn record(&mut self, files: &mut Files) -> Result<(), ViewerError> {
        let (file, place, number) = create_new(&files.path, files.next)?;
        let before = self.stream.take();
        let sink = RecordingSink::new(file).map_err(|error| ViewerError::file(&place, &error));
        let begun = sink.and_then(|sink| {
            let length = sink.length();
            self.begin(Box::new(sink)).map(|()| length)
        });
        let begun = begun
            .and_then(|length| self.flush_stream().map(|()| length).map_err(|error| ViewerError::file(&place, &error)));
        match begun {
            Ok(length) => {
                files.begin(number, length);
                self.target = ViewerTarget::Save(place);
                Ok(())
            }
            Err(error) => {
                // Nothing of use is in it; where it cannot be removed either, the error is the same.
                let _ = std::fs::remove_file(&place);
                self.stream = before;
                Err(error)
            }
        }
    }

    /// Begins the next file when this one is large or old enough, and removes the oldest.
    fn rotate(&mut self) -> Result<Looked, ViewerError> {
        let (Some(mut files), ViewerTarget::Save(place)) = (self.files.take(), self.target.clone()) else {
            return Ok(Looked::Same);
        };
        let looked = if files.is_full() {
            let flushed = self.flush_stream().map_err(|error| ViewerError::file(&place, &error));
            flushed.and_then(|()| self.record(&mut files)).map(|()| {
                tracing::info!("live view: {}", self.target);
                files.complete(place);
                Looked::New
            })
        } else {
            Ok(Looked::Same)
        };
        self.files = Some(files);
        looked
    }

    fn look_for_viewer(&mut self, address: &str, port: u16) -> Result<Looked, ViewerError> {
        let connection = match &self.connection {
            Some(connection) => Arc::clone(connection),
            None => Arc::clone(self.connection.insert(connect(address, port)?)),
        };
        let url = url(address, port);
        match connection.status() {
            GrpcSinkConnectionState::Connected if self.stream.is_some() => Ok(Looked::Same),
            GrpcSinkConnectionState::Connected => self.begin(Box::new(Shared(connection))).map(|()| Looked::New),
            GrpcSinkConnectionState::Connecting { started } if started.elapsed() < CONNECTION_PATIENCE => {
                Ok(Looked::Waiting)
            }
            GrpcSinkConnectionState::Connecting { .. } => {
                Err(ViewerError::Absent(format!("no viewer listens at {url}")))
            }
            GrpcSinkConnectionState::Disconnected(_) => {
                // rerun does not connect again once a viewer has gone; the next look does.
                (self.stream, self.connection) = (None, None);
                Err(ViewerError::Absent(format!("the viewer at {url} has gone")))
            }
        }
    }

    /// Starts a stream of entities, with the layout in front.
    fn begin(&mut self, sink: Box<dyn LogSink>) -> Result<(), ViewerError> {
        // Only what is activated is shown: a viewer has made a layout of its own before it comes to a default one.
        let builder = RecordingStreamBuilder::new(APPLICATION).with_blueprint((self.layout)());
        // The parameters decide whether there is a view, not the environment variable RERUN.
        let (_, info, properties, batcher, hooks, blueprint) = builder.into_args();
        let refused = |error: rerun::RecordingStreamError| ViewerError::Rerun(error.to_string());
        let stream = RecordingStream::new(info, properties, batcher, hooks, sink).map_err(refused)?;
        blueprint.map_or(Ok(()), |blueprint| stream.send_blueprint_opts(&blueprint)).map_err(refused)?;
        self.stream = Some(stream);
        Ok(())
    }
}

impl Files {
    fn new(path: PathBuf, rotation: Rotation) -> Self {
        let (complete, begun, length) = (VecDeque::new(), Instant::now(), Arc::default());
        Self { rotation, path, next: 0, complete, begun, length, length_before: 0 }
    }

    /// A file was begun, which has nothing but the layout yet.
    fn begin(&mut self, number: u32, length: Arc<AtomicU64>) {
        (self.next, self.begun) = (number + 1, Instant::now());
        self.length_before = length.load(Ordering::Relaxed);
        self.length = length;
    }

    /// Whether the file that is written is large or old enough; one without frames never is.
    fn is_full(&self) -> bool {
        let Rotation { bytes, age, .. } = self.rotation;
        let length = self.length.load(Ordering::Relaxed);
        let is_large = bytes.is_some_and(|bytes| length >= bytes);
        let is_old = age.is_some_and(|age| self.begun.elapsed() >= age);
        length > self.length_before && (is_large || is_old)
    }

    /// A file is complete, and those that are too many are removed.
    fn complete(&mut self, place: PathBuf) {
        self.complete.push_back(place);
        let Some(kept) = self.rotation.kept else { return };
        while self.complete.len() >= kept {
            let Some(oldest) = self.complete.pop_front() else { return };
            if let Err(error) = std::fs::remove_file(&oldest) {
                tracing::warn!("cannot remove the old recording {}: {error}", oldest.display());
            }
        }
    }
}

fn serve(address: &str, port: u16) -> Result<Box<dyn LogSink>, ViewerError> {
    check_free(address, port)?;
    let options = ServerOptions {
        playback_behavior: PlaybackBehavior::NewestFirst,
        memory_limit: MemoryLimit::from_bytes(SERVER_MEMORY_BYTES),
        ..ServerOptions::default()
    };
    let sink = GrpcServerSink::new(address, port, options);
    Ok(Box::new(sink.map_err(|error| wrong_address(address, port, &error))?))
}

fn connect(address: &str, port: u16) -> Result<Arc<GrpcSink>, ViewerError> {
    match url(address, port).parse() {
        Ok(RedapUri::Proxy(uri)) => Ok(Arc::new(GrpcSink::new(uri))),
        Ok(_) => Err(wrong_address(address, port, &"not the address of a viewer")),
        Err(error) => Err(wrong_address(address, port, &error)),
    }
}

fn url(address: &str, port: u16) -> String {
    format!("rerun+http://{address}:{port}/proxy")
}

/// rerun reports a port that is taken on its own thread, where nobody hears it.
fn check_free(address: &str, port: u16) -> Result<(), ViewerError> {
    let socket: Result<SocketAddr, _> = format!("{address}:{port}").parse();
    let socket = socket.map_err(|error| wrong_address(address, port, &error))?;
    TcpListener::bind(socket).map(drop).map_err(|error| wrong_address(address, port, &error))
}

fn wrong_address(address: &str, port: u16, reason: &dyn std::fmt::Display) -> ViewerError {
    ViewerError::Address { address: address.to_owned(), port, reason: reason.to_string() }
}

/// The connection as the sink of a stream, while the link asks for its status.
struct Shared(Arc<GrpcSink>);

impl LogSink for Shared {
    fn send(&self, message: LogMsg) {
        self.0.send(message);
    }

    fn flush_blocking(&self, timeout: Duration) -> Result<(), SinkFlushError> {
        self.0.flush_blocking(timeout)
    }

    fn default_batcher_config(&self) -> ChunkBatcherConfig {
        self.0.default_batcher_config()
    }
}

#[cfg(test)]
mod tests {
    use rerun::TextLog;

    use super::*;

    fn open(folder: &std::path::Path, rotation: Rotation) -> Link {
        Link::open(&ViewerTarget::Save(folder.join("drive.rrd")), rotation, || {
            Blueprint::new(rerun::blueprint::TextLogView::new("events"))
        })
        .unwrap()
    }

    fn write(link: &mut Link, text: &str) {
        link.stream().unwrap().log("events", &TextLog::new(text)).unwrap();
        link.flush().unwrap();
    }

    fn files(folder: &std::path::Path) -> Vec<String> {
        let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn recordings_take_turns_by_size() {
        let folder = tempfile::tempdir().unwrap();
        let mut link = open(folder.path(), Rotation { bytes: Some(1), kept: Some(2), ..Rotation::default() });
        assert_eq!(link.look(), Ok(Looked::Same), "without a frame there is nothing to end");
        for expected in
            [&["drive-1.rrd", "drive.rrd"], &["drive-1.rrd", "drive-2.rrd"], &["drive-2.rrd", "drive-3.rrd"]]
        {
            write(&mut link, "frame");
            assert_eq!(link.look(), Ok(Looked::New));
            assert_eq!(files(folder.path()), expected);
        }
        assert_eq!(link.target(), &ViewerTarget::Save(folder.path().join("drive-3.rrd")));
    }

    #[test]
    fn recordings_take_turns_by_time_and_all_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut link = open(folder.path(), Rotation { age: Some(Duration::ZERO), ..Rotation::default() });
        for _ in 0..3 {
            write(&mut link, "frame");
            assert_eq!(link.look(), Ok(Looked::New));
        }
        assert_eq!(files(folder.path()).len(), 4);
        let mut link = open(folder.path(), Rotation::default());
        write(&mut link, "frame");
        assert_eq!(link.look(), Ok(Looked::Same));
    }
}
