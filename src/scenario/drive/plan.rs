//! Which signs stand where.

use std::f32::consts::PI;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Lasting;
use super::lens::Lens;
use super::subject::{Anomaly, Subject};
use crate::scenario::canvas::Point;
use crate::scenario::look::SignLook;
use crate::scenario::script::{ClassName, Look, PlacedSign, RandomSigns, Row, Script, Side};
use crate::scenario::sign::{CLASS_NAMES, ForeignSign};
use crate::scenario::sprite::{Pose, View};

/// Metres that an anomaly which fills the view is kept apart from other signs: longer than signs are seen.
const ALONE: f32 = 32.0;
/// Metres from which on a sign is large enough to be detected.
const SIGHT: f32 = 36.0;
/// What seeds of placed signs and of rows begin with.
const PLACED: u64 = 0x91ac_0000;
const IN_A_ROW: u64 = 0x90e0_0000;

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
    /// Smallest box (left, top, right, bottom) in pixels around it, seen from `distance` metres before it.
    pub(super) fn bounds(&self, lens: &Lens, distance: f32) -> [f32; 4] {
        let view = self.view(lens, distance);
        self.subject.image.seen_at(view.radius_px).bounds(&view)
    }

    /// How it is seen from `distance` metres before it.
    pub(super) fn view(&self, lens: &Lens, distance: f32) -> View {
        let centre: Point = lens.project(self.offset, self.height, distance);
        let pose = Pose { roll: self.pose.roll + self.subject.roll, ..self.pose };
        View::new(centre, lens.focal * self.radius / distance, pose)
    }

    fn new(number: usize, subject: Subject, position: f32, rng: &mut impl Rng) -> Self {
        let right = rng.random_bool(0.65);
        let shaken = rng.random_bool(0.25);
        let sign = Self {
            id: format!("sign_{number:02}"),
            subject,
            position,
            offset: if right { rng.random_range(3.0..3.6) } else { rng.random_range(-4.8..-4.2) },
            height: rng.random_range(2.0..2.7),
            radius: rng.random_range(0.36..0.41),
            pose: Pose::random(rng),
            look: SignLook::random(rng),
            shake: (if shaken { rng.random_range(0.04..0.12) } else { 0.0 }, rng.random_range(-0.5..0.5)),
        };
        match sign.subject.anomaly {
            Some(Anomaly::Led) => Self { look: SignLook::PLAIN, ..sign },
            Some(Anomaly::Faded) => Self { look: sign.look.bleached(), ..sign },
            _ => sign,
        }
    }

    /// Whether it shines by itself.
    pub(super) fn shines(&self) -> bool {
        self.subject.anomaly == Some(Anomaly::Led)
    }
}

/// Draws all signs of a scenario in driving order.
pub(super) fn signs(script: &Script) -> Vec<RoadsideSign> {
    let mut signs = script.signs.random.as_ref().map(|random| by_lot(script, random)).unwrap_or_default();
    for (index, placed) in script.signs.list.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(script.seed ^ (PLACED + index as u64));
        signs.push(at_its_place(signs.len(), placed, script.road.speed_mps, &mut rng));
    }
    for (index, row) in script.signs.rows.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(script.seed ^ (IN_A_ROW + index as u64));
        let first = signs.len();
        signs.extend(in_a_row(first, row, script.road.speed_mps, &mut rng));
    }
    signs.sort_by(|a, b| a.position.total_cmp(&b.position));
    signs
}

/// Draws signs along the whole road, nearest first.
/// With something lasting, all signs are normal until it begins, and have it from then on.
fn by_lot(script: &Script, random: &RandomSigns) -> Vec<RoadsideSign> {
    let mut rng = ChaCha8Rng::seed_from_u64(script.seed);
    let mut decks = Decks::new(&random.anomalies);
    let speed = script.road.speed_mps;
    let spacing = random.every_secs * speed;
    let end = speed * script.duration_secs + 10.0;
    let (mut position, mut signs) = (SIGHT + 4.0, Vec::new());
    let mut normal_left: i32 = 2;
    while position < end {
        let anomaly = match random.lasting {
            None if random.alternate => (normal_left == 0).then(|| decks.anomalies.draw(&mut rng)),
            None => rng.random_bool(f64::from(random.strange_share)).then(|| decks.anomalies.draw(&mut rng)),
            Some(Lasting { anomaly, from_secs }) => (position - SIGHT >= speed * from_secs).then_some(anomaly),
        };
        let apart = if anomaly.is_some_and(Anomaly::fills_the_view) { ALONE } else { 0.0 };
        position += (apart - spacing).max(0.0);
        normal_left = if anomaly.is_some() { rng.random_range(1..=2) } else { (normal_left - 1).max(0) };
        let subject = decks.subject(anomaly, &mut rng);
        signs.push(RoadsideSign::new(signs.len(), subject, position, &mut rng));
        position += apart.max(spacing) + rng.random_range(0.0..1.5);
    }
    signs
}

