//! TorchScript classifier and its manifest. The only place that touches tch.

mod classifier;
mod device;
mod failure;
mod manifest;
mod network;
mod outputs;
pub mod torchscript;
mod tuning;

pub use classifier::{Classifier, ModelError};
pub use device::DeviceChoice;
pub use manifest::{FORMAT_VERSION, HeadSpec, InputSpec, Manifest, ManifestError, ManifestLayer};
