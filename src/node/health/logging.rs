//! Sends `tracing` events to the ROS log: the console and the log file by rcutils, and `/rosout`, which r2r leaves out.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use r2r::builtin_interfaces::msg::Time;
use r2r::qos::DurabilityPolicy;
use r2r::rcl_interfaces::msg::Log;
use r2r::{Publisher, QosProfile};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Depth of `/rosout` in rclcpp and rclpy.
const ROSOUT_DEPTH: usize = 1000;

/// Lines that wait for `/rosout` at most.
const MAX_EARLY: usize = 100;

/// There is one log per process.
static LOGGER: RwLock<String> = RwLock::new(String::new());
static ROSOUT: Mutex<Rosout> = Mutex::new(Rosout::Awaited(Vec::new()));

/// `/rosout`, which needs a node: until there is one, lines wait.
enum Rosout {
    Awaited(Vec<Log>),
    Open(Publisher<Log>),
}

/// Starts forwarding this crate's events to the logger `name`. ROS decides which levels the console shows.
pub fn forward_to_ros(name: &str) {
    set_logger(name);
    // A second call changes nothing.
    let _ = tracing_subscriber::registry().with(RosLayer).try_init();
}

/// From now on events go to the logger of the node, and those of level INFO and above to `/rosout`, the earlier ones
/// included.
///
/// # Errors
/// When ROS refuses the publisher.
pub fn publish_to_rosout(node: &mut r2r::Node) -> r2r::Result<()> {
    set_logger(node.logger());
    let profile = QosProfile::default().keep_last(ROSOUT_DEPTH).durability(DurabilityPolicy::TransientLocal);
    let publisher = node.create_publisher("/rosout", profile)?;
    let mut rosout = ROSOUT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Rosout::Awaited(early) = &mut *rosout {
        for log in early.drain(..) {
            publish(&publisher, &Log { name: logger(), ..log });
        }
        *rosout = Rosout::Open(publisher);
    }
    Ok(())
}

fn set_logger(name: &str) {
    name.clone_into(&mut LOGGER.write().unwrap_or_else(PoisonError::into_inner));
}

fn logger() -> String {
    LOGGER.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// It fails only while the node ends; the console has the message already.
fn publish(publisher: &Publisher<Log>, log: &Log) {
    let _ = publisher.publish(log);
}

struct RosLayer;

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
        r2r::log(&message, &logger(), file, line, severity(*metadata.level()));
        if *metadata.level() <= Level::INFO {
            send(log(message, metadata));
        }
    }
}

fn send(log: Log) {
    match &mut *ROSOUT.lock().unwrap_or_else(PoisonError::into_inner) {
        Rosout::Open(publisher) => publish(publisher, &log),
        Rosout::Awaited(early) if early.len() < MAX_EARLY => early.push(log),
        Rosout::Awaited(_) => {}
    }
}

fn log(message: String, metadata: &Metadata<'_>) -> Log {
    Log {
        stamp: now(),
        level: level_number(*metadata.level()),
        name: logger(),
        msg: message,
        file: metadata.file().unwrap_or_default().to_owned(),
        function: metadata.target().to_owned(),
        line: metadata.line().unwrap_or_default(),
    }
}

/// Time of this machine, as all ROS logs have.
fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { sec: i32::try_from(since.as_secs()).unwrap_or(i32::MAX), nanosec: since.subsec_nanos() }
}

fn severity(level: Level) -> r2r::LogSeverity {
    match level {
        Level::ERROR => r2r::LogSeverity::Error,
        Level::WARN => r2r::LogSeverity::Warn,
        Level::INFO => r2r::LogSeverity::Info,
        Level::DEBUG | Level::TRACE => r2r::LogSeverity::Debug,
    }
}

fn level_number(level: Level) -> u8 {
    match level {
        Level::ERROR => Log::ERROR as u8,
        Level::WARN => Log::WARN as u8,
        Level::INFO => Log::INFO as u8,
        Level::DEBUG | Level::TRACE => Log::DEBUG as u8,
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
