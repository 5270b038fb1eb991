//! The ROS messages in a bag, and their CDR encoding (OMG DDS-XTypes, plain CDR version 1).
//!
//! Field order is the order of the `.msg` file: CDR carries no names.

use byteorder::{BigEndian, LittleEndian};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A message with the name of its ROS type.
pub trait RosMessage: Serialize {
    /// Name as ROS 2 writes it, for example `sensor_msgs/msg/Image`.
    const TYPE: &'static str;
}

/// Why bytes are not the expected message.
#[derive(Debug, thiserror::Error)]
pub enum CdrError {
    /// The first four bytes name no plain CDR encoding.
    #[error("expected a CDR header 00 00 or 00 01, found {found:02x?}")]
    Header {
        /// At most the first two bytes.
        found: Vec<u8>,
    },
    /// The middleware cannot say the message in CDR.
    #[error("a {expected} cannot be serialised: {reason}")]
    Ros {
        /// Type of the message.
        expected: &'static str,
        /// Cause.
        reason: String,
    },
    /// The body does not fit the type.
    #[error("not a {expected}: {source}")]
    Body {
        /// Expected type.
        expected: &'static str,
        /// Cause.
        source: cdr_encoding::Error,
    },
}

/// Encodes a message: the little-endian CDR header and the body.
///
/// # Errors
/// [`CdrError::Body`] when a sequence is longer than CDR can say.
pub fn encode<M: RosMessage>(message: &M) -> Result<Vec<u8>, CdrError> {
    let mut bytes = vec![0, 1, 0, 0];
    cdr_encoding::to_writer::<M, LittleEndian, _>(&mut bytes, message).map_err(body_error::<M>)?;
    Ok(bytes)
}

/// Decodes a message of either byte order. Bytes after the message are ignored, as CDR pads.
///
/// # Errors
/// [`CdrError`] when the header is unknown or the body ends early or holds no valid text.
pub fn decode<M: RosMessage + DeserializeOwned>(bytes: &[u8]) -> Result<M, CdrError> {
    let header = || CdrError::Header { found: bytes[..bytes.len().min(2)].to_vec() };
    let (encoding, body) = bytes.split_at_checked(4).ok_or_else(header)?;
    let decoded = match encoding {
        [0, 0, ..] => cdr_encoding::from_bytes::<M, BigEndian>(body),
        [0, 1, ..] => cdr_encoding::from_bytes::<M, LittleEndian>(body),
        _ => return Err(header()),
    };
    decoded.map(|(message, _length)| message).map_err(body_error::<M>)
}

fn body_error<M: RosMessage>(source: cdr_encoding::Error) -> CdrError {
    CdrError::Body { expected: M::TYPE, source }
}

/// `builtin_interfaces/msg/Time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Time {
    /// Seconds since the epoch of the clock.
    pub sec: i32,
    /// Nanoseconds within that second.
    pub nanosec: u32,
}

impl Time {
    /// From nanoseconds since the epoch; saturates in the year 2038.
    #[must_use]
    pub fn from_nanos(nanos: u64) -> Self {
        let sec = i32::try_from(nanos / 1_000_000_000).unwrap_or(i32::MAX);
        Self { sec, nanosec: (nanos % 1_000_000_000) as u32 }
    }

    /// Nanoseconds since the epoch; 0 for times before it.
    #[must_use]
    pub fn as_nanos(self) -> u64 {
        u64::try_from(self.sec).unwrap_or(0) * 1_000_000_000 + u64::from(self.nanosec)
    }
}

/// `std_msgs/msg/Header`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Header {
    /// When the data was taken.
    pub stamp: Time,
    /// Coordinate frame.
    pub frame_id: String,
}

/// `rosgraph_msgs/msg/Clock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Simulated time.
    pub clock: Time,
}

/// `sensor_msgs/msg/Image`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Stamp and frame.
    pub header: Header,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// For example `rgb8`.
    pub encoding: String,
    /// 1 when multi-byte channels are big-endian.
    pub is_bigendian: u8,
    /// Bytes per row, padding included.
    pub step: u32,
    /// `step` × `height` bytes.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

/// `sensor_msgs/msg/CompressedImage`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompressedImage {
    /// Stamp and frame.
    pub header: Header,
    /// For example `jpeg`.
    pub format: String,
    /// The compressed file.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

/// `sensor_msgs/msg/RegionOfInterest`, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RegionOfInterest {
    /// Leftmost column.
    pub x_offset: u32,
    /// Topmost row.
    pub y_offset: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// Unused here.
    pub do_rectify: bool,
}

/// `activation_monitor/msg/Region`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Region {
    /// Name of the physical object.
    pub id: String,
    /// Where it is in the image.
    pub roi: RegionOfInterest,
}

/// `activation_monitor/msg/RegionArray`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionArray {
    /// Header of the image.
    pub header: Header,
    /// Regions of that image.
    pub regions: Vec<Region>,
}

/// `activation_monitor/msg/GroundTruth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroundTruth {
    /// The region this is about.
    pub region: Region,
    /// Index of the class, -1 when it is none.
    pub class_id: i32,
    /// Name of the class or of the object.
    pub class_name: String,
    /// Whether the training data covers it.
    pub in_distribution: bool,
    /// What is unusual; empty when nothing is.
    pub anomaly: String,
}

/// `activation_monitor/msg/GroundTruthArray`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroundTruthArray {
    /// Header of the image.
    pub header: Header,
    /// One entry per region of that image.
    pub objects: Vec<GroundTruth>,
}

