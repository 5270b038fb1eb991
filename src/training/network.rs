//! A small residual network with global average pooling, an ensemble of such networks, and its TorchScript export.
//!
//! The images get a fourth channel: their brightness in units of the local contrast (Jarrett et al., "What is the Best
//! Multi-Stage Architecture for Object Recognition?", ICCV 2009, §3.1; Cireşan et al., "Multi-Column Deep Neural Network for
//! Traffic Sign Classification", Neural Networks 32, 2012, normalise the contrast of GTSRB too). It shows what is written on a
//! sign in the shade or against the sun.
//!
//! He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, scaled down: a stem, then three stages that
//! halve the resolution, each a strided convolution and a residual block; global average pooling; dropout; one
//! linear head. Batch normalisation (Ioffe and Szegedy 2015) is folded into the convolutions on export.
//!
//! Several members that start from different weights and see the same images make a deep ensemble (Lakshminarayanan,
//! Pritzel, Blundell, "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017). Its
//! logits are the mean of the members'. Side by side they are one network: their feature maps and embeddings are
//! concatenated, and the heads, divided by the number of members, are one linear layer.

use tch::nn::{self, Module, ModuleT};
use tch::{Kind, Tensor};

use crate::activation::LayerKind;
use crate::model::torchscript::{Parameter, ScriptModule};
use crate::model::{HeadSpec, ManifestLayer};

/// Subtracted from and divided by on 0..1 input: roughly mean and deviation of photographs.
const INPUT_MEAN: f64 = 0.4;
const INPUT_SCALE: f64 = 0.25;
/// Side length in pixels of the square around a pixel whose contrast counts; odd.
const CONTRAST_WINDOW: i64 = 9;
/// Added to the local variance of images in 0..1: noise is not amplified without limit.
const CONTRAST_FLOOR: f64 = 2e-4;
/// Red, green, blue, and brightness in units of the local contrast.
const INPUT_CHANNELS: i64 = 4;

/// Size of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    /// Number of networks side by side.
    pub members: usize,
    /// Channels of the stem and the three stages, of each member.
    pub channels: [i64; 4],
}

impl Default for Architecture {
    /// Two members of half a million parameters each.
    fn default() -> Self {
        Self { members: 2, channels: [32, 32, 64, 128] }
    }
}

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

/// One network of the ensemble.
#[derive(Debug)]
struct Member {
    stem: ConvNorm,
    stages: [Stage; 3],
    head: nn::Linear,
}

impl Member {
    fn new(path: &nn::Path, name: &str, channels: [i64; 4], classes: usize) -> Self {
        let [stem, one, two, three] = channels;
        let stage = |number: usize, from, to| Stage::new(path, &format!("{name}_{}", stage_name(number)), from, to);
        Self {
            stem: ConvNorm::new(path, &format!("{name}_stem"), INPUT_CHANNELS, stem, 1),
            stages: [stage(0, stem, one), stage(1, one, two), stage(2, two, three)],
            head: nn::linear(path / format!("{name}_head"), three, classes as i64, nn::LinearConfig::default()),
        }
    }

    /// Logits of normalised images.
    fn forward(&self, normalised: &Tensor, dropout: f64, train: bool) -> Tensor {
        let mut hidden = self.stem.forward(normalised, train).relu();
        for stage in &self.stages {
            hidden = stage.forward(&hidden, train);
        }
        let embedding = hidden.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
        self.head.forward(&embedding.dropout(dropout, train))
    }

    fn parameters(&self) -> impl Iterator<Item = Parameter> {
        let stages = self.stages.iter().flat_map(Stage::layers);
        [&self.stem].into_iter().chain(stages).flat_map(ConvNorm::folded)
    }

    fn source(&self) -> Vec<String> {
        let mut input = self.stem.name.clone();
        let mut lines = vec![format!("{input} = torch.relu({})", self.stem.source("normalised"))];
        for stage in &self.stages {
            lines.extend(stage.source(&input));
            input.clone_from(&stage.name);
        }
        lines
    }
}

