//! rosbag2's own compression with zstd: of whole files, and of single messages.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use super::limits::{MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES, MAX_UNPACKED_BYTES, ZSTD_WINDOW_LOG};
use super::{BagError, Damage};

/// First bytes of a zstd frame. CDR begins with a zero, so the two cannot be confused.
pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bytes that are unpacked at once.
const BLOCK: usize = 256 << 10;

/// The message itself: data that begins as a zstd frame is unpacked, other data stays as it is.
///
/// # Errors
/// What is wrong with the compressed data.
pub(super) fn message(data: Vec<u8>) -> Result<Vec<u8>, String> {
    if !data.starts_with(&ZSTD_MAGIC) {
        return Ok(data);
    }
    let unpacked =
        zstd(&data, MAX_MESSAGE_BYTES).map_err(|(_, source)| format!("undecodable zstd message: {source}"))?;
    if unpacked.len() as u64 > MAX_MESSAGE_BYTES {
        return Err(format!("a message that unpacks to more than {MAX_MESSAGE_BYTES} bytes"));
    }
    Ok(unpacked)
}

/// The records of an MCAP chunk. Memory grows with what comes out, not with the claimed size.
///
/// # Errors
/// What came out before the break, and what is wrong.
pub(super) fn chunk(compression: &str, data: &[u8], size: u64) -> Result<Vec<u8>, (Vec<u8>, String)> {
    let limit = size.min(MAX_CHUNK_BYTES);
    let undecodable =
        |(unpacked, source): (_, io::Error)| (unpacked, format!("undecodable {compression} data: {source}"));
    match compression {
        "" => Ok(data.to_vec()),
        "zstd" => zstd(data, limit).map_err(undecodable),
        "lz4" => lz4::Decoder::new(data)
            .map_err(|source| (Vec::new(), source))
            .and_then(|decoder| read(decoder, limit))
            .map_err(undecodable),
        other => Err((Vec::new(), format!("compressed with {other:?}, which is not known"))),
    }
}

/// At most one byte more than `limit`, so that the caller sees when there is more.
fn zstd(data: &[u8], limit: u64) -> Result<Vec<u8>, (Vec<u8>, io::Error)> {
    let decoder = || -> io::Result<_> {
        let mut decoder = zstd::Decoder::with_buffer(data)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(decoder)
    };
    read(decoder().map_err(|source| (Vec::new(), source))?, limit)
}

fn read(decoder: impl Read, limit: u64) -> Result<Vec<u8>, (Vec<u8>, io::Error)> {
    let mut unpacked = Vec::new();
    match decoder.take(limit.saturating_add(1)).read_to_end(&mut unpacked) {
        Ok(_) => Ok(unpacked),
        Err(source) => Err((unpacked, source)),
    }
}

/// A file that was unpacked into the folder for temporary files, where it is removed when this is dropped.
pub(super) struct Unpacked {
    pub(super) file: TempPath,
    /// Why it ends early.
    pub(super) damage: Option<Damage>,
}

/// Unpacks a whole file as a stream.
///
/// # Errors
/// [`BagError::Io`] when the file cannot be read or the temporary one not be written. Broken zstd data is damage instead.
pub(super) fn file(path: &Path) -> Result<Unpacked, BagError> {
    let source = File::open(path).map_err(BagError::io(path))?;
    let mut decoder =
        zstd::Decoder::with_buffer(BufReader::with_capacity(BLOCK, source)).map_err(BagError::io(path))?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(BagError::io(path))?;
    let mut target = NamedTempFile::new().map_err(BagError::io(&std::env::temp_dir()))?;
    let damage = copy(&mut decoder.take(MAX_UNPACKED_BYTES), &mut target, path)?;
    Ok(Unpacked { file: target.into_temp_path(), damage })
}

fn copy(decoder: &mut impl Read, target: &mut NamedTempFile, path: &Path) -> Result<Option<Damage>, BagError> {
    let mut block = vec![0; BLOCK];
    let mut unpacked: u64 = 0;
    loop {
        let count = match decoder.read(&mut block) {
            Ok(0) if unpacked < MAX_UNPACKED_BYTES => return Ok(None),
            Ok(0) => return Ok(Some(Damage::new(path, format!("unpacks to more than {MAX_UNPACKED_BYTES} bytes")))),
            Ok(count) => count,
            // zstd's own errors carry no number of the operating system.
            Err(source) if source.raw_os_error().is_some() => return Err(BagError::io(path)(source)),
            Err(source) => {
                let reason = format!("the zstd data is cut off or broken after {unpacked} unpacked bytes ({source})");
                return Ok(Some(Damage::new(path, reason)));
            }
        };
        target.write_all(&block[..count]).map_err(BagError::io(target.path()))?;
        unpacked += count as u64;
    }
}
