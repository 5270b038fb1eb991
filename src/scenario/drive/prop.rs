//! What stands upright beside the road: trees, houses and posts.

use std::ops::Range;

use rand::Rng;

use super::facade;
use super::lens::Lens;
use super::weather::Air;
use crate::scenario::picture::{Picture, mix};
use crate::scenario::script::{Surroundings, Textures};
use crate::scenario::texture::{grain, smooth};

/// Share of a house's height at which its roof begins.
const EAVES: f32 = 0.62;
/// Colour of a window with light behind it.
const LAMPLIGHT: [f32; 3] = [0.95, 0.76, 0.42];

/// Something that stands upright beside the road.
pub(super) struct Prop {
    kind: PropKind,
    /// Metres along the road from the start.
    pub(super) position: f32,
    offset: f32,
    width: f32,
    height: f32,
    colour: [f32; 3],
    seed: f32,
}

#[derive(Clone, Copy)]
enum PropKind {
    Tree,
    Conifer,
    House,
    Facade,
    Post,
}

impl Prop {
    /// Metres from one to the next.
    pub(super) fn spacing(surroundings: Surroundings) -> Range<f32> {
        match surroundings {
            Surroundings::Country => 2.0..6.0,
            Surroundings::Town => 2.5..5.0,
            Surroundings::Forest => 0.5..1.6,
            Surroundings::Open => 18.0..60.0,
        }
    }

    pub(super) fn random(position: f32, surroundings: Surroundings, rng: &mut impl Rng) -> Self {
        let houses = match surroundings {
            Surroundings::Country => 0.12,
            Surroundings::Town => 0.75,
            Surroundings::Forest => 0.004,
            Surroundings::Open => 0.2,
        };
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let house = rng.random_bool(houses);
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
        let prop = Self { kind, position, offset, width, height, colour: base, seed: rng.random_range(0.0..256.0) };
        prop.suited_to(surroundings)
    }

    /// What stands there instead in a town or a forest.
    fn suited_to(self, surroundings: Surroundings) -> Self {
        match (surroundings, self.kind) {
            (Surroundings::Town, PropKind::House) => Self {
                kind: PropKind::Facade,
                offset: self.offset.signum() * (11.0 + 0.25 * self.offset.abs()),
                height: 1.5 * self.height,
                ..self
            },
            (Surroundings::Town, PropKind::Tree) => Self { width: 0.7 * self.width, height: 0.7 * self.height, ..self },
            (Surroundings::Forest, PropKind::Tree) if self.seed > 90.0 => Self {
                kind: PropKind::Conifer,
                width: 0.8 * self.width,
                height: 1.7 * self.height,
                colour: [0.13, 0.22, 0.13],
                ..self
            },
            (Surroundings::Forest, PropKind::Tree) => Self { height: 1.3 * self.height, ..self },
            _ => self,
        }
    }

    /// The two delineator posts at a position.
    pub(super) fn posts(position: f32) -> [Self; 2] {
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

    pub(super) fn paint(&self, picture: &mut Picture, lens: &Lens, distance: f32, air: &Air, textures: Textures) {
        let (left, top) = lens.project(self.offset - self.width / 2.0, self.height, distance);
        let (right, bottom) = lens.project(self.offset + self.width / 2.0, 0.0, distance);
        let veil = air.veil(distance);
        let light = air.light.on_object(self.offset, distance);
        picture.update([left, top, right, bottom], |(x, y), behind| {
            let across = 2.0 * (x - left) / (right - left) - 1.0;
            let up = (bottom - y) / (bottom - top);
            self.colour_at(across, up).map_or(behind, |colour| {
                let detail = if textures == Textures::Fine { self.detail(across, up, distance) } else { 1.0 };
                let lit = std::array::from_fn(|channel| colour[channel] * light[channel] * detail);
                let lamp = if self.is_lit_window(across, up) { 0.9 * air.light.headlights } else { 0.0 };
                mix(mix(lit, LAMPLIGHT, lamp), veil.colour, veil.share)
            })
        });
    }

    /// Brightness of leaves, needles or plaster close up; what is far away blends.
    fn detail(&self, across: f32, up: f32, distance: f32) -> f32 {
        let (x, y) = (self.seed + across * 0.5 * self.width, up * self.height);
        let (scale, depth) = match self.kind {
            PropKind::Tree | PropKind::Conifer => (9.0, 0.42),
            PropKind::House | PropKind::Facade => (12.0, 0.05),
            PropKind::Post => return 1.0,
        };
        let clumps = grain(0.4 * scale * x, 0.4 * scale * y) + 2.0 * (smooth(6.0 * x, 6.0 * y) - 0.5);
        let single = grain(scale * x, scale * y) / (1.0 + (distance / 30.0).powi(2));
        (1.0 + depth * (clumps + single)).max(0.15)
    }

    /// Whether somebody has the light on behind a place of a house.
    fn is_lit_window(&self, across: f32, up: f32) -> bool {
        let window = match self.kind {
            PropKind::House if up <= EAVES => house_window(across, up),
            PropKind::Facade => facade::window(across, up, self.width, self.height),
            _ => None,
        };
        window.is_some_and(|(column, row)| smooth(self.seed + 57.0 * column, 71.0 * row) > 0.52)
    }

    /// Colour at `across` -1..1 and `up` 0..1; `None` where one sees past it.
    fn colour_at(&self, across: f32, up: f32) -> Option<[f32; 3]> {
        match self.kind {
            PropKind::Tree => self.tree(across, up),
            PropKind::Conifer => self.conifer(across, up),
            PropKind::House => self.house(across, up),
            PropKind::Facade => facade::colour(across, up, (self.width, self.height), self.colour, self.seed),
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

    /// A spruce: tiers of branches that hang down, wider towards the ground.
    fn conifer(&self, across: f32, up: f32) -> Option<[f32; 3]> {
        let needles = smooth(self.seed + across * self.width * 5.0, up * self.height * 9.0);
        let tier = (up * self.height * 0.8).fract();
        let reach = (1.0 - up) * (0.65 + 0.35 * (1.0 - tier)) * (0.7 + 0.6 * needles);
        if up > 0.06 && across.abs() < reach {
            let light = 0.5 + 0.9 * needles * (0.4 + 0.6 * (1.0 - tier)) + 0.15 * across;
            return Some(self.colour.map(|value| value * light));
        }
        (across.abs() < 0.05 && up < 0.2).then_some([0.2, 0.15, 0.11])
    }

    fn house(&self, across: f32, up: f32) -> Option<[f32; 3]> {
        if up > EAVES {
            let under_roof = across.abs() < 1.0 - 0.75 * (up - EAVES) / (1.0 - EAVES);
            return under_roof
                .then(|| [0.46, 0.2, 0.15].map(|value| value * (0.85 + 0.3 * smooth(across * 40.0, up * 60.0))));
        }
        let wall = 0.94 + 0.12 * (smooth(self.seed + across * 20.0, up * 20.0) - 0.5);
        Some(if house_window(across, up).is_some() { [0.2, 0.24, 0.3] } else { self.colour.map(|value| value * wall) })
    }
}

/// Column and row of the window at a place of a house's wall; `None` between windows.
fn house_window(across: f32, up: f32) -> Option<(f32, f32)> {
    let (columns, rows) = ((across + 1.0) * 2.0, up / EAVES * 2.0);
    let window = (0.3..0.7).contains(&columns.fract()) && (0.35..0.75).contains(&rows.fract());
    window.then(|| (columns.floor(), rows.floor()))
}
