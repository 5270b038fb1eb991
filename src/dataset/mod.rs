//! Where images come from offline: folders, bags and IDX files.

pub mod bag;
pub mod cdr;
pub mod detections;
pub mod folder;
mod idx;
pub mod loader;
pub mod verdicts;

pub use folder::{ImageFile, LabelledImage, labelled_images, track_of, unlabelled_images};
pub use idx::{IdxError, read_idx_images, read_idx_labels};
