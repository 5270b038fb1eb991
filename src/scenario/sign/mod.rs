//! Traffic signs as vector drawings: the 43 classes of the German Traffic Sign Recognition Benchmark (GTSRB) and others.
//!
//! Every drawing fills the square from (-1, -1) to (1, 1) at least in one direction and is transparent outside the sign.

mod danger;
mod figure;
mod foreign;
mod mandatory;
mod prohibition;
mod right_of_way;

use tiny_skia::Pixmap;

use super::canvas::Canvas;

pub use foreign::ForeignSign;

/// Names of the classes in the order of GTSRB.
pub const CLASS_NAMES: [&str; 43] = [
    "speed limit 20 km/h",
    "speed limit 30 km/h",
    "speed limit 50 km/h",
    "speed limit 60 km/h",
    "speed limit 70 km/h",
    "speed limit 80 km/h",
    "end of speed limit 80 km/h",
    "speed limit 100 km/h",
    "speed limit 120 km/h",
    "no passing",
    "no passing over 3.5 t",
    "right of way at next intersection",
    "priority road",
    "yield",
    "stop",
    "no vehicles",
    "no vehicles over 3.5 t",
    "no entry",
    "general caution",
    "curve left",
    "curve right",
    "double curve",
    "bumpy road",
    "slippery road",
    "road narrows on the right",
    "road work",
    "traffic signals",
    "pedestrians",
    "children crossing",
    "bicycles crossing",
    "ice or snow",
    "wild animals",
    "end of all limits",
    "turn right ahead",
    "turn left ahead",
    "ahead only",
    "straight or right",
    "straight or left",
    "keep right",
    "keep left",
    "roundabout",
    "end of no passing",
    "end of no passing over 3.5 t",
];

/// Classes that a quarter or half turn leaves as they are or makes another sign of: discs, diamonds, rings, a bar, and the
/// two arrows of keep right and keep left.
pub const TURN_INTO_A_SIGN: [usize; 7] = [12, 15, 17, 32, 38, 39, 40];

/// Draws the clean sign of a GTSRB class, `size_px` × `size_px` pixels; empty for an index above 42.
pub fn draw(class: usize, size_px: u32) -> Pixmap {
    let mut canvas = Canvas::new(size_px);
    match class {
        0..=10 | 15..=17 | 32 | 41 | 42 => prohibition::draw(&mut canvas, class),
        11 | 18..=31 => danger::draw(&mut canvas, class),
        12..=14 => right_of_way::draw(&mut canvas, class),
        33..=40 => mandatory::draw(&mut canvas, class),
        _ => {}
    }
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean difference of two drawings, 0..255 per channel.
    fn difference(a: &Pixmap, b: &Pixmap) -> f64 {
        let sum: u32 = a.data().iter().zip(b.data()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        f64::from(sum) / a.data().len() as f64
    }

    #[test]
    fn all_signs_are_distinct_at_32_pixels() {
        let known = (0..CLASS_NAMES.len()).map(|class| (CLASS_NAMES[class], draw(class, 32)));
        let foreign = ForeignSign::ALL.into_iter().map(|sign| (sign.name(), sign.draw(32)));
        let signs: Vec<_> = known.chain(foreign).collect();
        for (index, (name, drawing)) in signs.iter().enumerate() {
            for (other_name, other) in &signs[..index] {
                let difference = difference(drawing, other);
                assert!(difference > 2.0, "{name} and {other_name} differ by {difference:.2} only");
            }
        }
    }

    #[test]
    fn every_sign_fills_its_square_in_one_direction() {
        for (class, name) in CLASS_NAMES.iter().enumerate() {
            let drawing = draw(class, 64);
            let opaque = |x: u32, y: u32| drawing.pixel(x, y).is_some_and(|pixel| pixel.alpha() > 60);
            let reaches = |at: [fn(u32) -> (u32, u32); 2]| {
                at.iter().all(|side| (0..64).any(|index| opaque(side(index).0, side(index).1)))
            };
            let wide = reaches([|index| (1, index), |index| (62, index)]);
            let high = reaches([|index| (index, 1), |index| (index, 62)]);
            assert!(wide || high, "{}", name);
        }
    }

    #[test]
    fn an_unknown_class_is_empty() {
        assert!(draw(43, 16).data().iter().all(|byte| *byte == 0));
    }
}
