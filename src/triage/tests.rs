use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::*;
use crate::dataset::bag::{BagWriter, Encoded};
use crate::dataset::cdr::{self, CompressedImage, Header, Image, RegionOfInterest, Time};
use crate::dataset::verdicts::{Deviation, ObjectConfidence, OodConfidence, OodConfidenceArray};
use crate::scenario::draw_training_sign;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_750_000_000 * SECOND;

fn cause(place: &str, nearest: &str) -> Cause {
    Cause { detector: "knn".into(), place: Place::Layer(place.into()), nearest: nearest.into() }
}

fn sighting(object: &str, cause: Cause, p_value: f32, width: u32) -> Sighting {
    Sighting {
        event: "event".into(),
        camera: "/camera/image".into(),
        stamp_nanos: START,
        object: object.into(),
        region: Region { x: 0, y: 0, width, height: 10 },
        predicted: "stop".into(),
        score: 0.75,
        p_value,
        verdict: Verdict::OutOfDistribution,
        evidence: f32::NAN,
        cause,
        explanation: "knn: far away".into(),
        crop: None,
    }
}

#[test]
fn an_object_counts_once_in_each_of_its_groups() {
    let sightings = [
        sighting("a", cause("one", "stop"), 0.009, 10),
        sighting("a", cause("one", "stop"), 0.004, 10),
        sighting("a", cause("one", "stop"), 0.004, 20),
        sighting("a", cause("two", "stop"), 0.001, 10),
        sighting("b", cause("one", "stop"), 0.006, 10),
        Sighting { event: "other".into(), ..sighting("a", cause("one", "stop"), 0.002, 10) },
        sighting("", cause("two", "stop"), 0.002, 10),
        sighting("", cause("two", "stop"), 0.003, 10),
        sighting("c", cause("two", "yield"), 0.007, 10),
    ];
    let groups = groups(&sightings);
    let causes: Vec<&Cause> = groups.iter().map(|group| group.cause).collect();
    assert_eq!(causes, [&cause("two", "yield"), &cause("one", "stop"), &cause("two", "stop")], "the nearest first");
    let objects = |group: &Group<'_>| -> Vec<(f32, usize)> {
        group.objects.iter().map(|object| (object.best.p_value, object.views)).collect()
    };
    assert_eq!(objects(&groups[1]), [(0.006, 1), (0.004, 3), (0.002, 1)]);
    assert_eq!(groups[1].objects[1].best.region.width, 20, "the larger of two equally strange views");
    assert_eq!(objects(&groups[2]), [(0.003, 1), (0.002, 1), (0.001, 1)]);
    assert_eq!((groups[1].views(), groups[1].events(), groups[1].p_value()), (5, 2, 0.004));
    let views: usize = groups.iter().map(Group::views).sum();
    assert_eq!(views, sightings.len());
}

#[test]
fn equally_strange_groups_are_ordered_by_evidence_and_size() {
    let evidence = |evidence: f32, place: &str, object: &str| Sighting {
        evidence,
        ..sighting(object, cause(place, "stop"), 0.01, 10)
    };
    let sightings = [
        evidence(f32::NAN, "unknown", "a"),
        evidence(3.0, "far", "b"),
        evidence(1.0, "near", "c"),
        evidence(3.0, "farther", "d"),
        evidence(3.0, "farther", "e"),
    ];
    let places: Vec<&Place> = groups(&sightings).iter().map(|group| &group.cause.place).collect();
    let expected = ["near", "farther", "far", "unknown"].map(|place| Place::Layer(place.into()));
    assert_eq!(places, expected.iter().collect::<Vec<_>>());
}

