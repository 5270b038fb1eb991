//! Answers as `vision_msgs/Detection2DArray`, for tools that know nothing else. Only what the network says of the classes
//! fits in: verdicts and p-values are in `~/ood` alone.

use r2r::vision_msgs::msg::{
    BoundingBox2D, Detection2D, Detection2DArray, ObjectHypothesis, ObjectHypothesisWithPose, Point2D, Pose2D,
};

use crate::inference::messages::Identity;
use crate::intake::boxes::BoundingBox;
use crate::intake::request::{Answer, Entry, Header};
use crate::pipeline::Hypothesis;

/// One detection per region, in the same order, with the best classes as hypotheses; none where the region could not be
/// classified. The box of a whole image is all zeros.
#[must_use]
pub fn detections(answer: &Answer, identity: &Identity) -> Detection2DArray {
    let detection = |entry: &Entry| Detection2D {
        header: to_header(&answer.header),
        results: results(entry, &identity.classes),
        bbox: to_box(BoundingBox::from(entry.region.region)),
        id: entry.region.id.clone(),
    };
    Detection2DArray { header: to_header(&answer.header), detections: answer.entries.iter().map(detection).collect() }
}

fn results(entry: &Entry, classes: &[String]) -> Vec<ObjectHypothesisWithPose> {
    let hypothesis = |hypothesis: &Hypothesis| {
        let class_id = classes.get(hypothesis.class).cloned().unwrap_or_default();
        let hypothesis = ObjectHypothesis { class_id, score: hypothesis.score.into() };
        ObjectHypothesisWithPose { hypothesis, ..Default::default() }
    };
    let top_k = entry.outcome.as_ref().map_or(&[][..], |outcome| &outcome.top_k);
    top_k.iter().map(hypothesis).collect()
}

fn to_header(header: &Header) -> r2r::std_msgs::msg::Header {
    let stamp = r2r::builtin_interfaces::msg::Time { sec: header.stamp.sec, nanosec: header.stamp.nanosec };
    r2r::std_msgs::msg::Header { stamp, frame_id: header.frame_id.clone() }
}

fn to_box(BoundingBox { center_x: x, center_y: y, theta, size_x, size_y }: BoundingBox) -> BoundingBox2D {
    BoundingBox2D { center: Pose2D { position: Point2D { x, y }, theta }, size_x, size_y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Region;
    use crate::intake::request::NamedRegion;
    use crate::intake::stamp::Stamp;
    use crate::monitor::Levels;
    use crate::pipeline::Outcome;
    use crate::stream::Observed;

    #[test]
    fn classes_and_boxes_of_an_answer() {
        let hypothesis = |class, score| Hypothesis { class, score };
        let judged = Outcome::unknown(vec![hypothesis(1, 0.75), hypothesis(0, 0.25)], "no monitor".into());
        let region = Region { x: 1, y: 2, width: 3, height: 4 };
        let named = |id: &str, region| NamedRegion { id: id.into(), region, do_rectify: false };
        let entries = vec![
            Entry { region: named("sign", region), outcome: Ok(judged) },
            Entry { region: named("", Region::WHOLE), outcome: Err("no regions".into()) },
        ];
        let header = Header { stamp: Stamp { sec: 5, nanosec: 6 }, frame_id: "camera".into() };
        let answer = Answer {
            header,
            received: Stamp::default(),
            levels: Levels::default(),
            entries,
            observed: Observed::default(),
        };
        let identity = Identity::new(&["yield", "stop"].map(str::to_owned), "", "");
        let found = detections(&answer, &identity);
        let [sign, whole] = &found.detections[..] else { panic!("{found:?}") };
        assert_eq!((found.header.stamp.sec, sign.header.frame_id.as_str(), sign.id.as_str()), (5, "camera", "sign"));
        let classes: Vec<_> = sign.results.iter().map(|result| result.hypothesis.class_id.as_str()).collect();
        assert_eq!((classes, sign.results[0].hypothesis.score), (vec!["stop", "yield"], 0.75));
        assert_eq!((sign.bbox.center.position.x, sign.bbox.center.position.y), (2.5, 4.0));
        assert_eq!((sign.bbox.size_x, sign.bbox.size_y), (3.0, 4.0));
        assert_eq!((whole.results.len(), whole.bbox.size_x), (0, 0.0));
    }
}
