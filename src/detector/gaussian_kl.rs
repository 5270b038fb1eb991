//! How far the spatial distribution of every channel is from that of the predicted class.

mod layer;

use serde_json::json;

use self::layer::KlLayer;
use super::curve;
use super::{Detector, DetectorKind, Expectation, Explanation, Fit, FitError, FitInput, Part, Place, Summary};
use crate::activation::{FeatureLayout, Features, LayerKind};
use crate::storage::{StorageError, TensorReader, TensorWriter};

/// Score: mean over all map layers of `−2/C Σ_j ln p_j`, C the layer's channels.
///
/// The pixels of channel j of one image have mean m_j and variance v_j, those of all training images of the predicted
/// class c μ_cj and σ²_cj. Their Kullback–Leibler divergence as normal distributions is
/// `KL_j = ½[ln(σ²_cj/v_j) + (v_j + (m_j − μ_cj)²)/σ²_cj − 1]` (Kullback, *Information Theory and Statistics*, 1959,
/// ch. 9). One image differs from its class in every channel, in some always far more than in others, so a sum over KL_j
/// says little. p_j is the share of training images whose KL_j is at least as large; Fisher's method (*Statistical
/// Methods for Research Workers*, 1925, §21.1) joins them. Channels are dependent, so its χ² distribution does not
/// apply; dividing by the number of channels makes layers comparable.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianKl {
    /// Index in the layout, and what was learnt there.
    layers: Vec<(usize, KlLayer)>,
}

/// Map layers of a layout.
fn maps(layout: &FeatureLayout) -> impl Iterator<Item = usize> {
    (0..layout.layers.len()).filter(|&layer| layout.layers[layer].kind == LayerKind::Map)
}

impl Detector for GaussianKl {
    fn kind(&self) -> DetectorKind {
        DetectorKind::GaussianKl
    }

    fn score(&self, features: &Features) -> f32 {
        let class = features.predicted_class();
        let scores = self.layers.iter().map(|(index, layer)| {
            let maps = &features.layers[*index];
            let variance = maps.variance.as_ref().expect("a map layer has variances");
            layer.score(class, maps.mean.view(), variance.view())
        });
        (scores.sum::<f64>() / self.layers.len() as f64) as f32
    }

    /// The channels with the largest −2/C ln p_j; values are m_j, expected is μ_cj.
    fn explain(&self, features: &Features) -> Explanation {
        let class = features.predicted_class();
        let parts = self.layers.iter().flat_map(|(index, layer)| {
            let maps = &features.layers[*index];
            let variance = maps.variance.as_ref().expect("a map layer has variances");
            let surprises = layer.surprises(class, maps.mean.view(), variance.view());
            let means = layer.means(class).to_vec();
            let channels = surprises.zip(maps.mean.iter().copied().zip(means)).collect::<Vec<_>>().into_iter();
            channels.enumerate().map(|(channel, (contribution, (value, expected)))| Part {
                place: Place::Unit { layer: *index, unit: channel },
                contribution: contribution as f32,
                value,
                expected,
            })
        });
        Explanation::of(parts)
    }

    /// Of map layers: μ_cj, and p_j, the share of training images whose KL_j is at least as large (beyond all of them, a Pareto
    /// tail). That is more than the channel's mean: a channel that is unusually even or uneven has a small p_j, too.
    fn expectation(&self, features: &Features, layer: usize) -> Option<Expectation> {
        let (_, learnt) = self.layers.iter().find(|(index, _)| *index == layer)?;
        let maps = &features.layers[layer];
        let class = features.predicted_class();
        Some(Expectation {
            detector: self.kind(),
            meaning: "share of training images whose channel is at least as far from their class in mean and spread",
            means: learnt.means(class).to_vec(),
            p_values: learnt.p_values(class, maps.mean.view(), maps.variance.as_ref()?.view()),
        })
    }

    fn save(&self, out: &mut TensorWriter<'_>) {
        for (index, layer) in &self.layers {
            layer.save(&mut out.scope(&index.to_string()));
        }
    }

    fn summary(&self) -> Summary {
        Summary::from([
            ("layers".to_owned(), json!(self.layers.len())),
            ("quantiles".to_owned(), json!(curve::KNOTS)),
            ("variance_floor".to_owned(), json!(layer::VARIANCE_FLOOR)),
        ])
    }
}

impl Fit for GaussianKl {
    fn fit(input: &FitInput<'_>) -> Result<Self, FitError> {
        let layers = maps(input.bank.layout()).filter_map(|index| Some((index, KlLayer::fit(input, index)?)));
        let layers: Vec<_> = layers.collect();
        if layers.is_empty() {
            return Err(FitError::Unsupported {
                detector: DetectorKind::GaussianKl,
                missing: "a layer of feature maps",
            });
        }
        Ok(Self { layers })
    }

    fn load(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<Self, StorageError> {
        let load = |index: usize| {
            let tensors = tensors.scope(&index.to_string());
            Ok((index, KlLayer::load(&tensors, layout.classes, layout.layers[index].channels)?))
        };
        let layers = maps(layout).map(load).collect::<Result<Vec<_>, StorageError>>()?;
        if layers.is_empty() {
            return Err(tensors.invalid("", "the layout has no map layer"));
        }
        Ok(Self { layers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::testing::{assert_survives_a_file, bank, synthetic_bank, vector_image};

    #[test]
    fn a_model_without_maps_is_refused() {
        let images = vec![(0, vector_image(&[1.0], &[4.0])); 6];
        let error = GaussianKl::fit(&FitInput::new(&bank(&images), None).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "gaussian_kl needs a layer of feature maps, which this model does not have");
    }

    #[test]
    fn images_with_other_maps_score_higher_than_training_images() {
        let bank = synthetic_bank(3, 80, 5);
        let detector = GaussianKl::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        let mut scores: Vec<f32> = (0..bank.len()).map(|row| detector.score(&bank.features(row))).collect();
        scores.sort_by(f32::total_cmp);
        let mut features = bank.features(0);
        features.layers[0].mean[4] += 90.0;
        assert_eq!(detector.explain(&features).parts[0].place, Place::Unit { layer: 0, unit: 4 });
        features = bank.features(0);
        features.layers[0].mean += 3.0;
        assert!(detector.score(&features) > scores[scores.len() * 95 / 100]);
        features.layers[0].variance.as_mut().unwrap().fill(0.0);
        assert!(detector.score(&features) > scores[scores.len() - 1]);
        assert_survives_a_file(&detector, &bank);
    }

    #[test]
    fn p_values_of_channels_make_the_score() {
        let bank = synthetic_bank(3, 80, 5);
        let detector = GaussianKl::fit(&FitInput::new(&bank, None).unwrap()).unwrap();
        for row in 0..20 {
            let features = bank.features(row);
            let expectation = detector.expectation(&features, 0).unwrap();
            let channels = expectation.p_values.len();
            assert_eq!(channels, expectation.means.len());
            assert!(expectation.p_values.iter().all(|p_value| (0.0..=1.0).contains(p_value)));
            let sum: f64 = expectation.p_values.iter().map(|p_value| p_value.ln()).sum();
            approx::assert_relative_eq!(
                -2.0 * sum / channels as f64,
                f64::from(detector.score(&features)),
                epsilon = 1e-4
            );
            assert!(detector.expectation(&features, 1).is_none(), "a vector");
        }
    }
}
