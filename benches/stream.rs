//! What verdicts over time cost per image: objects, evidence for a change and alarm share of one camera, with the calibration of
//! the shipped monitor.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use activation_monitor::monitor::Monitor;
use activation_monitor::stream::{CameraStream, Judged, StreamSettings, View};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// Images between two of which all objects are others: signs stay in view for some two seconds.
const IMAGES_PER_OBJECT: u32 = 20;
const PERIOD: Duration = Duration::from_millis(100);

fn observe(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/traffic_signs/traffic_signs.monitor");
    let monitor = Monitor::load(&path).expect("the shipped monitor can be read");
    let over_time = monitor.over_time();
    assert!(over_time.objects.is_some() && over_time.bets.is_some(), "it is calibrated for objects and streams");
    let mut group = criterion.benchmark_group("stream");
    for regions in [1usize, 4, 16, 64] {
        let mut stream = CameraStream::new(StreamSettings::default());
        let mut image = 0u32;
        group.bench_function(BenchmarkId::new("observe", regions), |bencher| {
            bencher.iter(|| {
                let first = image / IMAGES_PER_OBJECT * 64;
                let ids: Vec<String> = (0..regions as u32).map(|region| (first + region).to_string()).collect();
                let views: Vec<View<'_>> = ids.iter().enumerate().map(|(region, id)| view(id, image, region)).collect();
                image += 1;
                black_box(stream.observe(PERIOD * image, &views, over_time, 0.01))
            });
        });
    }
    group.finish();
}

/// Scores and p-values that vary from image to image.
fn view(id: &str, image: u32, region: usize) -> View<'_> {
    let share = ((image as usize * 37 + region * 101) % 997) as f32 / 997.0;
    View { id, judged: Some(Judged { score: -share.max(1e-3).ln(), p_value: share.max(1e-3), class: region % 43 }) }
}

criterion_group!(benches, observe);
criterion_main!(benches);
