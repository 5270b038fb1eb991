//! What the threads that push and the one that writes have in common, behind a lock that is held for microseconds.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counts::{Counts, EventCounts, MessageCounts, NewestError};
use super::item::Item;
use super::ring::{Effect, End, Next, Ring};
use super::{Settings, Trigger};

/// While an event is recorded, the writer looks that often for messages.
const TICK: Duration = Duration::from_millis(50);
/// Triggers that wait for the writer at most.
const MOST_WAITING: usize = 256;

pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    ring: Ring,
    orders: VecDeque<Order>,
    /// Triggers that came when an event was over and not written yet.
    later: VecDeque<Trigger>,
    events: EventCounts,
    error: Option<(String, Instant)>,
    /// Until when the writer may go on writing once the box is closed.
    closed: Option<Instant>,
    /// Whether the writer's thread is over.
    over: bool,
}

/// What a trigger asks for.
#[derive(Debug)]
pub(super) enum Order {
    /// An event.
    Begin(Trigger),
    /// A note in the event there is.
    Note(Trigger, Effect),
}

/// What the writer does next.
#[derive(Debug)]
pub(super) enum Work {
    Order(Order),
    /// Write it and [`Shared::settle`] it.
    Item(Item),
    /// Complete the event.
    Finish(End),
    /// Nothing, but time has passed.
    Tick,
    /// The box is closed, and nothing is left to do.
    Stop,
}

impl Shared {
    pub(super) fn new(settings: &Settings, cut_off: u64) -> Self {
        let events = EventCounts { cut_off, ..EventCounts::default() };
        let ring = Ring::new(settings);
        let (orders, later) = (VecDeque::new(), VecDeque::new());
        let state = State { ring, orders, later, events, error: None, closed: None, over: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Takes an item in. What has to go for it is freed after the lock was given back.
    pub(super) fn push(&self, item: Item) {
        let gone = self.lock().ring.push(item, Instant::now());
        drop(gone);
    }

    pub(super) fn trigger(&self, trigger: Trigger) {
        let mut state = self.lock();
        if state.over {
            state.events.failed += 1;
        } else if state.orders.len() + state.later.len() >= MOST_WAITING {
            state.events.suppressed += 1;
        } else {
            state.order(trigger);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// What there is to do; when it is nothing, waits for something.
    pub(super) fn work(&self, recording: bool) -> Work {
        let mut gone = Vec::new();
        let found = self.lock().work(&mut gone);
        drop(gone);
        found.unwrap_or_else(|| self.wait(recording))
    }

    fn wait(&self, recording: bool) -> Work {
        let idle = |state: &mut State| state.orders.is_empty() && state.closed.is_none();
        let state = self.lock();
        if recording {
            drop(self.changed.wait_timeout_while(state, TICK, idle));
        } else {
            drop(self.changed.wait_while(state, idle));
        }
        Work::Tick
    }

    /// An item was written or could not be.
    pub(super) fn settle(&self, written: bool) {
        self.lock().ring.settle(written);
    }

    /// The event is given up.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        let gone = state.ring.close();
        state.order_later();
        drop(state);
        drop(gone);
    }

    /// Changes the numbers of events.
    pub(super) fn count(&self, change: impl FnOnce(&mut EventCounts)) {
        change(&mut self.lock().events);
    }

    pub(super) fn remember(&self, error: String) {
        self.lock().error = Some((error, Instant::now()));
    }

    pub(super) fn messages(&self) -> MessageCounts {
        self.lock().ring.counts()
    }

    /// Lets the writer end what it is at, for at most `time`.
    pub(super) fn close(&self, time: Duration) {
        self.lock().closed = Some(Instant::now() + time);
        self.changed.notify_all();
    }

    /// The writer's thread is over. Triggers that came while it ended were for nothing, and are counted.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        let waiting = state.orders.drain(..).count() + state.later.drain(..).count();
        state.events.failed += waiting as u64;
        state.over = true;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits at most `timeout` for the end of the writer's thread; whether it came.
    pub(super) fn wait_for_end(&self, timeout: Duration) -> bool {
        let waiting = self.changed.wait_timeout_while(self.lock(), timeout, |state| !state.over);
        waiting.unwrap_or_else(PoisonError::into_inner).0.over
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts {
            events: state.events,
            messages: state.ring.counts(),
            held: state.ring.held(),
            held_bytes: state.ring.bytes(),
            recording: state.ring.is_wanted(),
            error: state.error.as_ref().map(|(text, at)| NewestError { text: text.clone(), age: at.elapsed() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// From here on nothing that an event wants expires, however late the writer comes to it.
    fn order(&mut self, trigger: Trigger) {
        match self.ring.trigger(trigger.stamp_nanos, Instant::now()) {
            Effect::Opened => self.orders.push_back(Order::Begin(trigger)),
            Effect::Later => self.later.push_back(trigger),
            effect => self.orders.push_back(Order::Note(trigger, effect)),
        }
    }

    /// Comes back to the triggers that waited for the end of an event.
    fn order_later(&mut self) {
        for trigger in std::mem::take(&mut self.later) {
            self.order(trigger);
        }
    }

    fn work(&mut self, gone: &mut Vec<Item>) -> Option<Work> {
        if let Some(order) = self.orders.pop_front() {
            return Some(Work::Order(order));
        }
        let now = Instant::now();
        if self.closed.is_some_and(|deadline| now >= deadline) {
            gone.extend(self.ring.give_up());
        }
        match self.ring.next(now, self.closed.is_some(), gone) {
            Next::Item(item) => Some(Work::Item(item)),
            Next::Over(end) => {
                self.order_later();
                Some(Work::Finish(end))
            }
            Next::Wait => (self.closed.is_some() && !self.ring.is_wanted()).then_some(Work::Stop),
        }
    }
}
