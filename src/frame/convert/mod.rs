//! From the samples of an encoding to RGB, for a rectangle of an image: pixels outside of it are not converted.

mod bayer;
mod bit_depth;
mod packed;
mod yuv;

pub(super) use bayer::Cfa;
pub(super) use bit_depth::BitDepth;
pub(super) use yuv::Chroma;

use image::RgbImage;

use super::encoding::{Encoding, Layout, Sample};
use super::region::Region;

/// How an image lies in its bytes; checked against their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Description {
    pub encoding: Encoding,
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next.
    pub step: usize,
    /// Byte order of samples of two bytes.
    pub big_endian: bool,
    /// How samples of two bytes become one byte.
    pub bit_depth: BitDepth,
}

/// An image as it lies in its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub description: Description,
    pub data: &'a [u8],
}

impl<'a> View<'a> {
    /// Converts the pixels of `area`, which lies inside the image and is not empty.
    pub fn crop(&self, area: Region) -> RgbImage {
        match self.description.encoding.layout() {
            Layout::Packed { channels, rgb, sample } => packed::crop(self, area, channels, rgb, sample),
            Layout::Yuv422 { luma_first } => yuv::crop_packed(self, area, luma_first),
            Layout::SemiPlanar(chroma) => yuv::crop_planes(self, area, chroma),
            Layout::Mosaic { cfa, sample } => bayer::crop(self, area, cfa, sample),
            // Never described: depth images are refused before.
            Layout::Depth { .. } => RgbImage::new(area.width, area.height),
        }
    }

    /// Largest sample of an image with samples of two bytes; opacity does not count.
    pub fn largest_sample(&self) -> u16 {
        let Description { encoding, width, height, .. } = self.description;
        let has_opacity = matches!(encoding.layout(), Layout::Packed { channels: 4, .. });
        let rows = self.rows(Region { x: 0, y: 0, width, height });
        let largest = |row| bit_depth::largest_sample(row, self.description.big_endian, has_opacity);
        rows.map(largest).max().unwrap_or(0)
    }

    /// The bytes of the pixels of `area`, row by row; of the plane of luma where there are planes.
    fn rows(&self, area: Region) -> impl Iterator<Item = &'a [u8]> {
        let bytes_per_pixel = self.description.encoding.bytes_per_pixel();
        let columns = area.x as usize * bytes_per_pixel..(area.x + area.width) as usize * bytes_per_pixel;
        let (data, step) = (self.data, self.description.step);
        (area.y..area.y + area.height).map(move |y| &data[y as usize * step..][columns.clone()])
    }

    /// The samples of a row in one byte each.
    fn narrow<'b>(&self, row: &'b [u8], sample: Sample, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        match sample {
            Sample::U8 => row,
            Sample::U16 => {
                self.description.bit_depth.narrow(row, self.description.big_endian, buffer);
                buffer
            }
        }
    }
}
