//! Times as people read them. Leap seconds do not count, as in the clocks of computers.

const SECONDS_PER_DAY: u64 = 86_400;

/// Date and time of day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Utc {
    year: u64,
    /// 1..=12.
    month: u64,
    /// 1..=31.
    day: u64,
    /// Seconds since midnight.
    second: u64,
}

impl Utc {
    /// From nanoseconds since 1970.
    pub(crate) fn from_nanos(nanos: u64) -> Self {
        let seconds = nanos / 1_000_000_000;
        let (year, day_of_year) = count_off(seconds / SECONDS_PER_DAY, 1970, days_of_year);
        let (month, day) = count_off(day_of_year, 1, |month| days_of_month(year, month));
        Self { year, month, day: day + 1, second: seconds % SECONDS_PER_DAY }
    }

    /// For names of files, such as `20251127T070804Z`.
    pub(crate) fn compact(self) -> String {
        let Self { year, month, day, .. } = self;
        let (hour, minute, second) = self.clock();
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }

    /// For people, such as `2025-11-27 07:08:04`.
    pub(crate) fn readable(self) -> String {
        let Self { year, month, day, .. } = self;
        let (hour, minute, second) = self.clock();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    fn clock(self) -> (u64, u64, u64) {
        (self.second / 3600, self.second / 60 % 60, self.second % 60)
    }
}

/// Takes whole periods off `days`, from number `first` on: the period in which the rest lies, and the rest.
fn count_off(mut days: u64, first: u64, length: impl Fn(u64) -> u64) -> (u64, u64) {
    let mut period = first;
    while days >= length(period) {
        days -= length(period);
        period += 1;
    }
    (period, days)
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let compact = |seconds: u64| Utc::from_nanos(seconds * 1_000_000_000 + 999_999_999).compact();
        assert_eq!(compact(0), "19700101T000000Z");
        assert_eq!(compact(951_782_399), "20000228T235959Z");
        assert_eq!(compact(951_782_400), "20000229T000000Z");
        assert_eq!(compact(1_750_000_000), "20250615T150640Z");
        assert_eq!(compact(4_107_542_400), "21000301T000000Z");
        assert_eq!(Utc::from_nanos(1_735_689_599_000_000_000).readable(), "2024-12-31 23:59:59");
        assert!(Utc::from_nanos(u64::MAX).compact().starts_with("2554"));
    }
}
