//! A drawing prepared for being seen from any distance and angle.

use std::sync::OnceLock;

use image::RgbImage;
use nalgebra::{Matrix3, Rotation3, Vector3};
use tiny_skia::Pixmap;

use super::canvas::Point;
use super::picture::smooth_step;
use super::sign::{self, CLASS_NAMES};
use super::training::resize;

/// Side of the finest drawing in pixels; also the largest size at which a sprite is sharp.
pub const FINEST_PX: u32 = 256;

/// A drawing at several resolutions and its outline.
#[derive(Clone)]
pub struct Sprite {
    /// Finest first, each half the size of the one before.
    levels: Vec<Level>,
    /// Points of the convex outline in unit coordinates.
    outline: Vec<Point>,
    /// Half the side of the drawing in unit coordinates.
    reach: f32,
}

#[derive(Clone)]
struct Level {
    size: usize,
    /// Premultiplied RGBA, 0..1.
    texels: Vec<[f32; 4]>,
}

impl Sprite {
    /// Prepares a square drawing whose side is a power of two.
    pub fn new(drawing: &Pixmap) -> Self {
        let scaled = |pixel: &tiny_skia::PremultipliedColorU8| {
            [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()].map(|value| f32::from(value) / 255.0)
        };
        let finest = Level { size: drawing.width() as usize, texels: drawing.pixels().iter().map(scaled).collect() };
        let levels = finest.with_coarser();
        let outline = levels.iter().find(|level| level.size <= 128).map(Level::outline).unwrap_or_default();
        Self { levels, outline, reach: 1.0 }
    }

    /// Prepares a photograph of a sign with a margin around it. What lies outside of the sign's shape, a convex outline
    /// within -1..1, fades away.
    pub fn of_photograph(photograph: &RgbImage, shape: &[Point]) -> Self {
        let side = photograph.width().max(photograph.height()).next_power_of_two().clamp(16, FINEST_PX);
        let square = resize(photograph, side);
        let reach = photograph_reach(photograph.width().max(photograph.height()));
        let supports = supports(shape);
        let unit = |index: u32| reach * (2.0 * (index as f32 + 0.5) / side as f32 - 1.0);
        let texel = |(x, y, pixel): (u32, u32, &image::Rgb<u8>)| {
            let alpha = 1.0 - smooth_step(0.03, 0.16, outside((unit(x), unit(y)), &supports));
            let [red, green, blue] = pixel.0.map(|value| f32::from(value) / 255.0 * alpha);
            [red, green, blue, alpha]
        };
        let finest = Level { size: side as usize, texels: square.enumerate_pixels().map(texel).collect() };
        Self { levels: finest.with_coarser(), outline: shape.to_vec(), reach }
    }

    /// The outline of a class's sign, stretched so that it fills -1..1 in both directions as signs fill their boxes.
    pub fn shape_of_class(class: usize) -> Vec<Point> {
        let outline = &Self::of_class(class).outline;
        let stretched = |of: fn(&Point) -> f32, at: f32| {
            let low = outline.iter().map(of).fold(f32::MAX, f32::min);
            let high = outline.iter().map(of).fold(f32::MIN, f32::max);
            2.0 * (at - low) / (high - low).max(f32::EPSILON) - 1.0
        };
        outline.iter().map(|&(x, y)| (stretched(|point| point.0, x), stretched(|point| point.1, y))).collect()
    }

    /// The prepared sign of a GTSRB class; classes above 42 give the empty drawing.
    pub fn of_class(class: usize) -> &'static Self {
        static SPRITES: [OnceLock<Sprite>; CLASS_NAMES.len() + 1] = [const { OnceLock::new() }; CLASS_NAMES.len() + 1];
        let class = class.min(CLASS_NAMES.len());
        SPRITES[class].get_or_init(|| Self::new(&sign::draw(class, FINEST_PX)))
    }

    /// Premultiplied RGBA at a point in unit coordinates, for a view with `radius_px` pixels per unit.
    pub fn sample(&self, point: Point, radius_px: f32) -> [f32; 4] {
        let wanted = 2.0 * radius_px * self.reach;
        let point = (point.0 / self.reach, point.1 / self.reach);
        let fits = |level: &&Level| level.size as f32 >= wanted;
        match self.levels.iter().rev().find(fits).or(self.levels.first()) {
            Some(level) => level.sample(point),
            None => [0.0; 4],
        }
    }

    /// Smallest box (left, top, right, bottom) in pixels around the outline seen through `view`.
    pub fn bounds(&self, view: &View) -> [f32; 4] {
        let start = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        self.outline
            .iter()
            .map(|&point| view.project(point))
            .fold(start, |[left, top, right, bottom], (x, y)| [left.min(x), top.min(y), right.max(x), bottom.max(y)])
    }
}

