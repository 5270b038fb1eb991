//! A loaded TorchScript classifier.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array4, ArrayView4};
use sha2::{Digest, Sha256};
use tch::Device;

use super::failure::{self, guarded};
use super::network::{LARGEST_PART, Network};
use super::outputs::{activations, matrix, values};
use super::tuning::tune;
use super::{DeviceChoice, InputSpec, Manifest, ManifestError, device};
use crate::activation::{Activations, FeatureLayout, Head, LayerSpec};

/// Largest difference between the logits and `weight · z + bias` that rounding explains, relative to the logits.
const HEAD_TOLERANCE: f32 = 1e-3;
/// Forward passes before the first image of a network that gets whole batches.
const WARM_UP_PASSES: usize = 3;

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The weights cannot be read.
    #[error("cannot read {path}: {source}; a model folder needs model.pt and model.json")]
    Read {
        /// Path of the weights.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// libtorch cannot load the weights.
    #[error("{path} is not a TorchScript file that libtorch can load: {reason}")]
    Load {
        /// Path of the weights.
        path: PathBuf,
        /// What libtorch says.
        reason: String,
    },
    /// The requested GPU does not exist.
    #[error("cuda:{index} was asked for, but libtorch finds {found} GPUs: use device auto or cpu")]
    NoGpu {
        /// Requested index.
        index: usize,
        /// Number of usable GPUs.
        found: usize,
    },
    /// `forward` failed.
    #[error("the model cannot run: {0}")]
    Forward(String),
    /// `forward` returned something else than the manifest says.
    #[error("the model's output does not fit model.json: {0}")]
    Output(String),
    /// The images have another size than the model wants.
    #[error("images are {actual:?} (N, C, H, W), the model wants (N, 3, {height}, {width})")]
    Input {
        /// Shape that was given.
        actual: [usize; 4],
        /// Height the model wants.
        height: usize,
        /// Width the model wants.
        width: usize,
    },
}

/// A TorchScript classifier on its device, with its manifest.
#[derive(Debug)]
pub struct Classifier {
    manifest: Manifest,
    network: Network,
    layout: FeatureLayout,
    head: Option<Head>,
    sha256: String,
}

impl Classifier {
    /// Loads `model.pt` and `model.json` from `folder` onto a device, checks one against the other with a first
    /// forward pass, finds out how the network runs fastest on this machine, and warms it up.
    ///
    /// # Errors
    /// [`ModelError`] when a file is missing or broken, the device does not exist, or the network contradicts the
    /// manifest (number of classes, layers and their kinds, head).
    pub fn load(folder: &Path, device: &DeviceChoice) -> Result<Self, ModelError> {
        guarded(|| {
            let mut classifier = Self::read(folder, *device)?;
            let images = probe_images(&classifier.manifest, 2);
            tune(&mut classifier.network, &classifier.manifest, images.view())?;
            tracing::debug!("{:?}", classifier.network.execution());
            classifier.warm_up()?;
            Ok(classifier)
        })
    }

    /// The same, but the network is run as libtorch does it on its own, to compare with.
    ///
    /// # Errors
    /// As for [`Classifier::load`].
    pub fn load_plain(folder: &Path, device: &DeviceChoice) -> Result<Self, ModelError> {
        guarded(|| {
            let classifier = Self::read(folder, *device)?;
            classifier.warm_up()?;
            Ok(classifier)
        })
    }

    fn read(folder: &Path, device: DeviceChoice) -> Result<Self, ModelError> {
        let manifest = Manifest::read(folder)?;
        let device = device::resolve(device)?;
        let path = folder.join("model.pt");
        let bytes = std::fs::read(&path).map_err(|source| ModelError::Read { path: path.clone(), source })?;
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let network = Network::load(&bytes, device)
            .map_err(|error| ModelError::Load { path, reason: failure::message(&error) })?;
        let head = find_head(&network, &manifest)?;
        let layout = FeatureLayout { classes: manifest.classes.len(), layers: Vec::new(), penultimate: 0 };
        let mut classifier = Self { manifest, network, layout, head, sha256 };
        classifier.check()?;
        Ok(classifier)
    }

    /// The model's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Shape of the features the model delivers.
    #[must_use]
    pub fn layout(&self) -> &FeatureLayout {
        &self.layout
    }

    /// The last linear layer, where the manifest names one.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// SHA-256 of `model.pt` in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Device the model runs on: `cpu` or `cuda:N`.
    #[must_use]
    pub fn device_name(&self) -> String {
        match self.network.device() {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".into(),
        }
    }

