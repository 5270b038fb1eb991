//! Distance to the boxes around the training images of the predicted class.

use ndarray::{Array1, ArrayView2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::arrays::{Matrix, load_classes};
use super::kmeans::kmeans;
use super::logits::narrow;
use super::statistics::{Moments, variance_floor};
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, NearestExample, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Most boxes of a class.
const MAX_BOXES: usize = 3;

/// A class gets one box per this many images, at least one.
const IMAGES_PER_BOX: usize = 10;

/// Smallest variance, as a share of the mean over all neurons of their variance: it is the unit for neurons that never
/// varied.
const VARIANCE_FLOOR: f64 = 1e-3;

const SEED: u64 = 0;

/// Score: `min_b √(Σ_j (e_bj / σ_j)²)` over the boxes b of the predicted class; `e_bj = max(l_bj − z_j, z_j − u_bj, 0)` is how
/// far neuron j of the penultimate activations z lies outside of the box `[l_b, u_b]`, σ_j its standard deviation over the
/// training images. 0 inside of a box, where nothing tells one image from another: many images have equal scores.
///
/// Henzinger, Lukina, Schilling, *Outside the Box: Abstraction-Based Monitoring of Neural Networks*, ECAI 2020: the
/// correctly classified training images of each class are clustered ([`kmeans`], here on z_j/σ_j, so that cluster and
/// distance have the same unit), and each cluster gets its bounding box. A class has one box per 10 images, at most 3. The
/// paper only tells inside from outside; the distance gives an order among those outside. Boxes are not enlarged (γ = 0).
/// A stray image that becomes a cluster of its own is a box of size 0 and makes the others smaller; one that does not
/// stretches its box. For a class without images, the boxes of all classes count.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxDistance {
    penultimate: usize,
    /// `B×D`, l.
    lower: Matrix,
    /// `B×D`, u.
    upper: Matrix,
    /// `B`, the class of every box.
    classes: Slab<u32>,
    /// `B`, how many training images each was made from.
    images: Slab<u32>,
    /// `D`, σ.
    scales: Slab<f32>,
}

impl BoxDistance {
    /// Indices of the boxes that count for a predicted class.
    fn boxes(&self, class: usize) -> impl Iterator<Item = usize> {
        let class = class as u32;
        let all = !self.classes.contains(&class);
        (0..self.classes.len()).filter(move |&index| all || self.classes[index] == class)
    }

    /// Per neuron, what it adds to the squared distance to box `index`, and the bound that it violates (or its value).
    fn excesses(&self, index: usize, z: &Array1<f32>) -> impl Iterator<Item = (f64, f32)> {
        let bounds = self.lower.row(index).iter().zip(self.upper.row(index));
        z.iter().zip(bounds).zip(&*self.scales).map(|((&value, (&lower, &upper)), &scale)| {
            let bound = value.max(lower).min(upper);
            let excess = (f64::from(value) - f64::from(bound)) / f64::from(scale);
            (excess * excess, bound)
        })
    }

    /// The nearest box that counts and the distance to it.
    fn nearest(&self, features: &Features) -> (usize, f32) {
        let z = &features.layers[self.penultimate].mean;
        let squared = |index: usize| self.excesses(index, z).map(|(square, _)| square).sum::<f64>();
        let distances = self.boxes(features.predicted_class()).map(|index| (index, squared(index)));
        let (index, squared) = distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY));
        (index, narrow(squared.sqrt()))
    }
}

impl Detector for BoxDistance {
    fn kind(&self) -> DetectorKind {
        DetectorKind::BoxDistance
    }

    fn score(&self, features: &Features) -> f32 {
        self.nearest(features).1
    }

    /// The neurons outside of the nearest box with the largest `(e_bj / σ_j)²`, which sum to the square of the score;
    /// expected is the violated bound. The nearest example is that box with its images; inside of it there are no parts.
    fn explain(&self, features: &Features) -> Explanation {
        let (index, distance) = self.nearest(features);
        let z = &features.layers[self.penultimate].mean;
        let parts = self.excesses(index, z).zip(z).enumerate().map(|(unit, ((square, expected), &value))| Part {
            place: Place::Unit { layer: self.penultimate, unit },
            contribution: narrow(square),
            value,
            expected,
        });
        let (class, images) = (self.classes[index] as usize, self.images[index]);
        Explanation::of(parts).near(Some(NearestExample { class, distance, images }))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        self.lower.save("lower", out);
        self.upper.save("upper", out);
        out.put("classes", &[self.classes.len()], &self.classes);
        out.put("images", &[self.images.len()], &self.images);
        out.put("scales", &[self.scales.len()], &self.scales);
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("boxes".to_owned(), json!(self.classes.len())),
            ("enlarged_by".to_owned(), json!(0)),
            ("images_per_box".to_owned(), json!(IMAGES_PER_BOX)),
            ("max_boxes_per_class".to_owned(), json!(MAX_BOXES)),
        ])
    }
}

