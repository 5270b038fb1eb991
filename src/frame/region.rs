//! Regions of an image and their way to the input of a model.

use std::{cell::RefCell, fmt};

use fast_image_resize::{
    FilterType, ImageView, PixelTrait, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedCroppedImage, TypedImage, TypedImageRef},
    pixels::{U8, U8x3, U8x4},
};
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::source::{Frame, byte_channels};
use super::{FrameError, check_dimensions};
use crate::model::InputSpec;

/// A rectangle of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Region {
    /// The whole image, whatever its size.
    pub const WHOLE: Self = Self { x: 0, y: 0, width: 0, height: 0 };

    /// Whether this is [`Region::WHOLE`].
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::WHOLE
    }

    /// Whether the region has pixels and all of them lie inside an image of that size. [`Region::WHOLE`] does.
    #[must_use]
    pub fn lies_inside(&self, width: u32, height: u32) -> bool {
        self.is_whole() || self.clipped(width, height).is_ok_and(|clipped| clipped == *self)
    }

    /// The part of the region that lies in an image of that size; all of the image for [`Region::WHOLE`].
    ///
    /// # Errors
    /// [`FrameError::Empty`] for an image without pixels, [`FrameError::RegionEmpty`] for a region without width or
    /// height, [`FrameError::RegionOutside`] when no pixel of it lies in the image.
    pub fn clipped(self, width: u32, height: u32) -> Result<Self, FrameError> {
        check_dimensions(width, height, u64::MAX)?;
        if self.is_whole() {
            return Ok(Self { x: 0, y: 0, width, height });
        }
        if self.width == 0 || self.height == 0 {
            return Err(FrameError::RegionEmpty { region: self });
        }
        if self.x >= width || self.y >= height {
            return Err(FrameError::RegionOutside { region: self, width, height });
        }
        Ok(Self { width: self.width.min(width - self.x), height: self.height.min(height - self.y), ..self })
    }

    /// After widening by `margin` (share of the size, per side) within an image of that size.
    fn widened(self, margin: f32, (width, height): (u32, u32)) -> Rectangle {
        let along = |start: u32, length: u32, limit: u32| {
            let extra = f64::from(length) * f64::from(margin);
            let start = f64::from(start);
            ((start - extra).max(0.0), (start + f64::from(length) + extra).min(f64::from(limit)))
        };
        let ((left, right), (top, bottom)) = (along(self.x, self.width, width), along(self.y, self.height, height));
        Rectangle { left, top, right, bottom }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { x, y, width, height } = self;
        write!(formatter, "{width}×{height} at ({x}, {y})")
    }
}

/// Rows of an image, from the top, that the region looks at when it is cut out ([`cut`]), whatever the size of the image.
#[must_use]
pub fn rows_of(region: Region, input: &InputSpec) -> u32 {
    const ANY: (u32, u32) = (u32::MAX, u32::MAX);
    let Ok(clipped) = region.clipped(ANY.0, ANY.1) else { return 0 };
    let pixels = clipped.widened(input.region_margin, ANY).pixels(input, ANY);
    pixels.y.saturating_add(pixels.height)
}

/// A rectangle whose edges may lie within pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rectangle {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rectangle {
    /// The pixels of an image of that size that count when the rectangle is resized: the filter reaches over its edges by
    /// half a pixel of the result, or by a pixel where it is enlarged.
    fn pixels(&self, input: &InputSpec, (width, height): (u32, u32)) -> Region {
        let along = |start: f64, end: f64, count: usize, limit: u32| {
            let reach = ((end - start) / count.max(1) as f64 / 2.0).max(1.0) + 1.0;
            let first = (start - reach).floor().max(0.0) as u32;
            let end = (end + reach).ceil().min(f64::from(limit)) as u32;
            (first, end - first)
        };
        let (x, columns) = along(self.left, self.right, input.width, width);
        let (y, rows) = along(self.top, self.bottom, input.height, height);
        Region { x, y, width: columns, height: rows }
    }

    /// The same rectangle counted from pixel (`x`, `y`).
    fn starting_at(self, x: u32, y: u32) -> Self {
        let (x, y) = (f64::from(x), f64::from(y));
        Self { left: self.left - x, top: self.top - y, right: self.right - x, bottom: self.bottom - y }
    }
}

