//! JPEG as cameras send it (ITU-T T.81): without Huffman tables, with stray bytes between the segments, without an end.
//!
//! The decoder (zune-jpeg) fills what is missing with grey and reports success. So the data are walked through first,
//! segment by segment and block by block: an image of which a block is missing is refused ([`scan`]), and the decoder gets
//! a copy that has all that it wants and nothing else ([`stream`]).

mod bits;
mod huffman;
mod scan;
mod stream;

use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::FrameError;
use super::encoding::{Encoding, MONO8, RGB8};

/// Most scans of an image. Encoders make about ten for a progressive image.
const MAX_SCANS: usize = 100;
/// Most scans times pixels: 16 scans of an image of [`super::MAX_PIXELS`]. A scan of a few bytes makes a decoder look at
/// every block of the image, so this is what bounds its time.
const MAX_SCANNED_PIXELS: u64 = 1 << 30;

/// A decoded image.
pub(super) struct Pixels {
    /// Grey or RGB, one byte per sample.
    pub encoding: Encoding,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Rows that are there, from the top.
    pub rows: u32,
    /// Their samples, without padding.
    pub samples: Vec<u8>,
}

/// Decodes at least `rows` rows of a baseline, extended or progressive JPEG of 8 bits: grey, YCbCr or RGB, CMYK or YCCK.
pub(super) fn decode(data: &[u8], max_pixels: u64, rows: u32) -> Result<Pixels, FrameError> {
    let image = stream::examine(data, max_pixels, rows)?;
    let (encoding, colours) = if image.grey { (MONO8, ColorSpace::Luma) } else { (RGB8, ColorSpace::RGB) };
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_max_scans(MAX_SCANS + 1)
        .jpeg_set_out_colorspace(colours);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(image.stream.as_slice()), options);
    let samples = decoder.decode().map_err(|error| FrameError::Jpeg(error.to_string()))?;
    Ok(Pixels { encoding, width: image.width, height: image.height, rows: image.rows, samples })
}
