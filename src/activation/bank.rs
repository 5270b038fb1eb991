//! Features of many images: what fitting collects, one row per image.

use ndarray::ArrayView2;

use super::{FeatureLayout, Features, LayerFeatures, LayerKind};

/// Why a row or a bank cannot join a bank.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BankError {
    /// The row or bank has another shape than this bank.
    #[error("features do not have the layout of this bank: the activations come from another model")]
    Layout,
    /// A label is not a class of the layout.
    #[error("label {label} is not below the number of classes {classes}")]
    Label {
        /// The label that was given.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
}

/// Features of many labelled images, column by column.
///
/// Banks form a monoid: [`FeatureBank::merge`] followed by [`FeatureBank::sort`] gives the same bank whatever the
/// order in which the images were seen, so what is fitted on shards equals what is fitted on the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureBank {
    layout: FeatureLayout,
    keys: Vec<String>,
    labels: Vec<usize>,
    logits: Vec<f32>,
    /// Per layer, row-major `N×C`.
    means: Vec<Vec<f32>>,
    /// Per layer, row-major `N×C`; empty for vector layers.
    variances: Vec<Vec<f32>>,
}

impl FeatureBank {
    /// An empty bank of the given shape.
    #[must_use]
    pub fn new(layout: FeatureLayout) -> Self {
        let layers = layout.layers.len();
        Self {
            layout,
            keys: Vec::new(),
            labels: Vec::new(),
            logits: Vec::new(),
            means: vec![Vec::new(); layers],
            variances: vec![Vec::new(); layers],
        }
    }

    /// Adds one image. `key` names it uniquely (its path below the data folder), `label` is its true class.
    ///
    /// # Errors
    /// [`BankError`] when the features have another layout or the label is no class.
    pub fn push(&mut self, key: impl Into<String>, label: usize, features: &Features) -> Result<(), BankError> {
        if !features.matches(&self.layout) {
            return Err(BankError::Layout);
        }
        if label >= self.layout.classes {
            return Err(BankError::Label { label, classes: self.layout.classes });
        }
        self.keys.push(key.into());
        self.labels.push(label);
        self.logits.extend(&features.logits);
        for (index, layer) in features.layers.iter().enumerate() {
            self.means[index].extend(&layer.mean);
            if let Some(variance) = &layer.variance {
                self.variances[index].extend(variance);
            }
        }
        Ok(())
    }

    /// Appends all rows of `other`.
    ///
    /// # Errors
    /// [`BankError::Layout`] when `other` comes from another model.
    pub fn merge(&mut self, other: &Self) -> Result<(), BankError> {
        if other.layout != self.layout {
            return Err(BankError::Layout);
        }
        self.keys.extend_from_slice(&other.keys);
        self.labels.extend_from_slice(&other.labels);
        self.logits.extend_from_slice(&other.logits);
        for index in 0..self.layout.layers.len() {
            self.means[index].extend_from_slice(&other.means[index]);
            self.variances[index].extend_from_slice(&other.variances[index]);
        }
        Ok(())
    }

