//! Precomputed noise: smooth for foliage and dirt, white for the sensor.

use std::sync::OnceLock;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Side of the smooth tile; a power of two so that every octave tiles.
const SMOOTH_SIDE: usize = 256;
/// Length of the white tile; a prime, so that rows of no image line up with it.
const WHITE_LENGTH: usize = 65_521;

/// Fractal noise that repeats every 256 units, 0..1 with mean 0.5.
pub fn smooth(x: f32, y: f32) -> f32 {
    static TILE: OnceLock<Vec<f32>> = OnceLock::new();
    let tile = TILE.get_or_init(smooth_tile);
    let (left, top) = (x.floor(), y.floor());
    let at = |dx: i32, dy: i32| {
        let column = (left as i32 + dx).rem_euclid(SMOOTH_SIDE as i32) as usize;
        let row = (top as i32 + dy).rem_euclid(SMOOTH_SIDE as i32) as usize;
        tile[row * SMOOTH_SIDE + column]
    };
    bilinear([at(0, 0), at(1, 0), at(0, 1), at(1, 1)], x - left, y - top)
}

/// Standard normal noise; the same index gives the same value.
pub fn white(index: usize) -> f32 {
    static TILE: OnceLock<Vec<f32>> = OnceLock::new();
    TILE.get_or_init(white_tile)[index % WHITE_LENGTH]
}

/// Noise of single cells of size 1, -1..1, without anything coarser; neighbouring cells blend.
pub fn grain(x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let at = |dx: i64, dy: i64| {
        let index = (left as i64 + dx) * 7919 + (top as i64 + dy) * 104_729;
        (0.6 * white(index.rem_euclid(WHITE_LENGTH as i64) as usize)).clamp(-1.0, 1.0)
    };
    bilinear([at(0, 0), at(1, 0), at(0, 1), at(1, 1)], x - left, y - top)
}

fn bilinear(corners: [f32; 4], right: f32, lower: f32) -> f32 {
    let upper_mix = corners[0] + right * (corners[1] - corners[0]);
    let lower_mix = corners[2] + right * (corners[3] - corners[2]);
    upper_mix + lower * (lower_mix - upper_mix)
}

/// Sum of octaves of value noise from 4 to 128 cells per tile, stretched to 0..1.
fn smooth_tile() -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(0x5eed_0001);
    let mut sum = vec![0.0_f32; SMOOTH_SIDE * SMOOTH_SIDE];
    for octave in 2_u32..=7 {
        let cells = 1_usize << octave;
        let lattice: Vec<f32> = (0..cells * cells).map(|_| rng.random_range(-1.0..1.0)).collect();
        let weight = 0.62_f32.powi(octave as i32);
        for (index, value) in sum.iter_mut().enumerate() {
            *value += weight * lattice_value(&lattice, cells, index % SMOOTH_SIDE, index / SMOOTH_SIDE);
        }
    }
    let reach = sum.iter().fold(f32::EPSILON, |reach, value| reach.max(value.abs()));
    sum.iter().map(|value| 0.5 + 0.5 * value / reach).collect()
}

/// Smoothly interpolated lattice value at a texel.
fn lattice_value(lattice: &[f32], cells: usize, column: usize, row: usize) -> f32 {
    let spacing = SMOOTH_SIDE / cells;
    let share = |position: usize| {
        let t = (position % spacing) as f32 / spacing as f32;
        t * t * (3.0 - 2.0 * t)
    };
    let (left, top) = (column / spacing, row / spacing);
    let at = |dx: usize, dy: usize| lattice[(top + dy) % cells * cells + (left + dx) % cells];
    bilinear([at(0, 0), at(1, 0), at(0, 1), at(1, 1)], share(column), share(row))
}

/// Sums of twelve uniform values: mean 0, variance 1.
fn white_tile() -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(0x5eed_0002);
    (0..WHITE_LENGTH).map(|_| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_noise_is_standard_normal() {
        let count = WHITE_LENGTH as f32;
        let mean = (0..WHITE_LENGTH).map(white).sum::<f32>() / count;
        let variance = (0..WHITE_LENGTH).map(|index| white(index).powi(2)).sum::<f32>() / count;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn grain_blends_between_cells_that_differ() {
        let values: Vec<f32> = (0_u8..100).map(|cell| grain(f32::from(cell), 3.0)).collect();
        assert!(values.iter().all(|value| (-1.0..=1.0).contains(value)));
        assert!(values.windows(2).filter(|pair| (pair[0] - pair[1]).abs() > 0.2).count() > 50);
        assert!((grain(4.5, 3.0) - (values[4] + values[5]) / 2.0).abs() < 1e-5);
    }

    #[test]
    fn smooth_noise_stays_in_range_and_repeats() {
        for step in 0_u16..2000 {
            let (x, y) = (f32::from(step) * 0.37, f32::from(step) * 0.11);
            assert!((0.0..=1.0).contains(&smooth(x, y)));
        }
        assert!((smooth(3.25, 7.5) - smooth(259.25, 7.5)).abs() < 1e-6);
    }
}
