//! Round signs with a red ring, and the grey ones that end such a restriction.

use super::figure;
use crate::scenario::canvas::{Canvas, colour::*};
use crate::scenario::glyph::{Lettering, write};

const TWO_DIGITS: Lettering = Lettering { width: 0.44, height: 0.8, stroke: 0.145, gap: 0.1 };
const LARGE_DIGITS: Lettering = Lettering { width: 0.56, height: 0.96, stroke: 0.18, gap: 0.16 };
const THREE_DIGITS: Lettering = Lettering { width: 0.35, height: 0.74, stroke: 0.125, gap: 0.07 };

pub(super) fn draw(canvas: &mut Canvas, class: usize) {
    match class {
        0 => speed_limit(canvas, "20"),
        1 => speed_limit(canvas, "30"),
        2 => speed_limit(canvas, "50"),
        3 => speed_limit(canvas, "60"),
        4 => speed_limit(canvas, "70"),
        5 => speed_limit(canvas, "80"),
        7 => speed_limit(canvas, "100"),
        8 => speed_limit(canvas, "120"),
        9 => no_passing(canvas),
        10 => no_passing_trucks(canvas),
        15 => red_ring(canvas),
        16 => no_trucks(canvas),
        17 => no_entry(canvas),
        6 => end_of_80(canvas),
        41 => end_of_no_passing(canvas),
        42 => end_of_no_passing_trucks(canvas),
        _ => end_of_restriction(canvas),
    }
}

/// A white disc with the red ring that all prohibitions share.
pub(super) fn red_ring(canvas: &mut Canvas) {
    canvas.circle((0.0, 0.0), 1.0, WHITE);
    canvas.circle((0.0, 0.0), 0.97, RED);
    canvas.circle((0.0, 0.0), 0.745, WHITE);
}

/// A prohibition with a number.
pub(super) fn speed_limit(canvas: &mut Canvas, number: &str) {
    red_ring(canvas);
    let lettering = if number.len() > 2 { THREE_DIGITS } else { TWO_DIGITS };
    write(canvas, number, (0.0, 0.0), lettering, BLACK);
}

fn no_passing(canvas: &mut Canvas) {
    red_ring(canvas);
    figure::car(canvas, (-0.35, 0.02), 0.32, RED);
    figure::car(canvas, (0.35, 0.02), 0.32, BLACK);
}

fn no_passing_trucks(canvas: &mut Canvas) {
    red_ring(canvas);
    figure::truck_from_behind(canvas, (-0.24, -0.01), 0.36, RED);
    figure::car(canvas, (0.42, 0.05), 0.24, BLACK);
}

fn no_trucks(canvas: &mut Canvas) {
    red_ring(canvas);
    figure::truck_from_the_side(canvas, BLACK);
}

fn no_entry(canvas: &mut Canvas) {
    canvas.circle((0.0, 0.0), 1.0, WHITE);
    canvas.circle((0.0, 0.0), 0.97, RED);
    canvas.rectangle((-0.74, -0.18), (0.74, 0.18), WHITE);
}

fn end_of_80(canvas: &mut Canvas) {
    plain_disc(canvas);
    write(canvas, "80", (0.0, 0.0), LARGE_DIGITS, GREY);
    stripes(canvas);
}

fn end_of_no_passing(canvas: &mut Canvas) {
    plain_disc(canvas);
    figure::car(canvas, (-0.44, 0.02), 0.38, GREY);
    figure::car(canvas, (0.44, 0.02), 0.38, GREY);
    stripes(canvas);
}

fn end_of_no_passing_trucks(canvas: &mut Canvas) {
    plain_disc(canvas);
    figure::truck_from_behind(canvas, (-0.34, -0.02), 0.44, GREY);
    figure::car(canvas, (0.52, 0.06), 0.3, GREY);
    stripes(canvas);
}

fn end_of_restriction(canvas: &mut Canvas) {
    plain_disc(canvas);
    stripes(canvas);
}

/// White disc with a thin dark line near its edge.
fn plain_disc(canvas: &mut Canvas) {
    canvas.circle((0.0, 0.0), 1.0, WHITE);
    canvas.ring((0.0, 0.0), 0.95, 0.045, GREY);
}

/// Five parallel black lines from the lower left to the upper right.
fn stripes(canvas: &mut Canvas) {
    const REACH: f32 = 0.66;
    for index in -2_i8..=2 {
        let shift = f32::from(index) * 0.08;
        canvas.bar(&[(-REACH + shift, REACH + shift), (REACH + shift, -REACH + shift)], 0.042, BLACK);
    }
}
