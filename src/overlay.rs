//! Verdicts drawn on an image, for people who look at a camera.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_9X15_BOLD;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use image::RgbImage;
use image::imageops::{self, FilterType};

use crate::canvas::Canvas;
use crate::frame::Region;
use crate::monitor::Verdict;

/// Longer side of an overlay in pixels: larger images are reduced, on smaller ones no text could be read.
const LONGER_SIDE: std::ops::RangeInclusive<u32> = 640..=1280;

/// Width of rectangles in pixels.
const STROKE: u32 = 3;

/// Height of a line of text, and the space around it, in pixels.
const LINE_HEIGHT: u32 = 15;
const PADDING: u32 = 3;

/// Lines of text on a ground of the colour of a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Gives the colour.
    pub verdict: Verdict,
    /// Lines from top to bottom. Characters beyond Latin-1 are drawn as `?`.
    pub lines: Vec<String>,
}

/// A region and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Rectangle in pixels of the image.
    pub region: Region,
    /// Text above the rectangle, or below where there is no room.
    pub label: Label,
}

/// Draws a rectangle and a text for every mark, and `heading` in the upper left corner. The image is resized so that its longer side has 640 to
/// 1280 pixels. Marks that do not touch the image are left out.
#[must_use]
pub fn draw(image: RgbImage, marks: &[Mark], heading: &Label) -> RgbImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height).max(1);
    let scale = f64::from(longer.clamp(*LONGER_SIDE.start(), *LONGER_SIDE.end())) / f64::from(longer);
    let mut canvas = Canvas(resized(image, scale));
    let boxes: Vec<(Rectangle, &Mark)> =
        marks.iter().filter_map(|mark| Some((rectangle(mark.region, (width, height), scale)?, mark))).collect();
    for (rectangle, mark) in &boxes {
        canvas.outline(*rectangle, color(mark.label.verdict), STROKE);
    }
    for (rectangle, mark) in &boxes {
        let is_whole = rectangle.size == canvas.size();
        let room_for_heading = if is_whole { label_size(heading).height as i32 } else { 0 };
        canvas.label_at(*rectangle, room_for_heading, &mark.label);
    }
    canvas.label(Point::zero(), heading);
    canvas.0
}

fn resized(image: RgbImage, scale: f64) -> RgbImage {
    if scale == 1.0 {
        return image;
    }
    let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let filter = if scale < 1.0 { FilterType::Triangle } else { FilterType::Nearest };
    imageops::resize(&image, scaled(image.width()), scaled(image.height()), filter)
}

/// The part of a region that lies in an image of that size, scaled.
fn rectangle(region: Region, (width, height): (u32, u32), scale: f64) -> Option<Rectangle> {
    let Region { x, y, width, height } = region.clipped(width, height).ok()?;
    let scaled = |length: u32| (f64::from(length) * scale).round() as u32;
    let (left, top) = (scaled(x), scaled(y));
    let size = Size::new(scaled(x + width) - left, scaled(y + height) - top);
    Some(Rectangle::new(Point::new(left as i32, top as i32), size))
}

fn color(verdict: Verdict) -> Rgb888 {
    let [red, green, blue] = verdict.rgb();
    Rgb888::new(red, green, blue)
}

fn label_size(label: &Label) -> Size {
    let longest = label.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) as u32;
    let glyph = FONT_9X15_BOLD.character_size.width + FONT_9X15_BOLD.character_spacing;
    Size::new(longest * glyph + 2 * PADDING, label.lines.len() as u32 * LINE_HEIGHT + 2 * PADDING)
}

impl Canvas {
    /// Above the rectangle, below it where there is no room, inside where there is none either; `from` is the first row that is free.
    fn label_at(&mut self, rectangle: Rectangle, from: i32, label: &Label) {
        let (size, of_label) = (self.size(), label_size(label));
        let (above, below) =
            (rectangle.top_left.y - of_label.height as i32, rectangle.top_left.y + rectangle.size.height as i32);
        let top = if above >= from {
            above
        } else if below + of_label.height as i32 <= size.height as i32 {
            below
        } else {
            rectangle.top_left.y.max(from)
        };
        let left = rectangle.top_left.x.min(size.width as i32 - of_label.width as i32).max(0);
        self.label(Point::new(left, top), label);
    }

