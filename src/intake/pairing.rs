//! Brings together an image and the regions that have its stamp, whichever of them comes first.
//!
//! Images wait in a room, in the order of their arrival; region arrays wait beside it. Whatever leaves the room leaves it
//! in line (see [`WaitingRoom`]): an image that has its regions takes those in line before it along, as overtaken, so that
//! no answer is for an older image than the one before.

use std::time::{Duration, Instant};

use super::arrays::{Arrays, Near, distance};
use super::departed::{Departed, Gone, Way};
use super::request::{Header, Regions};
use super::timeline::Jump;
use super::waiting::{Fullness, Waiting, WaitingRoom};

/// Regions wait for their image at least as long as this, however short images wait for them.
const ARRAYS_WAIT_AT_LEAST: Duration = Duration::from_secs(1);

/// How images and regions find each other. May be others at every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long an image waits.
    pub timeout: Duration,
    /// How far the stamps of an image and its regions may lie apart.
    pub tolerance: Duration,
}

/// What happened in the room.
#[derive(Debug, PartialEq)]
pub enum Event<I> {
    /// An image has its regions.
    Ready(Waiting<I>, Regions),
    /// An image that came with its answer has its turn.
    Answered(Waiting<I>),
    /// An image goes without regions.
    GivenUp(Waiting<I>, Why),
    /// Regions came after their image was given up, `delay` after the image. Whoever raises the time-out gets them.
    Late {
        /// Time from the arrival of the image.
        delay: Duration,
    },
    /// Regions came after those of a newer image.
    OutOfOrder,
    /// So many region arrays never had an image.
    Unmatched(usize),
}

/// Why an image goes without regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// They did not come in time; others may have come.
    TimedOut(Option<Near>),
    /// A newer image in line had its regions first.
    Overtaken,
    /// There was no room to wait any longer.
    NoRoom(Fullness),
}

/// Images and regions that wait for each other.
#[derive(Debug)]
pub struct Pairing<I> {
    room: WaitingRoom<I>,
    arrays: Arrays,
    departed: Departed,
}

impl<I> Default for Pairing<I> {
    fn default() -> Self {
        Self { room: WaitingRoom::default(), arrays: Arrays::default(), departed: Departed::default() }
    }
}

impl<I> Pairing<I> {
    /// How full the room is.
    #[must_use]
    pub fn fullness(&self) -> Fullness {
        self.room.fullness()
    }

    /// Lets an image in that arrived at `now`.
    #[must_use]
    pub fn add_image(&mut self, image: Waiting<I>, rules: Rules, now: Instant) -> Vec<Event<I>> {
        let regions = if image.answered { None } else { self.arrays.take_for(&image.header, rules.tolerance) };
        let place = self.room.enter(image);
        let mut events = Vec::new();
        if let Some(regions) = regions {
            self.pair(place, regions, now, &mut events);
        }
        while let Some((excess, fullness)) = self.room.take_excess() {
            events.push(self.give_up(excess, Why::NoRoom(fullness), now));
        }
        self.let_go(now, &mut events);
        events
    }

    /// Takes regions that came at `now`.
    #[must_use]
    pub fn add_regions(&mut self, header: Header, regions: Regions, rules: Rules, now: Instant) -> Vec<Event<I>> {
        let mut events = Vec::new();
        let gone = self.departed.nearest(&header, rules.tolerance);
        let (gone_away, gone) = gone.map(|(away, gone)| (away, (gone.header.stamp, missed(gone, now)))).unzip();
        match self.nearest(&header, rules.tolerance) {
            Some((away, place)) if gone_away.is_none_or(|gone_away| away <= gone_away) => {
                self.pair(place, regions, now, &mut events);
                self.let_go(now, &mut events);
            }
            _ => {
                let (spent, missed) = gone.unzip();
                let unmatched = self.arrays.keep(header, regions, spent, now);
                events.extend(missed.flatten());
                events.extend(unmatched_event(unmatched));
            }
        }
        events
    }

    /// What is due at `now`.
    #[must_use]
    pub fn tick(&mut self, rules: Rules, now: Instant) -> Vec<Event<I>> {
        let mut events = Vec::new();
        for image in self.room.take_expired(now, rules.timeout) {
            let near = self.arrays.near(&image.header);
            events.push(self.give_up(image, Why::TimedOut(near), now));
        }
        self.let_go(now, &mut events);
        let unmatched = self.arrays.expire(now, rules.timeout.max(ARRAYS_WAIT_AT_LEAST));
        events.extend(unmatched_event(unmatched));
        events
    }

