//! The camera's projection.

use crate::scenario::canvas::Point;

/// Metres of the camera above the road.
const CAMERA_HEIGHT: f32 = 1.4;

/// A pinhole that looks along the road. Metres: to the right, above the road, ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lens {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Pixels per radian at the centre.
    pub(super) focal: f32,
    /// Principal point in pixels; the horizon is at its y.
    pub(super) centre: Point,
}

impl Lens {
    /// A lens of 60° across, shifted by `bounce` pixels.
    pub(super) fn new(width: u32, height: u32, bounce: Point) -> Self {
        let (across, down) = (width as f32, height as f32);
        let centre = (0.5 * across + bounce.0, 0.48 * down + bounce.1);
        Self { width, height, focal: 0.866 * across, centre }
    }

    /// Pixel at which a point is seen; `ahead` must be positive.
    pub(super) fn project(&self, right: f32, above: f32, ahead: f32) -> Point {
        let scale = self.focal / ahead;
        (self.centre.0 + right * scale, self.centre.1 + (CAMERA_HEIGHT - above) * scale)
    }

    /// Metres ahead at which the road is seen in a row below the horizon.
    pub(super) fn road_distance(&self, row: f32) -> f32 {
        self.focal * CAMERA_HEIGHT / (row - self.centre.1).max(0.01)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_road_lies_where_it_is_projected() {
        let lens = Lens::new(1280, 720, (0.0, 0.0));
        let (x, y) = lens.project(2.0, 0.0, 10.0);
        assert!((x - (640.0 + 0.2 * lens.focal)).abs() < 1e-3);
        assert!((lens.road_distance(y) - 10.0).abs() < 1e-3);
    }
}
