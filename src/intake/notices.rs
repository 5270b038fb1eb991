//! Lines in the log about what is wrong with stamps and regions, each once in a while.

use std::time::{Duration, Instant};

use super::stamp::secs;
use super::timeline::{Interleaved, Jump};
use crate::intake::throttle::Throttle;

/// Time between two lines about the same thing.
const PERIOD: Duration = Duration::from_secs(30);

/// For how long late regions tell something about those that are missing.
const LATE_TELLS: Duration = Duration::from_secs(60);

/// What was said about one camera.
#[derive(Debug)]
pub struct Notices {
    time_lines: Throttle,
    jumps: Throttle,
    late: Throttle,
    over_limit: Throttle,
    rectify: Throttle,
    /// How long after their image late regions came, and when.
    latest_late: Option<(Duration, Instant)>,
}

impl Default for Notices {
    fn default() -> Self {
        let periodic = || Throttle::new(PERIOD);
        let once = Throttle::new(Duration::MAX);
        Self {
            time_lines: periodic(),
            jumps: periodic(),
            late: periodic(),
            over_limit: periodic(),
            rectify: once,
            latest_late: None,
        }
    }
}

impl Notices {
    /// Images of several time lines take turns on `topic`.
    pub fn time_lines(&mut self, found: Interleaved, topic: &str, now: Instant) {
        if self.time_lines.passes(now) {
            let (lines, offset) = (found.lines, found.offset.as_secs_f64());
            tracing::warn!(
                "{topic}: images of {lines} clocks arrive in turn, {offset:.3} s apart: are there several publishers?"
            );
        }
    }

    /// The stamps jumped.
    pub fn jump(&mut self, jump: &Jump, now: Instant) {
        if self.jumps.passes(now) {
            let direction = if jump.nanos() < 0 { "back (a bag that starts again?)" } else { "ahead" };
            let distance = secs(jump.nanos()).abs();
            tracing::info!("the stamps jumped by {distance:.1} s {direction}: what waits for regions is dropped");
        }
    }

    /// Regions came `delay` after their image, which waited for `timeout`.
    pub fn late(&mut self, delay: Duration, timeout: Duration, now: Instant) {
        self.latest_late = Some((delay, now));
        if self.late.passes(now) {
            let (delay, timeout) = (delay.as_secs_f64(), timeout.as_secs_f64());
            tracing::warn!(
                "regions came {delay:.2} s after their image, which waits {timeout:.2} s for them: \
                 raise regions_timeout_secs"
            );
        }
    }

    /// How long after their image regions came lately that were too late.
    #[must_use]
    pub fn latest_delay(&self, now: Instant) -> Option<Duration> {
        let lately = |at: Instant| now.saturating_duration_since(at) < LATE_TELLS;
        self.latest_late.filter(|(_, at)| lately(*at)).map(|(delay, _)| delay)
    }

    /// An image has `asked` regions, of which `limit` are judged.
    pub fn over_limit(&mut self, asked: usize, limit: usize, now: Instant) {
        if asked > limit && self.over_limit.passes(now) {
            tracing::warn!("an image has {asked} regions, of which the first {limit} are judged: raise max_regions");
        }
    }

    /// So many regions of an array ask for rectification.
    pub fn rectify(&mut self, regions: usize, now: Instant) {
        if regions > 0 && self.rectify.passes(now) {
            tracing::warn!("regions have do_rectify set: they are judged in the image as it is, unrectified");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_regions_are_remembered_for_a_while() {
        let (mut notices, now, ms) = (Notices::default(), Instant::now(), Duration::from_millis);
        assert_eq!(notices.latest_delay(now), None);
        notices.late(ms(900), ms(500), now);
        notices.late(ms(700), ms(500), now);
        assert_eq!(notices.latest_delay(now + ms(59_999)), Some(ms(700)));
        assert_eq!(notices.latest_delay(now + LATE_TELLS), None);
    }
}