    /// Forgets what is of the time before a jump. Returns the images that waited, and how many arrays never had one.
    #[must_use]
    pub fn forget_before(&mut self, jump: &Jump) -> (Vec<Waiting<I>>, usize) {
        self.departed.clear();
        let unmatched = self.arrays.retain(|header| jump.is_new(header.stamp));
        (self.room.take_where(|image| image.line == jump.from), unmatched)
    }

    /// Forgets everything; returns the images that waited.
    #[must_use]
    pub fn clear(&mut self) -> Vec<Waiting<I>> {
        self.departed.clear();
        self.arrays = Arrays::default();
        self.room.take_where(|_| true)
    }

    /// Place of the waiting image nearest to regions, and how far their stamps lie apart; the oldest of several.
    fn nearest(&self, regions: &Header, tolerance: Duration) -> Option<(Duration, usize)> {
        let waiting = self.room.iter().enumerate().filter(|(_, image)| !image.answered);
        waiting.filter_map(|(place, image)| Some((distance(&image.header, regions, tolerance)?, place))).min()
    }

    /// Lets the image at `place` go with its regions, after those in line before it.
    fn pair(&mut self, place: usize, regions: Regions, now: Instant, events: &mut Vec<Event<I>>) {
        let mut in_line = self.room.take_in_line(place);
        let Some(image) = in_line.pop() else { return };
        for overtaken in in_line {
            events.push(self.give_up(overtaken, Why::Overtaken, now));
        }
        self.note(&image, Way::Served, now);
        events.push(Event::Ready(image, regions));
    }

    fn give_up(&mut self, image: Waiting<I>, why: Why, now: Instant) -> Event<I> {
        let way = match why {
            _ if image.answered => Way::Served,
            Why::Overtaken => Way::Overtaken,
            Why::TimedOut(_) | Why::NoRoom(_) => Way::GivenUp,
        };
        self.note(&image, way, now);
        if image.answered { Event::Answered(image) } else { Event::GivenUp(image, why) }
    }

    /// Lets the images go that have their answer and nobody in line before them.
    fn let_go(&mut self, now: Instant, events: &mut Vec<Event<I>>) {
        for image in self.room.take_answered() {
            self.note(&image, Way::Served, now);
            events.push(Event::Answered(image));
        }
    }

    fn note(&mut self, image: &Waiting<I>, way: Way, now: Instant) {
        self.departed.note(Gone { header: image.header.clone(), arrived: image.since, went: now, way });
    }
}

/// What regions have missed that are for an image that has gone; `None` when nothing.
fn missed<I>(gone: &Gone, now: Instant) -> Option<Event<I>> {
    match gone.way {
        Way::Served => None,
        Way::GivenUp => Some(Event::Late { delay: now.saturating_duration_since(gone.arrived) }),
        Way::Overtaken => Some(Event::OutOfOrder),
    }
}

