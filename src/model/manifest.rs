//! `model.json`: what a model folder says about its network.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::activation::LayerKind;

/// Newest manifest format this version reads and the one it writes.
pub const FORMAT_VERSION: u32 = 1;

/// Contents of `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of this file; see [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Human-readable name of the model.
    pub name: String,
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
    /// What `forward` expects.
    pub input: InputSpec,
    /// Tapped layers in output order (after the logits).
    pub layers: Vec<ManifestLayer>,
    /// Name of the layer that is the input of the head; a vector.
    pub penultimate: String,
    /// The last linear layer, where the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<HeadSpec>,
    /// The class among `classes` that stands for none of the others, where the model was trained with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoy_class: Option<String>,
    /// Where the weights come from: training program, data, split, seed.
    #[serde(default)]
    pub provenance: String,
    /// Licence of the weights.
    #[serde(default)]
    pub license: String,
}

/// Input of `forward`: `f32[N,3,height,width]`, RGB in 0..1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Share of a region's width and height that is added on each side before it is cut out, because the training
    /// images show that much surroundings. 0 for none.
    #[serde(default)]
    pub region_margin: f32,
}

/// One tapped layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestLayer {
    /// Name of the layer.
    pub name: String,
    /// Vector or map.
    pub kind: LayerKind,
}

/// Parameters of the head `logits = weight · z + bias`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadSpec {
    /// Name of the `K×D` weight among the model's parameters.
    pub weight: String,
    /// Name of the `K` bias among the model's parameters.
    pub bias: String,
    /// Dropout rate on the head's input during training, 0..1 (0: none).
    #[serde(default)]
    pub dropout: f32,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; a model folder needs model.pt and model.json")]
    Read {
        /// Path of the manifest.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is not a manifest.
    #[error("{path} is not a model manifest: {source}")]
    Parse {
        /// Path of the manifest.
        path: String,
        /// Cause.
        source: serde_json::Error,
    },
    /// The file is of a newer format.
    #[error(
        "manifest format {found} is newer than {FORMAT_VERSION}, the newest this version reads: update activation_monitor"
    )]
    Format {
        /// Version in the file.
        found: u32,
    },
    /// A field contradicts another one.
    #[error("manifest: {0}")]
    Inconsistent(String),
}

impl Manifest {
    /// Reads and checks `model.json` in `folder`.
    ///
    /// # Errors
    /// [`ManifestError`] when the file is missing, is no manifest, is too new or contradicts itself.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join("model.json");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ManifestError::Read { path: path.display().to_string(), source })?;
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|source| ManifestError::Parse { path: path.display().to_string(), source })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Index of the penultimate layer in `layers`.
    #[must_use]
    pub fn penultimate_index(&self) -> Option<usize> {
        self.layers.iter().position(|layer| layer.name == self.penultimate)
    }

    /// Index of the decoy class in `classes`.
    #[must_use]
    pub fn decoy_index(&self) -> Option<usize> {
        self.classes.iter().position(|class| Some(class) == self.decoy_class.as_ref())
    }

    fn check(&self) -> Result<(), ManifestError> {
        let wrong = |text: String| Err(ManifestError::Inconsistent(text));
        if self.format_version > FORMAT_VERSION {
            return Err(ManifestError::Format { found: self.format_version });
        }
        if self.classes.is_empty() {
            return wrong("no classes".into());
        }
        if self.input.width == 0 || self.input.height == 0 {
            return wrong("the input size is 0".into());
        }
        if !(0.0..=1.0).contains(&self.input.region_margin) {
            return wrong(format!("region_margin {} is not in 0..1", self.input.region_margin));
        }
        if let Some(decoy) = self.decoy_class.as_ref().filter(|_| self.decoy_index().is_none()) {
            return wrong(format!("decoy class `{decoy}` is not among the classes"));
        }
        let Some(index) = self.penultimate_index() else {
            return wrong(format!("penultimate layer `{}` is not among the layers", self.penultimate));
        };
        if self.layers[index].kind != LayerKind::Vector {
            return wrong(format!("penultimate layer `{}` is not a vector", self.penultimate));
        }
        Ok(())
    }
}
