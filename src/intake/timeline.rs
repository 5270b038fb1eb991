//! Tells from the stamps which time the images of a camera are of.
//!
//! One publisher makes one *time line*: stamps that rise. A bag that starts again begins a new one, which takes the place
//! of the old; a single wrong stamp makes one that nobody continues; two publishers on one topic whose clocks differ make
//! two that take turns. A jump is believed only when the new time goes on while the old one is silent.

use std::time::{Duration, Instant};

use super::rhythm::Rhythm;
use super::stamp::Stamp;

/// A stamp at most this much older than the newest one belongs to a late message.
const LATE_NANOS: i64 = 500_000_000;
/// A stamp may always be this much newer than the newest one, as after a stall of the network.
const AHEAD_NANOS: i64 = 2_000_000_000;
/// Fastest playback of a bag, in seconds of the stamps per second.
const FASTEST_PLAYBACK: i64 = 10;
/// Images in a row that make a new time credible.
const IN_A_ROW: u32 = 3;
/// Intervals for which the old time must be silent before a jump is believed, but see [`LONGEST_DOUBT`].
const SILENT_INTERVALS: u32 = 3;
/// Longest silence of the old time that a jump waits for.
const LONGEST_DOUBT: Duration = Duration::from_secs(2);
/// Changes between two lines that show that they take turns.
const ENOUGH_TURNS: u32 = 2;
/// For how long a change between two lines counts.
const TURN_COUNTS: Duration = Duration::from_secs(30);
/// Time lines that are remembered at most.
const MAX_LINES: usize = 8;

/// Name of a time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineId(u64);

/// The time lines of one camera.
#[derive(Debug, Default)]
pub struct TimeLines {
    lines: Vec<Line>,
    /// The line that is believed to be the present.
    current: Option<LineId>,
    /// The line of the latest image.
    latest: Option<LineId>,
    made: u64,
}

/// What the stamp of an image tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The time line it belongs to.
    pub line: LineId,
    /// Whether the newest image of the line had that stamp already.
    pub repeated: bool,
    /// Images that are probably missing between the newest one of the line and this one.
    pub missing: u64,
    /// A jump that is now believed.
    pub jump: Option<Jump>,
}

/// The stamps go on in another time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jump {
    /// The line that is over.
    pub from: LineId,
    /// Its newest stamp.
    pub old: Stamp,
    /// Newest stamp of the line that goes on.
    pub new: Stamp,
}

/// Several time lines that take turns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interleaved {
    /// How many there are.
    pub lines: usize,
    /// How far their stamps lie apart.
    pub offset: Duration,
}

#[derive(Debug)]
struct Line {
    id: LineId,
    newest: Stamp,
    /// When `newest` arrived.
    advanced: Instant,
    /// When the latest image arrived.
    seen: Instant,
    /// Between the arrivals of the latest two images.
    pace: Duration,
    images: u64,
    in_a_row: u32,
    turns: u32,
    turned: Option<Instant>,
    rhythm: Rhythm,
}

impl TimeLines {
    /// Takes the stamp of an image that arrived at `now`.
    pub fn see(&mut self, stamp: Stamp, now: Instant) -> Seen {
        let index = self.fitting(stamp, now).unwrap_or_else(|| self.begin(stamp, now));
        let (repeated, missing) = self.lines[index].advance(stamp, now);
        for (other, line) in self.lines.iter_mut().enumerate() {
            line.in_a_row = if other == index { line.in_a_row + 1 } else { 0 };
        }
        self.note_turn(index, now);
        let jump = self.jump(index, now);
        Seen { line: self.lines[index].id, repeated, missing, jump }
    }

    /// The lines that take turns; `None` while there is only one.
    #[must_use]
    pub fn interleaved(&self, now: Instant) -> Option<Interleaved> {
        let taking_turns = || self.lines.iter().filter(|line| line.takes_turns(now));
        let expected = || taking_turns().map(|line| line.expected(now));
        let offset = Duration::from_nanos((expected().max()? - expected().min()?).unsigned_abs());
        Some(Interleaved { lines: taking_turns().count(), offset }).filter(|found| found.lines > 1)
    }

