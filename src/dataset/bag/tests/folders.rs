use std::fs;

use super::super::*;
use super::fixtures::*;

fn write_metadata(folder: &Path, files: &[(&str, u64)], compression: &str) {
    let mut text = format!(
        "rosbag2_bagfile_information:\n  version: 5\n  compression_format: {compression:?}\n  compression_mode: {:?}\n",
        if compression.is_empty() { "" } else { "FILE" },
    );
    text += "  relative_file_paths:\n";
    files.iter().for_each(|(name, _)| text += &format!("    - {name}\n"));
    text += "  files:\n";
    files.iter().for_each(|(name, count)| text += &format!("    - path: {name}\n      message_count: {count}\n"));
    fs::write(folder.join("metadata.yaml"), text).unwrap();
}

/// A bag in three files: MCAP, SQLite and compressed.
fn split(folder: &Path) {
    write_mcap(&folder.join("a_0.mcap"), chunked(), &messages()[..10]);
    write_db3(&folder.join("a_1.db3"), 4, &messages()[10..25]);
    write_mcap(&folder.join("a_2.mcap"), chunked(), &messages()[25..]);
    compress(&folder.join("a_2.mcap"));
}

#[test]
fn files_of_a_split_bag_follow_each_other() {
    let directory = tempfile::tempdir().unwrap();
    split(directory.path());
    let expected = (messages(), Vec::new());
    assert_eq!(read(directory.path()), expected);
    write_metadata(directory.path(), &[("a_0.mcap", 10), ("x/a_1.db3", 15), ("a_2.mcap.zstd", 15)], "zstd");
    assert_eq!(read(directory.path()), expected);
    let reader = BagReader::open(directory.path()).unwrap();
    assert_eq!(reader.span_nanos(), (1_000, 1_390));
    assert_eq!(reader.topics().iter().map(|topic| topic.message_count).sum::<u64>(), 40);
}

#[test]
fn a_missing_file_is_damage_with_its_count() {
    let directory = tempfile::tempdir().unwrap();
    split(directory.path());
    write_metadata(directory.path(), &[("a_0.mcap", 10), ("a_1.db3", 15), ("a_2.mcap", 15), ("a_3.mcap", 7)], "");
    let (found, damage) = read(directory.path());
    assert_eq!(found, messages());
    assert_eq!(damage.len(), 1);
    assert!(
        damage[0]
            .to_string()
            .ends_with("a_3.mcap: named in metadata.yaml, but not in the folder (7 messages are lost)")
    );
}

#[test]
fn the_metadata_tells_how_many_messages_a_cut_file_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a_0.mcap");
    write_mcap(&path, chunked(), &messages());
    write_metadata(directory.path(), &[("a_0.mcap", 40)], "");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    let (found, damage) = read(directory.path());
    assert_eq!(found.len() as u64 + damage[0].lost_messages.unwrap(), 40);
}

#[test]
fn broken_metadata_is_noted_and_left_aside() {
    let directory = tempfile::tempdir().unwrap();
    split(directory.path());
    for text in ["rosbag2_bagfile_information: [", "", "\0\u{1}", "- 1"] {
        fs::write(directory.path().join("metadata.yaml"), text).unwrap();
        let (found, damage) = read(directory.path());
        assert_eq!(found, messages());
        assert_eq!((damage.len(), damage[0].lost_messages), (1, Some(0)), "{damage:?}");
    }
    write_metadata(directory.path(), &[("b_0.mcap", 10)], "");
    let (found, damage) = read(directory.path());
    assert_eq!(found, messages());
    assert!(damage[0].reason.contains("names no file that is there"), "{damage:?}");
}

#[test]
fn an_empty_last_file_does_not_hide_the_others() {
    let directory = tempfile::tempdir().unwrap();
    split(directory.path());
    fs::write(directory.path().join("a_3.mcap"), "").unwrap();
    let (found, damage) = read(directory.path());
    assert_eq!(found, messages());
    assert!(damage[0].to_string().ends_with("a_3.mcap: an empty file (how many messages are lost is not known)"));
}

