//! Where images come from offline: folders and bags.

pub mod bag;
pub mod cdr;
pub mod folder;
pub mod loader;

pub use folder::{ImageFile, LabelledImage, labelled_images, track_of, unlabelled_images};
