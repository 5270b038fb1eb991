//! How a monitor knows the model that it belongs to.

use serde::{Deserialize, Serialize};

use super::MonitorError;
use super::metadata::describe;
use crate::activation::{FeatureLayout, LayerKind};

/// The model that a monitor belongs to: its weights, and every field of `model.json` that decides what the network sees and
/// what its outputs mean. The layers and their order are in the [`FeatureLayout`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelId {
    /// SHA-256 of the model file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
    /// Class that stands for none of the others, where the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoy_class: Option<usize>,
    /// What the network sees of a region.
    pub input: ModelInput,
    /// The last linear layer, where the model names one.
    pub head: Option<ModelHead>,
}

/// How a region becomes the input of the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ModelInput {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Share of the region's width and height that is added on each side, 0..1.
    pub region_margin: f32,
}

/// Where the head `logits = weight · z + bias` is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHead {
    /// Name of the weight among the model's parameters.
    pub weight: String,
    /// Name of the bias among the model's parameters.
    pub bias: String,
    /// Dropout rate on the head's input during training, 0..1.
    pub dropout: f32,
}

/// A field of `model.json` with its value in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelField {
    /// Name as in `model.json`, for example `input.region_margin`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A field that two models do not have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub field: String,
    pub first: String,
    pub other: String,
}

impl ModelId {
    /// The fields of `model.json` that decide a verdict, but for the class names one by one. `layout` is that of the model.
    #[must_use]
    pub fn fields(&self, layout: &FeatureLayout) -> Vec<ModelField> {
        let layers = layout.layers.iter().map(|layer| match layer.kind {
            LayerKind::Vector => format!("{} (vector)", layer.name),
            LayerKind::Map => format!("{} (map)", layer.name),
        });
        let none = || "none".to_owned();
        let penultimate = layout.layers.get(layout.penultimate).map_or_else(none, |layer| layer.name.clone());
        let decoy = self.decoy_class.map_or_else(none, |class| self.classes.get(class).cloned().unwrap_or_else(none));
        let head = self.head.as_ref().map_or_else(none, |ModelHead { weight, bias, dropout }| {
            format!("{weight} and {bias} with dropout {dropout}")
        });
        let ModelInput { width, height, region_margin } = self.input;
        [
            ("input.width", width.to_string()),
            ("input.height", height.to_string()),
            ("input.region_margin", region_margin.to_string()),
            ("classes", format!("{} names", self.classes.len())),
            ("decoy_class", decoy),
            ("layers", layers.collect::<Vec<_>>().join(", ")),
            ("penultimate", penultimate),
            ("head", head),
        ]
        .map(|(name, value)| ModelField { name: name.to_owned(), value })
        .into()
    }

    /// The first field in which another model differs; `None` when none does.
    pub(super) fn difference(
        &self,
        layout: &FeatureLayout,
        other: &Self,
        other_layout: &FeatureLayout,
    ) -> Option<Difference> {
        let fields = self.fields(layout).into_iter().zip(other.fields(other_layout));
        let fields = fields.map(|(first, other)| (first.name, first.value, other.value));
        let names = self.classes.iter().zip(&other.classes).enumerate();
        let names = names.map(|(index, (first, other))| (format!("classes[{index}]"), first.clone(), other.clone()));
        let different = fields.chain(names).find(|(_, first, other)| first != other);
        different.map(|(field, first, other)| Difference { field, first, other })
    }

    /// Checks that a layout is possible and that of a model with these classes.
    pub(super) fn check(&self, layout: &FeatureLayout) -> Result<(), MonitorError> {
        let FeatureLayout { classes, layers, penultimate } = layout;
        if self.classes.len() != *classes {
            return Err(MonitorError::Classes { names: self.classes.len(), logits: *classes });
        }
        let vector = layers.get(*penultimate).is_some_and(|layer| layer.kind == LayerKind::Vector);
        if *classes == 0 || !vector || layers.iter().any(|layer| layer.channels == 0) {
            return Err(MonitorError::Inconsistent(format!("impossible layout: {}", describe(layout))));
        }
        Ok(())
    }
}

/// The first twelve digits of a SHA-256 in hexadecimal: enough to tell apart what one meets, short enough for a message.
#[must_use]
pub fn short_id(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::activation::LayerSpec;

    const CLASSES: usize = 3;

    pub(in crate::monitor) fn model() -> ModelId {
        ModelId {
            sha256: "ab".repeat(32),
            classes: (0..CLASSES).map(|class| format!("class {class}")).collect(),
            decoy_class: Some(CLASSES - 1),
            input: ModelInput { width: 40, height: 30, region_margin: 0.1 },
            head: Some(ModelHead { weight: "head_weight".into(), bias: "head_bias".into(), dropout: 0.2 }),
        }
    }

    fn layout() -> FeatureLayout {
        let layer = |name: &str, kind| LayerSpec { name: name.into(), kind, channels: 5 };
        let layers = vec![layer("conv", LayerKind::Map), layer("y", LayerKind::Vector), layer("z", LayerKind::Vector)];
        FeatureLayout { classes: CLASSES, layers, penultimate: 2 }
    }

    #[test]
    fn a_difference_names_the_field_and_both_values() {
        type Change = fn(&mut ModelId, &mut FeatureLayout);
        let changes: [(Change, [&str; 3]); 10] = [
            (|model, _| model.input.width = 41, ["input.width", "40", "41"]),
            (|model, _| model.input.height = 31, ["input.height", "30", "31"]),
            (|model, _| model.input.region_margin = 0.2, ["input.region_margin", "0.1", "0.2"]),
            (|model, _| model.classes[1] = "stop".into(), ["classes[1]", "class 1", "stop"]),
            (|model, _| model.classes.push("stop".into()), ["classes", "3 names", "4 names"]),
            (|model, _| model.decoy_class = None, ["decoy_class", "class 2", "none"]),
            (|model, _| model.head = None, ["head", "head_weight and head_bias with dropout 0.2", "none"]),
            (
                |_, layout| layout.layers.swap(0, 1),
                ["layers", "conv (map), y (vector), z (vector)", "y (vector), conv (map), z (vector)"],
            ),
            (
                |_, layout| layout.layers[1].kind = LayerKind::Map,
                ["layers", "conv (map), y (vector), z (vector)", "conv (map), y (map), z (vector)"],
            ),
            (|_, layout| layout.penultimate = 1, ["penultimate", "z", "y"]),
        ];
        assert_eq!(model().difference(&layout(), &model(), &layout()), None);
        for (change, [field, first, second]) in changes {
            let (mut other, mut other_layout) = (model(), layout());
            change(&mut other, &mut other_layout);
            let difference = model().difference(&layout(), &other, &other_layout).unwrap();
            let Difference { field: found, first: one, other: two } = &difference;
            assert_eq!([found, one, two], [field, first, second]);
        }
    }

    #[test]
    fn numbers_survive_the_file() {
        for margin in [0.1f32, 0.05, 1.0 / 3.0, 0.0, 1.0, f32::MIN_POSITIVE] {
            let model = ModelId { input: ModelInput { region_margin: margin, ..model().input }, ..model() };
            let text = serde_json::to_string(&model).unwrap();
            assert_eq!(serde_json::from_str::<ModelId>(&text).unwrap(), model);
        }
    }

    #[test]
    fn ids_are_short() {
        assert_eq!(short_id(&"ab".repeat(32)), "abababababab");
        assert_eq!(short_id("ab"), "ab");
    }
}
