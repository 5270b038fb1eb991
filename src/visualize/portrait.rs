//! The image, what the network sees of it, and what is said about it.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use ndarray::Array3;

use super::ChartError;
use super::piece::Piece;
use super::style::{FAINT, HEADING, INK, SMALL, TEXT, TITLE, color, fitted, line_height, style, wrapped};
use crate::canvas::{Canvas, text_width};
use crate::frame::Region;
use crate::monitor::{Short, Verdict};

/// Height of the two pictures.
const PICTURE: u32 = 200;
/// Largest width of the image.
const IMAGE_WIDTH: u32 = 360;
const GAP: u32 = 20;
const CAPTION: u32 = 16;
/// Colour of the rectangle that is judged.
const MARK: Rgb888 = Rgb888::new(255, 220, 0);

/// The image that a picture is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// What it is called, for example the path of its file.
    pub name: String,
    /// The whole image.
    pub image: RgbImage,
    /// The part of it that was judged; [`Region::WHOLE`] for all of it.
    pub region: Region,
    /// `3×H×W` in 0..1, what the network sees.
    pub input: Array3<f32>,
    /// What is said about it.
    pub opinion: Opinion,
}

/// What network and monitor say about an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinion {
    /// Name of the predicted class.
    pub class: String,
    /// Softmax of the class, 0..1; NaN where the network fails.
    pub score: f32,
    /// The monitor's verdict with the fused p-value (0..1); `None` without a monitor.
    pub verdict: Option<(Verdict, f32)>,
    /// The reasons of the most suspicious detectors, or why there is no verdict.
    pub reasons: Vec<String>,
}

/// The head of a picture.
pub(super) struct Portrait<'a> {
    pub(super) subject: &'a Subject,
    /// Width in pixels.
    pub(super) width: u32,
}

impl Portrait<'_> {
    fn draw_words(&self, canvas: &mut Canvas, at: Point, width: u32) {
        let opinion = &self.subject.opinion;
        let predicted = format!("predicted: {} ({:.1} %)", opinion.class, 100.0 * opinion.score);
        canvas.text(at, &fitted(&predicted, TITLE, width), style(TITLE, INK));
        let (text, verdict) = match opinion.verdict {
            Some((verdict, p_value)) if p_value.is_finite() => (format!("{verdict}, p = {}", Short(p_value)), verdict),
            Some((verdict, _)) => (verdict.to_string(), verdict),
            None => ("no monitor: nothing is compared".to_owned(), Verdict::Unknown),
        };
        let text = fitted(&text, TITLE, width.saturating_sub(8));
        let ground = Rectangle::new(at + Point::new(0, 27), Size::new(text_width(&text, TITLE) + 8, 24));
        canvas.fill(ground, color(verdict.rgb()));
        canvas.text(at + Point::new(4, 29), &text, style(TITLE, Rgb888::new(0, 0, 0)));
        let room = (PICTURE + CAPTION - 60) / line_height(TEXT);
        let lines =
            shortened(opinion.reasons.iter().flat_map(|text| wrapped(text, TEXT, width)).collect(), room as usize);
        for (row, line) in lines.iter().enumerate() {
            let corner = at + Point::new(0, 60 + row as i32 * line_height(TEXT) as i32);
            canvas.text(corner, &fitted(line, TEXT, width), style(TEXT, INK));
        }
    }
}

impl Piece for Portrait<'_> {
    fn height(&self) -> u32 {
        line_height(HEADING) + PICTURE + CAPTION
    }

    fn draw(&self, canvas: &mut Canvas, at: Point) -> Result<(), ChartError> {
        let Subject { name, image, region, input, .. } = self.subject;
        canvas.text(at, &fitted(name, HEADING, self.width), style(HEADING, INK));
        let top = at + Point::new(0, line_height(HEADING) as i32);
        let below = top + Point::new(0, PICTURE as i32 + 3);
        let whole = portrait(image, *region);
        canvas.picture(top, &whole);
        let (width, height) = image.dimensions();
        let judged = if region.is_whole() { String::new() } else { format!(", marked: {region}") };
        let caption = format!("image {width}×{height}{judged}");
        canvas.text(below, &fitted(&caption, SMALL, IMAGE_WIDTH), style(SMALL, FAINT));
        let left = whole.width().max(text_width(&caption, SMALL).min(IMAGE_WIDTH)).max(PICTURE) + GAP;
        let second = Point::new(left as i32, 0);
        let seen = enlarged(&rgb(input));
        canvas.picture(top + second, &seen);
        let (_, height, width) = input.dim();
        canvas.text(below + second, &format!("what the network sees: {width}×{height}"), style(SMALL, FAINT));
        let left = left + PICTURE + GAP;
        self.draw_words(canvas, top + Point::new(left as i32, 0), self.width.saturating_sub(left));
        Ok(())
    }
}

