//! Blue discs that order a direction.

use crate::scenario::canvas::{Canvas, Point, arc, colour::*, mirrored};

const SHAFT: f32 = 0.2;
const HEAD: f32 = 0.56;

pub(super) fn draw(canvas: &mut Canvas, class: usize) {
    blue_disc(canvas);
    match class {
        33 => arrow(canvas, &turn_right()),
        34 => arrow(canvas, &mirrored(&turn_right())),
        35 => arrow(canvas, &[(0.0, 0.74), (0.0, -0.76)]),
        36 => straight_and_side(canvas, 1.0),
        37 => straight_and_side(canvas, -1.0),
        38 => arrow(canvas, &[(-0.48, -0.48), (0.54, 0.54)]),
        39 => arrow(canvas, &[(0.48, -0.48), (-0.54, 0.54)]),
        _ => roundabout(canvas),
    }
}

/// The disc with its thin white edge.
pub(super) fn blue_disc(canvas: &mut Canvas) {
    canvas.circle((0.0, 0.0), 1.0, WHITE);
    canvas.circle((0.0, 0.0), 0.955, BLUE);
}

fn arrow(canvas: &mut Canvas, points: &[Point]) {
    canvas.arrow(points, SHAFT, HEAD, WHITE);
}

/// From the bottom upwards, then round a bend to the right.
fn turn_right() -> Vec<Point> {
    let mut points = vec![(-0.3, 0.66), (-0.3, 0.1)];
    points.extend(arc((-0.02, -0.02), 0.28, 180.0, 270.0));
    points.push((0.66, -0.3));
    points
}

/// Straight ahead with a branch to one side; `side` is 1 for right, -1 for left.
fn straight_and_side(canvas: &mut Canvas, side: f32) {
    let x = -0.22 * side;
    canvas.arrow(&[(x, 0.74), (x, -0.76)], 0.18, 0.48, WHITE);
    let branch = [(x, 0.5), (x, 0.34), (x + 0.1 * side, 0.2), (0.66 * side, 0.2)];
    canvas.arrow(&branch, 0.18, 0.48, WHITE);
}

/// Three arrows that chase each other against the clock.
fn roundabout(canvas: &mut Canvas) {
    for start in [80.0_f32, 200.0, 320.0] {
        let points = arc((0.0, 0.0), 0.5, start, start - 88.0);
        canvas.arrow(&points, 0.17, 0.0, WHITE);
        let tip = arc((0.0, 0.0), 0.5, start - 60.0, start - 106.0);
        let (from, to) = (tip[8], tip[16]);
        canvas.arrow(&[from, to], 0.17, 0.44, WHITE);
    }
}
