//! Is what a camera shows still what the network learnt?

use std::collections::VecDeque;
use std::time::Duration;

use crate::calibration::Bets;

/// A longer time without images, by their stamps, begins the test anew.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Blocks in a row without evidence after which a change is over.
const CALM_BLOCKS: u32 = 10;

/// Blocks that are remembered to find out when a change began.
const REMEMBERED_BLOCKS: usize = 1000;

/// Share of the evidence that lies outside of the interval of the onset, half of it on each side.
const ONSET_OUTSIDE: f64 = 0.1;

/// The evidence is not followed further beyond the threshold than this factor.
const MOST_EVIDENCE: f64 = 1e6;

/// State of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChangeState {
    /// Not watched.
    #[default]
    Unknown,
    /// No change was found.
    Nominal,
    /// A change was found and is not over.
    Changed,
}

impl ChangeState {
    /// Name in messages, diagnostics and images.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Nominal => "NOMINAL",
            Self::Changed => "CHANGED",
        }
    }
}

/// What the images of a camera say so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// The state.
    pub state: ChangeState,
    /// Why the state is unknown; empty otherwise.
    pub reason: &'static str,
    /// Shiryaev–Roberts statistic, from 0.
    pub evidence: f64,
    /// Evidence from here is a change.
    pub threshold: f64,
    /// Promised mean time to a false alarm.
    pub promised: Duration,
    /// Number of changes found.
    pub alarms: u32,
    /// Stamp at which the last one was found.
    pub changed: Option<Duration>,
    /// Stamps between which it began.
    pub onset: Option<(Duration, Duration)>,
    /// Time that was watched, without pauses.
    pub watched: Duration,
}

/// A sequential test for a change, with a promised mean time between false alarms.
///
/// The Shiryaev–Roberts e-detector (Shin, Ramdas, Rinaldo, *E-detectors: a nonparametric framework for sequential change detection*, New
/// England J. Stat. Data Sci. 2, 2024, §2.3): `Rₜ = (Rₜ₋₁ + 1)·eₜ`, a change where `R` reaches the promised number of blocks. Each block
/// of images gives the mean of its e-values ([`Bets`]), so that images within it may depend on each other in any way. As long as
/// nothing changes, the mean number of blocks until an alarm is at least the promised one, *if* the mean e-value of a block, given all
/// earlier ones, is at most 1. That does not hold where blocks depend on each other: dusk, hours of rain, one strange sign
/// that stays in view for longer than a block.
#[derive(Debug)]
pub struct ChangeDetector {
    promised: Duration,
    length: Duration,
    block: Option<Block>,
    newest: Option<Duration>,
    evidence: f64,
    calm: u32,
    /// Begin and logarithm of the e-value of the last blocks.
    blocks: VecDeque<(Duration, f64)>,
    state: ChangeState,
    alarms: u32,
    changed: Option<Duration>,
    onset: Option<(Duration, Duration)>,
    watched: Duration,
    jumps: u64,
}

/// Images that are not far apart.
#[derive(Debug, Clone, Copy)]
struct Block {
    begin: Duration,
    sum: f64,
    count: u32,
}

impl ChangeDetector {
    /// Promises `promised` as mean time to a false alarm; blocks of images last `length`, above 0.
    #[must_use]
    pub fn new(promised: Duration, length: Duration) -> Self {
        Self {
            promised,
            length,
            block: None,
            newest: None,
            evidence: 0.0,
            calm: 0,
            blocks: VecDeque::new(),
            state: ChangeState::Nominal,
            alarms: 0,
            changed: None,
            onset: None,
            watched: Duration::ZERO,
            jumps: 0,
        }
    }

    /// Takes other settings. Another length of blocks begins the test anew.
    pub fn set(&mut self, promised: Duration, length: Duration) {
        if self.length != length {
            self.restart();
        }
        (self.promised, self.length) = (promised, length);
    }

