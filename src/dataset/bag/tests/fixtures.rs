//! Small recordings of every kind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mcap::WriteOptions;
use mcap::records::MessageHeader;
use rusqlite::Connection;

use super::super::*;

/// Topic, log time and data.
pub(super) type Message = (String, u64, Vec<u8>);

/// Forty messages on two topics in the order of time, each with other bytes.
pub(super) fn messages() -> Vec<Message> {
    let message = |number: u64| {
        let topic = if number % 4 == 3 { "/clock" } else { "/camera" };
        let data = [vec![0, 1, 0, 0], vec![number as u8; 20 + number as usize]].concat();
        (topic.to_owned(), 1_000 + number * 10, data)
    };
    (0..40).map(message).collect()
}

pub(super) fn type_of(topic: &str) -> &'static str {
    if topic == "/clock" { "rosgraph_msgs/msg/Clock" } else { "sensor_msgs/msg/CompressedImage" }
}

/// Chunks of a few messages each.
pub(super) fn chunked() -> WriteOptions {
    WriteOptions::new().profile("ros2").compression(None).chunk_size(Some(500)).disable_seeking(true)
}

pub(super) fn write_mcap(path: &Path, options: WriteOptions, messages: &[Message]) {
    write_mcap_as(path, options, "cdr", messages);
}

pub(super) fn write_mcap_as(path: &Path, options: WriteOptions, encoding: &str, messages: &[Message]) {
    let mut writer = options.create(File::create(path).unwrap()).unwrap();
    for (sequence, (topic, nanos, data)) in messages.iter().enumerate() {
        let schema = writer.add_schema(type_of(topic), "ros2msg", b"uint8[] data").unwrap();
        let channel_id = writer.add_channel(schema, topic, encoding, &Default::default()).unwrap();
        let header = MessageHeader { channel_id, sequence: sequence as u32, log_time: *nanos, publish_time: *nanos };
        writer.write_to_known_channel(&header, data).unwrap();
    }
    writer.finish().unwrap();
}

/// A database as the `version` of rosbag2's schema has it.
pub(super) fn write_db3(path: &Path, version: u32, messages: &[Message]) {
    let mut connection = Connection::open(path).unwrap();
    connection.execute_batch(&schema(version)).unwrap();
    let transaction = connection.transaction().unwrap();
    for (id, topic) in ["/camera", "/clock"].iter().enumerate() {
        let sql = "INSERT INTO topics (id, name, type, serialization_format) VALUES (?1, ?2, ?3, 'cdr')";
        let sql = if version == 1 { sql.to_owned() } else { with_qos(sql) };
        transaction.execute(&sql, (id as i64 + 1, topic, type_of(topic))).unwrap();
    }
    for (topic, nanos, data) in messages {
        let sql = "INSERT INTO messages (topic_id, timestamp, data) VALUES (?1, ?2, ?3)";
        let id = if topic == "/clock" { 2 } else { 1 };
        transaction.execute(sql, (id, *nanos as i64, data)).unwrap();
    }
    transaction.commit().unwrap();
}

fn with_qos(sql: &str) -> String {
    sql.replace("serialization_format)", "serialization_format, offered_qos_profiles)").replace("'cdr')", "'cdr', '')")
}

fn schema(version: u32) -> String {
    let (mut columns, mut more) = (String::new(), String::new());
    if version >= 2 {
        columns += ", offered_qos_profiles TEXT NOT NULL";
    }
    if version >= 3 {
        more += "CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
                 CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, metadata TEXT NOT NULL);";
    }
    if version >= 4 {
        columns += ", type_description_hash TEXT NOT NULL DEFAULT ''";
        more += "CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL,
                 encoding TEXT NOT NULL, encoded_message_definition TEXT NOT NULL, type_description_hash TEXT NOT NULL);";
    }
    format!(
        "PRAGMA page_size = 512;
         {more}
         CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
           serialization_format TEXT NOT NULL{columns});
         CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
           data BLOB NOT NULL);
         CREATE INDEX timestamp_idx ON messages (timestamp ASC);"
    )
}

/// Compresses a file as rosbag2 does and removes it.
pub(super) fn compress(path: &Path) -> PathBuf {
    let compressed = PathBuf::from(format!("{}.zstd", path.display()));
    fs::write(&compressed, zstd::encode_all(File::open(path).unwrap(), 1).unwrap()).unwrap();
    fs::remove_file(path).unwrap();
    compressed
}

/// Every message as a zstd frame of its own.
pub(super) fn compressed(messages: &[Message]) -> Vec<Message> {
    let compress = |data: &Vec<u8>| zstd::encode_all(data.as_slice(), 1).unwrap();
    messages.iter().map(|(topic, nanos, data)| (topic.clone(), *nanos, compress(data))).collect()
}

/// What a reader delivers, and the damage it tells in the end.
pub(super) fn read(path: &Path) -> (Vec<Message>, Vec<Damage>) {
    read_all(BagReader::open(path).unwrap())
}

pub(super) fn read_all(mut reader: BagReader) -> (Vec<Message>, Vec<Damage>) {
    let mut messages = Vec::new();
    for message in reader.by_ref() {
        let BagMessage { topic, type_name, log_nanos, data } = message.unwrap();
        assert_eq!(type_name.as_ref(), type_of(&topic));
        messages.push((topic.as_ref().to_owned(), log_nanos, data));
    }
    let damage = reader.damage().to_vec();
    (messages, damage)
}

/// Messages whose loss is told.
pub(super) fn lost(damage: &[Damage]) -> u64 {
    damage.iter().filter_map(|damage| damage.lost_messages).sum()
}

pub(super) fn error(path: &Path) -> String {
    BagReader::open(path).err().unwrap().to_string()
}

/// Offsets of the records of an MCAP file with their opcodes.
pub(super) fn records(bytes: &[u8]) -> Vec<(usize, u8)> {
    let mut records = Vec::new();
    let mut at = mcap::MAGIC.len();
    while at + 9 <= bytes.len() - mcap::MAGIC.len() {
        records.push((at, bytes[at]));
        at += 9 + u64::from_le_bytes(bytes[at + 1..at + 9].try_into().unwrap()) as usize;
    }
    records
}
