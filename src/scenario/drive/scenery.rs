//! The world beside the signs: sky, hills, road, trees, houses and posts.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::lens::Lens;
use super::weather::Air;
use crate::scenario::picture::{Picture, mix, smooth_step};
use crate::scenario::texture::smooth;

/// Farthest object that is drawn, in metres.
const FAR: f32 = 130.0;

/// Something that stands upright beside the road.
struct Prop {
    kind: PropKind,
    position: f32,
    offset: f32,
    width: f32,
    height: f32,
    colour: [f32; 3],
    seed: f32,
}

#[derive(Clone, Copy)]
enum PropKind {
    Tree,
    House,
    Post,
}

/// Everything that does not change during a drive.
pub(super) struct Scenery {
    /// In driving order.
    props: Vec<Prop>,
    zenith: [f32; 3],
    clouds_at: f32,
    grass: [f32; 3],
}

impl Scenery {
    /// Draws the world along `length` metres of road.
    pub(super) fn new(seed: u64, length: f32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5cee_e217);
        let mut props = Vec::new();
        let mut position = 4.0;
        while position < length + FAR {
            props.push(Prop::random(position, &mut rng));
            position += rng.random_range(2.0..6.0);
        }
        props.extend((0..((length + FAR) / 25.0) as u16).flat_map(|index| Prop::posts(25.0 * f32::from(index) + 7.0)));
        props.sort_by(|a, b| a.position.total_cmp(&b.position));
        Self {
            props,
            zenith: [rng.random_range(0.36..0.5), rng.random_range(0.56..0.66), rng.random_range(0.8..0.9)],
            clouds_at: rng.random_range(0.0..200.0),
            grass: [rng.random_range(0.3..0.42), rng.random_range(0.42..0.5), rng.random_range(0.18..0.24)],
        }
    }

    /// Sky, hills and ground as seen from `position` metres along the road.
    pub(super) fn backdrop(&self, lens: &Lens, position: f32, air: &Air) -> Picture {
        let (width, height) = (lens.width as usize, lens.height as usize);
        Picture::from_fn(width, height, |x, y| {
            if y < lens.centre.1 + 1.0 { self.sky(lens, x, y, air) } else { self.ground(lens, x, y, position, air) }
        })
    }

    /// Draws the props whose distance lies in `near..far` metres, farthest first.
    pub(super) fn paint_props(
        &self,
        picture: &mut Picture,
        lens: &Lens,
        position: f32,
        air: &Air,
        near: f32,
        far: f32,
    ) {
        let visible = self.props.iter().rev().filter(|prop| {
            let ahead = prop.position - position;
            ahead >= near.max(3.0) && ahead < far.min(FAR)
        });
        for prop in visible {
            prop.paint(picture, lens, prop.position - position, air);
        }
    }

    fn sky(&self, lens: &Lens, x: f32, y: f32, air: &Air) -> [f32; 3] {
        let scale = 720.0 / lens.height as f32;
        let (x, up) = ((x - lens.centre.0) * scale, (lens.centre.1 - y) * scale);
        let hill = 16.0 + 46.0 * smooth(self.clouds_at + x * 0.02, 7.0);
        let trees = 8.0 + 22.0 * smooth(self.clouds_at + x * 0.11, 90.0);
        if up < trees {
            let leaf = smooth(x * 0.6, up * 0.6);
            return veiled([0.2 + 0.12 * leaf, 0.27 + 0.16 * leaf, 0.14 + 0.08 * leaf], air, 250.0);
        }
        if up < hill {
            return veiled([0.42, 0.52, 0.5], air, 600.0);
        }
        let cloud = smooth_step(0.5, 0.75, smooth(self.clouds_at + x * 0.09, up * 0.22));
        let clear = mix([0.84, 0.89, 0.94], self.zenith, (up / 340.0).clamp(0.0, 1.0));
        veiled(mix(clear, [0.96, 0.96, 0.97], cloud), air, 2000.0)
    }

    fn ground(&self, lens: &Lens, x: f32, y: f32, position: f32, air: &Air) -> [f32; 3] {
        let ahead = lens.road_distance(y);
        let right = (x - lens.centre.0) * ahead / lens.focal;
        let along = position + ahead;
        let fineness = 1.0 - smooth_step(12.0, 60.0, ahead);
        let colour = match right {
            -4.0..=2.0 => road(right, along, fineness),
            -4.6..=2.6 => {
                [0.5, 0.47, 0.41].map(|value| value + 0.1 * fineness * (smooth(right * 9.0, along * 9.0) - 0.5))
            }
            _ => {
                let blade = (smooth(right * 2.0, along * 2.0) - 0.5) * (0.3 + 0.7 * fineness);
                self.grass.map(|value| value * (1.0 + 0.9 * blade))
            }
        };
        veiled(colour, air, ahead)
    }
}

