//! Replays of small bags: rows, messages, reports, gates, faults.

use std::fs;
use std::io::{Cursor, Write};

use activation_monitor::dataset::{
    bag::{BagReader, BagWriter},
    cdr::{CompressedImage, Header, Region, RegionArray, RegionOfInterest, Time},
    verdicts::{OodConfidenceArray, StreamState},
};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;

use super::world::{World, known_image, write_model};

const START: u64 = 1_750_000_000_000_000_000;
const PERIOD: u64 = 100_000_000;
/// The monitor of 36 calibration images gives no smaller p-value than 1/37.
const REPLAY: &str =
    "replay --model model --monitor signs.monitor --device cpu -p alarm_level:=0.05 -p suspect_level:=0.2";

fn header(stamp: u64) -> Header {
    Header { stamp: Time::from_nanos(stamp), frame_id: "camera".into() }
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A scene with a sign of a known colour, which is grey in the third second.
fn scene(number: u64) -> RgbImage {
    let mut scene = RgbImage::from_pixel(40, 30, Rgb([90, 90, 90]));
    let sign = if (20..30).contains(&number) {
        RgbImage::from_fn(12, 10, |x, y| Rgb([((x * 7 + y * 13 + number as u32) % 9) as u8 * 25; 3]))
    } else {
        known_image(1, 500 + number)
    };
    image::imageops::replace(&mut scene, &sign, 5, 5);
    scene
}

/// Four seconds.
fn record(world: &World, name: &str) {
    record_images(world, name, 40);
}

/// Images at 10 Hz; the sign has its own region, and the regions come 30 ms after their image.
fn record_images(world: &World, name: &str, images: u64) {
    let mut bag = BagWriter::create(&world.path(name)).unwrap();
    for number in 0..images {
        let stamp = START + number * PERIOD;
        let image = CompressedImage { header: header(stamp), format: "png".into(), data: png(&scene(number)) };
        bag.write("/camera/image/compressed", stamp, &image).unwrap();
        let roi = RegionOfInterest { x_offset: 5, y_offset: 5, height: 10, width: 12, do_rectify: false };
        let regions = vec![Region { id: format!("sign {}", number / 10), roi }];
        let regions = RegionArray { header: header(stamp), regions };
        bag.write("/detector/regions", stamp + 30_000_000, &regions).unwrap();
    }
    bag.finish().unwrap();
}

fn world() -> World {
    let world = World::new();
    world.fit();
    record(&world, "drive");
    fs::write(world.path("truth.csv"), "begin_secs,end_secs,anomaly\n2.0,2.95,grey\n").unwrap();
    world
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_same_bag_gives_the_same_bytes_whatever_the_number_of_threads() {
    let world = world();
    for jobs in [1, 3] {
        let outputs = format!("--json {jobs}.jsonl --csv {jobs}.csv --output {jobs}/out --jobs {jobs}");
        fs::create_dir(world.path(&jobs.to_string())).unwrap();
        let run = world.succeed(&format!("{REPLAY} drive --ground-truth truth.csv {outputs}"));
        assert!(run.stderr.starts_with("drive: 40 images in "), "{}", run.stderr);
        let figures = json(&run.stdout);
        assert_eq!(
            (&figures["images"], &figures["regions"], &figures["unknown_share"]),
            (&40.into(), &40.into(), &0.0.into())
        );
        assert_eq!((&figures["anomalies"], &figures["missed_anomalies"]), (&1.into(), &0.into()));
    }
    let bytes = |name: &str| fs::read(world.path(name)).unwrap();
    for name in ["jsonl", "csv"] {
        assert!(bytes(&format!("1.{name}")) == bytes(&format!("3.{name}")), "{name}");
    }
    assert!(bytes("1/out/out_0.mcap") == bytes("3/out/out_0.mcap"));

    let lines = fs::read_to_string(world.path("1.jsonl")).unwrap();
    let row = json(lines.lines().nth(25).unwrap());
    assert_eq!(
        (&row["bag"], &row["topic"], &row["object"]),
        (&"drive".into(), &"/camera/image/compressed".into(), &"sign 2".into())
    );
    assert_eq!((&row["verdict"], &row["truth_anomaly"]), (&"OUT_OF_DISTRIBUTION".into(), &"grey".into()));
    assert_eq!(row["log_nanos"], START + 25 * PERIOD + 30_000_000);
    assert!(row["detector_p_values"]["knn"].is_number());
    let table = fs::read_to_string(world.path("1.csv")).unwrap();
    assert_eq!(table.lines().count(), 41);
    assert!(table.starts_with("bag,topic,stamp_nanos,"));
}

#[test]
fn the_recording_has_the_messages_of_the_node() {
    let world = world();
    world.succeed(&format!("{REPLAY} drive --output out"));
    let bag = BagReader::open(&world.path("out")).unwrap();
    let topics: Vec<(String, u64)> =
        bag.topics().iter().map(|topic| (topic.name.clone(), topic.message_count)).collect();
    let expected = [("classification", 40), ("ood", 40), ("stream_changes", 1), ("stream_state", 40)];
    assert_eq!(topics, expected.map(|(name, count)| (format!("/monitor/{name}"), count)));
    world.succeed(&format!("{REPLAY} drive --output out.mcap"));
    assert!(world.path("out.mcap").is_file() && !world.path("out.mcap.partial").exists());
    assert!(fs::read(world.path("out.mcap")).unwrap() == fs::read(world.path("out/out_0.mcap")).unwrap());
    let mut strange = 0;
    for message in bag {
        let message = message.unwrap();
        if message.topic.as_ref() == "/monitor/ood" {
            let array: OodConfidenceArray = message.decode().unwrap();
            assert_eq!((array.results.len(), array.received.as_nanos() % PERIOD), (1, 0));
            strange += u64::from(array.results[0].verdict == 3);
        } else if message.topic.as_ref() == "/monitor/stream_state" {
            assert_eq!(message.decode::<StreamState>().unwrap().promised_hours_between_false_alarms, 10.0);
        }
    }
    assert!((9..=14).contains(&strange), "{strange}");
}

#[test]
fn a_gate_fails_with_its_own_code() {
    let world = world();
    let truth = format!("{REPLAY} drive --ground-truth truth.csv");
    let run = world.run(&format!("{truth} --fail-on missed_anomalies>0 --fail-on images<41"));
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.ends_with("failed: images<41: it is 40\n"), "{}", run.stderr);
    world.succeed(&format!("{truth} --fail-on missed_anomalies>0 --fail-on detection_delay_secs_max>1"));
    let unknown = world.run(&format!("{truth} --fail-on false_alarm_rate>1"));
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("`false_alarm_rate`; there are images, regions"), "{}", unknown.stderr);
    let untold = world.run(&format!("{REPLAY} drive --fail-on false_alarms>0"));
    assert_eq!(untold.code, Some(3));
    assert!(untold.stderr.contains("--ground-truth"), "{}", untold.stderr);
}

