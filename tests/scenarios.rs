//! The scenarios of the suite: all of them can be drawn, and the table beside them lists them.

// clippy takes only functions marked as tests for tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use activation_monitor::replay::Condition;
use activation_monitor::scenario::{Drive, Script};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn scenarios() -> Vec<(String, Script)> {
    let mut found: Vec<(String, Script)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), Script::load(&path).unwrap()))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn every_scenario_has_the_name_of_its_file_and_conditions() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 15);
    for (file, script) in &scenarios {
        assert_eq!(*file, script.name);
        assert!(!script.description.is_empty() && !script.expect.is_empty(), "{file}");
        assert!((8.0..=20.0).contains(&script.duration_secs), "{file}");
        for condition in &script.expect {
            condition.parse::<Condition>().unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }
    let seeds: BTreeSet<u64> = scenarios.iter().map(|(_, script)| script.seed).collect();
    assert_eq!(seeds.len(), scenarios.len(), "two scenarios have the same seed");
}

#[test]
fn the_table_lists_the_files() {
    let table = fs::read_to_string(folder().join("README.md")).unwrap();
    let listed: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(".yaml`")).map(|(name, _)| name).collect();
    let files: Vec<String> = scenarios().into_iter().map(|(file, _)| file).collect();
    assert_eq!(listed, files);
}

#[test]
fn the_first_frame_of_every_camera_is_drawn() {
    for (file, script) in scenarios() {
        let small = Script { width: 320, height: 180, ..script };
        let cameras = small.cameras.len().max(1);
        let drive = Drive::of(small);
        for camera in 0..cameras {
            let (image, _) = drive.frame_of(camera, 0.0);
            let distinct: BTreeSet<[u8; 3]> = image.pixels().map(|pixel| pixel.0).collect();
            assert!(image.dimensions() == (320, 180) && distinct.len() > 500, "{file}, camera {camera}");
        }
    }
}

#[test]
fn what_a_scenario_promises_comes_into_view() {
    for (name, anomalies) in [
        ("fog_coming_in", &["fog"][..]),
        ("low_sun", &["glare"]),
        ("mud", &["mud"]),
        ("dead_pixels", &["dead pixels"]),
        ("frozen_camera", &["frozen image"]),
        ("foreign_sign", &["unknown sign"]),
        ("graffiti_rising", &["graffiti"]),
        ("stickers_rising", &["stickers"]),
        ("upside_down", &["upside down"]),
        ("led_sign", &["LED sign"]),
        ("two_cameras", &["wrong channel order"]),
        ("clear_day", &[]),
        ("rain_at_night", &[]),
        ("similar_signs", &[]),
    ] {
        let script = Script::load(&folder().join(format!("{name}.yaml"))).unwrap();
        let cameras = script.cameras.len().max(1);
        let small = Script { width: 320, height: 180, ..script };
        let (frames, drive) = (small.duration_secs as u16 * 5, Drive::of(small));
        let seen: BTreeSet<&str> = (0..frames)
            .flat_map(|frame| (0..cameras).map(move |camera| (frame, camera)))
            .flat_map(|(frame, camera)| drive.frame_of(camera, f32::from(frame) / 5.0).1)
            .filter_map(|sign| sign.strange())
            .collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), anomalies, "{name}");
    }
}
