//! One layer: its training patterns, and how far from them an image of a known class usually is.

use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use crate::calibration::group_of;
use crate::detector::curve::{self, KNOTS};
use crate::detector::statistics::correlation_ratio;
use crate::detector::{Bit, FitInput, NearestExample, PatternComparison};
use crate::pattern::{Binarizer, Neighbour, Pattern, PatternError, PatternSet, PatternSetBuilder, Scope};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Most bits of a layer's pattern, for the neurons that tell most about the class: further ones add more noise than they
/// tell, and cost memory for every training image.
pub const MAX_BITS: usize = 192;
/// Most images per class whose distances are looked at in training; the comparisons grow with its square.
const MAX_COMPARED: usize = 2_000;

/// What was learnt of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternLayer {
    binarizer: Binarizer,
    set: PatternSet,
    /// [`KNOTS`] quantiles of the distances between a training image and other tracks of its class.
    knots: Slab<f32>,
    /// −ln p between two knots.
    step: f32,
}

/// What a layer says about one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote {
    /// The nearest training pattern; `None` only when there is none at all.
    pub nearest: Option<Neighbour>,
    /// −ln of the share of training images that are at least as far from other tracks of their class; 0 or more.
    pub surprise: f64,
}

impl PatternLayer {
    /// Learns from the `N×D` activations or channel means of a layer.
    ///
    /// # Errors
    /// [`PatternError`] when no neuron varies.
    pub fn fit(input: &FitInput<'_>, layer: usize) -> Result<Self, PatternError> {
        let values = input.bank.means(layer);
        let correct = values.select(Axis(0), input.correct());
        let binarizer = Binarizer::fit(correct.view(), &correlation_ratio(values, input.by_class()), MAX_BITS)?;
        let classes = class_patterns(input, values, &binarizer);
        let mut builder = PatternSetBuilder::new(binarizer.width(), classes.len())?.one_class();
        for (class, members) in classes.iter().enumerate() {
            members.iter().for_each(|(_, pattern)| builder.insert(class, pattern));
        }
        let mut distances: Vec<f32> = classes.iter().flat_map(|members| distances(members)).collect();
        distances.sort_unstable_by(f32::total_cmp);
        if distances.is_empty() {
            distances.push(0.0);
        }
        Ok(Self {
            set: builder.build()?,
            knots: curve::knots(&distances).to_vec().into(),
            step: curve::step(distances.len()) as f32,
            binarizer,
        })
    }

    /// Number of bits of a pattern.
    pub fn width(&self) -> usize {
        self.set.width()
    }

    /// Number of distinct patterns.
    pub fn patterns(&self) -> usize {
        self.set.len()
    }

    /// Class of pattern `index`.
    pub fn class_of(&self, index: usize) -> usize {
        self.set.class_of(index)
    }

    /// Number of training images with pattern `index`.
    pub fn images(&self, index: usize) -> u32 {
        self.set.count(index)
    }

    /// Compares one image with the patterns of its predicted class; with those of all classes where that has none.
    pub fn vote(&self, class: usize, activations: ArrayView1<'_, f32>) -> Vote {
        let nearest = self.nearest(class, activations);
        let distance = nearest.map_or(self.width() as u32, |nearest| nearest.distance);
        Vote { nearest, surprise: curve::surprise(&self.knots, f64::from(self.step), distance as f32) }
    }

    /// The nearest training pattern.
    pub fn nearest(&self, class: usize, activations: ArrayView1<'_, f32>) -> Option<Neighbour> {
        let pattern = self.binarizer.pattern(activations);
        let scope = if self.set.class(class).is_empty() { Scope::All } else { Scope::Class(class) };
        self.set.nearest(scope, &pattern)
    }

