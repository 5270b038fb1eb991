//! Disks that are full, slow or gone.

use std::process::Command;

use super::*;

/// A file system of a megabyte; `None` where it cannot be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a small file system cannot be mounted here");
        }
        mounted.then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

/// One event of about 20 × `bytes` bytes; `number` counts them.
fn event(black_box: &BlackBox, number: u64, bytes: usize) {
    let start = 1000 * number;
    for twentieth in 0..20 * 4 {
        black_box.push(picture(start * SECOND + twentieth * SECOND / 20, bytes));
        if twentieth == 10 {
            black_box.trigger(trigger(start * SECOND + SECOND / 2));
        }
    }
    let over = |counts: &Counts| {
        let events = counts.events;
        !counts.recording && events.written + events.failed + events.refused == number
    };
    balanced(&until(black_box, over));
}

#[test]
fn a_full_disk_spoils_one_event_only() {
    let Some(disk) = SmallDisk::mount() else { return };
    let black_box = BlackBox::start(settings(disk.0.path())).unwrap();
    event(&black_box, 1, 1000);
    event(&black_box, 2, 200_000);
    let counts = black_box.counts();
    assert_eq!((counts.events.written, counts.events.failed), (1, 1));
    let error = counts.error.unwrap().text;
    assert!(error.contains("No space left on device"), "{error}");
    // Someone makes room.
    for name in names(disk.0.path()).iter().filter(|name| name.ends_with(".cut_off")) {
        fs::remove_dir_all(disk.0.path().join(name)).unwrap();
    }
    event(&black_box, 3, 1000);
    assert_eq!(black_box.finish().events.written, 2);
}

#[test]
fn with_too_little_free_space_nothing_is_written() {
    let Some(disk) = SmallDisk::mount() else { return };
    let black_box = BlackBox::start(Settings { least_free_bytes: 700_000, ..settings(disk.0.path()) }).unwrap();
    event(&black_box, 1, 1000);
    fs::write(disk.0.path().join("large"), vec![0; 500_000]).unwrap();
    event(&black_box, 2, 1000);
    let counts = black_box.finish();
    assert_eq!((counts.events.written, counts.events.refused, counts.events.failed), (1, 1, 0));
    let error = counts.error.unwrap().text;
    assert!(error.contains("700000 must stay free"), "{error}");
    assert_eq!(names(disk.0.path()).len(), 2, "one event and the large file");
}

#[test]
fn the_oldest_events_make_room_for_new_ones() {
    let directory = tempfile::tempdir().unwrap();
    let quota = 3 << 20;
    let black_box = BlackBox::start(Settings { disk_quota_bytes: quota, ..settings(directory.path()) }).unwrap();
    for number in 1..5 {
        event(&black_box, number, 80_000);
    }
    let counts = black_box.finish();
    assert_eq!((counts.events.written, counts.error), (4, None));
    assert!(counts.events.deleted >= 1, "{:?}", counts.events);
    let left = names(directory.path());
    assert_eq!(left.len() as u64 + counts.events.deleted, 4);
    assert!(left.last().unwrap().ends_with("_4") && !left[0].ends_with("_1"), "{left:?}");
    let files = left.iter().flat_map(|name| fs::read_dir(directory.path().join(name)).unwrap());
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= quota, "{bytes}");
}

#[test]
fn an_event_that_is_larger_than_the_quota_ends_early() {
    let directory = tempfile::tempdir().unwrap();
    let black_box = BlackBox::start(Settings { disk_quota_bytes: 1 << 20, ..settings(directory.path()) }).unwrap();
    for twentieth in 0..40 {
        black_box.push(picture(1000 * SECOND + twentieth * SECOND / 20, 300_000));
    }
    black_box.trigger(trigger(1001 * SECOND));
    let counts = until(&black_box, |counts| counts.events.refused == 1);
    assert_eq!(counts.events.written, 1);
    assert!(counts.error.unwrap().text.contains("raise it"));
    let event = directory.path().join(&names(directory.path())[0]);
    assert_eq!(note(&event)["ended"], "there was no room for more");
    // The next one makes room by deleting it.
    drive(&black_box, 2000, 2001);
    black_box.trigger(trigger(2000 * SECOND + SECOND / 2));
    assert_eq!(black_box.finish().events.deleted, 1);
    assert_eq!(names(directory.path()), ["event_19700101T003320Z_alarm_2"]);
}

#[test]
fn a_folder_that_vanishes_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("events");
    let black_box = BlackBox::start(settings(&folder)).unwrap();
    event(&black_box, 1, 1000);
    fs::remove_dir_all(&folder).unwrap();
    event(&black_box, 2, 1000);
    assert_eq!(names(&folder), ["event_19700101T003320Z_alarm_2"]);
    // A file in its place is an error, and when it is gone, there are events again.
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    event(&black_box, 3, 1000);
    let error = black_box.counts().error.unwrap().text;
    assert!(error.contains("make it writable"), "{error}");
    fs::remove_file(&folder).unwrap();
    event(&black_box, 4, 1000);
    let counts = black_box.finish();
    assert_eq!((counts.events.written, counts.events.failed), (3, 1));
}

#[test]
fn a_folder_that_vanishes_while_it_is_written_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("events");
    let black_box = BlackBox::start(settings(&folder)).unwrap();
    drive(&black_box, 1000, 1001);
    black_box.trigger(trigger(1001 * SECOND));
    // The note is the last thing that is made at the beginning.
    until(&black_box, |_| folder.join("event_19700101T001641Z_alarm_1.partial/event.json").exists());
    fs::remove_dir_all(&folder).unwrap();
    let counts = black_box.finish();
    assert_eq!((counts.events.written, counts.events.failed), (0, 1));
    assert!(counts.error.unwrap().text.contains("vanished"));
}

/// A message that takes long to write.
struct Slow;

impl Payload for Slow {
    fn type_name(&self) -> &'static str {
        "std_msgs/msg/Header"
    }

    fn bytes(&self) -> usize {
        100_000
    }

    fn cdr(&self) -> Result<Vec<u8>, CdrError> {
        thread::sleep(Duration::from_millis(200));
        crate::dataset::cdr::encode(&header(0))
    }
}

#[test]
fn whoever_pushes_never_waits_for_a_slow_disk() {
    let directory = tempfile::tempdir().unwrap();
    let before = Duration::from_secs(5);
    let settings = Settings { before, after: before, ring_bytes: 2 << 20, ..settings(directory.path()) };
    let black_box = BlackBox::start(settings).unwrap();
    let mut waited = Duration::ZERO;
    black_box.trigger(trigger(1000 * SECOND));
    for number in 0..200 {
        let start = Instant::now();
        black_box.push(Item::new("/slow", 1000 * SECOND + number * SECOND / 40, Slow));
        waited += start.elapsed();
        thread::sleep(Duration::from_millis(5));
    }
    // Each of them takes 200 ms to write.
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    let counts = black_box.counts();
    assert!(counts.messages.dropped_by_queue > 100 && counts.held_bytes <= 2 << 20, "{counts:?}");
    let start = Instant::now();
    let counts = black_box.finish();
    assert!(start.elapsed() < CLOSING + PATIENCE);
    assert_eq!(counts.events.written, 1);
    balanced(&counts);
}
