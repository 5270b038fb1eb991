//! Attacks on a sign that cover a given share of it.

use std::f32::consts::TAU;

use rand::Rng;
use tiny_skia::{BlendMode, Pixmap, PixmapPaint, Transform};

use super::alteration::{PAPERS, sticker};
use crate::scenario::canvas::{Canvas, Point, colour::*};
use crate::scenario::script::{Attack, AttackKind};

/// Colours of paint from a can.
const PAINTS: [Rgb; 5] = [[60, 20, 110], [20, 20, 22], [30, 130, 60], [210, 40, 130], [30, 90, 200]];
/// Marks after which an attack ends, however much it covers.
const MOST_MARKS: usize = 400;
/// Area of a disc in units of the drawing, divided among so many marks where they do not overlap.
const MARKS: f32 = 4.0;

/// The sign with marks over a share `attack.size` of its area, a little more where the last mark is large.
pub(super) fn attacked(mut sign: Pixmap, attack: Attack, rng: &mut impl Rng) -> Pixmap {
    let mut marks = Canvas::new(sign.width());
    for _ in 0..MOST_MARKS {
        if covered(&sign, marks.drawing()) >= attack.size {
            break;
        }
        mark(&mut marks, attack, rng);
    }
    // Marks end where the sign ends.
    let paint = PixmapPaint { blend_mode: BlendMode::SourceAtop, ..PixmapPaint::default() };
    sign.draw_pixmap(0, 0, marks.drawing().as_ref(), &paint, Transform::identity(), None);
    sign
}

/// Share of the sign's area that marks cover.
fn covered(sign: &Pixmap, marks: &Pixmap) -> f32 {
    let (mut area, mut hidden) = (0_u64, 0_u64);
    for (below, above) in sign.pixels().iter().zip(marks.pixels()) {
        area += u64::from(below.alpha());
        hidden += u64::from(below.alpha().min(above.alpha()));
    }
    hidden as f32 / area.max(1) as f32
}

/// One mark at a place of the sign, of a size with which a few of them suffice.
fn mark(canvas: &mut Canvas, attack: Attack, rng: &mut impl Rng) {
    let (angle, away) = (rng.random_range(0.0..TAU), 0.8 * rng.random_range(0.0_f32..1.0).sqrt());
    let centre = (away * angle.cos(), away * angle.sin());
    let area = 3.1 * attack.size / MARKS;
    match attack.kind {
        AttackKind::Stickers => {
            // A sticker of scale 1 has an area of a quarter.
            let scale = (area / 0.25).sqrt().clamp(0.2, 1.1);
            sticker(canvas, centre, scale, PAPERS[rng.random_range(0..PAPERS.len())], rng);
        }
        // Zigzags cover five times the square of their size, rounds a third of that.
        AttackKind::Graffiti => scrawl(canvas, centre, (area / 3.5).sqrt().clamp(0.1, 0.6), rng),
        AttackKind::Tape => tape(canvas, centre, area.sqrt().clamp(0.12, 0.6), rng),
    }
}

/// A round of paint that does not quite close, or a zigzag.
fn scrawl(canvas: &mut Canvas, centre: Point, size: f32, rng: &mut impl Rng) {
    let (start, turn) = (rng.random_range(0.0..TAU), rng.random_range(3.0..7.0_f32));
    let zigzag = rng.random_bool(0.5);
    let points: Vec<Point> = (0_u8..14)
        .map(|step| {
            let share = f32::from(step) / 13.0;
            let wobble = size * rng.random_range(0.75..1.15);
            if zigzag {
                let side = if step % 2 == 0 { 0.7 } else { -0.7 };
                return (centre.0 + size * (2.6 * share - 1.3), centre.1 + side * wobble);
            }
            let angle = start + turn * share;
            (centre.0 + wobble * angle.cos(), centre.1 + 0.8 * wobble * angle.sin())
        })
        .collect();
    canvas.line(&points, (0.3 * size).clamp(0.05, 0.2), PAINTS[rng.random_range(0..PAINTS.len())]);
}

/// A black or white strip.
fn tape(canvas: &mut Canvas, centre: Point, size: f32, rng: &mut impl Rng) {
    let angle = if rng.random_bool(0.5) { 0.0 } else { TAU / 4.0 } + rng.random_range(-0.1..0.1_f32);
    let reach = (1.4 * size * angle.cos(), 1.4 * size * angle.sin());
    let colour = if rng.random_bool(0.5) { BLACK } else { WHITE };
    canvas.bar(
        &[(centre.0 - reach.0, centre.1 - reach.1), (centre.0 + reach.0, centre.1 + reach.1)],
        0.36 * size,
        colour,
    );
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::scenario::sign;

    #[test]
    fn an_attack_covers_what_it_is_told_to() {
        for kind in [AttackKind::Stickers, AttackKind::Graffiti, AttackKind::Tape] {
            for size in [0.0, 0.05, 0.2, 0.5] {
                let clean = sign::draw(14, 128);
                let hit = attacked(clean.clone(), Attack { kind, size }, &mut ChaCha8Rng::seed_from_u64(3));
                let changed = clean.pixels().iter().zip(hit.pixels()).filter(|(a, b)| a != b).count();
                let area = clean.pixels().iter().filter(|pixel| pixel.alpha() > 0).count();
                let share = changed as f32 / area as f32;
                // White tape on white letters changes nothing, and the last mark may be a large one.
                assert!(share <= 1.7 * size + 0.02 && share >= 0.6 * size, "{kind:?} {size}: {share}");
            }
        }
    }

    #[test]
    fn nothing_is_painted_beside_the_sign() {
        let clean = sign::draw(14, 128);
        let attack = Attack { kind: AttackKind::Graffiti, size: 0.6 };
        let hit = attacked(clean.clone(), attack, &mut ChaCha8Rng::seed_from_u64(5));
        assert!(clean.pixels().iter().zip(hit.pixels()).all(|(a, b)| a.alpha() == b.alpha()));
    }
}
