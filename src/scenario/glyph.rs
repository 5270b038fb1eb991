//! Digits and capitals as centre lines, so that no font is needed.

use tiny_skia::{LineCap, Path, PathBuilder, Transform};

use super::canvas::{Canvas, Point, colour::Rgb};

/// Centre line of a glyph in a box from (0, 0) to (1, 1), in SVG path notation limited to absolute M, L, C and Z.
fn outline(glyph: char) -> Option<&'static str> {
    Some(match glyph {
        '0' | 'O' => "M 0 .34 C 0 -.11 1 -.11 1 .34 L 1 .66 C 1 1.11 0 1.11 0 .66 Z",
        '1' => "M .12 .26 L .62 0 L .62 1",
        '2' => "M .02 .28 C .04 -.1 .98 -.1 .98 .28 C .98 .46 .72 .58 .04 1 L 1 1",
        '3' => {
            "M .02 .14 C .3 -.1 .94 -.04 .94 .24 C .94 .44 .7 .47 .4 .47 C .8 .47 1 .58 1 .74 C 1 1.06 .26 1.1 0 .86"
        }
        '4' => "M .74 1 L .74 0 L 0 .7 L 1 .7",
        '5' => "M .92 0 L .14 0 L .08 .46 C .34 .28 1 .32 1 .67 C 1 1.05 .32 1.12 0 .86",
        '6' => "M .74 0 L .12 .5 C -.12 .76 .04 1 .5 1 C .86 1 1 .86 1 .68 C 1 .36 .34 .3 .08 .56",
        '7' => "M 0 0 L 1 0 L .34 1",
        '8' => {
            "M .5 .46 C -.08 .46 -.08 0 .5 0 C 1.08 0 1.08 .46 .5 .46 C -.17 .46 -.17 1 .5 1 C 1.17 1 1.17 .46 .5 .46 Z"
        }
        '9' => "M .26 1 L .88 .5 C 1.12 .24 .96 0 .5 0 C .14 0 0 .14 0 .32 C 0 .64 .66 .7 .92 .44",
        'A' => "M 0 1 L .5 0 L 1 1 M .18 .66 L .82 .66",
        'D' => "M 0 0 L .4 0 C 1.2 0 1.2 1 .4 1 L 0 1 Z",
        'E' => "M 1 0 L 0 0 L 0 1 L 1 1 M 0 .48 L .8 .48",
        'H' => "M 0 0 L 0 1 M 1 0 L 1 1 M 0 .5 L 1 .5",
        'I' => "M .5 0 L .5 1",
        'L' => "M 0 0 L 0 1 L 1 1",
        'M' => "M 0 1 L 0 0 L .5 .6 L 1 0 L 1 1",
        'N' => "M 0 1 L 0 0 L 1 1 L 1 0",
        'P' => "M 0 1 L 0 0 L .5 0 C 1.16 0 1.16 .56 .5 .56 L 0 .56",
        'S' => "M .94 .14 C .7 -.1 .04 -.06 .04 .25 C .04 .58 .98 .4 .98 .74 C .98 1.08 .28 1.08 0 .84",
        'T' => "M 0 0 L 1 0 M .5 0 L .5 1",
        'W' => "M 0 0 L .25 1 L .5 .3 L .75 1 L 1 0",
        'X' => "M 0 0 L 1 1 M 1 0 L 0 1",
        _ => return None,
    })
}

/// How a text is set: size of one glyph and of its line, in unit coordinates.
#[derive(Debug, Clone, Copy)]
pub struct Lettering {
    /// Outer width of a glyph.
    pub width: f32,
    /// Outer height of a glyph.
    pub height: f32,
    /// Width of the line.
    pub stroke: f32,
    /// Empty space between two glyphs.
    pub gap: f32,
}

/// Draws `text` around `centre`; characters without a drawing leave an empty place.
pub fn write(canvas: &mut Canvas, text: &str, centre: Point, lettering: Lettering, colour: Rgb) {
    let count = text.chars().count() as f32;
    let step = lettering.width + lettering.gap;
    let mut left = centre.0 - (count * step - lettering.gap) / 2.0;
    for glyph in text.chars() {
        if let Some(path) = placed(glyph, (left, centre.1 - lettering.height / 2.0), lettering) {
            canvas.stroke(&path, lettering.stroke, LineCap::Butt, colour);
        }
        left += step;
    }
}

/// The centre line of `glyph` with the upper left corner of its outer box at `corner`.
fn placed(glyph: char, corner: Point, lettering: Lettering) -> Option<Path> {
    let inner = (lettering.width - lettering.stroke, lettering.height - lettering.stroke);
    let half = lettering.stroke / 2.0;
    let place = Transform::from_row(inner.0, 0.0, 0.0, inner.1, corner.0 + half, corner.1 + half);
    parse(outline(glyph)?)?.transform(place)
}

/// Reads absolute M, L, C and Z; `None` when the notation is broken.
fn parse(notation: &str) -> Option<Path> {
    let mut tokens = notation.split_ascii_whitespace();
    let mut builder = PathBuilder::new();
    while let Some(command) = tokens.next() {
        let mut number = || tokens.next()?.parse::<f32>().ok();
        match command {
            "M" => builder.move_to(number()?, number()?),
            "L" => builder.line_to(number()?, number()?),
            "C" => builder.cubic_to(number()?, number()?, number()?, number()?, number()?, number()?),
            "Z" => builder.close(),
            _ => return None,
        }
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outline_is_a_path_inside_its_box() {
        for glyph in "0123456789ADEHILMNOPSTWX".chars() {
            let bounds = parse(outline(glyph).unwrap()).unwrap().compute_tight_bounds().unwrap();
            assert!(bounds.left() > -0.06 && bounds.right() < 1.06, "{glyph}: {bounds:?}");
            assert!(bounds.top() > -0.06 && bounds.bottom() < 1.06, "{glyph}: {bounds:?}");
        }
    }

    #[test]
    fn broken_notation_is_no_path() {
        assert!(parse("M 0").is_none());
        assert!(parse("Q 0 0 1 1").is_none());
    }
}
