//! The bits of entropy-coded data (ITU-T T.81, B.1.1.5 and F.2.2.5).

/// The data ended, or a marker came, before the bits that are needed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended;

/// Reads bits up to the next marker; a byte FF in the data is followed by a stuffed 00.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    position: usize,
    /// The next bits, the first one on top.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8], position: usize) -> Self {
        Self { data, position, buffer: 0, count: 0 }
    }

    /// Position behind all bits that were taken, and a few more.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The next 16 bits without taking them; zeros follow the last one.
    #[inline]
    pub fn peek_16(&mut self) -> u32 {
        if self.count < 32 {
            self.refill();
        }
        (self.buffer >> 48) as u32
    }

    /// Skips up to 31 bits that may have been looked at.
    #[inline]
    pub fn skip(&mut self, bits: u32) -> Result<(), Ended> {
        if self.count < bits {
            self.refill();
            if self.count < bits {
                return Err(Ended);
            }
        }
        self.buffer = self.buffer.wrapping_shl(bits);
        self.count -= bits;
        Ok(())
    }

    /// Takes up to 15 bits.
    pub fn take(&mut self, bits: u32) -> Result<u32, Ended> {
        let value = self.peek_16() >> (16 - bits);
        self.skip(bits)?;
        Ok(value)
    }

    /// Forgets what was looked at and goes to the next marker: its position, that of the FF; the end of the data where there
    /// is none.
    pub fn go_to_marker(&mut self) -> usize {
        (self.buffer, self.count) = (0, 0);
        self.position = next_marker(self.data, self.position);
        self.position
    }

    /// Goes past the next marker if it is a restart marker: its number, 0 to 7.
    pub fn go_past_restart(&mut self) -> Option<u8> {
        let position = self.go_to_marker();
        let &marker = self.data.get(position + 1).filter(|marker| matches!(marker, 0xD0..=0xD7))?;
        self.position = position + 2;
        Some(marker - 0xD0)
    }

    /// Fills the buffer with at least 32 bits where the data have them.
    fn refill(&mut self) {
        while self.count <= 32 {
            let next = self.data.get(self.position..).and_then(|rest| rest.first_chunk::<4>());
            match next {
                Some(&bytes) if !bytes.contains(&0xFF) => {
                    self.buffer |= u64::from(u32::from_be_bytes(bytes)) << (32 - self.count);
                    self.count += 32;
                    self.position += 4;
                }
                _ => {
                    let Some(byte) = self.next_byte() else { return };
                    self.buffer |= u64::from(byte) << (56 - self.count);
                    self.count += 8;
                }
            }
        }
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.position)?;
        if byte != 0xFF {
            self.position += 1;
            return Some(byte);
        }
        // Anything but a stuffed byte is a marker.
        (self.data.get(self.position + 1) == Some(&0)).then(|| self.position += 2)?;
        Some(byte)
    }
}

/// Position of the next FF, from `position` on, that no stuffed byte and no fill byte follows.
pub(super) fn next_marker(data: &[u8], mut position: usize) -> usize {
    while let Some(pair) = data.get(position..position + 2) {
        if pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF) {
            return position;
        }
        position += 1;
    }
    data.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_bytes_are_left_out_and_markers_end_the_bits() {
        let data = [0b1010_0000, 0xFF, 0x00, 1, 2, 3, 4, 5, 6, 7, 0xFF, 0xD0, 0x80];
        let mut bits = Bits::new(&data, 0);
        assert_eq!(bits.take(4), Ok(0b1010));
        assert_eq!(bits.take(12), Ok(0x0FF));
        for byte in 1..=7 {
            assert_eq!(bits.take(8), Ok(byte));
        }
        assert_eq!(bits.peek_16(), 0);
        assert_eq!(bits.skip(1), Err(Ended));
        assert_eq!(bits.go_to_marker(), 10);
        assert_eq!(bits.go_past_restart(), Some(0));
        assert_eq!((bits.take(1), bits.take(7), bits.take(1)), (Ok(1), Ok(0), Err(Ended)));
        assert_eq!((bits.go_past_restart(), bits.go_to_marker()), (None, data.len()));
    }

    #[test]
    fn every_way_through_the_same_bits_agrees() {
        let data: Vec<u8> = (0_u32..200).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let stuffed: Vec<u8> =
            data.iter().flat_map(|&byte| if byte == 0xFF { vec![0xFF, 0] } else { vec![byte] }).collect();
        let mut bits = Bits::new(&stuffed, 0);
        let mut read = Vec::new();
        let mut lengths = [1, 15, 3, 11, 7, 9, 2].into_iter().cycle();
        while let (Some(length), true) = (lengths.next(), read.len() + 15 <= 1600) {
            let value = bits.take(length).unwrap();
            read.extend((0..length).rev().map(|bit| value >> bit & 1));
        }
        let expected: Vec<u32> =
            data.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1))).collect();
        assert_eq!(read, expected[..read.len()]);
    }
}
