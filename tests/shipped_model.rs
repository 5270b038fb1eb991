//! The shipped model and monitor, judged on freshly drawn signs and on pictures that show no sign.

// clippy takes only functions marked as tests for tests.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use activation_monitor::frame::{Frame, Region};
use activation_monitor::model::DeviceChoice;
use activation_monitor::monitor::{Levels, Verdict};
use activation_monitor::pipeline::{Deadline, Job, Outcome, Pipeline};
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
    let output = pipeline.judge_image(image, &[Region::WHOLE], &Levels::default(), 3);
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
    let together = pipeline.judge_image(&scene, &regions, &Levels::default(), 1);
    for (region, result) in regions.iter().zip(&together.results) {
        let alone = pipeline.judge_image(&scene, &[*region], &Levels::default(), 1);
        let (alone, batch) = (alone.results[0].outcome.clone().unwrap(), result.outcome.clone().unwrap());
        assert_eq!(alone.top_k[0].class, batch.top_k[0].class);
        let (alone, batch) = (alone.judgement.unwrap().fused.score, batch.judgement.unwrap().fused.score);
        assert!((alone - batch).abs() <= 1e-3 * alone.abs().max(1.0), "{alone} alone, {batch} in a batch");
    }
}

#[test]
fn several_images_are_judged_together_as_they_are_alone() {
    let pipeline = pipeline();
    let images = [14, 1, 38].map(|class| draw_training_sign(class, FIRST_SEED, 64));
    let frames = [0, 1, 2].map(|index: usize| Frame::from(&images[index]));
    let sign = Region { x: 4, y: 4, width: 52, height: 52 };
    // More than a batch together.
    let regions = [vec![Region::WHOLE; 70], vec![sign, Region::WHOLE], vec![]];
    let jobs: Vec<Job<'_>> = frames.iter().zip(&regions).map(|(frame, regions)| Job { frame, regions }).collect();
    let outputs = pipeline.judge(&jobs, &Levels::default(), 1, None);
    assert_eq!(outputs.iter().map(|output| output.results.len()).collect::<Vec<_>>(), [70, 2, 0]);
    for (job, output) in jobs.iter().zip(&outputs) {
        let alone = pipeline.judge_image(job.frame, job.regions, &Levels::default(), 1);
        for (result, alone) in output.results.iter().zip(&alone.results) {
            assert_eq!((result.region, result.judged), (alone.region, alone.judged));
            let (result, alone) = (result.outcome.as_ref().unwrap(), alone.outcome.as_ref().unwrap());
            assert_eq!(result.top_k[0].class, alone.top_k[0].class);
            let score = |outcome: &Outcome| outcome.judgement.as_ref().unwrap().fused.score;
            assert!((score(result) - score(alone)).abs() <= 1e-3 * score(alone).abs().max(1.0));
        }
    }
    // The images took turns: the two regions of the second one were in the first batch.
    let rows: Vec<Option<usize>> = outputs[1].results.iter().map(|result| result.row).collect();
    assert_eq!(rows, [Some(1), Some(3)]);
    let shown = outputs[0].results.iter().filter(|result| result.row.is_some()).count();
    assert_eq!((shown, outputs[0].activations.as_ref().unwrap().len()), (62, 64));
    assert!(outputs[2].activations.is_none());
    let [Some(both), Some(first), None] = [0, 1, 2].map(|image: usize| outputs[image].timings) else {
        panic!("timings")
    };
    assert!(both.network > first.network && both.monitor > first.monitor, "two batches and one: {both:?}, {first:?}");
    assert!(!first.network.is_zero() && !first.monitor.is_zero());
    assert!(pipeline.judge(&[], &Levels::default(), 1, None).is_empty());
}

#[test]
fn what_comes_after_the_deadline_is_not_judged() {
    let pipeline = pipeline();
    let image = draw_training_sign(14, FIRST_SEED, 48);
    let frame = Frame::from(&image);
    let judge = |regions: &[Region], deadline| {
        let job = Job { frame: &frame, regions };
        pipeline.judge(&[job], &Levels::default(), 1, Some(deadline)).remove(0)
    };
    let over = judge(&[Region::WHOLE], Deadline::after(Instant::now(), Duration::ZERO));
    assert_eq!(
        over.results[0].outcome,
        Err("not judged: the deadline of 0 s was over; ask for fewer regions or raise deadline_secs".into())
    );
    assert_eq!((over.results[0].judged, over.results[0].row, over.activations), (None, None, None));
    assert_eq!(over.timings, None);

    let in_time = judge(&[Region::WHOLE], Deadline::after(Instant::now(), Duration::from_secs(600)));
    assert_eq!(in_time.results[0].outcome.as_ref().unwrap().top_k[0].class, 14);

    // Ten thousand regions take longer than that on any machine; some of them lie outside.
    let regions: Vec<Region> = (0..10_000).map(|x| Region { x: x % 50, y: 0, width: 40, height: 40 }).collect();
    let output = judge(&regions, Deadline::after(Instant::now(), Duration::from_millis(300)));
    let reasons: Vec<&String> = output.results.iter().filter_map(|result| result.outcome.as_ref().err()).collect();
    assert_eq!(output.results.len(), 10_000);
    assert!(output.results[0].outcome.is_ok());
    assert!(reasons.last().unwrap().starts_with("not judged: the deadline of 0.3 s was over; "), "{reasons:?}");
    assert!(
        reasons.len() > 100 && output.results.iter().all(|result| result.judged.is_some() == result.outcome.is_ok())
    );
}

#[test]
fn a_region_is_clipped_to_the_image_and_says_so_when_nothing_is_left() {
    let image = draw_training_sign(14, FIRST_SEED, 48);
    let outside = Region { x: 48, y: 40, width: 20, height: 20 };
    let over_the_edge = Region { x: 2, y: 2, width: 500, height: 46 };
    let regions = [outside, over_the_edge, Region::WHOLE];
    let output = pipeline().judge_image(&image, &regions, &Levels::default(), 1);
    let results = &output.results;
    let expected = "region 20×20 at (48, 40) lies outside of the 48×48 image";
    assert_eq!((&results[0].outcome, results[0].judged), (&Err(expected.into()), None));
    assert_eq!((results[1].region, results[1].judged), (over_the_edge, Some(Region { width: 46, ..over_the_edge })));
    assert_eq!(results[2].judged, Some(Region { x: 0, y: 0, width: 48, height: 48 }));
    assert_eq!(results[1..].iter().map(|r| r.outcome.as_ref().unwrap().top_k[0].class).collect::<Vec<_>>(), [14, 14]);
}