/// The network with its parameters in a [`nn::VarStore`].
#[derive(Debug)]
pub struct ResidualNetwork {
    members: Vec<Member>,
    dropout: f64,
}

impl ResidualNetwork {
    /// Name of the layer in front of the head.
    pub const PENULTIMATE: &str = "embedding";

    /// A network for `classes` classes with dropout rate `dropout` (0..1) in front of the head.
    #[must_use]
    pub fn new(path: &nn::Path, architecture: Architecture, classes: usize, dropout: f64) -> Self {
        let member = |index: usize| Member::new(path, &format!("member{}", index + 1), architecture.channels, classes);
        Self { members: (0..architecture.members).map(member).collect(), dropout }
    }

    /// Logits `N×K` of `N×3×H×W` images in 0..1, of every member. The convolutions run in `precision`: training in
    /// `BFloat16` is several times faster where the processor has instructions for it, and as accurate.
    pub fn forward(&self, images: &Tensor, precision: Kind, train: bool) -> Vec<Tensor> {
        let normalised = channels_last(&normalised(images)).to_kind(precision);
        self.members.iter().map(|member| member.forward(&normalised, self.dropout, train)).collect()
    }

    /// The layers that the exported model returns after the logits.
    #[must_use]
    pub fn layers(&self) -> Vec<ManifestLayer> {
        let maps = (0..3).map(|stage| ManifestLayer { name: stage_name(stage), kind: LayerKind::Map });
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
        let mut parameters: Vec<Parameter> = self.members.iter().flat_map(Member::parameters).collect();
        let share = 1.0 / self.members.len() as f64;
        let weights: Vec<Tensor> = self.members.iter().map(|member| &member.head.ws * share).collect();
        let biases: Vec<Tensor> =
            self.members.iter().filter_map(|member| Some(member.head.bs.as_ref()? * share)).collect();
        parameters.push(parameter("head_weight", &Tensor::cat(&weights, 1)));
        parameters.push(parameter("head_bias", &Tensor::stack(&biases, 0).sum_dim_intlist(0, false, Kind::Float)));
        ScriptModule {
            class_name: class_name.into(),
            parameters,
            forward: self.source(),
            outputs: 1 + self.layers().len(),
        }
    }

    fn source(&self) -> Vec<String> {
        let mut lines = normalised_source();
        lines.extend(self.members.iter().flat_map(Member::source));
        for stage in 0..3 {
            let maps: Vec<&str> = self.members.iter().map(|member| member.stages[stage].name.as_str()).collect();
            lines.push(format!("{} = torch.cat([{}], 1)", stage_name(stage), maps.join(", ")));
        }
        lines.push(format!("embedding = torch.mean({}, [2, 3])", stage_name(2)));
        lines.push("logits = torch.linear(embedding, self.head_weight, self.head_bias)".into());
        lines.push("return (logits, stage1, stage2, stage3, embedding)".into());
        lines
    }
}

fn stage_name(index: usize) -> String {
    format!("stage{}", index + 1)
}

/// What the stem sees, `N×4×H×W`, of `N×3×H×W` images in 0..1.
fn normalised(images: &Tensor) -> Tensor {
    let grey = images.mean_dim([1i64].as_slice(), true, Kind::Float);
    let mean = local_mean(&grey);
    let variance = (local_mean(&grey.square()) - mean.square()).relu();
    let contrast = (grey - mean) / (variance + CONTRAST_FLOOR).sqrt();
    Tensor::cat(&[(images - INPUT_MEAN) / INPUT_SCALE, contrast], 1)
}

/// Mean over a window around every pixel; what lies outside of the image does not count.
fn local_mean(images: &Tensor) -> Tensor {
    let (window, padding) = ([CONTRAST_WINDOW; 2], [CONTRAST_WINDOW / 2; 2]);
    images.avg_pool2d(window, [1, 1], padding, false, false, None::<i64>)
}

