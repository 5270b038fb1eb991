//! Writing and mapping tensor files.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Permissions};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensorError, SafeTensors, View};
use sha2::{Digest, Sha256};

use super::tensors::Tensor;
use super::{Element, Slab, StorageError, TensorReader, Tensors};

/// Files up to this size (64 MiB) are verified when they are opened, which takes well under a second. Larger ones are
/// only checked for their structure, so that opening them touches no pages; [`TensorFile::verify`] reads them whole.
pub const VERIFY_AT_OPEN_BYTES: u64 = 64 << 20;

const METADATA_KEY: &str = "activation_monitor";
const DIGEST_TENSOR: &str = "sha256";

/// An open, memory-mapped tensor file.
///
/// The file must not be shortened or overwritten in place while it is open. [`TensorFile::write`] never does: it puts
/// a new file in its place, and the mapping keeps the old one.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    map: Arc<Mmap>,
    metadata: String,
    tensors: BTreeMap<String, TensorInfo>,
}

/// Type, shape and place of one tensor.
#[derive(Debug)]
pub(super) struct TensorInfo {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    bytes: Range<usize>,
}

impl TensorFile {
    /// Writes a file with the given metadata text and tensors, at once or not at all: a temporary file in the same
    /// folder is renamed when it is complete. The same contents give the same bytes.
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be written.
    pub fn write(path: &Path, metadata: &str, mut tensors: Tensors) -> Result<(), StorageError> {
        let digest = digest(metadata, tensors.0.iter().map(|(name, tensor)| (name.as_str(), tensor.parts())));
        tensors.0.insert(DIGEST_TENSOR.to_owned(), Tensor::new(&[digest.len()], digest.to_vec().into()));
        let header = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_owned())]);
        replace(path, |place| match safetensors::serialize_to_file(tensors.0.iter(), Some(header), place) {
            Err(SafeTensorError::IoError(error)) => Err(error),
            other => other.map_err(std::io::Error::other),
        })
        .map_err(|source| io("write", path, source))
    }

    /// Maps a file and checks its structure; files up to [`VERIFY_AT_OPEN_BYTES`] are verified as well.
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be read, is none of ours, truncated or damaged.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let file = Self::map(path)?;
        if file.size_bytes() <= VERIFY_AT_OPEN_BYTES {
            file.verify()?;
        }
        Ok(file)
    }

    /// Maps a file and checks its structure alone, which takes the same time whatever its size.
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be read, is none of ours or truncated.
    pub fn map(path: &Path) -> Result<Self, StorageError> {
        let file = File::open(path).map_err(|source| io("open", path, source))?;
        let map = Arc::new(map(&file).map_err(|source| io("map", path, source))?);
        let damaged = |reason: String| StorageError::Format { path: path.display().to_string(), reason };
        let (header, info) = SafeTensors::read_metadata(&map).map_err(|error| damaged(error.to_string()))?;
        let metadata = info.metadata().as_ref().and_then(|entries| entries.get(METADATA_KEY));
        let metadata = metadata.ok_or_else(|| damaged(format!("no `{METADATA_KEY}` metadata")))?.clone();
        let start = header + size_of::<u64>();
        let tensors = info.tensors().into_iter().map(|(name, info)| {
            let bytes = start + info.data_offsets.0..start + info.data_offsets.1;
            (name, TensorInfo { dtype: info.dtype, shape: info.shape.clone(), bytes })
        });
        Ok(Self { path: path.to_owned(), metadata, tensors: tensors.collect(), map: Arc::clone(&map) })
    }

    /// Reads the whole file and compares its SHA-256 with the one that was written.
    ///
    /// # Errors
    /// [`StorageError::Checksum`] when a bit changed.
    pub fn verify(&self) -> Result<(), StorageError> {
        let expected = TensorReader::new(self).get::<u8, 1>(DIGEST_TENSOR, [32])?;
        let others = self.tensors.iter().filter(|(name, _)| name.as_str() != DIGEST_TENSOR);
        let actual = digest(
            &self.metadata,
            others.map(|(name, info)| {
                (name.as_str(), (info.dtype, info.shape.as_slice(), &self.map[info.bytes.clone()]))
            }),
        );
        if *expected == actual {
            return Ok(());
        }
        Err(StorageError::Checksum {
            path: self.path.display().to_string(),
            expected: hex(&expected),
            actual: hex(&actual),
        })
    }

    /// Size of the file in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// Path the file was opened at.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The metadata text.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// All tensors.
    #[must_use]
    pub fn tensors(&self) -> TensorReader<'_> {
        TensorReader::new(self)
    }

    pub(super) fn info(&self, name: &str) -> Result<&TensorInfo, StorageError> {
        self.tensors.get(name).ok_or_else(|| StorageError::Missing { name: name.to_owned() })
    }

    pub(super) fn slab<T: Element>(&self, name: &str) -> Result<Slab<T>, StorageError> {
        let bytes = self.info(name)?.bytes.clone();
        Slab::mapped(&self.map, bytes).ok_or_else(|| StorageError::Value {
            name: name.to_owned(),
            reason: format!("not aligned to {} bytes", size_of::<T>()),
        })
    }
}

/// Lower-case hexadecimal text of some bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Tensor {
    fn parts(&self) -> (Dtype, &[usize], &[u8]) {
        (self.dtype, &self.shape, self.bytes())
    }
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.bytes())
    }

    fn data_len(&self) -> usize {
        self.bytes().len()
    }
}

/// SHA-256 of the metadata text and of name, type, shape and bytes of every tensor, in order of their names.
fn digest<'a>(metadata: &str, tensors: impl Iterator<Item = (&'a str, (Dtype, &'a [usize], &'a [u8]))>) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update((metadata.len() as u64).to_le_bytes());
    sha.update(metadata);
    for (name, (dtype, shape, bytes)) in tensors {
        sha.update(format!("{name}\0{dtype:?}{shape:?}\0"));
        sha.update(bytes);
    }
    sha.finalize().into()
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> StorageError {
    StorageError::Io { action, path: path.display().to_string(), source }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is read-only, and files of this program are replaced, never changed in place (see
    // `TensorFile`), so the bytes behind the slices stay as they are.
    unsafe { Mmap::map(file) }
}

/// Puts what `write` writes to a temporary place to `path`.
fn replace(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Temporary files are private by default; this one becomes the result, so the umask alone decides.
    let place = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    write(place.path())?;
    // The writer puts a private file of its own there.
    let file = File::open(place.path())?;
    file.set_permissions(place.as_file().metadata()?.permissions())?;
    file.sync_all()?;
    place.persist(path).map_err(|error| error.error)?;
    Ok(())
}
