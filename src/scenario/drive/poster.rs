//! Advertisements with shapes and colours that resemble signs from afar.

use rand::Rng;
use tiny_skia::Pixmap;

use crate::scenario::canvas::{Canvas, arc, colour::*};
use crate::scenario::glyph::{Lettering, write};

const SKIN: Rgb = [224, 172, 140];
const PINK: Rgb = [226, 80, 160];
const TURQUOISE: Rgb = [40, 180, 170];

/// Draws one of several advertisements, `size_px` × `size_px` pixels.
pub(super) fn draw(size_px: u32, rng: &mut impl Rng) -> Pixmap {
    let mut canvas = Canvas::new(size_px);
    canvas.rectangle((-1.0, -0.96), (1.0, 0.96), WHITE);
    match rng.random_range(0..4) {
        0 => sale(&mut canvas),
        1 => pizza(&mut canvas),
        2 => face(&mut canvas),
        _ => holiday(&mut canvas),
    }
    canvas.finish()
}

fn sale(canvas: &mut Canvas) {
    canvas.rectangle((-0.95, -0.91), (0.95, 0.91), PINK);
    canvas.rectangle((-0.95, 0.2), (0.95, 0.91), YELLOW);
    write(canvas, "SALE", (0.0, -0.38), Lettering { width: 0.36, height: 0.72, stroke: 0.12, gap: 0.1 }, WHITE);
    write(canvas, "70", (0.0, 0.55), Lettering { width: 0.34, height: 0.54, stroke: 0.12, gap: 0.1 }, PINK);
}

fn pizza(canvas: &mut Canvas) {
    canvas.rectangle((-0.95, -0.91), (0.95, 0.91), GREEN);
    canvas.circle((-0.2, 0.1), 0.7, [150, 92, 40]);
    canvas.circle((-0.2, 0.1), 0.6, YELLOW);
    for (x, y) in [(-0.5, -0.1), (-0.1, -0.25), (0.1, 0.2), (-0.3, 0.4), (-0.15, 0.08)] {
        canvas.circle((x, y), 0.12, RED);
    }
    write(canvas, "5", (0.7, -0.55), Lettering { width: 0.3, height: 0.5, stroke: 0.11, gap: 0.0 }, WHITE);
}

fn face(canvas: &mut Canvas) {
    canvas.rectangle((-0.95, -0.91), (0.95, 0.91), TURQUOISE);
    canvas.circle((0.0, -0.14), 0.62, [86, 52, 30]);
    canvas.circle((0.0, 0.0), 0.5, SKIN);
    for x in [-0.19, 0.19] {
        canvas.circle((x, -0.08), 0.07, BLACK);
    }
    canvas.line(&arc((0.0, 0.1), 0.24, 20.0, 160.0), 0.08, RED);
    canvas.rectangle((-0.95, 0.6), (0.95, 0.91), WHITE);
    write(canvas, "SMILE", (0.0, 0.75), Lettering { width: 0.16, height: 0.22, stroke: 0.055, gap: 0.07 }, BLACK);
}

fn holiday(canvas: &mut Canvas) {
    canvas.rectangle((-0.95, -0.91), (0.95, 0.2), [250, 150, 60]);
    canvas.circle((0.35, -0.25), 0.34, [255, 226, 120]);
    canvas.rectangle((-0.95, 0.2), (0.95, 0.91), [20, 120, 150]);
    canvas.polygon(&[(-0.7, 0.3), (0.3, 0.3), (0.1, 0.55), (-0.5, 0.55)], WHITE);
    canvas.polygon(&[(-0.2, 0.25), (-0.2, -0.7), (0.3, 0.25)], PINK);
    canvas.polygon(&[(-0.26, 0.25), (-0.26, -0.5), (-0.66, 0.25)], WHITE);
}
