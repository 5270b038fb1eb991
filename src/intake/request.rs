//! One camera image on its way through the node, in the node's own types.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use image::RgbImage;

use crate::frame::{DecodeOptions, Frame, FrameError, RawImage, Region};
use crate::monitor::{Levels, Verdict};
use crate::panics;
use crate::pipeline::Outcome;
use crate::stream::Observed;

use super::boxes::BoundingBox;
use super::stamp::Stamp;

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

/// The regions of one message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Regions {
    /// The first [`Regions::MOST_READ`] of them.
    pub named: Vec<NamedRegion>,
    /// Number of further ones, which were not read.
    pub unread: usize,
}

/// What the inference thread does for one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Judge it.
    Judge(Request),
    /// Say why it is not judged, when it is its turn.
    Refuse(Refused),
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
    /// Regions beyond the parameter `max_regions`: answered after the others without being judged.
    pub beyond: Vec<NamedRegion>,
    /// When the image arrived.
    pub arrived: Instant,
    /// When it had its regions: from then on inference keeps it waiting.
    pub ready: Instant,
    /// When it arrived by the node's ROS clock.
    pub received: Stamp,
}

/// An image whose answer is UNKNOWN before anyone has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Header of the image.
    pub header: Header,
    /// When it arrived by the node's ROS clock.
    pub received: Stamp,
    /// Why it is not judged.
    pub refusal: Refusal,
}

/// Why an image is not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Short name, by which it is counted.
    pub kind: &'static str,
    /// The reason in the answer.
    pub reason: String,
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
    /// What the images of the camera so far say of the objects, one per entry, and of the camera.
    pub observed: Observed,
}

/// Result for one region.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The region as it was asked for.
    pub region: NamedRegion,
    /// What the network and the monitor say, or why they say nothing.
    pub outcome: Result<Outcome, String>,
}

impl Answer {
    /// What is said of a region in the end: by all views of its object where those have a verdict, by itself otherwise.
    #[must_use]
    pub fn final_verdict(&self, index: usize) -> Verdict {
        let object = self.observed.objects.get(index).and_then(|object| object.p_value.as_ref().ok());
        match (object, self.entries.get(index).map(|entry| &entry.outcome)) {
            (Some(p_value), _) => self.levels.verdict(*p_value),
            (None, Some(Ok(outcome))) => outcome.verdict,
            (None, _) => Verdict::Unknown,
        }
    }
}

impl Bytes {
    /// Shares whatever owns the bytes.
    #[must_use]
    pub fn new(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(owner))
    }

    /// The same bytes for somebody else.
    #[must_use]
    pub fn shared(self) -> Arc<dyn AsRef<[u8]> + Send + Sync> {
        self.0
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
    /// What a detector found. A detection without an id is called after its best class, where it has one.
    #[must_use]
    pub fn detected(id: String, class: Option<String>, bounds: &BoundingBox) -> Self {
        let id = if id.is_empty() { class.unwrap_or_default() } else { id };
        Self { id, region: bounds.region(), do_rectify: false }
    }

    /// The whole image.
    #[must_use]
    pub fn whole_image() -> Self {
        Self { id: String::new(), region: Region::WHOLE, do_rectify: false }
    }
}

impl Task {
    /// Since when inference keeps its image waiting; `None` for an answer that needs no inference.
    #[must_use]
    pub fn ready(&self) -> Option<Instant> {
        match self {
            Self::Judge(request) => Some(request.ready),
            Self::Refuse(_) => None,
        }
    }
}

impl Regions {
    /// Regions of one message that are read at most. Nobody judges more than these: it is the largest `max_regions`.
    pub const MOST_READ: usize = 10_000;

    /// The whole image.
    #[must_use]
    pub fn whole_image() -> Self {
        Self { named: vec![NamedRegion::whole_image()], unread: 0 }
    }

    /// As many regions of a message as are read.
    #[must_use]
    pub fn read<T>(all: &[T], region: impl Fn(&T) -> NamedRegion) -> Self {
        let named = all.iter().take(Self::MOST_READ).map(region).collect();
        Self { named, unread: all.len().saturating_sub(Self::MOST_READ) }
    }

    /// Number of regions that were asked for.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.named.len() + self.unread
    }

    /// Bytes in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.named.iter().map(|named| size_of::<NamedRegion>() + named.id.len()).sum()
    }
}

impl Picture {
    /// Bytes of the message that it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Raw { data, .. } | Self::Compressed { data, .. } => data.as_ref().len(),
        }
    }

    /// The image, to be converted where pixels are asked for.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes are no image of a supported encoding.
    pub fn frame(&self, options: &DecodeOptions) -> Result<Frame<'_>, FrameError> {
        match self {
            Self::Compressed { format, data } => Frame::compressed(data.as_ref(), format, options),
            Self::Raw { encoding, width, height, step, is_bigendian, data } => {
                let (width, height, step, is_bigendian) = (*width, *height, *step, *is_bigendian);
                let data = data.as_ref();
                Frame::raw(&RawImage { encoding, width, height, step, is_bigendian, data }, options)
            }
        }
    }

    /// The whole image, decoded and converted.
    ///
    /// # Errors
    /// Why it cannot be decoded, in words; a fault of the program included.
    pub fn rgb(&self, options: &DecodeOptions) -> Result<RgbImage, String> {
        panics::caught(|| self.frame(options).map(Frame::into_rgb).map_err(|error| error.to_string())).flatten()
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
