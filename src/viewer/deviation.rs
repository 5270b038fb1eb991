//! Where the region that has the focus differs from the training images of its class.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Rgb, RgbImage};
use ndarray::{Array2, ArrayView2, Axis};

use crate::activation::{Activations, LayerActivation};
use crate::colormap::viridis;
use crate::detector::{Bit, Expectation};
use crate::frame::thumbnail;
use crate::monitor::{LayerComparison, Monitor};
use crate::visualize::bit_color;

/// p-value from which a channel counts as unusual.
pub(super) const UNUSUAL: f64 = 0.01;
/// p-values below this weigh no more.
const SMALLEST_P: f64 = 1e-6;
/// Longer side of the heat map in pixels: a crop may have a dozen, a whole image thousands.
const HEAT_PX: u32 = 160;
/// How much of the crop the heat covers where it is strongest, 0..1.
const COVER: f32 = 0.75;
/// Side of a bit in the picture of patterns, pixels.
const BIT_PX: u32 = 4;
/// Bits in one row of that picture.
const BITS_PER_ROW: usize = 96;

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// One layer beside what the monitor keeps of it.
pub(super) struct LayerDeviation {
    /// Index of the layer.
    pub(super) layer: usize,
    /// What the monitor says.
    comparison: LayerComparison,
}

/// The shown layers of image `row` that the monitor knows.
pub(super) fn deviations(
    monitor: &Monitor,
    activations: &Activations,
    row: usize,
    shown: &[usize],
) -> Vec<LayerDeviation> {
    if row >= activations.len() {
        return Vec::new();
    }
    let features = activations.features(row);
    let compare =
        |&layer: &usize| Some(LayerDeviation { layer, comparison: monitor.compare_layer(&features, layer).ok()? });
    shown.iter().filter_map(compare).collect()
}

impl LayerDeviation {
    /// Channels with their p-values, the most unusual first; empty where the monitor keeps none of the layer.
    pub(super) fn channels(&self) -> Vec<(usize, f64)> {
        let p_values = self.comparison.expectation.as_ref().map_or(&[][..], |expectation| &expectation.p_values);
        let mut channels: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
        channels.sort_by(|a, b| a.1.total_cmp(&b.1));
        channels
    }

    /// Bits that differ from the nearest training pattern of the predicted class, and all bits.
    pub(super) fn differing_bits(&self) -> Option<(usize, usize)> {
        let pattern = self.comparison.pattern.as_ref()?;
        Some((pattern.bits.iter().filter(|bit| bit.differs()).count(), pattern.bits.len()))
    }

    fn bits(&self) -> &[Bit] {
        self.comparison.pattern.as_ref().map_or(&[], |pattern| &pattern.bits)
    }
}

/// The crop with the places coloured at which the channels of all layers deviate; `None` where no map is compared.
///
/// The heat of a layer is the sum over its channels of −log₁₀ p times the part of the map that lies on the side of the
/// deviation, as a share of its largest (class activation maps of Zhou et al., CVPR 2016, with the evidence of a channel in
/// place of its weight for a class); the heat of all layers is the mean of theirs.
pub(super) fn heat_map(
    crop: &RgbImage,
    activations: &Activations,
    row: usize,
    layers: &[LayerDeviation],
) -> Option<RgbImage> {
    let heats: Vec<Array2<f32>> = layers.iter().filter_map(|layer| heat_of(activations, row, layer)).collect();
    if heats.is_empty() || crop.width() == 0 || crop.height() == 0 {
        return None;
    }
    let mut picture = sized(crop);
    let (width, height) = picture.dimensions();
    let mut sum = vec![0.0_f32; (width * height) as usize];
    for heat in &heats {
        let large = imageops::resize(&as_image(heat.view())?, width, height, FilterType::Triangle);
        sum.iter_mut().zip(large.pixels()).for_each(|(sum, Luma([value]))| *sum += value / heats.len() as f32);
    }
    for (pixel, heat) in picture.pixels_mut().zip(sum) {
        let colour = viridis(heat);
        for (value, colour) in pixel.0.iter_mut().zip(colour) {
            let cover = COVER * heat.clamp(0.0, 1.0);
            *value = (f32::from(*value) * (1.0 - cover) + f32::from(colour) * cover).round() as u8;
        }
    }
    Some(picture)
}

/// Heat of one layer, 0..1; `None` of a vector, and where nothing deviates.
fn heat_of(activations: &Activations, row: usize, layer: &LayerDeviation) -> Option<Array2<f32>> {
    let LayerActivation::Map(values) = activations.layers.get(layer.layer)? else { return None };
    let maps = values.index_axis(Axis(0), row);
    let Expectation { means, p_values, .. } = layer.comparison.expectation.as_ref()?;
    let (_, height, width) = maps.dim();
    let mut heat = Array2::<f32>::zeros((height, width));
    for ((map, mean), p_value) in maps.axis_iter(Axis(0)).zip(means).zip(p_values) {
        let weight = -p_value.max(SMALLEST_P).log10() as f32;
        let sign = if map.mean().unwrap_or(0.0) < *mean { -1.0 } else { 1.0 };
        let excess = map.mapv(|value| (sign * (value - mean)).max(0.0));
        let largest = excess.iter().copied().fold(0.0, f32::max);
        if largest > 0.0 && largest.is_finite() {
            heat.scaled_add(weight / largest, &excess);
        }
    }
    let largest = heat.iter().copied().fold(0.0, f32::max);
    (largest > 0.0 && largest.is_finite()).then(|| heat / largest)
}

