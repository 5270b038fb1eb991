//! Colours and strokes that people with colour-blindness can tell apart, too.

use maud::{Markup, html};
use plotters::style::RGBColor;

/// The palette of Okabe and Ito, *Color Universal Design*, 2008, without black (for what matters most) and yellow (too
/// light on white).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];
/// Lengths of dash and gap, in units of the drawing; `None` for a continuous line.
const STROKES: [Option<(u32, u32)>; 3] = [None, Some((16, 8)), Some((5, 6))];

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pen {
    pub(crate) colour: RGBColor,
    /// In units of the drawing.
    pub(crate) width: u32,
    pub(crate) dashes: Option<(u32, u32)>,
}

impl Pen {
    /// Number `index` of a series; different for the first 18.
    pub(crate) const fn number(index: usize) -> Self {
        let stroke = index / COLOURS.len() % STROKES.len();
        Self { colour: COLOURS[index % COLOURS.len()], width: 3, dashes: STROKES[stroke] }
    }

    /// For what matters most.
    pub(crate) const FUSED: Self = Self { colour: RGBColor(0, 0, 0), width: 6, dashes: None };
    /// For images of known classes.
    pub(crate) const KNOWN: Self = Self { colour: RGBColor(90, 90, 90), width: 3, dashes: None };
    /// For lines to compare with.
    pub(crate) const REFERENCE: Self = Self { colour: RGBColor(150, 150, 150), width: 2, dashes: Some((8, 8)) };

    /// CSS notation of the colour.
    pub(crate) fn css(self) -> String {
        let RGBColor(red, green, blue) = self.colour;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// A piece of the line, for legends and tables.
    pub(crate) fn swatch(self) -> Markup {
        // Drawings are shown at about half their size.
        let dashes = self.dashes.map(|(dash, gap)| format!("{} {}", dash / 2, gap / 2));
        html! {
            svg.swatch viewBox="0 0 28 10" aria-hidden="true" {
                line x1="0" y1="5" x2="28" y2="5" stroke=(self.css()) stroke-width=(f64::from(self.width) / 2.0 + 0.5)
                    stroke-dasharray=[dashes] {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighteen_series_look_different() {
        let pens: Vec<Pen> = (0..18).map(Pen::number).collect();
        for (index, pen) in pens.iter().enumerate() {
            assert!(!pens[..index].contains(pen), "{index}");
        }
        assert_eq!(Pen::number(0).css(), "#0072b2");
    }
}
