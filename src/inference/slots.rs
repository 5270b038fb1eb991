//! The newest image of every camera, for the inference thread to take.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Items that wait beside the one that can be replaced, per camera, at most.
const MAX_LASTING: usize = 4096;

/// One place per camera, each with room for one item: a new one takes the place of an old one that nobody took yet, so
/// that no camera waits behind another one's backlog. Lasting items, which cost nothing to deal with, keep their place in
/// the order before and after it.
#[derive(Debug)]
pub struct Slots<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Whether nothing gives way.
    keeps_all: bool,
}

#[derive(Debug)]
struct State<T> {
    places: Vec<VecDeque<Item<T>>>,
    closed: bool,
}

#[derive(Debug)]
struct Item<T> {
    lasting: bool,
    item: T,
}

/// What [`Slots::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// The items of all cameras, with the camera's index; those of one camera in the order they came.
    Items(Vec<(usize, T)>),
    /// Nothing came in time.
    TimedOut,
    /// The slots are closed and empty.
    Closed,
}

impl<T> Slots<T> {
    /// Places for `cameras` cameras, at least one.
    #[must_use]
    pub fn new(cameras: usize) -> Self {
        let places = (0..cameras.max(1)).map(|_| VecDeque::new()).collect();
        Self { state: Mutex::new(State { places, closed: false }), changed: Condvar::new(), keeps_all: false }
    }

    /// Places in which nothing gives way to anything newer, for who takes everything out after every item, as replays do.
    #[must_use]
    pub fn keeping_all(cameras: usize) -> Self {
        Self { keeps_all: true, ..Self::new(cameras) }
    }

    /// Puts an item in and returns the one that had to go for it: the older one, or `item` itself when the slots are
    /// closed.
    #[must_use = "a returned item was dropped and has to be counted"]
    pub fn push(&self, camera: usize, item: T) -> Option<T> {
        self.add(camera, Item { lasting: false, item }, |place| place.iter().position(|item| !item.lasting))
    }

    /// Puts an item in that no newer one replaces. Returns the one that had to go for it: the oldest such when there are
    /// too many, or `item` itself when the slots are closed.
    #[must_use = "a returned item was dropped and has to be counted"]
    pub fn append(&self, camera: usize, item: T) -> Option<T> {
        let oldest = |place: &VecDeque<Item<T>>| {
            let full = place.len() > MAX_LASTING;
            place.iter().position(|item| item.lasting).filter(|_| full)
        };
        self.add(camera, Item { lasting: true, item }, oldest)
    }

    fn add(&self, camera: usize, item: Item<T>, goes: impl FnOnce(&VecDeque<Item<T>>) -> Option<usize>) -> Option<T> {
        let mut state = self.lock();
        if state.closed {
            return Some(item.item);
        }
        let place = &mut state.places[camera];
        let gone = if self.keeps_all { None } else { goes(place) };
        let gone = gone.and_then(|index| place.remove(index));
        place.push_back(item);
        drop(state);
        self.changed.notify_one();
        gone.map(|gone| gone.item)
    }

    /// Waits at most `timeout` and takes what is there of all cameras.
    pub fn take(&self, timeout: Duration) -> Taken<T> {
        let idle = |state: &mut State<T>| state.places.iter().all(VecDeque::is_empty) && !state.closed;
        let waiting = self.changed.wait_timeout_while(self.lock(), timeout, idle);
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        let items = state.take();
        match items.is_empty() {
            false => Taken::Items(items),
            true if state.closed => Taken::Closed,
            true => Taken::TimedOut,
        }
    }

    /// Takes what waits, at once.
    #[must_use = "what is taken here is judged by nobody and has to be counted"]
    pub fn drain(&self) -> Vec<(usize, T)> {
        self.lock().take()
    }

    /// The smallest `key` of the items that wait and have one, for example when they came; `None` when none waits.
    #[must_use]
    pub fn oldest<K: Ord>(&self, key: impl Fn(&T) -> Option<K>) -> Option<K> {
        self.lock().places.iter().flatten().filter_map(|item| key(&item.item)).min()
    }

    /// Refuses further items; those inside can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Vec<(usize, T)> {
        let places = self.places.iter_mut().enumerate();
        places.flat_map(|(camera, place)| place.drain(..).map(move |item| (camera, item.item))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn the_newest_of_every_camera_is_taken_together() {
        let slots = Slots::new(3);
        assert_eq!((slots.push(2, "c1"), slots.push(0, "a1"), slots.push(0, "a2")), (None, None, Some("a1")));
        assert_eq!(slots.take(NOW), Taken::Items(vec![(0, "a2"), (2, "c1")]));
        assert_eq!(slots.take(NOW), Taken::TimedOut);
    }

    #[test]
    fn lasting_items_keep_their_place_in_the_order() {
        let slots = Slots::new(1);
        assert_eq!((slots.append(0, "a"), slots.push(0, "b"), slots.append(0, "c")), (None, None, None));
        assert_eq!((slots.push(0, "d"), slots.append(0, "e")), (Some("b"), None));
        assert_eq!(slots.take(NOW), Taken::Items(vec![(0, "a"), (0, "c"), (0, "d"), (0, "e")]));
    }

    #[test]
    fn lasting_items_are_bounded() {
        let slots = Slots::new(1);
        assert_eq!(slots.push(0, usize::MAX), None);
        assert!((0..MAX_LASTING).all(|item| slots.append(0, item).is_none()));
        assert_eq!(slots.append(0, MAX_LASTING), Some(0));
        slots.close();
        assert_eq!(slots.append(0, 7), Some(7));
    }

    #[test]
    fn nothing_gives_way_where_all_is_kept() {
        let slots = Slots::keeping_all(1);
        assert!((0..2 * MAX_LASTING).all(|item| slots.push(0, item).is_none() && slots.append(0, item).is_none()));
        assert_eq!(slots.drain().len(), 4 * MAX_LASTING);
    }

    #[test]
    fn closing_keeps_what_is_inside() {
        let slots = Slots::new(1);
        assert_eq!(slots.push(0, 1), None);
        slots.close();
        assert_eq!(slots.push(0, 2), Some(2));
        assert_eq!(slots.take(NOW), Taken::Items(vec![(0, 1)]));
        assert_eq!(slots.take(Duration::from_secs(10)), Taken::Closed);
    }

    #[test]
    fn draining_leaves_nothing() {
        let slots = Slots::new(2);
        assert_eq!(slots.push(1, 7), None);
        assert_eq!(slots.drain(), [(1, 7)]);
        assert_eq!(slots.take(NOW), Taken::TimedOut);
    }

    #[test]
    fn the_oldest_of_what_waits_is_told() {
        let slots = Slots::new(2);
        let odd = |item: &u32| Some(*item).filter(|item| item % 2 == 1);
        assert_eq!(slots.oldest(odd), None);
        assert_eq!((slots.push(0, 7), slots.push(1, 5), slots.append(1, 2)), (None, None, None));
        assert_eq!(slots.oldest(odd), Some(5));
    }

    #[test]
    fn an_item_wakes_the_waiting_thread() {
        let slots = Slots::new(1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.take(Duration::from_secs(10)));
            std::thread::sleep(Duration::from_millis(20));
            let start = std::time::Instant::now();
            assert_eq!(slots.push(0, 7), None);
            assert_eq!(waiting.join().unwrap(), Taken::Items(vec![(0, 7)]));
            assert!(start.elapsed() < Duration::from_secs(5));
        });
    }
}
