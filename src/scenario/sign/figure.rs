//! Vehicles and people that several signs share.

use crate::scenario::canvas::{Canvas, Point, colour::Rgb, colour::WHITE};

/// A car from behind; `half_width` of the body around `centre`.
pub(super) fn car(canvas: &mut Canvas, centre: Point, half_width: f32, colour: Rgb) {
    let at = |x: f32, y: f32| (centre.0 + x * half_width, centre.1 + y * half_width);
    canvas.polygon(&[at(-0.78, -0.06), at(-0.56, -0.6), at(0.56, -0.6), at(0.78, -0.06)], colour);
    canvas.polygon(&[at(-0.5, -0.12), at(-0.4, -0.44), at(0.4, -0.44), at(0.5, -0.12)], WHITE);
    canvas.rounded_polygon(
        &[at(-0.86, 0.0), at(0.86, 0.0), at(0.86, 0.34), at(-0.86, 0.34)],
        0.12 * half_width,
        colour,
    );
    for side in [-1.0, 1.0] {
        canvas.rectangle(at(side * 0.88, 0.3), at(side * 0.5, 0.7), colour);
    }
}

/// A truck from behind; `half_width` of the box around `centre`.
pub(super) fn truck_from_behind(canvas: &mut Canvas, centre: Point, half_width: f32, colour: Rgb) {
    let at = |x: f32, y: f32| (centre.0 + x * half_width, centre.1 + y * half_width);
    canvas.rectangle(at(-0.95, -0.85), at(0.95, 0.42), colour);
    canvas.rectangle(at(-0.8, 0.5), at(0.8, 0.62), colour);
    for side in [-1.0, 1.0] {
        canvas.rectangle(at(side * 0.9, 0.4), at(side * 0.5, 0.86), colour);
    }
}

/// A truck that drives to the left, as on the sign that forbids trucks.
pub(super) fn truck_from_the_side(canvas: &mut Canvas, colour: Rgb) {
    canvas.rectangle((-0.14, -0.32), (0.58, 0.18), colour);
    canvas.polygon(&[(-0.58, 0.18), (-0.58, -0.02), (-0.48, -0.2), (-0.2, -0.2), (-0.2, 0.18)], colour);
    canvas.polygon(&[(-0.5, -0.01), (-0.44, -0.12), (-0.3, -0.12), (-0.3, -0.01)], WHITE);
    for x in [-0.38, 0.18, 0.42] {
        canvas.circle((x, 0.22), 0.125, WHITE);
        canvas.circle((x, 0.22), 0.1, colour);
    }
}

/// A person as limbs: a head and polylines of one thickness, shifted and scaled to `place`.
pub(super) struct Person<'a> {
    pub(super) head: Point,
    pub(super) limbs: &'a [&'a [Point]],
}

/// Draws a person; `scale` applies to all lengths, `origin` to positions.
pub(super) fn person(canvas: &mut Canvas, person: &Person, origin: Point, scale: f32, colour: Rgb) {
    let at = |point: Point| (origin.0 + point.0 * scale, origin.1 + point.1 * scale);
    canvas.circle(at(person.head), 0.1 * scale, colour);
    for limb in person.limbs {
        let points: Vec<Point> = limb.iter().map(|&point| at(point)).collect();
        canvas.line(&points, 0.11 * scale, colour);
    }
}