#[test]
fn reports_show_alarms_and_what_was_strange() {
    let world = world();
    let run = world.succeed(&format!(
        "{REPLAY} drive --ground-truth truth.csv --report report --junit junit.xml --fail-on images<1"
    ));
    assert!(run.stderr.contains("wrote report/index.html"), "{}", run.stderr);
    let page = fs::read_to_string(world.path("report/index.html")).unwrap();
    for text in ["Replay with colours", "passed: not ", "/detector/regions", "data:image/png;base64,", "grey", "<svg"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("NaN") && !page.contains("http://") && !page.contains("<script"));
    let report = json(&fs::read_to_string(world.path("report/report.json")).unwrap());
    let bag = &report["bags"][0];
    assert_eq!((&bag["name"], &bag["anomalies"][0]["anomaly"]), (&"drive".into(), &"grey".into()));
    assert!(bag["anomalies"][0]["found"]["delay_secs"].as_f64().unwrap() < 1.0);
    let junit = fs::read_to_string(world.path("junit.xml")).unwrap();
    assert!(junit.contains("tests=\"2\" failures=\"0\"") && junit.contains("not images&lt;1"), "{junit}");
}

#[test]
fn of_a_bag_that_was_cut_off_everything_up_to_there_is_judged() {
    let world = world();
    let file = world.path("drive/drive_0.mcap");
    let bytes = fs::read(&file).unwrap();
    fs::write(world.path("cut.mcap"), &bytes[..bytes.len() / 2]).unwrap();
    let run = world.succeed(&format!("{REPLAY} cut.mcap"));
    assert!(run.stderr.contains("warning: cut: "), "{}", run.stderr);
    let images = json(&run.stdout)["images"].as_u64().unwrap();
    assert!((5..40).contains(&images), "{images}: {}", run.stderr);
}

