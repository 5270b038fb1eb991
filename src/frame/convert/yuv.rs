//! Luma and chroma: BT.601 in limited range (luma 16 to 235, chroma 16 to 240), every pixel with the chroma of its
//! block. That is what OpenCV's `cvtColor`, and so `cv_bridge`, does with these encodings, and the arithmetic is that of
//! OpenCV to the last bit.

use std::num::Wrapping;

use image::{RgbImage, imageops};

use super::View;
use crate::frame::region::Region;
use crate::simd::{Kernel, Loop};

/// Nothing here wraps; checking it would keep the loops from being vectorised.
type Fixed = Wrapping<i32>;

/// Fractional bits of the factors.
const SHIFT: usize = 20;
const HALF: Fixed = Wrapping(1 << (SHIFT - 1));
/// Factors of ITU-R BT.601 in limited range in units of 2⁻²⁰: 255/219 for luma; 2·(1−0.299)·255/224 = 1.596 for red and
/// 2·(1−0.114)·255/224 = 2.018 for blue, and for green what remains of them.
const LUMA: Fixed = Wrapping(1_220_542);
const RED_OF_V: Fixed = Wrapping(1_673_527);
const GREEN_OF_U: Fixed = Wrapping(-409_993);
const GREEN_OF_V: Fixed = Wrapping(-852_492);
const BLUE_OF_U: Fixed = Wrapping(2_116_026);

/// How the chroma of a semi-planar image lies beside its luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::frame) enum Chroma {
    /// One U V for two by two pixels.
    Nv12,
    /// One V U for two by two pixels.
    Nv21,
    /// One U V for every pixel.
    Nv24,
}

impl Chroma {
    /// Width and height of the pixels with common chroma.
    pub fn block(self) -> (u32, u32) {
        match self {
            Self::Nv12 | Self::Nv21 => (2, 2),
            Self::Nv24 => (1, 1),
        }
    }

    /// Size of the plane of chroma beside one of `luma` bytes.
    pub fn bytes_beside_luma(self, luma: u64) -> u64 {
        match self {
            Self::Nv12 | Self::Nv21 => luma / 2,
            Self::Nv24 => luma.saturating_mul(2),
        }
    }
}

/// Pixels in pairs: Y U Y V, or U Y V Y.
pub(super) fn crop_packed(view: &View<'_>, area: Region, luma_first: bool) -> RgbImage {
    let whole = whole_pairs(area);
    let mut image = RgbImage::new(whole.width, whole.height);
    for (target, row) in image.chunks_exact_mut(3 * whole.width as usize).zip(view.rows(whole)) {
        Kernel::fastest_of_256_bits().run(PackedRow { target, row, luma_first });
    }
    trimmed(image, whole, area)
}

/// A plane of luma, then one of chroma.
pub(super) fn crop_planes(view: &View<'_>, area: Region, kind: Chroma) -> RgbImage {
    let whole = if kind == Chroma::Nv24 { area } else { whole_pairs(area) };
    let mut image = RgbImage::new(whole.width, whole.height);
    let targets = image.chunks_exact_mut(3 * whole.width as usize);
    for ((target, luma), y) in targets.zip(view.rows(whole)).zip(whole.y..) {
        Kernel::fastest_of_256_bits().run(PlanesRow {
            target,
            luma,
            chroma: chroma_row(view, whole, kind, y as usize),
            kind,
        });
    }
    trimmed(image, whole, area)
}

/// The chroma beside the pixels of `area` in row `y`.
fn chroma_row<'a>(view: &View<'a>, area: Region, kind: Chroma, y: usize) -> &'a [u8] {
    let step = view.description.step;
    let (start, columns) = match kind {
        Chroma::Nv12 | Chroma::Nv21 => (y / 2 * step, area.x as usize..(area.x + area.width) as usize),
        Chroma::Nv24 => (y * 2 * step, 2 * area.x as usize..2 * (area.x + area.width) as usize),
    };
    &view.data[step * view.description.height as usize + start..][columns]
}

struct PackedRow<'a> {
    target: &'a mut [u8],
    row: &'a [u8],
    luma_first: bool,
}

impl Loop for PackedRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let pairs = self.target.as_chunks_mut().0.iter_mut().zip(self.row.as_chunks().0);
        if self.luma_first {
            pairs.for_each(|(rgb, &[y0, u, y1, v])| *rgb = pair(y0, y1, u, v));
        } else {
            pairs.for_each(|(rgb, &[u, y0, v, y1])| *rgb = pair(y0, y1, u, v));
        }
    }
}

