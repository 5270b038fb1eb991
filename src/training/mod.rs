//! Trains a small residual network on labelled images and exports it as a model folder.
//!
//! Used by the examples that make the shipped model and the benchmarks; a model of one's own usually comes from
//! PyTorch by `tools/export_model.py`. Beside [`crate::model`] the only place that touches tch.

mod augment;
mod decoys;
mod images;
mod network;
mod trainer;

pub use augment::Augmentation;
pub use decoys::{DecoyKind, DecoyTarget, Decoys};
pub use images::ImageSet;
pub use network::{Architecture, ResidualNetwork};
pub use trainer::{Progress, Recipe, accuracy, train};
