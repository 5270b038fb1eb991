//! What roads are made of.

use crate::scenario::picture::{mix, smooth_step};
use crate::scenario::script::Surface;
use crate::scenario::texture::smooth;

const PAINT: [f32; 3] = [0.86, 0.86, 0.84];

/// Colour of a road at a place in metres; `fineness` 1 where single grains are seen, 0 where they blend.
pub(super) fn colour(surface: Surface, right: f32, along: f32, fineness: f32) -> [f32; 3] {
    match surface {
        Surface::Asphalt => asphalt(right, along, fineness),
        Surface::Worn => worn(right, along, fineness),
        Surface::Concrete => concrete(right, along, fineness),
        Surface::Cobbles => cobbles(right, along, fineness),
    }
}

/// Whether there is a line: at both edges, and dashed in the middle.
fn is_line(right: f32, along: f32) -> bool {
    let dash = (right + 1.0).abs() < 0.08 && along.rem_euclid(9.0) < 4.0;
    dash || (right - 1.75).abs() < 0.07 || (right + 3.75).abs() < 0.07
}

fn asphalt(right: f32, along: f32, fineness: f32) -> [f32; 3] {
    if is_line(right, along) {
        return PAINT;
    }
    let grain = smooth(right * 12.0, along * 6.0) - 0.5;
    let worn = smooth(right * 3.0, along * 0.3) - 0.5;
    [0.37 + 0.14 * fineness * grain + 0.1 * worn; 3]
}

/// Old asphalt: patches, cracks filled with tar, lines half gone.
fn worn(right: f32, along: f32, fineness: f32) -> [f32; 3] {
    let patch = smooth((right * 0.8).floor() * 37.0, (along / 5.0).floor() * 53.0);
    let crack = (smooth(right * 5.0 + 40.0, along * 1.2) - 0.5).abs();
    let tar = smooth_step(0.012, 0.004, crack) * (0.35 + 0.65 * fineness);
    let base = asphalt(right, along, 1.6 * fineness).map(|value| value - 0.14 * smooth_step(0.55, 0.6, patch));
    let gone = if is_line(right, along) { smooth_step(0.4, 0.6, smooth(right * 30.0, along * 8.0)) } else { 0.0 };
    mix(mix(base, [0.36; 3], gone), [0.13; 3], 0.8 * tar)
}

/// Slabs of 5 m with joints, and lines.
fn concrete(right: f32, along: f32, fineness: f32) -> [f32; 3] {
    if is_line(right, along) {
        return PAINT;
    }
    let slab = smooth((along / 5.0).floor() * 41.0, if right < -1.0 { 90.0 } else { 17.0 });
    let joint = along.rem_euclid(5.0) < 0.07 || (right + 1.15).abs() < 0.03;
    let stain = smooth(right * 4.0, along * 1.5) - 0.5;
    let base = 0.56 + 0.14 * (slab - 0.5) + 0.12 * stain + 0.06 * fineness * (smooth(right * 30.0, along * 30.0) - 0.5);
    [base, base * 0.985, base * 0.94].map(|value| if joint { value * (1.0 - 0.5 * fineness.max(0.3)) } else { value })
}

/// Rows of stones, each of its own grey.
fn cobbles(right: f32, along: f32, fineness: f32) -> [f32; 3] {
    const STONE: f32 = 0.22;
    let row = (along / STONE).floor();
    let shifted = right / STONE + 0.5 * row.rem_euclid(2.0);
    let (across, down) = (shifted.fract().abs() - 0.5, (along / STONE).fract() - 0.5);
    let dome = 1.0 - smooth_step(0.3, 0.52, across.abs().max(down.abs()));
    let grey =
        0.3 + 0.3 * (smooth(shifted.floor() * 23.0, row * 31.0) - 0.3) + 0.1 * (smooth(right, along * 0.3) - 0.5);
    let stone = grey * (1.0 - fineness * 0.6 * (1.0 - dome));
    [stone * 1.02, stone, stone * 0.97]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_painted_on_asphalt_and_concrete_but_not_on_cobbles() {
        for (surface, painted) in [(Surface::Asphalt, true), (Surface::Concrete, true), (Surface::Cobbles, false)] {
            assert_eq!(colour(surface, 1.75, 3.0, 1.0) == PAINT, painted, "{surface:?}");
        }
        assert!(is_line(-1.0, 1.0) && !is_line(-1.0, 5.0) && !is_line(0.0, 1.0));
    }

    #[test]
    fn every_surface_stays_within_what_a_camera_sees() {
        for surface in [Surface::Asphalt, Surface::Worn, Surface::Concrete, Surface::Cobbles] {
            for step in 0_u16..2000 {
                let (right, along) = (f32::from(step % 50) * 0.12 - 4.0, f32::from(step) * 0.37);
                let colour = colour(surface, right, along, 1.0);
                assert!(colour.iter().all(|value| (0.0..=1.0).contains(value)), "{surface:?} {colour:?}");
            }
        }
    }
}
