//! Opens the target of the view, and opens it again when it went away.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rerun::blueprint::Blueprint;
use rerun::external::re_uri::RedapUri;
use rerun::grpc_server::GrpcServerSink;
use rerun::log::{ChunkBatcherConfig, LogMsg};
use rerun::sink::{GrpcSink, GrpcSinkConnectionState, LogSink, SinkFlushError};
use rerun::{MemoryLimit, PlaybackBehavior, RecordingStream, RecordingStreamBuilder, ServerOptions};

use super::recording::{RecordingSink, create_new};
use super::{ViewerError, ViewerTarget};

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
        layout: impl Fn() -> Blueprint + Send + 'static,
    ) -> Result<Self, ViewerError> {
        let mut link = Self { target: target.clone(), layout: Box::new(layout), stream: None, connection: None };
        match target {
            ViewerTarget::Save(path) => link.record(path)?,
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
            ViewerTarget::Save(_) | ViewerTarget::Serve(..) => Ok(Looked::Same),
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
    fn record(&mut self, path: &Path) -> Result<(), ViewerError> {
        let (file, place) = create_new(path)?;
        self.target = ViewerTarget::Save(place.clone());
        let sink = RecordingSink::new(file).map_err(|error| ViewerError::file(&place, &error));
        let begun = sink.and_then(|sink| self.begin(Box::new(sink)));
        let begun = begun.and_then(|()| self.flush_stream().map_err(|error| ViewerError::file(&place, &error)));
        if begun.is_err() {
            // Nothing of use is in it; where it cannot be removed either, the error is the same.
            let _ = std::fs::remove_file(&place);
        }
        begun
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
