//! The forward pass of the shipped model as libtorch runs it on its own (`plain`) and as [`Classifier`] runs it (`fast`), at
//! several batch sizes.
//!
//! Behind criterion's figures comes a table of both side by side: a few passes of each in turn, so that whatever else the machine
//! does meets both, their medians and ratio; and what the slowest of many passes takes whose batch sizes change all the time.

use std::path::Path;
use std::time::{Duration, Instant};

use activation_monitor::model::{Classifier, DeviceChoice};
use criterion::{BenchmarkId, Criterion};
use ndarray::{Array4, ArrayView4, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const BATCHES: [usize; 4] = [1, 2, 8, 32];
const LARGEST_BATCH: usize = 64;
/// Rounds of the table, and passes of each kind in a round.
const ROUNDS: usize = 12;
const PASSES: usize = 8;
/// Passes of changing batch sizes.
const CHANGING: usize = 600;

fn load() -> [(&'static str, Classifier); 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/traffic_signs");
    let plain = Classifier::load_plain(&folder, &DeviceChoice::Cpu).expect("the shipped model can be loaded");
    let fast = Classifier::load(&folder, &DeviceChoice::Cpu).expect("the shipped model can be loaded");
    [("plain", plain), ("fast", fast)]
}

fn images(classifier: &Classifier) -> Array4<f32> {
    let (mut random, input) = (ChaCha8Rng::seed_from_u64(1), classifier.manifest().input);
    Array4::from_shape_simple_fn((LARGEST_BATCH, 3, input.height, input.width), || random.random())
}

fn timed(classifier: &Classifier, images: ArrayView4<'_, f32>) -> Duration {
    let start = Instant::now();
    classifier.forward(images).expect("the images have the size of the input");
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn forward(criterion: &mut Criterion, classifiers: &[(&'static str, Classifier)], images: &Array4<f32>) {
    let mut group = criterion.benchmark_group("forward");
    for batch in BATCHES {
        for (name, classifier) in classifiers {
            let images = images.slice(s![..batch, .., .., ..]);
            group.bench_function(BenchmarkId::new(*name, batch), |bencher| {
                bencher.iter(|| classifier.forward(images));
            });
        }
    }
    group.finish();
}

fn side_by_side(classifiers: &[(&'static str, Classifier); 2], images: &Array4<f32>) {
    println!("batch  plain ms   fast ms   ratio");
    for batch in BATCHES {
        let images = images.slice(s![..batch, .., .., ..]);
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for ((_, classifier), times) in classifiers.iter().zip(&mut times) {
                // The first pass still meets the other classifier's threads, which wait for more to do for a while.
                let passes = (0..=PASSES).map(|_| timed(classifier, images)).skip(1);
                times.extend(passes);
            }
        }
        let [plain, fast] = times.map(median);
        println!("{batch:>5} {plain:>9.2} {fast:>9.2} {:>7.2}", plain / fast);
    }
}

/// Batches of any size in any order: time per image of a pass against that of the median pass.
fn changing_sizes(name: &str, classifier: &Classifier, images: &Array4<f32>) {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut times = Vec::new();
    for _ in 0..CHANGING {
        let batch = random.random_range(1..=LARGEST_BATCH);
        times.push((timed(classifier, images.slice(s![..batch, .., .., ..])).as_secs_f64() * 1e3, batch));
    }
    let per_image = |&(time, batch): &(f64, usize)| time / batch as f64;
    times.sort_by(|a, b| per_image(a).total_cmp(&per_image(b)));
    let [middle, last] = [times.len() / 2, times.len() - 1].map(|index| times[index]);
    println!(
        "{name}: {CHANGING} batches of 1 to {LARGEST_BATCH} images: {:.2} ms per image at the median, {:.2} ms at worst ({:.1} \
         ms for {} images)",
        per_image(&middle),
        per_image(&last),
        last.0,
        last.1
    );
}

fn main() {
    let classifiers = load();
    let images = images(&classifiers[0].1);
    let mut criterion = Criterion::default().configure_from_args();
    forward(&mut criterion, &classifiers, &images);
    criterion.final_summary();
    // Not for a single figure or a profile.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        side_by_side(&classifiers, &images);
        classifiers.iter().for_each(|(name, classifier)| changing_sizes(name, classifier, &images));
    }
}