    /// Of the lines that the stamp may belong to the one that lets expect it most.
    fn fitting(&self, stamp: Stamp, now: Instant) -> Option<usize> {
        let fits = self.lines.iter().enumerate().filter(|(_, line)| line.fits(stamp, now));
        let surprise = |line: &Line| (stamp.nanos() - line.expected(now)).unsigned_abs();
        fits.min_by_key(|(_, line)| surprise(line)).map(|(index, _)| index)
    }

    fn begin(&mut self, stamp: Stamp, now: Instant) -> usize {
        if self.lines.len() >= MAX_LINES {
            self.forget_one();
        }
        self.made += 1;
        self.lines.push(Line::new(LineId(self.made), stamp, now));
        self.lines.len() - 1
    }

    /// Forgets the line that was silent longest, of those that are not the present.
    fn forget_one(&mut self) {
        let others = self.lines.iter().enumerate().filter(|(_, line)| Some(line.id) != self.current);
        if let Some((index, _)) = others.min_by_key(|(_, line)| line.seen) {
            self.lines.remove(index);
        }
    }

    /// Notes a change from the line of the image before; a line with a single image is an outlier, not a publisher.
    fn note_turn(&mut self, index: usize, now: Instant) {
        let id = self.lines[index].id;
        let before = self.latest.replace(id).filter(|before| *before != id).and_then(|before| self.position(before));
        let Some(before) = before else { return };
        if self.lines[index].images > 1 && self.lines[before].images > 1 {
            self.lines[index].turn(now);
            self.lines[before].turn(now);
        }
    }

    /// Whether the line at `index` has become the present, and it was a jump from the one before.
    fn jump(&mut self, index: usize, now: Instant) -> Option<Jump> {
        let line = &self.lines[index];
        let Some(old) = self.current.and_then(|current| self.position(current)).map(|old| &self.lines[old]) else {
            self.current = Some(line.id);
            return None;
        };
        let credible = line.in_a_row >= IN_A_ROW && now.saturating_duration_since(old.seen) > old.longest_doubt();
        if old.id == line.id || !credible {
            return None;
        }
        let jump = Jump { from: old.id, old: old.newest, new: line.newest };
        let one_of_two = old.takes_turns(now) && line.takes_turns(now);
        self.current = Some(line.id);
        (!one_of_two).then_some(jump)
    }

    fn position(&self, id: LineId) -> Option<usize> {
        self.lines.iter().position(|line| line.id == id)
    }
}

impl Jump {
    /// How far the stamps jumped, in nanoseconds; negative for a jump back.
    #[must_use]
    pub fn nanos(&self) -> i64 {
        self.new.since(self.old)
    }

    /// Whether `stamp` is of the new time rather than of the old one.
    #[must_use]
    pub fn is_new(&self, stamp: Stamp) -> bool {
        stamp.distance(self.new) < stamp.distance(self.old)
    }
}

impl Line {
    fn new(id: LineId, newest: Stamp, now: Instant) -> Self {
        Self {
            id,
            newest,
            advanced: now,
            seen: now,
            pace: Duration::ZERO,
            images: 0,
            in_a_row: 0,
            turns: 0,
            turned: None,
            rhythm: Rhythm::default(),
        }
    }

    /// Takes the stamp of its next image; returns whether it is repeated, and how many images are missing before it.
    fn advance(&mut self, stamp: Stamp, now: Instant) -> (bool, u64) {
        let first = self.images == 0;
        self.images += 1;
        self.pace = now.saturating_duration_since(self.seen);
        self.seen = now;
        let interval = stamp.since(self.newest);
        if first || interval <= 0 {
            return (!first && interval == 0, 0);
        }
        (self.newest, self.advanced) = (stamp, now);
        (false, self.rhythm.missing(interval))
    }

    fn fits(&self, stamp: Stamp, now: Instant) -> bool {
        let interval = self.rhythm.usual().unwrap_or(0).saturating_mul(3);
        let elapsed = nanos(now.saturating_duration_since(self.advanced)).saturating_mul(FASTEST_PLAYBACK);
        let ahead = elapsed.saturating_add(interval.max(AHEAD_NANOS));
        (-LATE_NANOS..=ahead).contains(&stamp.since(self.newest))
    }

    /// The stamp, in nanoseconds, that an image at `now` would have if time passed as it does here.
    fn expected(&self, now: Instant) -> i64 {
        self.newest.nanos().saturating_add(nanos(now.saturating_duration_since(self.advanced)))
    }

    fn longest_doubt(&self) -> Duration {
        (self.pace * SILENT_INTERVALS).min(LONGEST_DOUBT)
    }

