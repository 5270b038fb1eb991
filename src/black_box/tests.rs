//! The box as a whole, with its thread and a real disk.

mod crash;
mod disk;

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::*;
use crate::dataset::bag::{BagMessage, BagReader};
use crate::dataset::cdr::{CdrError, CompressedImage, Header, Image, Time};

const SECOND: u64 = 1_000_000_000;
/// Messages per second of the camera in these tests.
const RATE: u64 = 20;
/// Longer than anything here may take.
const LONG: Duration = Duration::from_secs(20);

/// Half a second before and after.
fn settings(folder: &Path) -> Settings {
    Settings {
        before: Duration::from_millis(500),
        after: Duration::from_millis(500),
        least_free_bytes: 0,
        model_id: "0123456789ab".into(),
        monitor_id: "ba9876543210".into(),
        ..Settings::new(folder)
    }
}

fn trigger(nanos: u64) -> Trigger {
    Trigger { name: "alarm".into(), stamp_nanos: nanos, text: "something <strange>".into() }
}

fn header(nanos: u64) -> Header {
    Header { stamp: Time::from_nanos(nanos), frame_id: "camera".into() }
}

fn picture(nanos: u64, bytes: usize) -> Item {
    let picture = CompressedPicture { header: header(nanos), format: "jpeg".into(), data: Arc::new(vec![7; bytes]) };
    Item::new("/camera/image/compressed", nanos, picture)
}

/// Pushes images of a camera from one log time to another, in seconds.
fn drive(black_box: &BlackBox, from: u64, to: u64) {
    for number in from * RATE..to * RATE {
        black_box.push(picture(number * SECOND / RATE, 1000));
    }
}

/// Waits until the counts are as they should be.
fn until(black_box: &BlackBox, what: impl Fn(&Counts) -> bool) -> Counts {
    let start = Instant::now();
    loop {
        let counts = black_box.counts();
        if what(&counts) {
            return counts;
        }
        assert!(start.elapsed() < LONG, "{counts:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Names in the folder, without hidden ones.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

fn note(event: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(event.join("event.json")).unwrap()).unwrap()
}

fn messages(event: &Path) -> Vec<BagMessage> {
    BagReader::open(event).unwrap().map(Result::unwrap).collect()
}

fn balanced(counts: &Counts) {
    let MessageCounts { pushed, written, expired, dropped_by_ring, dropped_by_queue, dropped_by_jump, failed, .. } =
        counts.messages;
    let gone = expired + dropped_by_ring + dropped_by_queue + dropped_by_jump;
    assert_eq!(pushed, written + failed + gone + counts.held, "{counts:?}");
}

#[test]
fn an_alarm_becomes_a_bag() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("made/for/it");
    let black_box = BlackBox::start(settings(&folder)).unwrap();
    drive(&black_box, 1000, 1010);
    let raw = RawPicture {
        header: header(1010 * SECOND),
        encoding: "mono8".into(),
        width: 2,
        height: 1,
        step: 2,
        is_bigendian: false,
        data: Arc::new([3_u8, 4]),
    };
    let mut raw = Item::new("/other/image", 1010 * SECOND, raw);
    raw.publish_nanos -= 7;
    black_box.push(raw);
    black_box.trigger(trigger(1010 * SECOND));
    drive(&black_box, 1010, 1012);
    let counts = until(&black_box, |counts| counts.events.written == 1);
    balanced(&counts);
    balanced(&black_box.finish());

    assert_eq!(names(&folder), ["event_19700101T001650Z_alarm_1"]);
    let event = folder.join("event_19700101T001650Z_alarm_1");
    assert_eq!(names(&event), ["event.json", "event_19700101T001650Z_alarm_1_0.mcap", "metadata.yaml"]);
    let messages = messages(&event);
    assert!(messages.is_sorted_by_key(|message| message.log_nanos));
    let (first, last) = (messages[0].log_nanos, messages[messages.len() - 1].log_nanos);
    assert_eq!((first, last), (1009 * SECOND + SECOND / 2, 1010 * SECOND + SECOND / 2));
    assert_eq!(messages.len(), 22);
    let found: Vec<Image> = messages.iter().filter_map(|message| message.decode().ok()).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].data, found[0].header.stamp), (&vec![3, 4], Time::from_nanos(1010 * SECOND)));
    assert_eq!(messages[0].decode::<CompressedImage>().unwrap().data, [7; 1000]);

    let note = note(&event);
    assert_eq!(note["trigger"]["text"], "something <strange>");
    assert_eq!(note["trigger"]["stamp_utc"], "1970-01-01 00:16:50");
    assert_eq!((&note["model_id"], &note["monitor_id"]), (&"0123456789ab".into(), &"ba9876543210".into()));
    assert_eq!((&note["messages"], &note["ended"]), (&22.into(), &"complete".into()));
    assert_eq!(note["first_nanos"], 1009 * SECOND + SECOND / 2);
    assert_eq!(note["dropped"]["by_queue"], 0);
}