/// At most so many lines; where some are left out, the last one ends in dots.
fn shortened(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.truncate(last.trim_end_matches(|letter: char| !letter.is_whitespace()).trim_end().len());
            last.push_str(" ...");
        }
    }
    lines
}

/// The image with the region marked, so large that it fits.
fn portrait(image: &RgbImage, region: Region) -> RgbImage {
    let (width, height) = image.dimensions();
    let scale = f64::min(f64::from(IMAGE_WIDTH) / f64::from(width), f64::from(PICTURE) / f64::from(height));
    let resized = resized(image, scale);
    let Ok(region) = region.clipped(width, height) else { return resized };
    if (region.width, region.height) == (width, height) {
        return resized;
    }
    let pixels = |length: u32| (f64::from(length) * scale).round() as u32;
    let corner = Point::new(pixels(region.x) as i32, pixels(region.y) as i32);
    let mut canvas = Canvas(resized);
    canvas.outline(Rectangle::new(corner, Size::new(pixels(region.width), pixels(region.height))), MARK, 2);
    canvas.0
}

/// As large as fits into a square, pixels kept apart.
fn enlarged(image: &RgbImage) -> RgbImage {
    let longer = image.width().max(image.height()).max(1);
    resized(image, f64::from(PICTURE) / f64::from(longer))
}

fn resized(image: &RgbImage, scale: f64) -> RgbImage {
    let pixels = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let filter = if scale < 1.0 { FilterType::Triangle } else { FilterType::Nearest };
    imageops::resize(image, pixels(image.width()), pixels(image.height()), filter)
}

/// `3×H×W` in 0..1 as pixels.
fn rgb(input: &Array3<f32>) -> RgbImage {
    let (channels, height, width) = input.dim();
    let (height, width) = (u32::try_from(height).unwrap_or(0), u32::try_from(width).unwrap_or(0));
    RgbImage::from_fn(width, height, |x, y| {
        let value = |channel: usize| (input[[channel.min(channels - 1), y as usize, x as usize]] * 255.0).round() as u8;
        Rgb([value(0), value(1), value(2)])
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn subject(width: u32, height: u32) -> Subject {
        Subject {
            name: "signs/stop.png".into(),
            image: RgbImage::from_pixel(width, height, Rgb([90, 120, 150])),
            region: Region::WHOLE,
            input: Array3::from_elem((3, 40, 40), 0.5),
            opinion: Opinion {
                class: "stop".into(),
                score: 0.998,
                verdict: Some((Verdict::OutOfDistribution, 0.0004)),
                reasons: vec!["knn: nothing like it".into()],
            },
        }
    }

    #[test]
    fn images_of_any_size_fit_and_the_region_is_marked() {
        for (width, height) in [(1, 1), (1, 3000), (4000, 1), (1280, 720), (40, 40)] {
            let picture = portrait(&subject(width, height).image, Region::WHOLE);
            assert!(picture.width() <= IMAGE_WIDTH && picture.height() <= PICTURE, "{width}×{height}");
        }
        let marked = portrait(&subject(640, 360).image, Region { x: 100, y: 100, width: 200, height: 100 });
        let mark = marked.pixels().filter(|pixel| pixel.0 == [255, 220, 0]).count();
        assert!(mark > 200, "{mark}");
    }

    #[test]
    fn input_becomes_pixels() {
        let mut input = Array3::zeros((3, 1, 2));
        input[[1, 0, 1]] = 1.0;
        let image = rgb(&input);
        assert_eq!((image.get_pixel(0, 0).0, image.get_pixel(1, 0).0), ([0, 0, 0], [0, 255, 0]));
    }

    #[test]
    fn what_is_left_out_is_hinted_at() {
        let lines = || vec!["one two".to_owned(), "three four".to_owned(), "five".to_owned()];
        assert_eq!(shortened(lines(), 3), lines());
        assert_eq!(shortened(lines(), 2), ["one two", "three ..."]);
        assert_eq!(shortened(vec!["word".into(), "x".into()], 1), [" ..."]);
    }

    #[test]
    fn words_stay_in_their_place() {
        let mut subject = subject(64, 64);
        subject.opinion.reasons = vec!["many words ".repeat(300)];
        subject.opinion.verdict = None;
        let portrait = Portrait { subject: &subject, width: 1000 };
        let mut canvas = Canvas(RgbImage::from_pixel(1000, portrait.height() + 50, Rgb([255; 3])));
        portrait.draw(&mut canvas, Point::zero()).unwrap();
        let below = canvas.0.enumerate_pixels().filter(|(_, y, _)| *y >= portrait.height());
        assert!(below.into_iter().all(|(_, _, pixel)| pixel.0 == [255; 3]));
    }
}
