//! The segments of a JPEG (ITU-T T.81, B), and a copy that a decoder takes.

use super::bits::{Bits, next_marker};
use super::huffman::{Table, standard_segment};
use super::scan::{Component, Frame, Scan, Tables, Trouble};
use super::{MAX_SCANNED_PIXELS, MAX_SCANS};
use crate::frame::{FrameError, check_dimensions};

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const QUANTISATION: u8 = 0xDB;
const RESTART_INTERVAL: u8 = 0xDD;
const HUFFMAN: u8 = 0xC4;
const BASELINE: u8 = 0xC0;
const EXTENDED: u8 = 0xC1;
const PROGRESSIVE: u8 = 0xC2;
/// Adobe's segment, which says whether the components are RGB, YCbCr, CMYK or YCCK.
const ADOBE: u8 = 0xEE;

/// An image of which all data are there.
#[derive(Debug)]
pub(super) struct Examined {
    pub width: u32,
    pub height: u32,
    /// Rows that the stream has: the others were left out.
    pub rows: u32,
    /// Whether it has a single component.
    pub grey: bool,
    /// The segments that matter and the data of all scans.
    pub stream: Vec<u8>,
}

/// Walks through a JPEG. Stray bytes between segments are passed over, standard Huffman tables are put where there are
/// none, and an end where it is missing though all blocks are there. Below `rows` blocks are left out where they can be.
pub(super) fn examine(data: &[u8], max_pixels: u64, rows: u32) -> Result<Examined, FrameError> {
    let mut walk = Walk {
        data,
        position: 2,
        max_pixels,
        frame: None,
        tables: Tables::default(),
        restart_interval: 0,
        scans: 0,
        wanted_rows: rows,
        height_at: 0,
        rows: None,
        stream: vec![0xFF, START_OF_IMAGE],
    };
    let has_end = walk.segments()?;
    walk.finish(has_end)
}

struct Walk<'a> {
    data: &'a [u8],
    position: usize,
    max_pixels: u64,
    frame: Option<Frame>,
    tables: Tables,
    restart_interval: u64,
    scans: usize,
    wanted_rows: u32,
    /// Where the height stands in the stream.
    height_at: usize,
    /// Rows that are in the stream; `None`: all.
    rows: Option<u32>,
    stream: Vec<u8>,
}

impl<'a> Walk<'a> {
    /// Goes from marker to marker; whether the last one was the end of the image.
    fn segments(&mut self) -> Result<bool, FrameError> {
        loop {
            self.position = next_marker(self.data, self.position);
            let Some(&marker) = self.data.get(self.position + 1) else { return Ok(false) };
            self.position += 2;
            match marker {
                END_OF_IMAGE => return Ok(true),
                // Markers without a segment; restart markers may follow the last unit of a scan.
                START_OF_IMAGE | 0x01 | 0xD0..=0xD7 => {}
                _ => match self.content()? {
                    Some(content) => self.segment(marker, content)?,
                    None => return Ok(false),
                },
            }
        }
    }

    fn segment(&mut self, marker: u8, content: &[u8]) -> Result<(), FrameError> {
        match marker {
            BASELINE | EXTENDED | PROGRESSIVE => self.start_of_frame(marker, content)?,
            0xC3 | 0xC5..=0xC7 => return damaged("lossless and hierarchical JPEG are not supported"),
            0xC9..=0xCF => return damaged("arithmetic coding is not supported"),
            0xDC => return damaged("a height that follows the data (DNL) is not supported"),
            HUFFMAN => self.tables.define(content)?,
            RESTART_INTERVAL => self.restart_interval = restart_interval(content)?,
            QUANTISATION => {}
            ADOBE if content.starts_with(b"Adobe") => {}
            START_OF_SCAN => return self.scan(content),
            _ => return Ok(()),
        }
        self.copy(marker, content);
        Ok(())
    }

