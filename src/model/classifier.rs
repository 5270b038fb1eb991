//! A loaded TorchScript classifier.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array4, ArrayView4};
use sha2::{Digest, Sha256};
use tch::{CModule, Device, IValue, Kind, Tensor};

use super::{DeviceChoice, Manifest, ManifestError, device};
use crate::activation::{Activations, FeatureLayout, Head, LayerActivation, LayerKind, LayerSpec};

/// Largest difference between the logits and `weight · z + bias` that rounding explains, relative to the logits.
const HEAD_TOLERANCE: f32 = 1e-3;
/// Forward passes before the first image, so that libtorch's allocations and kernel choices are made.
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
        /// First line of libtorch's message.
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
    module: CModule,
    device: Device,
    layout: FeatureLayout,
    head: Option<Head>,
    sha256: String,
}

impl Classifier {
    /// Loads `model.pt` and `model.json` from `folder` onto a device, checks one against the other with a first
    /// forward pass, and warms the model up.
    ///
    /// # Errors
    /// [`ModelError`] when a file is missing or broken, the device does not exist, or the network contradicts the
    /// manifest (number of classes, layers and their kinds, head).
    pub fn load(folder: &Path, device: &DeviceChoice) -> Result<Self, ModelError> {
        let manifest = Manifest::read(folder)?;
        let device = device::resolve(*device)?;
        let path = folder.join("model.pt");
        let bytes = std::fs::read(&path).map_err(|source| ModelError::Read { path: path.clone(), source })?;
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut module = CModule::load_data_on_device(&mut bytes.as_slice(), device)
            .map_err(|error| ModelError::Load { path, reason: first_line(&error) })?;
        module.set_eval();
        let head = find_head(&module, &manifest)?;
        let layout = FeatureLayout { classes: manifest.classes.len(), layers: Vec::new(), penultimate: 0 };
        let mut classifier = Self { manifest, module, device, layout, head, sha256 };
        classifier.probe()?;
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
        match self.device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".into(),
        }
    }

    /// Runs the network on `N×3×H×W` images, RGB in 0..1.
    ///
    /// # Errors
    /// [`ModelError::Input`] for another size, [`ModelError::Forward`] when libtorch fails,
    /// [`ModelError::Output`] when the network returns something else than the manifest says.
    pub fn forward(&self, images: ArrayView4<'_, f32>) -> Result<Activations, ModelError> {
        let (batch, channels, height, width) = images.dim();
        let input = &self.manifest.input;
        if (channels, height, width) != (3, input.height, input.width) {
            let actual = [batch, channels, height, width];
            return Err(ModelError::Input { actual, height: input.height, width: input.width });
        }
        let images = images.as_standard_layout();
        let shape = [batch, channels, height, width].map(|length| length as i64);
        let values = images.as_slice().ok_or_else(|| ModelError::Forward("images are not contiguous".into()))?;
        let tensor = Tensor::from_slice(values).view(shape).to_device(self.device);
        // The optimising executor recompiles for every new batch size, which costs seconds in the middle of a drive.
        // The switch holds for the calling thread only, so it is set here rather than once.
        tch::jit::set_graph_executor_optimize(false);
        let output = tch::no_grad(|| self.module.forward_is(&[IValue::Tensor(tensor)]))
            .map_err(|error| ModelError::Forward(first_line(&error)))?;
        self.activations(output, batch)
    }

    fn activations(&self, output: IValue, batch: usize) -> Result<Activations, ModelError> {
        let IValue::Tuple(values) = output else {
            return Err(ModelError::Output("forward returns no tuple (logits, layer_1, …)".into()));
        };
        let expected = 1 + self.manifest.layers.len();
        if values.len() != expected {
            return Err(ModelError::Output(format!("forward returns {} tensors, not {expected}", values.len())));
        }
        let mut tensors = values.into_iter().map(|value| match value {
            IValue::Tensor(tensor) => Ok(tensor),
            other => Err(ModelError::Output(format!("forward returns {other:?} among the tensors"))),
        });
        let logits = match tensors.next() {
            Some(tensor) => vector("logits", &tensor?, batch)?,
            None => return Err(ModelError::Output("forward returns nothing".into())),
        };
        let layers = tensors.zip(&self.manifest.layers).map(|(tensor, layer)| match layer.kind {
            LayerKind::Vector => Ok(LayerActivation::Vector(vector(&layer.name, &tensor?, batch)?)),
            LayerKind::Map => Ok(LayerActivation::Map(map(&layer.name, &tensor?, batch)?)),
        });
        Ok(Activations { logits, layers: layers.collect::<Result<_, ModelError>>()? })
    }

    /// First passes: learns the layout, checks it against the manifest and warms the model up.
    fn probe(&mut self) -> Result<(), ModelError> {
        let input = self.manifest.input;
        let image = Array4::from_shape_fn((1, 3, input.height, input.width), |(_, channel, y, x)| {
            ((channel * 7 + y * 3 + x * 5) % 17) as f32 / 16.0
        });
        let activations = self.forward(image.view())?;
        let found = activations.logits.ncols();
        if found != self.manifest.classes.len() {
            let named = self.manifest.classes.len();
            return Err(ModelError::Output(format!("{found} logits, but {named} class names")));
        }
        self.layout = layout_of(&activations, &self.manifest);
        if let Some(head) = &self.head {
            check_head(head, &activations, self.layout.penultimate)?;
        }
        for _ in 1..WARM_UP_PASSES {
            self.forward(image.view())?;
        }
        Ok(())
    }
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

fn find_head(module: &CModule, manifest: &Manifest) -> Result<Option<Head>, ModelError> {
    let Some(spec) = &manifest.head else { return Ok(None) };
    let parameters = module.named_parameters().map_err(|error| ModelError::Forward(first_line(&error)))?;
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
    Ok(Some(Head { weight: vector("head weight", weight, classes)?, bias, dropout: spec.dropout }))
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

fn values(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    let tensor = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view(-1);
    Vec::<f32>::try_from(&tensor).map_err(|error| ModelError::Forward(first_line(&error)))
}

fn lengths(name: &str, tensor: &Tensor, wanted: usize, first: usize) -> Result<Vec<usize>, ModelError> {
    let lengths: Vec<usize> = tensor.size().iter().map(|&length| length as usize).collect();
    if lengths.len() == wanted && lengths[0] == first {
        return Ok(lengths);
    }
    Err(ModelError::Output(format!("{name} has shape {lengths:?}, expected {wanted} dimensions, the first {first}")))
}

fn vector(name: &str, tensor: &Tensor, first: usize) -> Result<Array2<f32>, ModelError> {
    let shape = lengths(name, tensor, 2, first)?;
    Array2::from_shape_vec((shape[0], shape[1]), values(tensor)?)
        .map_err(|error| ModelError::Output(format!("{name}: {error}")))
}

fn map(name: &str, tensor: &Tensor, first: usize) -> Result<Array4<f32>, ModelError> {
    let shape = lengths(name, tensor, 4, first)?;
    Array4::from_shape_vec((shape[0], shape[1], shape[2], shape[3]), values(tensor)?)
        .map_err(|error| ModelError::Output(format!("{name}: {error}")))
}

fn first_line(error: &tch::TchError) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown libtorch error").to_owned()
}
