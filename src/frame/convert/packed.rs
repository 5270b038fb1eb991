//! Interleaved channels.

use image::RgbImage;

use super::View;
use crate::frame::encoding::Sample;
use crate::frame::region::Region;

pub(super) fn crop(view: &View<'_>, area: Region, channels: usize, rgb: [usize; 3], sample: Sample) -> RgbImage {
    let mut image = RgbImage::new(area.width, area.height);
    let mut buffer = Vec::new();
    for (target, row) in image.chunks_exact_mut(3 * area.width as usize).zip(view.rows(area)) {
        let row = view.narrow(row, sample, &mut buffer);
        match (channels, rgb) {
            (1, _) => convert(row, target, |[value]| [value; 3]),
            (3, [0, ..]) => target.copy_from_slice(row),
            (3, _) => convert(row, target, |[b, g, r]| [r, g, b]),
            (_, [0, ..]) => convert(row, target, |[r, g, b, _]| [r, g, b]),
            _ => convert(row, target, |[b, g, r, _]| [r, g, b]),
        }
    }
    image
}

fn convert<const BYTES: usize>(row: &[u8], rgb: &mut [u8], pixel: impl Fn([u8; BYTES]) -> [u8; 3]) {
    for (target, source) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<BYTES>().0) {
        *target = pixel(*source);
    }
}
