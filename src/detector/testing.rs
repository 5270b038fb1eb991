//! Banks for tests.

use ndarray::{Array1, Array2, arr1};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Detector;
use crate::activation::{FeatureBank, FeatureLayout, Features, Head, LayerFeatures, LayerKind, LayerSpec};
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

/// Checks that a detector read from a file gives the same scores, bit by bit, from the mapped bytes, and that one of a
/// model with another layout is refused.
pub fn assert_survives_a_file(detector: &dyn Detector, bank: &FeatureBank) {
    let file = assert_same_from_a_file(detector, bank);
    let mut other = bank.layout().clone();
    other.classes += 1;
    other.layers.iter_mut().for_each(|layer| layer.channels -= 5);
    assert!(detector.kind().load(&file.tensors().scope("detector"), &other).is_err(), "another layout");
}

/// The first half of [`assert_survives_a_file`], for detectors that learn nothing. Gives the file.
pub fn assert_same_from_a_file(detector: &dyn Detector, bank: &FeatureBank) -> TensorFile {
    let file = saved(detector);
    let loaded = detector.kind().load(&file.tensors().scope("detector"), bank.layout()).unwrap();
    for row in 0..bank.len() {
        let features = bank.features(row);
        assert_eq!(loaded.score(&features).to_bits(), detector.score(&features).to_bits());
    }
    assert_eq!(loaded.summary(), detector.summary());
    file
}

/// A file with the detector's tensors in the scope `detector`. It outlives its folder.
pub fn saved(detector: &dyn Detector) -> TensorFile {
    let mut tensors = Tensors::default();
    detector.save(&mut tensors.scope("detector"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("detector");
    TensorFile::write(&path, "{}", tensors).unwrap();
    TensorFile::open(&path).unwrap()
}

/// Checks that scores and explanations are finite for extreme penultimate activations, with usual and extreme logits.
/// For banks made by [`synthetic_bank`] and [`linear_bank`].
pub fn assert_finite_on_extreme_activations(detector: &dyn Detector, bank: &FeatureBank) {
    for value in [0.0, 1e-40, f32::MAX, f32::MIN] {
        let mut features = bank.features(1);
        features.layers[1].mean.fill(value);
        assert!(detector.score(&features).is_finite(), "{value}");
        features.logits.fill(value);
        assert!(detector.score(&features).is_finite(), "{value}");
        assert!(detector.explain(&features).parts.iter().all(|part| part.contribution.is_finite()));
    }
}

/// A random bank as [`synthetic_bank`] and a head with dropout rate ½ that gives its logits. Every class has a weight for
/// each neuron in proportion to its usual activation, so that nearly all images are classified correctly, none with
/// certainty. At most five classes differ.
pub fn linear_bank(classes: usize, images: usize, seed: u64) -> (FeatureBank, Head) {
    let usual = Array2::from_shape_fn((classes, SHAPE.1), |(class, neuron)| ((neuron * 7 + class * 3) % 5) as f32);
    let bias = usual.rows().into_iter().map(|row| -0.05 * row.dot(&row)).collect();
    let head = Head { weight: usual * 0.1, bias, dropout: 0.5 };
    let random = synthetic_bank(classes, images, seed);
    let mut bank = FeatureBank::new(random.layout().clone());
    for row in 0..random.len() {
        let mut features = random.features(row);
        features.logits = head.weight.dot(&features.layers[1].mean) + &head.bias;
        bank.push(&random.keys()[row], random.labels()[row], &features).unwrap();
    }
    (bank, head)
}

/// Checks that scores and explanations of the strangest finite images are finite.
pub fn assert_finite_on_extremes(detector: &dyn Detector, bank: &FeatureBank) {
    let signs: [fn(usize) -> f32; 3] = [|_| 1.0, |_| -1.0, |index| if index % 2 == 0 { 1.0 } else { -1.0 }];
    for value in [0.0, f32::MIN_POSITIVE, 1e-3, 1e3, 1e30, f32::MAX] {
        for sign in signs {
            let mut features = bank.features(0);
            let parts = features.layers.iter_mut().map(|layer| &mut layer.mean).chain([&mut features.logits]);
            parts.for_each(|part| part.indexed_iter_mut().for_each(|(index, x)| *x = value * sign(index)));
            let parts = detector.explain(&features).parts;
            let numbers = parts.iter().flat_map(|part| [part.contribution, part.value, part.expected]);
            let numbers: Vec<f32> = numbers.chain([detector.score(&features)]).collect();
            assert!(numbers.iter().all(|number| number.is_finite()), "{value}: {numbers:?}");
        }
    }
}
