use mcap::Compression;
use mcap::records::op;

use super::super::*;
use super::fixtures::*;
use std::fs;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a_0.mcap");
    (directory, path)
}

#[test]
fn every_way_to_write_gives_the_same_messages() {
    let ways = [
        ("chunked", chunked()),
        ("lz4", chunked().compression(Some(Compression::Lz4))),
        ("zstd", chunked().compression(Some(Compression::Zstd))),
        ("not chunked", chunked().use_chunks(false)),
        ("without summary", chunked().emit_summary_records(false).emit_summary_offsets(false)),
        ("without chunk index", chunked().emit_chunk_indexes(false)),
        ("without message index", chunked().emit_message_indexes(false)),
        ("without statistics", chunked().emit_statistics(false)),
        ("without channels in the summary", chunked().repeat_channels(false).repeat_schemas(false)),
        ("without checksums", chunked().calculate_chunk_crcs(false).calculate_summary_section_crc(false)),
        ("lz4 without summary", chunked().compression(Some(Compression::Lz4)).emit_summary_records(false)),
    ];
    for (name, options) in ways {
        let (_directory, path) = directory();
        write_mcap(&path, options, &messages());
        let reader = BagReader::open(&path).unwrap();
        assert_eq!(reader.span_nanos(), (1_000, 1_390), "{name}");
        let counts: Vec<_> = reader.topics().iter().map(|topic| (topic.name.as_str(), topic.message_count)).collect();
        assert_eq!(counts, [("/camera", 30), ("/clock", 10)], "{name}");
        assert_eq!(read_all(reader), (messages(), Vec::new()), "{name}");
        let clock = BagReader::open(&path).unwrap().only(&["/clock"]);
        assert_eq!(read_all(clock).0.len(), 10, "{name}");
    }
}

#[test]
fn an_index_brings_messages_into_the_order_of_time_across_chunks() {
    let (_directory, path) = directory();
    let mut shuffled = messages();
    shuffled.reverse();
    shuffled.swap(0, 20);
    write_mcap(&path, chunked(), &shuffled);
    assert_eq!(read(&path).0, messages());
    write_mcap(&path, chunked().use_chunks(false), &shuffled);
    assert_eq!(read(&path).0, shuffled);
}

/// Everything up to the break is delivered, also out of the chunk that the break lies in.
#[test]
fn a_file_cut_off_anywhere_gives_what_comes_before() {
    for options in [chunked(), chunked().use_chunks(false), chunked().compression(Some(Compression::Zstd))] {
        let (_directory, path) = directory();
        write_mcap(&path, options, &messages());
        let whole = fs::read(&path).unwrap();
        let data_end = records(&whole).into_iter().find(|(_, opcode)| *opcode == op::DATA_END).unwrap().0 + 13;
        let mut before = 0;
        for length in 8..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut reader = BagReader::open(&path).unwrap();
            assert!(!reader.damage().is_empty(), "{length}");
            let at_open = reader.damage().to_vec();
            let promised: u64 = reader.topics().iter().map(|topic| topic.message_count).sum();
            let found: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
            assert_eq!(found.len() as u64, promised, "{length}");
            assert_eq!(reader.damage(), at_open, "{length}");
            assert!(found.len() >= before, "{length}: {} after {before}", found.len());
            assert_eq!(reader.damage()[0].lost_messages, (length >= data_end).then_some(0), "{length}");
            before = found.len();
        }
        assert_eq!(before, 40);
    }
}

#[test]
fn an_uncompressed_chunk_is_read_up_to_the_break() {
    let (_directory, path) = directory();
    write_mcap(&path, chunked().chunk_size(None), &messages());
    let whole = fs::read(&path).unwrap();
    let (start, _) = records(&whole).into_iter().find(|(_, opcode)| *opcode == op::CHUNK).unwrap();
    fs::write(&path, &whole[..start + 1500]).unwrap();
    let (found, damage) = read(&path);
    assert!(found.len() > 15 && found == messages()[..found.len()], "{}", found.len());
    assert_eq!(damage.len(), 1);
    let size = start + 1500;
    let text = damage[0].to_string();
    assert!(text.contains(&format!("cut off at byte {size}: the end of the recording is missing")), "{text}");
}

fn chunk_starts(bytes: &[u8]) -> Vec<usize> {
    records(bytes).into_iter().filter(|(_, opcode)| *opcode == op::CHUNK).map(|(start, _)| start).collect()
}

#[test]
fn a_chunk_with_a_wrong_checksum_is_skipped_and_counted() {
    let by_index = chunked();
    let from_the_front = chunked().emit_chunk_indexes(false);
    for options in [by_index, from_the_front] {
        let (_directory, path) = directory();
        write_mcap(&path, options, &messages());
        let mut bytes = fs::read(&path).unwrap();
        let start = chunk_starts(&bytes)[2];
        bytes[start + 200] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (found, damage) = read(&path);
        let [Damage { reason, lost_messages: Some(lost), lost_bytes: Some(_), .. }] = damage.as_slice() else {
            panic!("{damage:?}")
        };
        assert_eq!(reason, &format!("a chunk with a wrong checksum at byte {start}"));
        assert!(*lost > 1);
        assert_eq!(found.len() as u64 + lost, 40);
        assert_eq!(found.last(), messages().last());
    }
}

