//! A recording of a replay for rerun, with the layout of the live view.

use std::path::Path;
use std::time::Duration;

use super::run::Answered;
use crate::inference::evidence::Judged;
use crate::parameters::names::CameraName;
use crate::parameters::settings::Settings;
use crate::pipeline::Pipeline;
use crate::viewer::{self, ViewFrame, Viewer, ViewerError, ViewerOptions, ViewerTarget};

/// Frames that wait to be written.
const QUEUE: usize = 16;
/// How long what waits may take to be written in the end.
const LAST_FRAMES: Duration = Duration::from_secs(60);

/// Shows the answers of one bag.
pub struct ReplayView {
    viewer: Viewer,
    names: Vec<Option<String>>,
    classes: Vec<String>,
    /// Smallest time between two pictures, by the stamps.
    period: Duration,
    pictures: Vec<Option<Duration>>,
}

impl ReplayView {
    /// Begins a recording. `settings` choose the layers and how many pictures there are.
    ///
    /// # Errors
    /// [`ViewerError`] when it cannot be written, or the program was built without viewer.
    pub fn create(
        path: &Path,
        cameras: &[CameraName],
        settings: &Settings,
        pipeline: &Pipeline,
    ) -> Result<Self, ViewerError> {
        let names: Vec<Option<String>> = cameras.iter().map(|camera| camera.name().map(str::to_owned)).collect();
        let target = ViewerTarget::Save(path.to_path_buf());
        let several = names.iter().flatten().cloned().collect();
        let options = ViewerOptions::new(target, several, pipeline, settings.text("viewer_layers"), QUEUE)?;
        Ok(Self {
            viewer: Viewer::start(options)?,
            names,
            classes: pipeline.classifier().manifest().classes.clone(),
            period: settings.tuning().viewer_picture_period,
            pictures: vec![None; cameras.len()],
        })
    }

    /// Adds an answer; waits where rerun is slower. An image that nobody looked at has nothing to show.
    pub fn show(&mut self, answered: &Answered<'_>) {
        let Some(evidence) = answered.evidence else { return };
        let with_picture = self.picture_is_due(answered.camera, answered.answer.header.stamp.since_epoch());
        let judged = Judged { answer: answered.answer.clone(), evidence: evidence.clone() };
        let frame = viewer::frame(judged, &self.classes, with_picture);
        self.viewer.show_without_loss(ViewFrame { camera: self.names[answered.camera].clone(), ..frame });
    }

    fn picture_is_due(&mut self, camera: usize, stamp: Duration) -> bool {
        let last = &mut self.pictures[camera];
        let due = last.is_none_or(|last| stamp.abs_diff(last) >= self.period);
        if due {
            *last = Some(stamp);
        }
        due
    }

    /// Completes the file. Returns why something of it is missing.
    #[must_use]
    pub fn finish(self) -> Option<String> {
        let failure = self.viewer.failure();
        let written = self.viewer.finish(LAST_FRAMES);
        failure.or_else(|| (!written).then(|| "rerun did not write everything in time".to_owned()))
    }
}
