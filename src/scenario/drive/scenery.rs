//! The world beside the signs: sky, hills and ground.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::lens::Lens;
use super::prop::Prop;
use super::surface;
use super::weather::Air;
use crate::scenario::picture::{Picture, mix, smooth_step};
use crate::scenario::script::{Road, Surface, Textures};
use crate::scenario::texture::{grain, smooth};

/// Farthest object that is drawn, in metres.
const FAR: f32 = 130.0;
/// Where the road lies, in metres to the right of the car's path.
pub(super) const ROAD: std::ops::RangeInclusive<f32> = -4.0..=2.0;

/// Everything that does not change during a drive.
pub(super) struct Scenery {
    /// In driving order.
    props: Vec<Prop>,
    zenith: [f32; 3],
    clouds_at: f32,
    grass: [f32; 3],
    surface: Surface,
    textures: Textures,
}

impl Scenery {
    /// Draws the world along `length` metres of a road.
    pub(super) fn new(seed: u64, length: f32, road: &Road) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5cee_e217);
        let mut props = Vec::new();
        let mut position = 4.0;
        while position < length + FAR {
            props.push(Prop::random(position, road.surroundings, &mut rng));
            position += rng.random_range(Prop::spacing(road.surroundings));
        }
        props.extend((0..((length + FAR) / 25.0) as u16).flat_map(|index| Prop::posts(25.0 * f32::from(index) + 7.0)));
        props.sort_by(|a, b| a.position.total_cmp(&b.position));
        Self {
            props,
            zenith: [rng.random_range(0.36..0.5), rng.random_range(0.56..0.66), rng.random_range(0.8..0.9)],
            clouds_at: rng.random_range(0.0..200.0),
            grass: [rng.random_range(0.3..0.42), rng.random_range(0.42..0.5), rng.random_range(0.18..0.24)],
            surface: road.surface,
            textures: road.textures,
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
            prop.paint(picture, lens, prop.position - position, air, self.textures);
        }
    }

    fn sky(&self, lens: &Lens, x: f32, y: f32, air: &Air) -> [f32; 3] {
        let scale = 720.0 / lens.height as f32;
        let (x, up) = ((x - lens.centre.0) * scale, (lens.centre.1 - y) * scale);
        let far_light = air.light.on_object(0.0, 250.0);
        let hill = 16.0 + 46.0 * smooth(self.clouds_at + x * 0.02, 7.0);
        let trees = 8.0 + 22.0 * smooth(self.clouds_at + x * 0.11, 90.0);
        if up < trees {
            let leaf = smooth(x * 0.6, up * 0.6);
            return veiled([0.2 + 0.12 * leaf, 0.27 + 0.16 * leaf, 0.14 + 0.08 * leaf], far_light, air, 250.0);
        }
        if up < hill {
            return veiled([0.42, 0.52, 0.5], far_light, air, 600.0);
        }
        let cloud = smooth_step(0.5, 0.75, smooth(self.clouds_at + x * 0.09, up * 0.22));
        let clear = mix([0.84, 0.89, 0.94], self.zenith, (up / 340.0).clamp(0.0, 1.0));
        let by_day = mix(clear, [0.96, 0.96, 0.97], cloud);
        veiled(air.light.on_sky(by_day, (up / 340.0).clamp(0.0, 1.0)), [1.0; 3], air, 2000.0)
    }

    fn ground(&self, lens: &Lens, x: f32, y: f32, position: f32, air: &Air) -> [f32; 3] {
        let ahead = lens.road_distance(y);
        let right = lens.right(x, ahead);
        let along = position + ahead;
        let fineness = 1.0 - smooth_step(12.0, 60.0, ahead);
        let colour = match right {
            -4.0..=2.0 => surface::colour(self.surface, right, along, fineness),
            -4.6..=2.6 => {
                [0.5, 0.47, 0.41].map(|value| value + 0.1 * fineness * (smooth(right * 9.0, along * 9.0) - 0.5))
            }
            _ => {
                let blade = (smooth(right * 2.0, along * 2.0) - 0.5) * (0.3 + 0.7 * fineness);
                let detail = if self.textures == Textures::Fine { meadow(right, along, ahead) } else { 1.0 };
                self.grass.map(|value| value * (1.0 + 0.9 * blade) * detail)
            }
        };
        let colour = if air.snow > 0.0 { snowed(colour, right, along, air.snow) } else { colour };
        veiled(colour, air.light.on_object(right, ahead), air, ahead)
    }
}

/// Brightness of grass with its tufts and blades; those far away blend.
fn meadow(right: f32, along: f32, ahead: f32) -> f32 {
    let near = 1.0 - smooth_step(4.0, 40.0, ahead);
    let tufts = smooth(right * 9.0, along * 5.0) - 0.5;
    let blades = grain(right * 40.0, along * 14.0) + grain(right * 12.0, along * 5.0);
    1.0 + 0.8 * tufts * (0.4 + 0.6 * near) + 0.16 * blades * near
}

/// Ground with snow on it: less on the road, least in the wheel tracks.
fn snowed(colour: [f32; 3], right: f32, along: f32, snow: f32) -> [f32; 3] {
    let patches = smooth(right * 1.5, along * 0.5);
    let track = [-0.75_f32, 0.75].map(|track| (right - track).abs()).into_iter().fold(f32::MAX, f32::min);
    let cover = match right {
        -4.0..=2.0 => smooth_step(0.2, 0.7, track) * smooth_step(0.25, 0.6, patches) * 0.8,
        _ => 0.75 + 0.25 * patches,
    };
    mix(colour, [0.9, 0.92, 0.95].map(|value: f32| value - 0.12 * patches), cover * snow.sqrt())
}

fn veiled(colour: [f32; 3], light: [f32; 3], air: &Air, distance: f32) -> [f32; 3] {
    let veil = air.veil(distance);
    mix(std::array::from_fn(|channel| colour[channel] * light[channel]), veil.colour, veil.share)
}
