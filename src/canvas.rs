//! An image that embedded-graphics draws on.

use std::convert::Infallible;

use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use image::{RgbImage, imageops};

/// An image that embedded-graphics draws on. What lies outside of it is left out.
pub(crate) struct Canvas(pub(crate) RgbImage);

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, color) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { continue };
            if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
                pixel.0 = [color.r(), color.g(), color.b()];
            }
        }
        Ok(())
    }
}

impl Canvas {
    /// Fills a rectangle.
    pub(crate) fn fill(&mut self, rectangle: Rectangle, color: Rgb888) {
        let Ok(()) = rectangle.into_styled(PrimitiveStyle::with_fill(color)).draw(self);
    }

    /// Draws the outline of a rectangle, `width` pixels wide, half of it outside.
    pub(crate) fn outline(&mut self, rectangle: Rectangle, color: Rgb888, width: u32) {
        let Ok(()) = rectangle.into_styled(PrimitiveStyle::with_stroke(color, width)).draw(self);
    }

    /// Writes a line of text whose upper left corner is `at`. Characters that the font does not have are drawn as `?`.
    pub(crate) fn text(&mut self, at: Point, text: &str, style: MonoTextStyle<'_, Rgb888>) {
        let Ok(_) = Text::with_baseline(text, at, style, Baseline::Top).draw(self);
    }

    /// Puts a picture there; its upper left corner is `at`.
    pub(crate) fn picture(&mut self, at: Point, picture: &RgbImage) {
        imageops::replace(&mut self.0, picture, at.x.into(), at.y.into());
    }
}

/// Width of a line of text in pixels.
pub(crate) fn text_width(text: &str, font: &MonoFont<'_>) -> u32 {
    text.chars().count() as u32 * (font.character_size.width + font.character_spacing)
}
