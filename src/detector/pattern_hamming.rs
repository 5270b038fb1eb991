//! Distance to the binary activation patterns seen in training.

mod layer;

use serde_json::json;

use self::layer::PatternLayer;
use super::{
    Detector, DetectorKind, Explanation, Fit, FitError, FitInput, NearestExample, Part, PatternComparison, Place,
    Summary,
};
use crate::activation::{FeatureBank, FeatureLayout, Features};
use crate::pattern::{Neighbour, PatternError, QUANTILES};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Score: the mean over all layers of `−ln p_l`, each layer's vote; from 0 (seen exactly, in every layer).
///
/// d_l is the smallest number of bits in which the binarised activations of layer l differ from those of any correctly
/// classified training image of the predicted class. Feature maps are pooled to their channel means first. p_l is the share
/// of training images that are at least d_l bits away from all *other tracks* of their class, so that layers of any width
/// have an equal voice; it is learnt from training data alone. A class without images is compared with the patterns of all.
///
/// Cheng, Nührenberg, Yasuoka, *Runtime Monitoring Neuron Activation Patterns*, DATE 2019, §II; Olber et al., *Detection
/// of Out-of-Distribution Samples Using Binary Neuron Activation Patterns*, CVPR 2023, §3 (several layers). Thresholds
/// are training quartiles instead of 0, see [`crate::pattern::Binarizer`], and neurons are chosen by how much of their
/// variance lies between the classes (correlation ratio η²); both are learnt from training data alone.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternHamming {
    penultimate: usize,
    /// Indices in the layout, rising; contains the penultimate layer.
    indices: Slab<u32>,
    layers: Vec<PatternLayer>,
}

impl PatternHamming {
    fn layers(&self) -> impl Iterator<Item = (usize, &PatternLayer)> {
        self.indices.iter().map(|&index| index as usize).zip(&self.layers)
    }

    /// The training pattern nearest to the image's in the penultimate layer. `None` only when there is none at all.
    #[must_use]
    pub fn nearest(&self, features: &Features) -> Option<Neighbour> {
        let (index, layer) = self.layers().find(|(index, _)| *index == self.penultimate)?;
        layer.nearest(features.predicted_class(), features.layers[index].mean.view())
    }

    /// The parts of one layer's vote: every neuron that differs has a share by its number of bits.
    fn parts(&self, index: usize, layer: &PatternLayer, features: &Features) -> Vec<Part> {
        let activations = features.layers[index].mean.view();
        let vote = layer.vote(features.predicted_class(), activations);
        let Some(nearest) = vote.nearest.filter(|nearest| nearest.distance > 0) else { return Vec::new() };
        let per_bit = vote.surprise / f64::from(nearest.distance) / self.layers.len() as f64;
        let part = |(unit, bits, threshold): (usize, u32, f32)| Part {
            place: Place::Unit { layer: index, unit },
            contribution: (f64::from(bits) * per_bit) as f32,
            value: activations[unit],
            expected: threshold,
        };
        layer.differences(nearest.index, activations).into_iter().map(part).collect()
    }
}

impl Detector for PatternHamming {
    fn kind(&self) -> DetectorKind {
        DetectorKind::PatternHamming
    }

    fn score(&self, features: &Features) -> f32 {
        self.score_and_hamming_distance(features).0
    }

    /// The neurons and channels that lie on another side of a threshold than in the nearest pattern of their layer; expected
    /// is the threshold.
    fn explain(&self, features: &Features) -> Explanation {
        let parts = self.layers().flat_map(|(index, layer)| self.parts(index, layer, features));
        let penultimate = self.layers().find(|(index, _)| *index == self.penultimate);
        let nearest = self.nearest(features).zip(penultimate).map(|(nearest, (_, layer))| NearestExample {
            class: layer.class_of(nearest.index),
            distance: nearest.distance as f32,
            images: layer.images(nearest.index),
        });
        Explanation::of(parts).near(nearest)
    }

    fn score_and_hamming_distance(&self, features: &Features) -> (f32, Option<u32>) {
        let class = features.predicted_class();
        let (mut sum, mut distance) = (0.0, None);
        for (index, layer) in self.layers() {
            let vote = layer.vote(class, features.layers[index].mean.view());
            sum += vote.surprise;
            if index == self.penultimate {
                distance = vote.nearest.map(|nearest| nearest.distance);
            }
        }
        ((sum / self.layers.len() as f64) as f32, distance)
    }

    fn compare_pattern(&self, features: &Features, layer: usize) -> Option<PatternComparison> {
        let (_, learnt) = self.layers().find(|(index, _)| *index == layer)?;
        learnt.compare(features.predicted_class(), features.layers[layer].mean.view())
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("layers", &[self.layers.len()], &self.indices);
        for (index, layer) in self.layers() {
            layer.save(&mut out.scope(&index.to_string()));
        }
    }

