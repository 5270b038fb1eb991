//! Distance to the decision boundaries.

use ndarray::{ArrayView1, Axis};
use serde_json::json;

use super::arrays::Matrix;
use super::head::required_head;
use super::logits::narrow;
use super::usual::UsualScores;
use super::{Detector, DetectorKind, Explanation, Fit, FitError, FitInput, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features};
use crate::storage::{Slab, StorageError, TensorReader, TensorWriter};

/// Score: − mean over all classes c other than the predicted ŷ of `|f_ŷ − f_c| / ‖w_ŷ − w_c‖ / ‖z − μ‖`, from −∞ to 0.
///
/// That is the distance of the penultimate activations z to the plane where the head cannot tell ŷ from c, relative to
/// their distance from the mean μ of all training images. w are the rows of the head's weights. Liu and Qin, *Fast
/// Decision Boundary based Out-of-Distribution Detector*, ICML 2024, §3. Two classes with the same weights have no
/// boundary and are left out of the mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Fdbd {
    boundaries: Boundaries,
    usual: UsualScores,
}

#[derive(Debug, Clone, PartialEq)]
struct Boundaries {
    penultimate: usize,
    /// `D`, μ.
    mean: Slab<f32>,
    /// `K×K`, `‖w_a − w_b‖`.
    gaps: Matrix,
}

impl Boundaries {
    /// The other classes with a boundary to the predicted one, and the relative distances to those boundaries.
    fn distances(&self, features: &Features) -> Vec<(usize, f64)> {
        let predicted = features.predicted_class();
        let radius = self.radius(features);
        let gaps = self.gaps.row(predicted).iter().enumerate().filter(|(_, gap)| **gap > 0.0);
        let distances = gaps.map(|(class, &gap)| {
            let margin = f64::from(features.logits[predicted]) - f64::from(features.logits[class]);
            (class, margin / f64::from(gap) / radius)
        });
        distances.collect()
    }

    /// ‖z − μ‖, not 0.
    fn radius(&self, features: &Features) -> f64 {
        let z = &features.layers[self.penultimate].mean;
        let squares = z.iter().zip(self.mean.iter()).map(|(&z, &mean)| (f64::from(z) - f64::from(mean)).powi(2));
        squares.sum::<f64>().sqrt().max(f64::from(f32::MIN_POSITIVE))
    }

    fn score(&self, features: &Features) -> f32 {
        let distances = self.distances(features);
        let sum: f64 = distances.iter().map(|(_, distance)| distance).sum();
        narrow(-sum / distances.len().max(1) as f64)
    }
}

impl Detector for Fdbd {
    fn kind(&self) -> DetectorKind {
        DetectorKind::Fdbd
    }

    fn score(&self, features: &Features) -> f32 {
        self.boundaries.score(features)
    }

    /// The classes whose boundaries are nearest. Values are relative distances; expected is the mean distance from training
    /// images of the predicted class to all its boundaries. Contributions are the differences, divided by the number of
    /// boundaries; over all classes, negative ones included, they add up to how much the score is above the usual one.
    fn explain(&self, features: &Features) -> Explanation {
        let usual = -self.usual.of(features.predicted_class());
        let distances = self.boundaries.distances(features);
        let count = distances.len() as f64;
        Explanation::of(distances.into_iter().map(|(class, distance)| Part {
            place: Place::Class(class),
            contribution: narrow((f64::from(usual) - distance) / count),
            value: narrow(distance),
            expected: usual,
        }))
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        let Boundaries { mean, gaps, .. } = &self.boundaries;
        out.put("mean", &[mean.len()], mean);
        gaps.save("gaps", out);
        self.usual.save(out);
    }

    fn summary(&self) -> Summary {
        Summary::from([("classes".to_owned(), json!(self.boundaries.gaps.rows()))])
    }
}

impl Fit for Fdbd {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let weight = &required_head(input, DetectorKind::Fdbd)?.weight;
        let gaps = weight.rows().into_iter().flat_map(|a| weight.rows().into_iter().map(move |b| gap(a, b)));
        let sum = input.bank.penultimate().fold_axis(Axis(0), 0.0, |sum: &f64, &z| sum + f64::from(z));
        let mean = sum.iter().map(|sum| (sum / input.bank.len() as f64) as f32);
        let boundaries = Boundaries {
            penultimate: input.bank.layout().penultimate,
            mean: mean.collect::<Vec<_>>().into(),
            gaps: Matrix::new(weight.nrows(), gaps.collect()),
        };
        let usual = UsualScores::fit(input, |features| boundaries.score(features));
        Ok(Self { boundaries, usual })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let boundaries = Boundaries {
            penultimate: layout.penultimate,
            mean: tensors.get("mean", [layout.layers[layout.penultimate].channels])?,
            gaps: Matrix::load("gaps", tensors, layout.classes, layout.classes)?,
        };
        Ok(Self { boundaries, usual: UsualScores::load(tensors, layout)? })
    }
}

