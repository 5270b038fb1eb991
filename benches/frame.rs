//! From the bytes of a raw image to the input of the network: the whole image, and 8 regions of 64×64 pixels.
//!
//! `direct` converts what is asked for; `converted` first converts the whole image to RGB, as this package did once.
//! `jpeg` compares the decoder alone with our decoding, which looks for missing data first.

use std::hint::black_box;
use std::io::Cursor;

use activation_monitor::frame::{self, DecodeOptions, Encoding, Frame, RawImage, Region};
use activation_monitor::model::InputSpec;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use image::{ImageFormat, RgbImage};

const INPUT: InputSpec = InputSpec { width: 48, height: 48, region_margin: 0.1 };
const SIZES: [(u32, u32); 2] = [(1280, 720), (1920, 1080)];

/// Smooth shades with some noise.
fn samples(length: usize) -> Vec<u8> {
    let sample = |index: usize| (index / 7 % 200) as u8 + (index.wrapping_mul(2_654_435_761) >> 20) as u8 % 40;
    (0..length).map(sample).collect()
}

fn eight_regions(width: u32, height: u32) -> Vec<Region> {
    let corner = |index: u32| (index % 4 * (width - 64) / 3, index / 4 * (height - 64));
    (0..8).map(corner).map(|(x, y)| Region { x, y, width: 64, height: 64 }).collect()
}

fn cut_all(frame: &Frame<'_>, regions: &[Region]) {
    for &region in regions {
        black_box(frame::cut(frame, region, &INPUT).expect("the regions lie in the image"));
    }
}

fn raw(criterion: &mut Criterion) {
    for (width, height) in SIZES {
        for name in ["rgb8", "bgr8", "rgba8", "mono8", "mono16", "yuyv", "nv12", "bayer_rggb8"] {
            let encoding = Encoding::from_ros(name).expect("these encodings exist");
            let step = encoding.row_bytes(width);
            let data = samples(encoding.image_bytes(height, step) as usize);
            let raw = RawImage { encoding: name, width, height, step: step as u32, is_bigendian: false, data: &data };
            for (what, regions) in [("whole", vec![Region::WHOLE]), ("regions", eight_regions(width, height))] {
                let mut group = criterion.benchmark_group(format!("{what}/{height}p"));
                let look = || Frame::raw(&raw, &DecodeOptions::default()).expect("the description is right");
                group.bench_function(BenchmarkId::new("direct", name), |bencher| {
                    bencher.iter(|| cut_all(&look(), &regions));
                });
                group.bench_function(BenchmarkId::new("converted", name), |bencher| {
                    bencher.iter(|| cut_all(&Frame::from(look().to_rgb()), &regions));
                });
            }
        }
    }
}

fn jpeg(criterion: &mut Criterion) {
    let (width, height) = SIZES[0];
    let image = RgbImage::from_raw(width, height, samples((width * height * 3) as usize)).expect("the size is right");
    // Sensor noise is much weaker than that of the samples.
    let image = image::imageops::blur(&image, 2.0);
    let mut data = Cursor::new(Vec::new());
    image.write_to(&mut data, ImageFormat::Jpeg).expect("the image can be encoded");
    let data = data.into_inner();
    let mut group = criterion.benchmark_group("jpeg/720p");
    group.bench_function("ours", |bencher| {
        bencher.iter(|| Frame::compressed(black_box(&data), "jpeg", &DecodeOptions::default()).map(Frame::into_rgb));
    });
    group.bench_function("decoder_alone", |bencher| {
        bencher.iter(|| image::load_from_memory_with_format(black_box(&data), ImageFormat::Jpeg));
    });
}

criterion_group!(benches, raw, jpeg);
criterion_main!(benches);