    fn summary(&self) -> Summary {
        let bits: Vec<usize> = self.layers.iter().map(PatternLayer::width).collect();
        let patterns: Vec<usize> = self.layers.iter().map(PatternLayer::patterns).collect();
        Summary::from([
            ("bits".to_owned(), json!(bits)),
            ("max_bits".to_owned(), json!(layer::MAX_BITS)),
            ("layers".to_owned(), json!(self.indices.to_vec())),
            ("patterns".to_owned(), json!(patterns)),
            ("threshold_quantiles".to_owned(), json!(QUANTILES)),
        ])
    }
}

impl Fit for PatternHamming {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let layout = input.bank.layout();
        let (mut indices, mut layers) = (Vec::new(), Vec::new());
        for index in (0..layout.layers.len()).filter(|&index| !votes_twice(input.bank, index)) {
            match PatternLayer::fit(input, index) {
                Ok(layer) => {
                    indices.push(index as u32);
                    layers.push(layer);
                }
                // A dead layer in front is no reason to do without the others.
                Err(PatternError::Constant { .. }) if index != layout.penultimate => {}
                Err(source) => return Err(FitError::Pattern { detector: DetectorKind::PatternHamming, source }),
            }
        }
        Ok(Self { penultimate: layout.penultimate, indices: indices.into(), layers })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let indices = tensors.vector::<u32>("layers")?;
        let exist = indices.iter().all(|&index| (index as usize) < layout.layers.len());
        if !exist || !indices.is_sorted() || !indices.contains(&(layout.penultimate as u32)) {
            return Err(tensors.invalid("layers", "they are not layers of the model with the penultimate one"));
        }
        let load = |&index: &u32| {
            let channels = layout.layers[index as usize].channels;
            PatternLayer::load(&tensors.scope(&index.to_string()), layout.classes, channels)
        };
        let layers = indices.iter().map(load).collect::<Result<_, _>>()?;
        Ok(Self { penultimate: layout.penultimate, indices, layers })
    }
}

