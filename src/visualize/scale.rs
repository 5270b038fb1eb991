//! Ends of colours and axes.

/// Share of values above 0 that count as peaks.
const PEAKS: f64 = 0.02;

/// Ends of a scale; 0 always lies between them, so that nothing looks large because it is alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Lower end, 0 or less.
    pub low: f32,
    /// Upper end, 0 or more.
    pub high: f32,
}

impl Default for Range {
    fn default() -> Self {
        Self { low: 0.0, high: 0.0 }
    }
}

impl Range {
    /// From the smallest to the largest finite value.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a f32>) -> Self {
        let finite = values.into_iter().copied().filter(|value| value.is_finite());
        finite.fold(Self::default(), |range, value| Self { low: range.low.min(value), high: range.high.max(value) })
    }

    /// The same with an upper end that only a few of the values above 0 exceed, so that one peak does not leave all others dark.
    pub fn without_peaks<'a>(values: impl IntoIterator<Item = &'a f32> + Clone) -> Self {
        let range = Self::of(values.clone());
        let mut above: Vec<f32> =
            values.into_iter().copied().filter(|value| value.is_finite() && *value > 0.0).collect();
        let place = (above.len() as f64 * (1.0 - PEAKS)) as usize;
        if place >= above.len() {
            return range;
        }
        let (_, high, _) = above.select_nth_unstable_by(place, f32::total_cmp);
        Self { high: *high, ..range }
    }

    /// The range of both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Place of a value on the scale: 0 at its lower end, 1 at its upper one; 0 where all values are 0.
    #[must_use]
    pub fn share(self, value: f32) -> f32 {
        // Twice the largest number would not be finite.
        let (low, high, value) = (f64::from(self.low), f64::from(self.high), f64::from(value));
        let span = high - low;
        if span > 0.0 { ((value - low) / span) as f32 } else { 0.0 }
    }

    /// Ends of an axis: the range with some air, from 0 to 1 where all values are 0.
    #[must_use]
    pub fn axis(self) -> (f64, f64) {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let air = 0.05 * (high - low);
        match (low < 0.0, high > 0.0) {
            (false, false) => (0.0, 1.0),
            (below, above) => (if below { low - air } else { 0.0 }, if above { high + air } else { 0.0 }),
        }
    }
}

/// Scales of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scales {
    /// Of its activations: the colours of the tiles.
    pub activations: Range,
    /// Of the means of its channels, and of the training means.
    pub means: Range,
    /// Of the deviations of one from the other.
    pub deviations: Range,
}

impl Scales {
    /// The scales that hold for both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            activations: self.activations.join(other.activations),
            means: self.means.join(other.means),
            deviations: self.deviations.join(other.deviations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_zero_and_all_that_is_finite() {
        let range = Range::of(&[2.0, f32::NAN, 3.0, f32::INFINITY]);
        assert_eq!(range, Range { low: 0.0, high: 3.0 });
        assert_eq!((range.share(0.0), range.share(1.5), range.share(3.0)), (0.0, 0.5, 1.0));
        assert_eq!(range.join(Range::of(&[-1.0])), Range { low: -1.0, high: 3.0 });
        assert_eq!(Range::of(&[]).share(5.0), 0.0);
        assert!(Range { low: f32::MIN, high: f32::MAX }.share(0.0).is_finite());
    }

    #[test]
    fn peaks_are_beyond_the_scale() {
        let mut values = vec![0.0; 900];
        values.extend((1..=100).map(|value| value as f32));
        assert_eq!(Range::without_peaks(&values), Range { low: 0.0, high: 99.0 });
        assert_eq!(Range::without_peaks(&[-2.0, 5.0]), Range { low: -2.0, high: 5.0 });
        assert_eq!(Range::without_peaks(&[0.0, f32::NAN]), Range::default());
    }

    #[test]
    fn an_axis_is_never_empty() {
        assert_eq!(Range::default().axis(), (0.0, 1.0));
        assert_eq!(Range { low: 0.0, high: 2.0 }.axis(), (0.0, 2.1));
        assert_eq!(Range { low: -2.0, high: 0.0 }.axis(), (-2.1, 0.0));
    }
}
