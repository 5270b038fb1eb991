//! Why a score is as high as it is.

/// Most parts that an [`Explanation`] names.
pub const MAX_PARTS: usize = 5;

/// What makes one image's score high: the parts that contribute most, and what it resembles most in the training data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// At most [`MAX_PARTS`] parts with a positive contribution, the largest first.
    pub parts: Vec<Part>,
    /// The training data nearest to the image, where the detector knows it.
    pub nearest: Option<NearestExample>,
}

/// One contribution to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// What contributes.
    pub place: Place,
    /// How much, in the unit of the detector's score or of a term of it; only comparable within one explanation.
    pub contribution: f32,
    /// What was found there.
    pub value: f32,
    /// What the training data lets expect there.
    pub expected: f32,
}

/// Where in the network something deviates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A neuron of a vector layer, or a channel of a map layer.
    Unit {
        /// Index of the layer in the [`crate::activation::FeatureLayout`].
        layer: usize,
        /// Index of the neuron or channel.
        unit: usize,
    },
    /// A whole layer, by its index in the layout.
    Layer(usize),
    /// The output for a class, by its index.
    Class(usize),
}

/// The training data nearest to an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearestExample {
    /// Its class.
    pub class: usize,
    /// How far away it is, in the detector's unit.
    pub distance: f32,
    /// How many training images are alike there; 1 unless the detector groups them.
    pub images: u32,
}

impl Explanation {
    /// The largest of the given parts, without those that contribute nothing.
    #[must_use]
    pub fn of(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut parts: Vec<Part> = parts.into_iter().filter(|part| part.contribution > 0.0).collect();
        parts.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        parts.truncate(MAX_PARTS);
        Self { parts, nearest: None }
    }

    /// The same with the nearest training data.
    #[must_use]
    pub fn near(self, nearest: Option<NearestExample>) -> Self {
        Self { nearest, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_positive_parts_come_first() {
        let part = |unit, contribution| Part {
            place: Place::Unit { layer: 0, unit },
            contribution,
            value: 0.0,
            expected: 0.0,
        };
        let contributions = [0.5, -1.0, 3.0, 0.0, 1.0, 2.0, 0.1, f32::NAN, 0.2];
        let parts = contributions.into_iter().enumerate().map(|(unit, contribution)| part(unit, contribution));
        let found: Vec<f32> = Explanation::of(parts).parts.iter().map(|part| part.contribution).collect();
        assert_eq!(found, [3.0, 2.0, 1.0, 0.5, 0.2]);
    }
}
