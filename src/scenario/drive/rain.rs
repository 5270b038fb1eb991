//! What rain does to a picture: a wet road, streaks in the air, drops on the lens.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::lens::Lens;
use super::light::Light;
use super::scenery::ROAD;
use crate::scenario::canvas::Point;
use crate::scenario::picture::{Picture, mix, smooth_step};
use crate::scenario::texture::smooth;

const STREAK: [f32; 3] = [0.78, 0.81, 0.85];
/// Streaks in a frame of 1280 × 720 in the heaviest rain, and drops on its lens.
const STREAKS: f32 = 1300.0;
const DROPS: f32 = 34.0;

/// Makes the road a mirror that ripples.
pub(super) fn wet_road(picture: &mut Picture, lens: &Lens, rain: f32, position: f32) {
    let (width, horizon) = (picture.width as f32, lens.centre.1);
    let mirror = picture.clone();
    picture.update([0.0, horizon + 2.0, width, picture.height as f32], |(x, y), dry| {
        let ahead = lens.road_distance(y);
        let right = lens.right(x, ahead);
        if !ROAD.contains(&right) {
            return dry.map(|value| value * (1.0 - 0.2 * rain));
        }
        let puddle = smooth(right * 2.0, (position + ahead) * 0.6);
        let share = rain * (0.2 + 0.4 * smooth_step(5.0, 45.0, ahead)) * smooth_step(0.25, 0.65, puddle);
        let ripple = 10.0 * (smooth(x * 0.2, y * 0.9 + 31.0) - 0.5) * lens.scale();
        mix(dry.map(|value| value * (1.0 - 0.35 * rain)), reflected(&mirror, x + ripple, 2.0 * horizon - y), share)
    });
}

/// The scene above the horizon at a place, smeared downwards as water does it.
fn reflected(picture: &Picture, x: f32, y: f32) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for step in -3_i8..=3 {
        let seen = picture.at(x.round() as i32, (y + 5.0 * f32::from(step)).round() as i32);
        sum = std::array::from_fn(|channel| sum[channel] + seen[channel] / 7.0);
    }
    sum
}

/// Draws falling drops, smeared by the time of exposure.
pub(super) fn streaks(picture: &mut Picture, lens: &Lens, rain: f32, light: &Light, rng: &mut impl Rng) {
    let area = picture.width as f32 * picture.height as f32 / (1280.0 * 720.0);
    let shine = light.brightness() + 0.3 * light.headlights;
    for _ in 0..(STREAKS * rain * area) as u32 {
        let near = rng.random_range(0.0_f32..1.0).powi(3);
        let (left, top) =
            (rng.random_range(0.0..picture.width as f32), rng.random_range(-0.1..1.0) * picture.height as f32);
        let length = (10.0 + 50.0 * near) * lens.scale();
        let (lean, alpha) = (rng.random_range(-0.16..-0.08), rng.random_range(0.08..0.2) + 0.12 * near);
        let half = (0.5 + 0.8 * near) * lens.scale().max(0.5);
        let colour = STREAK.map(|value| value * shine);
        picture.update([left + lean * length - 2.0, top, left + 2.0, top + length], |(x, y), behind| {
            let along = ((y - top) / length).clamp(0.0, 1.0);
            let off = (x - left - lean * length * along).abs();
            let cover = smooth_step(half + 0.7, half - 0.3, off) * (4.0 * along * (1.0 - along)).sqrt();
            mix(behind, colour, alpha * cover)
        });
    }
}

/// Draws drops on the lens; each shows the scene upside down and small, and runs off after a while.
pub(super) fn drops(picture: &mut Picture, lens: &Lens, rain: f32, seed: u64, seconds: f32) {
    let scene = picture.clone();
    for slot in 0..(DROPS * rain) as u64 {
        let mut life = ChaCha8Rng::seed_from_u64(seed ^ slot.wrapping_mul(0x9e37_79b9));
        let (period, phase) = (life.random_range(1.5..4.0_f32), life.random_range(0.0..4.0_f32));
        let turn = ((seconds + phase) / period).floor();
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (slot << 32) ^ u64::from(turn as u32));
        let age = (seconds + phase) / period - turn;
        let radius = rng.random_range(0.0_f32..1.0).powi(2) * 16.0 + 5.0;
        let centre =
            (rng.random_range(0.0..1.0) * picture.width as f32, rng.random_range(0.0..1.0) * picture.height as f32);
        let centre = (centre.0, centre.1 + 40.0 * age * age * lens.scale());
        drop_at(picture, &scene, centre, radius * lens.scale());
    }
}

fn drop_at(picture: &mut Picture, scene: &Picture, centre: Point, radius: f32) {
    let bounds = [centre.0 - radius, centre.1 - 1.2 * radius, centre.0 + radius + 1.0, centre.1 + 1.2 * radius + 1.0];
    picture.update(bounds, |(x, y), behind| {
        let (across, down) = ((x - centre.0) / radius, (y - centre.1) / (1.15 * radius));
        let away = across.hypot(down);
        if away >= 1.0 {
            return behind;
        }
        // The farther from its middle, the more a drop bends.
        let bend = -radius * (1.5 + 3.0 * away * away);
        let seen = scene.at((centre.0 + bend * across).round() as i32, (centre.1 + bend * down).round() as i32);
        let rim = 1.0 - 0.45 * smooth_step(0.6, 1.0, away);
        let lit = seen.map(|value| value * rim * (1.0 - 0.15 * down));
        mix(behind, lit, 0.85 * smooth_step(1.0, 0.8, away))
    });
}
