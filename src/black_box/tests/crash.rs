//! A process that is killed while it records.

use std::env;
use std::process::{Child, Command, Stdio};

use super::*;

/// Names the folder to the process that is killed.
const FOLDER: &str = "BLACK_BOX_CRASH_FOLDER";

/// Not a test by itself: the process that is killed. It records one message every 10 ms, without end.
#[test]
#[ignore = "started and killed by another test"]
fn recording_without_end() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let black_box = BlackBox::start(Settings { after: Duration::from_secs(60), ..settings(folder.as_ref()) }).unwrap();
    let start = Instant::now();
    for number in 0.. {
        let nanos = 1000 * SECOND + number * SECOND / 100;
        black_box.push(picture(nanos, 10_000));
        if number == 20 {
            black_box.trigger(trigger(nanos));
        }
        thread::sleep((start + Duration::from_millis(10 * number)).saturating_duration_since(Instant::now()));
        assert!(start.elapsed() < 3 * LONG, "nobody killed it");
    }
}

fn start(folder: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "black_box::tests::crash::recording_without_end", "--ignored"]);
    command.env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn what_was_written_before_a_kill_is_read_and_marked() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(directory.path());
    let partial = directory.path().join("event_19700101T001640Z_alarm_1.partial");
    let file = partial.join("event_19700101T001640Z_alarm_1_0.mcap");
    // More than 100 messages of 10,000 bytes: more than a second of them.
    let begin = Instant::now();
    while fs::metadata(&file).map_or(0, |metadata| metadata.len()) < 1_200_000 {
        assert!(begin.elapsed() < LONG, "nothing is written");
        thread::sleep(Duration::from_millis(20));
    }
    // Until the chunk that was begun is written: its size grows before its end is there.
    thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();

    let black_box = BlackBox::start(settings(directory.path())).unwrap();
    assert_eq!(black_box.counts().events.cut_off, 1);
    assert_eq!(names(directory.path()), ["event_19700101T001640Z_alarm_1.cut_off"]);
    let kept = directory.path().join("event_19700101T001640Z_alarm_1.cut_off");
    let recording = fs::File::open(kept.join(file.file_name().unwrap())).unwrap();
    let read: Vec<_> = mcap::io::MessageReader::new(recording).map_while(Result::ok).collect();
    assert!(read.len() >= 100, "{}", read.len());
    assert!(read.is_sorted_by_key(|message| message.log_time));
    let image: CompressedImage = crate::dataset::cdr::decode(&read[7].data).unwrap();
    assert_eq!(image.data, [7; 10_000]);
    let note = note(&kept);
    assert_eq!((&note["ended"], &note["trigger"]["name"]), (&Value::Null, &"alarm".into()));
}