/// ‖a − b‖.
fn gap(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    narrow(squares.sum::<f64>().sqrt())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use ndarray::{arr1, array};

    use super::*;
    use crate::activation::Head;
    use crate::detector::testing::{
        assert_finite_on_extremes, assert_survives_a_file, bank, linear_bank, vector_image,
    };

    /// Classes 0 and 3 have the same weights; μ is (1, 0).
    fn fitted() -> Fdbd {
        let weight = array![[3.0, 0.0], [0.0, 4.0], [0.0, 0.0], [3.0, 0.0]];
        let head = Head { weight, bias: arr1(&[0.0, 0.0, 0.0, -2.0]), dropout: 0.0 };
        let images = [[2.0, 0.0], [0.0, 0.0]].map(|z| (0, vector_image(&[3.0 * z[0], 0.0, 0.0, 3.0 * z[0] - 2.0], &z)));
        Fdbd::fit(&FitInput::new(&bank(&images), Some(&head)).unwrap()).unwrap()
    }

    #[test]
    fn scores_and_explanations_by_hand() {
        let detector = fitted();
        // ‖z − μ‖ = 4; 15/5 to class 1, 15/3 to class 2.
        let features = vector_image(&[15.0, 0.0, 0.0, 13.0], &[5.0, 0.0]);
        assert_relative_eq!(detector.score(&features), -(3.0 / 4.0 + 5.0 / 4.0) / 2.0);
        // Training images: (6/5 + 6/3)/2 = 1.6 and 0.
        assert_relative_eq!(detector.usual.of(0), -0.8, max_relative = 1e-6);
        let parts = detector.explain(&features).parts;
        assert_eq!(parts.len(), 1, "the other boundary is farther than usual");
        assert_eq!((parts[0].place, parts[0].value), (Place::Class(1), 0.75));
        assert_relative_eq!(parts[0].contribution, 0.025, max_relative = 1e-4);
    }

    #[test]
    fn scores_agree_with_the_textbook() {
        let (bank, head) = linear_bank(5, 40, 6);
        let detector = Fdbd::fit(&FitInput::new(&bank, Some(&head)).unwrap()).unwrap();
        let mean = bank.penultimate().mapv(f64::from).mean_axis(Axis(0)).unwrap();
        let weight = head.weight.mapv(f64::from);
        let norm = |x: ndarray::Array1<f64>| x.dot(&x).sqrt();
        for row in 0..bank.len() {
            let features = bank.features(row);
            let z = features.layers[1].mean.mapv(f64::from);
            let logits = weight.dot(&z) + head.bias.mapv(f64::from);
            let predicted = features.predicted_class();
            let others = (0..5).filter(|class| *class != predicted);
            let distances = others.map(|class| {
                (logits[predicted] - logits[class]).abs() / norm(&weight.row(predicted) - &weight.row(class))
            });
            let expected = -distances.sum::<f64>() / 4.0 / norm(&z - &mean);
            assert_relative_eq!(f64::from(detector.score(&features)), expected, max_relative = 1e-3, epsilon = 1e-6);
        }
        assert_survives_a_file(&detector, &bank);
        assert_finite_on_extremes(&detector, &bank);
    }

    #[test]
    fn contributions_add_up_to_the_distance_from_usual() {
        let (bank, head) = linear_bank(3, 40, 6);
        let detector = Fdbd::fit(&FitInput::new(&bank, Some(&head)).unwrap()).unwrap();
        let mut features = bank.features(4);
        let unsure = features.logits[features.predicted_class()] - 0.01;
        features.logits.mapv_inplace(|logit| logit.max(unsure));
        let parts = detector.explain(&features).parts;
        assert_eq!(parts.len(), 2);
        let sum: f32 = parts.iter().map(|part| part.contribution).sum();
        let usual = detector.usual.of(features.predicted_class());
        assert_relative_eq!(sum, detector.score(&features) - usual, max_relative = 1e-4);
    }

    #[test]
    fn the_mean_itself_and_twin_classes_give_finite_scores() {
        let detector = fitted();
        let at_mean = detector.score(&vector_image(&[3.0, 0.0, 0.0, 1.0], &[1.0, 0.0]));
        assert!(at_mean.is_finite() && at_mean < -1e37, "{at_mean}");
        assert_eq!(detector.score(&vector_image(&[3.0; 4], &[1.0, 0.0])), 0.0);
        let head = Head { weight: array![[1.0], [1.0]], bias: arr1(&[1.0, 0.0]), dropout: 0.0 };
        let images = [(0, vector_image(&[5.0, 4.0], &[4.0]))];
        let twins = Fdbd::fit(&FitInput::new(&bank(&images), Some(&head)).unwrap()).unwrap();
        assert_eq!((twins.score(&images[0].1), twins.explain(&images[0].1).parts.len()), (0.0, 0));
    }

    #[test]
    fn a_model_without_head_is_refused() {
        let (bank, _) = linear_bank(3, 10, 6);
        let error = Fdbd::fit(&FitInput::new(&bank, None).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "fdbd needs a head (last linear layer), which this model does not have");
    }
}