#[test]
fn crops_are_spread_over_the_group_and_bounded_over_all_events() {
    let with_crop = |number: u16| Sighting {
        crop: Some(RgbImage::new(1, 1)),
        ..sighting(&number.to_string(), cause("one", "stop"), f32::from(number) / 1000.0, 10)
    };
    let mut collection = Collection::default();
    for event in 0..20 {
        collection
            .add(Reading { sightings: (0..5).map(|number| with_crop(5 * event + number)).collect(), notes: vec![] });
    }
    assert_eq!(collection.sightings().len(), 100);
    assert_eq!(collection.sightings().iter().filter(|sighting| sighting.crop.is_some()).count(), 64);
    let groups = groups(collection.sightings());
    let shown: Vec<&str> = groups[0].exhibits(3).iter().map(|object| object.best.object.as_str()).collect();
    assert_eq!(shown, ["63", "32", "0"]);
    assert_eq!(groups[0].exhibits(1).len(), 1);
    assert_eq!(groups[0].exhibits(100).len(), 64);
}

fn header(nanos: u64, frame: &str) -> Header {
    Header { stamp: Time::from_nanos(nanos), frame_id: frame.into() }
}

/// What is said about a sign at (10, 5), 40 × 30 pixels.
fn result(id: &str, verdict: u8, p_value: f32) -> OodConfidence {
    let roi = RegionOfInterest { x_offset: 10, y_offset: 5, height: 30, width: 40, do_rectify: false };
    let deviation = |detector: &str, layer: &str, class_name: &str| Deviation {
        detector: detector.into(),
        layer: layer.into(),
        unit: -1,
        class_name: class_name.into(),
        contribution: 3.0,
        value: 2.0,
        expected: 1.0,
    };
    OodConfidence {
        region: cdr::Region { id: id.into(), roi },
        verdict,
        reason: String::new(),
        p_value,
        confidence: 1.0 - p_value,
        predicted_class_id: 1,
        predicted_class_name: "stop".into(),
        score: 0.5,
        hamming_distance: 3,
        detectors: vec![],
        deviations: vec![deviation("mahalanobis", "stage3", ""), deviation("msp", "", "yield")],
        explanation: "mahalanobis: stage3 channel 4 is 2, expected 1".into(),
        nearest_class_name: "no <entry>".into(),
        object: ObjectConfidence {
            id: id.into(),
            views: 1,
            first_seen: Time::default(),
            verdict,
            reason: String::new(),
            p_value,
            evidence: 2.0,
            class_id: 1,
            class_name: "stop".into(),
            class_share: 1.0,
        },
    }
}

fn verdicts(nanos: u64, frame: &str, results: Vec<OodConfidence>) -> OodConfidenceArray {
    OodConfidenceArray {
        header: header(nanos, frame),
        received: Time::default(),
        published: Time::default(),
        model_id: String::new(),
        monitor_id: String::new(),
        suspect_level: 0.05,
        alarm_level: 0.01,
        results,
    }
}

/// Black, with a drawn sign where [`result`] says.
fn picture(seed: u64) -> RgbImage {
    let mut picture = RgbImage::new(80, 60);
    image::imageops::overlay(&mut picture, &draw_training_sign(14, seed, 30), 10, 5);
    picture
}

fn raw(nanos: u64, frame: &str, picture: &RgbImage) -> Image {
    Image {
        header: header(nanos, frame),
        height: picture.height(),
        width: picture.width(),
        encoding: "rgb8".into(),
        is_bigendian: 0,
        step: 3 * picture.width(),
        data: picture.as_raw().clone(),
    }
}

fn jpeg(nanos: u64, frame: &str, picture: &RgbImage) -> CompressedImage {
    let mut data = Vec::new();
    JpegEncoder::new_with_quality(&mut data, 95).encode_image(picture).unwrap();
    CompressedImage { header: header(nanos, frame), format: "jpeg".into(), data }
}

/// Two cameras with two images each, raw and compressed.
fn record(folder: &Path) -> PathBuf {
    let event = folder.join("event");
    let mut bag = BagWriter::create(&event).unwrap();
    for second in 0..2 {
        let stamp = START + second * SECOND;
        bag.write("/left/image", stamp, &raw(stamp, "left", &picture(second))).unwrap();
        bag.write("/right/image/compressed", stamp, &jpeg(stamp, "right", &picture(9 + second))).unwrap();
        let p_value = 0.001 * (1 + second) as f32;
        let results = vec![result("a", 3, p_value), result("fine", 1, 0.5), result("odd", 2, 0.03), result("", 0, 0.0)];
        bag.write("/monitor/left/ood", stamp + 1, &verdicts(stamp, "left", results)).unwrap();
        bag.write("/monitor/right/ood", stamp + 1, &verdicts(stamp, "right", vec![result("b", 3, 0.008)])).unwrap();
    }
    bag.finish().unwrap();
    event
}

