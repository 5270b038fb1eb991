//! The status of the black box.

use super::diagnostics::{Findings, Level, Status, optional};
use crate::black_box::{Counts, NewestError};

/// How long an error is said after it happened, in seconds.
const SAID_SECS: u64 = 60;

/// The status of the black box; `None` when nothing is recorded.
#[must_use]
pub fn status(counts: Option<&Counts>) -> Status {
    let recorded = counts.is_some();
    let counts = counts.cloned().unwrap_or_default();
    let mut findings = Findings::default();
    findings.add(Level::Warn, counts.error.as_ref().and_then(recent));
    let (level, message) = findings.summary(|| match (recorded, counts.recording) {
        (false, _) => "off".to_owned(),
        (true, false) => "waits for an alarm".to_owned(),
        (true, true) => "records an event".to_owned(),
    });
    Status { level, name: "black_box".to_owned(), message, values: values(&counts) }
}

fn recent(NewestError { text, age }: &NewestError) -> Option<String> {
    (age.as_secs() < SAID_SECS).then(|| format!("not everything is recorded: {text}"))
}

fn values(counts: &Counts) -> Vec<(&'static str, String)> {
    let Counts { events, messages, held_bytes, error, .. } = counts;
    let megabytes = *held_bytes as f64 / f64::from(1 << 20);
    vec![
        ("record_events", events.written.to_string()),
        ("record_prolonged", events.prolonged.to_string()),
        ("record_suppressed", events.suppressed.to_string()),
        ("record_deleted", events.deleted.to_string()),
        ("record_refused", events.refused.to_string()),
        ("record_failed", events.failed.to_string()),
        ("record_cut_off", events.cut_off.to_string()),
        ("record_messages", messages.written.to_string()),
        ("record_dropped_memory", messages.dropped_by_ring.to_string()),
        ("record_dropped_disk", (messages.dropped_by_queue + messages.failed).to_string()),
        ("record_dropped_jump", messages.dropped_by_jump.to_string()),
        ("record_memory_mib", format!("{megabytes:.1}")),
        ("record_newest_error", error.as_ref().map(|error| error.text.clone()).unwrap_or_default()),
        ("record_newest_error_age_secs", optional(error.as_ref().map(|error| error.age.as_secs_f64()))),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::diagnostics::tests::value;
    use super::*;
    use crate::black_box::EventCounts;

    #[test]
    fn what_cannot_be_recorded_is_said_for_a_while() {
        let error = |secs| Some(NewestError { text: "the disk is full".into(), age: Duration::from_secs(secs) });
        let events = EventCounts { written: 3, refused: 1, ..EventCounts::default() };
        let counts = |secs| Counts { events, error: error(secs), ..Counts::default() };
        let fails = status(Some(&counts(5)));
        assert_eq!(
            (fails.level, fails.message.as_str()),
            (Level::Warn, "not everything is recorded: the disk is full")
        );
        assert_eq!((value(&fails, "record_events"), value(&fails, "record_refused")), ("3", "1"));
        let later = status(Some(&counts(100)));
        assert_eq!((later.level, later.message.as_str()), (Level::Ok, "waits for an alarm"));
        assert_eq!(value(&later, "record_newest_error"), "the disk is full");
    }

    #[test]
    fn nothing_recorded_is_well() {
        let off = status(None);
        assert_eq!((off.level, off.message.as_str(), value(&off, "record_events")), (Level::Ok, "off", "0"));
    }
}