    /// How often stamps jumped, back or beyond [`LONGEST_PAUSE`], so that the test began anew.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    /// Adds the p-values of one image, and says what is known after it. Without `bets` nothing is.
    pub fn observe(&mut self, stamp: Duration, p_values: impl Iterator<Item = f32>, bets: Option<&Bets>) -> Change {
        let Some(bets) = bets else { return self.unwatched() };
        self.move_to(stamp);
        let e_values = p_values.filter_map(|p_value| bets.e_value(p_value));
        let (sum, count) = e_values.fold((0.0, 0u32), |(sum, count), e_value| (sum + e_value, count + 1));
        if count > 0 {
            let block = self.block.get_or_insert(Block { begin: stamp, sum: 0.0, count: 0 });
            block.sum += sum / f64::from(count);
            block.count += 1;
        }
        self.now()
    }

    /// The clock of the images: closes a block that is over, begins anew after a jump.
    fn move_to(&mut self, stamp: Duration) {
        let newest = *self.newest.get_or_insert(stamp);
        if stamp + self.length < newest || stamp > newest + LONGEST_PAUSE {
            self.jumps += 1;
            self.restart();
            self.newest = Some(stamp);
            return;
        }
        self.watched += stamp.saturating_sub(newest);
        self.newest = Some(newest.max(stamp));
        if let Some(block) = self.block
            && stamp >= block.begin + self.length
        {
            self.block = None;
            self.close(block, stamp);
        }
    }

    fn close(&mut self, block: Block, stamp: Duration) {
        let e_value = block.sum / f64::from(block.count);
        let threshold = self.threshold();
        self.evidence = ((self.evidence + 1.0) * e_value).min(threshold * MOST_EVIDENCE);
        if self.blocks.len() == REMEMBERED_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back((block.begin, e_value.ln()));
        self.calm = if e_value > 1.0 { 0 } else { self.calm + 1 };
        if self.state == ChangeState::Nominal && self.evidence >= threshold {
            self.state = ChangeState::Changed;
            self.alarms = self.alarms.saturating_add(1);
            (self.changed, self.onset) = (Some(stamp), self.find_onset());
        } else if self.state == ChangeState::Changed && self.calm >= CALM_BLOCKS {
            self.restart();
        }
    }

    /// The evidence is a sum with one term per block that the change may have begun with, the product of the e-values since;
    /// the interval leaves a twentieth of the sum on either side, and one more block before, in the middle of which it may have begun.
    fn find_onset(&self) -> Option<(Duration, Duration)> {
        let mut logarithm = 0.0;
        let terms: Vec<(Duration, f64)> = self
            .blocks
            .iter()
            .rev()
            .map(|&(begin, log_e)| {
                logarithm += log_e;
                (begin, logarithm)
            })
            .collect();
        let largest = terms.iter().map(|(_, term)| *term).fold(f64::MIN, f64::max);
        let weights = || terms.iter().map(|(_, term)| (term - largest).exp());
        let (total, mut later) = (weights().sum::<f64>(), 0.0);
        let mut ends = terms.iter().map(|(begin, _)| *begin).zip(weights().map(|weight| {
            later += weight / total;
            later
        }));
        let (last, _) = ends.find(|(_, later)| *later >= ONSET_OUTSIDE / 2.0)?;
        let first = ends.find(|(_, later)| *later >= 1.0 - ONSET_OUTSIDE / 2.0).map_or(last, |(begin, _)| begin);
        Some((first.saturating_sub(self.length), last + self.length))
    }

    /// Begins the test anew; what was found stays known.
    fn restart(&mut self) {
        (self.block, self.evidence, self.calm, self.state) = (None, 0.0, 0, ChangeState::Nominal);
        self.blocks.clear();
    }

    /// Promised number of blocks.
    fn threshold(&self) -> f64 {
        self.promised.as_secs_f64() / self.length.as_secs_f64()
    }

    fn now(&self) -> Change {
        Change {
            state: self.state,
            reason: "",
            evidence: self.evidence,
            threshold: self.threshold(),
            promised: self.promised,
            alarms: self.alarms,
            changed: self.changed,
            onset: self.onset,
            watched: self.watched,
        }
    }