#[test]
fn regions_are_read_and_cut_out() {
    let folder = tempfile::tempdir().unwrap();
    let reading = read_event(&record(folder.path()), "drive", false).unwrap();
    assert_eq!(reading.notes, Vec::<String>::new());
    let found: Vec<(&str, &str, u64, bool)> = reading
        .sightings
        .iter()
        .map(|sighting| {
            let second = (sighting.stamp_nanos - START) / SECOND;
            (sighting.camera.as_str(), sighting.object.as_str(), second, sighting.crop.is_some())
        })
        .collect();
    let expected = [
        ("/left/image", "a", 0, true),
        ("/right/image/compressed", "b", 0, true),
        ("/left/image", "a", 1, false),
        ("/right/image/compressed", "b", 1, false),
    ];
    assert_eq!(found, expected);
    let whole = picture(0);
    let crop = reading.sightings[0].crop.as_ref().unwrap();
    assert_eq!(*crop, image::imageops::crop_imm(&whole, 10, 5, 40, 30).to_image());
    assert_eq!(reading.sightings[1].crop.as_ref().unwrap().dimensions(), (40, 30));
    let expected =
        Cause { detector: "mahalanobis".into(), place: Place::Layer("stage3".into()), nearest: "no <entry>".into() };
    assert_eq!(reading.sightings[0].cause, expected);
    let with_suspects = read_event(&folder.path().join("event"), "drive", true).unwrap();
    assert_eq!(with_suspects.sightings.len(), 6);
}

#[test]
fn a_place_without_a_layer_is_a_class_and_without_deviations_the_detector_counts() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event");
    let mut bag = BagWriter::create(&event).unwrap();
    let mut output = result("a", 3, 0.01);
    output.deviations.remove(0);
    let mut nothing = result("b", 3, 0.01);
    nothing.deviations.clear();
    let score =
        |name: &str, p_value| crate::dataset::verdicts::DetectorScore { name: name.into(), score: 1.0, p_value };
    nothing.detectors = vec![score("knn", 0.2), score("vim", 0.1)];
    bag.write("/image", START, &raw(START, "", &picture(1))).unwrap();
    bag.write("/ood", START, &verdicts(START, "", vec![output, nothing])).unwrap();
    bag.finish().unwrap();
    let causes: Vec<(String, Place)> = read_event(&event, "e", false)
        .unwrap()
        .sightings
        .into_iter()
        .map(|sighting| (sighting.cause.detector, sighting.cause.place))
        .collect();
    assert_eq!(causes, [("msp".into(), Place::Class("yield".into())), ("vim".into(), Place::Unknown)]);
}

#[test]
fn what_cannot_be_read_is_noted_and_the_rest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event");
    let mut bag = BagWriter::create(&event).unwrap();
    bag.write("/image", START, &raw(START, "", &picture(1))).unwrap();
    let mut short = raw(START + 1, "", &picture(1));
    short.data.truncate(100);
    bag.write("/image", START + 1, &short).unwrap();
    for (number, id) in ["a", "b"].into_iter().enumerate() {
        let stamp = START + number as u64;
        bag.write("/ood", stamp, &verdicts(stamp, "", vec![result(id, 3, 0.01)])).unwrap();
        bag.write("/blind/ood", stamp, &verdicts(5, "blind", vec![])).unwrap();
        let type_name = "activation_monitor/msg/OodConfidenceArray";
        let broken =
            Encoded { topic: "/ood", type_name, log_nanos: stamp, publish_nanos: stamp, data: &[0, 1, 0, 0, 7] };
        bag.write_cdr(&broken).unwrap();
    }
    bag.finish().unwrap();
    let reading = read_event(&event, "e", false).unwrap();
    let crops: Vec<bool> = reading.sightings.iter().map(|sighting| sighting.crop.is_some()).collect();
    assert_eq!(crops, [true, false]);
    assert_eq!(reading.notes.len(), 3, "{:?}", reading.notes);
    assert!(reading.notes[0].starts_with("1 message on /image could not be read: the image has 100 bytes"));
    assert!(reading.notes[1].starts_with("2 messages on /ood could not be read: "), "{:?}", reading.notes);
    assert_eq!(reading.notes[2], "no images to the verdicts on /blind/ood");
}

