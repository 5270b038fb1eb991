//! A triangle drawn by hand, over or instead of a digit: what no classifier of digits has learnt.

use image::GrayImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tiny_skia::{FillRule, LineCap, LineJoin, Mask, Path, PathBuilder, Stroke, Transform};

use super::canvas::Point;

/// Smallest area of the triangle as a share of the image.
const MIN_AREA: f32 = 0.15;
/// Corners keep this distance from the border, as a share of the side.
const BORDER: f32 = 0.08;
/// Width of the line as a share of the side: 1.8 to 2.4 pixels at 28.
const STROKE: std::ops::Range<f32> = 0.065..0.085;
/// Largest distance of a side's bend from the straight line, as a share of its length.
const BEND: f32 = 0.04;
/// How often corners are drawn at most; about every tenth triangle is large enough.
const TRIES: usize = 10_000;

/// Draws the outline of a triangle over `image` with a bright pen, as a person would: a line of about 2 pixels in an image of
/// 28 × 28, sides that are not quite straight, random corners. The triangle covers at least 15 % of the image. No
/// pixel becomes darker. Everything random follows from `seed`: the same image and seed give the same pixels.
pub fn draw_triangle(image: &mut GrayImage, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (width, height) = image.dimensions();
    let corners = corners(&mut rng).map(|(x, y)| (x * width as f32, y * height as f32));
    let line_px = width.min(height) as f32 * rng.random_range(STROKE);
    let ink = rng.random_range(220..=255u32);
    let Some(mask) = outline(corners, &mut rng).and_then(|path| stroked(&path, line_px, (width, height))) else {
        return;
    };
    for (pixel, cover) in image.pixels_mut().zip(mask.data()) {
        pixel.0[0] = pixel.0[0].max((ink * u32::from(*cover) / 255) as u8);
    }
}

/// Three corners in unit coordinates (0..1) whose triangle is large enough.
fn corners(rng: &mut impl Rng) -> [Point; 3] {
    const FALLBACK: [Point; 3] = [(0.5, 0.1), (0.1, 0.9), (0.9, 0.9)];
    let mut coordinate = || rng.random_range(BORDER..1.0 - BORDER);
    let mut triangles = std::iter::repeat_with(|| [(); 3].map(|()| (coordinate(), coordinate()))).take(TRIES);
    triangles.find(|corners| area(corners) >= MIN_AREA).unwrap_or(FALLBACK)
}

/// Area of a triangle: half the cross product of two sides.
fn area([a, b, c]: &[Point; 3]) -> f32 {
    ((b.0 - a.0) * (c.1 - a.1) - (c.0 - a.0) * (b.1 - a.1)).abs() / 2.0
}

/// The closed line through the corners; each side is a quadratic curve with a small random bend.
fn outline(corners: [Point; 3], rng: &mut impl Rng) -> Option<Path> {
    let mut builder = PathBuilder::new();
    builder.move_to(corners[0].0, corners[0].1);
    for side in 0..3 {
        let (from, to) = (corners[side], corners[(side + 1) % 3]);
        // The curve passes its control point at half the distance.
        let bend = 2.0 * rng.random_range(-BEND..BEND);
        let control = ((from.0 + to.0) / 2.0 - bend * (to.1 - from.1), (from.1 + to.1) / 2.0 + bend * (to.0 - from.0));
        builder.quad_to(control.0, control.1, to.0, to.1);
    }
    builder.close();
    builder.finish()
}

/// How much of every pixel the line covers, 0..=255.
fn stroked(path: &Path, width_px: f32, size: (u32, u32)) -> Option<Mask> {
    let pen = Stroke { width: width_px, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
    let mut mask = Mask::new(size.0, size.1)?;
    mask.fill_path(&path.stroke(&pen, 1.0)?, FillRule::Winding, true, Transform::identity());
    Some(mask)
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    const SIDE: u32 = 28;
    const SEEDS: std::ops::Range<u64> = 0..300;

    fn triangle(seed: u64) -> GrayImage {
        let mut image = GrayImage::new(SIDE, SIDE);
        draw_triangle(&mut image, seed);
        image
    }

    fn is_dark(image: &GrayImage, x: u32, y: u32) -> bool {
        image.get_pixel(x, y).0[0] < 80
    }

    /// Number of dark pixels that no path over dark pixels connects with the border.
    fn enclosed(image: &GrayImage) -> usize {
        let mut outside = vec![false; (SIDE * SIDE) as usize];
        let border = (0..SIDE).flat_map(|at| [(at, 0), (at, SIDE - 1), (0, at), (SIDE - 1, at)]);
        let mut open: Vec<(u32, u32)> = border.collect();
        while let Some((x, y)) = open.pop() {
            let seen = &mut outside[(y * SIDE + x) as usize];
            if *seen || !is_dark(image, x, y) {
                continue;
            }
            *seen = true;
            let steps = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
            open.extend(steps.into_iter().filter(|&(x, y)| x < SIDE && y < SIDE));
        }
        let inside = |&(x, y): &(u32, u32)| is_dark(image, x, y) && !outside[(y * SIDE + x) as usize];
        (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y))).filter(inside).count()
    }

    #[test]
    fn same_seed_gives_same_pixels() {
        assert_eq!(triangle(7), triangle(7));
        assert_ne!(triangle(7), triangle(8));
    }

    #[test]
    fn the_line_is_closed_and_encloses_an_area() {
        for seed in SEEDS {
            let inside = enclosed(&triangle(seed));
            assert!((25..400).contains(&inside), "seed {seed} encloses {inside} pixels");
        }
        assert_eq!(enclosed(&GrayImage::new(SIDE, SIDE)), 0);
    }

    #[test]
    fn the_line_is_bright_and_about_two_pixels_wide() {
        for seed in SEEDS {
            let image = triangle(seed);
            let brightest = image.pixels().map(|pixel| pixel.0[0]).max();
            assert!(brightest >= Some(200), "seed {seed}: {brightest:?}");
            let ink: u32 = image.pixels().map(|pixel| u32::from(pixel.0[0])).sum();
            // The perimeter of such a triangle is 49 pixels (equilateral) to about 80.
            let covered = ink as f32 / 238.0;
            assert!((70.0..200.0).contains(&covered), "seed {seed} covers {covered} pixels");
        }
    }

    #[test]
    fn corners_make_a_large_triangle_inside_the_image() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..200 {
            let corners = corners(&mut rng);
            assert!(area(&corners) >= MIN_AREA);
            assert!(corners.iter().all(|(x, y)| (BORDER..1.0).contains(x) && (BORDER..1.0).contains(y)));
        }
        assert_eq!(area(&[(0.0, 0.0), (4.0, 0.0), (1.0, 3.0)]), 6.0);
    }

    #[test]
    fn what_was_there_stays() {
        let digit = GrayImage::from_fn(SIDE, SIDE, |x, _| Luma([if (12..16).contains(&x) { 240 } else { 0 }]));
        let mut image = digit.clone();
        draw_triangle(&mut image, 3);
        assert_ne!(image, digit);
        assert!(image.pixels().zip(digit.pixels()).all(|(after, before)| after.0[0] >= before.0[0]));
    }

    #[test]
    fn images_of_any_size_are_no_problem() {
        for (width, height) in [(0, 0), (1, 1), (1, 9), (40, 20)] {
            let mut image = GrayImage::new(width, height);
            draw_triangle(&mut image, 1);
            assert_eq!(image.dimensions(), (width, height));
        }
    }
}
