//! The records of an MCAP file one after the other, without their content.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::dataset::bag::BagError;

/// Bytes of opcode and length before the body of a record.
pub(super) const HEAD: u64 = 9;

/// A record in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: u8,
    /// Its first byte in the file.
    pub(super) start: u64,
    /// Bytes of the body, as the record claims.
    pub(super) length: u64,
}

/// What comes next in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A record that is all there.
    Record(Frame),
    /// A record that reaches beyond the end of the file.
    Cut(Frame),
    /// Less than the head of a record.
    Rest {
        /// Its first byte in the file.
        start: u64,
    },
    /// Nothing.
    End,
}

/// Walks over a file.
pub(super) struct Frames {
    /// The file by the name that is told to the user.
    path: PathBuf,
    file: BufReader<File>,
    /// Where `file` stands.
    at: u64,
    /// First byte of the next record.
    next: u64,
    end: u64,
}

impl Frames {
    /// Opens `data`, which errors call `path`, to read from `start` to its end.
    pub(super) fn open(path: &Path, data: &Path, start: u64) -> Result<Self, BagError> {
        let file = File::open(data).map_err(BagError::io(path))?;
        let end = file.metadata().map_err(BagError::io(path))?.len();
        let file = BufReader::with_capacity(64 << 10, file);
        Ok(Self { path: path.to_path_buf(), file, at: 0, next: start, end })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub(super) const fn size(&self) -> u64 {
        self.end
    }

    /// Goes on at `start`.
    pub(super) const fn jump(&mut self, start: u64) {
        self.next = start;
    }

    /// The next record. The one after it begins where this one claims to end.
    pub(super) fn step(&mut self) -> Result<Step, BagError> {
        let start = self.next;
        let mut head = Vec::new();
        self.read(start, HEAD, &mut head)?;
        let Some((&opcode, length)) = head.split_first() else { return Ok(Step::End) };
        let Ok(length) = <[u8; 8]>::try_from(length) else { return Ok(Step::Rest { start }) };
        let frame = Frame { opcode, start, length: u64::from_le_bytes(length) };
        let left = self.end - start - HEAD;
        if frame.length > left {
            self.next = self.end;
            return Ok(Step::Cut(frame));
        }
        self.next = start + HEAD + frame.length;
        Ok(Step::Record(frame))
    }

    /// At most `limit` bytes of the body of a record.
    pub(super) fn body(&mut self, frame: Frame, limit: u64, buffer: &mut Vec<u8>) -> Result<(), BagError> {
        self.read(frame.start + HEAD, frame.length.min(limit), buffer)
    }

    /// At most `count` bytes from `start`; fewer where the file ends.
    pub(super) fn read(&mut self, start: u64, count: u64, buffer: &mut Vec<u8>) -> Result<(), BagError> {
        buffer.clear();
        let count = count.min(self.end.saturating_sub(start));
        if count == 0 {
            return Ok(());
        }
        self.seek(start)?;
        // The file has these bytes, so this is no claim.
        buffer.reserve(usize::try_from(count).unwrap_or(0));
        let read = (&mut self.file).take(count).read_to_end(buffer).map_err(BagError::io(&self.path))?;
        self.at += read as u64;
        Ok(())
    }

    /// Short ways stay within the buffer.
    fn seek(&mut self, to: u64) -> Result<(), BagError> {
        let error = BagError::io(&self.path);
        match i64::try_from(i128::from(to) - i128::from(self.at)) {
            Ok(way) => self.file.seek_relative(way).map_err(error)?,
            Err(_) => self.file.seek(SeekFrom::Start(to)).map(|_| ()).map_err(error)?,
        }
        self.at = to;
        Ok(())
    }
}
