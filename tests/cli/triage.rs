//! Events of the black box, looked through for what to label next.

use std::{fs, path::Path, sync::Arc, time::Duration};

use activation_monitor::{
    black_box::{BlackBox, CompressedPicture, Item, Message, RawPicture, Settings, Trigger},
    dataset::{
        cdr::{Header, Region, RegionOfInterest, Time},
        verdicts::{DetectorScore, Deviation, ObjectConfidence, OodConfidence, OodConfidenceArray},
    },
    scenario::draw_training_sign,
};
use image::{RgbImage, codecs::jpeg::JpegEncoder, imageops};

use super::world::World;

const START: u64 = 1_750_000_000_000_000_000;
/// From one image to the next one.
const PERIOD: u64 = 50_000_000;
/// Side of a sign in pixels.
const SIGN: u32 = 64;
/// What the cameras see: class of the sign, layer that finds it strange, nearest class, p-value.
const SIGNS: [(usize, &str, &str, f32); 3] =
    [(14, "stage2", "yield", 0.008), (17, "stage3", "priority road", 0.001), (33, "stage3", "priority road", 0.0005)];

fn header(nanos: u64, frame_id: &str) -> Header {
    Header { stamp: Time::from_nanos(nanos), frame_id: frame_id.into() }
}

/// All signs side by side.
fn picture(seed: u64) -> RgbImage {
    let mut picture = RgbImage::new(SIGN * 3, SIGN);
    for (place, (class, ..)) in SIGNS.into_iter().enumerate() {
        imageops::replace(&mut picture, &draw_training_sign(class, seed, SIGN), i64::from(SIGN) * place as i64, 0);
    }
    picture
}

fn judged(place: usize) -> OodConfidence {
    let (class, layer, nearest, p_value) = SIGNS[place];
    let roi =
        RegionOfInterest { x_offset: SIGN * place as u32, y_offset: 0, height: SIGN, width: SIGN, do_rectify: false };
    let id = format!("sign {place}");
    let deviation = Deviation {
        detector: "mahalanobis".into(),
        layer: layer.into(),
        unit: 7,
        class_name: String::new(),
        contribution: 3.0,
        value: 0.9,
        expected: 0.2,
    };
    let object = ObjectConfidence {
        id: id.clone(),
        views: 1,
        first_seen: Time::from_nanos(START),
        verdict: 3,
        reason: String::new(),
        p_value,
        evidence: 4.0,
        class_id: class as i32,
        class_name: "stop".into(),
        class_share: 1.0,
    };
    OodConfidence {
        region: Region { id, roi },
        verdict: 3,
        reason: String::new(),
        p_value,
        confidence: 1.0 - p_value,
        predicted_class_id: class as i32,
        predicted_class_name: "stop".into(),
        score: 0.9,
        hamming_distance: 12,
        detectors: vec![DetectorScore { name: "mahalanobis".into(), score: 30.0, p_value }],
        deviations: vec![deviation],
        explanation: format!("mahalanobis: {layer} channel 7 is 0.9, expected 0.2"),
        nearest_class_name: nearest.into(),
        object,
    }
}

fn verdicts(nanos: u64, frame: &str) -> OodConfidenceArray {
    OodConfidenceArray {
        header: header(nanos, frame),
        received: Time::from_nanos(nanos),
        published: Time::from_nanos(nanos),
        model_id: "0123456789ab".into(),
        monitor_id: "ba9876543210".into(),
        suspect_level: 0.05,
        alarm_level: 0.01,
        results: (0..SIGNS.len()).map(judged).collect(),
    }
}

