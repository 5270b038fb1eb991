//! Viridis: perceptually uniform, readable in grey and by colour-blind eyes.

/// Ten equally spaced colours of viridis (S. van der Walt, N. Smith, matplotlib, CC0).
const VIRIDIS: [[u8; 3]; 10] = [
    [68, 1, 84],
    [72, 40, 120],
    [62, 74, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [109, 205, 89],
    [180, 222, 44],
    [253, 231, 37],
];

/// Colour of `value`, linearly interpolated between the ten; values outside of 0..1 are clamped, NaN is black.
pub(crate) fn viridis(value: f32) -> [u8; 3] {
    if value.is_nan() {
        return [0, 0, 0];
    }
    let position = value.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f32;
    let lower = (position as usize).min(VIRIDIS.len() - 2);
    let share = position - lower as f32;
    let mix = |channel: usize| {
        let (from, to) = (f32::from(VIRIDIS[lower][channel]), f32::from(VIRIDIS[lower + 1][channel]));
        (from + share * (to - from)).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_middle_and_what_lies_outside() {
        assert_eq!(viridis(0.0), [68, 1, 84]);
        assert_eq!(viridis(1.0), [253, 231, 37]);
        assert_eq!((viridis(-3.0), viridis(7.0)), (viridis(0.0), viridis(1.0)));
        assert_eq!(viridis(0.5), [35, 144, 140]); // half way between the fifth and the sixth colour, rounded
        assert_eq!(viridis(f32::NAN), [0, 0, 0]);
    }
}