fn unmatched_event<I>(arrays: usize) -> Option<Event<I>> {
    (arrays > 0).then_some(Event::Unmatched(arrays))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::request::NamedRegion;
    use crate::intake::stamp::Stamp;
    use crate::intake::timeline::{LineId, TimeLines};

    const EXACT: Rules = Rules { timeout: Duration::from_millis(500), tolerance: Duration::ZERO };

    /// A pairing whose images are named by the millisecond of their stamp.
    struct Scene {
        pairing: Pairing<u32>,
        line: LineId,
        rules: Rules,
        start: Instant,
    }

    impl Scene {
        fn new(rules: Rules) -> Self {
            let line = TimeLines::default().see(Stamp::default(), Instant::now()).line;
            Self { pairing: Pairing::default(), line, rules, start: Instant::now() }
        }

        fn now(&self, at_ms: u64) -> Instant {
            self.start + Duration::from_millis(at_ms)
        }

        fn waiting(&self, image: u32, at_ms: u64) -> Waiting<u32> {
            let (line, since) = (self.line, self.now(at_ms));
            Waiting { header: header(image), line, since, bytes: 1, answered: false, image }
        }

        fn image(&mut self, image: u32, at_ms: u64) -> Vec<String> {
            let (waiting, now) = (self.waiting(image, at_ms), self.now(at_ms));
            told(self.pairing.add_image(waiting, self.rules, now))
        }

        /// An image that is answered already.
        fn answered(&mut self, image: u32, at_ms: u64) -> Vec<String> {
            let (waiting, now) = (Waiting { answered: true, ..self.waiting(image, at_ms) }, self.now(at_ms));
            told(self.pairing.add_image(waiting, self.rules, now))
        }

        fn regions(&mut self, stamp: u32, at_ms: u64) -> Vec<String> {
            let regions = Regions { named: vec![named(&stamp.to_string())], unread: 0 };
            told(self.pairing.add_regions(header(stamp), regions, self.rules, self.now(at_ms)))
        }

        fn tick(&mut self, at_ms: u64) -> Vec<String> {
            told(self.pairing.tick(self.rules, self.now(at_ms)))
        }
    }

    fn header(millis: u32) -> Header {
        let stamp = Stamp { sec: (millis / 1000) as i32, nanosec: millis % 1000 * 1_000_000 };
        Header { stamp, frame_id: "camera".into() }
    }

    fn named(id: &str) -> NamedRegion {
        NamedRegion { id: id.into(), ..NamedRegion::whole_image() }
    }

    /// Events in short.
    fn told(events: Vec<Event<u32>>) -> Vec<String> {
        let tell = |event: Event<u32>| match event {
            Event::Ready(image, regions) => format!("{}+{}", image.image, regions.named[0].id),
            Event::Answered(image) => format!("{} answered", image.image),
            Event::GivenUp(image, Why::TimedOut(_)) => format!("{} timed out", image.image),
            Event::GivenUp(image, Why::Overtaken) => format!("{} overtaken", image.image),
            Event::GivenUp(image, Why::NoRoom(full)) => format!("{} no room of {}", image.image, full.images),
            Event::Late { delay } => format!("late {}", delay.as_millis()),
            Event::OutOfOrder => "out of order".to_owned(),
            Event::Unmatched(arrays) => format!("{arrays} unmatched"),
        };
        events.into_iter().map(tell).collect()
    }

    #[test]
    fn either_side_may_come_first() {
        let mut scene = Scene::new(EXACT);
        assert!(scene.image(10, 0).is_empty() && scene.regions(20, 1).is_empty());
        assert_eq!(scene.regions(10, 2), ["10+10"]);
        assert_eq!(scene.image(20, 3), ["20+20"]);
        assert_eq!(scene.tick(5000), [""; 0]);
    }

    #[test]
    fn with_a_tolerance_the_nearest_stamp_wins_and_one_array_serves_one_image() {
        let mut scene = Scene::new(Rules { tolerance: Duration::from_millis(20), ..EXACT });
        scene.image(100, 0);
        scene.image(133, 33);
        assert_eq!(scene.regions(130, 40), ["100 overtaken", "133+130"]);
        scene.regions(155, 41);
        scene.regions(165, 42);
        assert_eq!(scene.image(167, 67), ["167+165"]);
        assert_eq!(scene.image(200, 100), [""; 0], "45 ms away");
        assert_eq!(scene.tick(600), ["200 timed out"]);
        assert_eq!(scene.tick(1041), ["1 unmatched"]);
    }

    #[test]
    fn regions_that_belong_to_an_image_that_has_gone_are_not_given_to_another() {
        let mut scene = Scene::new(Rules { tolerance: Duration::from_millis(50), ..EXACT });
        scene.image(100, 0);
        assert_eq!(scene.regions(100, 10), ["100+100"]);
        scene.image(133, 33);
        assert_eq!(scene.regions(101, 40), [""; 0], "a second array for the image before");
        assert_eq!(scene.regions(132, 50), ["133+132"]);
        assert_eq!(scene.image(140, 60), [""; 0], "not the array that was left over");
    }

    #[test]
    fn regions_before_their_image_may_be_near_the_image_before() {
        let mut scene = Scene::new(Rules { tolerance: Duration::from_millis(30), ..EXACT });
        scene.image(100, 0);
        assert_eq!(scene.regions(100, 10), ["100+100"]);
        assert!(scene.regions(120, 20).is_empty());
        assert_eq!(scene.image(133, 33), ["133+120"]);
    }

    #[test]
    fn what_is_before_an_image_that_has_its_regions_is_overtaken() {
        let mut scene = Scene::new(EXACT);
        for image in [10, 20, 30, 40] {
            scene.image(image, u64::from(image));
        }
        assert_eq!(scene.regions(30, 50), ["10 overtaken", "20 overtaken", "30+30"]);
        assert_eq!(scene.regions(20, 60), ["out of order"]);
        assert_eq!(scene.regions(40, 70), ["40+40"]);
    }

    #[test]
    fn images_of_other_frames_and_times_are_not_overtaken() {
        let mut scene = Scene::new(EXACT);
        let mut lines = TimeLines::default();
        let other = [0, 9000].map(|sec| lines.see(Stamp { sec, nanosec: 0 }, Instant::now()).line)[1];
        let (now, rules) = (scene.now(0), scene.rules);
        let elsewhere = Waiting { line: other, ..scene.waiting(10, 0) };
        let right = Header { frame_id: "right".into(), ..header(20) };
        let right = Waiting { header: right, ..scene.waiting(20, 0) };
        assert!(scene.pairing.add_image(elsewhere, rules, now).is_empty());
        assert!(scene.pairing.add_image(right, rules, now).is_empty());
        scene.image(30, 30);
        assert_eq!(scene.regions(30, 40), ["30+30"]);
        assert_eq!(scene.tick(500), ["10 timed out", "20 timed out"]);
    }

    #[test]
    fn late_regions_are_told_with_their_delay_and_have_not_lost_an_image() {
        let mut scene = Scene::new(EXACT);
        scene.image(10, 0);
        assert_eq!(scene.tick(499), [""; 0]);
        assert_eq!(scene.tick(500), ["10 timed out"]);
        assert_eq!(scene.regions(10, 730), ["late 730"]);
        assert_eq!(scene.tick(9000), [""; 0]);
        scene.regions(77, 9000);
        assert_eq!(scene.tick(10_000), ["1 unmatched"]);
    }

    #[test]
    fn the_time_out_may_change_while_images_wait() {
        let mut scene = Scene::new(Rules { timeout: Duration::from_secs(60), ..EXACT });
        scene.image(10, 0);
        scene.image(20, 100);
        assert_eq!(scene.tick(2000), [""; 0]);
        scene.rules.timeout = Duration::from_millis(1950);
        assert_eq!(scene.tick(2000), ["10 timed out"]);
        scene.rules.timeout = Duration::ZERO;
        assert_eq!(scene.tick(2000), ["20 timed out"]);
    }

    #[test]
    fn answers_that_are_known_keep_their_place() {
        let mut scene = Scene::new(EXACT);
        assert_eq!(scene.answered(10, 0), ["10 answered"]);
        scene.image(20, 20);
        assert!(scene.answered(30, 30).is_empty());
        scene.image(40, 40);
        assert_eq!(scene.regions(40, 50), ["20 overtaken", "30 answered", "40+40"]);
        scene.image(50, 60);
        scene.answered(60, 70);
        assert_eq!(scene.tick(560), ["50 timed out", "60 answered"]);
        assert!(scene.regions(30, 600).is_empty(), "its regions have missed nothing");
    }

    /// Ten images a second that may wait for an hour: the room fills, the oldest go.
    #[test]
    fn a_full_room_lets_the_oldest_go() {
        let mut scene = Scene::new(Rules { timeout: Duration::from_secs(3600), ..EXACT });
        assert!((0..4096).all(|image| scene.image(image, u64::from(image)).is_empty()));
        assert_eq!(scene.image(5000, 5000), ["0 no room of 4097"]);
        assert_eq!(scene.regions(0, 5001), ["late 5001"]);
    }

    #[test]
    fn after_a_jump_what_is_of_the_new_time_stays() {
        let mut scene = Scene::new(Rules { tolerance: Duration::from_millis(9), ..EXACT });
        scene.image(9000, 0);
        scene.regions(9100, 1);
        let mut lines = TimeLines::default();
        let new = [0, 9000].map(|sec| lines.see(Stamp { sec, nanosec: 0 }, Instant::now()).line)[1];
        let (now, rules) = (scene.now(20), scene.rules);
        let first = Waiting { line: new, ..scene.waiting(1000, 20) };
        assert!(scene.regions(1103, 10).is_empty(), "before its image");
        assert!(scene.pairing.add_image(first, rules, now).is_empty());
        let jump = Jump { from: scene.line, old: header(9000).stamp, new: header(1000).stamp };
        let (images, arrays) = scene.pairing.forget_before(&jump);
        assert_eq!((images.iter().map(|image| image.image).collect::<Vec<_>>(), arrays), (vec![9000], 1));
        assert_eq!(scene.regions(1001, 30), ["1000+1001"]);
        assert_eq!(scene.image(1100, 120), ["1100+1103"]);
    }

    /// A bag of the same images again: those of the first round are remembered, but what comes is for the second.
    #[test]
    fn regions_before_their_image_find_it_in_a_bag_that_starts_again() {
        let mut scene = Scene::new(Rules { tolerance: Duration::from_millis(50), ..EXACT });
        scene.image(100, 0);
        assert_eq!(scene.regions(110, 10), ["100+110"]);
        assert!(scene.regions(110, 1000).is_empty());
        assert_eq!(scene.image(100, 1010), ["100+110"]);
    }
}
