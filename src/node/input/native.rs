//! Messages in the memory of the middleware. r2r would copy every image once more into a Rust vector, and empty every
//! text that is not UTF-8.

use r2r::activation_monitor::msg as ours;
use r2r::sensor_msgs::msg::{CompressedImage, Image};
use r2r::{NativeMsg, WrappedTypesupport};

use crate::frame::Region;
#[cfg(vision_msgs)]
use crate::intake::boxes::BoundingBox;
use crate::intake::request::{Bytes, Header, NamedRegion, Picture, Regions};
use crate::intake::stamp::Stamp;

/// A message that owns its memory and is only read.
struct ReadOnly<T: WrappedTypesupport + 'static>(NativeMsg<T>);

// SAFETY: the message is the only owner of its memory (it is neither loaned nor shared), it holds no thread-local data,
// and rosidl's destructor may run on any thread.
#[allow(unsafe_code)]
unsafe impl<T: WrappedTypesupport> Send for ReadOnly<T> {}
// SAFETY: nobody writes to it any more, so threads may read it together.
#[allow(unsafe_code)]
unsafe impl<T: WrappedTypesupport> Sync for ReadOnly<T> {}

/// Views a field `{data, size}` of a message as a slice that lives as long as the message.
macro_rules! slice {
    ($field:expr) => {{
        let field = &$field;
        if field.data.is_null() {
            &[]
        } else {
            // SAFETY: rosidl guarantees `size` initialised elements behind `data`, which the message owns.
            #[allow(unsafe_code)]
            unsafe {
                std::slice::from_raw_parts(field.data.cast_const(), field.size)
            }
        }
    }};
}

/// Text of a message field; what is not UTF-8, and NUL, which no text that is sent may hold, become `U+FFFD`.
macro_rules! text {
    ($field:expr) => {
        String::from_utf8_lossy(bytemuck::cast_slice::<_, u8>(slice!($field))).replace('\0', "\u{fffd}")
    };
}

macro_rules! header {
    ($message:expr) => {
        Header {
            stamp: Stamp { sec: $message.header.stamp.sec, nanosec: $message.header.stamp.nanosec },
            frame_id: text!($message.header.frame_id),
        }
    };
}

impl AsRef<[u8]> for ReadOnly<Image> {
    fn as_ref(&self) -> &[u8] {
        slice!(self.0.data)
    }
}

impl AsRef<[u8]> for ReadOnly<CompressedImage> {
    fn as_ref(&self) -> &[u8] {
        slice!(self.0.data)
    }
}

/// The image of a raw message; its pixels stay where they are.
#[must_use]
pub fn from_raw(message: NativeMsg<Image>) -> (Header, Picture) {
    let (width, height, step) = (message.width, message.height, message.step);
    let (encoding, is_bigendian) = (text!(message.encoding), message.is_bigendian != 0);
    let header = header!(message);
    let data = Bytes::new(ReadOnly(message));
    (header, Picture::Raw { encoding, width, height, step, is_bigendian, data })
}

/// The image of a compressed message; its bytes stay where they are.
#[must_use]
pub fn from_compressed(message: NativeMsg<CompressedImage>) -> (Header, Picture) {
    let (header, format) = (header!(message), text!(message.format));
    (header, Picture::Compressed { format, data: Bytes::new(ReadOnly(message)) })
}

/// Header and regions of a message.
#[must_use]
pub fn from_regions(message: &NativeMsg<ours::RegionArray>) -> (Header, Regions) {
    let regions = Regions::read(slice!(message.regions), |region| {
        let (roi, id) = (&region.roi, text!(region.id));
        let region = Region { x: roi.x_offset, y: roi.y_offset, width: roi.width, height: roi.height };
        NamedRegion { id, region, do_rectify: roi.do_rectify }
    });
    (header!(message), regions)
}