    /// Runs the network on `N×3×H×W` images, RGB in 0..1. They may lie in memory in any order; fastest are those of
    /// `N×H×W×3` pixels with permuted axes.
    ///
    /// # Errors
    /// [`ModelError::Input`] for another size, [`ModelError::Forward`] when libtorch fails,
    /// [`ModelError::Output`] when the network returns something else than the manifest says. The classifier can be used
    /// further after all of them.
    pub fn forward(&self, images: ArrayView4<'_, f32>) -> Result<Activations, ModelError> {
        let (batch, channels, height, width) = images.dim();
        let input = &self.manifest.input;
        if (channels, height, width) != (3, input.height, input.width) {
            let actual = [batch, channels, height, width];
            return Err(ModelError::Input { actual, height: input.height, width: input.width });
        }
        guarded(|| activations(&self.network.forward(images)?, &self.manifest))
    }

    /// First pass: learns the layout and checks it against the manifest.
    fn check(&mut self) -> Result<(), ModelError> {
        let activations = self.forward(probe_images(&self.manifest, 1).view())?;
        let found = activations.logits.ncols();
        if found != self.manifest.classes.len() {
            let named = self.manifest.classes.len();
            return Err(ModelError::Output(format!("{found} logits, but {named} class names")));
        }
        self.layout = layout_of(&activations, &self.manifest);
        self.head.as_ref().map_or(Ok(()), |head| check_head(head, &activations, self.layout.penultimate))
    }

    /// Passes of all sizes that a part of a batch may have, so that libtorch makes its choices and allocations before the first
    /// image comes.
    fn warm_up(&self) -> Result<(), ModelError> {
        let batches: Vec<usize> = match self.network.execution().side_by_side {
            Some(threads) => (1..=LARGEST_PART).map(|size| size * threads.get()).collect(),
            None => vec![1; WARM_UP_PASSES],
        };
        batches.into_iter().try_for_each(|batch| self.forward(probe_images(&self.manifest, batch).view()).map(|_| ()))
    }
}

/// Images that no operation can do without looking at.
fn probe_images(manifest: &Manifest, count: usize) -> Array4<f32> {
    let InputSpec { width, height, .. } = manifest.input;
    Array4::from_shape_fn((count, 3, height, width), |(image, channel, y, x)| {
        ((image * 11 + channel * 7 + y * 3 + x * 5) % 17) as f32 / 16.0
    })
}

fn layout_of(activations: &Activations, manifest: &Manifest) -> FeatureLayout {
    let layers = activations.layers.iter().zip(&manifest.layers).map(|(activation, layer)| LayerSpec {
        name: layer.name.clone(),
        kind: layer.kind,
        channels: activation.channels(),
    });
    FeatureLayout {
        classes: activations.logits.ncols(),
        layers: layers.collect(),
        penultimate: manifest.penultimate_index().unwrap_or(0),
    }
}

fn find_head(network: &Network, manifest: &Manifest) -> Result<Option<Head>, ModelError> {
    let Some(spec) = &manifest.head else { return Ok(None) };
    let parameters = network.parameters()?;
    let find = |name: &str| {
        parameters.iter().find(|(found, _)| found == name).map(|(_, tensor)| tensor).ok_or_else(|| {
            let known: Vec<&str> = parameters.iter().map(|(found, _)| found.as_str()).collect();
            ModelError::Output(format!("the head parameter `{name}` is not among {known:?}"))
        })
    };
    let (weight, bias) = (find(&spec.weight)?, find(&spec.bias)?);
    let classes = manifest.classes.len();
    let bias = Array1::from_vec(values(bias)?);
    if bias.len() != classes {
        return Err(ModelError::Output(format!("the head bias has {} values for {classes} classes", bias.len())));
    }
    Ok(Some(Head { weight: matrix("head weight", weight, classes)?, bias, dropout: spec.dropout }))
}

fn check_head(head: &Head, activations: &Activations, penultimate: usize) -> Result<(), ModelError> {
    let Some(z) = activations.layers[penultimate].vector(0) else {
        return Err(ModelError::Output("the penultimate layer is not a vector".into()));
    };
    if z.len() != head.weight.ncols() {
        let (found, wanted) = (z.len(), head.weight.ncols());
        return Err(ModelError::Output(format!("the penultimate layer has {found} values, the head wants {wanted}")));
    }
    let logits = head.weight.dot(&z) + &head.bias;
    let scale = activations.logits.iter().fold(1.0_f32, |largest, logit| largest.max(logit.abs()));
    let off = logits.iter().zip(activations.logits.row(0)).fold(0.0_f32, |largest, (a, b)| largest.max((a - b).abs()));
    if off > HEAD_TOLERANCE * scale {
        return Err(ModelError::Output(format!("weight · penultimate + bias is off the logits by {off}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
