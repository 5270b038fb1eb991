//! Waits for threads, but not forever.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often is looked.
const POLL: Duration = Duration::from_millis(5);

/// Whether the thread ends within that time; waits until it does.
pub fn ends_within(thread: &JoinHandle<()>, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
    thread.is_finished()
}
