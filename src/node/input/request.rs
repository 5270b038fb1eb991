//! One camera image on its way through the node, in the node's own types.

use std::time::Instant;

use crate::frame::{DecodeOptions, Frame, FrameError, RawImage, Region};
use crate::pipeline::Outcome;

use super::pairing::Stamp;

/// Header of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// Time of the image.
    pub stamp: Stamp,
    /// Coordinate frame of the camera.
    pub frame_id: String,
}

/// Bytes of an image as they arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Picture {
    /// `sensor_msgs/Image`.
    Raw {
        /// ROS encoding.
        encoding: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes per row, padding included.
        step: u32,
        /// Byte order of samples of two bytes.
        is_bigendian: bool,
        /// Pixels, row by row.
        data: Vec<u8>,
    },
    /// `sensor_msgs/CompressedImage`.
    Compressed {
        /// What the sender says about its encoding and compression.
        format: String,
        /// The bytes of a JPEG or PNG file.
        data: Vec<u8>,
    },
}

/// A region as it was asked for, returned unchanged with the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRegion {
    /// Name that a tracker gave; may be empty.
    pub id: String,
    /// Rectangle in pixels.
    pub region: Region,
    /// `do_rectify` of the message.
    pub do_rectify: bool,
}

/// An image that waits to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Header of the image.
    pub header: Header,
    /// The image.
    pub picture: Picture,
    /// Regions to judge.
    pub regions: Vec<NamedRegion>,
    /// When the image arrived.
    pub arrived: Instant,
}

/// What is published for one image.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Header of the image.
    pub header: Header,
    /// One entry per region.
    pub entries: Vec<Entry>,
}

/// Result for one region.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The region as it was asked for.
    pub region: NamedRegion,
    /// What the network and the monitor say, or why they say nothing.
    pub outcome: Result<Outcome, String>,
}

impl NamedRegion {
    /// The whole image.
    #[must_use]
    pub fn whole_image() -> Self {
        Self { id: String::new(), region: Region::WHOLE, do_rectify: false }
    }
}

impl Picture {
    /// The image, to be converted where pixels are asked for.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes are no image of a supported encoding.
    pub fn frame(&self, options: &DecodeOptions) -> Result<Frame<'_>, FrameError> {
        match self {
            Self::Compressed { format, data } => Frame::compressed(data, format, options),
            Self::Raw { encoding, width, height, step, is_bigendian, data } => {
                let (width, height, step, is_bigendian) = (*width, *height, *step, *is_bigendian);
                Frame::raw(&RawImage { encoding, width, height, step, is_bigendian, data }, options)
            }
        }
    }

    /// The bytes when they are a JPEG file already.
    #[must_use]
    pub fn into_jpeg(self) -> Option<Vec<u8>> {
        match self {
            Self::Compressed { data, .. } if data.starts_with(&[0xff, 0xd8]) => Some(data),
            _ => None,
        }
    }
}

impl Answer {
    /// The same reason for every region.
    #[must_use]
    pub fn unknown(header: Header, regions: Vec<NamedRegion>, reason: &str) -> Self {
        let entry = |region| Entry { region, outcome: Err(reason.to_owned()) };
        Self { header, entries: regions.into_iter().map(entry).collect() }
    }
}