    /// What follows the length of a segment; `None` when the data end in it.
    fn content(&mut self) -> Result<Option<&'a [u8]>, FrameError> {
        let Some(&length) = self.data.get(self.position..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(length));
        if length < 2 {
            return damaged(&format!("a segment claims a length of {length} bytes; its length alone takes 2"));
        }
        let content = self.data.get(self.position + 2..self.position + length);
        self.position += length;
        Ok(content)
    }

    fn copy(&mut self, marker: u8, content: &[u8]) {
        self.stream.extend([0xFF, marker]);
        // The content came with a length of two bytes.
        self.stream.extend((content.len() as u16 + 2).to_be_bytes());
        self.stream.extend(content);
    }

    fn start_of_frame(&mut self, marker: u8, content: &[u8]) -> Result<(), FrameError> {
        if self.frame.is_some() {
            return damaged("it has two frames");
        }
        // Behind marker, length and precision, which are copied next.
        self.height_at = self.stream.len() + 5;
        self.frame = Some(frame(marker == PROGRESSIVE, content, self.max_pixels)?);
        Ok(())
    }

    /// Walks through a scan and copies it.
    fn scan(&mut self, content: &[u8]) -> Result<(), FrameError> {
        self.complete_tables()?;
        let Some(frame) = &mut self.frame else { return damaged("a scan comes before the frame") };
        let scan = scan(content, frame)?;
        self.scans += 1;
        let scanned = self.scans as u64 * u64::from(frame.width) * u64::from(frame.height);
        if self.scans > MAX_SCANS || scanned > MAX_SCANNED_PIXELS {
            return damaged(&format!(
                "it has {} scans of {}×{} pixels; at most {MAX_SCANS} scans and {MAX_SCANNED_PIXELS} pixels in all \
                 scans together are decoded",
                self.scans, frame.width, frame.height
            ));
        }
        let mut bits = Bits::new(self.data, self.position);
        let above = frame.above(&scan, self.wanted_rows);
        let few = above.map_or(u64::MAX, |(units, _)| units);
        let behind =
            frame.walk(&scan, &self.tables, self.restart_interval, &mut bits, few).map_err(
                |trouble| match trouble {
                    Trouble::Damaged(reason) => FrameError::Jpeg(reason),
                    Trouble::Ended { unit, units } => FrameError::Truncated {
                        bytes: bits.go_to_marker(),
                        place: format!("with {unit} of {units} units of scan {}", self.scans),
                    },
                },
            )?;
        self.copy(START_OF_SCAN, content);
        let end = bits.go_to_marker();
        self.rows = behind.and(above).map(|(_, rows)| rows);
        self.stream.extend(&self.data[self.position..behind.unwrap_or(end)]);
        self.position = end;
        Ok(())
    }

    /// Puts the standard tables where the image has none.
    fn complete_tables(&mut self) -> Result<(), FrameError> {
        if self.tables.dc.iter().chain(&self.tables.ac).any(Option::is_some) {
            return Ok(());
        }
        let standard = standard_segment();
        self.tables.define(&standard)?;
        self.copy(HUFFMAN, &standard);
        Ok(())
    }

    fn finish(mut self, has_end: bool) -> Result<Examined, FrameError> {
        let truncated = |place| Err(FrameError::Truncated { bytes: self.data.len(), place });
        let Some(frame) = &self.frame else { return truncated("in the header".to_owned()) };
        // Only the end tells that a progressive image was meant to have fewer bits than all.
        let needs_all = frame.progressive && !has_end;
        let is_there = |one: &Component| if needs_all { one.is_complete() } else { one.has_started() };
        if !frame.components.iter().all(is_there) {
            return truncated(format!("with {} scans, which do not make a whole image", self.scans));
        }
        self.stream.extend([0xFF, END_OF_IMAGE]);
        let rows = self.rows.unwrap_or(frame.height);
        if let Some(height) = self.stream.get_mut(self.height_at..self.height_at + 2) {
            // The height came with two bytes.
            height.copy_from_slice(&(rows as u16).to_be_bytes());
        }
        let grey = frame.components.len() == 1;
        Ok(Examined { width: frame.width, height: frame.height, rows, grey, stream: self.stream })
    }
}

fn damaged<T>(reason: &str) -> Result<T, FrameError> {
    Err(FrameError::Jpeg(reason.to_owned()))
}

/// B.2.4.4.
fn restart_interval(content: &[u8]) -> Result<u64, FrameError> {
    match content {
        &[high, low] => Ok(u16::from_be_bytes([high, low]).into()),
        _ => damaged(&format!("the restart interval has {} bytes instead of 2", content.len())),
    }
}

/// B.2.2.
fn frame(progressive: bool, content: &[u8], max_pixels: u64) -> Result<Frame, FrameError> {
    let Some((&[precision, y1, y0, x1, x0, count], components)) = content.split_first_chunk() else {
        return damaged("the frame header is too short");
    };
    let (width, height) = (u16::from_be_bytes([x1, x0]).into(), u16::from_be_bytes([y1, y0]).into());
    check_dimensions(width, height, max_pixels)?;
    if precision != 8 {
        return damaged(&format!("its samples have {precision} bits; JPEG of 8 bits is supported"));
    }
    if !matches!(count, 1 | 3 | 4) || components.len() != 3 * usize::from(count) {
        return damaged(&format!("it has {count} components; 1, 3 and 4 are supported"));
    }
    let mut components = components.as_chunks::<3>().0.iter().map(component).collect::<Result<Vec<_>, _>>()?;
    let unit = count_blocks(&mut components, width, height);
    Ok(Frame { progressive, width, height, components, unit })
}

