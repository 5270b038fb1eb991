//! A square drawing in unit coordinates: x to the right, y down, both from -1 to 1.

use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, Transform};

/// A point in unit coordinates.
pub type Point = (f32, f32);

/// Colours of retroreflective sign sheeting and of print, sRGB.
pub mod colour {
    /// Opaque sRGB colour.
    pub type Rgb = [u8; 3];
    /// Sheeting white.
    pub const WHITE: Rgb = [240, 240, 238];
    /// Sheeting red.
    pub const RED: Rgb = [192, 22, 34];
    /// Sheeting blue.
    pub const BLUE: Rgb = [12, 82, 158];
    /// Sheeting yellow.
    pub const YELLOW: Rgb = [246, 178, 18];
    /// Sheeting green.
    pub const GREEN: Rgb = [10, 122, 70];
    /// Print black.
    pub const BLACK: Rgb = [22, 22, 24];
    /// Print grey of the signs that end a restriction.
    pub const GREY: Rgb = [118, 118, 120];
}

use colour::Rgb;

/// A square raster that is drawn on in unit coordinates; transparent where nothing was drawn.
pub struct Canvas {
    pixmap: Pixmap,
    to_pixels: Transform,
}

impl Canvas {
    /// An empty canvas of `size_px` × `size_px` pixels (at least 1).
    pub fn new(size_px: u32) -> Self {
        let size = size_px.clamp(1, 4096);
        Self::over(Pixmap::new(size, size).expect("a size of 1 to 4096 pixels is valid"))
    }

    /// Draws over a finished square drawing.
    pub fn over(pixmap: Pixmap) -> Self {
        let half = pixmap.width() as f32 / 2.0;
        Self { pixmap, to_pixels: Transform::from_row(half, 0.0, 0.0, half, half, half) }
    }

    /// What was drawn so far, premultiplied RGBA.
    pub fn drawing(&self) -> &Pixmap {
        &self.pixmap
    }

    /// The finished drawing, premultiplied RGBA.
    pub fn finish(self) -> Pixmap {
        self.pixmap
    }

    /// Fills a path.
    pub fn fill(&mut self, path: &Path, colour: Rgb) {
        self.pixmap.fill_path(path, &paint(colour), FillRule::Winding, self.to_pixels, None);
    }

    /// Strokes a path with round joins; `width` in unit coordinates.
    pub fn stroke(&mut self, path: &Path, width: f32, cap: LineCap, colour: Rgb) {
        let stroke = Stroke { width, line_cap: cap, line_join: LineJoin::Round, ..Stroke::default() };
        self.pixmap.stroke_path(path, &paint(colour), &stroke, self.to_pixels, None);
    }

    /// Fills a polygon.
    pub fn polygon(&mut self, points: &[Point], colour: Rgb) {
        if let Some(path) = polyline_path(points, true) {
            self.fill(&path, colour);
        }
    }

    /// Fills a polygon that is widened by `radius` on all sides, with round corners.
    pub fn rounded_polygon(&mut self, points: &[Point], radius: f32, colour: Rgb) {
        if let Some(path) = polyline_path(points, true) {
            self.fill(&path, colour);
            self.stroke(&path, 2.0 * radius, LineCap::Round, colour);
        }
    }

    /// Draws a polyline with round ends, as limbs and branches have them.
    pub fn line(&mut self, points: &[Point], width: f32, colour: Rgb) {
        if let Some(path) = polyline_path(points, false) {
            self.stroke(&path, width, LineCap::Round, colour);
        }
    }

    /// Draws a polyline with blunt ends, as bars and roads have them.
    pub fn bar(&mut self, points: &[Point], width: f32, colour: Rgb) {
        if let Some(path) = polyline_path(points, false) {
            self.stroke(&path, width, LineCap::Butt, colour);
        }
    }

    /// Fills a circle.
    pub fn circle(&mut self, centre: Point, radius: f32, colour: Rgb) {
        if let Some(path) = PathBuilder::from_circle(centre.0, centre.1, radius) {
            self.fill(&path, colour);
        }
    }

    /// Draws a circle line around `centre`, `width` wide.
    pub fn ring(&mut self, centre: Point, radius: f32, width: f32, colour: Rgb) {
        if let Some(path) = PathBuilder::from_circle(centre.0, centre.1, radius) {
            self.stroke(&path, width, LineCap::Butt, colour);
        }
    }

    /// Fills the axis-parallel rectangle between two corners.
    pub fn rectangle(&mut self, from: Point, to: Point, colour: Rgb) {
        self.polygon(&[from, (to.0, from.1), to, (from.0, to.1)], colour);
    }

    /// Draws an arrow along a polyline: a bar `width` wide and a head at the last point, `head` wide and as long as half
    /// that.
    pub fn arrow(&mut self, points: &[Point], width: f32, head: f32, colour: Rgb) {
        let [.., before, tip] = points else { return };
        let length = (tip.0 - before.0).hypot(tip.1 - before.1).max(f32::EPSILON);
        let along = ((tip.0 - before.0) / length, (tip.1 - before.1) / length);
        let (depth, half) = (head * 0.56, head / 2.0);
        let base = (tip.0 - along.0 * depth, tip.1 - along.1 * depth);
        let mut shaft = points.to_vec();
        if let Some(last) = shaft.last_mut() {
            *last = (base.0 + along.0 * 0.02, base.1 + along.1 * 0.02);
        }
        self.bar(&shaft, width, colour);
        let side = |sign: f32| (base.0 - along.1 * half * sign, base.1 + along.0 * half * sign);
        self.polygon(&[side(1.0), *tip, side(-1.0)], colour);
    }
}

/// A path along `points`.
pub fn polyline_path(points: &[Point], closed: bool) -> Option<Path> {
    let (first, rest) = points.split_first()?;
    let mut builder = PathBuilder::new();
    builder.move_to(first.0, first.1);
    for point in rest {
        builder.line_to(point.0, point.1);
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

/// Points of a circular arc around `centre`, from angle `from` to angle `to` in degrees (0 = right, 90 = down).
pub fn arc(centre: Point, radius: f32, from: f32, to: f32) -> Vec<Point> {
    const STEPS: u8 = 16;
    (0..=STEPS)
        .map(|step| {
            let angle = (from + (to - from) * f32::from(step) / f32::from(STEPS)).to_radians();
            (centre.0 + radius * angle.cos(), centre.1 + radius * angle.sin())
        })
        .collect()
}

/// The points with x turned round: the drawing seen in a mirror.
pub fn mirrored(points: &[Point]) -> Vec<Point> {
    points.iter().map(|&(x, y)| (-x, y)).collect()
}

fn paint(colour: Rgb) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(Color::from_rgba8(colour[0], colour[1], colour[2], 255));
    paint
}
