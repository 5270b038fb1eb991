//! Why a monitor cannot be fitted, kept or used.

use super::FORMAT_VERSION;
use crate::activation::BankError;
use crate::detector::FitError;
use crate::storage::StorageError;

/// Why a monitor cannot be fitted, kept or used.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The file cannot be read or written, or is damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The description in the file does not make sense.
    #[error("{path}: its description cannot be read: {source}; the file is damaged or was written by another version")]
    Metadata {
        /// Path of the file.
        path: String,
        /// Cause.
        source: serde_json::Error,
    },
    /// The description in the file contradicts itself.
    #[error("the file's description is inconsistent: {0}")]
    Inconsistent(String),
    /// The file is of an older or newer format.
    #[error(
        "{path} has format {found}, this version reads format {FORMAT_VERSION}: {}",
        if *found < FORMAT_VERSION { "fit it again" } else { "update activation_monitor, or fit it again" }
    )]
    Format {
        /// Path of the file.
        path: String,
        /// Format of the file.
        found: u32,
    },
    /// The file is of another kind.
    #[error("{path} is a {actual}, expected a {expected}; `merge` makes a monitor out of shards")]
    Kind {
        /// Path of the file.
        path: String,
        /// Expected kind.
        expected: &'static str,
        /// Kind of the file.
        actual: String,
    },
    /// The monitor belongs to another model.
    #[error(
        "the monitor was fitted for the model with SHA-256 {expected}, this one has {actual}: fit it again for this model"
    )]
    Model {
        /// Digest in the monitor.
        expected: String,
        /// Digest of the model.
        actual: String,
    },
    /// `model.json` has another value than the one that the monitor was fitted with.
    #[error(
        "model.json says {field} {actual}, the monitor was fitted with {expected}: put {expected} back into model.json, or fit \
         the monitor again for this model"
    )]
    Manifest {
        /// Field of `model.json`.
        field: String,
        /// Value in the monitor.
        expected: String,
        /// Value in `model.json`.
        actual: String,
    },
    /// The features have another shape than those the monitor was fitted on.
    #[error("the monitor was fitted on {expected}, this model gives {actual}: fit it again for this model")]
    Layout {
        /// Layout in the monitor.
        expected: String,
        /// Layout of the model.
        actual: String,
    },
    /// One image's features have another shape than those the monitor was fitted on.
    #[error("the activations of this image do not have the shape that the monitor was fitted on: {expected}")]
    Features {
        /// Layout in the monitor.
        expected: String,
    },
    /// An activation is NaN or infinite.
    #[error("the network's activations are not finite{image}: its input or weights are broken")]
    NonFinite {
        /// ` for image KEY` when fitting, else empty.
        image: String,
    },
    /// The number of class names is not the number of logits.
    #[error("{names} class names, but the model has {logits} logits")]
    Classes {
        /// Number of names.
        names: usize,
        /// Number of logits.
        logits: usize,
    },
    /// An image occurs twice.
    #[error("image {key} occurs twice in the {bank} images; was a shard given twice?")]
    Duplicate {
        /// Key of the image.
        key: String,
        /// `training` or `calibration`.
        bank: &'static str,
    },
    /// The calibration images cannot be divided.
    #[error(
        "calibration needs images of at least two tracks, got {images} images of {groups}; \
         give more images (file names `TRACK_FRAME.png` form a track)"
    )]
    Calibration {
        /// Number of calibration images.
        images: usize,
        /// Number of tracks.
        groups: usize,
    },
    /// A detector cannot be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// No detector was asked for, or none can be fitted.
    #[error("no detector to fit")]
    NoDetector,
    /// Shards come from different fits.
    #[error("the shards differ in {what}: {first} and {other}; fit all of them with the same model and settings")]
    Shards {
        /// What differs.
        what: String,
        /// Value in the first shard.
        first: String,
        /// Value in another one.
        other: String,
    },
    /// There is nothing to merge.
    #[error("no shards to merge")]
    NoShards,
    /// Feature banks cannot be joined.
    #[error(transparent)]
    Bank(#[from] BankError),
}
