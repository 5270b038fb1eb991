//! From judged images to frames of the viewer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::inference::evidence::Judged;
use crate::inference::shared::Shared;
use crate::parameters::names::CameraName;
use crate::parameters::settings::Settings;
use crate::parameters::typed::Tuning;
use crate::pipeline::Pipeline;
use crate::viewer::{self, Rotation, ViewFrame, Viewer, ViewerError, ViewerOptions, ViewerTarget};

/// Starts the viewer that the parameters ask for; `None` when it is off.
///
/// # Errors
/// [`ViewerError`] when a layer does not exist or the target cannot be opened.
pub fn start(settings: &Settings, pipeline: &Pipeline) -> Result<Option<Arc<Viewer>>, ViewerError> {
    let Some(target) = target(settings) else { return Ok(None) };
    let cameras = settings.camera_names();
    let names = cameras.iter().filter_map(|camera| name(camera, &cameras)).collect();
    let queue = usize::try_from(settings.integer("viewer_queue")).unwrap_or(1);
    let options = ViewerOptions::new(target, names, pipeline, settings.text("viewer_layers"), queue)?;
    let options = ViewerOptions { rotation: rotation(settings), ..options };
    Viewer::start(options).map(|viewer| Some(Arc::new(viewer)))
}

/// What tells a camera from others; `None` where there is only one.
fn name(camera: &CameraName, cameras: &[CameraName]) -> Option<String> {
    camera.name().filter(|_| cameras.len() > 1).map(str::to_owned)
}

fn rotation(settings: &Settings) -> Rotation {
    let positive = |name: &str| u64::try_from(settings.integer(name)).ok().filter(|number| *number > 0);
    let secs = settings.double("viewer_max_file_secs");
    Rotation {
        bytes: positive("viewer_max_file_mib").map(|mib| mib << 20),
        age: (secs > 0.0).then(|| Duration::from_secs_f64(secs)),
        kept: positive("viewer_max_files").map(|files| files as usize),
    }
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
        self.viewer.show(ViewFrame { camera, ..viewer::frame(judged, &self.classes, with_picture) });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::table::Value;

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
