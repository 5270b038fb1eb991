//! Monitor and shard files.

use std::path::Path;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::metadata::{Metadata, OverTimeSummary};
use super::{Calibrated, Monitor, MonitorError, Shard};
use crate::calibration::{ConditionalCalibrator, FUSED, OverTime};
use crate::detector::DetectorKind;
use crate::storage::{TensorFile, Tensors};

/// The file format that this version reads and writes. Format 2 brought the compiled pattern sets, format 3 another fusion
/// of the detectors and calibration by track, format 4 the fields of `model.json` that decide, format 5 the calibration
/// of verdicts over time.
pub const FORMAT_VERSION: u32 = 5;

const CALIBRATION: &str = "calibration";
const OVER_TIME: &str = "over_time";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A [`Monitor`].
    Monitor,
    /// A [`super::Shard`].
    Shard,
}

/// A file whose kind is not known beforehand.
#[derive(Debug)]
pub enum MonitorFile {
    /// A fitted monitor.
    Monitor(Box<Monitor>),
    /// Features of a part of the images.
    Shard(Box<Shard>),
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

impl MonitorFile {
    /// Reads a whole file, verifies it and finds out which kind it is of; see [`Monitor::load`].
    ///
    /// # Errors
    /// [`MonitorError`] when it cannot be read, is neither, damaged, or of another format.
    pub fn load(path: &Path) -> Result<Self, MonitorError> {
        let file = TensorFile::load(path)?;
        Ok(match parse::<Kind>(&file)?.kind {
            FileKind::Monitor => Self::Monitor(Box::new(Monitor::from_file(&file)?)),
            FileKind::Shard => Self::Shard(Box::new(Shard::from_file(&file)?)),
        })
    }
}

/// Writes a file of one kind.
pub(super) fn write<T: Serialize>(
    path: &Path,
    kind: FileKind,
    content: &T,
    tensors: Tensors,
) -> Result<(), MonitorError> {
    let text =
        text(kind, content).map_err(|source| MonitorError::Metadata { path: path.display().to_string(), source })?;
    Ok(TensorFile::write(path, &text, tensors)?)
}

/// The JSON text of a file of one kind.
fn text<T: Serialize>(kind: FileKind, content: &T) -> serde_json::Result<String> {
    let version = Version { format_version: FORMAT_VERSION };
    serde_json::to_string(&Description { version, kind: Kind { kind }, content })
}

/// Reads the description of a file of one kind.
pub(super) fn read<T: DeserializeOwned>(file: &TensorFile, kind: FileKind) -> Result<T, MonitorError> {
    let actual = parse::<Kind>(file)?.kind;
    if actual != kind {
        let path = file.path().display().to_string();
        return Err(MonitorError::Kind { path, expected: kind.name(), actual: actual.name().to_owned() });
    }
    Ok(parse::<Description<T>>(file)?.content)
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
        write(path, FileKind::Monitor, &self.metadata, self.tensors())
    }

    /// Reads a whole monitor file and verifies it, whatever its size: what happens to the file afterwards changes nothing
    /// ([`TensorFile::load`]). This is what a program wants that must go on.
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be read, is no monitor, damaged, of another format, or changes meanwhile.
    pub fn load(path: &Path) -> Result<Self, MonitorError> {
        Self::from_file(&TensorFile::load(path)?)
    }

    /// Opens a monitor file whose pattern sets are too large to be copied. Its numbers are mapped and used in place; files up to
    /// [`crate::storage::VERIFY_AT_OPEN_BYTES`] are verified, larger ones by [`Monitor::verify`].
    ///
    /// As long as the monitor is used, nobody may write into the file: a file that gets shorter kills the process (SIGBUS), and
    /// changed bytes give verdicts that nobody verified. Putting another file in its place is no problem.
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be read, is no monitor, damaged, or of another format.
    pub fn open(path: &Path) -> Result<Self, MonitorError> {
        Self::from_file(&TensorFile::open(path)?)
    }

    /// Reads a whole monitor file and compares its SHA-256 with the one that was written.
    ///
    /// # Errors
    /// [`MonitorError`] when the file cannot be read or a bit changed.
    pub fn verify(path: &Path) -> Result<(), MonitorError> {
        Ok(TensorFile::map(path)?.verify()?)
    }

    fn from_file(file: &TensorFile) -> Result<Self, MonitorError> {
        let metadata = read::<Metadata>(file, FileKind::Monitor)?;
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
        let Metadata { over_time: OverTimeSummary { objects, haircut }, .. } = &metadata;
        let over_time = OverTime::load(&calibration.scope(OVER_TIME), objects.is_some(), haircut.is_some())?;
        Ok(Self { metadata, detectors, fused, over_time, sha256: OnceLock::from(file.written_sha256()?) })
    }

    /// Digest of the file that [`Monitor::save`] would write.
    pub(super) fn digest(&self) -> String {
        let text = text(FileKind::Monitor, &self.metadata).expect("texts and numbers are always JSON");
        self.tensors().sha256(&text)
    }

    fn tensors(&self) -> Tensors {
        let mut tensors = Tensors::default();
        for Calibrated { detector, calibrator } in &self.detectors {
            let name = detector.kind().name();
            detector.save(&mut tensors.scope(name));
            calibrator.save(&mut tensors.scope(CALIBRATION).scope(name));
        }
        self.fused.save(&mut tensors.scope(CALIBRATION).scope(FUSED));
        self.over_time.save(&mut tensors.scope(CALIBRATION).scope(OVER_TIME));
        tensors
    }
}
