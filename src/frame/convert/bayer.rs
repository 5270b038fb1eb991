//! Colour filter arrays of two by two pixels (Bayer).
//!
//! The colours that a pixel lacks are the means of its neighbours that have them (bilinear), as OpenCV's `cvtColor` and
//! `image_proc` do by default. Beyond the edge of the image the neighbours are mirrored, without repeating the pixels of
//! the edge: that keeps the order of the filters.

use image::RgbImage;

use super::View;
use crate::frame::encoding::Sample;
use crate::frame::region::Region;
use crate::simd::{Kernel, Loop};

/// Where the red filter lies in every two by two pixels; the blue one lies diagonally across.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::frame) struct Cfa {
    red_x: u32,
    red_y: u32,
}

impl Cfa {
    pub const RGGB: Self = Self { red_x: 0, red_y: 0 };
    pub const GRBG: Self = Self { red_x: 1, red_y: 0 };
    pub const GBRG: Self = Self { red_x: 0, red_y: 1 };
    pub const BGGR: Self = Self { red_x: 1, red_y: 1 };
}

pub(super) fn crop(view: &View<'_>, area: Region, cfa: Cfa, sample: Sample) -> RgbImage {
    let mut image = RgbImage::new(area.width, area.height);
    let surrounded = surrounded(view, area, sample);
    let step = area.width as usize + 2;
    for (target, y) in image.chunks_exact_mut(3 * area.width as usize).zip(0_u32..) {
        let rows = &surrounded[y as usize * step..][..3 * step];
        let is_red = (area.y + y) % 2 == cfa.red_y;
        let first_is_green = (area.x % 2 == cfa.red_x) != is_red;
        Kernel::fastest_of_256_bits().run(Row { target, rows, is_red, first_is_green });
    }
    image
}

/// The samples of `area` and of one pixel more on every side.
fn surrounded(view: &View<'_>, area: Region, sample: Sample) -> Vec<u8> {
    let (width, height) = (view.description.width, view.description.height);
    let (left, right) = (area.x.saturating_sub(1), (area.x + area.width + 1).min(width));
    let mut samples = Vec::with_capacity((area.width as usize + 2) * (area.height as usize + 2));
    let mut buffer = Vec::new();
    for y in around(area.y, area.height, height) {
        for row in view.rows(Region { x: left, y, width: right - left, height: 1 }) {
            let row = view.narrow(row, sample, &mut buffer);
            let at = |x: u32| row[(x - left) as usize];
            samples.push(at(mirrored(area.x, -1, width)));
            samples.extend_from_slice(&row[(area.x - left) as usize..][..area.width as usize]);
            samples.push(at(mirrored(area.x + area.width - 1, 1, width)));
        }
    }
    samples
}

/// `start − 1` to `start + count`, mirrored where they lie outside of `0..length`.
fn around(start: u32, count: u32, length: u32) -> impl Iterator<Item = u32> {
    let (before, after) = (mirrored(start, -1, length), mirrored(start + count - 1, 1, length));
    std::iter::once(before).chain(start..start + count).chain(std::iter::once(after))
}

/// `index + offset`, or, where that lies outside of `0..length`, `index − offset`; `index` where both do.
fn mirrored(index: u32, offset: i32, length: u32) -> u32 {
    let inside = |offset| index.checked_add_signed(offset).filter(|&index| index < length);
    inside(offset).or_else(|| inside(-offset)).unwrap_or(index)
}

struct Row<'a> {
    target: &'a mut [u8],
    /// The row above, the row itself and the one below, each with a pixel more on both sides.
    rows: &'a [u8],
    /// Whether the row has red filters; otherwise it has blue ones.
    is_red: bool,
    first_is_green: bool,
}

impl Loop for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match (self.is_red, self.first_is_green) {
            (true, true) => self.convert::<true, true>(),
            (true, false) => self.convert::<true, false>(),
            (false, true) => self.convert::<false, true>(),
            (false, false) => self.convert::<false, false>(),
        }
    }
}

impl Row<'_> {
    /// Two pixels at a time, so that it is known which of them is green.
    #[inline(always)]
    fn convert<const IS_RED: bool, const FIRST_IS_GREEN: bool>(self) {
        let width = self.target.len() / 3;
        let (above, rest) = self.rows.split_at(width + 2);
        let (here, below) = rest.split_at(width + 2);
        let around = |x: usize| [&above[x..x + 3], &here[x..x + 3], &below[x..x + 3]];
        let (pairs, last) = self.target.as_chunks_mut::<6>();
        for (x, target) in (0..).step_by(2).zip(pairs) {
            let [r0, g0, b0] = pixel::<IS_RED>(around(x), FIRST_IS_GREEN);
            let [r1, g1, b1] = pixel::<IS_RED>(around(x + 1), !FIRST_IS_GREEN);
            *target = [r0, g0, b0, r1, g1, b1];
        }
        if !last.is_empty() {
            last.copy_from_slice(&pixel::<IS_RED>(around(width - 1), FIRST_IS_GREEN));
        }
    }
}

/// RGB of a pixel from the three by three samples around it.
#[inline(always)]
fn pixel<const IS_RED: bool>([above, here, below]: [&[u8]; 3], is_green: bool) -> [u8; 3] {
    // The colour of this row's filters, green, and the colour of the other rows.
    let [own, green, other] = if is_green {
        [mean_of_two(here[0], here[2]), here[1], mean_of_two(above[1], below[1])]
    } else {
        let cross = mean_of_four(here[0], here[2], above[1], below[1]);
        [here[1], cross, mean_of_four(above[0], above[2], below[0], below[2])]
    };
    if IS_RED { [own, green, other] } else { [other, green, own] }
}

#[inline(always)]
fn mean_of_two(a: u8, b: u8) -> u8 {
    ((u16::from(a) + u16::from(b) + 1) >> 1) as u8
}

#[inline(always)]
fn mean_of_four(a: u8, b: u8, c: u8, d: u8) -> u8 {
    ((u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d) + 2) >> 2) as u8
}
