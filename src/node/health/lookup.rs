//! Names of all topics, for whoever waits for images on one that nobody publishes on.
//!
//! They are found by a process of their own. r2r 0.9.7 reads beyond its memory where a topic has several types
//! (`Node::get_topic_names_and_types`), which happens exactly when topics are mixed up, and gives no handle of its node with
//! which rcl could be asked in another way. The process has a node that rcl made, and ends with it.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::rcl;

/// The argument that makes the program print topics instead of being a node.
pub const ARGUMENT: &str = "--list-topics";

/// So long a topic is without publishers before somebody looks for others.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks.
const AGAIN: Duration = Duration::from_secs(60);
/// Time that the middleware gets to hear of everything.
const DISCOVERY: Duration = Duration::from_secs(2);
/// Longest life of the process.
const LONGEST: Duration = Duration::from_secs(20);
/// Bytes that are printed at most, fewer than what a pipe holds.
const MOST: usize = 60_000;

/// Looks for topics while they are wanted.
#[derive(Debug, Default)]
pub struct Lookup {
    wanted_since: Option<Instant>,
    looked: Option<Instant>,
    running: Option<Receiver<Vec<String>>>,
}

impl Lookup {
    /// Goes on with looking while `wanted`. Returns the names once, when they have been found. Never waits.
    pub fn step(&mut self, wanted: bool, now: Instant) -> Option<Vec<String>> {
        let found = self.running.as_ref().map(Receiver::try_recv);
        if let Some(result) = found.filter(|result| *result != Err(std::sync::mpsc::TryRecvError::Empty)) {
            self.running = None;
            return result.ok().filter(|_| wanted);
        }
        self.wanted_since = if wanted { self.wanted_since.or(Some(now)) } else { None };
        if self.is_due(now) {
            self.looked = Some(now);
            self.running = start();
        }
        None
    }

    fn is_due(&self, now: Instant) -> bool {
        let over = |since: Instant, time: Duration| now.saturating_duration_since(since) >= time;
        let patient = self.wanted_since.is_some_and(|since| over(since, PATIENCE));
        patient && self.running.is_none() && self.looked.is_none_or(|looked| over(looked, AGAIN))
    }
}

/// Starts the process and a thread that waits for it.
fn start() -> Option<Receiver<Vec<String>>> {
    let child = command()?.spawn().map_err(|error| tracing::debug!("cannot look for topics: {error}")).ok()?;
    let (send, receive) = sync_channel(1);
    let wait = move || {
        // Nobody listens when the node has ended in the meantime.
        let _ = send.send(names(&output(child)));
    };
    thread::Builder::new().name("topics".into()).spawn(wait).ok()?;
    Some(receive)
}

/// Over UDP alone: the segment of another participant would take shared memory from the images.
fn command() -> Option<Command> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.arg(ARGUMENT).args(["--ros-args", "--disable-external-lib-logs", "--disable-rosout-logs"]);
    command.env_remove("FASTRTPS_DEFAULT_PROFILES_FILE").env_remove("FASTDDS_DEFAULT_PROFILES_FILE");
    command.env("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    Some(command)
}

/// What the process printed when it has ended, or was ended for taking too long.
fn output(mut child: Child) -> String {
    let end = Instant::now() + LONGEST;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        thread::sleep(Duration::from_millis(50));
    }
    // Fails for a process that has ended already.
    let _ = child.kill();
    let _ = child.wait();
    let mut text = String::new();
    let read = child.stdout.take().map(|mut stdout| stdout.read_to_string(&mut text));
    if let Some(Err(error)) = read {
        tracing::debug!("cannot read the list of topics: {error}");
    }
    text
}

fn names(text: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with('/')).map(str::to_owned).collect()
}

/// Prints the names of all topics, one per line: what the process is for.
#[must_use]
pub fn print_topics() -> ExitCode {
    match topics() {
        Ok(names) if print(&names).is_ok() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn topics() -> Result<BTreeSet<String>, String> {
    let name = CString::new(format!("_topics_{}", std::process::id())).map_err(|error| error.to_string())?;
    rcl::topic_names(&name, DISCOVERY)
}

fn print(names: &BTreeSet<String>) -> std::io::Result<()> {
    let mut text = String::new();
    for name in names {
        if text.len() + name.len() < MOST {
            text.push_str(name);
            text.push('\n');
        }
    }
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_is_due_after_a_while_and_then_once_per_minute() {
        let start = Instant::now();
        let due = |wanted: Option<u32>, looked: Option<u32>, now: u32| {
            let at = |secs: u32| start + SECOND * secs;
            Lookup { wanted_since: wanted.map(at), looked: looked.map(at), running: None }.is_due(at(now))
        };
        assert!(!due(None, None, 99) && !due(Some(0), None, 1) && due(Some(0), None, 2));
        assert!(!due(Some(0), Some(3), 62) && due(Some(0), Some(3), 63));
    }

    #[test]
    fn what_was_found_is_told_once_while_it_is_wanted() {
        let finished = |result: Option<Vec<String>>| {
            let (send, receive) = sync_channel(1);
            if let Some(names) = result {
                send.send(names).unwrap();
            }
            Lookup { running: Some(receive), ..Lookup::default() }
        };
        let now = Instant::now();
        let mut lookup = finished(Some(vec!["/a".into()]));
        assert_eq!(lookup.step(true, now), Some(vec!["/a".to_owned()]));
        assert_eq!(lookup.step(true, now), None);
        assert_eq!(finished(Some(vec!["/a".into()])).step(false, now), None);
        let mut died = finished(None);
        assert_eq!(died.step(true, now), None);
        assert!(died.running.is_none());
    }

    #[test]
    fn only_names_are_read() {
        assert_eq!(names("/a\nnoise\n\n/b/c\n"), ["/a", "/b/c"]);
    }

    #[test]
    fn a_process_that_says_nothing_gives_nothing() {
        let child = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(output(child), "");
    }
}
