//! Triangles that warn of a danger.

use super::figure::{Person, person};
use crate::scenario::canvas::{Canvas, Point, arc, colour::*, mirrored};

pub(super) fn draw(canvas: &mut Canvas, class: usize) {
    red_triangle(canvas);
    match class {
        11 => right_of_way(canvas),
        18 => exclamation(canvas),
        19 => canvas.arrow(&curve_left(), 0.17, 0.42, BLACK),
        20 => canvas.arrow(&mirrored(&curve_left()), 0.17, 0.42, BLACK),
        21 => double_curve(canvas),
        22 => bumps(canvas),
        23 => slippery(canvas),
        24 => narrows(canvas),
        25 => road_work(canvas),
        26 => traffic_light(canvas),
        27 => pedestrian(canvas),
        28 => children(canvas),
        29 => bicycle(canvas),
        30 => snowflake(canvas),
        _ => deer(canvas),
    }
}

/// The white triangle with a red edge that all warnings share; free inside between y = -0.45 and y = 0.66.
pub(super) fn red_triangle(canvas: &mut Canvas) {
    canvas.rounded_polygon(&triangle(1.039), 0.1, WHITE);
    canvas.rounded_polygon(&triangle(1.02), 0.09, RED);
    canvas.rounded_polygon(&triangle(0.78), 0.03, WHITE);
}

fn triangle(circumradius: f32) -> [Point; 3] {
    const CENTROID_Y: f32 = 0.26;
    let half_width = circumradius * 0.866;
    let bottom = CENTROID_Y + circumradius / 2.0;
    [(0.0, CENTROID_Y - circumradius), (half_width, bottom), (-half_width, bottom)]
}

fn right_of_way(canvas: &mut Canvas) {
    canvas.bar(&[(0.0, 0.64), (0.0, -0.1)], 0.2, BLACK);
    canvas.polygon(&[(-0.2, 0.06), (0.0, -0.34), (0.2, 0.06)], BLACK);
    canvas.bar(&[(-0.36, 0.3), (0.36, 0.3)], 0.12, BLACK);
}

fn exclamation(canvas: &mut Canvas) {
    canvas.rounded_polygon(&[(-0.07, -0.22), (0.07, -0.22), (0.03, 0.26), (-0.03, 0.26)], 0.035, BLACK);
    canvas.circle((0.0, 0.5), 0.1, BLACK);
}

/// From the bottom upwards, then round a bend to the upper left.
fn curve_left() -> Vec<Point> {
    let mut points = vec![(0.2, 0.64), (0.2, 0.38)];
    points.extend(arc((-0.1, 0.38), 0.3, 0.0, -70.0));
    points.push((-0.4, 0.06));
    points
}

fn double_curve(canvas: &mut Canvas) {
    canvas.bar(&[(0.13, 0.62), (0.13, 0.2), (-0.13, 0.34), (-0.13, -0.12)], 0.16, BLACK);
}

fn bumps(canvas: &mut Canvas) {
    canvas.rectangle((-0.5, 0.5), (0.5, 0.63), BLACK);
    for x in [-0.22, 0.22] {
        let mut hump = arc((x, 0.52), 0.19, 180.0, 360.0);
        hump.push((x + 0.24, 0.52));
        hump.push((x - 0.24, 0.52));
        canvas.polygon(&hump, BLACK);
    }
}

fn slippery(canvas: &mut Canvas) {
    let tilted = |x: f32, y: f32| (x * 0.97 + y * 0.24, y * 0.97 - x * 0.24 + 0.04);
    canvas.polygon(&[tilted(-0.17, -0.02), tilted(-0.12, -0.2), tilted(0.12, -0.2), tilted(0.17, -0.02)], BLACK);
    canvas.polygon(&[tilted(-0.1, -0.04), tilted(-0.08, -0.14), tilted(0.08, -0.14), tilted(0.1, -0.04)], WHITE);
    canvas.rounded_polygon(
        &[tilted(-0.25, -0.02), tilted(0.25, -0.02), tilted(0.25, 0.14), tilted(-0.25, 0.14)],
        0.03,
        BLACK,
    );
    for side in [-0.2, 0.14] {
        canvas.bar(&[tilted(side, 0.12), tilted(side, 0.24)], 0.09, BLACK);
    }
    canvas.line(&[(-0.12, 0.36), (-0.2, 0.42), (0.0, 0.5), (-0.22, 0.62)], 0.06, BLACK);
    canvas.line(&[(0.24, 0.34), (0.1, 0.42), (0.32, 0.5), (0.12, 0.62)], 0.06, BLACK);
}

fn narrows(canvas: &mut Canvas) {
    canvas.bar(&[(-0.15, 0.64), (-0.15, -0.12)], 0.12, BLACK);
    canvas.bar(&[(0.3, 0.64), (0.3, 0.48), (0.12, 0.26), (0.12, -0.12)], 0.12, BLACK);
}

