//! All passes through the head at once.

use super::PASSES;
use crate::detector::arrays::LANES;
use crate::detector::elementary::exp;
use crate::detector::head::LinearHead;
use crate::simd::{Kernel, Loop};

/// Neurons of a segment: as many as a byte can number.
const SEGMENT: usize = 1 << u8::BITS;

/// What the neurons of a segment add to the logits of a block of classes.
type Terms = [[f64; LANES]; SEGMENT];

/// The head by blocks of classes, and which passes do without which neurons.
#[derive(Debug, Clone, PartialEq)]
pub struct Passes {
    classes: usize,
    blocks: Vec<Block>,
    /// For every segment of neurons and every pass, those that the pass drops, numbered within the segment.
    dropped: Vec<Vec<Vec<u8>>>,
}

/// The head for as many classes as there are lanes.
#[derive(Debug, Clone, PartialEq)]
struct Block {
    /// Weights of every neuron.
    weights: Vec<[f32; LANES]>,
    /// −∞ where there are no more classes: these never have any probability.
    bias: [f64; LANES],
}

impl Passes {
    /// From the head and which neurons the passes keep: `keeps(t, j)` is pass t, neuron j.
    pub fn new(head: &LinearHead, keeps: impl Fn(usize, usize) -> bool) -> Self {
        let neurons = head.neurons();
        let drops = |pass, segment: usize| -> Vec<u8> {
            let end = neurons.min(segment + SEGMENT);
            (segment..end).filter(|&neuron| !keeps(pass, neuron)).map(|neuron| (neuron - segment) as u8).collect()
        };
        let segments = (0..neurons).step_by(SEGMENT);
        Self {
            classes: head.biases().len(),
            blocks: (0..head.biases().len()).step_by(LANES).map(|class| Block::of(head, class)).collect(),
            dropped: segments.map(|segment| (0..PASSES).map(|pass| drops(pass, segment)).collect()).collect(),
        }
    }

    /// `T×K`, the softmax of every pass for the activations z.
    pub fn softmax(&self, z: &[f64]) -> Vec<f64> {
        let probabilities = Kernel::fastest().run(Softmax { passes: self, z });
        let mut softmax = Vec::with_capacity(PASSES * self.classes);
        let passes = probabilities.chunks_exact(self.blocks.len() * LANES);
        passes.for_each(|pass| softmax.extend_from_slice(&pass[..self.classes]));
        softmax
    }
}

impl Block {
    /// The classes from `first` on.
    fn of(head: &LinearHead, first: usize) -> Self {
        let biases = head.biases();
        let lanes = |value: &dyn Fn(usize) -> f64, other: f64| -> [f64; LANES] {
            std::array::from_fn(|lane| if first + lane < biases.len() { value(first + lane) } else { other })
        };
        let weights = |neuron| lanes(&|class| head.weight(class, neuron), 0.0).map(|weight| weight as f32);
        Self {
            weights: (0..head.neurons()).map(weights).collect(),
            bias: lanes(&|class| biases[class], f64::NEG_INFINITY),
        }
    }
}

struct Softmax<'a> {
    passes: &'a Passes,
    z: &'a [f64],
}

impl Loop for Softmax<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let Passes { blocks, dropped, .. } = self.passes;
        let width = blocks.len() * LANES;
        let mut passes = vec![0.0; PASSES * width];
        let mut terms: Terms = [[0.0; LANES]; SEGMENT];
        for (index, block) in blocks.iter().enumerate() {
            let mut all = block.bias;
            for ((weights, z), dropped) in block.weights.chunks(SEGMENT).zip(self.z.chunks(SEGMENT)).zip(dropped) {
                for ((term, weights), &z) in terms.iter_mut().zip(weights).zip(z) {
                    for lane in 0..LANES {
                        term[lane] = f64::from(weights[lane]) * z;
                        all[lane] += term[lane];
                    }
                }
                for (pass, dropped) in passes.chunks_exact_mut(width).zip(dropped) {
                    let without = sum(&terms, dropped);
                    for lane in 0..LANES {
                        pass[index * LANES + lane] -= without[lane];
                    }
                }
            }
            for pass in passes.chunks_exact_mut(width) {
                for lane in 0..LANES {
                    pass[index * LANES + lane] += all[lane];
                }
            }
        }
        for pass in passes.chunks_exact_mut(width) {
            let largest = over_lanes(pass, f64::NEG_INFINITY, |a, b| if a > b { a } else { b });
            pass.iter_mut().for_each(|logit| *logit -= largest);
        }
        passes.iter_mut().for_each(|logit| *logit = exp(*logit));
        for pass in passes.chunks_exact_mut(width) {
            let sum = over_lanes(pass, 0.0, |a, b| a + b);
            pass.iter_mut().for_each(|exponential| *exponential /= sum);
        }
        passes
    }
}

/// The terms of the given neurons, added up. A pass drops fewer neurons than it keeps.
#[inline(always)]
fn sum(terms: &Terms, neurons: &[u8]) -> [f64; LANES] {
    // Several sums at the same time: a processor can begin an addition before another one is done.
    const SUMS: usize = 4;
    let mut sums = [[0.0; LANES]; SUMS];
    let (groups, rest) = neurons.as_chunks::<SUMS>();
    for neurons in groups {
        for (sum, &neuron) in sums.iter_mut().zip(neurons) {
            add(sum, &terms[usize::from(neuron)]);
        }
    }
    for &neuron in rest {
        add(&mut sums[0], &terms[usize::from(neuron)]);
    }
    std::array::from_fn(|lane| sums[0][lane] + sums[1][lane] + (sums[2][lane] + sums[3][lane]))
}

#[inline(always)]
fn add(sum: &mut [f64; LANES], term: &[f64; LANES]) {
    for lane in 0..LANES {
        sum[lane] += term[lane];
    }
}

/// All values, a whole number of blocks, joined to one.
#[inline(always)]
fn over_lanes(values: &[f64], neutral: f64, join: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [neutral; LANES];
    for block in values.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            lanes[lane] = join(lanes[lane], block[lane]);
        }
    }
    lanes.into_iter().fold(neutral, join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_joined_to_one() {
        let values: Vec<f64> = (0..24).map(|index| f64::from(index * 7 % 24)).collect();
        assert_eq!(over_lanes(&values, 0.0, |a, b| a + b), 276.0);
        assert_eq!(over_lanes(&values, f64::NEG_INFINITY, f64::max), 23.0);
    }
}
