//! Channels of a layer as tiles on one colour scale, with its legend.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;
use image::{Rgb, RgbImage};
use ndarray::{ArrayView2, ArrayView3, Axis};

use super::piece::Piece;
use super::style::{FAINT, INK, NOT_FINITE, SMALL, alarm_color, style};
use super::{ChartError, Range};
use crate::canvas::{Canvas, text_width};
use crate::colormap::viridis;
use crate::monitor::Short;

/// Channels that are drawn at most.
pub(super) const MOST_CHANNELS: usize = 4096;
/// Space around a tile, where the frame of an unusual one is drawn.
const GAP: u32 = 4;
const FRAME: u32 = 2;
/// Room for the legend on the right.
const LEGEND: u32 = 104;
const LEGEND_BAR: Size = Size::new(16, 150);
/// Largest side of a value, and of a tile, in pixels.
const LARGEST_VALUE: f64 = 24.0;
const LARGEST_TILE: f64 = 192.0;
/// Smallest longer side of a tile.
const SMALLEST_TILE: f64 = 8.0;

/// Where the numbers of channels stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Above every tile.
    Each,
    /// In front of every row, the number of its first channel.
    Rows,
}

/// Tiles of a layer.
pub(super) struct Grid<'a> {
    /// `C×H×W`.
    maps: ArrayView3<'a, f32>,
    /// One per channel; empty where nothing is known.
    p_values: &'a [f64],
    range: Range,
    numbers: Numbers,
    /// Channels that are drawn.
    channels: usize,
    columns: usize,
    /// Pixels of one tile.
    tile: Size,
}

impl<'a> Grid<'a> {
    /// Tiles as large as fit into a picture of `width` by about `height` pixels. Where even the smallest ones do not fit, it
    /// gets higher.
    pub(super) fn new(
        maps: ArrayView3<'a, f32>,
        p_values: &'a [f64],
        range: Range,
        numbers: Numbers,
        (width, height): (u32, u32),
    ) -> Self {
        let channels = maps.len_of(Axis(0)).min(MOST_CHANNELS);
        let mut grid = Self { maps, p_values, range, numbers, channels, columns: 1, tile: Size::zero() };
        for scale in scales(maps.len_of(Axis(1)).max(maps.len_of(Axis(2)))) {
            grid.tile = tile(maps, scale);
            grid.columns = (grid.room(width) / grid.pitch().width).max(1) as usize;
            if grid.tiles_height() <= height {
                break;
            }
        }
        grid.columns = grid.columns.min(channels.max(1));
        grid
    }

    fn room(&self, width: u32) -> u32 {
        width.saturating_sub(LEGEND + self.row_numbers())
    }

    /// Width of the numbers in front of rows.
    fn row_numbers(&self) -> u32 {
        match self.numbers {
            Numbers::Each => 0,
            Numbers::Rows => self.number_width() + 4,
        }
    }

    fn number_width(&self) -> u32 {
        text_width(&self.channels.saturating_sub(1).to_string(), SMALL)
    }

    /// From one tile to the next one.
    fn pitch(&self) -> Size {
        match self.numbers {
            Numbers::Each => {
                let width = self.tile.width.max(self.number_width());
                Size::new(width + GAP + FRAME, self.tile.height + SMALL.character_size.height + GAP + 2 * FRAME)
            }
            Numbers::Rows => self.tile + Size::new_equal(GAP),
        }
    }

    fn tiles_height(&self) -> u32 {
        self.channels.div_ceil(self.columns) as u32 * self.pitch().height
    }

    /// Upper left corner of a tile.
    fn corner(&self, channel: usize) -> Point {
        let (column, row) = ((channel % self.columns) as u32, (channel / self.columns) as u32);
        let above = match self.numbers {
            Numbers::Each => SMALL.character_size.height + FRAME,
            Numbers::Rows => FRAME,
        };
        let pitch = self.pitch();
        Point::new((self.row_numbers() + FRAME + column * pitch.width) as i32, (above + row * pitch.height) as i32)
    }

