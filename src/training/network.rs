//! A small residual network with global average pooling, and its TorchScript export.
//!
//! He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, scaled down: a stem, then three stages that
//! halve the resolution, each a strided convolution and a residual block; global average pooling; dropout; one
//! linear head. Batch normalisation (Ioffe and Szegedy 2015) is folded into the convolutions on export.

use tch::nn::{self, Module, ModuleT};
use tch::{Kind, Tensor};

use crate::activation::LayerKind;
use crate::model::torchscript::{Parameter, ScriptModule};
use crate::model::{HeadSpec, ManifestLayer};

const CHANNELS: [i64; 4] = [32, 64, 128, 128];
/// Subtracted from and divided by on 0..1 input: roughly mean and deviation of photographs.
const INPUT_MEAN: f64 = 0.4;
const INPUT_SCALE: f64 = 0.25;

/// Convolution 3×3 without bias, followed by batch normalisation.
#[derive(Debug)]
struct ConvNorm {
    conv: nn::Conv2D,
    norm: nn::BatchNorm,
    stride: i64,
    name: String,
}

impl ConvNorm {
    fn new(path: &nn::Path, name: &str, from: i64, to: i64, stride: i64) -> Self {
        let config = nn::ConvConfig { stride, padding: 1, bias: false, ..Default::default() };
        let path = path / name;
        Self {
            conv: nn::conv2d(&path / "conv", from, to, 3, config),
            norm: nn::batch_norm2d(&path / "norm", to, nn::BatchNormConfig::default()),
            stride,
            name: name.replace('.', "_"),
        }
    }

    /// Convolves in the precision of `input`.
    fn forward(&self, input: &Tensor, train: bool) -> Tensor {
        let weight = self.conv.ws.to_kind(input.kind());
        let stride = [self.stride, self.stride];
        let convolved = input.conv2d::<Tensor>(&weight, None, stride, [1, 1], [1, 1], 1);
        self.norm.forward_t(&convolved, train)
    }

    /// Weight and bias of the one convolution that does what convolution and normalisation do in evaluation.
    fn folded(&self) -> [Parameter; 2] {
        let (Some(gamma), Some(beta)) = (&self.norm.ws, &self.norm.bs) else {
            unreachable!("batch_norm2d is affine by default")
        };
        let factor = gamma / (&self.norm.running_var + 1e-5).sqrt();
        let weight = &self.conv.ws * factor.view([-1, 1, 1, 1]);
        let bias = beta - &self.norm.running_mean * factor;
        [parameter(&format!("{}_weight", self.name), &weight), parameter(&format!("{}_bias", self.name), &bias)]
    }

    /// The TorchScript expression for this layer applied to `input`.
    fn source(&self, input: &str) -> String {
        let (name, stride) = (&self.name, self.stride);
        format!("torch.conv2d({input}, self.{name}_weight, self.{name}_bias, [{stride}, {stride}], [1, 1], [1, 1], 1)")
    }
}

/// A strided convolution and a residual block.
#[derive(Debug)]
struct Stage {
    name: String,
    down: ConvNorm,
    first: ConvNorm,
    second: ConvNorm,
}

impl Stage {
    fn new(path: &nn::Path, name: &str, from: i64, to: i64) -> Self {
        let layer = |part: &str, from, stride| ConvNorm::new(path, &format!("{name}_{part}"), from, to, stride);
        Self {
            name: name.into(),
            down: layer("down", from, 2),
            first: layer("first", to, 1),
            second: layer("second", to, 1),
        }
    }

    fn forward(&self, input: &Tensor, train: bool) -> Tensor {
        let entry = self.down.forward(input, train).relu();
        let inner = self.first.forward(&entry, train).relu();
        (self.second.forward(&inner, train) + entry).relu()
    }

    fn layers(&self) -> [&ConvNorm; 3] {
        [&self.down, &self.first, &self.second]
    }

    fn source(&self, input: &str) -> Vec<String> {
        let name = &self.name;
        vec![
            format!("{name}_entry = torch.relu({})", self.down.source(input)),
            format!("{name}_inner = torch.relu({})", self.first.source(&format!("{name}_entry"))),
            format!("{name} = torch.relu(torch.add({}, {name}_entry))", self.second.source(&format!("{name}_inner"))),
        ]
    }
}