#[test]
fn what_is_no_bag_is_called_by_its_name() {
    let world = world();
    fs::write(world.path("old.bag"), b"#ROSBAG V2.0\nand more").unwrap();
    fs::create_dir(world.path("empty")).unwrap();
    for (bag, word) in [
        ("old.bag", "ROS 1"),
        ("empty", "a folder without"),
        ("nowhere", "No such file"),
        ("truth.csv", "another format"),
    ] {
        let text = world.fail(&format!("{REPLAY} {bag}"));
        assert!(text.contains(word), "{bag}: {text}");
    }
    let text = world.fail(&format!("{REPLAY} drive --topic /front/image"));
    assert!(
        text.contains("no topic /front/image: found /camera/image/compressed (sensor_msgs/msg/CompressedImage)"),
        "{text}"
    );
    let text = world.fail(&format!("{REPLAY} drive --regions /camera/image/compressed"));
    assert!(text.contains("expected activation_monitor/msg/RegionArray or vision_msgs/msg/Detection2DArray"), "{text}");
}

#[test]
fn whole_images_are_judged_where_that_is_asked_for() {
    let world = world();
    let run = world.succeed(&format!("{REPLAY} drive --whole-images --json rows.jsonl"));
    assert_eq!(json(&run.stdout)["regions"], 40);
    let row = json(fs::read_to_string(world.path("rows.jsonl")).unwrap().lines().next().unwrap());
    assert_eq!((&row["width"], &row["height"], &row["object"]), (&0.into(), &0.into(), &"".into()));
}

#[test]
fn regions_that_never_come_are_said() {
    let world = world();
    let mut bag = BagWriter::create(&world.path("bare")).unwrap();
    for number in 0..3 {
        let stamp = START + number * PERIOD;
        let image = CompressedImage { header: header(stamp), format: "png".into(), data: png(&scene(number)) };
        bag.write("/camera/image/compressed", stamp, &image).unwrap();
    }
    bag.write("/regions", START, &RegionArray { header: header(START + 7), regions: Vec::new() }).unwrap();
    bag.finish().unwrap();
    let run = world.succeed(&format!("{REPLAY} bare --json rows.jsonl"));
    assert_eq!(json(&run.stdout)["unknown_share"], 1.0);
    let rows = fs::read_to_string(world.path("rows.jsonl")).unwrap();
    assert!(rows.contains("no regions with the stamp of the image within 0.50 s"), "{rows}");
}

#[test]
fn another_monitor_is_compared_image_by_image() {
    let world = world();
    let same = world.succeed(&format!("{REPLAY} drive --compare signs.monitor"));
    assert!(
        same.stderr.contains("beside the other monitor: 40 images, 40 regions; other verdicts of views 0,"),
        "{}",
        same.stderr
    );
    write_model(&world.path("other"), 1.0);
    world.succeed("fit --model other --data data --output other.monitor --device cpu --seed 7");
    let run = world.succeed(&format!("{REPLAY} drive --compare other.monitor --compare-model other --report report"));
    let comparison = json(&fs::read_to_string(world.path("report/comparison.json")).unwrap());
    assert_eq!((&comparison["images"], &comparison["only_first"]), (&40.into(), &0.into()));
    assert!(comparison["largest_p_value_change"].as_f64().unwrap() > 0.0, "{}", run.stderr);
    assert_eq!(comparison["figures"]["images"], 40);
    let page = fs::read_to_string(world.path("report/index.html")).unwrap();
    assert!(page.contains("Beside the other monitor") && page.contains("40 images with 40 regions"));
}

