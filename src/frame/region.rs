//! Regions of an image and their way to the input of a model.

use std::{cell::RefCell, fmt};

use fast_image_resize::{
    FilterType, ResizeAlg, ResizeOptions, Resizer, images::TypedImage, images::TypedImageRef, pixels::U8x3,
};
use image::RgbImage;
use ndarray::Array3;
use serde::{Deserialize, Serialize};

use super::FrameError;
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
        let fits = |start: u32, length: u32, limit: u32| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= limit)
        };
        self.is_whole() || (fits(self.x, self.width, width) && fits(self.y, self.height, height))
    }

    /// Left, top, width and height after widening by `margin` (share of the size, per side) within the image.
    fn widened(&self, margin: f32, image: (u32, u32)) -> [f64; 4] {
        if self.is_whole() {
            return [0.0, 0.0, image.0.into(), image.1.into()];
        }
        let along = |start: u32, length: u32, limit: u32| {
            let extra = f64::from(length) * f64::from(margin);
            let left = (f64::from(start) - extra).max(0.0);
            let right = (f64::from(start) + f64::from(length) + extra).min(f64::from(limit));
            (left, right - left)
        };
        let (left, width) = along(self.x, self.width, image.0);
        let (top, height) = along(self.y, self.height, image.1);
        [left, top, width, height]
    }
}

impl fmt::Display for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { x, y, width, height } = self;
        write!(formatter, "{width}×{height} at ({x}, {y})")
    }
}

thread_local! {
    /// Keeps its buffers between calls.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Cuts `region` out of `image` and resizes it to the model's input: `3×H×W`, RGB in 0..1.
///
/// The region is first widened on each side by [`InputSpec::region_margin`] as far as the image reaches;
/// [`Region::WHOLE`] is taken as it is. Resizing is bilinear with anti-aliasing when shrinking; the aspect ratio is
/// not kept.
///
/// # Errors
/// [`FrameError::Region`] when the region is empty or not inside the image; [`FrameError::Resize`] when the input
/// size is beyond what an image can have.
pub fn cut(image: &RgbImage, region: Region, input: &InputSpec) -> Result<Array3<f32>, FrameError> {
    let (width, height) = image.dimensions();
    if width == 0 || height == 0 || !region.lies_inside(width, height) {
        return Err(FrameError::Region { region, width, height });
    }
    let crop = region.widened(input.region_margin, (width, height));
    let small = resize(image, crop, input).map_err(|reason| FrameError::Resize {
        region,
        width: input.width,
        height: input.height,
        reason,
    })?;
    let pixels = small.pixels();
    Ok(Array3::from_shape_fn((3, input.height, input.width), |(channel, y, x)| {
        f32::from(pixels[y * input.width + x].0[channel]) / 255.0
    }))
}

fn resize(image: &RgbImage, crop: [f64; 4], input: &InputSpec) -> Result<TypedImage<'static, U8x3>, String> {
    let side = |pixels: usize| u16::try_from(pixels).map_err(|_| format!("{pixels} is more than {}", u16::MAX));
    let mut small = TypedImage::new(side(input.width)?.into(), side(input.height)?.into());
    let source = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.as_raw())
        .map_err(|error| error.to_string())?;
    let [left, top, width, height] = crop;
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(left, top, width, height);
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize_typed(&source, &mut small, &options))
        .map_err(|error| error.to_string())?;
    Ok(small)
}

#[cfg(test)]
mod tests {
    use image::Rgb;
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
        let values = cut(&coordinates(20, 10), region(7, 4, 3, 2), &input(3, 2, 0.0)).unwrap();
        assert_eq!(values.dim(), (3, 2, 3));
        assert_eq!(bytes(&values, 0), [7, 8, 9, 7, 8, 9]);
        assert_eq!(bytes(&values, 1), [4, 4, 4, 5, 5, 5]);
        assert_eq!(bytes(&values, 2), [200; 6]);
        assert_eq!(values[(2, 0, 0)], 200.0 / 255.0);
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
    fn regions_outside_are_refused() {
        let image = coordinates(20, 10);
        for outside in [
            region(17, 0, 4, 4),
            region(0, 7, 4, 4),
            region(20, 0, 1, 1),
            region(3, 3, 0, 4),
            region(3, 3, 4, 0),
            region(u32::MAX, 0, 2, 2),
        ] {
            let result = cut(&image, outside, &input(8, 8, 0.0));
            assert!(matches!(result, Err(FrameError::Region { width: 20, height: 10, .. })), "{outside}");
        }
        assert_eq!(
            cut(&image, region(17, 0, 4, 4), &input(8, 8, 0.0)).unwrap_err().to_string(),
            "region 4×4 at (17, 0) is empty or not inside the 20×10 image"
        );
        assert!(cut(&RgbImage::new(0, 0), Region::WHOLE, &input(8, 8, 0.0)).is_err());
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
                Err(_) => prop_assert!(!region.lies_inside(size.0, size.1)),
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
