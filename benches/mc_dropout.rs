//! What Monte Carlo dropout costs per image: 32 passes through the head of the shipped model, 256 neurons and 43 classes.

use std::hint::black_box;

use activation_monitor::activation::{FeatureBank, FeatureLayout, Features, Head, LayerFeatures, LayerKind, LayerSpec};
use activation_monitor::detector::{Detector, Fit, FitInput, McDropout};
use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Array2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CLASSES: usize = 43;
const NEURONS: usize = 256;

fn numbers(count: usize, random: &mut ChaCha8Rng) -> Array1<f32> {
    (0..count).map(|_| random.random::<f32>() - 0.5).collect()
}

fn head(random: &mut ChaCha8Rng) -> Head {
    let weight = Array2::from_shape_simple_fn((CLASSES, NEURONS), || random.random::<f32>() - 0.5);
    Head { weight, bias: numbers(CLASSES, random), dropout: 0.3 }
}

fn image(head: &Head, random: &mut ChaCha8Rng) -> Features {
    let z = numbers(NEURONS, random).mapv(|z| z.max(0.0));
    Features { logits: head.weight.dot(&z) + &head.bias, layers: vec![LayerFeatures::vector(z)] }
}

fn mc_dropout(criterion: &mut Criterion) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let head = head(&mut random);
    let features = image(&head, &mut random);
    let layers = vec![LayerSpec { name: "embedding".into(), kind: LayerKind::Vector, channels: NEURONS }];
    let mut bank = FeatureBank::new(FeatureLayout { classes: CLASSES, layers, penultimate: 0 });
    bank.push("0/0_0.png", features.predicted_class(), &features).expect("the features have the bank's layout");
    let input = FitInput::new(&bank, Some(&head)).expect("the image is classified correctly");
    let detector = McDropout::fit(&input).expect("the head has dropout");
    criterion.bench_function("score", |bencher| bencher.iter(|| detector.score(black_box(&features))));
    criterion.bench_function("explain", |bencher| bencher.iter(|| detector.explain(black_box(&features))));
}

criterion_group!(benches, mc_dropout);
criterion_main!(benches);
