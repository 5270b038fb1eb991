//! Camera images: from the bytes of a message or file to the input of a classifier.
//!
//! [`decode_raw`], [`decode_compressed`] and [`read_file`] give an RGB image; [`cut`] takes a region out of it and
//! resizes it to what the model expects. Whatever a sender claims about an image is checked before a pixel is touched:
//! a wrong claim is a [`FrameError`] that names the actual and the expected value, never a panic.

mod compressed;
mod encoding;
mod region;

pub use compressed::{decode_compressed, read_file};
pub use encoding::{Encoding, RawImage, decode_raw};
pub use region::{Region, cut};

/// Largest number of pixels of an image that is decoded: 64 Mpx, more than any camera on a robot delivers. A claim
/// beyond it is taken for corruption and refused, because a decoder would allocate three bytes per claimed pixel.
pub const MAX_PIXELS: u64 = 64 << 20;

/// Why an image or a region of it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The encoding is none of [`Encoding`].
    #[error("unsupported encoding `{found}`; supported: {}", Encoding::names())]
    Encoding {
        /// Encoding of the message.
        found: String,
    },
    /// Width or height is 0.
    #[error("the image is {width}×{height}: it has no pixels")]
    Empty {
        /// Claimed width in pixels.
        width: u32,
        /// Claimed height in pixels.
        height: u32,
    },
    /// The image claims more than [`MAX_PIXELS`].
    #[error("the image claims {width}×{height} pixels; at most {MAX_PIXELS} are decoded")]
    TooLarge {
        /// Claimed width in pixels.
        width: u32,
        /// Claimed height in pixels.
        height: u32,
    },
    /// A row does not fit into the step.
    #[error("step is {actual} bytes, but a row of {width} {encoding} pixels needs at least {expected}")]
    Step {
        /// Step of the message in bytes.
        actual: u32,
        /// Smallest step in bytes.
        expected: u64,
        /// Width in pixels.
        width: u32,
        /// ROS name of the encoding.
        encoding: &'static str,
    },
    /// The data are not `step · height` bytes.
    #[error("the image has {actual} bytes of data, but step × height is {expected}")]
    DataLength {
        /// Bytes of the message.
        actual: usize,
        /// `step · height`.
        expected: u64,
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
    #[error("the JPEG data end without an end-of-image marker after {actual} bytes: the image is truncated")]
    Truncated {
        /// Bytes of the message or file.
        actual: usize,
    },
    /// The compressed data are damaged.
    #[error("cannot decode the image: {0}")]
    Decode(#[from] image::ImageError),
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    Read(#[from] std::io::Error),
    /// The region is empty or reaches beyond the image.
    #[error("region {region} is empty or not inside the {width}×{height} image")]
    Region {
        /// The region.
        region: Region,
        /// Image width in pixels.
        width: u32,
        /// Image height in pixels.
        height: u32,
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

/// Refuses images without pixels and those beyond [`MAX_PIXELS`].
fn check_dimensions(width: u32, height: u32) -> Result<(), FrameError> {
    match u64::from(width) * u64::from(height) {
        0 => Err(FrameError::Empty { width, height }),
        1..=MAX_PIXELS => Ok(()),
        _ => Err(FrameError::TooLarge { width, height }),
    }
}
