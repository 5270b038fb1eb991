//! One picture: the image, and layers below it.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;
use image::{Rgb, RgbImage};

use super::bits::{Bits, Key};
use super::chart::Chart;
use super::grid::{Grid, MOST_CHANNELS, Numbers};
use super::piece::{Lines, Piece, Space, Stack};
use super::portrait::Portrait;
use super::style::{FAINT, HEADING, INK, TEXT, TITLE, WARNING, wrapped};
use super::{ChartError, LayerView, Scales, Subject};
use crate::canvas::Canvas;
use crate::detector::{Expectation, PatternComparison};
use crate::monitor::Levels;

const MARGIN: u32 = 20;
/// Width of what is drawn of one layer, alone and on a contact sheet.
const WIDTH: u32 = 1160;
const COLUMN: u32 = 570;
/// Layers side by side on a contact sheet.
const COLUMNS: usize = 2;
const PAPER: Rgb<u8> = Rgb([255; 3]);
const RULE: Rgb888 = Rgb888::new(200, 200, 200);

/// How much is shown of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything, across the whole picture.
    Full,
    /// The channels and the most important numbers, for a contact sheet.
    Brief,
}

/// A picture of some layers for one image.
#[derive(Debug)]
pub struct Sheet<'a> {
    /// The image.
    pub subject: &'a Subject,
    /// Names of the classes, in the order of the logits.
    pub classes: &'a [String],
    /// What is shown, one below the other ([`Detail::Full`]) or side by side ([`Detail::Brief`]).
    pub layers: &'a [LayerView],
    /// Scales of every layer; [`LayerView::scales`] or larger ones.
    pub scales: &'a [Scales],
    /// How much is shown.
    pub detail: Detail,
}