/// σ of every neuron over the given rows.
fn scales(z: ArrayView2<'_, f32>, rows: &[usize]) -> Vec<f32> {
    let variance = Moments::of(z, rows).variance;
    let floor = variance_floor(VARIANCE_FLOOR, variance.mean());
    variance.iter().map(|variance| variance.max(floor).sqrt() as f32).collect()
}

/// The rows of a class, cluster by cluster.
fn clusters(z: ArrayView2<'_, f32>, rows: &[usize], scales: &[f32], random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let boxes = (rows.len() / IMAGES_PER_BOX).clamp(1, MAX_BOXES);
    let scales: Array1<f64> = scales.iter().map(|&scale| f64::from(scale)).collect();
    let scaled = z.select(Axis(0), rows).mapv(f64::from) / &scales;
    let mut clusters = vec![Vec::new(); boxes];
    for (&row, cluster) in rows.iter().zip(kmeans(scaled.view(), boxes, random)) {
        clusters[cluster].push(row);
    }
    clusters.retain(|cluster| !cluster.is_empty());
    clusters
}

/// The smallest (`f32::min`) or largest (`f32::max`) value of every neuron over some rows.
fn bound(z: ArrayView2<'_, f32>, rows: &[usize], better: fn(f32, f32) -> f32) -> Vec<f32> {
    let mut bound = z.row(rows[0]).to_owned();
    rows.iter().for_each(|&row| bound.zip_mut_with(&z.row(row), |bound, &value| *bound = better(*bound, value)));
    bound.to_vec()
}

impl Fit for BoxDistance {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let z = input.bank.penultimate();
        let scales = scales(z, input.correct());
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut boxes: Vec<(u32, Vec<usize>)> = Vec::new();
        for (class, rows) in (0..).zip(input.by_class()).filter(|(_, rows)| !rows.is_empty()) {
            boxes.extend(clusters(z, rows, &scales, &mut random).into_iter().map(|rows| (class, rows)));
        }
        let bounds = |better| boxes.iter().flat_map(|(_, rows)| bound(z, rows, better)).collect();
        Ok(Self {
            penultimate: input.bank.layout().penultimate,
            lower: Matrix::new(z.ncols(), bounds(f32::min)),
            upper: Matrix::new(z.ncols(), bounds(f32::max)),
            classes: boxes.iter().map(|(class, _)| *class).collect::<Vec<_>>().into(),
            images: boxes.iter().map(|(_, rows)| rows.len() as u32).collect::<Vec<_>>().into(),
            scales: scales.into(),
        })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let neurons = layout.layers[layout.penultimate].channels;
        let [boxes, _] = tensors.shape::<f32, 2>("lower")?;
        if boxes == 0 {
            return Err(tensors.invalid("lower", "there is no box"));
        }
        let classes = load_classes(tensors, boxes, layout.classes)?;
        let scales = tensors.get::<f32, 1>("scales", [neurons])?;
        if !scales.iter().all(|&scale| scale > 0.0) {
            return Err(tensors.invalid("scales", "one is not above 0"));
        }
        Ok(Self {
            penultimate: layout.penultimate,
            lower: Matrix::load("lower", tensors, boxes, neurons)?,
            upper: Matrix::load("upper", tensors, boxes, neurons)?,
            classes,
            images: tensors.get("images", [boxes])?,
            scales,
        })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::activation::FeatureBank;
    use crate::detector::testing::{assert_survives_a_file, bank, synthetic_bank, vector_image};

    fn image(class: usize, z: &[f32]) -> (usize, Features) {
        (class, vector_image(&[0, 1, 2].map(|other| if other == class { 1.0 } else { 0.0 }), z))
    }

    fn fitted(bank: &FeatureBank) -> BoxDistance {
        BoxDistance::fit(&FitInput::new(bank, None).unwrap()).unwrap()
    }

    /// Neuron 0 is 0, 4, 8, 12 (variance 20), neuron 1 is 0, 2, 0, 2 (variance 1); class 2 has no images.
    fn two_boxes() -> BoxDistance {
        let images = [image(0, &[0.0, 0.0]), image(0, &[4.0, 2.0]), image(1, &[8.0, 0.0]), image(1, &[12.0, 2.0])];
        fitted(&bank(&images))
    }

