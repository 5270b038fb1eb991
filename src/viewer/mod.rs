//! Live view and recordings in rerun: camera image, regions, p-values over time, verdict and feature maps.
//!
//! [`PageRecorder`] keeps pictures that were drawn elsewhere. The only place that touches rerun, whose SDK blocks when nobody reads: it runs on its own thread behind a bounded
//! queue that drops the oldest frame. Every second that thread asks whether what it handed over has arrived: only then a frame
//! counts as shown, and [`Viewer::failure`] says why others do not. Without the feature `viewer`, [`Viewer::start`] says that it is not built in.

mod answer;
#[cfg(feature = "viewer")]
mod deviation;
mod feature_map;
mod frame;
mod health;
#[cfg(feature = "viewer")]
mod layout;
mod pages;
#[cfg(feature = "viewer")]
mod recorder;
#[cfg(feature = "viewer")]
mod recording;
#[cfg(feature = "viewer")]
mod sink;
mod text;
mod thread;

pub use answer::frame;
pub use feature_map::{Tile, render, render_in_order};
pub use frame::{ViewChange, ViewFrame, ViewPicture, ViewRegion};
pub use pages::PageRecorder;
pub use text::{deviation_text, verdict_text};
pub use thread::{Viewer, ViewerCounts};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::monitor::Monitor;
use crate::pipeline::Pipeline;

/// Where the view goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewerTarget {
    /// To an `.rrd` file; where one of that name exists it is kept, and the new one gets a number.
    Save(PathBuf),
    /// To every viewer that connects to this address and port.
    Serve(String, u16),
    /// To the viewer that listens at this address and port.
    Connect(String, u16),
}

/// When a saved recording ends and the next one begins. `None`: never for that reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// Size of a file from which it ends.
    pub bytes: Option<u64>,
    /// Time after which it ends.
    pub age: Option<Duration>,
    /// Files of one start that are kept; the oldest are removed.
    pub kept: Option<usize>,
}

/// What to show and how much to queue.
#[derive(Debug, Clone)]
pub struct ViewerOptions {
    /// Where the view goes.
    pub target: ViewerTarget,
    /// When recordings take turns.
    pub rotation: Rotation,
    /// Names of the cameras where there are several: each has entities and a page of its own. Empty for one.
    pub cameras: Vec<String>,
    /// Names of all tapped layers of the model, in output order.
    pub layers: Vec<String>,
    /// Indices into `layers` of those that are shown.
    pub shown: Vec<usize>,
    /// Names of the detectors, in the order of [`ViewRegion::detectors`].
    pub detectors: Vec<String>,
    /// What is known of the training images; without it layers are shown as they are.
    pub monitor: Option<Arc<Monitor>>,
    /// Frames that wait before the oldest is dropped.
    pub queue: usize,
}

impl ViewerOptions {
    /// The view of what a pipeline says, the same for all programs. `cameras` are the names of several; `shown` as for
    /// [`choose_layers`]; `queue` frames wait.
    ///
    /// # Errors
    /// [`ViewerError::Layer`] when a name is no layer.
    pub fn new(
        target: ViewerTarget,
        cameras: Vec<String>,
        pipeline: &Pipeline,
        shown: &str,
        queue: usize,
    ) -> Result<Self, ViewerError> {
        let manifest = pipeline.classifier().manifest();
        let layers: Vec<String> = manifest.layers.iter().map(|layer| layer.name.clone()).collect();
        let detectors = pipeline.monitor().map_or_else(Vec::new, |monitor| {
            monitor.metadata().detectors.iter().map(|detector| detector.name.to_string()).collect()
        });
        let shown = choose_layers(shown, &layers)?;
        Ok(Self {
            target,
            rotation: Rotation::default(),
            cameras,
            layers,
            shown,
            detectors,
            monitor: pipeline.shared_monitor(),
            queue,
        })
    }
}

/// Why there is no view.
#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    /// The layer does not exist.
    #[error("the model has no layer `{name}` to show; it has {}", known.join(", "))]
    Layer {
        /// Name that was asked for.
        name: String,
        /// Layers of the model.
        known: Vec<String>,
    },
    /// Not an address.
    #[error("{address}:{port} is not an address and port for the live view: {reason}")]
    Address {
        /// Address that was asked for.
        address: String,
        /// Port that was asked for.
        port: u16,
        /// Cause.
        reason: String,
    },
    /// The file cannot be written.
    #[error("cannot record to {path}: {reason}")]
    File {
        /// Path of the recording.
        path: String,
        /// Cause.
        reason: String,
    },
    /// Nobody is there who would show something.
    #[error("{0}; start one with `rerun`, or set viewer to off")]
    Absent(String),
    /// rerun refuses.
    #[error("rerun: {0}")]
    Rerun(String),
    /// The thread cannot be started.
    #[error("cannot start the viewer thread: {0}")]
    Thread(#[from] std::io::Error),
    /// Compiled without the feature `viewer`.
    #[error("this binary was built without the feature `viewer`")]
    NotBuilt,
}

#[cfg(feature = "viewer")]
impl ViewerError {
    fn file(path: &std::path::Path, reason: &dyn std::fmt::Display) -> Self {
        Self::File { path: path.display().to_string(), reason: reason.to_string() }
    }
}

impl std::fmt::Display for ViewerTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Save(path) => write!(f, "file {}", path.display()),
            Self::Serve(address, port) => write!(f, "serving on rerun+http://{address}:{port}/proxy"),
            Self::Connect(address, port) => write!(f, "connecting to rerun+http://{address}:{port}/proxy"),
        }
    }
}

/// Largest number of layers that `auto` shows.
const AUTO_LAYERS: usize = 4;

/// Indices of the layers that `choice` names: names separated by commas, `auto` for the first few, empty for none.
///
/// # Errors
/// [`ViewerError::Layer`] when a name is no layer.
pub fn choose_layers(choice: &str, layers: &[String]) -> Result<Vec<usize>, ViewerError> {
    if choice.trim() == "auto" {
        return Ok((0..layers.len().min(AUTO_LAYERS)).collect());
    }
    let names = choice.split(',').map(str::trim).filter(|name| !name.is_empty());
    let index = |name: &str| {
        let unknown = || ViewerError::Layer { name: name.to_owned(), known: layers.to_vec() };
        layers.iter().position(|layer| layer == name).ok_or_else(unknown)
    };
    names.map(index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_chosen_by_name() {
        let layers = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(choose_layers("auto", &layers).unwrap(), [0, 1, 2, 3]);
        assert_eq!(choose_layers(" c , a", &layers).unwrap(), [2, 0]);
        assert!(choose_layers("", &layers).unwrap().is_empty());
        let error = choose_layers("a,x", &layers).unwrap_err().to_string();
        assert_eq!(error, "the model has no layer `x` to show; it has a, b, c, d, e");
    }
}