impl Sheet<'_> {
    /// Width and height of the picture in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        let head = self.head().height();
        let rows = self.rows();
        let body: u32 = rows.iter().map(|row| row.iter().map(Piece::height).max().unwrap_or(0) + MARGIN).sum();
        (WIDTH + 2 * MARGIN, head + body + 3 * MARGIN)
    }

    /// Draws the picture.
    ///
    /// # Errors
    /// [`ChartError`] when a chart cannot be drawn.
    pub fn draw(&self) -> Result<RgbImage, ChartError> {
        let (width, height) = self.size();
        let mut canvas = Canvas(RgbImage::from_pixel(width, height, PAPER));
        let head = self.head();
        let mut corner = Point::new_equal(MARGIN as i32);
        head.draw(&mut canvas, corner)?;
        corner.y += (head.height() + MARGIN) as i32;
        for row in self.rows() {
            canvas.fill(Rectangle::new(corner - Point::new(0, MARGIN as i32 / 2), Size::new(WIDTH, 1)), RULE);
            for (column, layer) in row.iter().enumerate() {
                layer.draw(&mut canvas, corner + Point::new(column as i32 * (COLUMN + MARGIN) as i32, 0))?;
            }
            corner.y += (row.iter().map(Piece::height).max().unwrap_or(0) + MARGIN) as i32;
        }
        Ok(canvas.0)
    }

    fn head(&self) -> Portrait<'_> {
        Portrait { subject: self.subject, width: WIDTH }
    }

    /// The layers, as they stand side by side.
    fn rows(&self) -> Vec<Vec<Stack<'_>>> {
        let columns = if self.detail == Detail::Full { 1 } else { COLUMNS };
        let rows = self.layers.chunks(columns).zip(self.scales.chunks(columns));
        rows.map(|(layers, scales)| {
            layers.iter().zip(scales).map(|(layer, scales)| self.stack(layer, scales)).collect()
        })
        .collect()
    }

    fn stack<'a>(&'a self, layer: &'a LayerView, scales: &Scales) -> Stack<'a> {
        match self.detail {
            Detail::Full => self.full(layer, scales),
            Detail::Brief => self.brief(layer, scales),
        }
    }

    fn full<'a>(&'a self, layer: &'a LayerView, scales: &Scales) -> Stack<'a> {
        let mut stack = heading(layer, WIDTH);
        let p_values = p_values(layer);
        stack.push(text(&tiles_in_words(layer, "its number above it"), WIDTH));
        stack.push(Space(4));
        stack.push(Grid::new(layer.maps(), p_values, scales.activations, Numbers::Each, (WIDTH, 560)));
        stack.push(Space(MARGIN));
        stack.push(self.means(layer, scales, Size::new(WIDTH, 190)));
        if let Some(expectation) = expectation(layer) {
            stack.push(Space(10));
            stack.push(deviations(layer, scales, Size::new(WIDTH, 160)));
            stack.push(Space(10));
            stack.push(p_value_chart(expectation, layer, Size::new(WIDTH, 180)));
            stack.push(Space(4));
            stack.push(text(&p_values_in_words(expectation, layer), WIDTH));
        }
        if let Some(pattern) = pattern(layer) {
            stack.push(Space(MARGIN));
            stack.push(bold(&self.pattern_in_words(pattern), WIDTH));
            stack.push(text(&bits_in_words(layer), WIDTH));
            stack.push(Space(4));
            stack.push(Key);
            stack.push(Bits::new(&pattern.bits, WIDTH));
        }
        stack
    }

    fn brief<'a>(&'a self, layer: &'a LayerView, scales: &Scales) -> Stack<'a> {
        let mut stack = heading(layer, COLUMN);
        stack.push(text(&tiles_in_words(layer, "in front of every row its first number"), COLUMN));
        stack.push(Space(4));
        stack.push(Grid::new(layer.maps(), p_values(layer), scales.activations, Numbers::Rows, (COLUMN, 260)));
        stack.push(Space(MARGIN / 2));
        stack.push(self.means(layer, scales, Size::new(COLUMN, 130)));
        if let Some(expectation) = expectation(layer) {
            stack.push(Space(8));
            stack.push(p_value_chart(expectation, layer, Size::new(COLUMN, 120)));
            stack.push(Space(4));
            stack.push(text(&p_values_in_words(expectation, layer), COLUMN));
        }
        if let Some(pattern) = pattern(layer) {
            stack.push(text(&self.pattern_in_words(pattern), COLUMN));
        }
        stack
    }

    fn means(&self, layer: &LayerView, scales: &Scales, size: Size) -> Chart {
        let what = if layer.is_vector() { "Activation of every neuron" } else { "Mean of every channel" };
        let expected = expectation(layer).map_or(&[][..], |expectation| &expectation.means);
        let title = match expectation(layer) {
            Some(_) => format!("{what}: bars; black lines: training mean of `{}`", self.subject.opinion.class),
            None => what.to_owned(),
        };
        let values = layer.means.to_vec();
        Chart::numbers(title, size, (&values, expected), p_values(layer), scales.means.axis())
    }

    fn pattern_in_words(&self, pattern: &PatternComparison) -> String {
        let differing = pattern.bits.iter().filter(|bit| bit.differs()).count();
        let class = self.classes.get(pattern.nearest.class).map_or("?", String::as_str);
        let images = if pattern.nearest.images == 1 { "1 image" } else { "several images" };
        format!(
            "Binary pattern: {differing} of {} bits differ from the nearest training pattern (`{class}`, {images})",
            pattern.bits.len()
        )
    }
}

fn expectation(layer: &LayerView) -> Option<&Expectation> {
    layer.known()?.expectation.as_ref()
}

fn pattern(layer: &LayerView) -> Option<&PatternComparison> {
    layer.known()?.pattern.as_ref()
}

/// One per channel; empty where nothing is known.
fn p_values(layer: &LayerView) -> &[f64] {
    expectation(layer).map_or(&[], |expectation| &expectation.p_values)
}

fn text(words: &str, width: u32) -> Lines {
    Lines { lines: wrapped(words, TEXT, width), font: TEXT, color: FAINT, width }
}

fn bold(words: &str, width: u32) -> Lines {
    Lines { lines: wrapped(words, HEADING, width), font: HEADING, color: INK, width }
}

/// Name and shape of a layer, and what cannot be shown of it.
fn heading(layer: &LayerView, width: u32) -> Stack<'_> {
    let LayerView { name, number, layers, .. } = layer;
    let title = format!("{name}: {}", layer.shape());
    let remarks = layer.remarks().iter().flat_map(|remark| wrapped(remark, TEXT, width)).collect();
    let mut stack = Stack::default();
    stack.push(Lines { lines: vec![title], font: TITLE, color: INK, width });
    stack.push(text(&format!("layer {number} of {layers}"), width));
    stack.push(Lines { lines: remarks, font: TEXT, color: WARNING, width });
    stack.push(Space(4));
    stack
}