    /// The neurons (or channels) in which an image differs from pattern `index`, each with the number of bits and the
    /// threshold between the two that is farthest from the image's activation.
    pub fn differences(&self, index: usize, activations: ArrayView1<'_, f32>) -> Vec<(usize, u32, f32)> {
        let (pattern, other) = (self.binarizer.pattern(activations), self.set.pattern(index));
        let mut found: Vec<(usize, u32, f32)> = Vec::new();
        let bits = self.binarizer.neurons().iter().zip(self.binarizer.thresholds()).enumerate();
        for (bit, (&neuron, &threshold)) in bits {
            let (word, mask) = (bit / 64, 1u64 << (bit % 64));
            if (pattern.words()[word] ^ other.words()[word]) & mask == 0 {
                continue;
            }
            let (neuron, value) = (neuron as usize, activations[neuron as usize]);
            match found.last_mut().filter(|last| last.0 == neuron) {
                Some(last) if (threshold - value).abs() > (last.2 - value).abs() => {
                    *last = (neuron, last.1 + 1, threshold);
                }
                Some(last) => last.1 += 1,
                None => found.push((neuron, 1, threshold)),
            }
        }
        found
    }

    /// An image's pattern beside the nearest training pattern, bit by bit; `None` only when there is no training pattern at all.
    pub fn compare(&self, class: usize, activations: ArrayView1<'_, f32>) -> Option<PatternComparison> {
        let nearest = self.nearest(class, activations)?;
        let (pattern, other) = (self.binarizer.pattern(activations), self.set.pattern(nearest.index));
        let is_on = |pattern: &Pattern, bit: usize| pattern.words()[bit / 64] >> (bit % 64) & 1 == 1;
        let bits = self.binarizer.neurons().iter().zip(self.binarizer.thresholds()).enumerate();
        let bits = bits.map(|(bit, (&neuron, &threshold))| Bit {
            unit: neuron as usize,
            threshold,
            image: is_on(&pattern, bit),
            nearest: is_on(&other, bit),
        });
        Some(PatternComparison {
            bits: bits.collect(),
            nearest: NearestExample {
                class: self.class_of(nearest.index),
                distance: nearest.distance as f32,
                images: self.images(nearest.index),
            },
        })
    }

    /// Writes the binarizer, the set and the tensors `knots` and `step`.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        self.binarizer.save(out);
        self.set.save(out);
        out.put("knots", &[KNOTS], &self.knots);
        out.put("step", &[1], &[self.step]);
    }

    /// Reads what [`PatternLayer::save`] wrote, for a layer of `neurons` neurons or channels.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing or does not fit.
    pub fn load(tensors: &TensorReader<'_>, classes: usize, neurons: usize) -> Result<Self, StorageError> {
        let binarizer = Binarizer::load(tensors, neurons)?;
        let set = PatternSet::load(tensors, classes)?;
        if set.width() != binarizer.width() {
            return Err(tensors.invalid("width", format!("{}, but {} bits", set.width(), binarizer.width())));
        }
        let knots = tensors.get::<f32, 1>("knots", [KNOTS])?;
        if !knots.is_sorted() {
            return Err(tensors.invalid("knots", "they do not rise"));
        }
        Ok(Self { binarizer, set, knots, step: tensors.get("step", [1])?[0] })
    }
}

/// Track and pattern of the correctly classified images of every class.
fn class_patterns<'a>(
    input: &FitInput<'a>,
    values: ArrayView2<'_, f32>,
    binarizer: &Binarizer,
) -> Vec<Vec<(&'a str, Pattern)>> {
    let keys = input.bank.keys();
    let of = |&row: &usize| (group_of(&keys[row]), binarizer.pattern(values.row(row)));
    input.by_class().iter().map(|rows| rows.iter().map(of).collect()).collect()
}

/// Distance of every image of a class to the nearest one of another track: what to expect of an object that was not
/// seen. Nothing for a class of one track.
fn distances(members: &[(&str, Pattern)]) -> Vec<f32> {
    let queries: Vec<_> = members.iter().step_by(members.len().div_ceil(MAX_COMPARED).max(1)).collect();
    let nearest = |(track, pattern): &&(&str, Pattern)| {
        let others = members.iter().filter(|(other, _)| other != track);
        others.map(|(_, other)| pattern.distance(other)).min().map(|distance| distance as f32)
    };
    queries.par_iter().filter_map(nearest).collect()
}