/// An image of each camera, and what is said about it.
fn see(black_box: &BlackBox, number: u64) {
    let (nanos, picture) = (START + number * PERIOD, picture(number));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&picture).unwrap();
    let compressed = CompressedPicture { header: header(nanos, "left"), format: "jpeg".into(), data: Arc::new(jpeg) };
    let (width, height) = picture.dimensions();
    let raw = RawPicture {
        header: header(nanos, "right"),
        encoding: "rgb8".into(),
        width,
        height,
        step: 3 * width,
        is_bigendian: false,
        data: Arc::new(picture.into_raw()),
    };
    black_box.push(Item::new("/left/image/compressed", nanos, compressed));
    black_box.push(Item::new("/right/image", nanos, raw));
    for camera in ["left", "right"] {
        let message = Message { message: verdicts(nanos, camera), bytes: 2000 };
        black_box.push(Item::new(format!("/monitor/{camera}/ood"), nanos + 1, message));
    }
}

/// Two events, of one second before their trigger.
fn record(folder: &Path) {
    for event in 0..2 {
        let second = Duration::from_secs(1);
        let settings = Settings { before: second, after: second, least_free_bytes: 0, ..Settings::new(folder) };
        let black_box = BlackBox::start(settings).unwrap();
        for number in 0..10 {
            see(&black_box, 1000 * event + number);
        }
        let stamp_nanos = START + (1000 * event + 9) * PERIOD;
        black_box.trigger(Trigger { name: "alarm".into(), stamp_nanos, text: "three strange signs".into() });
        let counts = black_box.finish();
        assert_eq!((counts.events.written, counts.messages.written), (1, 40), "{counts:?}");
    }
}

#[test]
fn events_become_groups_to_label() {
    let world = World::new();
    record(&world.path("events"));
    let cut_off = world.path("events/event_20250615T150640Z_alarm_3.cut_off");
    fs::create_dir(&cut_off).unwrap();
    let whole = world.path("events/event_20250615T150640Z_alarm_1/event_20250615T150640Z_alarm_1_0.mcap");
    let bytes = fs::read(whole).unwrap();
    fs::write(cut_off.join("event_20250615T150640Z_alarm_3_0.mcap"), &bytes[..bytes.len() / 2]).unwrap();

    let run = world.succeed("triage events --output triage");
    assert!(run.stderr.contains("alarm_3_0.mcap: "), "{}", run.stderr);
    let summary = run.stderr.lines().last().unwrap_or_default();
    let regions: usize = summary.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(summary.ends_with(" regions of 3 events in 2 groups"), "{}", run.stderr);
    assert!((121..180).contains(&regions), "two events and a part of a third: {summary}");

    let page = fs::read_to_string(world.path("triage/index.html")).unwrap();
    let (first, second) = (page.find("mahalanobis, layer stage2"), page.find("mahalanobis, layer stage3"));
    assert!(first.is_some() && first < second, "the least strange group comes first");
    // Two cameras and two events: four objects of the first kind; of eight of the second, as many crops as are shown.
    let crops = page.matches("data:image/png;base64,").count();
    assert!((4 + 8..6 + 8 + 1).contains(&crops), "{crops}");
    for text in
        ["/left/image/compressed", "/right/image", "nearest: priority road", "alarm_3_0.mcap: ", "2025-06-15 15:06:40"]
    {
        assert!(page.contains(text), "{text}");
    }
    let table = fs::read_to_string(world.path("triage/triage.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + regions);
    assert!(
        table.contains(",/right/image,1750000000.050000000,sign 1,stop,0.9,0.001,OUT_OF_DISTRIBUTION,priority road,2,")
    );
}

#[test]
fn without_anything_to_read_it_fails() {
    let world = World::new();
    fs::create_dir(world.path("nothing")).unwrap();
    let text = world.fail("triage nothing missing --output triage");
    assert!(text.contains("nothing: a folder without .mcap or .db3 files"), "{text}");
    assert!(text.contains("missing: No such file"), "{text}");
    assert!(text.ends_with("error: none of 2 events could be read\n"), "{text}");
    assert!(!world.path("triage").exists());
    assert_eq!(world.run("triage --output triage").code, Some(2));
}
