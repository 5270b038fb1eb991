//! Calibrating on nominal drives, and what a calibration promises.

use std::fs;

use image::RgbImage;
use serde_json::Value;

use super::world::{CLASSES, World, known_image, save};

const CALIBRATE: &str = "calibrate --model model --monitor signs.monitor --device cpu";

/// What a camera with a shorter exposure makes of an image.
fn dimmed(mut image: RgbImage) -> RgbImage {
    image.pixels_mut().flat_map(|pixel| &mut pixel.0).for_each(|value| *value = (f32::from(*value) * 0.75) as u8);
    image
}

/// A drive: 20 tracks of three frames of every class, darker than the training data.
fn save_drive(world: &World, name: &str, seed: u64) {
    for (class, class_name) in CLASSES.iter().enumerate() {
        for (track, frame) in (0..20).flat_map(|track| (0..3).map(move |frame| (track, frame))) {
            let file = format!("drives/{name}/{class_name}{track:05}_{frame}.png");
            save(&world.path(&file), &dimmed(known_image(class, seed + track * 100 + frame)));
        }
    }
}

#[test]
fn a_monitor_is_calibrated_on_drives() {
    let world = World::new();
    world.fit();
    let old = fs::read(world.path("signs.monitor")).unwrap();
    for (index, name) in ["monday", "tuesday", "friday"].into_iter().enumerate() {
        save_drive(&world, name, 50_000 + 10_000 * index as u64);
    }
    let run = world.succeed(&format!(
        "{CALIBRATE} --nominal drives/monday drives/tuesday drives/friday --accept --output robot.monitor"
    ));
    assert!(run.stdout.starts_with("Images that alarm at a nominal 10, 1, 0.1 %\n"), "{}", run.stdout);
    assert!(run.stderr.contains("wrote robot.monitor"), "{}", run.stderr);
    assert_eq!(fs::read(world.path("signs.monitor")).unwrap(), old, "the old file stays as it is");

    let inspected: Value = serde_json::from_str(&world.succeed("inspect robot.monitor --json").stdout).unwrap();
    assert_eq!(inspected["calibration"]["images"], 540);
    assert_eq!(inspected["calibration"]["tracks"], 180);
    assert_eq!(inspected["calibration"]["correct"], Value::Null);
    assert_eq!(inspected["recalibration"]["before"]["images"], 36);
    let drives = inspected["recalibration"]["drives"].as_array().unwrap();
    assert_eq!(drives.len(), 3);
    for drive in drives {
        let [before, after] = ["before", "after"].map(|when| drive[when]["0.1"].as_f64().unwrap());
        assert!(before > 0.2, "the other exposure is noticed: {drive}");
        assert!((0.02..0.2).contains(&after), "and no longer after calibration: {drive}");
    }
    let words = world.succeed("inspect robot.monitor").stdout;
    for text in ["calibration 540 images of 180 tracks\n", "3 nominal drives, accepted", "  tuesday "] {
        assert!(words.contains(text), "{text}: {words}");
    }
    let page = fs::read_to_string(world.path("robot.report/index.html")).unwrap();
    assert!(page.contains("How the promise holds") && page.contains("data:image/png;base64"));
    // Twice the same: the same bytes.
    let again =
        format!("{CALIBRATE} --nominal drives/monday drives/tuesday drives/friday --accept --output again.monitor");
    world.succeed(&again);
    assert_eq!(fs::read(world.path("again.monitor")).unwrap(), fs::read(world.path("robot.monitor")).unwrap());
}

#[test]
fn strange_drives_are_refused_with_a_report() {
    let world = World::new();
    world.fit();
    let strange = format!("{CALIBRATE} --nominal ood/grey --output robot.monitor");
    let error = world.fail(&strange);
    assert!(error.contains("drive grey looks strange: 100 % of its images alarm at 10 % by this monitor"), "{error}");
    assert!(error.contains("robot.report/index.html") && error.contains("--accept"), "{error}");
    assert!(world.path("robot.report/index.html").exists() && !world.path("robot.monitor").exists());
    world.succeed(&format!("{strange} --accept"));
    assert!(world.succeed("inspect robot.monitor").stdout.contains("accepted as they are"));
}

#[test]
fn the_monitor_and_names_are_kept_apart() {
    let world = World::new();
    world.fit();
    save_drive(&world, "monday", 50_000);
    let error = world.fail(&format!("{CALIBRATE} --nominal drives/monday --output signs.monitor"));
    assert!(error.contains("--output is the file of --monitor"), "{error}");
    let error = world.fail(&format!("{CALIBRATE} --nominal drives/monday drives/monday --output robot.monitor"));
    assert!(error.contains("two drives are called monday"), "{error}");
}

#[test]
fn a_monitor_says_what_it_can_promise() {
    let world = World::new();
    world.fit();
    let promise = world.succeed("inspect signs.monitor --promise").stdout;
    for text in [
        "36 images of 12 tracks",
        "if tracks are independent: no p-value below 7.69e-2",
        "at    1 %   nothing can alarm",
    ] {
        assert!(promise.contains(text), "{text}: {promise}");
    }
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_activation-monitor"));
    program.arg("inspect").arg(world.path("signs.monitor")).args(["--want", "one per 10 h at 15 Hz"]);
    let wanted = String::from_utf8(program.output().unwrap().stdout).unwrap();
    assert!(wanted.contains("a false alarm in 540000 images: an alarm_level of 1.85e-6"), "{wanted}");
    assert!(wanted.contains("on average           needs 539999 independent tracks, 30.0 h"), "{wanted}");
    assert!(wanted.contains("this calibration has too few"), "{wanted}");
    let error = world.run("inspect signs.monitor --want nothing");
    assert_eq!(error.code, Some(2));
    assert!(error.stderr.contains("one per 10 h at 15 Hz"), "{}", error.stderr);
}