/// The tools of others open it, too.
#[test]
fn the_mcap_library_reads_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = BlackBox::start(settings(directory.path())).unwrap();
    drive(&black_box, 1000, 1001);
    black_box.trigger(trigger(1001 * SECOND));
    assert_eq!(black_box.finish().events.written, 1);
    let event = directory.path().join(&names(directory.path())[0]);
    let bytes = fs::read(event.join(format!("{}_0.mcap", names(directory.path())[0]))).unwrap();
    let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
    assert_eq!(summary.stats.unwrap().message_count, 10);
    let schema = summary.channels.values().next().unwrap().schema.clone().unwrap();
    assert_eq!((schema.name.as_str(), schema.encoding.as_str()), ("sensor_msgs/msg/CompressedImage", "ros2msg"));
    assert_eq!(mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap).count(), 10);
    let metadata = fs::read_to_string(event.join("metadata.yaml")).unwrap();
    assert!(metadata.contains("  message_count: 10\n"), "{metadata}");
    assert_eq!(note(&event)["ended"], "the program ended");
}

#[test]
fn further_triggers_prolong_and_are_noted() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = BlackBox::start(settings(directory.path())).unwrap();
    drive(&black_box, 1000, 1001);
    for tenth in 0..4 {
        black_box.trigger(trigger(1001 * SECOND + tenth * SECOND / 10));
    }
    drive(&black_box, 1001, 1004);
    let counts = until(&black_box, |counts| counts.events.written == 1);
    assert_eq!((counts.events.prolonged, counts.recording), (3, false));
    let note = note(&directory.path().join(&names(directory.path())[0]));
    assert_eq!(note["further_triggers"].as_array().unwrap().len(), 3);
    assert_eq!(note["last_nanos"], 1001 * SECOND + 8 * SECOND / 10);
}

#[test]
fn there_are_no_more_events_than_may_be() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = BlackBox::start(Settings { most_events_per_hour: 2, ..settings(directory.path()) }).unwrap();
    for event in 1..5 {
        drive(&black_box, 1000 * event, 1000 * event + 1);
        black_box.trigger(trigger((1000 * event + 1) * SECOND));
        drive(&black_box, 1000 * event + 1, 1000 * event + 4);
        until(&black_box, |counts| counts.events.written + counts.events.suppressed == event);
    }
    let counts = black_box.finish();
    assert_eq!((counts.events.written, counts.events.suppressed), (2, 2));
    assert_eq!(names(directory.path()).len(), 2);
    balanced(&counts);
}

/// A message that cannot be said in CDR.
struct Unsayable;

impl Payload for Unsayable {
    fn type_name(&self) -> &'static str {
        "std_msgs/msg/Header"
    }

    fn bytes(&self) -> usize {
        1
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        Err(CdrError::Header { found: vec![9, 9] })
    }
}

