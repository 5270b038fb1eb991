//! All passes through the head at once.

use std::f64::consts::LOG2_E;

use super::PASSES;
use crate::detector::arrays::LANES;
use crate::detector::head::LinearHead;
use crate::simd::{Kernel, Loop};

/// Numbers for all classes, in blocks of lanes.
type Blocks<T> = Vec<[T; LANES]>;

/// The head, neuron by neuron, and which passes do without which neuron.
#[derive(Debug, Clone, PartialEq)]
pub struct Passes {
    classes: usize,
    /// `D` times blocks: the weights of every neuron for all classes.
    weights: Blocks<f32>,
    /// The last block is filled up with classes that never have any probability.
    biases: Blocks<f64>,
    /// `D`; bit t tells whether pass t drops the neuron.
    dropped: Vec<u32>,
}

impl Passes {
    /// From the head and which neurons the passes keep: `keeps(t, j)` is pass t, neuron j.
    pub fn new(head: &LinearHead, neurons: usize, keeps: impl Fn(usize, usize) -> bool) -> Self {
        let weights = (0..neurons).flat_map(|neuron| {
            let weights: Vec<f32> = head.weights_of(neuron).map(|weight| weight as f32).collect();
            blocks(&weights, 0.0)
        });
        let dropped = |neuron| (0..PASSES).filter(|&pass| !keeps(pass, neuron)).fold(0, |bits, pass| bits | 1 << pass);
        let biases = head.biases();
        Self {
            classes: biases.len(),
            weights: weights.collect(),
            biases: blocks(&biases, f64::NEG_INFINITY),
            dropped: (0..neurons).map(dropped).collect(),
        }
    }

    /// `T×K`, the softmax of every pass for the activations z.
    pub fn softmax(&self, z: &[f64]) -> Vec<f64> {
        let probabilities = Kernel::fastest().run(Softmax { passes: self, z });
        let passes = probabilities.chunks_exact(self.biases.len());
        passes.flat_map(|pass| &pass.as_flattened()[..self.classes]).copied().collect()
    }
}

fn blocks<T: Copy>(values: &[T], filling: T) -> Blocks<T> {
    let block = |values: &[T]| std::array::from_fn(|lane| values.get(lane).copied().unwrap_or(filling));
    values.chunks(LANES).map(block).collect()
}

struct Softmax<'a> {
    passes: &'a Passes,
    z: &'a [f64],
}

impl Loop for Softmax<'_> {
    type Output = Blocks<f64>;

    #[inline(always)]
    fn run(self) -> Blocks<f64> {
        let Passes { weights, biases, dropped, .. } = self.passes;
        let mut all = biases.clone();
        let mut passes = vec![[0.0; LANES]; PASSES * biases.len()];
        let mut terms = vec![[0.0; LANES]; biases.len()];
        for ((weights, &dropped), &z) in weights.chunks_exact(biases.len()).zip(dropped).zip(self.z) {
            for ((term, all), weights) in terms.iter_mut().zip(&mut all).zip(weights) {
                *term = weights.map(|weight| f64::from(weight) * z);
                add(all, term);
            }
            // A pass drops fewer neurons than it keeps.
            let mut rest = dropped;
            while rest != 0 {
                let pass = rest.trailing_zeros() as usize * biases.len();
                passes[pass..][..biases.len()].iter_mut().zip(&terms).for_each(|(sum, term)| add(sum, term));
                rest &= rest - 1;
            }
        }
        for pass in passes.chunks_exact_mut(biases.len()) {
            softmax(pass, &all);
        }
        passes
    }
}

#[inline(always)]
fn add(sum: &mut [f64; LANES], term: &[f64; LANES]) {
    for lane in 0..LANES {
        sum[lane] += term[lane];
    }
}

/// The softmax of `all` without `dropped`, in place of the latter.
#[inline(always)]
fn softmax(dropped: &mut [[f64; LANES]], all: &[[f64; LANES]]) {
    let mut largest = [f64::NEG_INFINITY; LANES];
    for (dropped, all) in dropped.iter_mut().zip(all) {
        for lane in 0..LANES {
            dropped[lane] = all[lane] - dropped[lane];
            largest[lane] = largest[lane].max(dropped[lane]);
        }
    }
    let largest = largest.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let mut sums = [0.0; LANES];
    for block in dropped.iter_mut() {
        *block = block.map(|logit| exp(logit - largest));
        add(&mut sums, block);
    }
    let sum: f64 = sums.iter().sum();
    dropped.iter_mut().for_each(|block| *block = block.map(|exponential| exponential / sum));
}

/// eˣ for x ≤ 0, right to the last digits; 0 where it is below 10⁻³⁰⁰. There is no branch and no call in it, so that lanes are
/// computed side by side.
///
/// `eˣ = 2ⁿ eʳ` with `|r| ≤ ½ ln 2`, and the Taylor series of eʳ (Cody and Waite, *Software Manual for the Elementary
/// Functions*, 1980, ch. 6).
#[inline(always)]
fn exp(x: f64) -> f64 {
    const SMALLEST: f64 = -690.0;
    // Added to a number, it leaves the nearest integer in the lowest bits: 1.5 · 2⁵².
    const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts, the first with so few digits that its product with n is exact.
    const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    const EXPONENT_BITS: u32 = 52;
    const BIAS: u64 = 1023;
    let shifted = x * LOG2_E + TO_INTEGER;
    let n = shifted - TO_INTEGER;
    let r = x - n * LN_2[0] - n * LN_2[1];
    // 1 + r (1 + r/2 (1 + r/3 (…)))
    let mut series = 1.0;
    for divisor in (1..=12u32).rev() {
        series = 1.0 + r * series * (1.0 / f64::from(divisor));
    }
    let power = f64::from_bits(shifted.to_bits().wrapping_add(BIAS) << EXPONENT_BITS);
    if x < SMALLEST { 0.0 } else { power * series }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn exponentials_are_right_to_the_last_digits() {
        for step in 0..=69_000 {
            let x = f64::from(-step) / 100.0;
            assert_relative_eq!(exp(x), x.exp(), max_relative = 1e-15);
        }
        assert_eq!([0.0, -0.0, -690.1, -1e300, f64::NEG_INFINITY].map(exp), [1.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn softmax_by_hand() {
        let mut blocks = blocks(&[0.0, 6f64.ln(), 1e3], 0.0);
        let all = super::blocks(&[2f64.ln(), 36f64.ln(), 1e3], f64::NEG_INFINITY);
        softmax(&mut blocks, &all);
        // e⁰ beside 2 and 6.
        let expected = [2.0 / 9.0, 6.0 / 9.0, 1.0 / 9.0, 0.0];
        assert_relative_eq!(blocks.as_flattened()[..4], expected, max_relative = 1e-12);
    }
}