thread_local! {
    /// Keeps its buffers between calls.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Cuts `region` out of an image and resizes it to the model's input: `3×H×W`, RGB in 0..1.
///
/// The region is clipped to the image ([`Region::clipped`] says to what), then widened on each side by
/// [`InputSpec::region_margin`] as far as the image reaches. Resizing is bilinear with anti-aliasing when shrinking; the
/// aspect ratio is not kept. Only pixels that count are converted to RGB, and those of interleaved bytes (`rgb8`, `bgr8`,
/// `mono8` and so on) only after they were resized.
///
/// # Errors
/// As [`Region::clipped`]; [`FrameError::RowsLeftOut`] where rows that count were not decoded; [`FrameError::Resize`] when the input size is beyond what an image can have.
pub fn cut<'a>(image: impl Into<Frame<'a>>, region: Region, input: &InputSpec) -> Result<Array3<f32>, FrameError> {
    let frame = image.into();
    let size = (frame.width(), frame.height());
    let rectangle = region.clipped(size.0, size.1)?.widened(input.region_margin, size);
    let area = rectangle.pixels(input, size);
    if area.y + area.height > frame.rows() {
        return Err(FrameError::RowsLeftOut { region, rows: frame.rows() });
    }
    let resized = match (byte_channels(frame.encoding()), frame.packed_width()) {
        (Some((channels, rgb)), Some(step)) => {
            let pixels = Pixels { bytes: frame.view().data, step, size: (size.0, frame.rows()) };
            match channels {
                1 => pixels.resize::<U8>(rectangle, input, rgb),
                3 => pixels.resize::<U8x3>(rectangle, input, rgb),
                _ => pixels.resize::<U8x4>(rectangle, input, rgb),
            }
        }
        _ => {
            let converted = frame.view().crop(area);
            let size = (area.width, area.height);
            let pixels = Pixels { bytes: converted.as_raw(), step: area.width, size };
            pixels.resize::<U8x3>(rectangle.starting_at(area.x, area.y), input, [0, 1, 2])
        }
    };
    resized.map_err(|reason| FrameError::Resize { region, width: input.width, height: input.height, reason })
}

/// Interleaved bytes.
struct Pixels<'a> {
    bytes: &'a [u8],
    /// Pixels from one row to the next.
    step: u32,
    /// Width and height in pixels.
    size: (u32, u32),
}

impl Pixels<'_> {
    /// `3×H×W` in 0..1; `rgb` are the indices of red, green and blue among the channels.
    fn resize<P: PixelTrait<Component = u8>>(
        &self,
        rectangle: Rectangle,
        input: &InputSpec,
        rgb: [usize; 3],
    ) -> Result<Array3<f32>, String> {
        let text = |error: &dyn fmt::Display| error.to_string();
        let (width, height) = self.size;
        let padded = TypedImageRef::<P>::from_buffer(self.step, height, self.bytes).map_err(|error| text(&error))?;
        let small = if self.step == width {
            resize(&padded, rectangle, input)?
        } else {
            let rows = TypedCroppedImage::from_ref(&padded, 0, 0, width, height).map_err(|error| text(&error))?;
            resize(&rows, rectangle, input)?
        };
        let (samples, channels) = (P::components(small.pixels()), P::count_of_components());
        Ok(Array3::from_shape_fn((3, input.height, input.width), |(colour, y, x)| {
            f32::from(samples[(y * input.width + x) * channels + rgb[colour]]) / 255.0
        }))
    }
}