/// Asphalt with edge lines and a dashed centre line.
fn road(right: f32, along: f32, fineness: f32) -> [f32; 3] {
    let dash = (right + 1.0).abs() < 0.08 && along.rem_euclid(9.0) < 4.0;
    let edge = (right - 1.75).abs() < 0.07 || (right + 3.75).abs() < 0.07;
    if dash || edge {
        return [0.86, 0.86, 0.84];
    }
    let grain = smooth(right * 12.0, along * 6.0) - 0.5;
    let worn = smooth(right * 3.0, along * 0.3) - 0.5;
    [0.37 + 0.14 * fineness * grain + 0.1 * worn; 3]
}

fn veiled(colour: [f32; 3], air: &Air, distance: f32) -> [f32; 3] {
    let veil = air.veil(distance);
    mix(colour, veil.colour, veil.share)
}

impl Prop {
    fn random(position: f32, rng: &mut impl Rng) -> Self {
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let house = rng.random_bool(0.12);
        let (kind, width, height) = if house {
            (PropKind::House, rng.random_range(8.0..12.0), rng.random_range(6.0..9.0))
        } else {
            (PropKind::Tree, rng.random_range(3.5..7.0), rng.random_range(5.0..11.0))
        };
        let base = match (house, rng.random_range(0..3)) {
            (true, 0) => [0.82, 0.78, 0.68],
            (true, 1) => [0.7, 0.44, 0.34],
            (true, _) => [0.86, 0.86, 0.84],
            (false, 0) => [0.3, 0.42, 0.17],
            (false, 1) => [0.22, 0.34, 0.15],
            (false, _) => [0.44, 0.42, 0.18],
        };
        let offset = side * (if house { 15.0 } else { 9.0 } + rng.random_range(0.0..14.0));
        Self { kind, position, offset, width, height, colour: base, seed: rng.random_range(0.0..256.0) }
    }

    /// The two delineator posts at a position.
    fn posts(position: f32) -> [Self; 2] {
        let post = |offset| Self {
            kind: PropKind::Post,
            position,
            offset,
            width: 0.13,
            height: 1.0,
            colour: [0.88, 0.88, 0.87],
            seed: 0.0,
        };
        [post(2.4), post(-4.4)]
    }

    fn paint(&self, picture: &mut Picture, lens: &Lens, distance: f32, air: &Air) {
        let (left, top) = lens.project(self.offset - self.width / 2.0, self.height, distance);
        let (right, bottom) = lens.project(self.offset + self.width / 2.0, 0.0, distance);
        let veil = air.veil(distance);
        picture.update([left, top, right, bottom], |(x, y), behind| {
            let across = 2.0 * (x - left) / (right - left) - 1.0;
            let up = (bottom - y) / (bottom - top);
            self.colour_at(across, up).map_or(behind, |colour| mix(colour, veil.colour, veil.share))
        });
    }

    /// Colour at `across` -1..1 and `up` 0..1; `None` where one sees past it.
    fn colour_at(&self, across: f32, up: f32) -> Option<[f32; 3]> {
        match self.kind {
            PropKind::Tree => self.tree(across, up),
            PropKind::House => self.house(across, up),
            PropKind::Post => Some(if (0.62..0.82).contains(&up) { [0.12; 3] } else { self.colour }),
        }
    }

    fn tree(&self, across: f32, up: f32) -> Option<[f32; 3]> {
        let (x, y) = (self.seed + across * self.width * 3.0, up * self.height * 6.0);
        let leaf = smooth(x, y);
        let from_middle = across * across + ((up - 0.62) / 0.38).powi(2);
        if from_middle + 1.3 * (leaf - 0.5) < 0.8 {
            let light = 0.35 + 0.75 * smooth(2.1 * x, 2.1 * y) + 0.3 * (up - 0.6);
            return Some(self.colour.map(|value| value * light));
        }
        (across.abs() < 0.06 && up < 0.5).then_some([0.25, 0.2, 0.15])
    }

    fn house(&self, across: f32, up: f32) -> Option<[f32; 3]> {
        const EAVES: f32 = 0.62;
        if up > EAVES {
            let under_roof = across.abs() < 1.0 - 0.75 * (up - EAVES) / (1.0 - EAVES);
            return under_roof
                .then(|| [0.46, 0.2, 0.15].map(|value| value * (0.85 + 0.3 * smooth(across * 40.0, up * 60.0))));
        }
        let (column, row) = (((across + 1.0) * 2.0).fract(), (up / EAVES * 2.0).fract());
        let window = (0.3..0.7).contains(&column) && (0.35..0.75).contains(&row);
        let wall = 0.94 + 0.12 * (smooth(self.seed + across * 20.0, up * 20.0) - 0.5);
        Some(if window { [0.2, 0.24, 0.3] } else { self.colour.map(|value| value * wall) })
    }
}