/// The network with its parameters in a [`nn::VarStore`].
#[derive(Debug)]
pub struct ResidualNetwork {
    stem: ConvNorm,
    stages: [Stage; 3],
    head: nn::Linear,
    dropout: f64,
}

impl ResidualNetwork {
    /// Name of the layer in front of the head.
    pub const PENULTIMATE: &str = "embedding";

    /// A network for `classes` classes with dropout rate `dropout` (0..1) in front of the head.
    #[must_use]
    pub fn new(path: &nn::Path, classes: usize, dropout: f64) -> Self {
        let [stem, one, two, three] = CHANNELS;
        Self {
            stem: ConvNorm::new(path, "stem", 3, stem, 1),
            stages: [
                Stage::new(path, "stage1", stem, one),
                Stage::new(path, "stage2", one, two),
                Stage::new(path, "stage3", two, three),
            ],
            head: nn::linear(path / "head", three, classes as i64, nn::LinearConfig::default()),
            dropout,
        }
    }

    /// Logits `N×K` of `N×3×H×W` images in 0..1. The convolutions run in `precision`: training in `BFloat16` is several
    /// times faster where the processor has instructions for it, and as accurate.
    pub fn forward(&self, images: &Tensor, precision: Kind, train: bool) -> Tensor {
        let normalised = (channels_last(images) - INPUT_MEAN) / INPUT_SCALE;
        let normalised = normalised.to_kind(precision);
        let mut hidden = self.stem.forward(&normalised, train).relu();
        for stage in &self.stages {
            hidden = stage.forward(&hidden, train);
        }
        let embedding = hidden.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
        self.head.forward(&embedding.dropout(self.dropout, train))
    }

    /// The layers that the exported model returns after the logits.
    #[must_use]
    pub fn layers(&self) -> Vec<ManifestLayer> {
        let maps = self.stages.iter().map(|stage| ManifestLayer { name: stage.name.clone(), kind: LayerKind::Map });
        maps.chain([ManifestLayer { name: Self::PENULTIMATE.into(), kind: LayerKind::Vector }]).collect()
    }

    /// Where the exported model keeps its head.
    #[must_use]
    pub fn head_spec(&self) -> HeadSpec {
        HeadSpec { weight: "head_weight".into(), bias: "head_bias".into(), dropout: self.dropout as f32 }
    }

    /// The network in evaluation mode, batch normalisation folded, with all taps.
    #[must_use]
    pub fn export(&self, class_name: &str) -> ScriptModule {
        let _no_grad = tch::no_grad_guard();
        let mut parameters: Vec<Parameter> = self.stem.folded().into();
        for layer in self.stages.iter().flat_map(Stage::layers) {
            parameters.extend(layer.folded());
        }
        parameters.push(parameter("head_weight", &self.head.ws));
        if let Some(bias) = &self.head.bs {
            parameters.push(parameter("head_bias", bias));
        }
        ScriptModule {
            class_name: class_name.into(),
            parameters,
            forward: self.source(),
            outputs: 1 + self.layers().len(),
        }
    }

    fn source(&self) -> Vec<String> {
        let mut lines = vec![
            format!("normalised = torch.div(torch.sub(images, {INPUT_MEAN:?}), {INPUT_SCALE:?})"),
            format!("stem = torch.relu({})", self.stem.source("normalised")),
        ];
        let mut input = "stem".to_owned();
        for stage in &self.stages {
            lines.extend(stage.source(&input));
            input.clone_from(&stage.name);
        }
        let taps: String = self.stages.iter().map(|stage| format!("{}, ", stage.name)).collect();
        lines.push(format!("embedding = torch.mean({input}, [2, 3])"));
        lines.push("logits = torch.linear(embedding, self.head_weight, self.head_bias)".into());
        lines.push(format!("return (logits, {taps}embedding)"));
        lines
    }
}

/// The same `N×C×H×W` values with the channels innermost in memory, which libtorch's CPU convolutions are faster on.
fn channels_last(images: &Tensor) -> Tensor {
    images.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

fn parameter(name: &str, tensor: &Tensor) -> Parameter {
    let flat = tensor.to_kind(Kind::Float).contiguous().view(-1);
    let mut values = vec![0.0; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    Parameter { name: name.into(), shape: tensor.size().iter().map(|&length| length as usize).collect(), values }
}
