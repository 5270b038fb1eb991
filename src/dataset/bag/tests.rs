mod broken;
mod fixtures;
mod folders;
mod mcap;
mod sqlite;

use std::fs;

use super::*;
use crate::dataset::cdr::{Clock, CompressedImage, Header, RegionArray, Time};

fn image(sec: i32) -> CompressedImage {
    let header = Header { stamp: Time { sec, nanosec: 0 }, frame_id: "camera".into() };
    CompressedImage { header, format: "jpeg".into(), data: vec![sec as u8; 100] }
}

/// A bag with three images, written out of order, and two clock ticks.
fn write_bag(folder: &Path) -> BagSummary {
    let mut writer = BagWriter::create(folder).unwrap();
    for sec in [3, 1, 2] {
        writer.write("/camera", sec as u64 * 1_000_000_000, &image(sec)).unwrap();
    }
    for sec in [1, 2] {
        let clock = Clock { clock: Time { sec, nanosec: 0 } };
        writer.write("/clock", sec as u64 * 1_000_000_000, &clock).unwrap();
    }
    writer.finish().unwrap()
}

fn fixture() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("drive");
    write_bag(&folder);
    (directory, folder)
}

#[test]
fn messages_come_back_in_the_order_of_log_time() {
    let (_directory, folder) = fixture();
    let reader = BagReader::open(&folder).unwrap();
    assert_eq!(reader.span_nanos(), (1_000_000_000, 3_000_000_000));
    let counts: Vec<_> = reader.topics().iter().map(|topic| (topic.name.as_str(), topic.message_count)).collect();
    assert_eq!(counts, [("/camera", 3), ("/clock", 2)]);
    let messages: Vec<BagMessage> = reader.map(Result::unwrap).collect();
    let times: Vec<u64> = messages.iter().map(|message| message.log_nanos / 1_000_000_000).collect();
    assert_eq!(times, [1, 1, 2, 2, 3]);
    assert_eq!(messages[4].decode::<CompressedImage>().unwrap(), image(3));
}

#[test]
fn topics_can_be_chosen_and_types_are_checked() {
    let (_directory, folder) = fixture();
    let file = folder.join("drive_0.mcap");
    let messages: Vec<BagMessage> = BagReader::open(&file).unwrap().only(&["/clock"]).map(Result::unwrap).collect();
    assert_eq!(messages.len(), 2);
    let error = messages[0].decode::<RegionArray>().unwrap_err().to_string();
    assert_eq!(error, "/clock carries rosgraph_msgs/msg/Clock, expected activation_monitor/msg/RegionArray");
}

#[test]
fn the_same_messages_give_the_same_bytes() {
    let (_first, a) = fixture();
    let (_second, b) = fixture();
    for file in ["drive_0.mcap", "metadata.yaml"] {
        assert_eq!(fs::read(a.join(file)).unwrap(), fs::read(b.join(file)).unwrap(), "{file}");
    }
}

/// The black box is killed while it writes: what was flushed is there.
#[test]
fn a_truncated_recording_is_read_up_to_the_break() {
    let (_directory, folder) = fixture();
    let file = folder.join("drive_0.mcap");
    let whole = fs::read(&file).unwrap();
    for length in (8..whole.len()).step_by(23) {
        fs::write(&file, &whole[..length]).unwrap();
        let reader = BagReader::open(&folder).unwrap();
        let lost: u64 = reader.damage().iter().filter_map(|damage| damage.lost_messages).sum();
        assert_eq!(reader.count() as u64 + lost, 5, "{length}");
    }
}

#[test]
fn a_damaged_file_never_panics() {
    let (_directory, folder) = fixture();
    let file = folder.join("drive_0.mcap");
    let whole = fs::read(&file).unwrap();
    for position in (8..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0xff;
        fs::write(&file, &damaged).unwrap();
        if let Ok(reader) = BagReader::open(&file) {
            assert!(reader.count() <= 6, "damage at {position}");
        }
    }
}

#[test]
fn an_existing_bag_is_not_overwritten() {
    let (_directory, folder) = fixture();
    assert!(matches!(BagWriter::create(&folder), Err(BagError::Exists(_))));
}

#[test]
fn metadata_counts_messages_and_time() {
    let (_directory, folder) = fixture();
    let text = fs::read_to_string(folder.join("metadata.yaml")).unwrap();
    for line in ["  message_count: 5", "    nanoseconds: 2000000000", "        type: rosgraph_msgs/msg/Clock"] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