/// What the tiles are; `numbers` says where their numbers stand.
fn tiles_in_words(layer: &LayerView, numbers: &str) -> String {
    let unit = layer.unit();
    let all = layer.channels();
    let shown = if all > MOST_CHANNELS {
        format!("the first {MOST_CHANNELS} of {all} {unit}s are drawn; ")
    } else {
        String::new()
    };
    let frames = match p_values(layer) {
        [] => String::new(),
        _ => {
            let Levels { suspect, alarm } = Levels::default();
            format!("; framed where unusual for the class: orange p up to {suspect}, red p up to {alarm}")
        }
    };
    format!("{shown}one tile per {unit}, {numbers}, all on one colour scale{frames}")
}

fn deviations(layer: &LayerView, scales: &Scales, size: Size) -> Chart {
    let deviations = layer.deviations().unwrap_or_default();
    let title = "Deviation: this image minus the training mean".to_owned();
    Chart::numbers(title, size, (&deviations, &[]), p_values(layer), scales.deviations.axis())
}

fn p_value_chart(expectation: &Expectation, layer: &LayerView, size: Size) -> Chart {
    let title = format!("p-value of every {} ({}): high bars are unusual", layer.unit(), expectation.detector);
    Chart::p_values(title, size, &expectation.p_values)
}

fn p_values_in_words(expectation: &Expectation, layer: &LayerView) -> String {
    let alarm = Levels::default().alarm;
    let count = expectation.p_values.iter().filter(|p_value| **p_value <= f64::from(alarm)).count();
    let by_chance = alarm * expectation.p_values.len() as f32;
    let (unit, meaning) = (layer.unit(), expectation.meaning);
    format!(
        "p: {meaning}. {count} of {} {unit}s at p up to {alarm}; {by_chance:.1} are to be expected by chance.",
        expectation.p_values.len()
    )
}

fn bits_in_words(layer: &LayerView) -> String {
    let value = if layer.is_vector() { "its activation" } else { "its mean" };
    format!(
        "One column per {} with its number; from bottom to top its bits are on where {value} exceeds the lower quartile, the \
         median and the upper quartile of the training images. Only those are kept that tell most about the class.",
        layer.unit()
    )
}

#[cfg(test)]
mod tests {
    use super::super::layer::tests::{compared, maps};
    use super::super::portrait::tests::subject;
    use super::*;

    fn drawn(layers: &[LayerView], detail: Detail) -> RgbImage {
        let (subject, scales) = (subject(64, 48), layers.iter().map(LayerView::scales).collect::<Vec<_>>());
        let classes = ["yield".to_owned(), "stop".to_owned()];
        let sheet = Sheet { subject: &subject, classes: &classes, layers, scales: &scales, detail };
        let picture = sheet.draw().unwrap();
        assert_eq!(picture.dimensions(), sheet.size());
        picture
    }

    #[test]
    fn every_shape_of_layer_can_be_drawn() {
        for (channels, height, width) in [(1, 1, 1), (1000, 1, 1), (3, 40, 60), (300, 2, 2), (0, 2, 2), (5, 0, 0)] {
            for view in [maps(channels, height, width), compared(channels, height, width)] {
                for detail in [Detail::Full, Detail::Brief] {
                    drawn(&[view.clone(), view.clone(), view.clone()], detail);
                }
            }
        }
    }

    #[test]
    fn more_is_shown_with_a_monitor_and_nothing_reaches_the_margin() {
        let (plain, known) = (drawn(&[maps(64, 10, 10)], Detail::Full), drawn(&[compared(64, 10, 10)], Detail::Full));
        assert!(known.height() > plain.height() + 300);
        for picture in [&plain, &known] {
            let (width, height) = picture.dimensions();
            let margin =
                picture.enumerate_pixels().filter(|(x, y, _)| *x >= width - MARGIN / 2 || *y >= height - MARGIN / 2);
            assert!(margin.into_iter().all(|(_, _, pixel)| *pixel == PAPER));
        }
    }

    #[test]
    fn values_that_are_no_numbers_break_nothing() {
        let mut view = compared(4, 3, 3);
        view.activations.fill(f32::NAN);
        view.means.fill(f32::INFINITY);
        let picture = drawn(&[view], Detail::Full);
        assert!(picture.pixels().filter(|pixel| pixel.0 == [255, 0, 255]).count() > 1000);
    }

    #[test]
    fn words_count_what_is_unusual() {
        let view = compared(8, 1, 1);
        // 0.5 to the power of 7 is the only one below 0.01.
        let words = p_values_in_words(expectation(&view).unwrap(), &view);
        assert_eq!(words, "p: a share. 1 of 8 channels at p up to 0.01; 0.1 are to be expected by chance.");
    }
}
