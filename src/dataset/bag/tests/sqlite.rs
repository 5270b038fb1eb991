use std::fs;

use rusqlite::Connection;

use super::super::*;
use super::fixtures::*;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("what?#%41 ä_0.db3");
    (directory, path)
}

#[test]
fn every_schema_version_is_read() {
    for version in 1..=4 {
        let (_directory, path) = directory();
        write_db3(&path, version, &messages());
        let reader = BagReader::open(&path).unwrap();
        assert_eq!(reader.span_nanos(), (1_000, 1_390));
        let counts: Vec<_> = reader.topics().iter().map(|topic| (topic.name.as_str(), topic.message_count)).collect();
        assert_eq!(counts, [("/camera", 30), ("/clock", 10)]);
        assert_eq!(read_all(reader), (messages(), Vec::new()), "version {version}");
        assert_eq!(read_all(BagReader::open(&path).unwrap().only(&["/clock"])).0.len(), 10);
        assert_eq!(read_all(BagReader::open(&path).unwrap().only(&["/none"])), (Vec::new(), Vec::new()));
    }
}

#[test]
fn messages_come_by_time_with_an_index_and_by_row_without() {
    let (_directory, path) = directory();
    let mut many: Vec<Message> =
        (0..1_500).map(|number| ("/camera".into(), 5_000 - number / 2, vec![0, 1, 0, 0, number as u8])).collect();
    write_db3(&path, 4, &many);
    Connection::open(&path).unwrap().execute_batch("DROP INDEX timestamp_idx").unwrap();
    assert_eq!(read(&path).0, many);
    Connection::open(&path).unwrap().execute_batch("CREATE INDEX t ON messages (timestamp ASC)").unwrap();
    many.sort_by_key(|(_, nanos, _)| *nanos);
    assert_eq!(read(&path), (many, Vec::new()));
}

#[test]
fn what_lies_in_the_write_ahead_log_is_read() {
    let (directory, path) = directory();
    write_db3(&path, 4, &messages());
    let connection = Connection::open(&path).unwrap();
    let _: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
    connection.execute_batch("DELETE FROM messages WHERE id > 10").unwrap();
    // The copy is what a killed recorder leaves behind.
    let copy = directory.path().join("copy.db3");
    fs::copy(&path, &copy).unwrap();
    let log = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    fs::copy(log(&path), log(&copy)).unwrap();
    assert_eq!(read(&copy), (messages()[..10].to_vec(), Vec::new()));
    // Where the index of the log cannot be made beside it, as in a folder that cannot be written to.
    let index = PathBuf::from(format!("{}-shm", copy.display()));
    let _ = fs::remove_file(&index);
    fs::create_dir(&index).unwrap();
    assert_eq!(read(&copy), (messages()[..10].to_vec(), Vec::new()));
    // Where the log itself cannot be read.
    fs::remove_file(log(&copy)).unwrap();
    fs::create_dir(log(&copy)).unwrap();
    let (found, damage) = read(&copy);
    assert_eq!(found, messages());
    assert!(damage[0].reason.contains("the write-ahead log beside it cannot be applied"), "{damage:?}");
}

/// Rows on pages that are there are read, whatever is missing behind them.
#[test]
fn a_database_cut_off_anywhere_gives_what_is_there() {
    let (_directory, path) = directory();
    write_db3(&path, 4, &messages());
    let whole = fs::read(&path).unwrap();
    let mut most = 0;
    for length in (16..whole.len()).step_by(100) {
        fs::write(&path, &whole[..length]).unwrap();
        let (found, damage) = read(&path);
        assert!(!damage.is_empty(), "{length}");
        assert!(found.iter().all(|message| messages().contains(message)), "{length}");
        most = most.max(found.len());
    }
    assert!(most > 30, "{most}");
}

