//! Binary activation patterns and the compiled set of those seen in training.
//!
//! A layer's activations become bits by comparing every neuron with thresholds of its own ([`Binarizer`]). The bits of one
//! image are a [`Pattern`]; all patterns of the training images, per class and without duplicates, are a
//! [`PatternSet`], which [`PatternSetBuilder`] compiles. The set is used in place from a mapped file. It says whether a
//! pattern was seen ([`PatternSet::contains`]), which seen one is nearest ([`PatternSet::nearest`],
//! [`PatternSet::nearest_within`], [`PatternSet::k_nearest`]) and which ones are near ([`PatternSet::within`]), always
//! exactly.
//!
//! `docs/patterns.md` explains the structure with a picture. There are two ways to the nearest pattern, and the one that a
//! set is compiled for follows from its size and from how far queries look:
//!
//! - `scan`: all patterns, eight per instruction, one byte per pattern first. It reads 8 bytes of each pattern, whatever
//!   is asked. For patterns of one class there is nothing faster: 0.3 µs for 1,000 patterns of 256 bits.
//! - `multi_index`: hash tables over chunks of the patterns. The time of a query hardly grows with the number of patterns,
//!   but the tables are as large as the patterns themselves, and a query with nothing near asks them often.
//!
//! At 256 bits and radius 8 (`hamming_report --tables 0` against `--tables 7`, one core with AVX-512) the tables win from about
//! 1,500 patterns when there is something near (3,000 patterns: 0.4 against 0.8 µs), and from about 13,000 when there is not
//! (10,000: 2.5 against 1.8 µs; 30,000: 2.3 against 4.4 µs; 1,000,000: 4.7 against 960 µs). The second number decides, by the
//! cost model of `multi_index`, since a monitor is there for what is not near.

mod binarizer;
mod bits;
mod builder;
mod collect;
mod directory;
mod hash;
mod kernel;
mod multi_index;
mod rows;
mod scan;
mod segment;
mod set;

pub use binarizer::{Binarizer, MIN_SHARE, QUANTILES};
pub use bits::{MAX_WIDTH, Pattern};
pub use builder::{DEFAULT_RADIUS, PatternSetBuilder, Structure};
pub use collect::Neighbour;
pub use set::{PatternSet, Scope};

/// Why no patterns can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// The number of bits is not supported.
    #[error("patterns have 1 to {MAX_WIDTH} bits, not {width}; choose another layer")]
    Width {
        /// Number of bits.
        width: usize,
    },
    /// Packed bytes are no pattern of this width.
    #[error(
        "{width} bits are packed into {} bytes with no bit set past the last; these {bytes} bytes are not: check the width",
        bits::bytes_for(*width)
    )]
    Bytes {
        /// Number of bits.
        width: usize,
        /// Number of bytes.
        bytes: usize,
    },
    /// So many tables cannot be.
    #[error("{width} bits are cut into {} to {width} chunks, not {tables}", bits::words_for(*width))]
    Tables {
        /// Number of tables.
        tables: usize,
        /// Number of bits.
        width: usize,
    },
    /// There is nothing to learn from.
    #[error("no activations to learn thresholds from")]
    NoActivations,
    /// No neuron varies.
    #[error("all {neurons} neurons are constant over the {images} training images; choose another layer")]
    Constant {
        /// Number of neurons.
        neurons: usize,
        /// Number of images.
        images: usize,
    },
    /// There are more patterns than can be numbered.
    #[error("{patterns} distinct patterns are more than the {max} that a set holds", max = u32::MAX)]
    TooMany {
        /// Number of distinct patterns.
        patterns: usize,
    },
}
