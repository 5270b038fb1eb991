//! The binary pattern of a layer beside the nearest one seen in training.

use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;

use super::ChartError;
use super::piece::Piece;
use super::style::{self, FAINT, INK, SMALL, TEXT, style};
use crate::canvas::{Canvas, text_width};
use crate::detector::Bit;

/// Side of a bit, and from one to the next one.
const CELL: u32 = 10;
const PITCH: u32 = 11;
/// Room for the names of the rows.
const NAMES: u32 = 130;
const NUMBER_HEIGHT: u32 = 12;
/// Space between the two patterns, and between two lines.
const GAP: u32 = 5;
const LINE_GAP: u32 = 10;

const ON: [u8; 3] = [60, 60, 60];
const OFF: [u8; 3] = [222, 222, 222];
const ON_DIFFERS: [u8; 3] = [205, 20, 20];
const OFF_DIFFERS: [u8; 3] = [255, 165, 165];

/// The bits as two rows of columns, one column per neuron, its bits from bottom to top by rising threshold.
pub(super) struct Bits<'a> {
    /// Bits of each neuron.
    units: Vec<&'a [Bit]>,
    /// Most bits of a neuron.
    tallest: u32,
    /// Neurons side by side.
    columns: usize,
    column_width: u32,
}

impl<'a> Bits<'a> {
    /// In lines of at most `width` pixels.
    pub(super) fn new(bits: &'a [Bit], width: u32) -> Self {
        let units: Vec<&[Bit]> = bits.chunk_by(|a, b| a.unit == b.unit).collect();
        let tallest = units.iter().map(|bits| bits.len()).max().unwrap_or(0) as u32;
        let largest = bits.iter().map(|bit| bit.unit).max().unwrap_or(0);
        let column_width = (text_width(&largest.to_string(), SMALL) + 4).max(PITCH);
        let columns = (width.saturating_sub(NAMES) / column_width).max(1) as usize;
        Self { units, tallest, columns, column_width }
    }

    /// Height of one pattern.
    fn pattern_height(&self) -> u32 {
        self.tallest * PITCH
    }

    fn line_height(&self) -> u32 {
        NUMBER_HEIGHT + 2 * self.pattern_height() + GAP + LINE_GAP
    }

    fn draw_unit(&self, canvas: &mut Canvas, at: Point, bits: &[Bit]) {
        let number = bits.first().map_or_else(String::new, |bit| bit.unit.to_string());
        let aside = (self.column_width.saturating_sub(text_width(&number, SMALL)) / 2) as i32;
        canvas.text(at + Point::new(aside, 0), &number, style(SMALL, FAINT));
        for (row, bit) in bits.iter().enumerate() {
            let from_top = (self.tallest - 1 - row as u32) * PITCH + NUMBER_HEIGHT;
            let nearest = from_top + self.pattern_height() + GAP;
            for (is_on, top) in [(bit.image, from_top), (bit.nearest, nearest)] {
                let aside = (self.column_width - CELL) / 2;
                let cell = Rectangle::new(at + Point::new(aside as i32, top as i32), Size::new_equal(CELL));
                canvas.fill(cell, style::color(bit_color(is_on, bit.differs())));
            }
        }
    }
}

/// Colour of a bit that is on or off, and may differ from the same bit of the other pattern.
pub(crate) fn bit_color(is_on: bool, differs: bool) -> [u8; 3] {
    match (is_on, differs) {
        (true, false) => ON,
        (false, false) => OFF,
        (true, true) => ON_DIFFERS,
        (false, true) => OFF_DIFFERS,
    }
}

impl Piece for Bits<'_> {
    fn height(&self) -> u32 {
        self.units.len().div_ceil(self.columns) as u32 * self.line_height()
    }

    fn draw(&self, canvas: &mut Canvas, at: Point) -> Result<(), ChartError> {
        for (line, units) in self.units.chunks(self.columns).enumerate() {
            let top = at + Point::new(0, line as i32 * self.line_height() as i32);
            let middle = (self.pattern_height() as i32 - TEXT.character_size.height as i32) / 2;
            let first = NUMBER_HEIGHT as i32 + middle;
            canvas.text(top + Point::new(0, first), "this image", style(TEXT, INK));
            let second = first + (self.pattern_height() + GAP) as i32;
            canvas.text(top + Point::new(0, second), "nearest training", style(TEXT, INK));
            for (column, bits) in units.iter().enumerate() {
                let left = NAMES + column as u32 * self.column_width;
                self.draw_unit(canvas, top + Point::new(left as i32, 0), bits);
            }
        }
        Ok(())
    }
}

/// What the colours mean.
pub(super) struct Key;

impl Piece for Key {
    fn height(&self) -> u32 {
        18
    }

    fn draw(&self, canvas: &mut Canvas, at: Point) -> Result<(), ChartError> {
        let mut left = at;
        let entries = [(ON, "on"), (OFF, "off"), (ON_DIFFERS, "on, differs"), (OFF_DIFFERS, "off, differs")];
        for (color, text) in entries {
            canvas.fill(Rectangle::new(left + Point::new(0, 2), Size::new_equal(CELL)), style::color(color));
            canvas.text(left + Point::new(CELL as i32 + 5, 0), text, style(TEXT, INK));
            left.x += (CELL + 25 + text_width(text, TEXT)) as i32;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    const WIDTH: u32 = 400;

    fn bits(count: usize, per_unit: usize) -> Vec<Bit> {
        (0..count)
            .map(|bit| Bit {
                unit: bit / per_unit,
                threshold: 0.0,
                image: bit.is_multiple_of(2),
                nearest: bit.is_multiple_of(4),
            })
            .collect()
    }

    fn count(picture: &RgbImage, color: [u8; 3]) -> usize {
        picture.pixels().filter(|pixel| **pixel == Rgb(color)).count()
    }

    #[test]
    fn every_bit_is_drawn_twice_and_differing_ones_are_marked() {
        // Of 12 bits, bits 2, 6 and 10 are on for the image only.
        let bits = bits(12, 3);
        let piece = Bits::new(&bits, WIDTH);
        let mut canvas = Canvas(RgbImage::new(WIDTH, piece.height()));
        piece.draw(&mut canvas, Point::zero()).unwrap();
        let cell = (CELL * CELL) as usize;
        assert_eq!(count(&canvas.0, ON_DIFFERS), 3 * cell);
        assert_eq!(count(&canvas.0, OFF_DIFFERS), 3 * cell);
        assert_eq!((count(&canvas.0, ON), count(&canvas.0, OFF)), (2 * 3 * cell, 2 * 6 * cell));
    }

    #[test]
    fn wide_patterns_take_several_lines_and_nothing_is_cut_off() {
        for (count_of, per_unit) in [(0, 1), (1, 1), (192, 1), (192, 3), (4096, 3)] {
            let bits = bits(count_of, per_unit);
            let piece = Bits::new(&bits, WIDTH);
            let mut canvas = Canvas(RgbImage::new(WIDTH, piece.height()));
            piece.draw(&mut canvas, Point::zero()).unwrap();
            let cells: usize =
                [ON, OFF, ON_DIFFERS, OFF_DIFFERS].into_iter().map(|color| count(&canvas.0, color)).sum();
            assert_eq!(cells, 2 * count_of * (CELL * CELL) as usize);
        }
    }
}