/// Units of the sign from the middle of a photograph `side_px` wide to its edge. As in GTSRB, a tenth of the sign's size lies
/// around it, and at least five pixels.
pub fn photograph_reach(side_px: u32) -> f32 {
    let side = side_px as f32;
    let border = (side / 12.0).max(5.0).min(side / 4.0);
    side / (side - 2.0 * border)
}

/// How far a convex shape reaches in each of 48 directions: cosine, sine and distance.
fn supports(shape: &[Point]) -> Vec<[f32; 3]> {
    let support = |direction: u8| {
        let (sin, cos) = (f32::from(direction) * 7.5_f32.to_radians()).sin_cos();
        let reach = shape.iter().map(|&(x, y)| x * cos + y * sin).fold(f32::MIN, f32::max);
        [cos, sin, reach]
    };
    (0..48).map(support).collect()
}

/// Distance from a convex shape; negative inside.
fn outside((x, y): Point, supports: &[[f32; 3]]) -> f32 {
    supports.iter().map(|[cos, sin, reach]| x * cos + y * sin - reach).fold(f32::MIN, f32::max)
}

impl Level {
    /// This level and all coarser ones.
    fn with_coarser(self) -> Vec<Self> {
        let mut levels = vec![self];
        while let Some(coarser) = levels.last().and_then(Self::halved) {
            levels.push(coarser);
        }
        levels
    }

    /// Bilinear sample; transparent outside.
    fn sample(&self, (x, y): Point) -> [f32; 4] {
        let half = self.size as f32 / 2.0;
        let (column, row) = ((x + 1.0) * half - 0.5, (y + 1.0) * half - 0.5);
        let (left, top) = (column.floor(), row.floor());
        let (right_share, lower_share) = (column - left, row - top);
        let mut sum = [0.0; 4];
        for (dx, dy, weight) in [
            (0, 0, (1.0 - right_share) * (1.0 - lower_share)),
            (1, 0, right_share * (1.0 - lower_share)),
            (0, 1, (1.0 - right_share) * lower_share),
            (1, 1, right_share * lower_share),
        ] {
            let texel = self.texel(left as i32 + dx, top as i32 + dy);
            sum = std::array::from_fn(|channel| sum[channel] + weight * texel[channel]);
        }
        sum
    }

    fn texel(&self, column: i32, row: i32) -> [f32; 4] {
        let inside = 0..self.size as i32;
        if inside.contains(&column) && inside.contains(&row) {
            self.texels[row as usize * self.size + column as usize]
        } else {
            [0.0; 4]
        }
    }

    /// The level of half the size: the mean of every 2×2 block; `None` below 16 pixels.
    fn halved(&self) -> Option<Self> {
        let size = self.size / 2;
        let block = |index: usize| {
            let corner = (index / size * 2) * self.size + index % size * 2;
            let cells = [corner, corner + 1, corner + self.size, corner + self.size + 1];
            std::array::from_fn(|channel| cells.iter().map(|&cell| self.texels[cell][channel]).sum::<f32>() / 4.0)
        };
        (size >= 8).then(|| Self { size, texels: (0..size * size).map(block).collect() })
    }

    /// The farthest opaque point in each of 48 directions.
    fn outline(&self) -> Vec<Point> {
        let unit = |index: usize| 2.0 * (index as f32 + 0.5) / self.size as f32 - 1.0;
        let opaque: Vec<Point> = (0..self.texels.len())
            .filter(|&index| self.texels[index][3] > 0.5)
            .map(|index| (unit(index % self.size), unit(index / self.size)))
            .collect();
        let farthest = |direction: u8| {
            let (sin, cos) = (f32::from(direction) * 7.5_f32.to_radians()).sin_cos();
            let reach = |point: &Point| point.0 * cos + point.1 * sin;
            opaque.iter().copied().max_by(|a, b| reach(a).total_cmp(&reach(b)))
        };
        (0..48).filter_map(farthest).collect()
    }
}

/// How a sign is turned against the image plane, in radians.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pose {
    /// About the vertical axis.
    pub yaw: f32,
    /// About the horizontal axis.
    pub pitch: f32,
    /// In the image plane, clockwise.
    pub roll: f32,
}

