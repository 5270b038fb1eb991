//! Opens the target of the view.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use rerun::blueprint::Blueprint;
use rerun::{MemoryLimit, PlaybackBehavior, RecordingStream, RecordingStreamBuilder, ServerOptions};

use super::{ViewerError, ViewerTarget};

/// Name under which rerun keeps layout and recordings together.
const APPLICATION: &str = "activation_monitor";

/// History that the server keeps for viewers that connect late.
const SERVER_MEMORY_BYTES: u64 = 256 << 20;

/// Opens `target` with `blueprint` as the layout.
///
/// # Errors
/// [`ViewerError`] when the file cannot be written or the address not be bound.
pub(super) fn open(target: &ViewerTarget, blueprint: Blueprint) -> Result<RecordingStream, ViewerError> {
    // Only what is activated is shown: a viewer has made a layout of its own before it comes to a default one.
    let builder = RecordingStreamBuilder::new(APPLICATION).with_blueprint(blueprint);
    let opened = match target {
        ViewerTarget::Save(path) => {
            check_writable(path)?;
            builder.save(path)
        }
        ViewerTarget::Serve(address, port) => {
            check_free(address, *port)?;
            builder.serve_grpc_opts(address, *port, server_options())
        }
        ViewerTarget::Connect(address, port) => {
            builder.connect_grpc_opts(format!("rerun+http://{address}:{port}/proxy"))
        }
    };
    opened.map_err(|error| ViewerError::Rerun(error.to_string()))
}

fn server_options() -> ServerOptions {
    ServerOptions {
        playback_behavior: PlaybackBehavior::NewestFirst,
        memory_limit: MemoryLimit::from_bytes(SERVER_MEMORY_BYTES),
        ..ServerOptions::default()
    }
}

/// rerun reports a port that is taken on its own thread, where nobody hears it.
fn check_free(address: &str, port: u16) -> Result<(), ViewerError> {
    let wrong = |reason: String| ViewerError::Address { address: address.to_owned(), port, reason };
    let socket: SocketAddr =
        format!("{address}:{port}").parse().map_err(|error: std::net::AddrParseError| wrong(error.to_string()))?;
    TcpListener::bind(socket).map(drop).map_err(|error| wrong(error.to_string()))
}

fn check_writable(path: &Path) -> Result<(), ViewerError> {
    let wrong =
        |error: std::io::Error| ViewerError::File { path: path.display().to_string(), reason: error.to_string() };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    std::fs::File::create(path).map(drop).map_err(wrong)
}
