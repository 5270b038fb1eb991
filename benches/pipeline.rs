//! Where the time of one camera image goes, with the shipped model and monitor: a frame of 1280×720 pixels that is one drawn sign,
//! as a whole, through every step of [`Pipeline::judge`] alone, and through all of them.

use std::hint::black_box;
use std::path::Path;

use activation_monitor::frame::{self, Region};
use activation_monitor::model::DeviceChoice;
use activation_monitor::monitor::Levels;
use activation_monitor::pipeline::Pipeline;
use activation_monitor::scenario::draw_training_sign;
use criterion::{Criterion, criterion_group, criterion_main};
use image::imageops::{FilterType, resize};
use ndarray::Axis;

const STOP: usize = 14;
const TOP_K: usize = 3;

fn pipeline(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/traffic_signs");
    let monitor_file = folder.join("traffic_signs.monitor");
    let pipeline =
        Pipeline::load(&folder, Some(&monitor_file), &DeviceChoice::Cpu).expect("the shipped model is whole");
    let (classifier, monitor) = (pipeline.classifier(), pipeline.monitor().expect("a monitor was given"));
    let image = resize(&draw_training_sign(STOP, 3, 96), 1280, 720, FilterType::Triangle);
    let input = &classifier.manifest().input;
    let cut = || frame::cut(&image, Region::WHOLE, input).expect("the whole image is a region");
    let batch = cut().insert_axis(Axis(0));
    let forward = || classifier.forward(batch.view()).expect("the image has the size of the input");
    let activations = forward();
    let features = activations.features(0);
    let judge = || monitor.judge(black_box(&features)).expect("the features are those of this model");
    let judgement = judge();
    let levels = Levels::default();
    let mut group = criterion.benchmark_group("pipeline");
    group.bench_function("cut", |bencher| bencher.iter(cut));
    group.bench_function("forward", |bencher| bencher.iter(forward));
    group.bench_function("features", |bencher| bencher.iter(|| black_box(&activations).features(0)));
    group.bench_function("detectors", |bencher| bencher.iter(judge));
    group.bench_function("explain", |bencher| bencher.iter(|| monitor.explain(black_box(&features), &judgement)));
    // Behind a forward pass, which takes the processor's caches: as in a drive.
    group.bench_function("detectors after a forward pass", |bencher| {
        bencher.iter_custom(|passes| {
            let timed = |_| {
                forward();
                let start = std::time::Instant::now();
                black_box(judge());
                start.elapsed()
            };
            (0..passes).map(timed).sum()
        });
    });
    group.bench_function("all", |bencher| {
        bencher.iter(|| pipeline.judge_image(black_box(&image), &[Region::WHOLE], &levels, TOP_K));
    });
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