/// A homography between the plane of a sign and the image.
pub struct View {
    to_pixels: Matrix3<f32>,
    to_sign: Matrix3<f32>,
    /// Pixels per unit at the centre of the sign.
    pub radius_px: f32,
}

impl View {
    /// A sign whose centre is seen at `centre` (pixels) with `radius_px` pixels per unit.
    pub fn new(centre: Point, radius_px: f32, pose: Pose) -> Self {
        /// Distance of the camera in units of the sign: how strong the perspective within one sign is.
        const DISTANCE: f32 = 12.0;
        let turn = Rotation3::from_axis_angle(&Vector3::z_axis(), pose.roll)
            * Rotation3::from_axis_angle(&Vector3::x_axis(), pose.pitch)
            * Rotation3::from_axis_angle(&Vector3::y_axis(), pose.yaw);
        let turn = turn.matrix();
        let plane =
            Matrix3::from_columns(&[turn.column(0), turn.column(1), Vector3::new(0.0, 0.0, DISTANCE).column(0)]);
        let focal = radius_px * DISTANCE;
        let camera = Matrix3::new(focal, 0.0, centre.0, 0.0, focal, centre.1, 0.0, 0.0, 1.0);
        let to_pixels = camera * plane;
        let to_sign = to_pixels.try_inverse().unwrap_or_else(Matrix3::identity);
        Self { to_pixels, to_sign, radius_px }
    }

    /// Pixel at which a point of the sign is seen.
    pub fn project(&self, point: Point) -> Point {
        apply(&self.to_pixels, point)
    }

    /// Point of the sign's plane that is seen at a pixel.
    pub fn back_project(&self, pixel: Point) -> Point {
        apply(&self.to_sign, pixel)
    }
}

fn apply(homography: &Matrix3<f32>, (x, y): Point) -> Point {
    let mapped = homography * Vector3::new(x, y, 1.0);
    (mapped.x / mapped.z, mapped.y / mapped.z)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disc_seen_from_the_front_is_bounded_by_its_radius() {
        let bounds = Sprite::of_class(17).bounds(&View::new((50.0, 40.0), 20.0, Pose::default()));
        for (found, expected) in bounds.into_iter().zip([30.0, 20.0, 70.0, 60.0]) {
            assert!((found - expected).abs() < 0.5, "{bounds:?}");
        }
    }

    #[test]
    fn a_photograph_is_bounded_by_the_sign_in_it_and_fades_beside_it() {
        let photograph = RgbImage::from_pixel(60, 60, image::Rgb([200; 3]));
        let disc = Sprite::of_photograph(&photograph, &Sprite::shape_of_class(17));
        let bounds = disc.bounds(&View::new((50.0, 40.0), 20.0, Pose::default()));
        for (found, expected) in bounds.into_iter().zip([30.0, 20.0, 70.0, 60.0]) {
            assert!((found - expected).abs() < 0.5, "{bounds:?}");
        }
        let opacity = |sprite: &Sprite, point: Point| sprite.sample(point, 30.0)[3];
        assert!((opacity(&disc, (0.9, 0.0)) - 1.0).abs() < 1e-3);
        assert!(opacity(&disc, (1.18, 0.0)) < 0.05 && opacity(&disc, (0.95, 0.95)) < 1e-3);
        let triangle = Sprite::of_photograph(&photograph, &Sprite::shape_of_class(18));
        assert!((opacity(&triangle, (0.0, 0.5)) - 1.0).abs() < 1e-3);
        assert!(opacity(&triangle, (-0.9, -0.9)) < 1e-3);
    }

    #[test]
    fn a_tenth_of_a_sign_lies_around_it_and_at_least_five_pixels() {
        for (side, reach) in [(60, 1.2), (30, 1.5), (120, 1.2)] {
            assert!((photograph_reach(side) - reach).abs() < 1e-6, "{side}");
        }
    }

    #[test]
    fn projection_and_back_projection_are_inverse() {
        let view = View::new((100.0, 80.0), 30.0, Pose { yaw: 0.3, pitch: -0.1, roll: 0.1 });
        let (x, y) = view.back_project(view.project((0.4, -0.7)));
        assert!((x - 0.4).abs() < 1e-3 && (y + 0.7).abs() < 1e-3, "{x} {y}");
    }

    #[test]
    fn outside_of_a_sprite_is_transparent() {
        assert_eq!(Sprite::of_class(1).sample((1.3, 0.0), 40.0), [0.0; 4]);
        assert_eq!(Sprite::of_class(1).sample((0.0, -0.9), 40.0)[3], 1.0);
    }
}