#[test]
fn faults_are_found_or_missed() {
    let world = world();
    let run = world.succeed(&format!(
        "{REPLAY} drive --inject exposure:1 --inject latency:2 --inject-from-secs 3 --report report"
    ));
    let figures = json(&run.stdout);
    assert_eq!((&figures["injected_faults"], &figures["images"]), (&2.into(), &40.into()));
    let report = json(&fs::read_to_string(world.path("report/report.json")).unwrap());
    let faults = report["bags"][0]["faults"].as_array().unwrap();
    assert_eq!((&faults[0]["fault"], &faults[0]["images"]), (&"exposure:1".into(), &10.into()));
    // Images that come two seconds late have no regions any more.
    assert_eq!((&faults[1]["found"]["delay_secs"], &faults[1]["alarm_share"]), (&0.0.into(), &1.0.into()));
    let missed =
        world.run(&format!("{REPLAY} drive --inject dead_pixels:0.01 --inject-from-secs 3 --fail-on missed_faults>0"));
    assert_eq!(missed.code, Some(3), "{}", missed.stderr);
    let unknown = world.run(&format!("{REPLAY} drive --inject rain"));
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("there are fog, blur, mud"), "{}", unknown.stderr);
}

#[test]
fn a_frozen_camera_is_what_the_diagnostics_warn_of() {
    let world = world();
    record_images(&world, "long", 90);
    let run = world.succeed(&format!(
        "{REPLAY} long --inject frozen --inject latency:3.5 --inject-from-secs 3 --report report --fail-on missed_faults>0"
    ));
    let figures = json(&run.stdout);
    assert_eq!((&figures["input_warnings"], &figures["missed_faults"]), (&0.into(), &0.into()));
    let report = json(&fs::read_to_string(world.path("report/report.json")).unwrap());
    let faults = &report["bags"][0]["faults"];
    // The fiftieth image that repeats the first one.
    assert_eq!((&faults[0]["fault"], &faults[0]["warned_after_secs"]), (&"frozen:0.5".into(), &5.0.into()));
    assert_eq!((&faults[1]["fault"], &faults[1]["warned_after_secs"]), (&"latency:3.5".into(), &0.0.into()));
    let page = fs::read_to_string(world.path("report/index.html")).unwrap();
    assert!(page.contains("diagnostics warn after") && page.contains("5.0\u{a0}s"));
}

#[test]
fn an_interrupted_replay_goes_on_with_the_next_recording() {
    let world = world();
    record(&world, "second");
    let outputs = "--ground-truth truth.csv --json rows.jsonl --csv rows.csv --output out --report report";
    let whole = world.succeed(&format!("{REPLAY} drive second {outputs}"));
    let written = || {
        let files = ["rows.jsonl", "rows.csv", "out/drive/drive_0.mcap", "out/second/second_0.mcap"];
        files.map(|name| fs::read(world.path(name)).unwrap())
    };
    let expected = written();
    for name in ["rows.jsonl", "rows.csv"] {
        fs::remove_file(world.path(name)).unwrap();
    }
    fs::remove_dir_all(world.path("out")).unwrap();

    let command = format!("{REPLAY} drive second {outputs} --resume progress");
    fs::rename(world.path("second"), world.path("elsewhere")).unwrap();
    assert!(world.fail(&command).contains("second"));
    assert!(world.path("progress").is_file() && !world.path("rows.jsonl").exists());
    // As if it had been killed while it wrote of the second recording.
    fs::create_dir(world.path("out/second")).unwrap();
    fs::OpenOptions::new().append(true).open(world.path("rows.csv.partial")).unwrap().write_all(b"half a ro").unwrap();

    let other = world.fail(&format!("{REPLAY} drive second {outputs} --resume progress -p top_k:=1"));
    assert!(other.contains("the command line differs"), "{other}");
    fs::rename(world.path("elsewhere"), world.path("second")).unwrap();
    let resumed = world.succeed(&command);
    assert!(
        resumed.stderr.starts_with("1 recordings were finished before\nsecond: 40 images in "),
        "{}",
        resumed.stderr
    );
    assert!(written() == expected);
    assert!(!world.path("progress").exists());
    let stable = |text: &str| {
        let mut figures = json(text);
        let figures = figures.as_object_mut().unwrap();
        figures.retain(|name, _| !name.starts_with("latency"));
        figures.clone()
    };
    assert_eq!(stable(&resumed.stdout), stable(&whole.stdout));
    let page = fs::read_to_string(world.path("report/index.html")).unwrap();
    assert_eq!(page.matches("data:image/png").count() % 2, 0, "crops of both recordings");
    assert!(page.contains("data:image/png"));
}
