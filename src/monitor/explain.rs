//! Why an image was judged as it was, by name and in words.

use std::fmt;

use serde::Serialize;

use super::{Calibrated, DetectorResult, Judgement, Metadata, Monitor};
use crate::activation::{Features, LayerKind};
use crate::detector::{Explanation, NearestExample, Part, Place};

/// Most detectors that explain themselves.
pub const MAX_EXPLANATIONS: usize = 3;
/// Most parts that are said in words.
const MAX_WORDED: usize = 3;

/// What made one detector's score high.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectorExplanation {
    /// Name of the detector.
    pub detector: &'static str,
    /// Its p-value, above 0 to 1.
    pub p_value: f32,
    /// What contributes most, the largest contribution first.
    pub parts: Vec<NamedPart>,
    /// The training data nearest to the image, where the detector knows it.
    pub nearest: Option<NearestClass>,
}

/// One contribution to a score, see [`Part`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedPart {
    /// What contributes.
    #[serde(flatten)]
    pub place: NamedPlace,
    /// How much; only comparable within one explanation.
    pub contribution: f32,
    /// What was found there.
    pub value: f32,
    /// What the training data lets expect there.
    pub expected: f32,
}

/// Where in the network something deviates, see [`Place`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum NamedPlace {
    /// A neuron of a vector layer, or a channel of a map layer.
    Unit {
        /// Name of the layer.
        layer: String,
        /// Vector or map.
        kind: LayerKind,
        /// Index of the neuron or channel.
        unit: usize,
    },
    /// A whole layer.
    Layer {
        /// Its name.
        layer: String,
    },
    /// The output for a class.
    Class {
        /// Its name.
        class: String,
    },
}

/// The training data nearest to an image, see [`NearestExample`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NearestClass {
    /// Name of its class.
    pub class: String,
    /// How far away it is, in the detector's unit.
    pub distance: f32,
    /// How many training images are alike there.
    pub images: u32,
}

impl Monitor {
    /// What made the scores of an image high: the explanations of the (at most [`MAX_EXPLANATIONS`]) detectors with the
    /// smallest p-values, the most suspicious first. Equal p-values are told apart by how far the scores lie beyond
    /// the calibration data.
    ///
    /// `judgement` must be what [`Monitor::judge`] returned for these features.
    #[must_use]
    pub fn explain(&self, features: &Features, judgement: &Judgement) -> Vec<DetectorExplanation> {
        let class = judgement.predicted_class;
        let mut detectors: Vec<(&Calibrated, &DetectorResult)> =
            self.detectors.iter().zip(&judgement.detectors).collect();
        let surprise = |(calibrated, result): &(&Calibrated, &DetectorResult)| {
            calibrated.calibrator.of(class).surprise(result.score)
        };
        detectors.sort_by(|a, b| surprise(b).total_cmp(&surprise(a)));
        let explain = |(calibrated, result): (&Calibrated, &DetectorResult)| {
            self.metadata.name(result, calibrated.detector.explain(features))
        };
        detectors.into_iter().take(MAX_EXPLANATIONS).map(explain).collect()
    }
}

impl Metadata {
    fn name(&self, result: &DetectorResult, explanation: Explanation) -> DetectorExplanation {
        DetectorExplanation {
            detector: result.name,
            p_value: result.p_value,
            parts: explanation.parts.into_iter().map(|part| self.named_part(part)).collect(),
            nearest: explanation.nearest.map(|nearest| self.named_example(nearest)),
        }
    }

    fn named_part(&self, part: Part) -> NamedPart {
        let Part { place, contribution, value, expected } = part;
        let layer = |index: usize| self.layout.layers[index].name.clone();
        let place = match place {
            Place::Unit { layer: index, unit } => {
                NamedPlace::Unit { layer: layer(index), kind: self.layout.layers[index].kind, unit }
            }
            Place::Layer(index) => NamedPlace::Layer { layer: layer(index) },
            Place::Class(index) => NamedPlace::Class { class: self.model.classes[index].clone() },
        };
        NamedPart { place, contribution, value, expected }
    }

