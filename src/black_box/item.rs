//! What the black box is given: messages that become CDR only when they are written.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::dataset::cdr::{self, CdrError, CompressedImage, Header, Image, RosMessage};

/// Bytes of an image where the middleware put them.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A message that waits to be written, or to be forgotten.
pub trait Payload: Send + Sync {
    /// ROS type, for example `sensor_msgs/msg/Image`. A type that [`crate::dataset::bag`] has no definition of is not
    /// written, but counted.
    fn type_name(&self) -> &'static str;

    /// Bytes that it keeps in memory, about.
    fn bytes(&self) -> usize;

    /// The message with the four header bytes of CDR. Called once, on the thread that writes.
    ///
    /// # Errors
    /// [`CdrError`] when the message cannot be said in CDR.
    fn cdr(&self) -> Result<Vec<u8>, CdrError>;
}

/// One message of one topic.
#[derive(Clone)]
pub struct Item {
    /// Name of the topic with the leading slash. A topic carries one type.
    pub topic: Arc<str>,
    /// When the message came or was published by the node's own clock, nanoseconds since the epoch: the time by which the
    /// messages of an event are ordered. Items may come up to a second out of order; what goes back further is taken for a
    /// jump of the clock.
    pub log_nanos: u64,
    /// When its sender published it, nanoseconds since the epoch.
    pub publish_nanos: u64,
    /// The message.
    pub payload: Arc<dyn Payload>,
}

impl Item {
    /// A message that was received and published at `nanos`.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, nanos: u64, payload: impl Payload + 'static) -> Self {
        Self { topic: topic.into(), log_nanos: nanos, publish_nanos: nanos, payload: Arc::new(payload) }
    }

    /// Bytes that it keeps in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.topic.len() + self.payload.bytes()
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Item({} at {}, {} bytes)", self.topic, self.log_nanos, self.payload.bytes())
    }
}

/// Any message in Rust.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<M> {
    /// The message.
    pub message: M,
    /// Bytes that it keeps in memory, about.
    pub bytes: usize,
}

impl<M: RosMessage + Send + Sync> Payload for Message<M> {
    fn type_name(&self) -> &'static str {
        M::TYPE
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        cdr::encode(&self.message)
    }
}

/// `sensor_msgs/msg/Image` whose pixels are shared.
#[derive(Clone)]
pub struct RawPicture {
    /// Stamp and frame.
    pub header: Header,
    /// ROS encoding.
    pub encoding: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes per row, padding included.
    pub step: u32,
    /// Whether values of several bytes begin with the most significant one.
    pub is_bigendian: bool,
    /// Pixels, row by row.
    pub data: SharedBytes,
}

/// `sensor_msgs/msg/CompressedImage` whose bytes are shared.
#[derive(Clone)]
pub struct CompressedPicture {
    /// Stamp and frame.
    pub header: Header,
    /// What the sender says of the format.
    pub format: String,
    /// Bytes of a JPEG or PNG file.
    pub data: SharedBytes,
}

/// [`Image`] without bytes of its own.
#[derive(Serialize)]
struct RawView<'a> {
    header: &'a Header,
    height: u32,
    width: u32,
    encoding: &'a str,
    is_bigendian: u8,
    step: u32,
    #[serde(with = "serde_bytes")]
    data: &'a [u8],
}

/// [`CompressedImage`] without bytes of its own.
#[derive(Serialize)]
struct CompressedView<'a> {
    header: &'a Header,
    format: &'a str,
    #[serde(with = "serde_bytes")]
    data: &'a [u8],
}

impl RosMessage for RawView<'_> {
    const TYPE: &'static str = Image::TYPE;
}

impl RosMessage for CompressedView<'_> {
    const TYPE: &'static str = CompressedImage::TYPE;
}

impl Payload for RawPicture {
    fn type_name(&self) -> &'static str {
        Image::TYPE
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + (*self.data).as_ref().len()
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        let Self { header, encoding, width, height, step, is_bigendian, data } = self;
        cdr::encode(&RawView {
            header,
            height: *height,
            width: *width,
            encoding,
            is_bigendian: u8::from(*is_bigendian),
            step: *step,
            data: (**data).as_ref(),
        })
    }
}

impl Payload for CompressedPicture {
    fn type_name(&self) -> &'static str {
        CompressedImage::TYPE
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + (*self.data).as_ref().len()
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        let Self { header, format, data } = self;
        cdr::encode(&CompressedView { header, format, data: (**data).as_ref() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cdr::Time;

    fn header() -> Header {
        Header { stamp: Time { sec: 2, nanosec: 3 }, frame_id: "cam".into() }
    }

    #[test]
    fn shared_images_have_the_bytes_of_the_message() {
        let pixels = vec![1_u8, 2, 3, 4, 5, 6];
        let picture = RawPicture {
            header: header(),
            encoding: "rgb8".into(),
            width: 1,
            height: 2,
            step: 3,
            is_bigendian: true,
            data: Arc::new(pixels.clone()),
        };
        let image = Image {
            header: header(),
            height: 2,
            width: 1,
            encoding: "rgb8".into(),
            is_bigendian: 1,
            step: 3,
            data: pixels,
        };
        assert_eq!(picture.cdr().unwrap(), cdr::encode(&image).unwrap());
        assert_eq!(picture.type_name(), "sensor_msgs/msg/Image");
        assert!(picture.bytes() > 6);
    }

    #[test]
    fn shared_files_have_the_bytes_of_the_message() {
        let data: SharedBytes = Arc::new(vec![9_u8; 5]);
        let picture = CompressedPicture { header: header(), format: "jpeg".into(), data: Arc::clone(&data) };
        let image = CompressedImage { header: header(), format: "jpeg".into(), data: vec![9; 5] };
        let item = Item::new("/camera", 7, picture);
        assert_eq!(item.payload.cdr().unwrap(), cdr::encode(&image).unwrap());
        assert_eq!(Arc::strong_count(&data), 2, "the bytes are shared");
        assert!(item.bytes() > item.payload.bytes());
    }
}