fn as_image(heat: ArrayView2<'_, f32>) -> Option<ImageBuffer<Luma<f32>, Vec<f32>>> {
    let (height, width) = heat.dim();
    ImageBuffer::from_raw(u32::try_from(width).ok()?, u32::try_from(height).ok()?, heat.iter().copied().collect())
}

/// A small crop enlarged by a whole number, a large one made smaller.
fn sized(crop: &RgbImage) -> RgbImage {
    let (width, height) = crop.dimensions();
    match HEAT_PX / width.max(height) {
        0 => thumbnail(crop.clone(), HEAT_PX),
        factor => imageops::resize(crop, width * factor, height * factor, FilterType::Triangle),
    }
}

/// The binary patterns of all layers, each above the nearest one seen in training; bits that differ are red. `None` without
/// patterns.
pub(super) fn patterns(layers: &[LayerDeviation]) -> Option<RgbImage> {
    let rows: Vec<&[Bit]> = layers.iter().flat_map(|layer| layer.bits().chunks(BITS_PER_ROW)).collect();
    if rows.is_empty() {
        return None;
    }
    // Two rows of bits and one that is free.
    let height = rows.len() as u32 * 3 * BIT_PX;
    let mut picture = RgbImage::from_pixel(BITS_PER_ROW as u32 * BIT_PX, height, PAPER);
    for (index, bits) in rows.iter().enumerate() {
        let top = index as u32 * 3 * BIT_PX;
        for (column, bit) in bits.iter().enumerate() {
            let differs = bit.differs();
            let left = column as u32 * BIT_PX;
            fill(&mut picture, (left, top), bit_color(bit.image, differs));
            fill(&mut picture, (left, top + BIT_PX), bit_color(bit.nearest, differs));
        }
    }
    Some(picture)
}

/// A bit, with a gap to its right and below.
fn fill(picture: &mut RgbImage, (left, top): (u32, u32), colour: [u8; 3]) {
    for (x, y) in (0..BIT_PX - 1).flat_map(|x| (0..BIT_PX - 1).map(move |y| (x, y))) {
        picture.put_pixel(left + x, top + y, Rgb(colour));
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;
    use crate::detector::{DetectorKind, NearestExample, PatternComparison};

    fn layer(means: Vec<f32>, p_values: Vec<f64>) -> LayerDeviation {
        let expectation = Expectation { detector: DetectorKind::GaussianKl, meaning: "", means, p_values };
        LayerDeviation { layer: 0, comparison: LayerComparison { expectation: Some(expectation), pattern: None } }
    }

    fn activations(maps: Array4<f32>) -> Activations {
        Activations { logits: ndarray::Array2::zeros((1, 2)), layers: vec![LayerActivation::Map(maps)] }
    }

    #[test]
    fn the_most_unusual_channel_is_the_first() {
        let channels = layer(vec![0.0; 3], vec![0.5, 1e-4, 0.02]).channels();
        assert_eq!(channels, [(1, 1e-4), (2, 0.02), (0, 0.5)]);
    }

    #[test]
    fn it_is_hot_where_the_unusual_channel_is_higher_than_usual() {
        // Channel 0 is as usual everywhere but at no place strange, channel 1 is high in the right column.
        let maps =
            Array4::from_shape_fn((1, 2, 2, 2), |(_, channel, _, x)| if channel == 1 && x == 1 { 5.0 } else { 0.0 });
        let crop = RgbImage::from_pixel(8, 8, Rgb([100, 100, 100]));
        let layers = [layer(vec![0.0, 0.1], vec![1.0, 1e-5])];
        let picture = heat_map(&crop, &activations(maps), 0, &layers).unwrap();
        assert_eq!(picture.dimensions(), (160, 160));
        assert_eq!(picture.get_pixel(2, 80).0, [100, 100, 100]);
        let hot = picture.get_pixel(157, 80).0;
        assert!(hot[0] > 180 && hot[2] < 80, "{hot:?}");
    }

    #[test]
    fn the_heat_of_a_whole_image_is_small() {
        let maps = Array4::from_shape_fn((1, 1, 1, 2), |(.., x)| x as f32);
        let image = RgbImage::new(1280, 720);
        let picture = heat_map(&image, &activations(maps), 0, &[layer(vec![0.1], vec![0.01])]).unwrap();
        assert_eq!(picture.dimensions(), (160, 90));
    }

    #[test]
    fn without_deviation_or_with_nan_there_is_no_heat() {
        let crop = RgbImage::new(4, 4);
        for value in [0.5, f32::NAN] {
            let maps = Array4::from_elem((1, 1, 2, 2), value);
            assert!(heat_map(&crop, &activations(maps), 0, &[layer(vec![0.5], vec![1.0])]).is_none());
        }
    }

    #[test]
    fn patterns_lie_above_each_other_with_their_differences_in_red() {
        let bit = |image, nearest| Bit { unit: 0, threshold: 0.0, image, nearest };
        let nearest = NearestExample { class: 0, distance: 1.0, images: 1 };
        let pattern = PatternComparison { bits: vec![bit(true, true), bit(false, true)], nearest };
        let comparison = LayerComparison { expectation: None, pattern: Some(pattern) };
        let layers = [LayerDeviation { layer: 0, comparison }];
        let picture = patterns(&layers).unwrap();
        let at = |column, row| picture.get_pixel(column * BIT_PX, row * BIT_PX).0;
        let expected = [(true, false), (true, false), (false, true), (true, true)];
        assert_eq!([at(0, 0), at(0, 1), at(1, 0), at(1, 1)], expected.map(|(on, differs)| bit_color(on, differs)));
        assert_eq!(layers[0].differing_bits(), Some((1, 2)));
        assert!(patterns(&[layer(vec![], vec![])]).is_none());
    }
}
