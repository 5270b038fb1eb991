//! One camera image on its way through the node, in the node's own types.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use image::RgbImage;

use crate::frame::{FrameError, RawImage, Region, decode_compressed, decode_raw};
use crate::monitor::Levels;
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

/// Bytes of a message where the middleware put them: shared, never copied on the way.
#[derive(Clone)]
pub struct Bytes(Arc<dyn AsRef<[u8]> + Send + Sync>);

/// An image as it arrived.
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
        /// Whether values of several bytes begin with the most significant one.
        is_bigendian: bool,
        /// Pixels, row by row.
        data: Bytes,
    },
    /// `sensor_msgs/CompressedImage`.
    Compressed {
        /// What the sender says of the format.
        format: String,
        /// Bytes of a JPEG or PNG file.
        data: Bytes,
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
    /// When it had its regions: from then on inference keeps it waiting.
    pub ready: Instant,
    /// When it arrived by the node's ROS clock.
    pub received: Stamp,
}

/// What is published for one image.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Header of the image.
    pub header: Header,
    /// When the image arrived, by the node's ROS clock.
    pub received: Stamp,
    /// Levels that made the verdicts.
    pub levels: Levels,
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

impl Bytes {
    /// Shares whatever owns the bytes.
    #[must_use]
    pub fn new(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(owner))
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Bytes({})", self.as_ref().len())
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Bytes {}

impl NamedRegion {
    /// The whole image.
    #[must_use]
    pub fn whole_image() -> Self {
        Self { id: String::new(), region: Region::WHOLE, do_rectify: false }
    }
}

impl Picture {
    /// Decodes to RGB.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes are no image of a supported encoding.
    pub fn decode(&self) -> Result<RgbImage, FrameError> {
        match self {
            Self::Compressed { data, .. } => decode_compressed(data.as_ref()),
            Self::Raw { encoding, width, height, step, data, .. } => {
                let data = data.as_ref();
                decode_raw(&RawImage { encoding, width: *width, height: *height, step: *step, data })
            }
        }
    }

    /// The bytes when they are a JPEG file already.
    #[must_use]
    pub fn to_jpeg(&self) -> Option<Vec<u8>> {
        match self {
            Self::Compressed { data, .. } if data.as_ref().starts_with(&[0xff, 0xd8]) => Some(data.as_ref().to_vec()),
            _ => None,
        }
    }
}

impl Answer {
    /// The same reason for every region.
    #[must_use]
    pub fn unknown(header: Header, received: Stamp, levels: Levels, regions: Vec<NamedRegion>, reason: &str) -> Self {
        let entry = |region| Entry { region, outcome: Err(reason.to_owned()) };
        Self { header, received, levels, entries: regions.into_iter().map(entry).collect() }
    }
}
