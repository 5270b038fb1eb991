//! Pictures of activations: one tile per channel.

use std::collections::HashSet;

use image::{Rgb, RgbImage};
use ndarray::{ArrayView1, ArrayView2, ArrayView3, Axis};

use crate::activation::LayerActivation;
use crate::colormap::viridis;
use crate::visualize::Range;

/// Channels that are drawn at most.
const MAX_CHANNELS: usize = 64;

/// Colour between the tiles.
const GAP: Rgb<u8> = Rgb([24, 24, 24]);

/// A channel in a picture of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Index of the channel.
    pub channel: usize,
    /// Left, top, width and height in pixels of the picture.
    pub rectangle: [u32; 4],
}

/// Picture of one layer for image `row` of the batch: feature maps as a grid of tiles, a vector as a grid of cells.
/// `None` when there is nothing to draw.
#[must_use]
pub fn render(layer: &LayerActivation, row: usize) -> Option<RgbImage> {
    render_in_order(layer, row, &[]).map(|(picture, _)| picture)
}

/// The same with the tiles of feature maps in an order; channels that are not in it follow. Returns where they are, too.
#[must_use]
pub fn render_in_order(layer: &LayerActivation, row: usize, order: &[usize]) -> Option<(RgbImage, Vec<Tile>)> {
    match layer {
        LayerActivation::Map(values) if row < values.len_of(Axis(0)) => tiles(values.index_axis(Axis(0), row), order),
        LayerActivation::Vector(values) if row < values.nrows() => Some((cells(values.row(row))?, Vec::new())),
        _ => None,
    }
}

/// `C×H×W` maps as tiles of `W×H` pixels with a gap of one pixel, all on one colour scale from 0 (or the smallest
/// value, if that is negative) to what only peaks exceed.
fn tiles(maps: ArrayView3<'_, f32>, order: &[usize]) -> Option<(RgbImage, Vec<Tile>)> {
    let (channels, height, width) = maps.dim();
    let mut order: Vec<usize> = order.iter().copied().filter(|channel| *channel < channels).collect();
    let named: HashSet<usize> = order.iter().copied().collect();
    order.extend((0..channels).filter(|channel| !named.contains(channel)));
    let channels = channels.min(MAX_CHANNELS);
    if channels == 0 || height == 0 || width == 0 {
        return None;
    }
    let shown = order.iter().take(channels);
    let scale = Range::without_peaks(shown.flat_map(|&channel| maps.index_axis(Axis(0), channel)));
    let columns = columns(channels, width, height);
    let rows = channels.div_ceil(columns);
    let size = |count: usize, length: usize| u32::try_from(count * (length + 1) - 1).ok();
    let mut picture = RgbImage::from_pixel(size(columns, width)?, size(rows, height)?, GAP);
    let mut tiles = Vec::new();
    for (place, &channel) in order.iter().take(channels).enumerate() {
        let (left, top) = ((place % columns) * (width + 1), (place / columns) * (height + 1));
        draw(&mut picture, (left, top), maps.index_axis(Axis(0), channel), scale);
        tiles.push(Tile { channel, rectangle: [left, top, width, height].map(|length| length as u32) });
    }
    Some((picture, tiles))
}

fn draw(picture: &mut RgbImage, (left, top): (usize, usize), map: ArrayView2<'_, f32>, scale: Range) {
    for ((y, x), value) in map.indexed_iter() {
        picture.put_pixel((left + x) as u32, (top + y) as u32, Rgb(viridis(scale.share(*value))));
    }
}

/// A vector as one cell per value, row by row.
fn cells(vector: ArrayView1<'_, f32>) -> Option<RgbImage> {
    if vector.is_empty() {
        return None;
    }
    let scale = Range::of(vector.iter());
    let columns = columns(vector.len(), 1, 1);
    let rows = vector.len().div_ceil(columns);
    let mut picture = RgbImage::from_pixel(u32::try_from(columns).ok()?, u32::try_from(rows).ok()?, GAP);
    for (pixel, value) in picture.pixels_mut().zip(vector) {
        *pixel = Rgb(viridis(scale.share(*value)));
    }
    Some(picture)
}

/// Number of columns that makes the picture about twice as wide as high.
fn columns(count: usize, width: usize, height: usize) -> usize {
    let ideal = (2.0 * count as f64 * height as f64 / width as f64).sqrt().round() as usize;
    ideal.clamp(1, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array4};

    #[test]
    fn maps_become_tiles_with_gaps_on_one_scale() {
        // Channel c is constant c: two tiles of 3×2 in two columns.
        let maps = Array4::from_shape_fn((1, 2, 2, 3), |(_, channel, _, _)| channel as f32);
        let picture = render(&LayerActivation::Map(maps), 0).unwrap();
        assert_eq!(picture.dimensions(), (7, 2));
        assert_eq!(picture.get_pixel(0, 0).0, viridis(0.0));
        assert_eq!(picture.get_pixel(3, 1), &GAP);
        assert_eq!(picture.get_pixel(6, 1).0, viridis(1.0));
    }

    #[test]
    fn tiles_stand_in_the_order_that_is_asked_for() {
        let maps = Array4::from_shape_fn((1, 3, 2, 3), |(_, channel, _, _)| channel as f32);
        let (picture, tiles) = render_in_order(&LayerActivation::Map(maps), 0, &[2, 9]).unwrap();
        assert_eq!(tiles.iter().map(|tile| tile.channel).collect::<Vec<_>>(), [2, 0, 1]);
        assert_eq!(picture.get_pixel(0, 0).0, viridis(1.0));
        let [left, top, width, height] = tiles[1].rectangle;
        assert_eq!((width, height, picture.get_pixel(left, top).0), (3, 2, viridis(0.0)));
    }

    #[test]
    fn a_vector_becomes_cells_and_negative_values_count() {
        let vector = Array2::from_shape_vec((1, 2), vec![-1.0, 1.0]).unwrap();
        let picture = render(&LayerActivation::Vector(vector), 0).unwrap();
        assert_eq!(picture.dimensions(), (2, 1));
        assert_eq!((picture.get_pixel(0, 0).0, picture.get_pixel(1, 0).0), (viridis(0.0), viridis(1.0)));
    }

    #[test]
    fn at_most_so_many_channels_are_drawn() {
        let maps = Array4::<f32>::zeros((1, 1000, 1, 1));
        let picture = render(&LayerActivation::Map(maps), 0).unwrap();
        let (width, height) = picture.dimensions();
        assert!(width.div_ceil(2) * height.div_ceil(2) < MAX_CHANNELS as u32 + 12, "{width}×{height}");
    }

    #[test]
    fn nothing_to_draw_is_nothing_and_not_finite_values_are_black() {
        assert!(render(&LayerActivation::Map(Array4::zeros((1, 0, 4, 4))), 0).is_none());
        assert!(render(&LayerActivation::Map(Array4::zeros((1, 1, 4, 4))), 1).is_none());
        let vector = Array2::from_shape_vec((1, 2), vec![f32::NAN, f32::INFINITY]).unwrap();
        assert!(render(&LayerActivation::Vector(vector), 0).is_some());
    }
}