    fn draw_tile(&self, canvas: &mut Canvas, at: Point, channel: usize) {
        let corner = at + self.corner(channel);
        if let Some(color) = self.p_values.get(channel).copied().and_then(alarm_color) {
            let frame = Rectangle::new(corner - Point::new_equal(FRAME as i32), self.tile + Size::new_equal(2 * FRAME));
            canvas.fill(frame, color);
        }
        canvas.picture(corner, &picture(self.maps.index_axis(Axis(0), channel), self.tile, self.range));
        let (text, height) = (channel.to_string(), SMALL.character_size.height as i32);
        match self.numbers {
            Numbers::Each => canvas.text(corner - Point::new(0, height + FRAME as i32), &text, style(SMALL, INK)),
            Numbers::Rows if channel.is_multiple_of(self.columns) => {
                let middle = (self.tile.height as i32 - height) / 2;
                canvas.text(Point::new(at.x, corner.y + middle.max(0)), &text, style(SMALL, INK));
            }
            Numbers::Rows => {}
        }
    }

    /// The colours with their numbers, and the colour of what is no number.
    fn draw_legend(&self, canvas: &mut Canvas, at: Point) {
        let length = LEGEND_BAR.height;
        for row in 0..length {
            let share = 1.0 - row as f32 / (length - 1) as f32;
            let line = Rectangle::new(at + Point::new(0, row as i32), Size::new(LEGEND_BAR.width, 1));
            let [red, green, blue] = viridis(share);
            canvas.fill(line, Rgb888::new(red, green, blue));
        }
        for share in [0.0_f32, 0.5, 1.0] {
            let value = self.range.low + share * (self.range.high - self.range.low);
            let middle = ((1.0 - share) * (length - 1) as f32) as i32 - SMALL.character_size.height as i32 / 2;
            let text = Short(value).to_string();
            canvas.text(at + Point::new(LEGEND_BAR.width as i32 + 5, middle), &text, style(SMALL, INK));
        }
        let below = at + Point::new(0, length as i32 + 12);
        canvas.fill(Rectangle::new(below, Size::new(LEGEND_BAR.width, 10)), NOT_FINITE);
        let beside = below + Point::new(LEGEND_BAR.width as i32 + 5, 0);
        canvas.text(beside, "NaN or", style(SMALL, FAINT));
        canvas.text(beside + Point::new(0, 10), "infinite", style(SMALL, FAINT));
    }
}

impl Piece for Grid<'_> {
    fn height(&self) -> u32 {
        self.tiles_height().max(LEGEND_BAR.height + 40)
    }

    fn draw(&self, canvas: &mut Canvas, at: Point) -> Result<(), ChartError> {
        if self.maps.is_empty() {
            canvas.text(at, "the layer has no values", style(SMALL, INK));
            return Ok(());
        }
        (0..self.channels).for_each(|channel| self.draw_tile(canvas, at, channel));
        let width = self.row_numbers() + self.columns as u32 * self.pitch().width;
        self.draw_legend(canvas, at + Point::new(width as i32 + 14, SMALL.character_size.height as i32));
        Ok(())
    }
}

/// How large the longer side of a tile may be drawn, in pixels per value: as large as looks well first, then smaller.
fn scales(side: usize) -> impl Iterator<Item = f64> {
    let side = side.max(1) as f64;
    let largest = (side * LARGEST_VALUE).clamp(SMALLEST_TILE, LARGEST_TILE) as u32;
    (SMALLEST_TILE as u32..=largest).rev().map(move |pixels| f64::from(pixels) / side)
}

/// Pixels of a tile at so many pixels per value.
fn tile(maps: ArrayView3<'_, f32>, scale: f64) -> Size {
    let side = |values: usize| ((values as f64 * scale).round() as u32).max(1);
    Size::new(side(maps.len_of(Axis(2))), side(maps.len_of(Axis(1))))
}

/// An `H×W` map in so many pixels. Where a pixel shows several values, it shows their mean.
fn picture(map: ArrayView2<'_, f32>, size: Size, range: Range) -> RgbImage {
    let (height, width) = map.dim();
    RgbImage::from_fn(size.width, size.height, |x, y| {
        let ((left, right), (top, bottom)) = (span(x, size.width, width), span(y, size.height, height));
        let values = map.slice(ndarray::s![top..bottom, left..right]);
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
        pixel(mean as f32, range)
    })
}