    /// The rows at `indices`, in that order. Panics when an index is out of range.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let rows = |values: &[f32], width: usize| -> Vec<f32> {
            indices.iter().flat_map(|&row| &values[row * width..(row + 1) * width]).copied().collect()
        };
        let mut selected = Self::new(self.layout.clone());
        selected.keys = indices.iter().map(|&row| self.keys[row].clone()).collect();
        selected.labels = indices.iter().map(|&row| self.labels[row]).collect();
        selected.logits = rows(&self.logits, self.layout.classes);
        for (index, spec) in self.layout.layers.iter().enumerate() {
            selected.means[index] = rows(&self.means[index], spec.channels);
            if spec.kind == LayerKind::Map {
                selected.variances[index] = rows(&self.variances[index], spec.channels);
            }
        }
        selected
    }

    /// Orders the rows by key, so that the order in which images were seen has no influence.
    #[must_use]
    pub fn sort(&self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by(|&a, &b| self.keys[a].cmp(&self.keys[b]));
        self.select(&order)
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the bank holds no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Shape of every row.
    #[must_use]
    pub fn layout(&self) -> &FeatureLayout {
        &self.layout
    }

    /// Unique name of every image.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// True class of every image.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// `N×K` logits.
    #[must_use]
    pub fn logits(&self) -> ArrayView2<'_, f32> {
        matrix(&self.logits, self.len(), self.layout.classes)
    }

    /// `N×C` activations (vector layers) or channel means (maps) of layer `layer`.
    #[must_use]
    pub fn means(&self, layer: usize) -> ArrayView2<'_, f32> {
        matrix(&self.means[layer], self.len(), self.layout.layers[layer].channels)
    }

    /// `N×C` channel variances of layer `layer`; `None` for vector layers.
    #[must_use]
    pub fn variances(&self, layer: usize) -> Option<ArrayView2<'_, f32>> {
        let spec = &self.layout.layers[layer];
        (spec.kind == LayerKind::Map).then(|| matrix(&self.variances[layer], self.len(), spec.channels))
    }

    /// `N×D` penultimate activations.
    #[must_use]
    pub fn penultimate(&self) -> ArrayView2<'_, f32> {
        self.means(self.layout.penultimate)
    }

    /// The features of image `row`. Panics when `row ≥ len()`.
    #[must_use]
    pub fn features(&self, row: usize) -> Features {
        let layers = (0..self.layout.layers.len()).map(|layer| LayerFeatures {
            mean: self.means(layer).row(row).to_owned(),
            variance: self.variances(layer).map(|variances| variances.row(row).to_owned()),
        });
        Features { logits: self.logits().row(row).to_owned(), layers: layers.collect() }
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values).expect("rows are only ever added whole")
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::*;
    use crate::activation::LayerSpec;

    fn layout() -> FeatureLayout {
        let map = LayerSpec { name: "conv".into(), kind: LayerKind::Map, channels: 2 };
        let vector = LayerSpec { name: "z".into(), kind: LayerKind::Vector, channels: 1 };
        FeatureLayout { classes: 2, layers: vec![map, vector], penultimate: 1 }
    }

    fn image(value: f32) -> Features {
        let map = LayerFeatures { mean: arr1(&[value, 2.0]), variance: Some(arr1(&[3.0, value])) };
        Features { logits: arr1(&[value, -value]), layers: vec![map, LayerFeatures::vector(arr1(&[10.0 * value]))] }
    }

    fn bank(images: &[(&str, f32)]) -> FeatureBank {
        let mut bank = FeatureBank::new(layout());
        for (label, (key, value)) in images.iter().enumerate() {
            bank.push(*key, label % 2, &image(*value)).unwrap();
        }
        bank
    }

    #[test]
    fn rows_come_back_as_they_went_in() {
        let bank = bank(&[("a", 1.0), ("b", 4.0)]);
        assert_eq!((bank.features(0), bank.features(1)), (image(1.0), image(4.0)));
        assert_eq!((bank.keys()[1].as_str(), bank.labels()[1]), ("b", 1));
        assert_eq!(bank.penultimate(), ndarray::array![[10.0], [40.0]]);
        assert_eq!(bank.variances(0).unwrap(), ndarray::array![[3.0, 1.0], [3.0, 4.0]]);
        assert_eq!(bank.variances(1), None);
    }

    #[test]
    fn merging_and_sorting_forget_the_order() {
        let (mut one, mut other) = (bank(&[("c", 3.0)]), bank(&[("a", 1.0)]));
        let (first, second) = (one.clone(), other.clone());
        one.merge(&second).unwrap();
        other.merge(&first).unwrap();
        assert_ne!(one, other);
        assert_eq!(one.sort(), other.sort());
        assert_eq!(one.sort().features(0), image(1.0));
    }

    #[test]
    fn rows_of_another_shape_or_class_are_refused() {
        let mut bank = bank(&[("a", 1.0)]);
        let before = bank.clone();
        assert_eq!(bank.push("b", 2, &image(1.0)), Err(BankError::Label { label: 2, classes: 2 }));
        let mut wrong = image(1.0);
        wrong.layers[0].variance = None;
        assert_eq!(bank.push("b", 0, &wrong), Err(BankError::Layout));
        assert_eq!(bank.merge(&FeatureBank::new(FeatureLayout { classes: 3, ..layout() })), Err(BankError::Layout));
        assert_eq!(bank, before);
    }
}