macro_rules! ros_types {
    ($($message:ty => $name:literal),* $(,)?) => {
        $(impl RosMessage for $message { const TYPE: &'static str = $name; })*
    };
}

ros_types! {
    Header => "std_msgs/msg/Header",
    Clock => "rosgraph_msgs/msg/Clock",
    Image => "sensor_msgs/msg/Image",
    CompressedImage => "sensor_msgs/msg/CompressedImage",
    RegionArray => "activation_monitor/msg/RegionArray",
    GroundTruthArray => "activation_monitor/msg/GroundTruthArray",
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A stamp of 2.3 s and the frame "cam": string length with its terminating zero, then padding to four bytes.
    const HEADER_BYTES: [u8; 16] = [2, 0, 0, 0, 0x00, 0xa3, 0xe1, 0x11, 4, 0, 0, 0, b'c', b'a', b'm', 0];

    fn header() -> Header {
        Header { stamp: Time { sec: 2, nanosec: 300_000_000 }, frame_id: "cam".into() }
    }

    #[test]
    fn compressed_image_by_hand() {
        let image = CompressedImage { header: header(), format: "png".into(), data: vec![7, 8, 9] };
        let mut expected = vec![0, 1, 0, 0];
        expected.extend(HEADER_BYTES);
        expected.extend([4, 0, 0, 0, b'p', b'n', b'g', 0, 3, 0, 0, 0, 7, 8, 9]);
        assert_eq!(encode(&image).unwrap(), expected);
        assert_eq!(decode::<CompressedImage>(&expected).unwrap(), image);
    }

    #[test]
    fn regions_by_hand_with_padding_between_elements() {
        let roi = |x_offset| RegionOfInterest { x_offset, y_offset: 2, height: 3, width: 4, do_rectify: false };
        let regions = vec![Region { id: "a".into(), roi: roi(1) }, Region { id: "b".into(), roi: roi(9) }];
        let mut expected = vec![0, 1, 0, 0];
        expected.extend(HEADER_BYTES);
        expected.extend([2, 0, 0, 0]);
        expected.extend([2, 0, 0, 0, b'a', 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0]);
        expected.extend([0, 0, 0]);
        expected.extend([2, 0, 0, 0, b'b', 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0]);
        let message = RegionArray { header: header(), regions };
        assert_eq!(encode(&message).unwrap(), expected);
        assert_eq!(decode::<RegionArray>(&expected).unwrap(), message);
    }

    #[test]
    fn big_endian_is_read() {
        let bytes = [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6];
        assert_eq!(decode::<Clock>(&bytes).unwrap().clock, Time { sec: 5, nanosec: 6 });
    }

    #[test]
    fn short_and_foreign_bytes_are_errors() {
        assert!(matches!(decode::<Clock>(&[0]), Err(CdrError::Header { found }) if found == [0]));
        assert!(matches!(decode::<Clock>(&[0, 7, 0, 0, 1, 2, 3, 4]), Err(CdrError::Header { .. })));
        assert!(matches!(decode::<Clock>(&[0, 1, 0, 0, 1, 2]), Err(CdrError::Body { .. })));
    }

    /// Every length of a text or a sequence in turn claims the most that CDR can say.
    fn claims_too_much<M: RosMessage + DeserializeOwned>(message: &M, lengths: &[usize]) {
        let bytes = encode(message).unwrap();
        assert!(decode::<M>(&bytes).is_ok());
        for &at in lengths {
            let mut claim = bytes.clone();
            claim[4 + at..8 + at].copy_from_slice(&u32::MAX.to_le_bytes());
            assert!(matches!(decode::<M>(&claim), Err(CdrError::Body { .. })), "{} at {at}", M::TYPE);
        }
    }

    #[test]
    fn more_elements_than_bytes_are_an_error() {
        let roi = RegionOfInterest { x_offset: 1, y_offset: 2, height: 3, width: 4, do_rectify: false };
        let region = Region { id: "a".into(), roi };
        let (encoding, data) = ("mono8".to_owned(), vec![1, 2]);
        let image =
            Image { header: header(), height: 1, width: 2, encoding, is_bigendian: 0, step: 2, data: data.clone() };
        claims_too_much(&header(), &[8]);
        claims_too_much(&image, &[8, 24, 40]);
        claims_too_much(&CompressedImage { header: header(), format: "png".into(), data }, &[8, 16, 24]);
        claims_too_much(&RegionArray { header: header(), regions: vec![region.clone()] }, &[8, 16, 20]);
        let truth = GroundTruth {
            region,
            class_id: 1,
            class_name: "stop".into(),
            in_distribution: true,
            anomaly: String::new(),
        };
        claims_too_much(&GroundTruthArray { header: header(), objects: vec![truth] }, &[8, 16, 20, 52, 64]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<GroundTruthArray>(&bytes);
            let _ = decode::<Image>(&bytes);
        }

        #[test]
        fn ground_truth_survives_the_round_trip(id in "\\PC{0,8}", class_id in -1_i32..43, width in 0_u32..2000) {
            let roi = RegionOfInterest { x_offset: 1, y_offset: 2, height: 3, width, do_rectify: false };
            let truth = GroundTruth {
                region: Region { id: id.clone(), roi },
                class_id,
                class_name: id,
                in_distribution: class_id > 0,
                anomaly: String::new(),
            };
            let message = GroundTruthArray { header: header(), objects: vec![truth.clone(), truth] };
            prop_assert_eq!(decode::<GroundTruthArray>(&encode(&message).unwrap()).unwrap(), message);
        }

        #[test]
        fn time_survives_nanoseconds(nanos in 0_u64..2_000_000_000_000_000_000) {
            prop_assert_eq!(Time::from_nanos(nanos).as_nanos(), nanos);
        }
    }
}
