//! Lets plotters draw on a canvas, with its fonts.

use std::convert::Infallible;

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, RgbColor};
use embedded_graphics::primitives::Rectangle;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

use super::style::{SMALL, style};
use crate::canvas::{Canvas, text_width};

/// A part of a canvas.
pub(super) struct Plot<'a> {
    pub(super) canvas: &'a mut Canvas,
    pub(super) area: Rectangle,
}

type Outcome<T = ()> = Result<T, DrawingErrorKind<Infallible>>;

impl DrawingBackend for Plot<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.area.size.width, self.area.size.height)
    }

    fn ensure_prepared(&mut self) -> Outcome {
        Ok(())
    }

    fn present(&mut self) -> Outcome {
        Ok(())
    }

    /// Colours are opaque or not there at all.
    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Outcome {
        if color.alpha > 0.0 {
            let pixel = Rectangle::new(self.place(point), embedded_graphics::prelude::Size::new_equal(1));
            self.canvas.fill(pixel, opaque(color));
        }
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Outcome {
        if !fill {
            return plotters_backend::rasterizer::draw_rect(self, upper_left, bottom_right, style, fill);
        }
        if style.color().alpha > 0.0 {
            let corners = (self.place(upper_left), self.place(bottom_right));
            self.canvas.fill(Rectangle::with_corners(corners.0, corners.1), opaque(style.color()));
        }
        Ok(())
    }

    /// In one font, whatever is asked for, and never turned.
    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, text_style: &S, at: BackendCoord) -> Outcome {
        let (width, height) = self.estimate_text_size(text, text_style)?;
        let (width, height) = (width as i32, height as i32);
        let left = match text_style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => width / 2,
            HPos::Right => width,
        };
        let above = match text_style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => height / 2,
            VPos::Bottom => height,
        };
        let corner = self.place(at) - Point::new(left, above);
        self.canvas.text(corner, text, style(SMALL, opaque(text_style.color())));
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(&self, text: &str, _style: &S) -> Outcome<(u32, u32)> {
        Ok((text_width(text, SMALL), SMALL.character_size.height))
    }
}

impl Plot<'_> {
    fn place(&self, (x, y): BackendCoord) -> Point {
        self.area.top_left + Point::new(x, y)
    }
}

fn opaque(color: BackendColor) -> Rgb888 {
    let (red, green, blue) = color.rgb;
    Rgb888::new(red, green, blue)
}

/// A colour of the canvas as plotters knows it.
pub(super) fn ink(color: Rgb888) -> plotters::style::RGBColor {
    plotters::style::RGBColor(color.r(), color.g(), color.b())
}
