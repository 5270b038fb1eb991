//! The viewer thread and the handle to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::health::Health;
use super::{ViewFrame, ViewerError, ViewerOptions, ViewerTarget};
use crate::queue::{DropOldest, Popped};

/// How often the waiting thread looks up.
const POLL: Duration = Duration::from_millis(200);
/// How often it asks whether frames arrive.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// How long rerun may take over one frame or one check before the view counts as failed.
#[cfg(feature = "viewer")]
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes frames, never waits, and counts what became of them.
#[derive(Debug)]
pub struct Viewer {
    target: ViewerTarget,
    shared: Arc<Shared>,
    /// Behind a lock only so that the handle can be shared.
    finished: Mutex<Receiver<()>>,
}

/// Frames since the start. One that was handed over less than a second ago may be in none of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerCounts {
    /// Frames that arrived: in the file, at the viewer, or at the server that keeps them for viewers.
    pub shown: u64,
    /// Frames that gave way to newer ones, because rerun was slower than the camera.
    pub dropped: u64,
    /// Frames that were lost because the file could not be written or nobody was there; see [`Viewer::failure`].
    pub failed: u64,
}

/// What frames are shown on; rerun but for tests.
pub(super) trait Screen {
    /// Takes a frame; `false` when it cannot be shown, for a reason that `check` knows.
    fn show(&mut self, frame: ViewFrame) -> bool;
    /// Whether all frames that were taken have arrived; waits until that is known.
    fn check(&mut self) -> Check;
}

/// What became of the frames that were taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "viewer"), allow(dead_code))]
pub(super) enum Check {
    /// They have arrived.
    Arrived,
    /// There were none, and nothing can be said yet.
    Unknown,
    /// They, or at least some of them, are lost.
    Lost(String),
}

#[derive(Debug)]
struct Shared {
    queue: DropOldest<ViewFrame>,
    shown: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    health: Health,
    /// Since when the thread is inside the screen.
    busy_since: Mutex<Option<Instant>>,
    patience: Duration,
}

impl Viewer {
    /// Opens the target and starts the thread.
    ///
    /// # Errors
    /// [`ViewerError`] when the target cannot be opened.
    #[cfg(feature = "viewer")]
    pub fn start(options: ViewerOptions) -> Result<Self, ViewerError> {
        let queue = options.queue;
        let recorder = super::recorder::Recorder::open(options)?;
        tracing::info!("live view: {}", recorder.target());
        Self::start_with(recorder.target().clone(), queue, PATIENCE, recorder)
    }

    /// Without rerun there is nothing to start.
    ///
    /// # Errors
    /// Always [`ViewerError::NotBuilt`].
    #[cfg(not(feature = "viewer"))]
    pub fn start(_options: ViewerOptions) -> Result<Self, ViewerError> {
        Err(ViewerError::NotBuilt)
    }

    /// Shows frames on a thread of its own.
    #[cfg_attr(not(feature = "viewer"), allow(dead_code))]
    fn start_with(
        target: ViewerTarget,
        queue: usize,
        patience: Duration,
        screen: impl Screen + Send + 'static,
    ) -> Result<Self, ViewerError> {
        let shared = Arc::new(Shared::new(queue, patience));
        let (done, finished) = sync_channel(1);
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("viewer".into()).spawn(move || of_thread.run(screen, &done))?;
        Ok(Self { target, shared, finished: Mutex::new(finished) })
    }

    /// Hands a frame over; the oldest one waiting is dropped when there is no room. Never waits.
    pub fn show(&self, frame: ViewFrame) {
        if self.shared.queue.push(frame).is_some() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands a frame over once there is room for it, so that none is dropped, unless rerun takes none for a long time.
    pub fn show_without_loss(&self, frame: ViewFrame) {
        self.shared.queue.wait_for_room(self.shared.patience);
        self.show(frame);
    }

    /// What became of the frames since the start.
    #[must_use]
    pub fn counts(&self) -> ViewerCounts {
        self.shared.counts()
    }

    /// Why frames are not shown at present; `None` when they are, or when nothing is known yet. To be asked now and then: a
    /// thread that hangs inside rerun is found out here.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.look_for_a_hang();
        self.shared.health.failure()
    }

