//! The shipped model and monitor, judged on freshly drawn signs and on pictures that show no sign.

// clippy takes only functions marked as tests for tests.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use activation_monitor::frame::Region;
use activation_monitor::model::DeviceChoice;
use activation_monitor::monitor::{Levels, Verdict};
use activation_monitor::pipeline::{Outcome, Pipeline};
use activation_monitor::scenario::{CLASS_NAMES, draw_training_sign};
use image::RgbImage;

/// Seeds far away from those of training and calibration.
const FIRST_SEED: u64 = 7_000_000_000;
const SIGNS_PER_CLASS: u64 = 6;

fn pipeline() -> Pipeline {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/traffic_signs");
    let monitor = folder.join("traffic_signs.monitor");
    Pipeline::load(&folder, Some(&monitor), &DeviceChoice::Cpu).unwrap()
}

fn judge(pipeline: &Pipeline, image: &RgbImage) -> Outcome {
    let output = pipeline.judge(image, &[Region::WHOLE], &Levels::default(), 3);
    output.results[0].outcome.clone().unwrap()
}

#[test]
fn fresh_drawn_signs_are_classified_and_hardly_ever_alarm() {
    let pipeline = pipeline();
    let (mut correct, mut alarms, mut images) = (0, 0, 0);
    for class in 0..CLASS_NAMES.len() {
        for number in 0..SIGNS_PER_CLASS {
            let outcome = judge(&pipeline, &draw_training_sign(class, FIRST_SEED + number, 48));
            images += 1;
            correct += usize::from(outcome.top_k[0].class == class);
            alarms += usize::from(outcome.verdict == Verdict::OutOfDistribution);
        }
    }
    assert!(correct * 100 >= images * 97, "{correct} of {images} drawn signs classified correctly");
    assert!(alarms * 100 <= images * 4, "{alarms} of {images} drawn signs alarmed");
}

#[test]
fn pictures_without_a_sign_alarm() {
    let pipeline = pipeline();
    let noise = RgbImage::from_fn(48, 48, |x, y| {
        let value = |shift: u32| ((x * 7919 + y * 104_729 + shift * 1_299_721).wrapping_mul(2_654_435_761) >> 24) as u8;
        image::Rgb([value(1), value(2), value(3)])
    });
    let stripes =
        RgbImage::from_fn(
            48,
            48,
            |x, _| if x / 6 % 2 == 0 { image::Rgb([20, 160, 40]) } else { image::Rgb([240, 90, 200]) },
        );
    let checks = RgbImage::from_fn(48, 48, |x, y| image::Rgb([if (x / 8 + y / 8) % 2 == 0 { 250 } else { 10 }; 3]));
    for (name, image) in [("noise", noise), ("stripes", stripes), ("checks", checks)] {
        let outcome = judge(&pipeline, &image);
        let p_value = outcome.judgement.as_ref().map(|judgement| judgement.fused.p_value);
        assert_eq!(outcome.verdict, Verdict::OutOfDistribution, "{name}: p-value {p_value:?}");
    }
}

#[test]
fn the_same_image_gets_the_same_answer_alone_and_in_a_batch() {
    let pipeline = pipeline();
    let mut scene = RgbImage::new(96, 48);
    for (index, class) in [14, 1].into_iter().enumerate() {
        image::imageops::replace(&mut scene, &draw_training_sign(class, FIRST_SEED, 48), 48 * index as i64, 0);
    }
    let regions = [0, 48].map(|x| Region { x: x + 5, y: 5, width: 38, height: 38 });
    let together = pipeline.judge(&scene, &regions, &Levels::default(), 1);
    for (region, result) in regions.iter().zip(&together.results) {
        let alone = pipeline.judge(&scene, &[*region], &Levels::default(), 1);
        let (alone, batch) = (alone.results[0].outcome.clone().unwrap(), result.outcome.clone().unwrap());
        assert_eq!(alone.top_k[0].class, batch.top_k[0].class);
        let (alone, batch) = (alone.judgement.unwrap().fused.score, batch.judgement.unwrap().fused.score);
        assert!((alone - batch).abs() <= 1e-3 * alone.abs().max(1.0), "{alone} alone, {batch} in a batch");
    }
}

#[test]
fn a_region_outside_the_image_says_so() {
    let image = draw_training_sign(14, FIRST_SEED, 48);
    let outside = Region { x: 40, y: 40, width: 20, height: 20 };
    let output = pipeline().judge(&image, &[outside, Region::WHOLE], &Levels::default(), 1);
    let reason = output.results[0].outcome.clone().unwrap_err();
    assert!(reason.contains("48"), "the reason names the image size: {reason}");
    assert_eq!(output.results[1].outcome.clone().unwrap().top_k[0].class, 14);
}
