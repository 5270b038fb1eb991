//! Detections as vision_msgs says them, as they lie in a bag.
//!
//! Field order is the order of the `.msg` file, as in [`super::cdr`]. This is the layout of ROS 2 Humble and later.

use serde::{Deserialize, Serialize};

use super::cdr::{Header, RosMessage};

/// `vision_msgs/msg/Detection2DArray`: all detections in one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection2DArray {
    /// Header of the image.
    pub header: Header,
    /// One entry per detection.
    pub detections: Vec<Detection2D>,
}

/// `vision_msgs/msg/Detection2D`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection2D {
    /// Header of the image, or of the cut-out.
    pub header: Header,
    /// What it may be.
    pub results: Vec<ObjectHypothesisWithPose>,
    /// Where it is in the image.
    pub bbox: BoundingBox2D,
    /// Name of the physical object; empty when it is not tracked.
    pub id: String,
}

/// `vision_msgs/msg/ObjectHypothesisWithPose`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectHypothesisWithPose {
    /// Class and score.
    pub hypothesis: ObjectHypothesis,
    /// Where the object is in space; zero when that is not known.
    pub pose: PoseWithCovariance,
}

/// `vision_msgs/msg/ObjectHypothesis`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectHypothesis {
    /// Name or number of the class.
    pub class_id: String,
    /// How sure the detector is, usually 0..1.
    pub score: f64,
}

/// `geometry_msgs/msg/PoseWithCovariance`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PoseWithCovariance {
    /// Position and orientation.
    pub pose: Pose,
    /// Row by row over x, y, z and the rotations about them.
    pub covariance: [[f64; 6]; 6],
}

/// `geometry_msgs/msg/Pose`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pose {
    /// x, y and z in metres.
    pub position: [f64; 3],
    /// Quaternion x, y, z, w.
    pub orientation: [f64; 4],
}

/// `vision_msgs/msg/BoundingBox2D`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BoundingBox2D {
    /// Centre and rotation.
    pub center: Pose2D,
    /// Width before the rotation, in pixels.
    pub size_x: f64,
    /// Height before the rotation, in pixels.
    pub size_y: f64,
}

/// `vision_msgs/msg/Pose2D`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pose2D {
    /// In pixels.
    pub position: Point2D,
    /// Rotation in radians.
    pub theta: f64,
}

/// `vision_msgs/msg/Point2D`, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Point2D {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

impl RosMessage for Detection2DArray {
    const TYPE: &'static str = "vision_msgs/msg/Detection2DArray";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cdr::{CdrError, Time, decode, encode};
    use proptest::prelude::*;

    fn header(frame_id: &str) -> Header {
        Header { stamp: Time { sec: 1, nanosec: 2 }, frame_id: frame_id.into() }
    }

    fn detection(results: Vec<ObjectHypothesisWithPose>, id: &str) -> Detection2D {
        let center = Pose2D { position: Point2D { x: 1.0, y: 2.0 }, theta: 0.0 };
        let bbox = BoundingBox2D { center, size_x: 4.0, size_y: 8.0 };
        Detection2D { header: header("c"), results, bbox, id: id.into() }
    }

    /// Appends doubles, little-endian.
    fn doubles(bytes: &mut Vec<u8>, values: &[f64]) {
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    }

    /// 14 bytes: stamp, length of the text with its zero, "c".
    const HEADER_BYTES: [u8; 14] = [1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, b'c', 0];

    #[test]
    fn one_detection_by_hand_with_doubles_on_multiples_of_eight() {
        let hypothesis = ObjectHypothesis { class_id: "stop".into(), score: 0.5 };
        let pose = Pose { position: [1.0, 2.0, 3.0], orientation: [0.0, 0.0, 0.0, 1.0] };
        let mut covariance = [[0.0; 6]; 6];
        (covariance[0][1], covariance[5][5]) = (0.25, 9.0);
        let result = ObjectHypothesisWithPose { hypothesis, pose: PoseWithCovariance { pose, covariance } };
        let message = Detection2DArray { header: header("c"), detections: vec![detection(vec![result], "a1")] };

        let mut body = HEADER_BYTES.to_vec();
        body.extend([0, 0]); // to 16
        body.extend([1, 0, 0, 0]); // detections
        body.extend(HEADER_BYTES); // 20 to 34
        body.extend([0, 0]);
        body.extend([1, 0, 0, 0]); // results
        body.extend([5, 0, 0, 0, b's', b't', b'o', b'p', 0]); // 40 to 49
        body.extend([0; 7]); // to 56
        doubles(&mut body, &[0.5, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0]);
        let mut row_by_row = [0.0; 36];
        (row_by_row[1], row_by_row[35]) = (0.25, 9.0);
        doubles(&mut body, &row_by_row);
        doubles(&mut body, &[1.0, 2.0, 0.0, 4.0, 8.0]);
        body.extend([3, 0, 0, 0, b'a', b'1', 0]);

        let expected = [&[0, 1, 0, 0], body.as_slice()].concat();
        assert_eq!(encode(&message).unwrap(), expected);
        assert_eq!(decode::<Detection2DArray>(&expected).unwrap(), message);
    }

    #[test]
    fn a_detection_without_results_by_hand() {
        let message = Detection2DArray { header: header("c"), detections: vec![detection(Vec::new(), "")] };
        let mut body = HEADER_BYTES.to_vec();
        body.extend([0, 0, 1, 0, 0, 0]);
        body.extend(HEADER_BYTES);
        body.extend([0, 0, 0, 0, 0, 0]); // no results, at 40
        doubles(&mut body, &[1.0, 2.0, 0.0, 4.0, 8.0]);
        body.extend([1, 0, 0, 0, 0]);
        assert_eq!(encode(&message).unwrap(), [&[0, 1, 0, 0], body.as_slice()].concat());
    }

    /// Every length in turn claims the most that CDR can say: of the detections, of the results, of the texts.
    #[test]
    fn more_elements_than_bytes_are_an_error() {
        let hypothesis = ObjectHypothesis { class_id: "stop".into(), score: 0.5 };
        let result = ObjectHypothesisWithPose { hypothesis, pose: PoseWithCovariance::default() };
        let message = Detection2DArray { header: header("c"), detections: vec![detection(vec![result], "a1")] };
        let bytes = encode(&message).unwrap();
        for at in [8, 16, 28, 36, 40, bytes.len() - 4 - 7] {
            let mut claim = bytes.clone();
            claim[4 + at..8 + at].copy_from_slice(&u32::MAX.to_le_bytes());
            assert!(matches!(decode::<Detection2DArray>(&claim), Err(CdrError::Body { .. })), "{at}");
        }
    }

    proptest! {
        #[test]
        fn detections_survive_the_round_trip(
            detections in prop::collection::vec(("\\PC{0,9}", prop::collection::vec(("\\PC{0,9}", 0.0..1.0), 0..3)), 0..4),
        ) {
            let result = |(class_id, score): &(String, f64)| ObjectHypothesisWithPose {
                hypothesis: ObjectHypothesis { class_id: class_id.clone(), score: *score },
                pose: PoseWithCovariance::default(),
            };
            let detections = detections.iter().map(|(id, results)| detection(results.iter().map(result).collect(), id));
            let message = Detection2DArray { header: header("camera"), detections: detections.collect() };
            prop_assert_eq!(decode::<Detection2DArray>(&encode(&message).unwrap()).unwrap(), message);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode::<Detection2DArray>(&[&[0, 1, 0, 0], bytes.as_slice()].concat());
        }
    }
}
