//! TorchScript classifier and its manifest. The only place that touches tch.

mod classifier;
mod device;
mod manifest;
pub mod torchscript;

pub use classifier::{Classifier, ModelError};
pub use device::DeviceChoice;
pub use manifest::{FORMAT_VERSION, HeadSpec, InputSpec, Manifest, ManifestError, ManifestLayer};
