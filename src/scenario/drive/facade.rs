//! Fronts of houses in a town.

use crate::scenario::picture::mix;
use crate::scenario::texture::smooth;

/// Metres from one window to the next, across and up.
const BAY: f32 = 2.6;
const STOREY: f32 = 3.0;

/// Column and row of the window at a place of a front (`across` -1..1, `up` 0..1); `None` between windows.
pub(super) fn window(across: f32, up: f32, width: f32, height: f32) -> Option<(f32, f32)> {
    let (columns, rows) = ((across + 1.0) * 0.5 * width / BAY, up * height / STOREY);
    let inside = (0.28..0.72).contains(&columns.fract()) && (0.3..0.8).contains(&rows.fract());
    let whole = columns.floor() < (width / BAY).floor() && rows.floor() < (height / STOREY).floor();
    (inside && whole).then(|| (columns.floor(), rows.floor()))
}

/// Colour at a place of a front `(width, height)` metres large.
pub(super) fn colour(across: f32, up: f32, (width, height): (f32, f32), base: [f32; 3], seed: f32) -> Option<[f32; 3]> {
    let (x, y) = ((across + 1.0) * 0.5 * width, up * height);
    if let Some((column, row)) = window(across, up, width, height) {
        return Some(pane(x - BAY * column, y - STOREY * row, seed + 13.0 * column + 29.0 * row));
    }
    let bay = x < BAY * (width / BAY).floor() && y < STOREY * (height / STOREY).floor();
    let sill = bay && (0.22..0.3).contains(&(y / STOREY).fract()) && (0.24..0.76).contains(&(x / BAY).fract());
    let cornice = height - y < 0.3 || (y - STOREY).abs() < 0.12;
    if sill || cornice {
        return Some(base.map(|value| (value * 1.15).min(0.95)));
    }
    let dirt = 0.8 + 0.3 * smooth(seed + 2.0 * x, 1.3 * y) - 0.12 * (1.0 - (y / 2.0).min(1.0));
    Some(if seed > 128.0 { bricks(x, y, base, seed) } else { base }.map(|value| value * dirt))
}

/// Glass that mirrors a little of the sky, with a frame and sometimes a curtain.
fn pane(x: f32, y: f32, seed: f32) -> [f32; 3] {
    let (x, y) = (x / BAY, y / STOREY);
    if (x - 0.5).abs() < 0.015 || (y - 0.62).abs() < 0.012 || !(0.3..0.7).contains(&x) {
        return [0.88; 3];
    }
    let curtain = smooth(seed * 7.0, 3.0) > 0.55 && (x - 0.5).abs() > 0.1;
    if curtain {
        [0.7, 0.68, 0.64]
    } else {
        mix([0.12, 0.14, 0.17], [0.5, 0.58, 0.66], (y - 0.3) * smooth(seed, 9.0 * x))
    }
}

/// Courses of bricks with mortar between them.
fn bricks(x: f32, y: f32, base: [f32; 3], seed: f32) -> [f32; 3] {
    let row = (y / 0.16).floor();
    let along = x / 0.42 + 0.5 * row.rem_euclid(2.0);
    if (y / 0.16).fract() < 0.14 || along.fract() < 0.06 {
        return [0.62, 0.6, 0.57];
    }
    let burnt = 0.75 + 0.5 * smooth(seed + 19.0 * along.floor(), 23.0 * row);
    mix(base, [0.6, 0.3, 0.22], 0.75).map(|value| value * burnt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_in_bays_and_storeys() {
        // 0.5 bays from the left edge and half a storey up, of a front of 4 bays and 2 storeys.
        let at = |x: f32, y: f32| window(x / 10.4 * 2.0 - 1.0, y / 6.0, 10.4, 6.0);
        assert_eq!(at(1.3, 1.5), Some((0.0, 0.0)));
        assert_eq!(at(6.5, 4.5), Some((2.0, 1.0)));
        assert_eq!(at(2.6, 1.5), None);
        assert_eq!(at(1.3, 0.3), None);
    }
}