    #[test]
    fn scores_by_hand() {
        let detector = two_boxes();
        let score = |class: usize, z: &[f32]| detector.score(&image(class, z).1);
        assert_eq!(score(0, &[0.0, 2.0]), 0.0);
        assert_relative_eq!(score(0, &[8.0, 1.0]), (16f32 / 20.0).sqrt(), max_relative = 1e-6);
        assert_relative_eq!(score(0, &[8.0, -3.0]), (16f32 / 20.0 + 9.0).sqrt(), max_relative = 1e-6);
        assert_eq!(score(1, &[8.0, 1.0]), 0.0, "another predicted class");
        assert_relative_eq!(score(2, &[7.0, 1.0]), (1f32 / 20.0).sqrt(), max_relative = 1e-6);
    }

    #[test]
    fn the_violated_bounds_are_named() {
        let explanation = two_boxes().explain(&image(0, &[8.0, -3.0]).1);
        let parts: Vec<_> = explanation.parts.iter().map(|part| (part.place, part.value, part.expected)).collect();
        let unit = |unit| Place::Unit { layer: 0, unit };
        assert_eq!(parts, [(unit(1), -3.0, 0.0), (unit(0), 8.0, 4.0)]);
        assert_relative_eq!(explanation.parts[1].contribution, 16.0 / 20.0, max_relative = 1e-6);
        let distance = (16f32 / 20.0 + 9.0).sqrt();
        assert_relative_eq!(explanation.nearest.unwrap().distance, distance, max_relative = 1e-6);
        let inside = two_boxes().explain(&image(2, &[9.0, 1.0]).1);
        let nearest = NearestExample { class: 1, distance: 0.0, images: 2 };
        assert_eq!((inside.parts.len(), inside.nearest), (0, Some(nearest)));
    }

    #[test]
    fn groups_of_a_class_get_boxes_of_their_own() {
        let images: Vec<_> = (0..20).map(|index| image(0, &[(index % 2 * 50 + index) as f32])).collect();
        let detector = fitted(&bank(&images));
        assert_eq!((&*detector.classes, &*detector.images), ([0, 0].as_slice(), [10, 10].as_slice()));
        assert_eq!(detector.score(&image(0, &[17.0]).1), 0.0);
        // The boxes are [0, 18] and [51, 69].
        assert_relative_eq!(detector.score(&image(0, &[40.0]).1), 11.0 / detector.scales[0], max_relative = 1e-6);
        assert_eq!(fitted(&bank(&images[..19])).classes.len(), 1, "too few images for two");
    }

    #[test]
    fn scores_agree_with_the_formula() {
        // Fewer than 20 images per class: one box each.
        let bank = synthetic_bank(4, 19, 11);
        let input = FitInput::new(&bank, None).unwrap();
        let detector = fitted(&bank);
        let z = bank.penultimate().mapv(f64::from);
        let deviation = z.select(Axis(0), input.correct()).std_axis(Axis(0), 0.0);
        let mut shift = ChaCha8Rng::seed_from_u64(3);
        for row in 0..bank.len() {
            let mut features = bank.features(row);
            features.layers[1].mean.mapv_inplace(|value| value + 3.0 * rand::Rng::random::<f32>(&mut shift));
            let class = z.select(Axis(0), &input.by_class()[features.predicted_class()]);
            let term = |j: usize| {
                let value = f64::from(features.layers[1].mean[j]);
                let lower = class.column(j).iter().copied().fold(f64::INFINITY, f64::min);
                let upper = class.column(j).iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if value < lower {
                    (lower - value) / deviation[j]
                } else if value > upper {
                    (value - upper) / deviation[j]
                } else {
                    0.0
                }
            };
            let expected: f64 = (0..z.ncols()).map(|j| term(j).powi(2)).sum::<f64>().sqrt();
            assert_relative_eq!(f64::from(detector.score(&features)), expected, max_relative = 1e-5);
        }
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn constant_neurons_and_extreme_activations_give_finite_scores() {
        let constant = fitted(&bank(&[image(0, &[4.0, 0.0]), image(0, &[4.0, 0.0])]));
        assert_eq!(constant.score(&image(0, &[4.0, 0.0]).1), 0.0);
        for value in [0.0, 1e-40, f32::MAX, f32::MIN] {
            for detector in [&constant, &two_boxes()] {
                let features = image(1, &[value, value]).1;
                assert!(detector.score(&features).is_finite(), "{value}");
                assert!(detector.explain(&features).parts.iter().all(|part| part.contribution.is_finite()));
            }
        }
        assert!(constant.score(&image(0, &[4.1, 0.0]).1) > 0.0);
    }

    proptest! {
        #[test]
        fn training_images_lie_inside(classes in 1usize..4, images in 1usize..50, seed in 0u64..100) {
            let bank = synthetic_bank(classes, images, seed);
            // Few images may all be misclassified.
            if let Ok(input) = FitInput::new(&bank, None) {
                let detector = BoxDistance::fit(&input).unwrap();
                prop_assert!(input.correct().iter().all(|&row| detector.score(&bank.features(row)) == 0.0));
            }
        }
    }
}
