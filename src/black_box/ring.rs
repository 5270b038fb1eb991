//! The messages of the last seconds, and those of an event that wait to be written. No thread, no file.
//!
//! Time is that of the messages. A clock that jumps begins a new *epoch*: what came before the jump is older than anything
//! after it, whatever its stamp says.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::counts::MessageCounts;
use super::item::Item;
use super::{LONGEST, Settings, nanos};

/// How far items may come out of order. They are held back that long before they are written, so that an event is in order.
pub(super) const DISORDER_NANOS: u64 = 1_000_000_000;

/// Without any message for that long an event is over, or for as long as it would last where that is longer.
const SILENCE: Duration = Duration::from_secs(2);

/// Bounded by time and by bytes; the oldest go first, and every one that goes is counted.
pub(super) struct Ring {
    before_nanos: u64,
    after: Duration,
    most_bytes: usize,
    /// By epoch and log time.
    items: VecDeque<Held>,
    bytes: usize,
    newest: Option<Newest>,
    window: Option<Window>,
    /// Items that were taken and are not settled yet.
    in_hand: u64,
    counts: MessageCounts,
}

struct Held {
    epoch: u64,
    bytes: usize,
    item: Item,
}

/// Where the clock is.
#[derive(Clone, Copy)]
struct Newest {
    epoch: u64,
    nanos: u64,
    came: Instant,
}

/// The event that is wanted from the ring.
struct Window {
    epoch: u64,
    /// First and last log time, in nanoseconds.
    from: u64,
    until: u64,
    /// `until` is never moved beyond.
    latest: u64,
    opened: Instant,
    triggered: Instant,
    /// Why nothing is waited for any more.
    end: Option<End>,
}

/// Why an event is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All that was wanted is there.
    Complete,
    /// The clock jumped.
    TimeJump,
    /// No message came any more.
    Silence,
    /// It took as long as an event may take by the clock on the wall, though not by the stamps.
    TooLong,
    /// The program ends.
    Closed,
}

/// What a trigger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It begins an event.
    Opened,
    /// It makes the event longer.
    Prolonged,
    /// It falls into an event that does not become longer.
    Noted,
    /// It is later than an event that is still being written: nothing was done, and it may begin one afterwards.
    Later,
}

/// What there is to do for an event.
#[derive(Debug)]
pub(super) enum Next {
    /// Write this and [`Ring::settle`] it.
    Item(Item),
    /// Nothing yet.
    Wait,
    /// Nothing any more: the window is closed.
    Over(End),
}

impl Window {
    fn wants(&self, held: &Held) -> bool {
        held.epoch == self.epoch && (self.from..=self.until).contains(&held.item.log_nanos)
    }

    /// Whether it may still be wanted, now or when the event is prolonged.
    fn keeps(&self, held: &Held) -> bool {
        (held.epoch, held.item.log_nanos) >= (self.epoch, self.from)
    }
}