    fn named_example(&self, nearest: NearestExample) -> NearestClass {
        let NearestExample { class, distance, images } = nearest;
        NearestClass { class: self.model.classes[class].clone(), distance, images }
    }
}

/// The largest parts and the nearest class, for example `stage2 channel 17: 0.83, expected 0.12; nearest: stop
/// (distance 5.2, 12 images)`. The name of the detector and its p-value are left to the caller.
impl fmt::Display for DetectorExplanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for part in self.parts.iter().take(MAX_WORDED) {
            write!(formatter, "{separator}{part}")?;
            separator = "; ";
        }
        match &self.nearest {
            Some(nearest) => write!(formatter, "{separator}nearest: {nearest}"),
            None if self.parts.is_empty() => formatter.write_str("nothing stands out"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for NamedPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}, expected {}", self.place, Short(self.value), Short(self.expected))
    }
}

impl fmt::Display for NamedPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit { layer, kind: LayerKind::Map, unit } => write!(formatter, "{layer} channel {unit}"),
            Self::Unit { layer, kind: LayerKind::Vector, unit } => write!(formatter, "{layer} neuron {unit}"),
            Self::Layer { layer } => write!(formatter, "{layer}"),
            Self::Class { class } => write!(formatter, "output for `{class}`"),
        }
    }
}

impl fmt::Display for NearestClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, distance, images } = self;
        let images = if *images == 1 { "1 image".to_owned() } else { format!("{images} images") };
        write!(formatter, "`{class}` (distance {}, {images})", Short(*distance))
    }
}

/// A number with about three digits; whole numbers without decimals.
pub(crate) struct Short(pub f32);

impl fmt::Display for Short {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        match value.abs() {
            size if size < 1e6 && size.fract() == 0.0 => write!(formatter, "{value:.0}"),
            0.001..10.0 => write!(formatter, "{value:.*}", if value.abs() < 0.1 { 3 } else { 2 }),
            10.0..1000.0 => write!(formatter, "{value:.1}"),
            1000.0..1e6 => write!(formatter, "{value:.0}"),
            _ => write!(formatter, "{value:.1e}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(layer: &str, kind: LayerKind, unit: usize, value: f32) -> NamedPart {
        let place = NamedPlace::Unit { layer: layer.into(), kind, unit };
        NamedPart { place, contribution: 2.5, value, expected: 0.0123 }
    }

    fn explanation() -> DetectorExplanation {
        let class = NamedPlace::Class { class: "no <entry>".into() };
        DetectorExplanation {
            detector: "msp",
            p_value: 0.25,
            parts: vec![
                unit("stage2", LayerKind::Map, 17, 0.83),
                unit("pooled", LayerKind::Vector, 3, -1234.5),
                NamedPart { place: class, contribution: 1.0, value: 1e-7, expected: 12.345 },
                unit("stage3", LayerKind::Map, 1, 1.0),
            ],
            nearest: Some(NearestClass { class: "stop".into(), distance: 5.0, images: 1 }),
        }
    }

    #[test]
    fn explanations_are_said_in_words() {
        assert_eq!(
            explanation().to_string(),
            "stage2 channel 17: 0.83, expected 0.012; pooled neuron 3: -1234, expected 0.012; output for `no <entry>`: \
             1.0e-7, expected 12.3; nearest: `stop` (distance 5, 1 image)"
        );
        let nothing = DetectorExplanation { parts: Vec::new(), nearest: None, ..explanation() };
        assert_eq!(nothing.to_string(), "nothing stands out");
    }

    #[test]
    fn json_names_the_place() {
        let json = serde_json::to_value(explanation()).unwrap();
        assert_eq!((&json["detector"], &json["p_value"]), (&"msp".into(), &0.25.into()));
        let part = &json["parts"][0];
        assert_eq!((&part["layer"], &part["kind"], &part["unit"]), (&"stage2".into(), &"map".into(), &17.into()));
        assert_eq!(part["contribution"], 2.5);
        assert_eq!(json["parts"][2]["class"], "no <entry>");
        assert_eq!(json["nearest"]["images"], 1);
    }
}
