//! Says a thing once in a while, however often it happens.

use std::time::{Duration, Instant};

/// Lets one of many equal messages pass per period.
#[derive(Debug)]
pub struct Throttle {
    period: Duration,
    passed: Option<Instant>,
}

impl Throttle {
    /// One message per `period`, the first one at once.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        Self { period, passed: None }
    }

    /// Whether a message at `now` may pass.
    pub fn passes(&mut self, now: Instant) -> bool {
        let passes = self.passed.is_none_or(|last| now.saturating_duration_since(last) >= self.period);
        if passes {
            self.passed = Some(now);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_per_period() {
        let mut throttle = Throttle::new(Duration::from_secs(10));
        let start = Instant::now();
        let passed = |throttle: &mut Throttle, secs| throttle.passes(start + Duration::from_secs(secs));
        assert!(passed(&mut throttle, 0) && !passed(&mut throttle, 9) && passed(&mut throttle, 10));
        assert!(!passed(&mut throttle, 19) && passed(&mut throttle, 99));
    }
}