impl Ring {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            before_nanos: nanos(settings.before),
            after: settings.after,
            most_bytes: settings.ring_bytes,
            items: VecDeque::new(),
            bytes: 0,
            newest: None,
            window: None,
            in_hand: 0,
            counts: MessageCounts::default(),
        }
    }

    pub(super) fn counts(&self) -> MessageCounts {
        self.counts
    }

    /// Messages in memory.
    pub(super) fn held(&self) -> u64 {
        self.items.len() as u64 + self.in_hand
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an event wants what is in the ring.
    pub(super) fn is_wanted(&self) -> bool {
        self.window.is_some()
    }

    /// Takes an item in. Returned are those that had to go, to be freed where nobody waits.
    pub(super) fn push(&mut self, item: Item, now: Instant) -> Vec<Item> {
        self.counts.pushed += 1;
        let epoch = self.follow(item.log_nanos, now);
        let held = Held { epoch, bytes: item.bytes(), item };
        let mut gone = Vec::new();
        self.expire(&mut gone);
        if held.bytes > self.most_bytes {
            self.counts.dropped_by_ring += 1;
            gone.push(held.item);
            return gone;
        }
        while self.bytes + held.bytes > self.most_bytes
            && let Some(oldest) = self.pop()
        {
            self.count_dropped(&oldest);
            gone.push(oldest.item);
        }
        self.bytes += held.bytes;
        let key = (held.epoch, held.item.log_nanos);
        let later = self.items.iter().rev().take_while(|other| (other.epoch, other.item.log_nanos) > key).count();
        self.items.insert(self.items.len() - later, held);
        self.expire(&mut gone);
        gone
    }

    /// Begins an event, or prolongs the one there is. `stamp` is a log time; one that lies further from the newest message
    /// than the ring reaches is of another clock, and the newest message counts instead.
    pub(super) fn trigger(&mut self, stamp: u64, now: Instant) -> Effect {
        let (epoch, newest) = self.newest.map_or((0, stamp), |newest| (newest.epoch, newest.nanos));
        let near = stamp.abs_diff(newest) <= self.before_nanos.saturating_add(DISORDER_NANOS);
        let anchor = if near { stamp } else { newest };
        let until = anchor.saturating_add(nanos(self.after));
        match &mut self.window {
            Some(window) if window.epoch != epoch || window.end.is_some() || anchor > window.latest => Effect::Later,
            Some(window) => {
                window.triggered = now;
                let longer = until.min(window.latest);
                let effect = if longer > window.until { Effect::Prolonged } else { Effect::Noted };
                window.until = window.until.max(longer);
                effect
            }
            None => {
                let from = anchor.saturating_sub(self.before_nanos);
                let latest = anchor.saturating_add(nanos(self.after * LONGEST));
                self.window = Some(Window { epoch, from, until, latest, opened: now, triggered: now, end: None });
                Effect::Opened
            }
        }
    }

    /// What there is to do for the event; with `closing`, no further message is waited for. Items that had to go are added
    /// to `gone`.
    pub(super) fn next(&mut self, now: Instant, closing: bool, gone: &mut Vec<Item>) -> Next {
        self.expire(gone);
        self.look_for_an_end(now, closing);
        let Some(window) = &self.window else { return Next::Wait };
        let reached = self.newest.map_or(0, |newest| newest.nanos);
        let wanted = self.items.front().filter(|held| window.wants(held)).map(|held| held.item.log_nanos);
        match wanted {
            Some(nanos) if window.end.is_some() || nanos.saturating_add(DISORDER_NANOS) <= reached => self.take(),
            Some(_) => Next::Wait,
            None => self.over(reached, gone),
        }
    }

    /// An item that [`next`](Self::next) gave was written or could not be.
    pub(super) fn settle(&mut self, written: bool) {
        self.in_hand = self.in_hand.saturating_sub(1);
        if written {
            self.counts.written += 1;
        } else {
            self.counts.failed += 1;
        }
    }

    /// Gives the event up; what it would have got stays in the ring as long as it is young.
    pub(super) fn close(&mut self) -> Vec<Item> {
        self.window = None;
        let mut gone = Vec::new();
        self.expire(&mut gone);
        gone
    }

    /// Drops what the event still waits for.
    pub(super) fn give_up(&mut self) -> Vec<Item> {
        let mut gone = Vec::new();
        while let Some(window) = &self.window
            && self.items.front().is_some_and(|held| window.wants(held))
            && let Some(held) = self.pop()
        {
            self.count_dropped(&held);
            gone.push(held.item);
        }
        gone
    }

    fn take(&mut self) -> Next {
        let Some(held) = self.pop() else { return Next::Wait };
        self.in_hand += 1;
        if let Some(window) = &mut self.window {
            // What is late from now on would not be in order.
            window.from = held.item.log_nanos;
        }
        Next::Item(held.item)
    }

    /// Nothing that is wanted is in the ring: is something still to come?
    fn over(&mut self, reached: u64, gone: &mut Vec<Item>) -> Next {
        let Some(window) = &self.window else { return Next::Wait };
        let complete = (reached >= window.until.saturating_add(DISORDER_NANOS)).then_some(End::Complete);
        let Some(end) = window.end.or(complete) else { return Next::Wait };
        self.window = None;
        self.expire(gone);
        Next::Over(end)
    }

    /// Ends the window at what is there when there is no use in waiting for more.
    fn look_for_an_end(&mut self, now: Instant, closing: bool) {
        let (Some(window), newest) = (&mut self.window, self.newest) else { return };
        if window.end.is_some() {
            return;
        }
        let came = newest.map_or(window.triggered, |newest| newest.came.max(window.triggered));
        let end = if newest.is_some_and(|newest| newest.epoch != window.epoch) {
            Some(End::TimeJump)
        } else if closing {
            Some(End::Closed)
        } else if now.saturating_duration_since(came) >= self.after.max(SILENCE) {
            Some(End::Silence)
        } else if now.saturating_duration_since(window.opened) >= self.after * LONGEST {
            Some(End::TooLong)
        } else {
            None
        };
        if let Some(newest) = newest.filter(|newest| end.is_some() && newest.epoch == window.epoch) {
            window.until = window.until.min(newest.nanos);
        }
        window.end = end;
    }

    /// The epoch of an item with this log time.
    fn follow(&mut self, nanos: u64, now: Instant) -> u64 {
        let Some(newest) = &mut self.newest else {
            self.newest = Some(Newest { epoch: 0, nanos, came: now });
            return 0;
        };
        let ahead = nanos.saturating_sub(newest.nanos);
        let passed = now.saturating_duration_since(newest.came).as_nanos() as u64;
        let leaps = ahead > self.before_nanos.saturating_add(DISORDER_NANOS) && passed < ahead / 2;
        if leaps || nanos.saturating_add(DISORDER_NANOS) < newest.nanos {
            self.counts.time_jumps += 1;
            *newest = Newest { epoch: newest.epoch + 1, nanos, came: now };
        } else {
            *newest = Newest { nanos: nanos.max(newest.nanos), came: now, ..*newest };
        }
        newest.epoch
    }

    /// Lets go of what no alarm would want any more.
    fn expire(&mut self, gone: &mut Vec<Item>) {
        let Some(newest) = self.newest else { return };
        let oldest = newest.nanos.saturating_sub(self.before_nanos.saturating_add(DISORDER_NANOS));
        while let Some(held) = self.items.front() {
            let jumped = held.epoch != newest.epoch;
            let keep = match &self.window {
                Some(window) => window.keeps(held),
                None => !jumped && held.item.log_nanos >= oldest,
            };
            if keep {
                return;
            }
            *(if jumped { &mut self.counts.dropped_by_jump } else { &mut self.counts.expired }) += 1;
            gone.extend(self.pop().map(|held| held.item));
        }
    }

    fn count_dropped(&mut self, held: &Held) {
        let wanted = self.window.as_ref().is_some_and(|window| window.wants(held));
        *(if wanted { &mut self.counts.dropped_by_queue } else { &mut self.counts.dropped_by_ring }) += 1;
    }

    fn pop(&mut self) -> Option<Held> {
        let held = self.items.pop_front()?;
        self.bytes -= held.bytes;
        Some(held)
    }
}

#[cfg(test)]
mod tests;