fn resize<P: PixelTrait>(
    source: &impl ImageView<Pixel = P>,
    rectangle: Rectangle,
    input: &InputSpec,
) -> Result<TypedImage<'static, P>, String> {
    let side = |pixels: usize| u16::try_from(pixels).map_err(|_| format!("{pixels} is more than {}", u16::MAX));
    let mut small = TypedImage::new(side(input.width)?.into(), side(input.height)?.into());
    let Rectangle { left, top, right, bottom } = rectangle;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        // Colours count whatever their opacity.
        .use_alpha(false)
        .crop(left, top, length(left, right), length(top, bottom));
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize_typed(source, &mut small, &options))
        .map_err(|error| error.to_string())?;
    Ok(small)
}

/// `end − start`, such that adding it to `start` does not exceed `end` by rounding.
fn length(start: f64, end: f64) -> f64 {
    let length = end - start;
    if start + length > end { length.next_down() } else { length }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    fn input(width: usize, height: usize, region_margin: f32) -> InputSpec {
        InputSpec { width, height, region_margin }
    }

    fn region(x: u32, y: u32, width: u32, height: u32) -> Region {
        Region { x, y, width, height }
    }

    /// Red = x, green = y, blue = 200.
    fn coordinates(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 200]))
    }

    fn bytes(values: &Array3<f32>, channel: usize) -> Vec<u8> {
        values.index_axis(ndarray::Axis(0), channel).iter().map(|value| (value * 255.0).round() as u8).collect()
    }

    #[test]
    fn a_region_of_the_input_size_is_copied() {
        let values = cut(coordinates(20, 10), region(7, 4, 3, 2), &input(3, 2, 0.0)).unwrap();
        assert_eq!(values.dim(), (3, 2, 3));
        assert_eq!(bytes(&values, 0), [7, 8, 9, 7, 8, 9]);
        assert_eq!(bytes(&values, 1), [4, 4, 4, 5, 5, 5]);
        assert_eq!(bytes(&values, 2), [200; 6]);
        assert_eq!(values[(2, 0, 0)], 200.0 / 255.0);
    }

    #[test]
    fn the_rows_of_a_region_are_enough_to_cut_it_out() {
        let image = RgbImage::from_fn(64, 160, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, (x * y) as u8]));
        let jpeg = crate::frame::encode_jpeg(&image, 90).unwrap();
        let mut were_left_out = false;
        for (y, height, margin) in [(0, 20, 0.0), (3, 9, 0.25), (40, 60, 1.0), (100, 60, 0.5), (90, 500, 0.1)] {
            for side in [8, 40] {
                let (region, input) = (Region { x: 5, y, width: 30, height }, input(side, side, margin));
                let cut_of = |rows: u32| {
                    let options = crate::frame::DecodeOptions { rows, ..Default::default() };
                    let frame = Frame::compressed(&jpeg, "jpeg", &options).unwrap();
                    (frame.is_whole(), cut(&frame, region, &input).unwrap())
                };
                let ((_, whole), (is_whole, few)) = (cut_of(u32::MAX), cut_of(rows_of(region, &input)));
                were_left_out |= !is_whole;
                assert_eq!(whole, few, "{region}");
            }
        }
        assert!(were_left_out);
    }

    #[test]
    fn the_margin_widens_within_the_image() {
        let image = coordinates(20, 10);
        // 4×2 widened by a quarter on each side: 6×3 from (7, 3.5), here exactly the pixels 7..13.
        let widened = cut(&image, region(8, 4, 4, 2), &input(6, 2, 0.25)).unwrap();
        assert_eq!(bytes(&widened, 0)[..6], [7, 8, 9, 10, 11, 12]);
        // At the left edge only the right side grows: 4 + 1 pixels.
        let clamped = cut(&image, region(0, 0, 4, 4), &input(5, 5, 0.25)).unwrap();
        assert_eq!(bytes(&clamped, 0)[..5], [0, 1, 2, 3, 4]);
        // The whole image stays the whole image.
        let whole = cut(&image, Region::WHOLE, &input(20, 10, 0.25)).unwrap();
        assert_eq!(bytes(&whole, 0)[..20], std::array::from_fn::<u8, 20, _>(|x| x as u8));
    }

    #[test]
    fn shrinking_averages_instead_of_skipping() {
        let stripes = RgbImage::from_fn(64, 64, |x, _| Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
        let values = cut(&stripes, Region::WHOLE, &input(8, 8, 0.0)).unwrap();
        assert!(values.iter().all(|value| (value - 0.5).abs() < 0.05), "{values}");
    }

    #[test]
    fn regions_are_clipped_and_widened_within_the_image() {
        let image = coordinates(20, 10);
        assert_eq!(region(17, 8, 9, u32::MAX).clipped(20, 10).unwrap(), region(17, 8, 3, 2));
        assert_eq!(Region::WHOLE.clipped(20, 10).unwrap(), region(0, 0, 20, 10));
        let clipped = cut(&image, region(16, 0, 400, 4), &input(4, 4, 0.0)).unwrap();
        assert_eq!(bytes(&clipped, 0)[..4], [16, 17, 18, 19]);
        // Four pixels are left, so the margin of a quarter is one pixel: it goes to the left, below, and nowhere else.
        let widened = cut(&image, region(16, 0, 400, 4), &input(5, 5, 0.25)).unwrap();
        assert_eq!(bytes(&widened, 0)[..5], [15, 16, 17, 18, 19]);
        assert_eq!(bytes(&widened, 1)[20..], [4; 5]);
    }

    #[test]
    fn regions_without_a_pixel_in_the_image_are_refused() {
        let image = coordinates(20, 10);
        let reason = |region: Region| cut(&image, region, &input(8, 8, 0.0)).unwrap_err().to_string();
        for outside in [region(20, 0, 1, 1), region(0, 10, 4, 4), region(u32::MAX, 0, 2, 2)] {
            assert_eq!(reason(outside), format!("region {outside} lies outside of the 20×10 image"));
        }
        for empty in [region(3, 3, 0, 4), region(3, 3, 4, 0), region(0, 0, 4, 0), region(3, 0, 0, 0)] {
            let expected = "has no pixels: give it a width and a height, or 0×0 at (0, 0) for the whole image";
            assert_eq!(reason(empty), format!("region {empty} {expected}"));
        }
        assert!(cut(RgbImage::new(0, 0), Region::WHOLE, &input(8, 8, 0.0)).is_err());
        assert!(matches!(cut(&image, Region::WHOLE, &input(70_000, 8, 0.0)), Err(FrameError::Resize { .. })));
    }

    proptest! {
        #[test]
        fn cutting_never_panics_and_stays_in_range(
            size in (1u32..70, 1u32..70), edges in (0u32..80, 0u32..80, 0u32..80, 0u32..80),
            side in (1usize..40, 1usize..40), margin in 0f32..=1.0
        ) {
            let image = coordinates(size.0, size.1);
            let region = region(edges.0, edges.1, edges.2, edges.3);
            match cut(&image, region, &input(side.0, side.1, margin)) {
                Ok(values) => {
                    prop_assert_eq!(values.dim(), (3, side.1, side.0));
                    prop_assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
                }
                Err(_) => prop_assert!(region.clipped(size.0, size.1).is_err()),
            }
        }

        #[test]
        fn one_colour_stays_that_colour(value in any::<u8>(), side in 1usize..60) {
            let image = RgbImage::from_pixel(33, 21, Rgb([value; 3]));
            let values = cut(&image, region(2, 3, 17, 11), &input(side, side, 0.1)).unwrap();
            prop_assert!(values.iter().all(|&small| small == f32::from(value) / 255.0));
        }
    }
}
