//! Binary activation patterns and the compiled set of those seen in training.
//!
//! A layer's activations become bits by comparing every neuron with thresholds of its own ([`Binarizer`]). The bits of one
//! image are a [`Pattern`]; all patterns of the training images, per class and without duplicates, are a
//! [`PatternSet`]. The set answers two questions: was this pattern seen ([`PatternSet::contains`]), and how many bits
//! is the nearest seen one away ([`PatternSet::nearest`]).

mod binarizer;
mod bits;
mod builder;
mod set;
mod table;

pub use binarizer::{Binarizer, MIN_SHARE, QUANTILES};
pub use bits::{MAX_WIDTH, Pattern};
pub use builder::PatternSetBuilder;
pub use set::{Nearest, PatternSet};

/// Why no patterns can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// The number of bits is not supported.
    #[error("patterns have 1 to {MAX_WIDTH} bits, not {width}; choose another layer")]
    Width {
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
    #[error("{patterns} distinct patterns are more than the {max} that a set holds", max = u32::MAX - 1)]
    TooMany {
        /// Number of distinct patterns.
        patterns: usize,
    },
}
