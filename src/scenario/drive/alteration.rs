//! What happens to a sign itself: stickers and snow.

use std::f32::consts::PI;

use rand::Rng;
use tiny_skia::{ColorU8, Pixmap};

use crate::scenario::canvas::{Canvas, Point, colour::*};
use crate::scenario::picture::smooth_step;
use crate::scenario::texture::smooth;

const PAPERS: [Rgb; 6] = [WHITE, YELLOW, BLACK, GREEN, BLUE, [226, 80, 160]];

/// The sign with large stickers and a scrawl of paint over its middle.
pub(super) fn stickered(sign: Pixmap, rng: &mut impl Rng) -> Pixmap {
    let mut canvas = Canvas::over(sign);
    let first = rng.random_range(0..PAPERS.len());
    for (index, centre) in [(-0.48, -0.3), (0.42, -0.38), (-0.36, 0.42), (0.5, 0.28), (0.02, 0.0)].iter().enumerate() {
        sticker(&mut canvas, *centre, PAPERS[(first + index) % PAPERS.len()], rng);
    }
    let zigzag: Vec<Point> = (0_i8..7)
        .map(|step| {
            (-0.78 + 0.26 * f32::from(step), if step % 2 == 0 { 0.5 } else { -0.45 } * rng.random_range(0.6..1.2))
        })
        .collect();
    canvas.line(&zigzag, rng.random_range(0.09..0.13), if first % 2 == 0 { [60, 20, 110] } else { BLACK });
    canvas.finish()
}

fn sticker(canvas: &mut Canvas, centre: Point, paper: Rgb, rng: &mut impl Rng) {
    let (half_width, half_height) = (rng.random_range(0.22..0.34), rng.random_range(0.16..0.28));
    let (sin, cos) = rng.random_range(-PI / 4.0..PI / 4.0).sin_cos();
    let at = |x: f32, y: f32| {
        let (x, y) = (x * half_width, y * half_height);
        (centre.0 + x * cos - y * sin, centre.1 + x * sin + y * cos)
    };
    canvas.polygon(&[at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)], paper);
    let print = if paper == BLACK { WHITE } else { BLACK };
    canvas.line(&[at(-0.6, -0.2), at(0.6, -0.2)], 0.06, print);
    canvas.line(&[at(-0.6, 0.35), at(0.3, 0.35)], 0.06, print);
}

/// The sign with snow that sticks to nearly all of it and leaves a ragged lower edge free.
pub(super) fn covered_with_snow(mut sign: Pixmap, rng: &mut impl Rng) -> Pixmap {
    let (at, side) = (rng.random_range(0.0..200.0), sign.width() as usize);
    let edge = rng.random_range(0.7..0.9);
    let unit = |index: usize| 2.0 * (index as f32 + 0.5) / side as f32 - 1.0;
    for (index, pixel) in sign.pixels_mut().iter_mut().enumerate() {
        let (x, y) = (unit(index % side), unit(index / side));
        let depth = edge - y + 1.5 * (smooth(at + 22.0 * x, at + 22.0 * y) - 0.5);
        if pixel.alpha() > 0 && depth > 0.0 {
            let shade = 205.0 + 35.0 * smooth_step(0.0, 0.3, depth) * smooth(30.0 * y, at + 30.0 * x).sqrt();
            let white = shade as u8;
            *pixel = ColorU8::from_rgba(white, white, white.saturating_add(6), pixel.alpha()).premultiply();
        }
    }
    sign
}
