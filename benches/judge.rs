//! What it costs to judge one image: every detector alone, and the whole monitor.
//!
//! Synthetic features: 128 penultimate neurons, two layers of 64 maps, 43 classes with 800 training images each, all of them with
//! another pattern. `shipped` is the monitor of `models/traffic_signs` (256 neurons, 2,000 training images for the neighbours)
//! on the activations of a drawn sign, `shipped_far` the same on random ones, which are near to nothing.

use std::hint::black_box;
use std::path::Path;

use activation_monitor::activation::{FeatureBank, FeatureLayout, Features, Head, LayerFeatures, LayerKind, LayerSpec};
use activation_monitor::detector::{DetectorKind, FitInput};
use activation_monitor::frame::{self, Region};
use activation_monitor::model::{Classifier, DeviceChoice};
use activation_monitor::monitor::{FitSettings, ModelId, ModelInput, Monitor};
use activation_monitor::scenario::draw_training_sign;
use activation_monitor::storage::TensorFile;
use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Array2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CLASSES: usize = 43;
const NEURONS: usize = 128;
const MAPS: usize = 64;

fn layout() -> FeatureLayout {
    let layer = |name: &str, kind, channels| LayerSpec { name: name.into(), kind, channels };
    let layers = vec![
        layer("conv1", LayerKind::Map, MAPS),
        layer("conv2", LayerKind::Map, MAPS),
        layer("embedding", LayerKind::Vector, NEURONS),
    ];
    FeatureLayout { classes: CLASSES, layers, penultimate: 2 }
}

/// Random activations around those of a class.
fn image(class: usize, random: &mut ChaCha8Rng) -> Features {
    let mut around = |length: usize| -> Array1<f32> {
        (0..length).map(|index| ((index * 31 + class * 17) % 13) as f32 / 4.0 + random.random::<f32>() * 4.0).collect()
    };
    let maps: Vec<_> =
        (0..2).map(|_| LayerFeatures { mean: around(MAPS), variance: Some(around(MAPS) + 0.1) }).collect();
    let embedding = LayerFeatures::vector(around(NEURONS));
    let mut logits = around(CLASSES);
    logits[class] += 9.0;
    Features { logits, layers: maps.into_iter().chain([embedding]).collect() }
}

fn bank(images: usize, seed: u64) -> FeatureBank {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bank = FeatureBank::new(layout());
    for index in 0..CLASSES * images {
        let class = index % CLASSES;
        let key = format!("{class}/{index}_0.png");
        bank.push(key, class, &image(class, &mut random)).expect("the features have the bank's layout");
    }
    bank
}

fn judge(criterion: &mut Criterion) {
    let training = bank(800, 1);
    let features = bank(1, 2).features(5);
    let head = Head {
        weight: Array2::from_shape_fn((CLASSES, NEURONS), |(class, neuron)| {
            ((class * 7 + neuron * 3) % 11) as f32 - 5.0
        }),
        bias: Array1::zeros(CLASSES),
        dropout: 0.3,
    };
    let input = FitInput::new(&training, Some(&head)).expect("all images are classified correctly");
    let input = input.with_decoy_class(Some(CLASSES - 1));
    for kind in DetectorKind::ALL {
        let detector = kind.fit(&input).expect("the model has all layers, a head and a decoy class");
        criterion.bench_function(kind.name(), |bencher| bencher.iter(|| detector.score(black_box(&features))));
    }
    let model = ModelId {
        sha256: String::new(),
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        decoy_class: Some(CLASSES - 1),
        input: ModelInput { width: 40, height: 40, region_margin: 0.0 },
        head: None,
    };
    let monitor = Monitor::fit(&training, &bank(40, 3), Some(&head), model, &FitSettings::default());
    let monitor = monitor.expect("there are enough images");
    criterion.bench_function("judge", |bencher| bencher.iter(|| monitor.judge(black_box(&features))));
}

/// The detectors of the shipped monitor, on an image like those it was fitted on, and on one that is far from all of them.
fn shipped(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/traffic_signs");
    let monitor = Monitor::open(&folder.join("traffic_signs.monitor")).expect("the shipped monitor can be read");
    let file = TensorFile::open(&folder.join("traffic_signs.monitor")).expect("the shipped monitor can be read");
    let layout = &monitor.metadata().layout;
    for (name, features) in [("shipped", sign(&folder)), ("shipped_far", noise(layout))] {
        let mut group = criterion.benchmark_group(name);
        for summary in &monitor.metadata().detectors {
            let name = summary.name.name();
            let detector = summary.name.load(&file.tensors().scope(name), layout).expect("the monitor is not damaged");
            group.bench_function(name, |bencher| bencher.iter(|| detector.score(black_box(&features))));
        }
        group.bench_function("judge", |bencher| bencher.iter(|| monitor.judge(black_box(&features))));
        let judgement = monitor.judge(&features).expect("the features are those of this model");
        group.bench_function("explain", |bencher| bencher.iter(|| monitor.explain(black_box(&features), &judgement)));
        group.finish();
    }
}

/// What the shipped model makes of a drawn stop sign.
fn sign(folder: &Path) -> Features {
    const STOP: usize = 14;
    let classifier = Classifier::load(folder, &DeviceChoice::Cpu).expect("the shipped model can be loaded");
    let image = frame::cut(draw_training_sign(STOP, 3, 48), Region::WHOLE, &classifier.manifest().input);
    let image = image.expect("the whole image is a region").insert_axis(Axis(0));
    let features = classifier.forward(image.view()).expect("the image has the size of the input").features(0);
    assert_eq!(features.predicted_class(), STOP, "the image is like those the monitor was fitted on");
    features
}

/// Random activations.
fn noise(layout: &FeatureLayout) -> Features {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut numbers = |length: usize| -> Array1<f32> { (0..length).map(|_| random.random()).collect() };
    let layers = layout.layers.iter().map(|layer| LayerFeatures {
        mean: numbers(layer.channels),
        variance: (layer.kind == LayerKind::Map).then(|| Array1::ones(layer.channels)),
    });
    let layers = layers.collect();
    Features { logits: numbers(layout.classes), layers }
}

criterion_group!(benches, judge, shipped);
criterion_main!(benches);