    fn unwatched(&self) -> Change {
        let reason = "the monitor is not calibrated for streams, see its notes";
        Change { state: ChangeState::Unknown, reason, ..self.now() }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const BLOCK: Duration = Duration::from_millis(500);
    const HOUR: Duration = Duration::from_secs(3600);

    /// No haircut: every track has p-values of 1.
    fn bets() -> Bets {
        Bets::fit(&vec![vec![1.0]; 20]).unwrap()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Images at 10 Hz from `from` to `to`, in milliseconds, all with this p-value.
    fn shown(detector: &mut ChangeDetector, from: u64, to: u64, p_value: f32) -> Change {
        let images = (from..to).step_by(100);
        images.map(|at| detector.observe(ms(at), [p_value].into_iter(), Some(&bets()))).last().unwrap()
    }

    #[test]
    fn evidence_by_hand() {
        let mut detector = ChangeDetector::new(HOUR, BLOCK);
        let change = shown(&mut detector, 0, 1100, 0.01);
        let e_value = 0.2 * 0.01f64.powf(-0.8);
        assert_relative_eq!(change.evidence, (e_value + 1.0) * e_value, max_relative = 1e-5);
        assert_relative_eq!(change.threshold, 7200.0);
        assert_eq!((change.state, change.watched), (ChangeState::Nominal, ms(1000)));
    }

    #[test]
    fn a_change_is_found_placed_and_over() {
        let mut detector = ChangeDetector::new(10 * HOUR, BLOCK);
        assert_eq!(shown(&mut detector, 0, 60_000, 0.5).alarms, 0);
        let change = shown(&mut detector, 60_000, 62_100, 2e-4);
        assert_eq!((change.state, change.alarms), (ChangeState::Changed, 1));
        let (begin, end) = change.onset.unwrap();
        assert!(
            ms(58_000) <= begin && begin <= ms(60_000) && ms(60_000) < end && end <= ms(61_000),
            "{begin:?} {end:?}"
        );
        assert_eq!(change.changed, Some(ms(61_500)), "three blocks of it");
        let calm = shown(&mut detector, 62_100, 68_000, 0.5);
        assert_eq!((calm.state, calm.alarms, calm.changed), (ChangeState::Nominal, 1, change.changed));
        assert_eq!(shown(&mut detector, 68_000, 70_000, 2e-4).alarms, 2);
    }

    #[test]
    fn jumps_begin_anew_pauses_do_not() {
        let mut detector = ChangeDetector::new(10 * HOUR, BLOCK);
        let before = shown(&mut detector, 3_600_000, 3_601_100, 2e-4);
        assert!(before.evidence > 1000.0);
        let paused = shown(&mut detector, 3_650_000, 3_650_100, 2e-4);
        assert!(paused.evidence > before.evidence, "the publisher began again");
        assert_eq!(detector.jumps(), 0);
        assert_eq!(shown(&mut detector, 1000, 1100, 2e-4).evidence, 0.0, "back by an hour");
        assert_eq!(shown(&mut detector, 7_200_000, 7_200_100, 0.5).evidence, 0.0, "forward by two");
        assert_eq!((detector.jumps(), detector.now().watched), (2, ms(50_000)));
    }

    #[test]
    fn equal_stamps_slow_and_fast_cameras() {
        let mut detector = ChangeDetector::new(HOUR, BLOCK);
        for _ in 0..1000 {
            detector.observe(ms(5000), [1e-4].into_iter(), Some(&bets()));
        }
        assert_eq!(detector.now().evidence, 0.0, "one block that is not over");
        let e_value = bets().e_value(1e-4).unwrap();
        let slow = (1..=3).map(|at| detector.observe(ms(5000 + at * 10_000), [1e-4].into_iter(), Some(&bets()))).last();
        let one_each = (1..=3).fold(0.0, |evidence, _| (evidence + 1.0) * e_value);
        assert_relative_eq!(slow.unwrap().evidence, one_each, max_relative = 1e-9);
        let mut fast = ChangeDetector::new(HOUR, BLOCK);
        for image in 0..240 {
            fast.observe(ms(image * 25 / 3), [1e-4].into_iter(), Some(&bets()));
        }
        assert_relative_eq!(fast.now().evidence, one_each, max_relative = 1e-9);
    }

    #[test]
    fn nothing_judged_says_nothing() {
        let mut detector = ChangeDetector::new(HOUR, BLOCK);
        for image in 0..100 {
            detector.observe(ms(image * 100), [f32::NAN].into_iter(), Some(&bets()));
        }
        assert_eq!((detector.now().evidence, detector.now().state), (0.0, ChangeState::Nominal));
        let unwatched = detector.observe(ms(10_000), [1e-4].into_iter(), None);
        assert_eq!(unwatched.state, ChangeState::Unknown);
        assert!(unwatched.reason.contains("not calibrated for streams"));
    }

    /// Mean time between alarms over the promised one, of a stream of blocks with `images` images each; `block` gives their p-values.
    fn realised(promised_secs: u64, blocks: u32, images: u64, mut block: impl FnMut() -> Vec<f32>) -> f64 {
        let promised = Duration::from_secs(promised_secs);
        let mut detector = ChangeDetector::new(promised, BLOCK);
        for number in 0..u64::from(blocks) {
            for (image, p_value) in (0..images).zip(block()) {
                let stamp = ms(500 * number) + BLOCK * image as u32 / images as u32;
                detector.observe(stamp, [p_value].into_iter(), Some(&bets()));
            }
        }
        let watched = f64::from(blocks) * BLOCK.as_secs_f64();
        watched / f64::from(detector.now().alarms.max(1)) / promised.as_secs_f64()
    }

    fn uniform(random: &mut ChaCha8Rng) -> f32 {
        1.0 - random.random::<f32>()
    }

    /// Whatever the images of a block have to do with each other: all alike, independent, or opposite.
    #[test]
    fn the_promise_holds_whatever_the_images_of_a_block_have_in_common() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let alike = realised(50, 200_000, 2, || vec![uniform(&mut random); 2]);
        let independent = realised(50, 100_000, 5, || (0..5).map(|_| uniform(&mut random)).collect());
        let opposite = realised(50, 200_000, 2, || {
            let p_value = uniform(&mut random);
            vec![p_value, (1.0 - p_value).max(f32::EPSILON)]
        });
        for (name, ratio) in [("alike", alike), ("independent", independent), ("opposite", opposite)] {
            assert!(ratio >= 1.0, "{name}: {ratio} of the promised time between alarms");
        }
        assert!(alike < 20.0, "{alike}: it never alarms, the test shows nothing");
    }

    /// What `docs/stream.md` says of the limits: blocks that depend on each other break the promise.
    #[test]
    fn the_promise_does_not_hold_where_blocks_depend_on_each_other() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut latent = uniform(&mut random);
        let sticky = realised(2000, 200_000, 2, || {
            if random.random::<f32>() < 0.2 {
                latent = uniform(&mut random);
            }
            vec![latent; 2]
        });
        assert!(sticky < 0.7, "{sticky} of the promised time, although strange objects stay for five blocks");
        let strange_by_night = realised(2000, 200_000, 2, || vec![uniform(&mut random).powf(1.5); 2]);
        assert!(
            strange_by_night < 0.7,
            "{strange_by_night} of the promised time, although every image is a little stranger"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn the_promise_holds_at_every_rate(seed in 0u64..1000, images in 1u64..20, promised_secs in 5u64..200) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let common: f32 = random.random();
            let ratio = realised(promised_secs, 10_000, images, || {
                let shared = uniform(&mut random);
                (0..images).map(|_| if random.random::<f32>() < common { shared } else { uniform(&mut random) }).collect()
            });
            prop_assert!(ratio >= 1.0, "{ratio} of the promised time between alarms");
        }

        /// Stamps in any order, repeated, far away; p-values that are none.
        #[test]
        fn whatever_comes_the_state_stays_sound(
            images in prop::collection::vec((0u64..200_000, prop::collection::vec(prop_oneof![Just(f32::NAN), 0f32..=1.0], 0..4)), 1..200)
        ) {
            let mut detector = ChangeDetector::new(HOUR, BLOCK);
            for (stamp, p_values) in images {
                let change = detector.observe(ms(stamp), p_values.into_iter(), Some(&bets()));
                prop_assert!(change.evidence.is_finite() && change.evidence >= 0.0);
                prop_assert_eq!(change.alarms > 0, change.changed.is_some());
                if let Some((begin, end)) = change.onset {
                    prop_assert!(begin < end && end <= change.changed.unwrap_or_default() + BLOCK);
                }
            }
        }
    }
}