#[test]
fn an_undecodable_chunk_is_skipped_and_counted() {
    for compression in [Compression::Lz4, Compression::Zstd] {
        let (_directory, path) = directory();
        let options = chunked().compression(Some(compression)).emit_message_indexes(false).emit_chunk_indexes(false);
        write_mcap(&path, options, &messages());
        let mut bytes = fs::read(&path).unwrap();
        let start = chunk_starts(&bytes)[1];
        bytes[start + 58..start + 64].fill(0xff);
        fs::write(&path, bytes).unwrap();
        let (found, damage) = read(&path);
        assert_eq!(damage.len(), 1);
        assert!(damage[0].reason.contains("undecodable chunk"), "{damage:?}");
        assert_eq!(found.len() as u64 + damage[0].lost_messages.unwrap(), 40, "by the statistics: {damage:?}");
    }
}

#[test]
fn chunks_that_are_indexed_twice_are_read_once() {
    let (_directory, path) = directory();
    write_mcap(&path, chunked().calculate_summary_section_crc(false), &messages());
    let mut bytes = fs::read(&path).unwrap();
    let indexes: Vec<usize> =
        records(&bytes).into_iter().filter(|(_, opcode)| *opcode == op::CHUNK_INDEX).map(|(start, _)| start).collect();
    let place = |start: usize| start + 9 + 16..start + 9 + 32;
    bytes.copy_within(place(indexes[0]), place(indexes[1]).start);
    fs::write(&path, bytes).unwrap();
    let (found, damage) = read(&path);
    assert_eq!(found.len() as u64 + lost(&damage), 40);
    assert!(damage[0].reason.contains("messages were found by its index"), "{damage:?}");
}

#[test]
fn a_damaged_summary_is_left_aside() {
    let (_directory, path) = directory();
    write_mcap(&path, chunked(), &messages());
    let mut bytes = fs::read(&path).unwrap();
    let (start, _) = records(&bytes).into_iter().find(|(_, opcode)| *opcode == op::CHUNK_INDEX).unwrap();
    bytes[start + 30] ^= 0xff;
    fs::write(&path, bytes).unwrap();
    let (found, damage) = read(&path);
    assert_eq!(found, messages());
    assert!(damage[0].reason.contains("summary with a wrong checksum"), "{damage:?}");
    assert_eq!(lost(&damage), 0);
}

/// Claims are refused before memory is taken for them.
#[test]
fn huge_claims_are_damage() {
    let (_directory, path) = directory();
    write_mcap(&path, chunked().compression(Some(Compression::Zstd)).emit_chunk_indexes(false), &messages());
    let whole = fs::read(&path).unwrap();
    let start = chunk_starts(&whole)[1];
    let claims: [(usize, &[u8]); 4] = [
        (start + 1, &[0xff; 8]),      // length of the record
        (start + 9 + 16, &[0xff; 8]), // unpacked size
        (start + 9 + 28, &[0xff; 4]), // length of the name of the compression
        (start + 9 + 36, &[0x7f; 8]), // packed size
    ];
    for (at, claim) in claims {
        let mut bytes = whole.clone();
        bytes[at..at + claim.len()].copy_from_slice(claim);
        fs::write(&path, bytes).unwrap();
        let (found, damage) = read(&path);
        assert!(!found.is_empty() && found.len() < 40 && !damage.is_empty(), "{at}: {damage:?}");
    }
}

#[test]
fn other_encodings_are_listed_but_not_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("a_0.mcap"), directory.path().join("a_1.mcap"));
    write_mcap(&first, chunked(), &messages());
    let other: Vec<Message> = messages().into_iter().map(|(_, nanos, data)| ("/other".into(), nanos, data)).collect();
    write_mcap_as(&second, chunked(), "protobuf", &other);
    let reader = BagReader::open(directory.path()).unwrap();
    let readable: Vec<_> = reader.topics().iter().map(|topic| (topic.name.as_str(), topic.readable())).collect();
    assert_eq!(readable, [("/camera", true), ("/clock", true), ("/other", false)]);
    assert_eq!(read_all(reader), (messages(), Vec::new()));
    let text = error(&second);
    assert!(text.contains("encoded as protobuf only, expected cdr"), "{text}");
}

#[test]
fn recordings_of_ros_1_are_refused_with_the_way_out() {
    let (directory, path) = directory();
    write_mcap_as(&path, chunked().profile("ros1"), "ros1", &messages());
    let text = error(&path);
    assert!(text.contains("MCAP file with messages of ROS 1") && text.contains("rosbags-convert"), "{text}");
    write_mcap_as(&path, chunked().profile(""), "ros1", &messages());
    let text = error(&path);
    assert!(text.contains("encoded as ros1 only") && text.contains("rosbags-convert"), "{text}");
    let bag = directory.path().join("old.bag");
    fs::write(&bag, "#ROSBAG V2.0\nand more").unwrap();
    let text = error(&bag);
    assert!(text.contains("a ROS 1 bag") && text.contains("rosbags-convert"), "{text}");
}
