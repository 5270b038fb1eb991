//! Which signs stand where.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Lasting;
use super::lens::Lens;
use super::subject::{Anomaly, Subject};
use crate::scenario::canvas::Point;
use crate::scenario::look::SignLook;
use crate::scenario::sign::{CLASS_NAMES, ForeignSign};
use crate::scenario::sprite::{Pose, View};

/// Speed of the car in metres per second.
pub(super) const SPEED: f32 = 16.0;
/// Metres between two signs.
const SPACING: f32 = 11.0;
/// Metres that an anomaly which fills the view is kept apart from other signs: longer than signs are seen.
const ALONE: f32 = 32.0;
/// Metres from which on a sign is large enough to be detected.
const SIGHT: f32 = 36.0;

/// A sign on its pole.
pub(super) struct RoadsideSign {
    /// Name of the physical object.
    pub(super) id: String,
    pub(super) subject: Subject,
    /// Metres along the road from the start.
    pub(super) position: f32,
    /// Metres to the right of the car's path.
    pub(super) offset: f32,
    /// Metres of its centre above the road.
    pub(super) height: f32,
    /// Metres per unit of the drawing.
    pub(super) radius: f32,
    pub(super) pose: Pose,
    pub(super) look: SignLook,
    /// Motion blur: length as a share of the radius, and angle.
    pub(super) shake: (f32, f32),
}

impl RoadsideSign {
    /// How it is seen from `distance` metres before it.
    pub(super) fn view(&self, lens: &Lens, distance: f32) -> View {
        let centre: Point = lens.project(self.offset, self.height, distance);
        let pose = Pose { roll: self.pose.roll + self.subject.roll, ..self.pose };
        View::new(centre, lens.focal * self.radius / distance, pose)
    }

    fn new(number: usize, subject: Subject, position: f32, rng: &mut impl Rng) -> Self {
        let right = rng.random_bool(0.65);
        let shaken = rng.random_bool(0.25);
        Self {
            id: format!("sign_{number:02}"),
            subject,
            position,
            offset: if right { rng.random_range(3.0..3.6) } else { rng.random_range(-4.8..-4.2) },
            height: rng.random_range(2.0..2.7),
            radius: rng.random_range(0.36..0.41),
            pose: Pose::random(rng),
            look: SignLook::random(rng),
            shake: (if shaken { rng.random_range(0.04..0.12) } else { 0.0 }, rng.random_range(-0.5..0.5)),
        }
    }
}

/// Draws the signs for a drive of `seconds`, nearest first. Between two anomalies stand one or two normal signs.
/// With something lasting, all signs are normal until it begins, and have it from then on.
pub(super) fn signs(seed: u64, seconds: f32, lasting: Option<Lasting>) -> Vec<RoadsideSign> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut decks = Decks::new();
    let end = SPEED * seconds + 10.0;
    let (mut position, mut signs) = (SIGHT + 4.0, Vec::new());
    let mut normal_left: i32 = 2;
    while position < end {
        let anomaly = match lasting {
            None => (normal_left == 0).then(|| decks.anomalies.draw(&mut rng)),
            Some(Lasting { anomaly, from_secs }) => (position - SIGHT >= SPEED * from_secs).then_some(anomaly),
        };
        let apart = if anomaly.is_some_and(Anomaly::fills_the_view) { ALONE } else { 0.0 };
        position += (apart - SPACING).max(0.0);
        normal_left = if anomaly.is_some() { rng.random_range(1..=2) } else { (normal_left - 1).max(0) };
        let subject = decks.subject(anomaly, &mut rng);
        signs.push(RoadsideSign::new(signs.len(), subject, position, &mut rng));
        position += apart.max(SPACING) + rng.random_range(0.0..1.5);
    }
    signs
}

/// What is still to be shown, so that everything comes round before anything comes twice.
struct Decks {
    classes: Deck<usize>,
    anomalies: Deck<Anomaly>,
    foreign: Deck<ForeignSign>,
}

impl Decks {
    fn new() -> Self {
        let anomalies = Anomaly::ALL.into_iter().chain([Anomaly::UnknownSign]).collect();
        Self {
            classes: Deck::new((0..CLASS_NAMES.len()).collect()),
            anomalies: Deck::new(anomalies),
            foreign: Deck::new(ForeignSign::ALL.to_vec()),
        }
    }

    fn subject(&mut self, anomaly: Option<Anomaly>, rng: &mut impl Rng) -> Subject {
        match anomaly {
            None => Subject::known(self.classes.draw(rng)),
            Some(Anomaly::UnknownSign) => Subject::foreign(self.foreign.draw(rng)),
            Some(anomaly) => Subject::unusual(anomaly, rng.random_range(0..CLASS_NAMES.len()), rng),
        }
    }
}

/// Cards in random order that are shuffled again when all were drawn.
struct Deck<T> {
    cards: Vec<T>,
    drawn: usize,
}

impl<T: Copy> Deck<T> {
    fn new(cards: Vec<T>) -> Self {
        Self { drawn: cards.len(), cards }
    }

    fn draw(&mut self, rng: &mut impl Rng) -> T {
        if self.drawn >= self.cards.len() {
            self.cards.shuffle(rng);
            self.drawn = 0;
        }
        self.drawn += 1;
        self.cards[self.drawn - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_signs_are_normal_and_every_anomaly_comes() {
        for seed in 0..5 {
            let signs = signs(seed, 40.0, None);
            let normal = signs.iter().filter(|sign| sign.subject.anomaly.is_none()).count();
            assert!(normal * 10 >= signs.len() * 5, "{normal} of {}", signs.len());
            for anomaly in Anomaly::ALL {
                assert!(signs.iter().any(|sign| sign.subject.anomaly == Some(anomaly)), "{anomaly:?} with seed {seed}");
            }
        }
    }

    #[test]
    fn what_lasts_begins_once_and_stays() {
        let lasting = Lasting { anomaly: Anomaly::Fog, from_secs: 10.0 };
        let signs = signs(1, 30.0, Some(lasting));
        let first = signs.iter().position(|sign| sign.subject.anomaly.is_some()).unwrap();
        assert!(signs[first].position - SIGHT >= 160.0 && signs[first - 1].position - SIGHT < 160.0);
        assert!(signs[first..].iter().all(|sign| sign.subject.anomaly == Some(Anomaly::Fog)));
    }

    #[test]
    fn what_fills_the_view_stands_alone() {
        let signs = signs(3, 60.0, None);
        for pair in signs.windows(2) {
            let fills = pair.iter().any(|sign| sign.subject.anomaly.is_some_and(Anomaly::fills_the_view));
            assert!(!fills || pair[1].position - pair[0].position >= ALONE - 0.1);
        }
    }
}