/// The values that pixel `index` of `pixels` shows, at least one.
fn span(index: u32, pixels: u32, values: usize) -> (usize, usize) {
    let at = |pixel: u32| (u64::from(pixel) * values as u64 / u64::from(pixels.max(1))) as usize;
    let start = at(index);
    (start, at(index + 1).max(start + 1).min(values.max(1)))
}

fn pixel(value: f32, range: Range) -> Rgb<u8> {
    use embedded_graphics::prelude::RgbColor;
    if value.is_finite() {
        Rgb(viridis(range.share(value)))
    } else {
        Rgb([NOT_FINITE.r(), NOT_FINITE.g(), NOT_FINITE.b()])
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    const WIDTH: u32 = 1000;

    fn grid(maps: &Array3<f32>, numbers: Numbers) -> Grid<'_> {
        Grid::new(maps.view(), &[], Range::of(maps), numbers, (WIDTH, 600))
    }

    #[test]
    fn every_layout_has_room() {
        let shapes = [
            (1, 1, 1),
            (1, 40, 40),
            (1000, 1, 1),
            (64, 40, 40),
            (256, 10, 10),
            (3, 500, 700),
            (2, 1, 300),
            (5000, 2, 2),
        ];
        for (shape, numbers) in shapes.into_iter().flat_map(|shape| [(shape, Numbers::Each), (shape, Numbers::Rows)]) {
            let maps = Array3::<f32>::ones(shape);
            let grid = grid(&maps, numbers);
            let last = grid.corner(grid.channels - 1) + grid.tile;
            assert!(last.y <= grid.height() as i32, "{shape:?}");
            let widest = grid.corner(grid.columns - 1) + grid.tile;
            assert!(widest.x as u32 + LEGEND <= WIDTH + FRAME, "{shape:?} {numbers:?} {widest}");
            let mut canvas = Canvas(RgbImage::new(WIDTH, grid.height()));
            grid.draw(&mut canvas, Point::zero()).unwrap();
        }
        let large = Array3::<f32>::ones((256, 10, 10));
        assert!(grid(&large, Numbers::Each).height() <= 600);
    }

    #[test]
    fn tiles_share_one_scale_and_unusual_ones_have_a_frame() {
        let maps = Array3::from_shape_fn((2, 2, 2), |(channel, _, _)| channel as f32);
        let grid = Grid::new(maps.view(), &[0.5, 0.001], Range::of(&maps), Numbers::Each, (WIDTH, 600));
        let mut canvas = Canvas(RgbImage::new(WIDTH, grid.height()));
        grid.draw(&mut canvas, Point::zero()).unwrap();
        let at = |channel: usize, x: i32, y: i32| {
            let Point { x, y } = grid.corner(channel) + Point::new(x, y);
            canvas.0.get_pixel(x as u32, y as u32).0
        };
        assert_eq!((at(0, 0, 0), at(1, 3, 3)), (viridis(0.0), viridis(1.0)));
        assert_eq!(at(1, -1, 5), crate::monitor::Verdict::OutOfDistribution.rgb());
        assert_eq!(at(0, -1, 5), [0, 0, 0], "nothing is drawn around usual channels");
    }

    #[test]
    fn what_is_no_number_has_a_colour_of_its_own() {
        let mut maps = Array3::<f32>::ones((1, 2, 2));
        (maps[[0, 0, 0]], maps[[0, 1, 1]]) = (f32::NAN, f32::NEG_INFINITY);
        let picture = picture(maps.index_axis(Axis(0), 0), Size::new(2, 2), Range::of(&maps));
        let colours = [(0, 0), (1, 0), (1, 1)].map(|(x, y)| picture.get_pixel(x, y).0);
        assert_eq!(colours, [[255, 0, 255], viridis(1.0), [255, 0, 255]]);
    }

    #[test]
    fn reduced_maps_show_means() {
        let map = ndarray::array![[0.0, 4.0], [0.0, 4.0]];
        let range = Range { low: 0.0, high: 4.0 };
        assert_eq!(picture(map.view(), Size::new(1, 1), range).get_pixel(0, 0).0, viridis(0.5));
        assert_eq!(picture(map.view(), Size::new(4, 2), range).get_pixel(3, 1).0, viridis(1.0));
    }
}
