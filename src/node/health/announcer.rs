//! Says in the log what a status says, once per change and not once per second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::diagnostics::{Level, Status};

/// A status says something of one level at most once in this time.
const QUIET: Duration = Duration::from_secs(10);

/// Remembers what each status said last.
#[derive(Debug, Default)]
pub struct Announcer {
    by_status: HashMap<String, Said>,
}

#[derive(Debug)]
struct Said {
    level: Level,
    reason: String,
    at: HashMap<Level, Instant>,
}

impl Default for Said {
    /// Who reads nothing in the log takes it that all is well.
    fn default() -> Self {
        Self { level: Level::Ok, reason: String::new(), at: HashMap::new() }
    }
}

impl Announcer {
    /// The line to log for a status at `now`, where there is one: for another level than was said last, and for another
    /// reason of the same level. Numbers in a message make no other reason of it.
    pub fn line(&mut self, status: &Status, now: Instant) -> Option<String> {
        let said = self.by_status.entry(status.name.clone()).or_default();
        let reason = reason(&status.message);
        let nothing_new = said.level == status.level && (status.level == Level::Ok || said.reason == reason);
        let just_said = said.at.get(&status.level).is_some_and(|at| now.saturating_duration_since(*at) < QUIET);
        if nothing_new || just_said {
            return None;
        }
        (said.level, said.reason) = (status.level, reason);
        said.at.insert(status.level, now);
        Some(format!("{}: {}", status.name, status.message))
    }
}

/// A message without its numbers.
fn reason(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is logged of a camera that says these levels and messages, one per second.
    fn lines(statuses: &[(Level, &str)]) -> Vec<(usize, String)> {
        let (mut announcer, start) = (Announcer::default(), Instant::now());
        let status =
            |level, message: &str| Status { level, name: "camera".into(), message: message.into(), values: vec![] };
        let line = |(second, (level, message)): (usize, &(Level, &str))| {
            let now = start + Duration::from_secs(second as u64);
            announcer.line(&status(*level, message), now).map(|line| (second, line))
        };
        statuses.iter().enumerate().filter_map(line).collect()
    }

    fn seconds(statuses: &[(Level, &str)]) -> Vec<usize> {
        lines(statuses).into_iter().map(|(second, _)| second).collect()
    }

    #[test]
    fn a_change_is_said_once_with_the_name_of_the_camera() {
        let (well, silent) = ((Level::Ok, "well"), |secs| (Level::Stale, secs));
        let said = lines(&[well, silent("no image for 3.1 s"), silent("no image for 4.1 s"), well, well]);
        let expected = [(1, "camera: no image for 3.1 s".to_owned()), (3, "camera: well".to_owned())];
        assert_eq!(said, expected);
    }

    #[test]
    fn another_reason_of_the_same_level_is_said_after_ten_seconds() {
        let mut statuses = [(Level::Warn, "old"); 30];
        statuses[5..].fill((Level::Warn, "new"));
        statuses[12..].fill((Level::Warn, "newer 1"));
        statuses[21..].fill((Level::Warn, "newer 2"));
        assert_eq!(seconds(&statuses), [0, 10, 20]);
    }

    #[test]
    fn a_level_that_comes_and_goes_does_not_fill_the_log() {
        let flapping: Vec<(Level, &str)> =
            (0..60).map(|second| if second % 2 == 0 { (Level::Warn, "odd") } else { (Level::Ok, "well") }).collect();
        assert!(seconds(&flapping).len() <= 12, "{:?}", seconds(&flapping));
    }

    #[test]
    fn what_stays_is_said_in_the_end() {
        let mut statuses = [(Level::Warn, "odd"); 20];
        statuses[1] = (Level::Ok, "well");
        assert_eq!(seconds(&statuses), [0, 1, 10]);
    }

    #[test]
    fn a_worse_level_is_said_at_once_and_every_status_for_itself() {
        assert_eq!(seconds(&[(Level::Warn, "odd"), (Level::Error, "broken")]), [0, 1]);
        let (mut announcer, now) = (Announcer::default(), Instant::now());
        for name in ["camera front", "camera rear"] {
            let status = Status { level: Level::Warn, name: name.into(), message: "odd".into(), values: vec![] };
            assert_eq!(announcer.line(&status, now), Some(format!("{name}: odd")));
        }
    }
}
