//! What became of the images of the last while.

use std::time::{Duration, Instant};

use crate::counters::statistics::{Counts, DropReason};
use crate::counters::window::History;

/// Whether every image is dropped is asked of at least this time.
const LATEST: Duration = Duration::from_secs(2);
/// Rates and losses are of at least this time.
const RATES: Duration = Duration::from_secs(10);
/// Shares of verdicts are of this time.
pub const SHARES: Duration = Duration::from_secs(300);
/// Totals are noted this far apart at least.
const SPACING: Duration = Duration::from_secs(1);

/// Counters that the last while is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Images that arrived.
    pub received: u64,
    /// Images that were answered.
    pub judged: u64,
    /// Images that were not judged, in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Images that were probably lost before they arrived.
    pub missing: u64,
    /// Regions that were answered.
    pub results: u64,
    /// Those with verdict SUSPECT.
    pub suspect: u64,
    /// Those with verdict OUT_OF_DISTRIBUTION.
    pub out_of_distribution: u64,
    /// Those with verdict UNKNOWN.
    pub unknown: u64,
}

/// What happened in a while.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Span {
    /// Its length in seconds.
    pub secs: f64,
    /// The counters at its end less those at its begin.
    pub totals: Totals,
}

/// What happened in the last seconds and minutes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Recent {
    /// About two seconds, or the time between two reports where that is longer.
    pub latest: Span,
    /// About ten seconds.
    pub rates: Span,
    /// About five minutes.
    pub shares: Span,
}

/// Totals of one camera over the last minutes.
#[derive(Debug)]
pub struct Past(History<Totals>);

impl Totals {
    /// Those of the counters, with the images that were probably lost before they arrived.
    #[must_use]
    pub fn of(counts: &Counts, missing: u64) -> Self {
        Self {
            received: counts.received,
            judged: counts.judged,
            dropped: DropReason::ALL.map(|reason| counts.dropped.get(&reason).copied().unwrap_or(0)),
            missing,
            results: counts.results(),
            suspect: counts.suspect,
            out_of_distribution: counts.out_of_distribution,
            unknown: counts.unknown_total(),
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            received: self.received.saturating_sub(before.received),
            judged: self.judged.saturating_sub(before.judged),
            dropped: std::array::from_fn(|index| self.dropped[index].saturating_sub(before.dropped[index])),
            missing: self.missing.saturating_sub(before.missing),
            results: self.results.saturating_sub(before.results),
            suspect: self.suspect.saturating_sub(before.suspect),
            out_of_distribution: self.out_of_distribution.saturating_sub(before.out_of_distribution),
            unknown: self.unknown.saturating_sub(before.unknown),
        }
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(totals: I) -> Self {
        totals.fold(Self::default(), |sum, next| Self {
            received: sum.received + next.received,
            judged: sum.judged + next.judged,
            dropped: std::array::from_fn(|index| sum.dropped[index] + next.dropped[index]),
            missing: sum.missing + next.missing,
            results: sum.results + next.results,
            suspect: sum.suspect + next.suspect,
            out_of_distribution: sum.out_of_distribution + next.out_of_distribution,
            unknown: sum.unknown + next.unknown,
        })
    }
}

impl Span {
    /// Events per second; `None` before any time has passed.
    #[must_use]
    pub fn rate(&self, of: fn(&Totals) -> u64) -> Option<f64> {
        (self.secs > 0.0).then(|| of(&self.totals) as f64 / self.secs)
    }

    /// Share of the results; `None` when there are none.
    #[must_use]
    pub fn share(&self, of: fn(&Totals) -> u64) -> Option<f64> {
        (self.totals.results > 0).then(|| of(&self.totals) as f64 / self.totals.results as f64)
    }

    /// Reasons for which images were dropped, with their numbers.
    pub fn dropped(&self) -> impl Iterator<Item = (DropReason, u64)> + Clone {
        DropReason::ALL.into_iter().zip(self.totals.dropped).filter(|(_, images)| *images > 0)
    }
}

impl Default for Past {
    fn default() -> Self {
        Self(History::new(SHARES, SPACING))
    }
}

impl Past {
    /// What happened until `now`, when the counters stand at `totals`. Notes these for later.
    pub fn until(&mut self, now: Instant, totals: Totals) -> Recent {
        if self.0.before(now, Duration::ZERO).is_some_and(|(_, before)| totals.received < before.received) {
            *self = Self::default(); // The node was configured again, and counts from zero.
        }
        self.0.note(now, totals);
        let span = |age| match self.0.before(now, age) {
            Some((at, before)) => {
                Span { secs: now.saturating_duration_since(at).as_secs_f64(), totals: totals.since(&before) }
            }
            None => Span::default(),
        };
        Recent { latest: span(LATEST), rates: span(RATES), shares: span(SHARES) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(received: u64) -> Totals {
        Totals { received, judged: received / 2, results: received, unknown: received / 4, ..Totals::default() }
    }

    /// 30 images per second for `secs`, reported once per second.
    fn drive(past: &mut Past, start: Instant, secs: u64) -> Recent {
        let report = |secs: u64| (start + Duration::from_secs(secs), totals(secs * 30));
        (0..=secs).map(report).map(|(now, totals)| past.until(now, totals)).last().unwrap()
    }

    #[test]
    fn rates_and_shares_are_of_the_last_while() {
        let (mut past, start) = (Past::default(), Instant::now());
        let recent = drive(&mut past, start, 400);
        assert_eq!([recent.latest.secs, recent.rates.secs, recent.shares.secs], [2.0, 10.0, 300.0]);
        assert_eq!(recent.rates.rate(|totals| totals.received), Some(30.0));
        assert_eq!(recent.shares.share(|totals| totals.unknown), Some(0.25));
        let later = past.until(start + Duration::from_secs(409), totals(400 * 30));
        assert_eq!(later.rates.rate(|totals| totals.received), Some(30.0 / 10.0), "one second of images in ten");
        let later = past.until(start + Duration::from_secs(410), totals(400 * 30));
        assert_eq!(later.rates.rate(|totals| totals.received), Some(0.0), "after ten seconds of silence");
    }

    #[test]
    fn in_the_beginning_the_time_is_short() {
        let (mut past, start) = (Past::default(), Instant::now());
        let recent = drive(&mut past, start, 0);
        assert_eq!(
            (recent.rates.rate(|totals| totals.received), recent.shares.share(|totals| totals.unknown)),
            (None, None)
        );
        assert_eq!(drive(&mut past, start, 3).rates.rate(|totals| totals.received), Some(30.0));
    }

    #[test]
    fn counting_from_zero_again_forgets_the_past() {
        let (mut past, start) = (Past::default(), Instant::now());
        drive(&mut past, start, 20);
        let recent = past.until(start + Duration::from_secs(21), totals(4));
        assert_eq!(recent.rates, Span::default());
    }

    #[test]
    fn drops_are_told_by_reason() {
        let dropped = [(DropReason::NoRoom, 3), (DropReason::Replaced, 2)].into();
        let mut counts = Counts { dropped, ..Counts::default() };
        let before = Totals::of(&counts, 0);
        *counts.dropped.get_mut(&DropReason::NoRoom).unwrap() += 5;
        let span = Span { secs: 1.0, totals: Totals::of(&counts, 7).since(&before) };
        assert_eq!(span.dropped().collect::<Vec<_>>(), [(DropReason::NoRoom, 5)]);
        assert_eq!(span.totals.missing, 7);
        assert_eq!([before, before].into_iter().sum::<Totals>().dropped[0], 4);
    }
}