#[test]
fn a_message_that_cannot_be_written_does_not_spoil_the_event() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = BlackBox::start(settings(directory.path())).unwrap();
    drive(&black_box, 1000, 1001);
    black_box.push(Item::new("/unsayable", 1001 * SECOND, Unsayable));
    black_box.push(Item::new("/camera/image/compressed", 1001 * SECOND, Message { message: header(0), bytes: 9 }));
    black_box.trigger(trigger(1001 * SECOND));
    let counts = black_box.finish();
    assert_eq!((counts.events.written, counts.messages.failed, counts.messages.written), (1, 2, 10));
    let error = counts.error.clone().unwrap();
    assert!(error.text.contains("std_msgs/msg/Header") && error.age < LONG, "{error:?}");
    balanced(&counts);
}

/// A message with a mistake in it.
struct Panicking;

impl Payload for Panicking {
    fn type_name(&self) -> &'static str {
        "std_msgs/msg/Header"
    }

    fn bytes(&self) -> usize {
        1
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        panic!("a mistake")
    }
}

#[test]
fn a_panic_ends_the_box_but_not_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = BlackBox::start(settings(directory.path())).unwrap();
    black_box.push(Item::new("/panicking", 1000 * SECOND, Panicking));
    black_box.trigger(trigger(1000 * SECOND));
    let counts = until(&black_box, |counts| counts.events.failed == 1);
    assert_eq!(counts.error.unwrap().text, "the black box has ended, restart the program: a mistake");
    drive(&black_box, 1000, 1001);
    black_box.trigger(trigger(1001 * SECOND));
    assert_eq!(black_box.finish().events.failed, 2);
}

#[test]
fn a_box_that_is_dropped_completes_its_event() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = BlackBox::start(settings(directory.path())).unwrap();
    drive(&black_box, 1000, 1001);
    black_box.trigger(trigger(1001 * SECOND));
    drop(black_box);
    let event = directory.path().join(&names(directory.path())[0]);
    assert_eq!(messages(&event).len(), 10);
    // The folder is free at once.
    assert_eq!(BlackBox::start(settings(directory.path())).unwrap().counts().events.cut_off, 0);
}

#[test]
fn a_jump_of_the_clock_ends_the_event_and_the_next_one_is_another() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = BlackBox::start(settings(directory.path())).unwrap();
    drive(&black_box, 5000, 5001);
    black_box.trigger(trigger(5001 * SECOND));
    drive(&black_box, 1400, 1401);
    // Whether the first event is written already or not.
    black_box.trigger(trigger(1401 * SECOND));
    let counts = black_box.finish();
    assert_eq!((counts.events.written, counts.messages.time_jumps), (2, 1));
    balanced(&counts);
    let events = names(directory.path());
    let first = directory.path().join(&events[1]);
    assert_eq!(note(&first)["ended"], "the clock jumped");
    assert_eq!((messages(&first).len(), messages(&directory.path().join(&events[0])).len()), (10, 10));
}

#[test]
fn settings_out_of_range_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |change: fn(&mut Settings)| {
        let mut settings = settings(folder.path());
        change(&mut settings);
        BlackBox::start(settings).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let before = wrong(|settings| settings.before = Duration::from_secs(601));
    assert_eq!(before, "before of the black box is 601 seconds; it must be 0.1 to 600");
    assert!(wrong(|settings| settings.after = Duration::ZERO).contains("after"));
    assert!(wrong(|settings| settings.most_events_per_hour = 0).contains("most_events_per_hour"));
    assert!(wrong(|settings| settings.disk_quota_bytes = 5).contains("disk_quota_bytes"));
    assert!(wrong(|settings| settings.ring_bytes = 5).contains("ring_bytes"));
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let message = |path: &Path| BlackBox::start(settings(path)).err().unwrap().to_string();
    let text = message(&directory.path().join("file"));
    assert!(text.contains("file") && text.contains("name a folder"), "{text}");
    let _first = BlackBox::start(settings(directory.path())).unwrap();
    let text = message(directory.path());
    assert!(text.contains("a folder of its own"), "{text}");
}
