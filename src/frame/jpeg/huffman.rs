//! Huffman tables (ITU-T T.81, B.2.4.2, C and F.2.2.3).

use super::bits::{Bits, Ended};

/// Bits that are looked up at once; longer codes are rare.
const LOOKUP_BITS: u32 = 10;
/// Most bits of an AC coefficient of an image of 8 bits (F.1.2.2).
pub(super) const MOST_AC_BITS: u8 = 10;

/// A code table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// For the next [`LOOKUP_BITS`] bits: length of the code (0 when it is longer) and symbol.
    lookup: Vec<(u8, u8)>,
    /// The same for the symbols of AC coefficients.
    steps: Vec<Step>,
    /// For every length: one more than its largest code, shifted to 16 bits; and what leads from a code to its symbol.
    ends: [u32; 17],
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

/// A code of an AC coefficient and the bits of the coefficient.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    /// Bits of both; 0 when it is to be found out in another way.
    pub bits: u8,
    /// Coefficients that it stands for: zeros and the one after them; 0 for the end of the block.
    pub coefficients: u8,
}

/// Why the next symbol cannot be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoSymbol {
    /// The data end.
    Ended,
    /// The bits are no code of the table.
    NoCode,
}

impl From<Ended> for NoSymbol {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl Table {
    /// From the number of codes of every length 1 to 16 and their symbols, shortest first; `None` when there are more codes
    /// than their lengths allow.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            lookup: vec![(0, 0); 1 << LOOKUP_BITS],
            steps: vec![Step::default(); 1 << LOOKUP_BITS],
            ends: [0; 17],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(counts) {
            table.offsets[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                let &symbol = symbols.get(index)?;
                if code >> length != 0 {
                    return None;
                }
                table.look_up(code, length, symbol);
                (code, index) = (code + 1, index + 1);
            }
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    fn look_up(&mut self, code: u32, length: u32, symbol: u8) {
        if length <= LOOKUP_BITS {
            let free = LOOKUP_BITS - length;
            let first = (code << free) as usize;
            self.lookup[first..first + (1 << free)].fill((length as u8, symbol));
            self.steps[first..first + (1 << free)].fill(step(length as u8, symbol));
        }
    }

    /// The code and the coefficient that come next in a block.
    #[inline]
    pub fn step(&self, bits: &mut Bits<'_>) -> Step {
        self.steps[(bits.peek_16() >> (16 - LOOKUP_BITS)) as usize]
    }

    /// Takes the next symbol.
    #[inline]
    pub fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, NoSymbol> {
        let next = bits.peek_16();
        let (length, symbol) = self.lookup[(next >> (16 - LOOKUP_BITS)) as usize];
        if length != 0 {
            bits.skip(length.into())?;
            return Ok(symbol);
        }
        self.long_symbol(next, bits)
    }

    #[cold]
    fn long_symbol(&self, next: u32, bits: &mut Bits<'_>) -> Result<u8, NoSymbol> {
        let length = (LOOKUP_BITS + 1..=16).find(|&length| next < self.ends[length as usize]);
        let length = length.ok_or(NoSymbol::NoCode)?;
        let index = (next >> (16 - length)) as i32 + self.offsets[length as usize];
        let symbol = usize::try_from(index).ok().and_then(|index| self.symbols.get(index));
        bits.skip(length)?;
        symbol.copied().ok_or(NoSymbol::NoCode)
    }
}

/// F.1.2.2: four bits of the symbol are the number of zeros, four the size of the coefficient.
fn step(length: u8, symbol: u8) -> Step {
    let (zeros, size) = (symbol >> 4, symbol & 15);
    match (zeros, size) {
        (15, 0) => Step { bits: length, coefficients: 16 },
        (_, 0) => Step { bits: length, coefficients: 0 },
        (_, 1..=MOST_AC_BITS) => Step { bits: length + size, coefficients: zeros + 1 },
        _ => Step::default(),
    }
}

/// The segment that defines the tables of ITU-T T.81, K.3, without marker and length: cameras that send Motion JPEG leave
/// it out.
pub(super) fn standard_segment() -> Vec<u8> {
    let mut segment = Vec::new();
    for (class_and_id, counts, symbols) in [
        (0x00, &LUMA_DC_COUNTS, &DC_SYMBOLS[..]),
        (0x10, &LUMA_AC_COUNTS, &LUMA_AC_SYMBOLS[..]),
        (0x01, &CHROMA_DC_COUNTS, &DC_SYMBOLS[..]),
        (0x11, &CHROMA_AC_COUNTS, &CHROMA_AC_SYMBOLS[..]),
    ] {
        segment.push(class_and_id);
        segment.extend(counts);
        segment.extend(symbols);
    }
    segment
}

/// Table K.3.
const LUMA_DC_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
/// Table K.4.
const CHROMA_DC_COUNTS: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
/// Symbols of both.
const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
/// Table K.5.
const LUMA_AC_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D];
#[rustfmt::skip]
const LUMA_AC_SYMBOLS: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
    0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];
/// Table K.6.
const CHROMA_AC_COUNTS: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77];
#[rustfmt::skip]
const CHROMA_AC_SYMBOLS: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1,
    0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A,
    0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA,
    0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
    0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA,
];