fn component(&[id, sampling, _]: &[u8; 3]) -> Result<Component, FrameError> {
    let (horizontal, vertical) = (u32::from(sampling >> 4), u32::from(sampling & 15));
    if !(1..=4).contains(&horizontal) || !(1..=4).contains(&vertical) {
        return damaged(&format!("component {id} has sampling factors {horizontal}×{vertical}; 1 to 4 are allowed"));
    }
    Ok(Component::new(id, horizontal, vertical))
}

/// A.1.1 and A.2.4: fills in the blocks of every component; width and height of a unit of an interleaved scan.
fn count_blocks(components: &mut [Component], width: u32, height: u32) -> (u32, u32) {
    let most = |factor: fn(&Component) -> u32| components.iter().map(factor).max().unwrap_or(1);
    let (horizontal, vertical) = (most(|component| component.horizontal), most(|component| component.vertical));
    for component in components {
        let blocks = |length: u32, factor: u32, most: u32| (length * factor).div_ceil(most).div_ceil(8);
        component.blocks =
            (blocks(width, component.horizontal, horizontal), blocks(height, component.vertical, vertical));
    }
    (8 * horizontal, 8 * vertical)
}

/// B.2.3.
fn scan(content: &[u8], frame: &Frame) -> Result<Scan, FrameError> {
    let (count, rest) = content.split_first().map_or((0, content), |(&count, rest)| (usize::from(count), rest));
    let Some((selectors, &[first, last, bits])) = rest.split_last_chunk() else {
        return damaged("a scan header is too short");
    };
    if !(1..=4).contains(&count) || selectors.len() != 2 * count {
        return damaged(&format!("a scan header has {} bytes for {count} components", content.len()));
    }
    let components = selectors.as_chunks::<2>().0.iter().map(|&[id, tables]| {
        let index = frame.components.iter().position(|component| component.id == id);
        index.map(|index| (index, usize::from(tables >> 4), usize::from(tables & 15)))
    });
    let Some(components) = components.collect::<Option<Vec<_>>>() else {
        return damaged("a scan names a component that the frame does not have");
    };
    let scan = Scan { components, spectrum: (first, last), bits: (bits >> 4, bits & 15) };
    if frame.progressive { check_progressive(scan) } else { check_sequential(scan, frame) }
}

/// The decoder puts the chroma of a scan of its own in the wrong place when it has another size than luma.
fn check_sequential(scan: Scan, frame: &Frame) -> Result<Scan, FrameError> {
    let factors = |one: &Component| (one.horizontal, one.vertical);
    let is_subsampled = frame.components.iter().any(|one| factors(one) != factors(&frame.components[0]));
    if is_subsampled && scan.components.len() < frame.components.len() {
        return damaged("subsampled chroma in a scan of its own is not supported");
    }
    Ok(Scan { spectrum: (0, 63), bits: (0, 0), ..scan })
}

/// G.1.1.1: brightness alone, or other coefficients of a single component.
fn check_progressive(scan: Scan) -> Result<Scan, FrameError> {
    let (first, last) = scan.spectrum;
    let (high, low) = scan.bits;
    let is_legal = if first == 0 { last == 0 } else { first <= last && last < 64 && scan.components.len() == 1 };
    if !is_legal || low > 13 || (high != 0 && high <= low) {
        return damaged(&format!("a progressive scan of coefficients {first} to {last}, bits {high} to {low}"));
    }
    Ok(scan)
}

impl Tables {
    /// B.2.4.2: takes the tables of a segment.
    fn define(&mut self, mut content: &[u8]) -> Result<(), FrameError> {
        while let Some((&class_and_id, rest)) = content.split_first() {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return damaged("a Huffman table is too short");
            };
            let length = counts.iter().map(|&count| usize::from(count)).sum();
            let Some((symbols, rest)) = rest.split_at_checked(length) else {
                return damaged("a Huffman table is too short");
            };
            let tables = match class_and_id >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                class => return damaged(&format!("a Huffman table of class {class}; 0 and 1 exist")),
            };
            let Some(slot) = tables.get_mut(usize::from(class_and_id & 15)) else {
                return damaged(&format!("Huffman table {}; 0 to 3 exist", class_and_id & 15));
            };
            let table = Table::new(counts, symbols);
            *slot = Some(table.ok_or_else(|| FrameError::Jpeg("a Huffman table has more codes than fit".into()))?);
            content = rest;
        }
        Ok(())
    }
}
