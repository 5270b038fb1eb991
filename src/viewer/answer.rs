//! From answers to frames.

use std::sync::Arc;

use super::{ViewChange, ViewFrame, ViewPicture, ViewRegion};
use crate::inference::evidence::{Evidence, Judged};
use crate::intake::request::Entry;
use crate::monitor::Verdict;
use crate::stream::{Change, ChangeState};

/// What is shown of an answer, the same live and of a replay. `classes` are the class names of the model; without a picture only the curves go on.
#[must_use]
pub fn frame(judged: Judged, classes: &[String], with_picture: bool) -> ViewFrame {
    let Judged { answer, evidence } = judged;
    let rows = evidence.rows.iter().copied().chain(std::iter::repeat(None));
    let objects = answer.observed.objects.iter().map(|object| object.p_value.as_ref().ok().copied());
    let objects = objects.chain(std::iter::repeat(None));
    let Change { state, evidence: of_change, threshold, .. } = answer.observed.change;
    ViewFrame {
        camera: None,
        stamp_nanos: answer.header.stamp.nanos(),
        regions: answer
            .entries
            .iter()
            .zip(rows)
            .zip(objects)
            .map(|((entry, row), object_p_value)| ViewRegion { object_p_value, ..region(entry, row, classes) })
            .collect(),
        change: (state != ChangeState::Unknown).then_some(ViewChange { state, evidence: of_change, threshold }),
        suspect_level: answer.levels.suspect,
        alarm_level: answer.levels.alarm,
        picture: with_picture.then_some(evidence).and_then(picture),
    }
}

fn picture(evidence: Evidence) -> Option<ViewPicture> {
    Some(ViewPicture {
        image: evidence.image()?,
        jpeg: evidence.picture.to_jpeg(),
        activations: evidence.activations.map(Arc::unwrap_or_clone),
    })
}

fn region(entry: &Entry, row: Option<usize>, classes: &[String]) -> ViewRegion {
    let unknown = |reason: &str| ViewRegion {
        id: entry.region.id.clone(),
        region: entry.region.region,
        class_name: String::new(),
        score: 0.0,
        verdict: Verdict::Unknown,
        reason: reason.to_owned(),
        p_value: None,
        object_p_value: None,
        detectors: Vec::new(),
        row,
    };
    let outcome = match &entry.outcome {
        Ok(outcome) => outcome,
        Err(reason) => return unknown(reason),
    };
    let best = outcome.top_k.first();
    let judgement = outcome.judgement.as_ref();
    ViewRegion {
        class_name: best.and_then(|best| classes.get(best.class)).cloned().unwrap_or_default(),
        score: best.map_or(0.0, |best| best.score),
        verdict: outcome.verdict,
        p_value: judgement.map(|judgement| judgement.fused.p_value),
        detectors: judgement.map_or_else(Vec::new, |judgement| {
            judgement.detectors.iter().map(|detector| (detector.name.to_owned(), detector.p_value)).collect()
        }),
        ..unknown(&outcome.reason)
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::frame::DecodeOptions;
    use crate::intake::request::{Answer, Bytes, Header, NamedRegion, Picture};
    use crate::intake::stamp::Stamp;
    use crate::monitor::Levels;
    use crate::pipeline::{Hypothesis, Outcome};
    use crate::stream::Observed;

    fn judged() -> Judged {
        let outcome = Outcome::unknown(vec![Hypothesis { class: 1, score: 0.75 }], "no monitor".into());
        let entries = [Ok(outcome), Err("outside".to_owned())]
            .map(|outcome| Entry { region: NamedRegion::whole_image(), outcome });
        let header = Header { stamp: Stamp { sec: 2, nanosec: 1 }, frame_id: String::new() };
        let evidence = Evidence {
            decoded: Some(RgbImage::new(2, 1).into()),
            picture: Picture::Compressed { format: "jpeg".into(), data: Bytes::new(vec![0xff, 0xd8, 1]) },
            options: DecodeOptions::default(),
            activations: None,
            rows: vec![Some(0), None],
        };
        let (received, levels, observed) = (Stamp::default(), Levels::default(), Observed::default());
        Judged { answer: Answer { header, received, levels, entries: entries.into(), observed }, evidence }
    }

    #[test]
    fn a_frame_has_what_was_found_out() {
        let classes = ["a".to_owned(), "stop".to_owned()];
        let frame = frame(judged(), &classes, true);
        assert_eq!(frame.stamp_nanos, 2_000_000_001);
        let [first, second] = frame.regions.as_slice() else { panic!("{frame:?}") };
        assert_eq!((first.class_name.as_str(), first.score, first.row), ("stop", 0.75, Some(0)));
        assert_eq!((second.class_name.as_str(), second.reason.as_str(), second.row), ("", "outside", None));
        assert_eq!(frame.picture.unwrap().jpeg, Some(vec![0xff, 0xd8, 1]));
    }

    #[test]
    fn between_two_pictures_only_the_curves_go_on() {
        assert!(super::frame(judged(), &[], false).picture.is_none());
    }
}
