//! Camera images: from the bytes of a message or file to the input of a classifier.
//!
//! [`Frame`] is an image whose pixels are converted to RGB only where they are asked for: a view of a raw message
//! ([`Frame::raw`]), or decoded from a compressed one ([`Frame::compressed`]). [`cut`] takes a region out of it and resizes
//! it to what the model expects; [`read_file`] reads an image file. Whatever a sender claims about an image is checked
//! before a pixel is touched and before memory is taken: a wrong claim is a [`FrameError`] that names the found and the
//! expected value, never a panic. `docs/encodings.md` lists what is accepted and how it is read.

mod compressed;
mod convert;
mod encoding;
mod jpeg;
mod region;
mod source;
#[cfg(test)]
mod tests;

pub use compressed::{encode_jpeg, encode_png, read_file, thumbnail};
pub use encoding::Encoding;
pub use region::{Region, cut, rows_of};
pub use source::{Frame, Note, RawImage};

/// Largest number of pixels of an image that is decoded unless [`DecodeOptions::max_pixels`] says otherwise: 64 Mpx, more
/// than any camera on a robot delivers. A claim beyond it is taken for corruption and refused, because a decoder would
/// allocate three bytes per claimed pixel.
pub const MAX_PIXELS: u64 = 64 << 20;

/// How images are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Largest number of pixels of an image; what claims more is refused before memory is taken.
    pub max_pixels: u64,
    /// Bits that are used of samples of 16 bits, 8 to 16: many cameras deliver 10 or 12. 0 takes the smallest of 8, 10,
    /// 12, 14 and 16 that holds the largest sample of the image, and says so ([`Note::BitDepth`]).
    pub bit_depth: u8,
    /// Rows from the top that will be looked at. Those below are left out where that saves time, as of a baseline JPEG, and
    /// cannot be asked for then; what is there has the same pixels. `u32::MAX`: all.
    pub rows: u32,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_pixels: MAX_PIXELS, bit_depth: 0, rows: u32::MAX }
    }
}

/// Why an image or a region of it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The encoding is none of [`Encoding`].
    #[error("unsupported encoding `{found}`; supported: {}", Encoding::names())]
    Encoding {
        /// Encoding of the message.
        found: String,
    },
    /// The image has distances instead of colours.
    #[error(
        "the image is {encoding}: this is a depth image, a distance for every pixel, not a picture; take the topic of \
         the camera's colour or grey image (a grey picture of 16 bits is mono16)"
    )]
    Depth {
        /// ROS name of the encoding, or what the format of a compressed image says.
        encoding: &'static str,
    },
    /// Width or height is 0.
    #[error("the image is {width}×{height}: it has no pixels")]
    Empty {
        /// Claimed width in pixels.
        width: u32,
        /// Claimed height in pixels.
        height: u32,
    },
    /// The image claims more pixels than [`DecodeOptions::max_pixels`].
    #[error("the image claims {width}×{height} pixels; at most {limit} are decoded")]
    TooLarge {
        /// Claimed width in pixels.
        width: u32,
        /// Claimed height in pixels.
        height: u32,
        /// Largest number of pixels.
        limit: u64,
    },
    /// Pixels that share their chroma need a size that is a multiple of their block.
    #[error(
        "the image is {width}×{height}, but {encoding} has blocks of {columns}×{rows} pixels: the driver must crop it \
         to whole blocks"
    )]
    Odd {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// ROS name of the encoding.
        encoding: &'static str,
        /// Width of a block in pixels.
        columns: u32,
        /// Height of a block in pixels.
        rows: u32,
    },
    /// A row does not fit into the step.
    #[error("step is {found} bytes, but a row of {width} {encoding} pixels needs at least {expected}")]
    Step {
        /// Step of the message in bytes.
        found: u32,
        /// Smallest step in bytes.
        expected: u64,
        /// Width in pixels.
        width: u32,
        /// ROS name of the encoding.
        encoding: &'static str,
    },
    /// The number of bytes does not fit step and height.
    #[error(
        "the image has {found} bytes of data, but {encoding} with a step of {step} and {height} rows needs {expected}"
    )]
    DataLength {
        /// Bytes of the message.
        found: u64,
        /// `step · height`, and the chroma of planes.
        expected: u64,
        /// ROS name of the encoding.
        encoding: &'static str,
        /// Step of the message in bytes.
        step: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The first bytes belong to none of the accepted formats.
    #[error("the data are not {expected} (first bytes: {start})")]
    Format {
        /// Accepted formats.
        expected: &'static str,
        /// The first bytes in hexadecimal.
        start: String,
    },
    /// The compressed data end early.
    #[error("the JPEG data end after {bytes} bytes {place}: the image is truncated")]
    Truncated {
        /// Bytes of the message or file.
        bytes: usize,
        /// What ends there.
        place: String,
    },
    /// The JPEG data are damaged or of a kind that is not supported.
    #[error("cannot decode the JPEG data: {0}")]
    Jpeg(String),
    /// The compressed data are damaged.
    #[error("cannot decode the image: {0}")]
    Decode(#[from] image::ImageError),
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    Read(#[from] std::io::Error),
    /// The region lacks one of its sides.
    #[error("region {region} has no pixels: give it a width and a height, or 0×0 at (0, 0) for the whole image")]
    RegionEmpty {
        /// The region.
        region: Region,
    },
    /// Nothing of the region lies in the image.
    #[error("region {region} lies outside of the {width}×{height} image")]
    RegionOutside {
        /// The region.
        region: Region,
        /// Image width in pixels.
        width: u32,
        /// Image height in pixels.
        height: u32,
    },
    /// The region reaches into rows that were left out ([`DecodeOptions::rows`]).
    #[error("region {region} reaches below the {rows} rows of the image that were decoded")]
    RowsLeftOut {
        /// The region.
        region: Region,
        /// Rows that are there.
        rows: u32,
    },
    /// The region cannot be resized to the model's input.
    #[error("cannot resize region {region} to the {width}×{height} input of the model: {reason}")]
    Resize {
        /// The region.
        region: Region,
        /// Input width in pixels.
        width: usize,
        /// Input height in pixels.
        height: usize,
        /// Cause.
        reason: String,
    },
}

/// Refuses images without pixels and those with more than `limit`.
fn check_dimensions(width: u32, height: u32, limit: u64) -> Result<(), FrameError> {
    match u64::from(width) * u64::from(height) {
        0 => Err(FrameError::Empty { width, height }),
        pixels if pixels <= limit => Ok(()),
        _ => Err(FrameError::TooLarge { width, height, limit }),
    }
}