    /// Where the view goes; for a recording the file that is written.
    #[must_use]
    pub fn target(&self) -> &ViewerTarget {
        &self.target
    }

    /// Shows what still waits and checks that it has arrived, for at most `timeout`. Returns whether that was enough time; if
    /// not, the thread is left to itself, because rerun can wait forever for a viewer that takes nothing.
    pub fn finish(self, timeout: Duration) -> bool {
        self.shared.queue.close();
        let finished = self.finished.into_inner().unwrap_or_else(PoisonError::into_inner);
        let in_time = finished.recv_timeout(timeout).is_ok();
        let ViewerCounts { shown, dropped, failed } = self.shared.counts();
        tracing::info!("live view: {shown} frames shown, {dropped} dropped, {failed} lost");
        in_time
    }
}

#[cfg_attr(not(feature = "viewer"), allow(dead_code))]
impl Shared {
    fn new(queue: usize, patience: Duration) -> Self {
        Self {
            queue: DropOldest::new(queue),
            shown: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            health: Health::default(),
            busy_since: Mutex::default(),
            patience,
        }
    }

    fn counts(&self) -> ViewerCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ViewerCounts { shown: read(&self.shown), dropped: read(&self.dropped), failed: read(&self.failed) }
    }

    fn run(&self, mut screen: impl Screen, done: &SyncSender<()>) {
        let (mut pending, mut due) = (0, Instant::now() + POLL);
        loop {
            match self.queue.pop(POLL) {
                Popped::Item(frame) => match self.timed(|| screen.show(frame)) {
                    true => pending += 1,
                    false => self.count(&self.failed, 1),
                },
                Popped::TimedOut => {}
                Popped::Closed => break,
            }
            if Instant::now() >= due {
                let known = self.check(&mut screen, std::mem::take(&mut pending));
                due = Instant::now() + if known { CHECK_PERIOD } else { POLL };
            }
        }
        self.check(&mut screen, pending);
        // Nobody listens any more when `finish` ran out of time.
        let _ = done.try_send(());
    }

    /// Counts the frames that were taken since the last check. Returns whether their fate is known.
    fn check(&self, screen: &mut impl Screen, pending: u64) -> bool {
        let check = self.timed(|| screen.check());
        self.count(if check == Check::Arrived { &self.shown } else { &self.failed }, pending);
        match check {
            Check::Arrived => self.health.works(),
            Check::Unknown => return false,
            Check::Lost(reason) => self.health.fails(reason),
        }
        true
    }

    /// Runs `action`, and lets others see how long it takes.
    fn timed<T>(&self, action: impl FnOnce() -> T) -> T {
        let set = |since| *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
        set(Some(Instant::now()));
        let result = action();
        set(None);
        result
    }

    fn look_for_a_hang(&self) {
        let since = *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some_and(|since| since.elapsed() > self.patience) {
            self.health.fails(format!("rerun has taken nothing for {} s", self.patience.as_secs_f32()));
        }
    }

    fn count(&self, count: &AtomicU64, frames: u64) {
        count.fetch_add(frames, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::frame;
    use super::*;

    /// Remembers stamps; hangs in `show` as long as `hang` is locked; says what `check` is to say.
    #[derive(Clone)]
    struct Fake {
        seen: Arc<Mutex<Vec<Option<i64>>>>,
        hang: Arc<Mutex<()>>,
        takes: bool,
        check: Arc<Mutex<Check>>,
    }

    impl Fake {
        fn new() -> Self {
            Self {
                seen: Arc::default(),
                hang: Arc::default(),
                takes: true,
                check: Arc::new(Mutex::new(Check::Arrived)),
            }
        }

        fn start(&self, queue: usize) -> Viewer {
            let patience = Duration::from_millis(50);
            Viewer::start_with(ViewerTarget::Save("unused".into()), queue, patience, self.clone()).unwrap()
        }
    }

    impl Screen for Fake {
        fn show(&mut self, frame: ViewFrame) -> bool {
            drop(self.hang.lock().unwrap());
            self.seen.lock().unwrap().push(Some(frame.stamp_nanos));
            self.takes
        }

        fn check(&mut self) -> Check {
            self.seen.lock().unwrap().push(None);
            self.check.lock().unwrap().clone()
        }
    }

    fn show(viewer: &Viewer, frames: i64) {
        (0..frames).for_each(|stamp_nanos| viewer.show(ViewFrame { stamp_nanos, ..frame(vec![]) }));
    }

    /// Frames shown, dropped and failed after everything has been shown.
    fn ended(viewer: Viewer) -> [u64; 3] {
        let shared = Arc::clone(&viewer.shared);
        assert!(viewer.finish(Duration::from_secs(10)));
        let counts = shared.counts();
        [counts.shown, counts.dropped, counts.failed]
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "it did not come true within 10 s");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_stuck_viewer_neither_blocks_nor_grows_and_is_found_out() {
        let fake = Fake::new();
        let stuck = fake.hang.lock().unwrap();
        let viewer = fake.start(3);
        let start = Instant::now();
        show(&viewer, 1000);
        assert!(start.elapsed() < Duration::from_secs(1));
        let counts = viewer.counts();
        assert!((996..=997).contains(&counts.dropped), "{counts:?}"); // three wait, one may be stuck inside
        assert_eq!((counts.shown, counts.failed), (0, 0));
        wait_until(|| viewer.failure().is_some());
        assert_eq!(viewer.failure().unwrap(), "rerun has taken nothing for 0.05 s");
        drop(stuck);
        wait_until(|| viewer.failure().is_none());
        assert_eq!(ended(viewer)[0], 1000 - counts.dropped);
    }

    #[test]
    fn the_end_does_not_wait_for_a_stuck_viewer() {
        let fake = Fake::new();
        let stuck = fake.hang.lock().unwrap();
        let viewer = fake.start(3);
        show(&viewer, 1);
        let start = Instant::now();
        assert!(!viewer.finish(Duration::from_millis(50)));
        assert!(start.elapsed() < Duration::from_secs(1));
        drop(stuck);
    }

    #[test]
    fn what_waits_is_shown_before_the_last_check() {
        let fake = Fake::new();
        let viewer = fake.start(10);
        show(&viewer, 5);
        assert_eq!(ended(viewer), [5, 0, 0]);
        let seen = fake.seen.lock().unwrap();
        assert_eq!(seen.iter().copied().flatten().collect::<Vec<i64>>(), [0, 1, 2, 3, 4]);
        assert_eq!(seen.last(), Some(&None));
    }

    #[test]
    fn frames_count_as_shown_only_when_they_arrived() {
        let fake = Fake::new();
        *fake.check.lock().unwrap() = Check::Lost("full".into());
        let viewer = fake.start(10);
        show(&viewer, 5);
        wait_until(|| viewer.counts().failed == 5);
        assert_eq!(viewer.counts().shown, 0);
        wait_until(|| viewer.failure().as_deref() == Some("full"));
        *fake.check.lock().unwrap() = Check::Arrived;
        show(&viewer, 3);
        wait_until(|| viewer.failure().is_none());
        assert_eq!(ended(viewer), [3, 0, 5]);
    }

    #[test]
    fn frames_that_are_not_taken_are_counted() {
        let fake = Fake { takes: false, ..Fake::new() };
        *fake.check.lock().unwrap() = Check::Unknown;
        let viewer = fake.start(10);
        show(&viewer, 5);
        wait_until(|| viewer.counts().failed == 5);
        assert_eq!(viewer.failure(), None, "nothing is known yet");
        assert_eq!(ended(viewer), [0, 0, 5]);
    }
}