    fn label(&mut self, at: Point, label: &Label) {
        if label.lines.is_empty() {
            return;
        }
        let ground = Rectangle::new(at, label_size(label));
        self.fill(ground, color(label.verdict));
        let style = MonoTextStyle::new(&FONT_9X15_BOLD, Rgb888::BLACK);
        for (row, line) in label.lines.iter().enumerate() {
            let corner = Point::new(PADDING as i32, (PADDING + row as u32 * LINE_HEIGHT) as i32);
            self.text(at + corner, line, style);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::frame::encode_jpeg;

    const GREY: Rgb<u8> = Rgb([90, 90, 90]);

    fn label(verdict: Verdict, line: &str) -> Label {
        Label { verdict, lines: vec![line.to_owned()] }
    }

    fn mark(x: u32, y: u32, width: u32, height: u32) -> Mark {
        Mark { region: Region { x, y, width, height }, label: label(Verdict::OutOfDistribution, "stop 98 %") }
    }

    fn grey(width: u32, height: u32) -> RgbImage {
        RgbImage::from_pixel(width, height, GREY)
    }

    /// Pixels that have the colour of a verdict.
    fn count(image: &RgbImage, verdict: Verdict) -> usize {
        image.pixels().filter(|pixel| pixel.0 == verdict.rgb()).count()
    }

    #[test]
    fn rectangle_and_text_are_where_the_region_is() {
        let nothing = Label { verdict: Verdict::Unknown, lines: vec![] };
        let drawn = draw(grey(800, 600), &[mark(300, 200, 100, 80)], &nothing);
        let red = Rgb(Verdict::OutOfDistribution.rgb());
        assert_eq!(drawn.dimensions(), (800, 600));
        assert_eq!([drawn.get_pixel(300, 240), drawn.get_pixel(399, 240), drawn.get_pixel(350, 279)], [&red; 3]);
        assert_eq!((drawn.get_pixel(350, 240), drawn.get_pixel(600, 400)), (&GREY, &GREY), "inside and far away");
        let written = drawn.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 == [0, 0, 0]);
        let rows: Vec<u32> = written.map(|(_, y, _)| y).collect();
        assert!(rows.len() > 100 && rows.iter().all(|y| (179..200).contains(y)), "{rows:?}");
    }

    #[test]
    fn labels_stay_inside_and_are_not_drawn_over_the_heading() {
        let heading = label(Verdict::InDistribution, "NOMINAL");
        let whole = Mark { region: Region::WHOLE, ..mark(0, 0, 0, 0) };
        for (size, mark) in [((800, 600), whole), ((800, 600), mark(780, 0, 20, 20)), ((640, 20), mark(600, 0, 40, 20))]
        {
            let drawn = draw(grey(size.0, size.1), &[mark], &heading);
            let expected = label_size(&heading).width * label_size(&heading).height.min(size.1);
            let black =
                drawn.enumerate_pixels().filter(|(x, y, pixel)| *x < 69 && *y < 21 && pixel.0 == [0, 0, 0]).count();
            assert_eq!(count(&drawn, Verdict::InDistribution) + black, expected as usize);
            let ground = count(&drawn, Verdict::OutOfDistribution);
            assert!(ground > 800, "{ground}: the label is cut off");
        }
    }

    #[test]
    fn the_size_is_one_at_which_text_can_be_read() {
        let nothing = Label { verdict: Verdict::Unknown, lines: vec![] };
        let size = |width, height| draw(grey(width, height), &[], &nothing).dimensions();
        assert_eq!(
            [size(4000, 2000), size(32, 64), size(1, 3000), size(900, 700)],
            [(1280, 640), (320, 640), (1, 1280), (900, 700)]
        );
        let drawn = draw(grey(64, 64), &[mark(16, 16, 32, 32)], &nothing);
        assert_eq!(drawn.get_pixel(160, 300).0, Verdict::OutOfDistribution.rgb(), "the region is ten times as large");
    }

    #[test]
    fn whatever_is_asked_for_nothing_breaks() {
        let strange = label(Verdict::Suspect, "標識 \u{0} é \u{1f600}");
        let marks = [mark(0, 0, 0, 5), mark(u32::MAX, 0, 5, 5), mark(10, 10, u32::MAX, u32::MAX), mark(1, 1, 1, 1)];
        for (width, height) in [(1, 1), (0, 0), (0, 7), (640, 1)] {
            let drawn = draw(grey(width, height), &marks, &strange);
            assert_eq!(encode_jpeg(&drawn, 85).is_ok(), width * height > 0 || drawn.width() * drawn.height() > 0);
        }
    }
}
