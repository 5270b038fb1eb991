//! What a fleet did not know: regions that were called out of distribution, from recorded events, in groups that can be looked
//! at together.
//!
//! [`read_event`] takes the regions out of one recording, with crops of some of them; [`Collection`] gathers those of many, and
//! [`groups`] puts those together that the
//! same detector found strange at the same place of the network, near the same class; [`TriagePage`] and [`csv`] show them.

mod collection;
mod group;
mod page;
mod pairing;
mod read;
mod table;

use image::RgbImage;

use crate::dataset::bag::BagError;
use crate::frame::Region;
use crate::monitor::Verdict;

pub use collection::Collection;
pub use group::{Group, Object, groups};
pub use page::TriagePage;
pub use read::{Reading, read_event};
pub use table::csv;

/// One region of one image that was found strange.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The recording it is in.
    pub event: String,
    /// Topic of the image; of the verdict where the recording has no images of that camera.
    pub camera: String,
    /// Stamp of the image, nanoseconds since the epoch.
    pub stamp_nanos: u64,
    /// Name of the object that a tracker gave; may be empty.
    pub object: String,
    /// Where it is in the image.
    pub region: Region,
    /// Class that the network predicted.
    pub predicted: String,
    /// Softmax of that class, 0..1.
    pub score: f32,
    /// Fused p-value, 0..1.
    pub p_value: f32,
    /// What was said about it.
    pub verdict: Verdict,
    /// How strange the latest views of the object were; NaN where that is not known.
    pub evidence: f32,
    /// Who found it strange, where.
    pub cause: Cause,
    /// The reasons of the most suspicious detector in words.
    pub explanation: String,
    /// The region cut out, at most [`CROP_PX`] pixels wide and high, where it was chosen for the page.
    pub crop: Option<RgbImage>,
}

/// By what regions are grouped: who found them strange, where in the network, and what is nearest to them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// The most suspicious detector; empty when the message names none.
    pub detector: String,
    /// Where it found the largest deviation.
    pub place: Place,
    /// Class of the nearest training data; empty when no detector knows it.
    pub nearest: String,
}

/// Where in the network something deviates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In a layer.
    Layer(String),
    /// In the output for a class.
    Class(String),
    /// The message does not say.
    Unknown,
}

/// Largest width and height of a crop in pixels.
pub const CROP_PX: u32 = 128;

/// Why nothing can be taken out of a recording.
#[derive(Debug, thiserror::Error)]
pub enum TriageError {
    /// It cannot be read.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// Nobody judged anything in it.
    #[error("it has no topic of type activation_monitor/msg/OodConfidenceArray, but {found}; record the node's ~/ood")]
    NoVerdicts {
        /// The topics that are there.
        found: String,
    },
    /// There is nothing to look at.
    #[error("it has no images with the stamps of its verdicts; record the image topic of the camera, too")]
    NoImages,
}

#[cfg(test)]
mod tests;
