//! Banks for tests.

use ndarray::{Array1, arr1};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Detector, DetectorKind};
use crate::activation::{FeatureBank, FeatureLayout, Features, LayerFeatures, LayerKind, LayerSpec};
use crate::storage::{TensorFile, Tensors};

/// An image of a model with one vector layer.
pub fn vector_image(logits: &[f32], z: &[f32]) -> Features {
    Features { logits: arr1(logits), layers: vec![LayerFeatures::vector(arr1(z))] }
}

/// A bank of labelled images of a model with one vector layer.
pub fn bank(images: &[(usize, Features)]) -> FeatureBank {
    let first = &images[0].1;
    let channels = first.layers[0].mean.len();
    let layers = vec![LayerSpec { name: "z".into(), kind: LayerKind::Vector, channels }];
    let mut bank = FeatureBank::new(FeatureLayout { classes: first.logits.len(), layers, penultimate: 0 });
    for (index, (label, features)) in images.iter().enumerate() {
        bank.push(format!("{label}/{index}_0.png"), *label, features).unwrap();
    }
    bank
}

/// Channels of the synthetic model's map layer and neurons of its penultimate layer.
pub const SHAPE: (usize, usize) = (6, 10);

/// Random images of a model with a map layer (0) and a penultimate layer (1). Activations are normal around a mean per
/// class; some images are misclassified. Tracks have five images.
pub fn synthetic_bank(classes: usize, images: usize, seed: u64) -> FeatureBank {
    let (channels, neurons) = SHAPE;
    let layers = vec![
        LayerSpec { name: "conv".into(), kind: LayerKind::Map, channels },
        LayerSpec { name: "z".into(), kind: LayerKind::Vector, channels: neurons },
    ];
    let mut bank = FeatureBank::new(FeatureLayout { classes, layers, penultimate: 1 });
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for index in 0..classes * images {
        let class = index % classes;
        let key = format!("{class}/{}_{:05}.png", index / classes / 5, index / classes % 5);
        bank.push(key, class, &synthetic_image(class, classes, &mut random)).unwrap();
    }
    bank
}

/// One random image of a class.
pub fn synthetic_image(class: usize, classes: usize, random: &mut ChaCha8Rng) -> Features {
    let (channels, neurons) = SHAPE;
    let mut normal = |count: usize, spread: f32| -> Array1<f32> {
        (0..count).map(|_| spread * ((0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0)).collect()
    };
    let mut logits = normal(classes, 0.7);
    logits[class] += 3.0;
    let around =
        |spread: Array1<f32>| spread.iter().enumerate().map(|(j, x)| x + ((j * 7 + class * 3) % 5) as f32).collect();
    let maps = LayerFeatures {
        mean: around(normal(channels, 0.5)),
        variance: Some(normal(channels, 0.3).mapv(|x: f32| 0.1 + x.exp())),
    };
    Features { logits, layers: vec![maps, LayerFeatures::vector(around(normal(neurons, 0.5)))] }
}

/// Checks that a detector read from a file gives the same scores, bit by bit, from the mapped bytes.
pub fn assert_survives_a_file(detector: &dyn Detector, bank: &FeatureBank) {
    let mut tensors = Tensors::default();
    detector.save(&mut tensors.scope("detector"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("detector");
    TensorFile::write(&path, "{}", tensors).unwrap();
    let file = TensorFile::open(&path).unwrap();
    let load = |kind: DetectorKind, layout| kind.load(&file.tensors().scope("detector"), layout);
    let loaded = load(detector.kind(), bank.layout()).unwrap();
    for row in 0..bank.len() {
        let features = bank.features(row);
        assert_eq!(loaded.score(&features).to_bits(), detector.score(&features).to_bits());
    }
    assert_eq!(loaded.summary(), detector.summary());
    let mut other = bank.layout().clone();
    other.classes += 1;
    other.layers.iter_mut().for_each(|layer| layer.channels -= 5);
    assert!(load(detector.kind(), &other).is_err(), "another layout");
}
