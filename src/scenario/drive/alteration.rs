//! What happens to a sign itself: stickers, snow, lamps instead of sheeting.

use std::f32::consts::PI;

use rand::Rng;
use tiny_skia::{ColorU8, Pixmap, PremultipliedColorU8};

use crate::scenario::canvas::{Canvas, Point, colour::*};
use crate::scenario::picture::smooth_step;
use crate::scenario::texture::smooth;

pub(super) const PAPERS: [Rgb; 6] = [WHITE, YELLOW, BLACK, GREEN, BLUE, [226, 80, 160]];

/// The sign with large stickers and a scrawl of paint over its middle.
pub(super) fn stickered(sign: Pixmap, rng: &mut impl Rng) -> Pixmap {
    let mut canvas = Canvas::over(sign);
    let first = rng.random_range(0..PAPERS.len());
    for (index, centre) in [(-0.48, -0.3), (0.42, -0.38), (-0.36, 0.42), (0.5, 0.28), (0.02, 0.0)].iter().enumerate() {
        sticker(&mut canvas, *centre, 1.0, PAPERS[(first + index) % PAPERS.len()], rng);
    }
    let zigzag: Vec<Point> = (0_i8..7)
        .map(|step| {
            (-0.78 + 0.26 * f32::from(step), if step % 2 == 0 { 0.5 } else { -0.45 } * rng.random_range(0.6..1.2))
        })
        .collect();
    canvas.line(&zigzag, rng.random_range(0.09..0.13), if first % 2 == 0 { [60, 20, 110] } else { BLACK });
    canvas.finish()
}

/// One label; at a scale of 1 it covers about a twelfth of a disc.
pub(super) fn sticker(canvas: &mut Canvas, centre: Point, scale: f32, paper: Rgb, rng: &mut impl Rng) {
    let (half_width, half_height) = (scale * rng.random_range(0.22..0.34), scale * rng.random_range(0.16..0.28));
    let (sin, cos) = rng.random_range(-PI / 4.0..PI / 4.0).sin_cos();
    let at = |x: f32, y: f32| {
        let (x, y) = (x * half_width, y * half_height);
        (centre.0 + x * cos - y * sin, centre.1 + x * sin + y * cos)
    };
    canvas.polygon(&[at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)], paper);
    let print = if paper == BLACK { WHITE } else { BLACK };
    canvas.line(&[at(-0.6, -0.2), at(0.6, -0.2)], 0.06 * scale, print);
    canvas.line(&[at(-0.6, 0.35), at(0.3, 0.35)], 0.06 * scale, print);
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

/// The sign as a board of lamps shows it: what is white is dark, what is black shines white, colours shine.
pub(super) fn lamps(sign: &Pixmap) -> Pixmap {
    /// Lamps from edge to edge.
    const LAMPS: u8 = 32;
    let pitch = 2.0 / f32::from(LAMPS);
    let mut canvas = Canvas::new(sign.width());
    canvas.rectangle((-1.0, -1.0), (1.0, 1.0), [14, 14, 15]);
    let centre = |index: u8| (f32::from(index) + 0.5) * pitch - 1.0;
    let texel = |at: f32| ((at + 1.0) / 2.0 * sign.width() as f32) as u32;
    for (row, column) in (0..LAMPS).flat_map(|row| (0..LAMPS).map(move |column| (row, column))) {
        let at = (centre(column), centre(row));
        if let Some(colour) = sign.pixel(texel(at.0), texel(at.1)).and_then(lamp) {
            canvas.circle(at, 0.4 * pitch, colour);
        }
    }
    canvas.finish()
}

/// Colour of a lamp; `None` where it is off.
fn lamp(drawn: PremultipliedColorU8) -> Option<Rgb> {
    let colour = [drawn.red(), drawn.green(), drawn.blue()];
    let (darkest, brightest) = (colour.into_iter().min()?, colour.into_iter().max()?);
    if drawn.alpha() < 128 || darkest > 180 {
        return None;
    }
    if brightest < 130 && brightest - darkest < 30 {
        return Some([255, 250, 235]);
    }
    Some(colour.map(|value| (f32::from(value) / f32::from(brightest) * 255.0) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::sign;

    #[test]
    fn lamps_show_digits_bright_and_what_was_white_dark() {
        let board = lamps(&sign::draw(1, 256));
        let brightness = |x: u32, y: u32| board.pixel(x, y).map(|pixel| pixel.red().max(pixel.green()));
        // A lamp in the red ring at the left edge shines, one in the white above the digits does not.
        assert!(brightness(14, 124) > Some(200));
        assert!(brightness(124, 60) < Some(40));
        assert_eq!(lamp(PremultipliedColorU8::from_rgba(22, 22, 24, 255).unwrap()), Some([255, 250, 235]));
        assert_eq!(lamp(PremultipliedColorU8::from_rgba(240, 240, 238, 255).unwrap()), None);
        assert_eq!(lamp(PremultipliedColorU8::TRANSPARENT), None);
    }
}
