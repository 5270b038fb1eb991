//! What is behind a sign in a training crop: sky, foliage, walls, trunks, or a horizon.

use rand::Rng;

use super::canvas::Point;
use super::picture::{mix, smooth_step};
use super::texture::smooth;

/// Backgrounds are functions of the position in units of the sign, so they do not depend on the resolution.
pub struct Backdrop {
    kind: Kind,
    near: [f32; 3],
    far: [f32; 3],
    offset: Point,
    scale: f32,
    line: f32,
    tilt: f32,
    pole: Option<Pole>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Sky,
    Foliage,
    Wall,
    Trunks,
    Horizon,
}

/// The pole that carries the sign.
struct Pole {
    half_width: f32,
    lean: f32,
    /// Whether it goes on above the sign, to another one.
    through: bool,
    brightness: f32,
}

const SKIES: [[f32; 3]; 4] = [[0.93, 0.94, 0.95], [0.62, 0.76, 0.93], [0.45, 0.62, 0.88], [0.72, 0.74, 0.78]];
const LEAVES: [[f32; 3]; 5] =
    [[0.22, 0.34, 0.13], [0.34, 0.44, 0.2], [0.42, 0.36, 0.2], [0.13, 0.2, 0.1], [0.5, 0.46, 0.2]];
const WALLS: [[f32; 3]; 5] =
    [[0.82, 0.79, 0.72], [0.62, 0.34, 0.26], [0.56, 0.56, 0.56], [0.75, 0.66, 0.5], [0.36, 0.36, 0.4]];

impl Backdrop {
    /// Draws a background.
    pub fn random(rng: &mut impl Rng) -> Self {
        let (kind, near) = match rng.random_range(0..10) {
            0..=2 => (Kind::Sky, pick(rng, &SKIES)),
            3..=5 => (Kind::Foliage, pick(rng, &LEAVES)),
            6 | 7 => (Kind::Wall, pick(rng, &WALLS)),
            8 => (Kind::Trunks, pick(rng, &LEAVES)),
            _ => (Kind::Horizon, pick(rng, &LEAVES)),
        };
        Self {
            kind,
            near,
            far: pick(rng, &SKIES),
            offset: (rng.random_range(0.0..256.0), rng.random_range(0.0..256.0)),
            scale: rng.random_range(6.0..30.0),
            line: rng.random_range(-0.7..0.9),
            tilt: rng.random_range(-0.4..0.4),
            pole: rng.random_bool(0.75).then(|| Pole::random(rng)),
        }
    }

    /// Colour at a point; the sign covers about (-1, -1) to (1, 1).
    pub fn colour(&self, point: Point) -> [f32; 3] {
        let behind = match self.kind {
            Kind::Sky => self.sky(point),
            Kind::Foliage => self.foliage(point),
            Kind::Wall => self.wall(point),
            Kind::Trunks => self.trunks(point),
            Kind::Horizon if point.1 < self.line + self.tilt * point.0 => self.sky(point),
            Kind::Horizon => self.foliage(point),
        };
        self.pole.as_ref().and_then(|pole| pole.colour(point)).unwrap_or(behind)
    }

    fn noise(&self, point: Point, stretch: f32) -> f32 {
        smooth(self.offset.0 + point.0 * self.scale * stretch, self.offset.1 + point.1 * self.scale * stretch)
    }

    fn sky(&self, point: Point) -> [f32; 3] {
        let cloud = self.noise(point, 0.3) - 0.5;
        mix(self.far, [0.95, 0.96, 0.97], (0.3 + 0.15 * point.1 + 0.8 * cloud).clamp(0.0, 1.0))
    }

    fn foliage(&self, point: Point) -> [f32; 3] {
        let leaf = smooth_step(0.2, 0.8, 0.55 * self.noise(point, 1.0) + 0.45 * self.noise(point, 3.1));
        let lit = mix(self.near.map(|value| value * 0.3), self.near.map(|value| (value * 1.6).min(1.0)), leaf);
        mix(lit, self.far, 0.7 * smooth_step(0.66, 0.74, self.noise((point.1, point.0), 1.3)))
    }

    fn wall(&self, point: Point) -> [f32; 3] {
        let grain = 1.0 + 0.25 * (self.noise(point, 2.0) - 0.5);
        let (across, down) = (point.0 + self.line, point.1 + self.tilt);
        let window = (across * 0.45).rem_euclid(1.0) > 0.62 && (down * 0.3).rem_euclid(1.0) > 0.5;
        let joint = (down * 5.0).rem_euclid(1.0) < 0.14;
        let shade = if window {
            0.4
        } else if joint {
            0.88
        } else {
            1.0
        };
        self.near.map(|value| value * grain * shade)
    }

    fn trunks(&self, point: Point) -> [f32; 3] {
        let trunk = smooth(self.offset.0 + point.0 * self.scale, self.offset.1 + point.1 * 2.0);
        let bark = self.near.map(|value| value * (0.3 + 0.5 * self.noise(point, 2.0)));
        mix(self.far, bark, smooth_step(0.4, 0.55, trunk))
    }
}

impl Pole {
    fn random(rng: &mut impl Rng) -> Self {
        Self {
            half_width: rng.random_range(0.05..0.12),
            lean: rng.random_range(-0.06..0.06),
            through: rng.random_bool(0.15),
            brightness: rng.random_range(0.25..0.75),
        }
    }

    /// Grey with a lighter middle; `None` beside the pole.
    fn colour(&self, (x, y): Point) -> Option<[f32; 3]> {
        let across = (x - self.lean * y) / self.half_width;
        let covered = across.abs() < 1.0 && (y > 0.0 || self.through);
        covered.then_some([self.brightness * (1.1 - 0.45 * across * across); 3])
    }
}

fn pick(rng: &mut impl Rng, palette: &[[f32; 3]]) -> [f32; 3] {
    let colour = palette[rng.random_range(0..palette.len())];
    let light = rng.random_range(0.75..1.15);
    colour.map(|value| (value * light + rng.random_range(-0.04..0.04)).clamp(0.0, 1.0))
}