#[test]
fn recordings_that_are_of_no_use_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let bag = |name: &str, fill: fn(&mut BagWriter)| {
        let path = folder.path().join(name);
        let mut bag = BagWriter::create(&path).unwrap();
        fill(&mut bag);
        bag.finish().unwrap();
        path
    };
    let message = |path: &Path| read_event(path, "e", false).unwrap_err().to_string();
    let images = bag("images", |bag| bag.write("/image", START, &raw(START, "", &picture(1))).unwrap());
    assert!(message(&images).contains("but /image; record the node's ~/ood"), "{}", message(&images));
    let ood = bag("ood", |bag| bag.write("/ood", START, &verdicts(START, "", vec![])).unwrap());
    assert!(message(&ood).contains("record the image topic"));
    assert!(message(&bag("empty", |_| ())).contains("no topics at all"));
    let file = ood.join("ood_0.mcap");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(message(&ood).contains("record the image topic"), "{}", message(&ood));
    fs::write(&file, &bytes[..20]).unwrap();
    assert!(message(&ood).contains("no topics at all"), "{}", message(&ood));
}

/// A damaged recording gives what it gives, and never a panic.
#[test]
fn damage_at_any_place_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let event = record(folder.path());
    let file = event.join("event_0.mcap");
    let whole = fs::read(&file).unwrap();
    for position in (8..whole.len()).step_by(211) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0xff;
        fs::write(&file, &damaged).unwrap();
        if let Ok(reading) = read_event(&event, "e", true) {
            assert!(reading.sightings.len() <= 6, "damage at {position}");
        }
    }
}

#[test]
fn the_page_shows_every_group_and_nothing_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let reading = read_event(&record(folder.path()), "<drive>", false).unwrap();
    let mut sightings = reading.sightings;
    sightings.push(sighting("x", cause("<one>", ""), 0.009, 10));
    let groups = groups(&sightings);
    let notes = ["<cut off>".to_owned()];
    let html = TriagePage { groups: &groups, events: 1, notes: &notes }.html().unwrap();
    assert_eq!(html.matches("<tbody id=\"group-").count(), 2);
    assert_eq!(html.matches("data:image/png;base64,").count(), 2);
    for text in
        ["knn, layer &lt;one&gt;", "nearest: no &lt;entry&gt;", "&lt;cut off&gt;", "2025-06-15 15:06:40", "stop (2)"]
    {
        assert!(html.contains(text), "{text}: {html}");
    }
    for forbidden in ["http:", "https:", "<script", "<link", "url(", "<entry>", "<drive>", "NaN"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    for element in ["table", "thead", "tbody", "tr", "td", "th", "figure", "section", "div", "span", "p"] {
        let opened = html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
        assert_eq!(opened, html.matches(&format!("</{element}>")).count(), "{element}");
    }
    let nothing = TriagePage { groups: &[], events: 1, notes: &[] }.html().unwrap();
    assert!(nothing.contains("No region was called out of distribution."));
}

#[test]
fn the_table_has_a_row_for_every_region() {
    let mut odd = sighting("a, \"b\"", cause("one", "stop"), 0.009, 10);
    odd.stamp_nanos = START + 5;
    let sightings = [odd, sighting("c", cause("two", "yield"), 0.001, 12)];
    let text = csv(&sightings, &groups(&sightings));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[1],
        "event,/camera/image,1750000000.000000005,\"a, \"\"b\"\"\",stop,0.75,0.009,OUT_OF_DISTRIBUTION,stop,1,\
         knn: far away,0,0,10,10"
    );
    assert!(lines[2].contains(",yield,2,"), "{text}");
    assert_eq!(lines[0].split(',').count(), lines[2].split(',').count());
}