fn road_work(canvas: &mut Canvas) {
    const WORKER: Person = Person {
        head: (0.02, -0.18),
        limbs: &[
            &[(-0.02, -0.02), (-0.2, 0.3)],
            &[(-0.02, 0.0), (0.1, 0.2)],
            &[(-0.2, 0.3), (-0.04, 0.42), (-0.1, 0.62)],
            &[(-0.2, 0.3), (-0.28, 0.46), (-0.38, 0.62)],
        ],
    };
    person(canvas, &WORKER, (0.0, 0.0), 1.0, BLACK);
    canvas.line(&[(-0.16, 0.12), (0.24, 0.38)], 0.05, BLACK);
    canvas.polygon(&[(0.02, 0.66), (0.24, 0.34), (0.52, 0.66)], BLACK);
}

fn traffic_light(canvas: &mut Canvas) {
    canvas.rounded_polygon(&[(-0.1, -0.16), (0.1, -0.16), (0.1, 0.58), (-0.1, 0.58)], 0.06, BLACK);
    canvas.circle((0.0, -0.09), 0.105, RED);
    canvas.circle((0.0, 0.21), 0.105, YELLOW);
    canvas.circle((0.0, 0.51), 0.105, GREEN);
}

fn pedestrian(canvas: &mut Canvas) {
    const WALKER: Person = Person {
        head: (0.03, -0.24),
        limbs: &[
            &[(0.02, -0.06), (0.0, 0.22)],
            &[(0.02, -0.04), (0.05, 0.2)],
            &[(0.0, -0.04), (-0.15, 0.06), (-0.18, 0.18)],
            &[(0.04, -0.04), (0.17, 0.08), (0.22, 0.14)],
            &[(0.0, 0.22), (-0.1, 0.42), (-0.24, 0.62)],
            &[(0.03, 0.22), (0.12, 0.4), (0.16, 0.62)],
        ],
    };
    person(canvas, &WALKER, (0.0, 0.0), 1.0, BLACK);
    for x in [-0.42, -0.02, 0.36] {
        canvas.bar(&[(x, 0.64), (x + 0.1, 0.64)], 0.05, BLACK);
    }
}

fn children(canvas: &mut Canvas) {
    const RUNNER: Person = Person {
        head: (0.04, -0.24),
        limbs: &[
            &[(0.02, -0.06), (-0.02, 0.2)],
            &[(0.06, -0.04), (0.02, 0.2)],
            &[(0.02, -0.04), (-0.2, 0.06)],
            &[(0.04, -0.04), (0.24, 0.04)],
            &[(-0.02, 0.2), (-0.16, 0.36), (-0.34, 0.42)],
            &[(0.0, 0.2), (0.16, 0.36), (0.1, 0.6)],
        ],
    };
    person(canvas, &RUNNER, (0.16, 0.06), 0.92, BLACK);
    person(canvas, &RUNNER, (-0.28, 0.22), 0.66, BLACK);
}

fn bicycle(canvas: &mut Canvas) {
    for x in [-0.29, 0.29] {
        canvas.ring((x, 0.42), 0.185, 0.065, BLACK);
    }
    canvas.line(&[(-0.29, 0.42), (-0.12, 0.18), (0.18, 0.18), (0.0, 0.42), (-0.29, 0.42)], 0.05, BLACK);
    canvas.line(&[(0.0, 0.42), (-0.14, 0.1), (-0.22, 0.1)], 0.05, BLACK);
    canvas.line(&[(0.29, 0.42), (0.16, 0.06), (0.06, 0.04)], 0.05, BLACK);
}

fn snowflake(canvas: &mut Canvas) {
    const CENTRE: Point = (0.0, 0.26);
    let at = |angle: f32, radius: f32| {
        let angle = angle.to_radians();
        (CENTRE.0 + radius * angle.cos(), CENTRE.1 + radius * angle.sin())
    };
    for spoke in 0_u8..6 {
        let angle = 30.0 + 60.0 * f32::from(spoke);
        canvas.line(&[CENTRE, at(angle, 0.36)], 0.07, BLACK);
        canvas.line(&[at(angle - 24.0, 0.34), at(angle, 0.2), at(angle + 24.0, 0.34)], 0.055, BLACK);
    }
}

fn deer(canvas: &mut Canvas) {
    canvas.polygon(
        &[(0.3, 0.26), (0.2, 0.14), (-0.1, 0.1), (-0.22, -0.08), (-0.3, 0.0), (-0.22, 0.26), (0.14, 0.36)],
        BLACK,
    );
    canvas.polygon(&[(-0.18, -0.06), (-0.22, -0.18), (-0.42, -0.02), (-0.4, 0.06), (-0.26, 0.04)], BLACK);
    canvas.line(&[(-0.2, -0.14), (-0.1, -0.3), (-0.16, -0.4)], 0.05, BLACK);
    canvas.line(&[(-0.22, -0.14), (0.0, -0.22), (0.04, -0.34)], 0.05, BLACK);
    canvas.line(&[(-0.18, 0.2), (-0.36, 0.3), (-0.3, 0.44)], 0.07, BLACK);
    canvas.line(&[(-0.14, 0.24), (-0.22, 0.42), (-0.14, 0.5)], 0.07, BLACK);
    canvas.line(&[(0.2, 0.26), (0.28, 0.42), (0.42, 0.56)], 0.08, BLACK);
    canvas.line(&[(0.16, 0.3), (0.12, 0.46), (0.3, 0.62)], 0.07, BLACK);
}
