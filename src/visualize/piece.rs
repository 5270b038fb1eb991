//! What a picture is made of.

use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::Point;

use super::ChartError;
use super::style::{fitted, line_height, style};
use crate::canvas::Canvas;

/// A part of a picture that knows its size before it is drawn.
pub(super) trait Piece {
    /// Height in pixels.
    fn height(&self) -> u32;
    /// Draws it; its upper left corner is `at`.
    fn draw(&self, canvas: &mut Canvas, at: Point) -> Result<(), ChartError>;
}

/// Lines of text, those that are too long cut off.
pub(super) struct Lines {
    pub(super) lines: Vec<String>,
    pub(super) font: &'static MonoFont<'static>,
    pub(super) color: Rgb888,
    /// Width in pixels.
    pub(super) width: u32,
}

impl Piece for Lines {
    fn height(&self) -> u32 {
        self.lines.len() as u32 * line_height(self.font)
    }

    fn draw(&self, canvas: &mut Canvas, at: Point) -> Result<(), ChartError> {
        for (row, line) in self.lines.iter().enumerate() {
            let corner = at + Point::new(0, row as i32 * line_height(self.font) as i32);
            canvas.text(corner, &fitted(line, self.font, self.width), style(self.font, self.color));
        }
        Ok(())
    }
}

/// Empty space.
pub(super) struct Space(pub(super) u32);

impl Piece for Space {
    fn height(&self) -> u32 {
        self.0
    }

    fn draw(&self, _canvas: &mut Canvas, _at: Point) -> Result<(), ChartError> {
        Ok(())
    }
}

/// Pieces, one below the other.
#[derive(Default)]
pub(super) struct Stack<'a>(pub(super) Vec<Box<dyn Piece + 'a>>);

impl<'a> Stack<'a> {
    pub(super) fn push(&mut self, piece: impl Piece + 'a) {
        self.0.push(Box::new(piece));
    }
}

impl Piece for Stack<'_> {
    fn height(&self) -> u32 {
        self.0.iter().map(|piece| piece.height()).sum()
    }

    fn draw(&self, canvas: &mut Canvas, at: Point) -> Result<(), ChartError> {
        let mut corner = at;
        for piece in &self.0 {
            piece.draw(canvas, corner)?;
            corner.y += piece.height() as i32;
        }
        Ok(())
    }
}
