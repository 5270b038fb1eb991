//! Broken bytes of every kind: nothing panics, hangs, or delivers what was never recorded twice.

use std::fs;
use std::sync::LazyLock;

use mcap::Compression;
use proptest::prelude::*;

use super::super::*;
use super::fixtures::*;

/// Small files of each kind by name.
static FILES: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let mcap = |options| {
        write_mcap(&path, options, &messages());
        fs::read(&path).unwrap()
    };
    let mut files = vec![
        ("indexed", mcap(chunked())),
        ("unchecked", mcap(chunked().calculate_chunk_crcs(false).calculate_summary_section_crc(false))),
        ("lz4", mcap(chunked().compression(Some(Compression::Lz4)))),
        ("zstd", mcap(chunked().compression(Some(Compression::Zstd)).calculate_chunk_crcs(false))),
        ("unindexed", mcap(chunked().emit_chunk_indexes(false))),
        ("not chunked", mcap(chunked().use_chunks(false))),
    ];
    fs::remove_file(&path).unwrap();
    write_db3(&path, 4, &messages());
    files.push(("db3", fs::read(&path).unwrap()));
    fs::remove_file(&path).unwrap();
    write_db3(&path, 2, &compressed(&messages()));
    files.push(("compressed messages", fs::read(&path).unwrap()));
    let packed = [0, 6].map(|file| zstd::encode_all(files[file].1.as_slice(), 1).unwrap());
    let [mcap, db3] = packed;
    files.extend([("mcap.zstd", mcap), ("db3.zstd", db3)]);
    files
});

/// Changes to bytes: where, as a fraction of the length, and to what.
fn changes() -> impl Strategy<Value = Vec<(f64, Vec<u8>)>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..9),
        Just(vec![0xff; 8]),
        Just(vec![0; 8]),
        Just(vec![0xff, 0xff, 0xff, 0x3f, 0, 0, 0, 0]),
    ];
    prop::collection::vec((0.0..1.0, bytes), 0..4)
}

fn changed(original: &[u8], changes: &[(f64, Vec<u8>)], kept: f64) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for (place, new) in changes {
        let start = (place * bytes.len() as f64) as usize;
        bytes.iter_mut().skip(start).zip(new).for_each(|(byte, new)| *byte = *new);
    }
    bytes.truncate((kept * bytes.len() as f64) as usize);
    bytes
}

/// Reads to the end; more messages than were recorded mean that some came twice.
fn exhaust(path: &Path) -> Result<(), TestCaseError> {
    if let Ok(mut reader) = BagReader::open(path) {
        let count = reader.by_ref().take(1_000).count();
        prop_assert!(count <= 80, "{} messages", count);
        reader.damage().iter().for_each(|damage| drop(damage.to_string()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn broken_files_are_read_to_their_end(
        file in 0..FILES.len(),
        changes in changes(),
        kept in prop_oneof![2 => Just(1.0), 1 => 0.0..1.0],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, changed(&FILES[file].1, &changes, kept)).unwrap();
        exhaust(&path)?;
    }

    #[test]
    fn broken_metadata_never_prevents_reading(changes in changes(), kept in 0.0..=1.0, noise in any::<Vec<u8>>()) {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("a");
        let mut writer = BagWriter::create(&folder).unwrap();
        writer.write("/clock", 1, &crate::dataset::cdr::Clock { clock: Default::default() }).unwrap();
        writer.finish().unwrap();
        let original = fs::read(folder.join("metadata.yaml")).unwrap();
        for text in [changed(&original, &changes, kept), noise] {
            fs::write(folder.join("metadata.yaml"), text).unwrap();
            match BagReader::open(&folder) {
                Ok(reader) => prop_assert_eq!(reader.map(Result::unwrap).count(), 1),
                Err(error) => prop_assert!(matches!(error, BagError::Compression { .. }), "{}", error),
            }
        }
    }
}
