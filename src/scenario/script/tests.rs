use std::path::Path;

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Script, String> {
    Script::parse(text, Path::new("a.yaml")).map_err(|error| error.to_string())
}

const LEAST: &str = "version: 1\nname: least\nduration_secs: 8\n";

fn error(rest: &str) -> String {
    read(&format!("{LEAST}{rest}")).unwrap_err().replace(" (docs/scenarios.md has all fields)", "")
}

#[test]
fn what_is_left_out_has_a_default() {
    let script = read(LEAST).unwrap();
    assert_eq!((script.seed, script.rate_hz, script.width, script.height), (1, 10.0, 1280, 720));
    assert_eq!((script.frames(), script.road.speed_mps), (80, 16.0));
    assert_eq!(script.moment(3.0), Moment::default());
    assert_eq!(script.signs, Signs::default());
}

#[test]
fn a_whole_scenario_is_read() {
    let text = r"
version: 1
name: all_there_is
description: everything at once
seed: 7
duration_secs: 12
rate_hz: 5
width: 640
height: 360
road: {speed_mps: 12, surface: cobbles, surroundings: town}
cameras:
  - {name: left, offset_m: -0.4, yaw_deg: -8}
  - {name: right}
weather:
  - {kind: fog, from_secs: 2, to_secs: 10, strength: 0.8, fade_secs: 2}
light:
  - {kind: night}
signs:
  random: {every_secs: 1.5, strange_share: 0.25, anomalies: [stickers, unknown_sign]}
  list:
    - {class: stop, at_secs: 5, side: left, look: faded, attack: {kind: graffiti, size: 0.3}}
    - {foreign: st_andrews_cross, at_secs: 7, offset_m: 4, height_m: 2.5}
  rows:
    - {classes: [yield, stop], count: 4, at_secs: 9, spacing_m: 8}
faults:
  - {kind: dead_pixels, from_secs: 6, strength: 0.4, camera: right}
expect: ['false_alarms>2', 'missed_anomalies>0']
";
    let script = read(text).unwrap();
    assert_eq!(script.moment(3.0), Moment { fog: 0.4, night: 1.0, ..Moment::default() });
    assert_eq!(script.signs.list[0].class, Some(ClassName(14)));
    assert_eq!(script.signs.list[0].attack, Some(Attack { kind: AttackKind::Graffiti, size: 0.3 }));
    assert_eq!(script.signs.rows[0].classes, [ClassName(13), ClassName(14)]);
    assert_eq!(script.faults[0].camera.as_deref(), Some("right"));
    assert_eq!(script.expect, ["false_alarms>2", "missed_anomalies>0"]);
}

#[test]
fn errors_name_file_line_column_and_field() {
    assert_eq!(
        error("weather:\n  - {kind: fog, strength: 1.5}\n"),
        "a.yaml:5:27: weather[0].strength: 1.5 is out of range, expected 0 to 1"
    );
    assert_eq!(
        error("road:\n  sped_mps: 3\n"),
        "a.yaml:5:3: road.sped_mps: unknown field `sped_mps`, expected one of speed_mps, surface, surroundings, \
         textures"
    );
    let found = error("weather: [{kind: hail}]\n");
    assert!(found.starts_with("a.yaml:4:18: weather[0].kind: ") && found.contains("clear, fog, rain, snow"), "{found}");
    let found = error("signs: {list: [{class: stopp, at_secs: 1}]}\n");
    assert!(found.starts_with("a.yaml:4:24: signs.list[0].class: there is no class `stopp`"), "{found}");
    let found = error("weather: [{kind: fog, from_secs: 5, to_secs: 4}]\n");
    assert!(found.contains("weather[0]: to_secs is 4, expected more than from_secs, which is 5"), "{found}");
    assert!(error("faults: [{kind: noise, camera: left}]\n").contains("there is no camera `left`; there are: none"));
    let found = read("version: 2\nname: a\nduration_secs: 8\n").unwrap_err();
    assert!(found.starts_with("a.yaml:1:10: version: version 2 is not known, expected 1"), "{found}");
    assert!(read("").unwrap_err().contains("a.yaml:1:1: "));
    assert!(Script::load(Path::new("/no/such.yaml")).unwrap_err().to_string().contains("/no/such.yaml"));
}

