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
    /// Metres from the car's path to the right.
    pub(super) offset: f32,
}

impl Lens {
    /// A lens of 60° across, shifted by `bounce` pixels.
    pub(super) fn new(width: u32, height: u32, bounce: Point) -> Self {
        let (across, down) = (width as f32, height as f32);
        let centre = (0.5 * across + bounce.0, 0.48 * down + bounce.1);
        Self { width, height, focal: 0.866 * across, centre, offset: 0.0 }
    }

    /// The lens `offset` metres to the right, looking `yaw` radians to the right.
    pub(super) fn mounted(self, offset: f32, yaw: f32) -> Self {
        Self { offset, centre: (self.centre.0 - self.focal * yaw.tan(), self.centre.1), ..self }
    }

    /// Metres to the right of the car's path of a point `ahead` metres away that is seen in a column.
    pub(super) fn right(&self, column: f32, ahead: f32) -> f32 {
        (column - self.centre.0) * ahead / self.focal + self.offset
    }

    /// How many pixels one of 1280 across is.
    pub(super) fn scale(&self) -> f32 {
        self.width as f32 / 1280.0
    }

    /// Pixel at which a point is seen; `ahead` must be positive.
    pub(super) fn project(&self, right: f32, above: f32, ahead: f32) -> Point {
        let scale = self.focal / ahead;
        (self.centre.0 + (right - self.offset) * scale, self.centre.1 + (CAMERA_HEIGHT - above) * scale)
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
        assert!((lens.right(x, 10.0) - 2.0).abs() < 1e-4);
    }

    #[test]
    fn a_camera_that_stands_and_looks_to_the_right_sees_things_further_left() {
        let ahead = Lens::new(1280, 720, (0.0, 0.0));
        let turned = ahead.mounted(0.5, 0.2);
        let (before, after) = (ahead.project(3.0, 2.0, 10.0), turned.project(3.0, 2.0, 10.0));
        // Half a metre at ten, and the tangent of the angle.
        assert!((before.0 - after.0 - ahead.focal * (0.05 + 0.2_f32.tan())).abs() < 1e-2);
        assert_eq!(before.1, after.1);
        assert!((turned.right(after.0, 10.0) - 3.0).abs() < 1e-4);
    }
}
