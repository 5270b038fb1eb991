use std::sync::Arc;

use super::*;
use crate::black_box::Payload;
use crate::dataset::cdr::CdrError;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;
const RING_BYTES: usize = 10_000;

/// A message of a certain size.
struct Weight(usize);

impl Payload for Weight {
    fn type_name(&self) -> &'static str {
        "std_msgs/msg/Header"
    }

    fn bytes(&self) -> usize {
        self.0
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        Ok(vec![0; self.0])
    }
}

fn item(nanos: u64, bytes: usize) -> Item {
    Item { topic: "/a".into(), log_nanos: nanos, publish_nanos: nanos, payload: Arc::new(Weight(bytes)) }
}

/// 3 seconds before, 2 after.
fn ring() -> Ring {
    let settings = Settings {
        before: Duration::from_secs(3),
        after: Duration::from_secs(2),
        ring_bytes: RING_BYTES,
        ..Settings::new("events")
    };
    Ring::new(&settings)
}

/// Pushes one item every 500 ms of stamps and of time.
fn push(ring: &mut Ring, start: Instant, halves: std::ops::Range<u64>) {
    for half in halves {
        ring.push(item(100 * SECOND + half * SECOND / 2, 1), start + Duration::from_millis(500 * half));
    }
}

/// Everything that the event gets, in half seconds, and why it is over.
fn drain(ring: &mut Ring, now: Instant) -> (Vec<u64>, Option<End>) {
    let mut found = Vec::new();
    loop {
        match ring.next(now, false, &mut Vec::new()) {
            Next::Item(item) => {
                found.push((item.log_nanos - 100 * SECOND) / (SECOND / 2));
                ring.settle(true);
            }
            Next::Wait => return (found, None),
            Next::Over(end) => return (found, Some(end)),
        }
    }
}

fn assert_balanced(ring: &Ring) {
    let counts = ring.counts();
    let gone = counts.expired + counts.dropped_by_ring + counts.dropped_by_queue + counts.dropped_by_jump;
    assert_eq!(counts.pushed, counts.written + counts.failed + gone + ring.held(), "{counts:?}");
}

#[test]
fn an_event_is_what_lies_around_its_trigger() {
    let (mut ring, start) = (ring(), Instant::now());
    push(&mut ring, start, 0..21);
    assert_eq!(ring.held(), 9, "three seconds and the second of disorder");
    assert_eq!(ring.trigger(110 * SECOND, start), Effect::Opened);
    let now = start + Duration::from_secs(10);
    assert_eq!(drain(&mut ring, now), ((14..19).collect(), None), "the last second is held back");
    push(&mut ring, start, 21..27);
    let now = start + Duration::from_secs(13);
    assert_eq!(drain(&mut ring, now), ((19..25).collect(), Some(End::Complete)));
    assert!(!ring.is_wanted());
    assert_balanced(&ring);
}

#[test]
fn a_further_trigger_prolongs_but_not_for_ever() {
    let (mut ring, start) = (ring(), Instant::now());
    push(&mut ring, start, 0..1);
    assert_eq!(ring.trigger(100 * SECOND, start), Effect::Opened);
    let mut found = Vec::new();
    for half in 1..100 {
        push(&mut ring, start, half..half + 1);
        let now = start + Duration::from_millis(500 * half);
        let stamp = 100 * SECOND + half * SECOND / 2;
        let effect = ring.trigger(stamp, now);
        let expected = match half {
            0..=36 => Effect::Prolonged,
            37..=40 => Effect::Noted,
            _ => Effect::Later,
        };
        assert_eq!(effect, expected, "{half}");
        let (items, end) = drain(&mut ring, now);
        found.extend(items);
        if let Some(end) = end {
            assert_eq!(end, End::TooLong);
            break;
        }
    }
    assert_eq!(found, (0..=40).collect::<Vec<_>>(), "ten times two seconds");
    assert_eq!(ring.trigger(121 * SECOND, start), Effect::Opened);
}

#[test]
fn silence_ends_an_event() {
    let (mut ring, start) = (ring(), Instant::now());
    push(&mut ring, start, 0..2);
    ring.trigger(100 * SECOND, start);
    assert_eq!(drain(&mut ring, start + Duration::from_secs(1)), (vec![], None));
    assert_eq!(drain(&mut ring, start + Duration::from_secs(3)), (vec![0, 1], Some(End::Silence)));
    ring.trigger(100 * SECOND, start + Duration::from_secs(3));
    assert_eq!(drain(&mut ring, start + Duration::from_secs(6)), (vec![], Some(End::Silence)));
}

#[test]
fn a_stamp_of_another_clock_means_now() {
    let (mut ring, start) = (ring(), Instant::now());
    push(&mut ring, start, 0..9);
    ring.trigger(5 * SECOND, start);
    push(&mut ring, start, 9..16);
    let (found, end) = drain(&mut ring, start + Duration::from_secs(8));
    assert_eq!((found, end), ((2..13).collect(), Some(End::Complete)));
}

#[test]
fn a_jump_backward_ends_the_event_and_forgets_what_came_before() {
    let (mut ring, start) = (ring(), Instant::now());
    push(&mut ring, start, 0..5);
    ring.trigger(102 * SECOND, start);
    ring.push(item(50 * SECOND, 1), start + Duration::from_secs(2));
    assert_eq!(ring.trigger(50 * SECOND, start), Effect::Later);
    assert_eq!(drain(&mut ring, start), ((0..5).collect(), Some(End::TimeJump)));
    assert_eq!((ring.held(), ring.counts().time_jumps), (1, 1));
    // Without an event, what came before is dropped at once.
    ring.push(item(20 * SECOND, 1), start + Duration::from_secs(2));
    assert_eq!((ring.held(), ring.counts().dropped_by_jump), (1, 1));
    assert_balanced(&ring);
}

