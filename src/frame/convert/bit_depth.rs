//! Samples of two bytes: how many of their bits are used, and their way to one byte.

use crate::simd::{Kernel, Loop};

/// Numbers of bits that sensors deliver, smallest first.
const USUAL_BITS: [u32; 5] = [8, 10, 12, 14, 16];

/// How many bits of a sample of two bytes are used, 8 to 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::frame) struct BitDepth(u32);

impl BitDepth {
    /// All 16 bits.
    pub const FULL: Self = Self(16);

    /// `bits`, at least 8 and at most 16.
    pub fn of_bits(bits: u8) -> Self {
        Self(u32::from(bits).clamp(8, 16))
    }

    /// The smallest usual number of bits that holds `largest`.
    pub fn holding(largest: u16) -> Self {
        let fits = |bits: &u32| u32::from(largest) >> bits == 0;
        Self(USUAL_BITS.into_iter().find(fits).unwrap_or(16))
    }

    /// The number of bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Scales samples of two bytes to 0..255 (rounded to nearest; larger ones than the bits hold become 255).
    pub fn narrow(self, samples: &[u8], big_endian: bool, narrowed: &mut Vec<u8>) {
        narrowed.resize(samples.len() / 2, 0);
        Kernel::fastest_of_256_bits().run(Narrow { bit_depth: self, samples, big_endian, narrowed });
    }

    /// `255 · sample / (2^bits − 1)`, rounded to nearest.
    #[inline(always)]
    fn scale(self, sample: u16) -> u8 {
        let bits = self.0;
        let largest = (1_u32 << bits) - 1;
        // Nothing of this wraps; checking it would keep it from being vectorised.
        let scaled = u32::from(sample).min(largest).wrapping_mul(255).wrapping_add(largest / 2);
        // A division by 2^bits − 1 that is exact for values below 2^(2·bits).
        (scaled.wrapping_add(1).wrapping_add(scaled >> bits) >> bits) as u8
    }
}

struct Narrow<'a> {
    bit_depth: BitDepth,
    samples: &'a [u8],
    big_endian: bool,
    narrowed: &'a mut [u8],
}

impl Loop for Narrow<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let pairs = self.narrowed.iter_mut().zip(self.samples.as_chunks().0);
        if self.big_endian {
            pairs.for_each(|(narrow, &sample)| *narrow = self.bit_depth.scale(u16::from_be_bytes(sample)));
        } else {
            pairs.for_each(|(narrow, &sample)| *narrow = self.bit_depth.scale(u16::from_le_bytes(sample)));
        }
    }
}

/// Largest of the samples of two bytes; where there is opacity, every fourth one is left out.
pub(super) fn largest_sample(row: &[u8], big_endian: bool, has_opacity: bool) -> u16 {
    let value = |&sample: &[u8; 2]| if big_endian { u16::from_be_bytes(sample) } else { u16::from_le_bytes(sample) };
    let samples = row.as_chunks::<2>().0;
    if has_opacity {
        let colours = samples.as_chunks::<4>().0.iter().map(|[r, g, b, _]| value(r).max(value(g)).max(value(b)));
        return colours.max().unwrap_or(0);
    }
    samples.iter().map(value).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_of_every_depth_is_rounded_to_nearest() {
        for bits in 8..=16 {
            let depth = BitDepth::of_bits(bits);
            let largest = (1_u32 << bits) - 1;
            for sample in 0..=u16::MAX {
                let exact = f64::from(u32::from(sample).min(largest)) * 255.0 / f64::from(largest);
                assert_eq!(depth.scale(sample), exact.round() as u8, "{sample} of {bits} bits");
            }
        }
    }

    #[test]
    fn the_smallest_usual_depth_that_holds_the_maximum() {
        let bits = |largest| BitDepth::holding(largest).bits();
        assert_eq!([0, 255, 256, 1023, 1024, 4095, 4096].map(bits), [8, 8, 10, 10, 12, 12, 14]);
        assert_eq!([16383, 16384, u16::MAX].map(bits), [14, 16, 16]);
        assert_eq!([0, 7, 12, 16, 99].map(|bits| BitDepth::of_bits(bits).bits()), [8, 8, 12, 16, 16]);
    }

    #[test]
    fn both_byte_orders_and_opacity() {
        let samples = [1_u16, 4095, 17, 65535, 3, 2, 5, 65535];
        for big_endian in [false, true] {
            let bytes = samples.map(|sample| if big_endian { sample.to_be_bytes() } else { sample.to_le_bytes() });
            let bytes = bytes.as_flattened();
            assert_eq!(largest_sample(bytes, big_endian, false), 65535);
            assert_eq!(largest_sample(bytes, big_endian, true), 4095);
            let mut narrowed = vec![9; 3];
            BitDepth::of_bits(12).narrow(bytes, big_endian, &mut narrowed);
            assert_eq!(narrowed, [0, 255, 1, 255, 0, 0, 0, 255]);
        }
    }
}
