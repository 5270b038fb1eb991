//! Features of a part of the images, and their union.

use std::path::Path;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::file::{self, FileKind};
use super::model_id::Difference;
use super::{FitSettings, ModelId, Monitor, MonitorError};
use crate::activation::{FeatureBank, FeatureLayout, Features, Head, LayerFeatures, LayerKind};
use crate::storage::{StorageError, TensorFile, TensorReader, TensorWriter, Tensors};

/// Everything that fitting needs of a part of the images. Either bank may be empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// The model that gave the features.
    pub model: ModelId,
    /// How the monitor is to be fitted.
    pub settings: FitSettings,
    /// Last layer of the model, where it is known.
    pub head: Option<Head>,
    /// Training images.
    pub training: FeatureBank,
    /// Calibration images.
    pub calibration: FeatureBank,
}

#[derive(Serialize, Deserialize)]
struct Content {
    model: ModelId,
    settings: FitSettings,
    layout: FeatureLayout,
    /// Dropout rate of the head, where there is one.
    head_dropout: Option<f32>,
}

impl Shard {
    /// Writes the shard to a file, at once or not at all.
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), MonitorError> {
        let mut tensors = Tensors::default();
        save_bank(&self.training, &mut tensors.scope("training"));
        save_bank(&self.calibration, &mut tensors.scope("calibration"));
        if let Some(head) = &self.head {
            let mut out = tensors.scope("head");
            out.put("weight", head.weight.shape(), &head.weight.iter().copied().collect::<Vec<f32>>());
            out.put("bias", head.bias.shape(), &head.bias.to_vec());
        }
        let content = Content {
            model: self.model.clone(),
            settings: self.settings.clone(),
            layout: self.training.layout().clone(),
            head_dropout: self.head.as_ref().map(|head| head.dropout),
        };
        file::write(path, FileKind::Shard, &content, tensors)
    }

    /// Reads and verifies a shard.
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be read, is no shard, damaged, or of another format.
    pub fn open(path: &Path) -> Result<Self, MonitorError> {
        Self::from_file(&TensorFile::load(path)?)
    }

    pub(super) fn from_file(file: &TensorFile) -> Result<Self, MonitorError> {
        let content = file::read::<Content>(file, FileKind::Shard)?;
        let tensors = file.tensors();
        let head = content.head_dropout.map(|dropout| load_head(&tensors.scope("head"), dropout)).transpose()?;
        let bank = |name: &str| load_bank(&tensors.scope(name), &content.layout);
        let (training, calibration) = (bank("training")?, bank("calibration")?);
        Ok(Self { model: content.model, settings: content.settings, head, training, calibration })
    }
}

impl Monitor {
    /// Fits a monitor on the images of all shards together.
    ///
    /// # Errors
    /// [`MonitorError`] when the shards come from different models or settings, an image occurs twice, or
    /// [`Monitor::fit`] fails.
    pub fn merge(shards: impl IntoIterator<Item = Shard>) -> Result<Self, MonitorError> {
        let mut shards = shards.into_iter();
        let mut whole = shards.next().ok_or(MonitorError::NoShards)?;
        for shard in shards {
            same("model", &whole.model.sha256, &shard.model.sha256)?;
            same_manifest(&whole, &shard)?;
            same("settings", &whole.settings, &shard.settings)?;
            whole.training.merge(&shard.training)?;
            whole.calibration.merge(&shard.calibration)?;
        }
        Self::fit(&whole.training, &whole.calibration, whole.head.as_ref(), whole.model, &whole.settings)
    }
}

/// Checks that two shards have the same `model.json` in everything that decides.
fn same_manifest(whole: &Shard, shard: &Shard) -> Result<(), MonitorError> {
    let (layout, other_layout) = (whole.training.layout(), shard.training.layout());
    match whole.model.difference(layout, &shard.model, other_layout) {
        None => Ok(()),
        Some(Difference { field, first, other }) => Err(MonitorError::Shards { what: field, first, other }),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, first: &T, other: &T) -> Result<(), MonitorError> {
    if first == other {
        return Ok(());
    }
    let what = what.to_owned();
    Err(MonitorError::Shards { what, first: format!("{first:?}"), other: format!("{other:?}") })
}

fn save_bank(bank: &FeatureBank, out: &mut TensorWriter<'_>) {
    let layout = bank.layout();
    // JSON rather than a tensor of fixed width: keys are paths of any length.
    let keys = serde_json::Value::from(bank.keys()).to_string();
    out.put("keys", &[keys.len()], keys.as_bytes());
    let labels: Vec<u64> = bank.labels().iter().map(|&label| label as u64).collect();
    out.put("labels", &[bank.len()], &labels);
    out.put("logits", &[bank.len(), layout.classes], &bank.logits().iter().copied().collect::<Vec<f32>>());
    for (index, layer) in layout.layers.iter().enumerate() {
        let mut out = out.scope(&index.to_string());
        let shape = [bank.len(), layer.channels];
        out.put("means", &shape, &bank.means(index).iter().copied().collect::<Vec<f32>>());
        if let Some(variances) = bank.variances(index) {
            out.put("variances", &shape, &variances.iter().copied().collect::<Vec<f32>>());
        }
    }
}

fn load_bank(tensors: &TensorReader<'_>, layout: &FeatureLayout) -> Result<FeatureBank, MonitorError> {
    let keys: Vec<String> = serde_json::from_slice(&tensors.vector::<u8>("keys")?)
        .map_err(|error| tensors.invalid("keys", error.to_string()))?;
    let labels = tensors.get::<u64, 1>("labels", [keys.len()])?;
    let logits = load_matrix(tensors, "logits", keys.len(), layout.classes)?;
    let mut layers = Vec::new();
    for (index, layer) in layout.layers.iter().enumerate() {
        let tensors = tensors.scope(&index.to_string());
        let matrix = |name: &str| load_matrix(&tensors, name, keys.len(), layer.channels);
        let variances = (layer.kind == LayerKind::Map).then(|| matrix("variances")).transpose()?;
        layers.push((matrix("means")?, variances));
    }
    let mut bank = FeatureBank::new(layout.clone());
    for (row, (key, &label)) in keys.into_iter().zip(labels.iter()).enumerate() {
        let layers = layers.iter().map(|(means, variances)| LayerFeatures {
            mean: means.row(row).to_owned(),
            variance: variances.as_ref().map(|variances| variances.row(row).to_owned()),
        });
        let features = Features { logits: logits.row(row).to_owned(), layers: layers.collect() };
        bank.push(key, label as usize, &features)?;
    }
    Ok(bank)
}

fn load_matrix(
    tensors: &TensorReader<'_>,
    name: &str,
    rows: usize,
    columns: usize,
) -> Result<Array2<f32>, StorageError> {
    let values = tensors.get::<f32, 2>(name, [rows, columns])?.to_vec();
    Array2::from_shape_vec((rows, columns), values).map_err(|error| tensors.invalid(name, error.to_string()))
}

fn load_head(tensors: &TensorReader<'_>, dropout: f32) -> Result<Head, StorageError> {
    let [classes, neurons] = tensors.shape::<f32, 2>("weight")?;
    let weight = load_matrix(tensors, "weight", classes, neurons)?;
    let bias = Array1::from(tensors.get::<f32, 1>("bias", [classes])?.to_vec());
    Ok(Head { weight, bias, dropout })
}
