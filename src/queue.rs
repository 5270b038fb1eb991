//! Bounded queue that drops the oldest item: whoever puts items in never waits for whoever takes them out. With room for
//! one item it is a slot that holds the newest.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// First in, first out, with room for a fixed number of items.
#[derive(Debug)]
pub struct DropOldest<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// What [`DropOldest::pop`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped<T> {
    /// The oldest item.
    Item(T),
    /// Nothing came in time.
    TimedOut,
    /// The queue is closed and empty.
    Closed,
}

impl<T> DropOldest<T> {
    /// Room for `capacity` items, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity: capacity.max(1) }
    }

    /// Puts an item in and returns the one that had to go for it: the oldest, or `item` itself when the queue is closed.
    #[must_use = "a returned item was dropped and has to be counted"]
    pub fn push(&self, item: T) -> Option<T> {
        let mut state = self.lock();
        if state.closed {
            return Some(item);
        }
        let oldest = if state.items.len() >= self.capacity { state.items.pop_front() } else { None };
        state.items.push_back(item);
        drop(state);
        self.changed.notify_all();
        oldest
    }

    /// Waits at most `timeout` for the oldest item.
    pub fn pop(&self, timeout: Duration) -> Popped<T> {
        let idle = |state: &mut State<T>| state.items.is_empty() && !state.closed;
        let waiting = self.changed.wait_timeout_while(self.lock(), timeout, idle);
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        let item = state.items.pop_front();
        let closed = state.closed;
        drop(state);
        self.changed.notify_all();
        match item {
            Some(item) => Popped::Item(item),
            None if closed => Popped::Closed,
            None => Popped::TimedOut,
        }
    }

    /// Waits at most `timeout` until an item has room, for who has time and wants nothing dropped.
    pub fn wait_for_room(&self, timeout: Duration) {
        let full = |state: &mut State<T>| state.items.len() >= self.capacity && !state.closed;
        drop(self.changed.wait_timeout_while(self.lock(), timeout, full));
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::ZERO;

    fn drain<T>(queue: &DropOldest<T>) -> Vec<T> {
        std::iter::from_fn(|| match queue.pop(NOW) {
            Popped::Item(item) => Some(item),
            Popped::TimedOut | Popped::Closed => None,
        })
        .collect()
    }

    #[test]
    fn the_oldest_goes_first() {
        let queue = DropOldest::new(2);
        assert_eq!((queue.push(1), queue.push(2), queue.push(3)), (None, None, Some(1)));
        assert_eq!(drain(&queue), [2, 3]);
        assert_eq!(queue.pop(NOW), Popped::TimedOut);
    }

    #[test]
    fn closing_keeps_what_is_inside() {
        let queue = DropOldest::new(2);
        assert_eq!(queue.push(1), None);
        queue.close();
        assert_eq!(queue.push(2), Some(2));
        assert_eq!(queue.pop(NOW), Popped::Item(1));
        assert_eq!(queue.pop(Duration::from_secs(10)), Popped::Closed);
    }

    #[test]
    fn an_item_wakes_the_waiting_thread() {
        let queue = DropOldest::new(1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.pop(Duration::from_secs(10)));
            std::thread::sleep(Duration::from_millis(20));
            let start = std::time::Instant::now();
            assert_eq!(queue.push(7), None);
            assert_eq!(waiting.join().unwrap(), Popped::Item(7));
            assert!(start.elapsed() < Duration::from_secs(5));
        });
    }

    proptest! {
        #[test]
        fn what_is_not_dropped_comes_out_in_order(count in 0_usize..50, capacity in 1_usize..10) {
            let queue = DropOldest::new(capacity);
            let dropped: Vec<usize> = (0..count).filter_map(|item| queue.push(item)).collect();
            let all: Vec<usize> = dropped.into_iter().chain(drain(&queue)).collect();
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_waits_for_room_loses_nothing() {
        let queue = DropOldest::new(2);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                std::iter::from_fn(|| match queue.pop(Duration::from_secs(10)) {
                    Popped::Item(item) => Some(item),
                    Popped::TimedOut | Popped::Closed => None,
                })
                .collect::<Vec<u32>>()
            });
            for item in 0..100 {
                queue.wait_for_room(Duration::from_secs(10));
                assert_eq!(queue.push(item), None);
            }
            queue.close();
            assert_eq!(taker.join().unwrap(), (0..100).collect::<Vec<u32>>());
        });
    }
}