#[test]
fn an_unfinished_compressed_copy_is_left_aside() {
    let directory = tempfile::tempdir().unwrap();
    split(directory.path());
    fs::write(directory.path().join("a_0.mcap.zstd"), "").unwrap();
    assert_eq!(read(directory.path()), (messages(), Vec::new()));
}

#[test]
fn what_is_no_bag_is_called_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let says = |expected: &str| {
        let text = error(directory.path());
        assert!(text.contains(expected), "{text}");
    };
    says("a folder without .mcap or .db3 files");
    fs::write(directory.path().join("a.bag"), "#ROSBAG V2.0\n").unwrap();
    says("a folder with ROS 1 bags");
    fs::write(directory.path().join("a_0.mcap"), "").unwrap();
    says("an empty file");
    fs::write(directory.path().join("a_0.mcap"), "PK").unwrap();
    says("a file of another format");
    fs::write(directory.path().join("a_0.mcap"), &mcap::MAGIC[..5]).unwrap();
    says("cut off within its first 8 bytes");
    assert!(error(&directory.path().join("none")).contains("No such file"));
}

#[test]
fn compression_by_a_plugin_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    split(directory.path());
    write_metadata(directory.path(), &[("a_0.mcap", 10)], "LZ4");
    assert!(error(directory.path()).contains("is compressed with lz4, expected zstd"));
}

/// Bytes that do not compress, so that a break of the file lies somewhere in them.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((state >> 56) as u8)
    };
    [0, 1, 0, 0].into_iter().chain(std::iter::from_fn(next).take(20_000)).collect()
}

#[test]
fn a_cut_compressed_file_gives_what_comes_before_the_break() {
    for name in ["a_0.mcap", "a_0.db3"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        let large: Vec<Message> = (0..60).map(|number| ("/camera".into(), number, noise(number))).collect();
        match name {
            "a_0.mcap" => write_mcap(&path, chunked(), &large),
            _ => write_db3(&path, 4, &large),
        }
        let compressed = compress(&path);
        assert_eq!(read(&compressed), (large.clone(), Vec::new()));
        let whole = fs::read(&compressed).unwrap();
        fs::write(&compressed, &whole[..whole.len() / 2]).unwrap();
        let (found, damage) = read(directory.path());
        assert!(found.len() > 10 && found.len() < 40, "{name}: {}", found.len());
        assert!(damage[0].reason.contains("zstd data is cut off or broken"), "{damage:?}");
        fs::write(&compressed, &whole[..12]).unwrap();
        let (found, damage) = read(directory.path());
        assert_eq!((found.len(), damage.len()), (0, 1));
    }
}

#[test]
fn compressed_messages_are_unpacked() {
    let directory = tempfile::tempdir().unwrap();
    let (mcap, db3) = (directory.path().join("a_0.mcap"), directory.path().join("b_0.db3"));
    let mut packed = compressed(&messages());
    write_mcap(&mcap, chunked(), &packed);
    assert_eq!(read(&mcap), (messages(), Vec::new()));
    packed[5].2.truncate(9);
    write_db3(&db3, 3, &packed);
    let (found, damage) = read(&db3);
    assert_eq!((found.len(), lost(&damage)), (39, 1));
    assert!(damage[0].reason.contains("undecodable zstd message"), "{damage:?}");
}

#[test]
fn nothing_is_left_in_the_folder_for_temporary_files() {
    let directory = tempfile::tempdir().unwrap();
    split(directory.path());
    let mut recording = super::super::recording::Recording::open(&directory.path().join("a_2.mcap.zstd")).unwrap();
    let unpacked = recording.unpacked().unwrap().to_path_buf();
    assert_eq!(recording.overview().unwrap().0.messages(), 15);
    assert!(unpacked.exists());
    drop(recording);
    assert!(!unpacked.exists());
}