/// Whether a layer's channel means are the penultimate activations, as global average pooling makes them.
fn votes_twice(bank: &FeatureBank, layer: usize) -> bool {
    let (means, penultimate) = (bank.means(layer), bank.penultimate());
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs().max(1e-3);
    layer != bank.layout().penultimate && means.dim() == penultimate.dim() && means.iter().zip(penultimate).all(close)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::{FeatureBank, LayerFeatures, LayerKind, LayerSpec};
    use crate::detector::testing::{assert_survives_a_file, bank, synthetic_bank, vector_image};
    use ndarray::arr1;

    /// One neuron with activations 0 to 4 in two tracks of class 0; class 1 has no images. Quartiles are 1, 2 and 3, so the
    /// patterns are 0, 0, 1, 11 and 111.
    fn fitted() -> PatternHamming {
        let mut bank = FeatureBank::new(bank(&[(0, vector_image(&[1.0, 0.0], &[0.0]))]).layout().clone());
        for (key, z) in [("a_0", 0.0), ("a_1", 1.0), ("b_0", 2.0), ("b_1", 3.0), ("b_2", 4.0)] {
            bank.push(key, 0, &vector_image(&[1.0, 0.0], &[z])).unwrap();
        }
        bank.push("c_0", 0, &vector_image(&[0.0, 1.0], &[90.0])).unwrap();
        PatternHamming::fit(&FitInput::new(&bank, None).unwrap()).unwrap()
    }

    #[test]
    fn distances_by_hand() {
        let detector = fitted();
        let distance = |logits: &[f32], z: f32| detector.score_and_hamming_distance(&vector_image(logits, &[z])).1;
        for z in [-1.0, 0.5, 2.0, 2.5, 100.0] {
            assert_eq!(distance(&[1.0, 0.0], z), Some(0), "{z}");
            assert_eq!(distance(&[0.0, 1.0], z), Some(0), "a class without images: all patterns count");
        }
        assert_eq!(detector.score(&vector_image(&[1.0, 0.0], &[0.0])), 0.0);
    }

    #[test]
    fn patterns_are_compared_bit_by_bit() {
        let bank = synthetic_bank(3, 40, 1);
        let detector = PatternHamming::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        let mut features = bank.features(2);
        features.layers[1].mean.mapv_inplace(|z| z + 0.3);
        let pattern = detector.compare_pattern(&features, 1).unwrap();
        let differing = pattern.bits.iter().filter(|bit| bit.differs()).count() as u32;
        assert_eq!(Some(differing), detector.score_and_hamming_distance(&features).1);
        assert_eq!(pattern.nearest.distance, differing as f32);
        let is_right = |bit: &crate::detector::Bit| bit.image == (features.layers[1].mean[bit.unit] > bit.threshold);
        assert!(differing > 0 && pattern.bits.iter().all(is_right));
        assert!(pattern.bits.is_sorted_by_key(|bit| bit.unit));
        assert!(detector.compare_pattern(&features, 9).is_none());
    }

    #[test]
    fn every_layer_has_a_vote() {
        // Two equal layers of 30 neurons; class 0 has ten tracks of one image with up to 9 neurons above the rest.
        let layers = ["one", "two"].map(|name| LayerSpec { name: name.into(), kind: LayerKind::Vector, channels: 30 });
        let mut bank = FeatureBank::new(FeatureLayout { classes: 1, layers: layers.into(), penultimate: 1 });
        let image = |high: &[usize], first: f32| {
            let mut z = arr1(&[0.0f32; 30]);
            high.iter().for_each(|&neuron| z[neuron] = 1.0 + neuron as f32);
            Features { logits: arr1(&[1.0]), layers: vec![LayerFeatures::vector(&z * first), LayerFeatures::vector(z)] }
        };
        for track in 0..10 {
            bank.push(format!("{track}_0"), 0, &image(&(track..track + 9).collect::<Vec<_>>(), 2.0)).unwrap();
        }
        let detector = PatternHamming::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        assert_eq!(detector.layers.len(), 2);
        let known = detector.score(&bank.features(3));
        let strange_in_both = image(&[0, 4, 9, 14, 17], 2.0);
        let mut strange_in_one = strange_in_both.clone();
        strange_in_one.layers[0] = bank.features(3).layers[0].clone();
        let [both, one] = [&strange_in_both, &strange_in_one].map(|features| detector.score(features));
        assert!(known == 0.0 && 0.0 < one && one < both, "{known} {one} {both}");
        let contributions = detector.explain(&strange_in_one).parts;
        assert!(contributions.iter().all(|part| matches!(part.place, Place::Unit { layer: 1, .. })));
        assert!(!contributions.is_empty());
    }

    #[test]
    fn a_training_image_has_distance_zero() {
        let bank = synthetic_bank(3, 40, 1);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = PatternHamming::fit(&input).unwrap();
        assert_eq!(*detector.indices, [0, 1]);
        for &row in input.correct() {
            let features = bank.features(row);
            assert_eq!(detector.score_and_hamming_distance(&features), (0.0, Some(0)));
            let nearest = detector.explain(&features).nearest.unwrap();
            assert_eq!((nearest.class, nearest.distance), (bank.labels()[row], 0.0));
            assert!(nearest.images >= 1);
        }
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn the_parts_sum_to_the_score() {
        let bank = synthetic_bank(3, 40, 1);
        let detector = PatternHamming::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        let mut features = bank.features(2);
        features.layers[0].mean[1] += 50.0;
        features.layers[1].mean.mapv_inplace(|value| -value);
        let parts = detector.layers().flat_map(|(index, layer)| detector.parts(index, layer, &features));
        let sum: f32 = parts.map(|part| part.contribution).sum();
        assert!((sum - detector.score(&features)).abs() < 1e-4 && sum > 0.5, "{sum}");
    }

    #[test]
    fn a_pooled_layer_does_not_vote_twice() {
        let map = LayerSpec { name: "conv".into(), kind: LayerKind::Map, channels: 2 };
        let vector = LayerSpec { name: "z".into(), kind: LayerKind::Vector, channels: 2 };
        let mut bank = FeatureBank::new(FeatureLayout { classes: 1, layers: vec![map, vector], penultimate: 1 });
        for track in 0..6 {
            let mean = arr1(&[track as f32, -(track as f32)]);
            let map = LayerFeatures { mean: mean.clone(), variance: Some(arr1(&[1.0, 1.0])) };
            let features = Features { logits: arr1(&[1.0]), layers: vec![map, LayerFeatures::vector(mean)] };
            bank.push(format!("{track}_0"), 0, &features).unwrap();
        }
        let detector = PatternHamming::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        assert_eq!(*detector.indices, [1]);
    }

    #[test]
    fn constant_activations_are_refused() {
        let images = vec![(0, vector_image(&[1.0], &[4.0, 4.0])); 6];
        let error = PatternHamming::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap_err();
        let source = PatternError::Constant { neurons: 2, images: 6 };
        assert_eq!(error, FitError::Pattern { detector: DetectorKind::PatternHamming, source });
    }
}
