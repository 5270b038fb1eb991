//! Boxes of `vision_msgs/Detection2D` as regions of an image.

use crate::frame::Region;

/// A region that lies nowhere. Its height tells it from [`Region::WHOLE`].
const NOWHERE: Region = Region { x: 0, y: 0, width: 0, height: 1 };

/// A `vision_msgs/BoundingBox2D`, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// Centre, horizontally.
    pub center_x: f64,
    /// Centre, vertically.
    pub center_y: f64,
    /// Rotation about the centre, in radians.
    pub theta: f64,
    /// Width before rotation.
    pub size_x: f64,
    /// Height before rotation.
    pub size_y: f64,
}

impl BoundingBox {
    /// The smallest region of whole pixels that contains the box, clipped at the left and upper edge of the image. A box of
    /// zeros is the whole image, as a region of zeros is; one that is not finite, has a negative size or lies beyond these
    /// edges is nowhere.
    #[must_use]
    pub fn region(&self) -> Region {
        let Self { center_x, center_y, size_x, size_y, .. } = *self;
        if [center_x, center_y, size_x, size_y] == [0.0; 4] {
            return Region::WHOLE;
        }
        let (width, height) = self.upright();
        let ((x, width), (y, height)) = (pixels(center_x, width), pixels(center_y, height));
        let region = Region { x, y, width, height };
        let sound =
            [center_x, center_y, size_x, size_y].iter().all(|side| side.is_finite()) && size_x.min(size_y) >= 0.0;
        if sound && region != Region::WHOLE { region } else { NOWHERE }
    }

    /// Width and height of the upright box around it.
    fn upright(&self) -> (f64, f64) {
        let (sin, cos) = (self.theta.sin().abs(), self.theta.cos().abs());
        (self.size_x * cos + self.size_y * sin, self.size_x * sin + self.size_y * cos)
    }
}

impl From<Region> for BoundingBox {
    fn from(region: Region) -> Self {
        let Region { x, y, width, height } = region;
        let center = |start: u32, length: u32| f64::from(start) + f64::from(length) / 2.0;
        let (center_x, center_y) = (center(x, width), center(y, height));
        Self { center_x, center_y, theta: 0.0, size_x: width.into(), size_y: height.into() }
    }
}

/// First pixel and number of pixels of a span. Conversion saturates, and makes 0 of NaN.
fn pixels(center: f64, length: f64) -> (u32, u32) {
    let (start, end) = ((center - length / 2.0).floor() as u32, (center + length / 2.0).ceil() as u32);
    (start, end.saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounding_box(center_x: f64, center_y: f64, size_x: f64, size_y: f64) -> BoundingBox {
        BoundingBox { center_x, center_y, theta: 0.0, size_x, size_y }
    }

    fn region(x: u32, y: u32, width: u32, height: u32) -> Region {
        Region { x, y, width, height }
    }

    #[test]
    fn boxes_are_rounded_outwards_and_clipped_at_zero() {
        assert_eq!(bounding_box(20.0, 30.0, 10.0, 8.0).region(), region(15, 26, 10, 8));
        assert_eq!(bounding_box(20.0, 30.0, 11.0, 8.2).region(), region(14, 25, 12, 10));
        assert_eq!(bounding_box(2.0, 1.0, 10.0, 8.0).region(), region(0, 0, 7, 5));
        assert_eq!(bounding_box(20.5, 30.5, 0.0, 0.0).region(), region(20, 30, 1, 1));
    }

    #[test]
    fn a_turned_box_is_enclosed() {
        let turned = BoundingBox { theta: std::f64::consts::FRAC_PI_4, ..bounding_box(50.0, 50.0, 20.0, 20.0) };
        assert_eq!(turned.region(), region(35, 35, 30, 30), "20·√2 is 28.3");
        let upright = BoundingBox { theta: 0.0, ..turned };
        assert_eq!(upright.region(), region(40, 40, 20, 20));
    }

    #[test]
    fn zeros_are_the_whole_image_and_nonsense_is_nowhere() {
        assert_eq!(bounding_box(0.0, 0.0, 0.0, 0.0).region(), Region::WHOLE);
        for (x, y, width, height) in [
            (-50.0, -50.0, 10.0, 10.0),
            (f64::NAN, 5.0, 2.0, 2.0),
            (5.0, f64::INFINITY, 2.0, 2.0),
            (5.0, 5.0, -2.0, 2.0),
            (5.0, 5.0, f64::NAN, 2.0),
            (5.0, 5.0, f64::INFINITY, 2.0),
        ] {
            let region = bounding_box(x, y, width, height).region();
            assert!(!region.is_whole() && (region.width == 0 || region.height == 0), "{region:?}");
        }
    }

    proptest! {
        #[test]
        fn a_region_becomes_itself(x in 0_u32..100_000, y in 0_u32..100_000, width in 1_u32..100_000, height in 1_u32..100_000) {
            let region = region(x, y, width, height);
            prop_assert_eq!(BoundingBox::from(region).region(), region);
            prop_assert_eq!(BoundingBox::from(Region::WHOLE).region(), Region::WHOLE);
        }

        #[test]
        fn whatever_comes_nothing_panics_and_only_zeros_are_whole(
            x in any::<f64>(), y in any::<f64>(), theta in any::<f64>(), width in any::<f64>(), height in any::<f64>()
        ) {
            let bounding_box = BoundingBox { center_x: x, center_y: y, theta, size_x: width, size_y: height };
            let zeros = [x, y, width, height] == [0.0; 4];
            prop_assert_eq!(bounding_box.region().is_whole(), zeros);
        }
    }
}