#[test]
fn a_jump_forward_is_said_but_a_pause_is_none() {
    let (mut ring, start) = (ring(), Instant::now());
    push(&mut ring, start, 0..2);
    ring.push(item(3700 * SECOND, 1), start + Duration::from_secs(1));
    assert_eq!((ring.held(), ring.counts().time_jumps, ring.counts().dropped_by_jump), (1, 1, 2));
    ring.push(item(3800 * SECOND, 1), start + Duration::from_secs(101));
    assert_eq!((ring.held(), ring.counts().time_jumps, ring.counts().expired), (1, 1, 1));
}

#[test]
fn what_is_too_much_goes_first_and_says_why() {
    let (mut ring, start) = (ring(), Instant::now());
    for number in 0..20 {
        ring.push(item(SECOND + number * MILLISECOND, 1000), start);
    }
    assert!(ring.bytes() <= RING_BYTES);
    let dropped = ring.counts().dropped_by_ring;
    assert_eq!(dropped + ring.held(), 20);
    ring.trigger(SECOND, start);
    ring.push(item(SECOND + 30 * MILLISECOND, 1000), start);
    assert_eq!((ring.counts().dropped_by_ring, ring.counts().dropped_by_queue), (dropped, 1));
    ring.push(item(SECOND + 31 * MILLISECOND, RING_BYTES), start);
    assert_eq!(ring.counts().dropped_by_ring, dropped + 1, "larger than all there is");
    assert_balanced(&ring);
}

/// What can happen to a ring.
#[derive(Debug, Clone)]
enum Step {
    /// The clock goes on by so many milliseconds, or jumps, and an item comes.
    Push { advance_ms: i64, bytes: usize },
    /// Something happens so many milliseconds ago.
    Trigger { ago_ms: u64 },
    /// The writer takes so many items at most, and writes them or not.
    Write { most: usize, works: bool },
    /// The writer gives up.
    Close,
    /// Time passes without a message.
    Pause { ms: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ordinary = (-900_i64..1500, 0_usize..1500).prop_map(|(advance_ms, bytes)| Step::Push { advance_ms, bytes });
    let jump = prop_oneof![Just(-3_600_000_i64), Just(3_600_000), -5000_i64..-1001];
    let step = prop_oneof![
        20 => ordinary,
        1 => (jump, 0_usize..20_000).prop_map(|(advance_ms, bytes)| Step::Push { advance_ms, bytes }),
        2 => (0_u64..5000).prop_map(|ago_ms| Step::Trigger { ago_ms }),
        6 => (0_usize..8, any::<bool>()).prop_map(|(most, works)| Step::Write { most, works }),
        1 => Just(Step::Close),
        1 => (0_u64..4000).prop_map(|ms| Step::Pause { ms }),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn bounds_hold_and_nothing_is_lost_uncounted(steps in steps()) {
        let (mut ring, mut now) = (ring(), Instant::now());
        let (mut clock, mut written) = (1_000_000 * SECOND, None);
        for step in steps {
            match step {
                Step::Push { advance_ms, bytes } => {
                    clock = clock.saturating_add_signed(advance_ms * MILLISECOND as i64);
                    now += Duration::from_millis(advance_ms.clamp(0, 1500) as u64);
                    let (before, held) = (ring.counts(), ring.held());
                    let gone = ring.push(item(clock, bytes), now).len() as u64;
                    prop_assert_eq!(ring.held() + gone, held + 1);
                    prop_assert_eq!(ring.counts().pushed, before.pushed + 1);
                }
                Step::Trigger { ago_ms } => {
                    if ring.trigger(clock - ago_ms * MILLISECOND, now) == Effect::Opened {
                        written = None;
                    }
                }
                Step::Write { most, works } => {
                    for _ in 0..most {
                        match ring.next(now, false, &mut Vec::new()) {
                            Next::Item(item) => {
                                prop_assert!(written.is_none_or(|last| last <= item.log_nanos), "out of order");
                                written = Some(item.log_nanos);
                                assert_balanced(&ring);
                                ring.settle(works);
                            }
                            Next::Wait => break,
                            Next::Over(_) => {
                                prop_assert!(!ring.is_wanted());
                                break;
                            }
                        }
                    }
                }
                Step::Close => drop(ring.close()),
                Step::Pause { ms } => now += Duration::from_millis(ms),
            }
            prop_assert!(ring.bytes() <= RING_BYTES);
            prop_assert_eq!(ring.bytes(), ring.items.iter().map(|held| held.item.bytes()).sum::<usize>());
            prop_assert!(ring.items.iter().is_sorted_by_key(|held| (held.epoch, held.item.log_nanos)));
            if let (false, Some(newest)) = (ring.is_wanted(), ring.newest) {
                let oldest = newest.nanos.saturating_sub(3 * SECOND + DISORDER_NANOS);
                let young = |held: &Held| held.epoch == newest.epoch && held.item.log_nanos >= oldest;
                prop_assert!(ring.items.iter().all(young), "longer than asked for");
            }
            assert_balanced(&ring);
        }
        // Whatever happened, an event comes to its end.
        now += Duration::from_secs(100);
        let mut left = ring.held() + 1;
        while ring.is_wanted() && left > 0 {
            left -= 1;
            if let Next::Item(_) = ring.next(now, false, &mut Vec::new()) {
                ring.settle(true);
            }
        }
        prop_assert!(!ring.is_wanted());
        assert_balanced(&ring);
    }
}
