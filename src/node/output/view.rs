//! From judged images to frames of the viewer.

use std::sync::Arc;
use std::time::Instant;

use crate::inference::evidence::{Evidence, Judged};
use crate::inference::shared::Shared;
use crate::intake::request::Entry;
use crate::monitor::Verdict;
use crate::parameters::names::CameraName;
use crate::parameters::settings::Settings;
use crate::parameters::typed::Tuning;
use crate::pipeline::Pipeline;
use crate::viewer::{
    ViewFrame, ViewPicture, ViewRegion, Viewer, ViewerError, ViewerOptions, ViewerTarget, choose_layers,
};

/// Starts the viewer that the parameters ask for; `None` when it is off.
///
/// # Errors
/// [`ViewerError`] when a layer does not exist or the target cannot be opened.
pub fn start(settings: &Settings, pipeline: &Pipeline) -> Result<Option<Arc<Viewer>>, ViewerError> {
    let Some(target) = target(settings) else { return Ok(None) };
    let layers: Vec<String> = pipeline.classifier().manifest().layers.iter().map(|layer| layer.name.clone()).collect();
    let detectors = pipeline.monitor().map_or_else(Vec::new, |monitor| {
        monitor.metadata().detectors.iter().map(|detector| detector.name.to_string()).collect()
    });
    let cameras = settings.camera_names();
    let options = ViewerOptions {
        target,
        cameras: cameras.iter().filter_map(|camera| name(camera, &cameras)).collect(),
        shown: choose_layers(settings.text("viewer_layers"), &layers)?,
        layers,
        detectors,
        queue: usize::try_from(settings.integer("viewer_queue")).unwrap_or(1),
    };
    Viewer::start(options).map(|viewer| Some(Arc::new(viewer)))
}

/// What tells a camera from others; `None` where there is only one.
fn name(camera: &CameraName, cameras: &[CameraName]) -> Option<String> {
    camera.name().filter(|_| cameras.len() > 1).map(str::to_owned)
}

fn target(settings: &Settings) -> Option<ViewerTarget> {
    let address = || settings.text("viewer_address").to_owned();
    let port = || u16::try_from(settings.integer("viewer_port")).unwrap_or(u16::MAX);
    match settings.text("viewer") {
        "save" => Some(ViewerTarget::Save(settings.text("viewer_path").into())),
        "serve" => Some(ViewerTarget::Serve(address(), port())),
        "connect" => Some(ViewerTarget::Connect(address(), port())),
        _ => None,
    }
}

/// The viewer as the inference thread sees it.
pub struct View {
    viewer: Arc<Viewer>,
    shared: Shared,
    classes: Arc<[String]>,
    last_pictures: Vec<Option<Instant>>,
}

impl View {
    /// `classes` are the class names of the model.
    pub fn new(viewer: Arc<Viewer>, shared: Shared, classes: Arc<[String]>) -> Self {
        let last_pictures = vec![None; shared.cameras().len()];
        Self { viewer, shared, classes, last_pictures }
    }

    /// Hands a judged image of a camera over. Never waits.
    pub fn show(&mut self, camera: usize, judged: Judged) {
        let tuning = self.shared.tuning();
        let with_picture = self.picture_is_due(camera, &tuning, Instant::now());
        let cameras = self.shared.cameras();
        let camera = name(&cameras[camera], cameras);
        self.viewer.show(ViewFrame { camera, ..frame(judged, &tuning, &self.classes, with_picture) });
    }

    fn picture_is_due(&mut self, camera: usize, tuning: &Tuning, now: Instant) -> bool {
        let last = &mut self.last_pictures[camera];
        let due = last.is_none_or(|last| now.duration_since(last) >= tuning.viewer_picture_period);
        if due {
            *last = Some(now);
        }
        due
    }
}

fn frame(judged: Judged, tuning: &Tuning, classes: &[String], with_picture: bool) -> ViewFrame {
    let Judged { answer, evidence } = judged;
    let rows = evidence.rows.iter().copied().chain(std::iter::repeat(None));
    ViewFrame {
        camera: None,
        stamp_nanos: answer.header.stamp.nanos(),
        regions: answer.entries.iter().zip(rows).map(|(entry, row)| region(entry, row, classes)).collect(),
        suspect_level: tuning.suspect_level,
        alarm_level: tuning.alarm_level,
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
    use crate::parameters::table::Value;
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
        let frame = frame(judged(), &Settings::default().tuning(), &classes, true);
        assert_eq!(frame.stamp_nanos, 2_000_000_001);
        let [first, second] = frame.regions.as_slice() else { panic!("{frame:?}") };
        assert_eq!((first.class_name.as_str(), first.score, first.row), ("stop", 0.75, Some(0)));
        assert_eq!((second.class_name.as_str(), second.reason.as_str(), second.row), ("", "outside", None));
        assert_eq!(frame.picture.unwrap().jpeg, Some(vec![0xff, 0xd8, 1]));
    }

    #[test]
    fn between_two_pictures_only_the_curves_go_on() {
        assert!(super::frame(judged(), &Settings::default().tuning(), &[], false).picture.is_none());
    }

    #[test]
    fn cameras_have_names_where_there_are_several() {
        let mut settings = Settings::default();
        let names = |settings: &Settings| {
            let cameras = settings.camera_names();
            cameras.iter().map(|camera| super::name(camera, &cameras)).collect::<Vec<_>>()
        };
        assert_eq!(names(&settings), [None]);
        settings.set("cameras", Value::TextArray(vec!["front".into()])).unwrap();
        assert_eq!(names(&settings), [None]);
        settings.set("cameras", Value::TextArray(vec!["front".into(), "rear".into()])).unwrap();
        assert_eq!(names(&settings), [Some("front".into()), Some("rear".into())]);
    }

    #[test]
    fn the_parameters_choose_the_target() {
        let mut settings = Settings::default();
        assert_eq!(target(&settings), None);
        settings.set("viewer", Value::Text("serve".into())).unwrap();
        assert_eq!(target(&settings), Some(ViewerTarget::Serve("127.0.0.1".into(), 9876)));
        settings.set("viewer", Value::Text("save".into())).unwrap();
        assert_eq!(target(&settings), Some(ViewerTarget::Save("monitor.rrd".into())));
    }
}
