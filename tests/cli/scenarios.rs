//! Scenarios: drawn, replayed and held against what they expect.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::world::World;

const REPLAY: &str =
    "replay --model model --monitor signs.monitor --device cpu -p alarm_level:=0.05 -p suspect_level:=0.2";
/// Two seconds of two small cameras, one of which stands still in the second one.
const SMALL: &str = "
version: 1
name: small
description: Two cameras.
duration_secs: 2
width: 320
height: 180
cameras: [{name: left}, {name: right, offset_m: 0.5}]
signs: {list: [{class: stop, at_secs: 2.0}]}
faults: [{kind: frozen, from_secs: 1, camera: right}]
";

fn world() -> World {
    let world = World::new();
    world.fit();
    world
}

#[test]
fn a_scenario_is_drawn_and_must_meet_what_it_expects() {
    let world = world();
    fs::write(world.path("met.yaml"), format!("{SMALL}expect: ['images<40', repeated_images>9]\n")).unwrap();
    let failing = SMALL.replace("name: small", "name: failing");
    fs::write(world.path("failing.yaml"), format!("{failing}expect: ['images<40', images>=40]\n")).unwrap();

    let met = world.succeed(&format!("{REPLAY} met.yaml --output answers"));
    assert!(met.stderr.starts_with("small: 40 images in "), "{}", met.stderr);
    assert!(world.path("answers/metadata.yaml").is_file());

    let run = world.run(&format!("{REPLAY} met.yaml failing.yaml --report report --junit junit.xml"));
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.ends_with("failed: failing: images>=40: it is 40\n"), "{}", run.stderr);
    let report: Value = serde_json::from_str(&fs::read_to_string(world.path("report/report.json")).unwrap()).unwrap();
    assert_eq!(report["bags"][0]["failures"], Value::Array(Vec::new()));
    assert_eq!(report["bags"][0]["figures"]["repeated_images"], 9);
    assert_eq!(report["bags"][1]["failures"][0], "images>=40: it is 40");
    let page = fs::read_to_string(world.path("report/index.html")).unwrap();
    assert!(page.contains("1 of 2") && page.contains("Two cameras.") && page.contains("no, 1 of 2 fail"));
    let junit = fs::read_to_string(world.path("junit.xml")).unwrap();
    assert!(junit.contains(r#"<testsuites name="activation-monitor replay" tests="6" failures="1""#), "{junit}");
}

#[test]
fn a_scenario_that_cannot_be_used_is_refused_before_anything_is_drawn() {
    let world = world();
    for (text, expected) in [
        (SMALL.replace("duration_secs: 2", "duration_secs: long"), "5:16: duration_secs"),
        (format!("{SMALL}expect: [alarms_per_day>1]\n"), "there is no figure `alarms_per_day`"),
        (format!("{SMALL}wether: []\n"), "wether"),
    ] {
        fs::write(world.path("bad.yaml"), text).unwrap();
        let error = world.fail(&format!("{REPLAY} bad.yaml"));
        assert!(error.contains("bad.yaml") && error.contains(expected), "{error}");
    }
}

#[test]
fn the_shipped_monitor_finds_foreign_signs_and_a_frozen_camera() {
    let world = World::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = project.join("models/traffic_signs");
    let scenario = |name: &str| project.join(format!("tests/scenarios/{name}.yaml")).display().to_string();
    let run = world.succeed(&format!(
        "replay --model {model} --monitor {model}/traffic_signs.monitor {} {}",
        scenario("foreign_sign"),
        scenario("frozen_camera"),
        model = model.display(),
    ));
    let figures: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&figures["images"], &figures["missed_objects"]), (&300.into(), &3.into()), "{figures}");
}