    fn turn(&mut self, now: Instant) {
        self.turns = if self.turned_lately(now) { self.turns.saturating_add(1) } else { 1 };
        self.turned = Some(now);
    }

    fn takes_turns(&self, now: Instant) -> bool {
        self.turns >= ENOUGH_TURNS && self.turned_lately(now)
    }

    fn turned_lately(&self, now: Instant) -> bool {
        self.turned.is_some_and(|turned| now.saturating_duration_since(turned) < TURN_COUNTS)
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A camera whose images are seen at chosen times.
    struct Camera {
        lines: TimeLines,
        start: Instant,
        jumps: Vec<f64>,
        missing: u64,
        repeated: u64,
    }

    impl Camera {
        fn new() -> Self {
            Self { lines: TimeLines::default(), start: Instant::now(), jumps: vec![], missing: 0, repeated: 0 }
        }

        fn now(&self, secs: f64) -> Instant {
            self.start + Duration::from_secs_f64(secs)
        }

        /// An image with a stamp, both in seconds, `at` since the start.
        fn see(&mut self, stamp_secs: f64, at: f64) -> LineId {
            let seen = self.lines.see(stamp(stamp_secs), self.now(at));
            self.jumps.extend(seen.jump.map(|jump| crate::intake::stamp::secs(jump.nanos()).round()));
            self.missing += seen.missing;
            self.repeated += u64::from(seen.repeated);
            seen.line
        }

        /// `count` images, the first with stamp `from` at `at`, then one per `period`, stamps `rate` times as fast.
        fn play(&mut self, from: f64, at: f64, count: u32, period: f64, rate: f64) {
            for index in 0..count {
                let passed = f64::from(index) * period;
                self.see(from + passed * rate, at + passed);
            }
        }
    }

    fn stamp(secs: f64) -> Stamp {
        let nanos = (secs * 1e9).round() as i64;
        Stamp { sec: nanos.div_euclid(1_000_000_000) as i32, nanosec: nanos.rem_euclid(1_000_000_000) as u32 }
    }

    #[test]
    fn rising_stamps_are_one_line_at_any_rate() {
        for (period, rate) in [(1.0 / 120.0, 1.0), (10.0, 1.0), (0.1, 10.0), (1.0, 5.0), (1.0, 0.1), (2.0, 0.0)] {
            let mut camera = Camera::new();
            camera.play(100.0, 0.0, 200, period, rate);
            assert_eq!((camera.lines.lines.len(), camera.jumps.len(), camera.missing), (1, 0, 0), "{period} {rate}");
            assert_eq!(camera.repeated, if rate == 0.0 { 199 } else { 0 });
        }
    }

    #[test]
    fn late_messages_and_pauses_are_no_jumps() {
        let mut camera = Camera::new();
        camera.play(100.0, 0.0, 10, 0.1, 1.0);
        let line = camera.see(100.4, 1.0);
        assert_eq!(camera.see(101.1, 1.1), line, "half a second late");
        assert_eq!(camera.see(3701.1, 3601.1), line, "an hour of silence");
        assert_eq!(camera.see(3701.2, 7201.2), line, "a bag that was paused for an hour");
        assert!(camera.jumps.is_empty() && camera.lines.interleaved(camera.now(7201.2)).is_none());
    }

    #[test]
    fn a_backlog_that_arrives_at_once_is_one_line() {
        let mut camera = Camera::new();
        camera.play(100.0, 0.0, 10, 0.5, 1.0);
        for index in 0..20 {
            camera.see(105.0 + f64::from(index) * 0.5, 15.0 + f64::from(index) * 0.001);
        }
        assert_eq!((camera.lines.lines.len(), camera.jumps.len()), (1, 0));
    }

    #[test]
    fn a_bag_that_starts_again_is_believed_once_it_goes_on() {
        let mut camera = Camera::new();
        camera.play(100.0, 0.0, 50, 0.1, 1.0);
        camera.play(100.0, 5.0, 2, 0.1, 1.0);
        assert!(camera.jumps.is_empty());
        camera.play(100.2, 5.2, 48, 0.1, 1.0);
        assert_eq!(camera.jumps, [-5.0]);
        camera.play(100.0, 10.0, 50, 0.1, 1.0);
        assert_eq!(camera.jumps, [-5.0, -5.0], "and again");
        assert!(camera.lines.interleaved(camera.now(15.0)).is_none());
    }

    #[test]
    fn a_slow_camera_and_a_fast_one_start_again_too() {
        for period in [10.0, 1.0 / 120.0] {
            let mut camera = Camera::new();
            camera.play(5000.0, 0.0, 10, period, 1.0);
            camera.play(1.0, 10.0 * period, 10, period, 1.0);
            assert_eq!(camera.jumps.len(), 1, "{period}");
        }
    }

    #[test]
    fn outliers_are_not_believed() {
        for outlier in [0.0, 50.0, 4000.0, 1.7e9] {
            let mut camera = Camera::new();
            camera.play(100.0, 0.0, 20, 0.1, 1.0);
            let line = camera.see(102.0, 2.0);
            camera.see(outlier, 2.1);
            assert_eq!(camera.see(102.2, 2.2), line);
            camera.play(102.3, 2.3, 50, 0.1, 1.0);
            assert!(camera.jumps.is_empty() && camera.lines.interleaved(camera.now(7.3)).is_none(), "{outlier}");
        }
    }

    #[test]
    fn a_few_wrong_stamps_at_once_are_not_believed_while_the_present_goes_on() {
        let mut camera = Camera::new();
        camera.play(100.0, 0.0, 20, 0.1, 1.0);
        camera.play(50.0, 1.91, 5, 0.01, 1.0);
        camera.play(102.0, 2.0, 20, 0.1, 1.0);
        assert!(camera.jumps.is_empty(), "{:?}", camera.jumps);
    }

    #[test]
    fn two_publishers_take_turns_and_do_not_jump() {
        for offset in [3.0, 10.0, -3600.0] {
            let mut camera = Camera::new();
            for index in 0..96 {
                let at = f64::from(index) * 0.1;
                camera.see(10_000.0 + at + if index % 2 == 0 { 0.0 } else { offset }, at);
            }
            let found = camera.lines.interleaved(camera.now(9.6)).unwrap();
            assert_eq!((found.lines, found.offset), (2, Duration::from_secs_f64(f64::abs(offset))));
            assert!(camera.jumps.is_empty(), "{:?}", camera.jumps);
        }
    }

    #[test]
    fn publishers_of_different_rates_are_found_and_one_that_ends_is_no_jump() {
        let mut camera = Camera::new();
        for index in 0..300 {
            let at = f64::from(index) / 30.0;
            camera.see(1000.0 + at, at);
            if index % 10 == 9 {
                camera.see(500.0 + at, at + 0.01);
            }
        }
        assert_eq!(camera.lines.interleaved(camera.now(10.0)).unwrap().lines, 2);
        camera.play(510.0, 10.0, 10, 1.0 / 3.0, 1.0);
        assert!(camera.jumps.is_empty(), "{:?}", camera.jumps);
        camera.play(513.4, 13.4, 100, 1.0 / 3.0, 1.0);
        assert!(camera.lines.interleaved(camera.now(46.7)).is_none(), "forgotten after half a minute");
    }

    #[test]
    fn a_clock_that_is_set_back_by_an_hour_is_one_jump() {
        let mut camera = Camera::new();
        camera.play(7200.0, 0.0, 300, 1.0 / 30.0, 1.0);
        camera.play(3610.0, 10.0, 300, 1.0 / 30.0, 1.0);
        camera.play(7220.0, 20.0, 300, 1.0 / 30.0, 1.0);
        assert_eq!(camera.jumps, [-3600.0, 3600.0]);
    }

    #[test]
    fn missing_images_are_counted_across_the_gap() {
        let mut camera = Camera::new();
        camera.play(0.0, 0.0, 20, 0.1, 1.0);
        camera.play(2.5, 2.5, 20, 0.1, 1.0);
        assert_eq!(camera.missing, 5);
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_overflows_and_little_is_remembered(
            stamps in prop::collection::vec((any::<i32>(), any::<u32>(), 0_u64..20_000), 0..200)
        ) {
            let (mut lines, mut now) = (TimeLines::default(), Instant::now());
            for (sec, nanosec, millis) in stamps {
                now += Duration::from_millis(millis);
                lines.see(Stamp { sec, nanosec }, now);
                let _ = lines.interleaved(now);
                prop_assert!(lines.lines.len() <= MAX_LINES);
            }
        }
    }
}
