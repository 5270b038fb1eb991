//! The viewer thread and the handle to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{ViewFrame, ViewerError, ViewerOptions, ViewerTarget};
use crate::queue::{DropOldest, Popped};

/// How often the waiting thread looks up.
const POLL: Duration = Duration::from_millis(200);

/// Takes frames, never waits, and counts what the viewer did not manage.
#[derive(Debug)]
pub struct Viewer {
    target: ViewerTarget,
    shared: Arc<Shared>,
    /// Behind a lock only so that the handle can be shared.
    finished: Mutex<Receiver<()>>,
}

/// Frames since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerCounts {
    /// Frames that were handed to rerun.
    pub shown: u64,
    /// Frames that gave way to newer ones, because rerun was slower than the camera.
    pub dropped: u64,
}

#[derive(Debug)]
struct Shared {
    queue: DropOldest<ViewFrame>,
    shown: AtomicU64,
    dropped: AtomicU64,
}

impl Viewer {
    /// Opens the target and starts the thread.
    ///
    /// # Errors
    /// [`ViewerError`] when the target cannot be opened.
    #[cfg(feature = "viewer")]
    pub fn start(options: ViewerOptions) -> Result<Self, ViewerError> {
        let target = options.target.clone();
        let queue = options.queue;
        let mut recorder = super::recorder::Recorder::open(options)?;
        Self::start_with(target, queue, move |event| match event {
            Event::Frame(frame) => recorder.show(frame),
            Event::End => recorder.flush(),
        })
    }

    /// Without rerun there is nothing to start.
    ///
    /// # Errors
    /// Always [`ViewerError::NotBuilt`].
    #[cfg(not(feature = "viewer"))]
    pub fn start(_options: ViewerOptions) -> Result<Self, ViewerError> {
        Err(ViewerError::NotBuilt)
    }

    /// Runs `show` on a thread of its own: once per frame, and once at the end.
    #[cfg_attr(not(feature = "viewer"), allow(dead_code))]
    fn start_with(
        target: ViewerTarget,
        queue: usize,
        show: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, ViewerError> {
        let shared =
            Arc::new(Shared { queue: DropOldest::new(queue), shown: AtomicU64::new(0), dropped: AtomicU64::new(0) });
        let (done, finished) = sync_channel(1);
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("viewer".into()).spawn(move || run(&of_thread, show, &done))?;
        Ok(Self { target, shared, finished: Mutex::new(finished) })
    }

    /// Hands a frame over; the oldest one waiting is dropped when there is no room. Never waits.
    pub fn show(&self, frame: ViewFrame) {
        if self.shared.queue.push(frame).is_some() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Frames shown and dropped since the start.
    #[must_use]
    pub fn counts(&self) -> ViewerCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ViewerCounts { shown: read(&self.shared.shown), dropped: read(&self.shared.dropped) }
    }

    /// Where the view goes.
    #[must_use]
    pub fn target(&self) -> &ViewerTarget {
        &self.target
    }

    /// Shows what still waits and flushes, for at most `timeout`. Returns whether that was enough; if not, the thread
    /// is left to itself, because rerun can wait forever for a viewer that is not there.
    pub fn finish(self, timeout: Duration) -> bool {
        self.shared.queue.close();
        let finished = self.finished.into_inner().unwrap_or_else(PoisonError::into_inner);
        finished.recv_timeout(timeout).is_ok()
    }
}

/// What the thread is told.
#[cfg_attr(not(feature = "viewer"), allow(dead_code))]
enum Event {
    /// Show a frame.
    Frame(ViewFrame),
    /// No further frames: flush.
    End,
}

fn run(shared: &Shared, mut show: impl FnMut(Event), done: &SyncSender<()>) {
    loop {
        match shared.queue.pop(POLL) {
            Popped::Item(frame) => {
                show(Event::Frame(frame));
                shared.shown.fetch_add(1, Ordering::Relaxed);
            }
            Popped::TimedOut => {}
            Popped::Closed => break,
        }
    }
    show(Event::End);
    // Nobody listens any more when `finish` ran out of time.
    let _ = done.try_send(());
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::frame;
    use super::*;
    use std::time::Instant;

    fn viewer(queue: usize, show: impl FnMut(Event) + Send + 'static) -> Viewer {
        Viewer::start_with(ViewerTarget::Save("unused".into()), queue, show).unwrap()
    }

    #[test]
    fn a_stuck_viewer_neither_blocks_nor_grows() {
        let (release, stuck) = sync_channel::<()>(0);
        let stuck = Mutex::new(stuck);
        let viewer = viewer(3, move |_| {
            let _ = stuck.lock().unwrap().recv();
        });
        let start = Instant::now();
        for _ in 0..1000 {
            viewer.show(frame(vec![]));
        }
        assert!(start.elapsed() < Duration::from_secs(1));
        let dropped = viewer.counts().dropped;
        assert!((996..=997).contains(&dropped), "{dropped}"); // three wait, one may be stuck inside
        let start = Instant::now();
        assert!(!viewer.finish(Duration::from_millis(50)));
        assert!(start.elapsed() < Duration::from_secs(1));
        drop(release);
    }

    #[test]
    fn what_waits_is_shown_before_the_flush() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let viewer = viewer(10, move |event| {
            log.lock().unwrap().push(match event {
                Event::Frame(frame) => Some(frame.stamp_nanos),
                Event::End => None,
            });
        });
        for stamp_nanos in 0..5 {
            viewer.show(ViewFrame { stamp_nanos, ..frame(vec![]) });
        }
        assert!(viewer.finish(Duration::from_secs(10)));
        assert_eq!(*seen.lock().unwrap(), [Some(0), Some(1), Some(2), Some(3), Some(4), None]);
    }
}