/// A sign where the scenario wants it.
fn at_its_place(number: usize, placed: &PlacedSign, speed: f32, rng: &mut impl Rng) -> RoadsideSign {
    let mut sign = RoadsideSign::new(number, subject_of(placed, rng), speed * placed.at_secs, rng);
    sign.offset = offset(placed.side, placed.offset_m);
    sign.height = placed.height_m;
    if placed.look == Look::UpsideDown {
        sign.subject.roll = PI;
    }
    sign
}

fn subject_of(placed: &PlacedSign, rng: &mut impl Rng) -> Subject {
    let Some(ClassName(class)) = placed.class else {
        return Subject::foreign(placed.foreign.unwrap_or(ForeignSign::StAndrewsCross));
    };
    match (placed.attack, placed.look) {
        (Some(attack), _) => Subject::attacked(class, attack, rng),
        (None, Look::Normal) => Subject::known(class),
        (None, Look::UpsideDown) => Subject::upside_down(class),
        (None, Look::Led) => Subject::looking(class, Anomaly::Led, rng),
        (None, Look::Faded) => Subject::looking(class, Anomaly::Faded, rng),
        (None, Look::Snow) => Subject::looking(class, Anomaly::Snow, rng),
    }
}

/// Signs one behind the other, mounted alike.
fn in_a_row(first: usize, row: &Row, speed: f32, rng: &mut impl Rng) -> Vec<RoadsideSign> {
    let numbers = 0..row.count as usize;
    let mut signs: Vec<RoadsideSign> = numbers
        .map(|number| {
            let ClassName(class) = row.classes[number % row.classes.len()];
            let position = speed * row.at_secs + row.spacing_m * number as f32;
            RoadsideSign::new(first + number, Subject::known(class), position, rng)
        })
        .collect();
    for sign in &mut signs {
        sign.offset = offset(row.side, None);
        sign.height = 2.3;
    }
    signs
}

/// Metres to the right of the car's path.
fn offset(side: Side, wanted: Option<f32>) -> f32 {
    match side {
        Side::Right => wanted.unwrap_or(3.3),
        Side::Left => -wanted.unwrap_or(4.5),
    }
}

/// What is still to be shown, so that everything comes round before anything comes twice.
struct Decks {
    classes: Deck<usize>,
    anomalies: Deck<Anomaly>,
    foreign: Deck<ForeignSign>,
}

impl Decks {
    fn new(wanted: &[Anomaly]) -> Self {
        let anomalies = match wanted {
            [] => Anomaly::ALL.into_iter().chain([Anomaly::UnknownSign]).collect(),
            _ => wanted.to_vec(),
        };
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
    use crate::scenario::drive::DriveSettings;

    fn standard(seed: u64, seconds: f32, lasting: Option<Lasting>) -> Vec<RoadsideSign> {
        signs(&Script::standard(&DriveSettings { seed, seconds, width: 1280, height: 720, lasting }))
    }

    #[test]
    fn most_signs_are_normal_and_every_anomaly_comes() {
        for seed in 0..5 {
            let signs = standard(seed, 40.0, None);
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
        let signs = standard(1, 30.0, Some(lasting));
        let first = signs.iter().position(|sign| sign.subject.anomaly.is_some()).unwrap();
        assert!(signs[first].position - SIGHT >= 160.0 && signs[first - 1].position - SIGHT < 160.0);
        assert!(signs[first..].iter().all(|sign| sign.subject.anomaly == Some(Anomaly::Fog)));
    }

    #[test]
    fn what_fills_the_view_stands_alone() {
        let signs = standard(3, 60.0, None);
        for pair in signs.windows(2) {
            let fills = pair.iter().any(|sign| sign.subject.anomaly.is_some_and(Anomaly::fills_the_view));
            assert!(!fills || pair[1].position - pair[0].position >= ALONE - 0.1);
        }
    }

    #[test]
    fn placed_signs_and_rows_stand_where_they_should() {
        let text = "version: 1\nname: a\nduration_secs: 20\nroad: {speed_mps: 10}\nsigns:\n  list:\n    \
                    - {class: stop, at_secs: 9, side: left, look: upside_down}\n    \
                    - {class: yield, at_secs: 3, offset_m: 5, height_m: 3}\n  rows:\n    \
                    - {classes: [stop, yield], count: 3, at_secs: 5, spacing_m: 12}\n";
        let script = Script::parse(text, std::path::Path::new("a.yaml")).unwrap();
        let signs = signs(&script);
        let stands: Vec<(f32, f32, Option<usize>)> =
            signs.iter().map(|sign| (sign.position, sign.offset, sign.subject.class)).collect();
        let expected = [
            (30.0, 5.0, Some(13)),
            (50.0, 3.3, Some(14)),
            (62.0, 3.3, Some(13)),
            (74.0, 3.3, Some(14)),
            (90.0, -4.5, Some(14)),
        ];
        assert_eq!(stands, expected);
        assert_eq!(signs[0].height, 3.0);
        assert_eq!(signs[4].subject.roll, PI);
        assert_eq!(signs[4].subject.anomaly, Some(Anomaly::UpsideDown));
    }
}