#[test]
fn nothing_is_unbounded() {
    for (field, value) in [
        ("seed", "-1"),
        ("rate_hz", "61"),
        ("rate_hz", ".nan"),
        ("width", "100000"),
        ("height", "1"),
        ("road", "{speed_mps: .inf}"),
        ("signs", "{rows: [{classes: [stop], count: 51, at_secs: 1}]}"),
        ("signs", "{rows: [{classes: [], count: 5, at_secs: 1}]}"),
        ("signs", "{random: {every_secs: 0.01}}"),
        ("signs", "{random: {alternate: true, strange_share: 0.5}}"),
        ("signs", "{list: [{class: stop, foreign: beacon, at_secs: 1}]}"),
        ("signs", "{list: [{foreign: beacon, at_secs: 1, look: led}]}"),
        ("cameras", "[{name: a}, {name: a}]"),
        ("cameras", "[{name: 'a-b'}]"),
        ("cameras", "[{name: ../a}]"),
        ("expect", "['']"),
    ] {
        let found = error(&format!("{field}: {value}\n"));
        assert!(found.contains(field), "{field}: {value}: {found}");
    }
    let many = "{class: stop, at_secs: 1}, ".repeat(201);
    assert!(error(&format!("signs: {{list: [{many}]}}\n")).contains("too many, expected at most 200"));
    assert!(read("version: 1\nname: a\nduration_secs: 3601\n").is_err());
    assert!(read("version: 1\nname: A/b\nduration_secs: 8\n").unwrap_err().contains("`A/b` is no name"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,120}") {
        let _ = read(&text);
        let _ = read(&format!("{LEAST}{text}"));
        let _ = read(&format!("{LEAST}signs: {{list: [{text}]}}\n"));
    }

    #[test]
    fn no_damage_to_a_scenario_makes_the_reader_panic(at in 0_usize..180, with in "[-:{}\\[\\]&*!|>'\"%@`#,? \\n0-9a-z]{0,4}") {
        let text = format!("{LEAST}weather: [{{kind: fog, from_secs: 1}}]\nsigns: {{list: [{{class: stop, at_secs: 4}}]}}\n");
        let at = at.min(text.len());
        let _ = read(&format!("{}{with}{}", &text[..at], text.get(at + 1..).unwrap_or_default()));
    }
}

/// What the reader would have accepted in the place of `zzz`.
fn accepted(rest: &str) -> Vec<String> {
    let found = error(rest);
    let (_, list) = found.rsplit_once("expected ").unwrap_or_else(|| panic!("{found}"));
    let names = list.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    names.filter(|name| !matches!(*name, "" | "one" | "of" | "or")).map(str::to_owned).collect()
}

#[test]
fn every_field_and_every_value_is_documented() {
    let document = include_str!("../../../docs/scenarios.md");
    let words: std::collections::BTreeSet<&str> =
        document.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).collect();
    let mut count = 0;
    for place in [
        "zzz: 1",
        "road: {zzz: 1}",
        "road: {surface: zzz}",
        "road: {surroundings: zzz}",
        "road: {textures: zzz}",
        "cameras: [{zzz: 1}]",
        "weather: [{zzz: 1}]",
        "weather: [{kind: zzz}]",
        "light: [{kind: zzz}]",
        "faults: [{zzz: 1}]",
        "faults: [{kind: zzz}]",
        "signs: {zzz: 1}",
        "signs: {random: {zzz: 1}}",
        "signs: {random: {anomalies: [zzz]}}",
        "signs: {random: {lasting: {zzz: 1}}}",
        "signs: {list: [{zzz: 1}]}",
        "signs: {list: [{foreign: zzz}]}",
        "signs: {list: [{side: zzz}]}",
        "signs: {list: [{look: zzz}]}",
        "signs: {list: [{attack: {zzz: 1}}]}",
        "signs: {list: [{attack: {kind: zzz}}]}",
        "signs: {rows: [{zzz: 1}]}",
    ] {
        for name in accepted(place) {
            assert!(words.contains(name.as_str()), "docs/scenarios.md does not mention `{name}` ({place})");
            count += 1;
        }
    }
    assert!(count > 100, "{count} names found");
}