/// Header and boxes of a message.
#[cfg(vision_msgs)]
#[must_use]
pub fn from_detections(message: &NativeMsg<r2r::vision_msgs::msg::Detection2DArray>) -> (Header, Regions) {
    let regions = Regions::read(slice!(message.detections), |detection| {
        let bounds = &detection.bbox;
        let bounds = BoundingBox {
            center_x: bounds.center.position.x,
            center_y: bounds.center.position.y,
            theta: bounds.center.theta,
            size_x: bounds.size_x,
            size_y: bounds.size_y,
        };
        let class = slice!(detection.results).first().map(|result| text!(result.hypothesis.class_id));
        NamedRegion::detected(text!(detection.id), class, &bounds)
    });
    (header!(message), regions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use r2r::builtin_interfaces::msg::Time;
    use r2r::sensor_msgs::msg::RegionOfInterest;

    fn header() -> (r2r::std_msgs::msg::Header, Header) {
        let theirs = r2r::std_msgs::msg::Header { stamp: Time { sec: 1, nanosec: 2 }, frame_id: "camera".into() };
        (theirs, Header { stamp: Stamp { sec: 1, nanosec: 2 }, frame_id: "camera".into() })
    }

    #[test]
    fn images_keep_their_bytes_and_may_go_to_another_thread() {
        let (theirs, ours) = header();
        let image = Image {
            header: theirs.clone(),
            height: 1,
            width: 2,
            encoding: "rgb16".into(),
            is_bigendian: 1,
            step: 12,
            data: vec![7; 12],
        };
        let (header, picture) = from_raw(NativeMsg::from(&image));
        let data = Bytes::new(vec![7; 12]);
        let expected =
            Picture::Raw { encoding: "rgb16".into(), width: 2, height: 1, step: 12, is_bigendian: true, data };
        let equal = std::thread::scope(|scope| scope.spawn(move || picture == expected).join().unwrap());
        assert!(equal && header == ours);

        let image = CompressedImage { header: theirs, format: "jpeg".into(), data: vec![] };
        let (header, picture) = from_compressed(NativeMsg::from(&image));
        let expected = Picture::Compressed { format: "jpeg".into(), data: Bytes::new(vec![]) };
        assert_eq!((header, picture), (ours, expected));
    }

    #[test]
    fn regions_keep_their_order_and_names() {
        let (theirs, ours_header) = header();
        let roi = RegionOfInterest { x_offset: 1, y_offset: 2, width: 3, height: 4, do_rectify: true };
        let regions = ["sign", ""].map(|id| ours::Region { id: id.into(), roi: roi.clone() });
        let array = ours::RegionArray { header: theirs, regions: regions.into() };
        let named = |id: &str| NamedRegion {
            id: id.into(),
            region: Region { x: 1, y: 2, width: 3, height: 4 },
            do_rectify: true,
        };
        let found = from_regions(&NativeMsg::from(&array));
        assert_eq!(found, (ours_header, Regions { named: vec![named("sign"), named("")], unread: 0 }));
    }

    #[test]
    fn no_more_than_anyone_may_judge_are_read() {
        let array = ours::RegionArray { regions: vec![ours::Region::default(); 10_003], ..Default::default() };
        let (_, regions) = from_regions(&NativeMsg::from(&array));
        assert_eq!((regions.named.len(), regions.unread, regions.asked()), (Regions::MOST_READ, 3, 10_003));
    }

    #[cfg(vision_msgs)]
    #[test]
    fn detections_are_regions_named_by_id_or_best_class() {
        use r2r::vision_msgs::msg::{Detection2D, Detection2DArray, ObjectHypothesisWithPose};
        let (theirs, ours_header) = header();
        let mut box_of_detector = Detection2D::default();
        box_of_detector.bbox.center.position = r2r::vision_msgs::msg::Point2D { x: 20.0, y: 30.0 };
        (box_of_detector.bbox.size_x, box_of_detector.bbox.size_y) = (11.0, 8.0);
        let result = |class: &str| {
            let mut result = ObjectHypothesisWithPose::default();
            result.hypothesis.class_id = class.into();
            result
        };
        let detection = |id: &str, classes: &[&str]| Detection2D {
            id: id.into(),
            results: classes.iter().map(|class| result(class)).collect(),
            ..box_of_detector.clone()
        };
        let detections = vec![detection("7", &["stop"]), detection("", &["yield", "stop"]), detection("", &[])];
        let array = Detection2DArray { header: theirs, detections };
        let (found, regions) = from_detections(&NativeMsg::from(&array));
        let region = Region { x: 14, y: 26, width: 12, height: 8 };
        let named = ["7", "yield", ""].map(|id| NamedRegion { id: id.into(), region, do_rectify: false });
        assert_eq!((found, regions), (ours_header, Regions { named: named.into(), unread: 0 }));
    }
}
