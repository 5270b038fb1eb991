//! Images and regions as they lie in a bag.

use super::request::{Bytes, Header, NamedRegion, Picture, Regions};
use super::stamp::Stamp;
use crate::dataset::bag::{BagError, BagMessage};
use crate::dataset::cdr::{self, CompressedImage, Image, RegionArray, RosMessage};
use crate::dataset::detections::{Detection2D, Detection2DArray};
use crate::frame::{FrameError, Region};
use crate::intake::boxes::BoundingBox;

/// Why nothing of the image of a message can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The message is damaged.
    #[error(transparent)]
    Message(#[from] BagError),
    /// The image or the region is.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// The image of a message.
///
/// # Errors
/// [`BagError`] when it is none.
pub fn picture(message: &BagMessage) -> Result<(Header, Picture), BagError> {
    if message.type_name.as_ref() == CompressedImage::TYPE {
        let CompressedImage { header, format, data } = message.decode()?;
        return Ok((header_of(&header), Picture::Compressed { format, data: Bytes::new(data) }));
    }
    let Image { header, height, width, encoding, is_bigendian, step, data } = message.decode()?;
    let (is_bigendian, data) = (is_bigendian != 0, Bytes::new(data));
    Ok((header_of(&header), Picture::Raw { encoding, width, height, step, is_bigendian, data }))
}

/// The regions of a message: `RegionArray` or `Detection2DArray`.
///
/// # Errors
/// [`BagError`] when it is neither.
pub fn regions(message: &BagMessage) -> Result<(Header, Regions), BagError> {
    if message.type_name.as_ref() == Detection2DArray::TYPE {
        let array: Detection2DArray = message.decode()?;
        return Ok((header_of(&array.header), Regions::read(&array.detections, from_detection)));
    }
    let array: RegionArray = message.decode()?;
    Ok((header_of(&array.header), Regions::read(&array.regions, from_region)))
}

/// The header of a message.
#[must_use]
pub fn header_of(header: &cdr::Header) -> Header {
    let cdr::Header { stamp: cdr::Time { sec, nanosec }, frame_id } = header.clone();
    Header { stamp: Stamp { sec, nanosec }, frame_id }
}

fn from_region(region: &cdr::Region) -> NamedRegion {
    let cdr::RegionOfInterest { x_offset: x, y_offset: y, height, width, do_rectify } = region.roi;
    NamedRegion { id: region.id.clone(), region: Region { x, y, width, height }, do_rectify }
}

fn from_detection(detection: &Detection2D) -> NamedRegion {
    let bounds = &detection.bbox;
    let bounds = BoundingBox {
        center_x: bounds.center.position.x,
        center_y: bounds.center.position.y,
        theta: bounds.center.theta,
        size_x: bounds.size_x,
        size_y: bounds.size_y,
    };
    let class = detection.results.first().map(|result| result.hypothesis.class_id.clone());
    NamedRegion::detected(detection.id.clone(), class, &bounds)
}