struct PlanesRow<'a> {
    target: &'a mut [u8],
    luma: &'a [u8],
    chroma: &'a [u8],
    kind: Chroma,
}

impl Loop for PlanesRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let chroma = self.chroma.as_chunks::<2>().0;
        if self.kind == Chroma::Nv24 {
            let pixels = self.target.as_chunks_mut().0.iter_mut().zip(self.luma).zip(chroma);
            pixels.for_each(|((rgb, &y), &[u, v])| *rgb = pixel(y, parts(u, v)));
            return;
        }
        let pairs = self.target.as_chunks_mut().0.iter_mut().zip(self.luma.as_chunks().0).zip(chroma);
        if self.kind == Chroma::Nv12 {
            pairs.for_each(|((rgb, &[y0, y1]), &[u, v])| *rgb = pair(y0, y1, u, v));
        } else {
            pairs.for_each(|((rgb, &[y0, y1]), &[v, u])| *rgb = pair(y0, y1, u, v));
        }
    }
}

#[inline(always)]
fn pair(y0: u8, y1: u8, u: u8, v: u8) -> [u8; 6] {
    let parts = parts(u, v);
    let ([r0, g0, b0], [r1, g1, b1]) = (pixel(y0, parts), pixel(y1, parts));
    [r0, g0, b0, r1, g1, b1]
}

/// What chroma adds to red, green and blue, with the half that rounds.
#[inline(always)]
fn parts(u: u8, v: u8) -> [Fixed; 3] {
    let (u, v) = (fixed(u) - Wrapping(128), fixed(v) - Wrapping(128));
    [HALF + RED_OF_V * v, HALF + GREEN_OF_V * v + GREEN_OF_U * u, HALF + BLUE_OF_U * u]
}

#[inline(always)]
fn pixel(y: u8, parts: [Fixed; 3]) -> [u8; 3] {
    let luma = (fixed(y) - Wrapping(16)).max(Wrapping(0)) * LUMA;
    parts.map(|part| ((luma + part) >> SHIFT).0.clamp(0, 255) as u8)
}

#[inline(always)]
fn fixed(sample: u8) -> Fixed {
    Wrapping(sample.into())
}

/// The smallest area of whole pairs around `area`.
fn whole_pairs(area: Region) -> Region {
    let x = area.x & !1;
    Region { x, width: (area.x + area.width).next_multiple_of(2) - x, ..area }
}

/// The pixels of `area` of an image of the pixels of `whole`, which has the same rows.
fn trimmed(image: RgbImage, whole: Region, area: Region) -> RgbImage {
    if whole == area {
        return image;
    }
    imageops::crop_imm(&image, area.x - whole.x, 0, area.width, area.height).to_image()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in floating point (ITU-R BT.601, limited range, 8 bits), rounded to nearest.
    fn exact(y: u8, u: u8, v: u8) -> [f64; 3] {
        let luma = (f64::from(y) - 16.0).max(0.0) * 255.0 / 219.0;
        let (u, v) = ((f64::from(u) - 128.0) * 255.0 / 112.0, (f64::from(v) - 128.0) * 255.0 / 112.0);
        let red = luma + (1.0 - 0.299) * v;
        let blue = luma + (1.0 - 0.114) * u;
        let green = luma - (0.114 * (1.0 - 0.114) * u + 0.299 * (1.0 - 0.299) * v) / 0.587;
        [red, green, blue].map(|value| value.clamp(0.0, 255.0))
    }

    #[test]
    fn every_colour_is_that_of_bt_601_in_limited_range() {
        for y in 0..=255 {
            for (u, v) in (0..=255).flat_map(|u| (0..=255).map(move |v| (u, v))) {
                for (found, exact) in pixel(y, parts(u, v)).into_iter().zip(exact(y, u, v)) {
                    let difference = (f64::from(found) - exact).abs();
                    assert!(difference < 0.75, "{found} instead of {exact} for Y {y} U {u} V {v}");
                }
            }
        }
    }

    #[test]
    fn black_white_and_the_primaries() {
        let colour = |y, u, v| pixel(y, parts(u, v));
        assert_eq!([colour(16, 128, 128), colour(235, 128, 128)], [[0; 3], [255; 3]]);
        assert_eq!([colour(0, 128, 128), colour(255, 128, 128)], [[0; 3], [255; 3]]);
        assert_eq!(
            [colour(81, 90, 240), colour(145, 54, 34), colour(41, 240, 110)],
            [[254, 0, 0], [0, 255, 1], [0, 0, 255]]
        );
    }
}
