//! A tiny model and its images, and a way to run the program on them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use activation_monitor::{
    activation::LayerKind,
    model::{
        FORMAT_VERSION, HeadSpec, InputSpec, Manifest, ManifestLayer,
        torchscript::{Parameter, ScriptModule},
    },
};
use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const CLASSES: [&str; 3] = ["red", "green", "blue"];
const TRACKS: u64 = 20;
pub const FRAMES: u64 = 3;

/// A temporary folder with `model`, `data` (60 images of each class), `test` and `ood`.
pub struct World {
    folder: tempfile::TempDir,
}

/// What a run of the program gave.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    pub fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        write_model(&world.path("model"), 4.0);
        for (class, class_name) in CLASSES.iter().enumerate() {
            for (track, frame) in (0..TRACKS).flat_map(|track| (0..FRAMES).map(move |frame| (track, frame))) {
                let name = format!("{class_name}/{track:05}_{frame:05}.png");
                save(&world.path("data").join(&name), &known_image(class, track * 100 + frame));
            }
            for number in 0..6 {
                let name = format!("{class_name}/{number}.png");
                save(&world.path("test").join(name), &known_image(class, 10_000 + number));
            }
        }
        for number in 0..9 {
            save(&world.path(&format!("ood/grey/{number}.png")), &unknown_image(number));
        }
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program in the folder, so that relative paths mean the same everywhere.
    pub fn run(&self, arguments: &str) -> Run {
        let mut program = Command::new(env!("CARGO_BIN_EXE_activation-monitor"));
        program.current_dir(self.folder.path()).env_remove("RUST_LOG").args(arguments.split_whitespace());
        program.output().unwrap().into()
    }

    /// As [`World::run`], but the run must succeed.
    pub fn succeed(&self, arguments: &str) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(0), "{arguments}\n{}", run.stderr);
        run
    }

    /// The message of a run that must fail with exit code 1.
    pub fn fail(&self, arguments: &str) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(1), "{arguments}\n{}\n{}", run.stdout, run.stderr);
        run.stderr
    }

    /// Fits `signs.monitor` with the options that all tests share.
    pub fn fit(&self) {
        self.succeed("fit --model model --data data --output signs.monitor --device cpu");
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// An image with noise whose mean colour is mostly that of the class.
pub fn known_image(class: usize, seed: u64) -> RgbImage {
    let mut random = ChaCha8Rng::seed_from_u64(seed + 1_000_000 * class as u64);
    let bright = random.random_range(150..220_u8);
    let mut colour = [random.random_range(20..60); 3];
    colour[class] = bright;
    noisy(colour, 20, &mut random)
}

/// A grey image: none of the classes.
fn unknown_image(seed: u64) -> RgbImage {
    noisy([128; 3], 100, &mut ChaCha8Rng::seed_from_u64(seed))
}

fn noisy(colour: [u8; 3], noise: u8, random: &mut ChaCha8Rng) -> RgbImage {
    let mut channel = |value: u8| value.saturating_add(random.random_range(0..=noise)).saturating_sub(noise / 2);
    RgbImage::from_fn(12, 10, |_, _| Rgb(colour.map(&mut channel)))
}

pub fn save(path: &Path, image: &RgbImage) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// Writes a model that takes the difference of every pair of colours per pixel, averages, and adds up what speaks for
/// each class. `weight` scales the logits.
pub fn write_model(folder: &Path, weight: f32) {
    write(folder, &network(weight, 0.0));
}

/// Writes a model whose activations are all infinite.
pub fn write_broken_model(folder: &Path) {
    write(folder, &network(4.0, f32::INFINITY));
}

fn write(folder: &Path, network: &ScriptModule) {
    fs::create_dir_all(folder).unwrap();
    let layer = |name: &str, kind| ManifestLayer { name: name.into(), kind };
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: "colours".into(),
        classes: CLASSES.map(str::to_owned).to_vec(),
        input: InputSpec { width: 8, height: 8, region_margin: 0.0 },
        layers: vec![layer("differences", LayerKind::Map), layer("means", LayerKind::Vector)],
        penultimate: "means".into(),
        head: Some(HeadSpec { weight: "head_weight".into(), bias: "head_bias".into(), dropout: 0.0 }),
        decoy_class: None,
        provenance: String::new(),
        license: String::new(),
    };
    fs::write(folder.join("model.json"), serde_json::to_string(&manifest).unwrap()).unwrap();
    network.save(&folder.join("model.pt")).unwrap();
}

fn network(weight: f32, bias: f32) -> ScriptModule {
    let pairs = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)];
    let sign = |channel, (plus, minus)| f32::from(u8::from(channel == plus)) - f32::from(u8::from(channel == minus));
    let differences = pairs.iter().flat_map(|&pair| (0..3).map(move |channel| sign(channel, pair))).collect();
    let speaks = |class| pairs.map(|(plus, _)| if plus == class { weight } else { 0.0 });
    let parameter = |name: &str, shape: &[usize], values| Parameter { name: name.into(), shape: shape.into(), values };
    ScriptModule {
        class_name: "Colours".into(),
        parameters: vec![
            parameter("pair_weight", &[6, 3, 1, 1], differences),
            parameter("pair_bias", &[6], vec![bias; 6]),
            parameter("head_weight", &[3, 6], (0..3).flat_map(speaks).collect()),
            parameter("head_bias", &[3], vec![0.0; 3]),
        ],
        forward: vec![
            "pairs = torch.conv2d(images, self.pair_weight, self.pair_bias, [1, 1], [0, 0], [1, 1], 1)".into(),
            "differences = torch.relu(pairs)".into(),
            "means = torch.mean(differences, [2, 3])".into(),
            "logits = torch.linear(means, self.head_weight, self.head_bias)".into(),
            "return (logits, differences, means)".into(),
        ],
        outputs: 3,
    }
}
