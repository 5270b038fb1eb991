//! Priority road, yield and stop: each with an outline of its own.

use crate::scenario::canvas::{Canvas, Point, colour::*};
use crate::scenario::glyph::{Lettering, write};

const STOP_LETTERS: Lettering = Lettering { width: 0.33, height: 0.66, stroke: 0.115, gap: 0.075 };

pub(super) fn draw(canvas: &mut Canvas, class: usize) {
    match class {
        12 => priority_road(canvas),
        13 => yield_sign(canvas),
        _ => stop(canvas),
    }
}

fn priority_road(canvas: &mut Canvas) {
    canvas.rounded_polygon(&diamond(0.88), 0.1, GREY);
    canvas.rounded_polygon(&diamond(0.85), 0.1, WHITE);
    canvas.rounded_polygon(&diamond(0.56), 0.06, BLACK);
    canvas.rounded_polygon(&diamond(0.53), 0.06, YELLOW);
}

fn yield_sign(canvas: &mut Canvas) {
    canvas.rounded_polygon(&triangle_down(1.039), 0.1, WHITE);
    canvas.rounded_polygon(&triangle_down(1.02), 0.09, RED);
    canvas.rounded_polygon(&triangle_down(0.72), 0.03, WHITE);
}

fn stop(canvas: &mut Canvas) {
    canvas.polygon(&octagon(1.0), WHITE);
    canvas.polygon(&octagon(0.94), RED);
    write(canvas, "STOP", (0.0, 0.0), STOP_LETTERS, WHITE);
}

/// A square on its tip, `reach` from the centre to each corner.
pub(super) fn diamond(reach: f32) -> [Point; 4] {
    [(0.0, -reach), (reach, 0.0), (0.0, reach), (-reach, 0.0)]
}

/// A regular octagon on a side; `apothem` from the centre to each side.
pub(super) fn octagon(apothem: f32) -> [Point; 8] {
    let (far, near) = (apothem, apothem * 0.414_2);
    [(-near, -far), (near, -far), (far, -near), (far, near), (near, far), (-near, far), (-far, near), (-far, -near)]
}

fn triangle_down(circumradius: f32) -> [Point; 3] {
    const CENTROID_Y: f32 = -0.26;
    let half_width = circumradius * 0.866;
    let top = CENTROID_Y - circumradius / 2.0;
    [(-half_width, top), (half_width, top), (0.0, CENTROID_Y + circumradius)]
}