/// [`normalised`] in TorchScript.
fn normalised_source() -> Vec<String> {
    let (window, padding) = (CONTRAST_WINDOW, CONTRAST_WINDOW / 2);
    let local_mean = |input: &str| {
        format!("torch.avg_pool2d({input}, [{window}, {window}], [1, 1], [{padding}, {padding}], False, False)")
    };
    vec![
        "grey = torch.mean(images, [1], True)".into(),
        format!("mean = {}", local_mean("grey")),
        format!("square = {}", local_mean("torch.mul(grey, grey)")),
        "variance = torch.relu(torch.sub(square, torch.mul(mean, mean)))".into(),
        format!("contrast = torch.div(torch.sub(grey, mean), torch.sqrt(torch.add(variance, {CONTRAST_FLOOR:?})))"),
        format!("colours = torch.div(torch.sub(images, {INPUT_MEAN:?}), {INPUT_SCALE:?})"),
        "normalised = torch.cat([colours, contrast], 1)".into(),
    ]
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

#[cfg(test)]
mod tests {
    use tch::{CModule, Device, IValue};

    use super::*;

    const CLASSES: usize = 5;

    fn network() -> (nn::VarStore, ResidualNetwork) {
        tch::manual_seed(1);
        let store = nn::VarStore::new(Device::Cpu);
        let architecture = Architecture { members: 2, channels: [4, 4, 6, 8] };
        let network = ResidualNetwork::new(&store.root(), architecture, CLASSES, 0.3);
        // Normalisations that change something.
        tch::no_grad(|| network.forward(&(images() * 0.5), Kind::Float, true));
        (store, network)
    }

    fn images() -> Tensor {
        Tensor::rand([3, 3, 20, 24], (Kind::Float, Device::Cpu))
    }

    #[test]
    fn the_exported_network_gives_the_mean_logits_and_all_layers() {
        let (_store, network) = network();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pt");
        network.export("Test").save(&path).unwrap();
        let images = images();
        let module = CModule::load(&path).unwrap();
        let IValue::Tuple(outputs) = module.forward_is(&[IValue::Tensor(images.shallow_clone())]).unwrap() else {
            panic!("a tuple is returned")
        };
        let outputs: Vec<Tensor> = outputs.into_iter().map(|output| output.try_into().unwrap()).collect();
        let logits = tch::no_grad(|| network.forward(&images, Kind::Float, false));
        let mean = (&logits[0] + &logits[1]) / 2.0;
        assert!((&outputs[0] - &mean).abs().max().double_value(&[]) < 1e-4, "{} {mean}", outputs[0]);
        let sizes: Vec<_> = outputs.iter().map(Tensor::size).collect();
        assert_eq!(sizes, [vec![3, 5], vec![3, 8, 10, 12], vec![3, 12, 5, 6], vec![3, 16, 3, 3], vec![3, 16]]);
        assert_eq!(network.layers().len() + 1, outputs.len());
    }

    #[test]
    fn contrast_does_not_depend_on_the_light() {
        let stripes = Tensor::from_slice(&[0.2f32, 0.8]).repeat([10]).expand([1, 3, 16, 20], false);
        let contrast = |images: &Tensor| normalised(images).narrow(1, 3, 1);
        let bright = contrast(&stripes);
        assert!(bright.abs().min().double_value(&[]) > 0.8, "stripes stand out: {bright}");
        let change = (bright - contrast(&(&stripes * 0.5))).abs().max().double_value(&[]);
        assert!(change < 0.01, "{change}");
        let flat = contrast(&Tensor::full([1, 3, 12, 12], 0.7, (Kind::Float, Device::Cpu)));
        assert!(flat.abs().max().double_value(&[]) < 0.1, "an empty image has no contrast");
    }
}
