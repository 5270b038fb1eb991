//! From ROS messages to the node's own types.

use r2r::activation_monitor::msg as ours;
use r2r::sensor_msgs::msg::{CompressedImage, Image, RegionOfInterest};

use super::pairing::Stamp;
use super::request::{Header, NamedRegion, Picture};
use crate::frame::Region;

/// The image of a raw message.
#[must_use]
pub fn from_raw(message: Image) -> (Header, Picture) {
    let Image { header, height, width, encoding, is_bigendian, step, data } = message;
    (from_header(header), Picture::Raw { encoding, width, height, step, is_bigendian: is_bigendian != 0, data })
}

/// The image of a compressed message.
#[must_use]
pub fn from_compressed(message: CompressedImage) -> (Header, Picture) {
    let CompressedImage { header, format, data } = message;
    (from_header(header), Picture::Compressed { format, data })
}

/// Stamp and regions of a message.
#[must_use]
pub fn from_regions(message: ours::RegionArray) -> (Stamp, Vec<NamedRegion>) {
    let named = |region: ours::Region| {
        let RegionOfInterest { x_offset: x, y_offset: y, height, width, do_rectify } = region.roi;
        NamedRegion { id: region.id, region: Region { x, y, width, height }, do_rectify }
    };
    (from_header(message.header).stamp, message.regions.into_iter().map(named).collect())
}

fn from_header(header: r2r::std_msgs::msg::Header) -> Header {
    Header { stamp: Stamp { sec: header.stamp.sec, nanosec: header.stamp.nanosec }, frame_id: header.frame_id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r2r::builtin_interfaces::msg::Time;

    fn sign() -> NamedRegion {
        NamedRegion { id: "sign".into(), region: Region { x: 1, y: 2, width: 3, height: 4 }, do_rectify: false }
    }

    #[test]
    fn what_comes_in() {
        let header = r2r::std_msgs::msg::Header { stamp: Time { sec: 1, nanosec: 2 }, frame_id: "camera".into() };
        let ours_header = Header { stamp: Stamp { sec: 1, nanosec: 2 }, frame_id: "camera".into() };
        let image = Image {
            header: header.clone(),
            height: 1,
            width: 2,
            encoding: "rgb8".into(),
            is_bigendian: 1,
            step: 6,
            data: vec![7; 6],
        };
        let (encoding, data) = ("rgb8".into(), vec![7; 6]);
        let picture = Picture::Raw { encoding, width: 2, height: 1, step: 6, is_bigendian: true, data };
        assert_eq!(from_raw(image), (ours_header.clone(), picture));
        let image = CompressedImage { header: header.clone(), format: "jpeg".into(), data: vec![1] };
        let picture = Picture::Compressed { format: "jpeg".into(), data: vec![1] };
        assert_eq!(from_compressed(image), (ours_header.clone(), picture));
        let regions = ours::RegionArray {
            header,
            regions: vec![ours::Region {
                id: "sign".into(),
                roi: RegionOfInterest { x_offset: 1, y_offset: 2, width: 3, height: 4, do_rectify: false },
            }],
        };
        assert_eq!(from_regions(regions), (ours_header.stamp, vec![sign()]));
    }
}
