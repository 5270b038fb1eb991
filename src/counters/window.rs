//! What was seen lately: samples of a sliding window, and totals some time ago.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Samples of the last while; bounded in time and in number.
#[derive(Debug)]
pub struct Window<T> {
    samples: VecDeque<(Instant, T)>,
    span: Duration,
    capacity: usize,
}

impl<T> Window<T> {
    /// Samples of the last `span`, the newest `capacity` of them where there are more.
    #[must_use]
    pub fn new(span: Duration, capacity: usize) -> Self {
        Self { samples: VecDeque::new(), span, capacity }
    }

    /// Adds a sample taken at `now`.
    pub fn add(&mut self, now: Instant, sample: T) {
        while self.samples.len() >= self.capacity.max(1)
            || self.samples.front().is_some_and(|(at, _)| self.is_old(*at, now))
        {
            self.samples.pop_front();
        }
        self.samples.push_back((now, sample));
    }

    /// The samples that are not older than the span at `now`, oldest first, with the time that each was taken at.
    pub fn at(&self, now: Instant) -> impl Iterator<Item = &(Instant, T)> {
        self.samples.iter().filter(move |(at, _)| !self.is_old(*at, now))
    }

    /// Forgets every sample.
    pub fn clear(&mut self) {
        self.samples.clear();
    }

    fn is_old(&self, at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(at) > self.span
    }
}

/// Totals at moments in the past, to tell what became of them since.
#[derive(Debug)]
pub struct History<T> {
    entries: VecDeque<(Instant, T)>,
    span: Duration,
    spacing: Duration,
}

impl<T: Copy> History<T> {
    /// Keeps totals as far back as `span`, at least `spacing` apart.
    #[must_use]
    pub fn new(span: Duration, spacing: Duration) -> Self {
        Self { entries: VecDeque::new(), span, spacing }
    }

    /// Notes the totals at `now`.
    pub fn note(&mut self, now: Instant, totals: T) {
        if self.entries.back().is_some_and(|(at, _)| now.saturating_duration_since(*at) < self.spacing) {
            return;
        }
        self.entries.push_back((now, totals));
        // One entry beyond the span stays: between it and now lies the whole span.
        while self.entries.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.span) {
            self.entries.pop_front();
        }
    }

    /// The newest totals that are at least `age` old at `now`, or the oldest there are; with the time they are of.
    #[must_use]
    pub fn before(&self, now: Instant, age: Duration) -> Option<(Instant, T)> {
        let old_enough = |(at, _): &&(Instant, T)| now.saturating_duration_since(*at) >= age;
        self.entries.iter().rev().find(old_enough).or_else(|| self.entries.front()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_window_slides_and_is_bounded() {
        let (mut window, start) = (Window::new(10 * SECOND, 3), Instant::now());
        let values = |window: &Window<u32>, secs| -> Vec<u32> {
            window.at(start + SECOND * secs).map(|(_, sample)| *sample).collect()
        };
        for secs in [0, 5, 9] {
            window.add(start + SECOND * secs, secs);
        }
        assert_eq!(values(&window, 10), [0, 5, 9]);
        assert_eq!(values(&window, 11), [5, 9], "too old to count, though still there");
        window.add(start + SECOND * 12, 12);
        window.add(start + SECOND * 13, 13);
        assert_eq!(values(&window, 13), [9, 12, 13], "no more than three");
        assert!(values(&window, 30).is_empty());
        window.clear();
        assert!(values(&window, 13).is_empty());
    }

    #[test]
    fn history_tells_the_totals_of_a_while_ago() {
        let (mut history, start) = (History::new(20 * SECOND, SECOND), Instant::now());
        let before = |history: &History<u32>, now: u32, age| {
            history.before(start + SECOND * now, age).map(|(at, totals)| ((at - start).as_secs(), totals))
        };
        assert_eq!(before(&history, 0, SECOND), None);
        for secs in 0..=40 {
            history.note(start + SECOND * secs, secs * 100);
        }
        assert_eq!(before(&history, 40, 10 * SECOND), Some((30, 3000)));
        assert_eq!(before(&history, 40, 20 * SECOND), Some((20, 2000)));
        assert_eq!(before(&history, 40, 99 * SECOND), Some((20, 2000)), "the oldest there is");
        assert_eq!(history.entries.len(), 21);
    }

    #[test]
    fn history_keeps_its_spacing() {
        let (mut history, start) = (History::new(5 * SECOND, SECOND), Instant::now());
        for step in 0..100_u32 {
            history.note(start + SECOND / 10 * step, step);
        }
        assert!(history.entries.len() <= 7, "{}", history.entries.len());
    }
}
