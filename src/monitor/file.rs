//! Monitor and shard files.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::metadata::Metadata;
use super::{Calibrated, Monitor, MonitorError};
use crate::calibration::{ConditionalCalibrator, FUSED};
use crate::detector::DetectorKind;
use crate::storage::{TensorFile, Tensors};

/// The file format that this version reads and writes. Format 2 brought the compiled pattern sets, format 3 another fusion
/// of the detectors and calibration by track.
pub const FORMAT_VERSION: u32 = 3;

const CALIBRATION: &str = "calibration";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A [`Monitor`].
    Monitor,
    /// A [`super::Shard`].
    Shard,
}

/// The JSON text of a file.
#[derive(Serialize, Deserialize)]
struct Description<T> {
    #[serde(flatten)]
    version: Version,
    #[serde(flatten)]
    kind: Kind,
    content: T,
}

#[derive(Serialize, Deserialize)]
struct Version {
    format_version: u32,
}

#[derive(Serialize, Deserialize)]
struct Kind {
    kind: FileKind,
}

impl FileKind {
    fn name(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Shard => "shard",
        }
    }
}

/// Whether a file is a monitor or a shard.
///
/// # Errors
/// [`MonitorError`] when it cannot be read, is neither, or is of another format.
pub fn file_kind(path: &Path) -> Result<FileKind, MonitorError> {
    let file = TensorFile::open(path)?;
    Ok(parse::<Kind>(&file)?.kind)
}

/// Writes a file of one kind.
pub(super) fn write<T: Serialize>(
    path: &Path,
    kind: FileKind,
    content: &T,
    tensors: Tensors,
) -> Result<(), MonitorError> {
    let version = Version { format_version: FORMAT_VERSION };
    let description = Description { version, kind: Kind { kind }, content };
    let text = serde_json::to_string(&description)
        .map_err(|source| MonitorError::Metadata { path: path.display().to_string(), source })?;
    Ok(TensorFile::write(path, &text, tensors)?)
}

/// Opens a file of one kind and reads its description.
pub(super) fn read<T: DeserializeOwned>(path: &Path, kind: FileKind) -> Result<(TensorFile, T), MonitorError> {
    let file = TensorFile::open(path)?;
    let actual = parse::<Kind>(&file)?.kind;
    if actual != kind {
        let path = path.display().to_string();
        return Err(MonitorError::Kind { path, expected: kind.name(), actual: actual.name().to_owned() });
    }
    let description = parse::<Description<T>>(&file)?;
    Ok((file, description.content))
}

/// Reads the description after its version, so that another format is said to be another and not to be damaged.
fn parse<T: DeserializeOwned>(file: &TensorFile) -> Result<T, MonitorError> {
    let path = || file.path().display().to_string();
    let metadata = |source| MonitorError::Metadata { path: path(), source };
    let found = serde_json::from_str::<Version>(file.metadata()).map_err(metadata)?.format_version;
    if found != FORMAT_VERSION {
        return Err(MonitorError::Format { path: path(), found });
    }
    serde_json::from_str(file.metadata()).map_err(metadata)
}

impl Monitor {
    /// Writes the monitor to a file, at once or not at all. The same monitor gives the same bytes.
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), MonitorError> {
        let mut tensors = Tensors::default();
        for Calibrated { detector, calibrator } in &self.detectors {
            let name = detector.kind().name();
            detector.save(&mut tensors.scope(name));
            calibrator.save(&mut tensors.scope(CALIBRATION).scope(name));
        }
        self.fused.save(&mut tensors.scope(CALIBRATION).scope(FUSED));
        write(path, FileKind::Monitor, &self.metadata, tensors)
    }

    /// Opens a monitor file. Its numbers are mapped and used in place; files up to
    /// [`crate::storage::VERIFY_AT_OPEN_BYTES`] are verified, larger ones by [`Monitor::verify`].
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be read, is no monitor, damaged, or of another format.
    pub fn open(path: &Path) -> Result<Self, MonitorError> {
        let (file, metadata) = read::<Metadata>(path, FileKind::Monitor)?;
        metadata.model.check(&metadata.layout)?;
        let tensors = file.tensors();
        let calibration = tensors.scope(CALIBRATION);
        let load = |name: DetectorKind| {
            let detector = name.load(&tensors.scope(name.name()), &metadata.layout)?;
            Ok(Calibrated { detector, calibrator: ConditionalCalibrator::load(&calibration.scope(name.name()))? })
        };
        let detectors = metadata.detectors.iter().map(|detector| load(detector.name));
        let detectors = detectors.collect::<Result<Vec<_>, MonitorError>>()?;
        let fused = ConditionalCalibrator::load(&calibration.scope(FUSED))?;
        Ok(Self { metadata, detectors, fused })
    }

    /// Reads a whole monitor file and compares its SHA-256 with the one that was written.
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be read or a bit changed.
    pub fn verify(path: &Path) -> Result<(), MonitorError> {
        Ok(TensorFile::open(path)?.verify()?)
    }
}
