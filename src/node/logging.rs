//! Sends `tracing` events to the ROS log, so that they reach the console, the log file and `/rosout`.

use std::fmt::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Starts forwarding this crate's events to the logger `name`. ROS decides which levels are shown.
pub fn forward_to_ros(name: &str) {
    // A second call changes nothing: there is one log per process.
    let _ = tracing_subscriber::registry().with(RosLayer { logger: name.to_owned() }).try_init();
}

struct RosLayer {
    logger: String,
}

impl<S: Subscriber> Layer<S> for RosLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        if !metadata.target().starts_with(env!("CARGO_PKG_NAME")) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        // C strings end at the first NUL; r2r refuses them.
        let message = text.0.replace('\0', "");
        let (file, line) = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        r2r::log(&message, &self.logger, file, line, severity(*metadata.level()));
    }
}

fn severity(level: Level) -> r2r::LogSeverity {
    match level {
        Level::ERROR => r2r::LogSeverity::Error,
        Level::WARN => r2r::LogSeverity::Warn,
        Level::INFO => r2r::LogSeverity::Info,
        Level::DEBUG | Level::TRACE => r2r::LogSeverity::Debug,
    }
}

/// The message, followed by `name=value` of the other fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        debug_assert!(written.is_ok(), "writing to a string succeeds");
    }
}