#[test]
fn a_damaged_page_costs_the_messages_on_it() {
    let (_directory, path) = directory();
    let many: Vec<Message> =
        (0..2_000_u64).map(|number| ("/camera".into(), number, vec![0, 1, 0, 0, number as u8, 1, 2, 3])).collect();
    write_db3(&path, 4, &many);
    let whole = fs::read(&path).unwrap();
    let mut exact = 0;
    for page in (10..whole.len() / 512).step_by(7) {
        let mut bytes = whole.clone();
        bytes[page * 512..(page + 1) * 512].fill(0xee);
        fs::write(&path, bytes).unwrap();
        let (mut found, damage) = read(&path);
        assert!(!damage.is_empty(), "page {page}");
        found.sort_by_key(|(_, nanos, _)| *nanos);
        found.dedup();
        assert!(found.len() > 1_000, "page {page}: {}", found.len());
        assert!(found.iter().all(|message| many.contains(message)), "page {page}");
        exact += usize::from(found.len() as u64 + lost(&damage) == 2_000);
    }
    assert!(exact > 5, "{exact}");
}

#[test]
fn a_damaged_index_costs_no_message_and_no_message_comes_twice() {
    let (_directory, path) = directory();
    let many: Vec<Message> = (0..2_000).map(|number| ("/camera".into(), number, vec![0, 1, 0, 0])).collect();
    write_db3(&path, 4, &many);
    let leaf = {
        let connection = Connection::open(&path).unwrap();
        let root: i64 = connection
            .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'timestamp_idx'", [], |row| row.get(0))
            .unwrap();
        let bytes = fs::read(&path).unwrap();
        let page = &bytes[(root as usize - 1) * 512..];
        let cell = u16::from_be_bytes([page[18], page[19]]) as usize;
        u32::from_be_bytes(page[cell..cell + 4].try_into().unwrap()) as usize
    };
    let mut bytes = fs::read(&path).unwrap();
    bytes[(leaf - 1) * 512..leaf * 512].fill(0xee);
    fs::write(&path, bytes).unwrap();
    let (mut found, damage) = read(&path);
    assert!(damage[0].reason.contains("index of time stamps"), "{damage:?}");
    assert_eq!(lost(&damage), 0);
    found.sort_by_key(|(_, nanos, _)| *nanos);
    assert_eq!(found, many);
}

#[test]
fn messages_that_an_index_does_not_lead_to_are_told() {
    let (_directory, path) = directory();
    write_db3(&path, 4, &messages());
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_master SET sql = 'CREATE INDEX timestamp_idx ON messages (timestamp) WHERE id < 30'
             WHERE name = 'timestamp_idx';",
        )
        .unwrap();
    drop(connection);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "REINDEX; PRAGMA writable_schema = ON;
             UPDATE sqlite_master SET sql = 'CREATE INDEX timestamp_idx ON messages (timestamp)'
             WHERE name = 'timestamp_idx';",
        )
        .unwrap();
    drop(connection);
    let (found, damage) = read(&path);
    assert_eq!(found, messages()[..29]);
    assert_eq!(
        damage[0].to_string().split(": ").nth(1),
        Some("29 of 40 messages were found by its index (11 messages are lost)")
    );
}

#[test]
fn databases_of_something_else_are_refused() {
    let (_directory, path) = directory();
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE visits(id INTEGER); CREATE VIEW messages AS SELECT 1; CREATE VIEW topics AS SELECT 1",
        )
        .unwrap();
    let text = error(&path);
    assert!(text.contains("a SQLite database without the tables of rosbag2"), "{text}");
}

#[test]
fn rows_that_are_no_messages_are_damage() {
    let (_directory, path) = directory();
    write_db3(&path, 4, &messages());
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "UPDATE messages SET topic_id = 9 WHERE id = 3; UPDATE messages SET data = 1.5 WHERE id = 5;
             UPDATE messages SET timestamp = 'now' WHERE id = 7; UPDATE messages SET timestamp = -5 WHERE id = 9;",
        )
        .unwrap();
    let (found, damage) = read(&path);
    assert_eq!(found.len(), 37, "{damage:?}");
    assert_eq!(lost(&damage), 3, "{damage:?}");
    assert!(found.iter().any(|(_, nanos, _)| *nanos == 0));
}
