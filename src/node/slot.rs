//! A place for the newest item. Only the newest camera image counts: an old one in a queue is a late answer.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Holds at most one item; a newer one takes the place of an older one.
#[derive(Debug)]
pub struct Slot<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    item: Option<T>,
    closed: bool,
}

/// What [`Slot::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// The newest item.
    Item(T),
    /// Nothing came in time.
    TimedOut,
    /// The slot is closed and empty.
    Closed,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { item: None, closed: false }), changed: Condvar::new() }
    }
}

impl<T> Slot<T> {
    /// Puts `item` in and returns the one that nobody had taken yet. A closed slot returns `item` itself. Never blocks
    /// for longer than it takes to swap two items.
    #[must_use = "a returned item was dropped and has to be counted"]
    pub fn put(&self, item: T) -> Option<T> {
        let mut state = self.lock();
        if state.closed {
            return Some(item);
        }
        let replaced = state.item.replace(item);
        drop(state);
        self.changed.notify_one();
        replaced
    }

    /// Waits at most `timeout` for an item.
    pub fn take(&self, timeout: Duration) -> Taken<T> {
        let waiting =
            self.changed.wait_timeout_while(self.lock(), timeout, |state| state.item.is_none() && !state.closed);
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        match state.item.take() {
            Some(item) => Taken::Item(item),
            None if state.closed => Taken::Closed,
            None => Taken::TimedOut,
        }
    }

    /// Refuses further items and wakes whoever waits.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The state is whole after every statement, so a panic of another thread does not make it unusable.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn the_newest_item_survives_and_every_other_one_comes_back() {
        let slot = Slot::default();
        assert_eq!(slot.put(1), None);
        assert_eq!(slot.put(2), Some(1));
        assert_eq!(slot.put(3), Some(2));
        assert_eq!(slot.take(SHORT), Taken::Item(3));
        assert_eq!(slot.take(SHORT), Taken::TimedOut);
    }

    #[test]
    fn a_closed_slot_gives_its_last_item_and_then_says_so() {
        let slot = Slot::default();
        assert_eq!(slot.put(1), None);
        slot.close();
        assert_eq!(slot.put(2), Some(2));
        assert_eq!(slot.take(SHORT), Taken::Item(1));
        assert_eq!(slot.take(Duration::from_secs(10)), Taken::Closed);
    }

    #[test]
    fn an_item_wakes_the_waiting_thread() {
        let slot = Slot::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slot.take(Duration::from_secs(10)));
            std::thread::sleep(SHORT);
            let start = Instant::now();
            assert_eq!(slot.put(7), None);
            assert_eq!(waiting.join().unwrap(), Taken::Item(7));
            assert!(start.elapsed() < Duration::from_secs(5));
        });
    }
}
