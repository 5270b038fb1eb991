//! Writing, loading and mapping tensor files.

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

use super::copy::{self, LOAD_IN_MEMORY_BYTES};
use super::tensors::Tensor;
use super::{Element, Slab, StorageError, TensorReader, Tensors};

/// Files up to this size (64 MiB) are verified when they are mapped, which takes well under a second. Larger ones are
/// only checked for their structure, so that opening them touches no pages; [`TensorFile::verify`] reads them whole.
pub const VERIFY_AT_OPEN_BYTES: u64 = 64 << 20;

const METADATA_KEY: &str = "activation_monitor";
const DIGEST_TENSOR: &str = "sha256";

/// An open tensor file: a copy of its own ([`TensorFile::load`]), or the file on disk, mapped ([`TensorFile::open`]).
///
/// A mapped file must not be shortened or overwritten in place while it is open: reading behind its new end kills the process
/// (SIGBUS), and overwritten bytes are used as they are, verified by nobody. [`TensorFile::write`] never does that: it puts a
/// new file in its place, and the mapping keeps the old one. Other programs, such as `cp` and `rsync --inplace`, do.
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
        let digest = tensors.digest(metadata);
        tensors.0.insert(DIGEST_TENSOR.to_owned(), Tensor::new(&[digest.len()], digest.to_vec().into()));
        let header = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_owned())]);
        replace(path, |place| match safetensors::serialize_to_file(tensors.0.iter(), Some(header), place) {
            Err(SafeTensorError::IoError(error)) => Err(error),
            other => other.map_err(std::io::Error::other),
        })
        .map_err(|source| io("write", path, source))
    }

    /// Makes a copy of the file that belongs to this process alone, and verifies it whatever its size: what happens to the
    /// file afterwards changes nothing. The copy lies in memory, or above [`LOAD_IN_MEMORY_BYTES`] in a temporary file without
    /// a name, below the folder that the environment variable `TMPDIR` names.
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be read or copied, is none of ours, truncated or damaged, or changes meanwhile.
    pub fn load(path: &Path) -> Result<Self, StorageError> {
        Self::load_up_to(path, LOAD_IN_MEMORY_BYTES)
    }

    fn load_up_to(path: &Path, in_memory_bytes: u64) -> Result<Self, StorageError> {
        let file = Self::parse(path, copy::private(path, in_memory_bytes, || ())?)?;
        file.verify()?;
        Ok(file)
    }

    /// Maps a file and checks its structure; files up to [`VERIFY_AT_OPEN_BYTES`] are verified as well. For files that are too
    /// large to be copied and that nobody writes into: see [`TensorFile`] for what happens otherwise.
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be read, is none of ours, truncated or damaged.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        Self::open_verifying(path, VERIFY_AT_OPEN_BYTES)
    }

    fn open_verifying(path: &Path, up_to_bytes: u64) -> Result<Self, StorageError> {
        let file = Self::map(path)?;
        if file.size_bytes() <= up_to_bytes {
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
        Self::parse(path, map(&file).map_err(|source| io("map", path, source))?)
    }

    /// Checks the structure of what was read from `path`.
    fn parse(path: &Path, map: Mmap) -> Result<Self, StorageError> {
        let damaged = |reason: String| StorageError::Format { path: path.display().to_string(), reason };
        let (header, info) = SafeTensors::read_metadata(&map).map_err(|error| damaged(error.to_string()))?;
        let metadata = info.metadata().as_ref().and_then(|entries| entries.get(METADATA_KEY));
        let metadata = metadata.ok_or_else(|| damaged(format!("no `{METADATA_KEY}` metadata")))?.clone();
        let start = header + size_of::<u64>();
        let tensors = info.tensors().into_iter().map(|(name, info)| {
            let bytes = start + info.data_offsets.0..start + info.data_offsets.1;
            (name, TensorInfo { dtype: info.dtype, shape: info.shape.clone(), bytes })
        });
        Ok(Self { path: path.to_owned(), metadata, tensors: tensors.collect(), map: Arc::new(map) })
    }

    /// Reads the whole file and compares its SHA-256 with the one that was written.
    ///
    /// # Errors
    /// [`StorageError::Checksum`] when a bit changed.
    pub fn verify(&self) -> Result<(), StorageError> {
        let expected = self.written_sha256()?;
        let others = self.tensors.iter().filter(|(name, _)| name.as_str() != DIGEST_TENSOR);
        let actual = digest(
            &self.metadata,
            others.map(|(name, info)| {
                (name.as_str(), (info.dtype, info.shape.as_slice(), &self.map[info.bytes.clone()]))
            }),
        );
        let actual = hex(&actual);
        // A fuzzer cannot know digests, and is to reach what lies behind.
        if expected == actual || cfg!(fuzzing) {
            return Ok(());
        }
        Err(StorageError::Checksum { path: self.path.display().to_string(), expected, actual })
    }

    /// SHA-256 of the contents as they were written, in lower-case hexadecimal digits; [`TensorFile::verify`] says whether it is
    /// still theirs.
    ///
    /// # Errors
    /// [`StorageError`] when the file has none.
    pub fn written_sha256(&self) -> Result<String, StorageError> {
        Ok(hex(&TensorReader::new(self).get::<u8, 1>(DIGEST_TENSOR, [32])?))
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

impl Tensors {
    /// SHA-256 that a file of these tensors and this metadata text has, in lower-case hexadecimal digits.
    #[must_use]
    pub fn sha256(&self, metadata: &str) -> String {
        hex(&self.digest(metadata))
    }

    fn digest(&self, metadata: &str) -> [u8; 32] {
        digest(metadata, self.0.iter().map(|(name, tensor)| (name.as_str(), tensor.parts())))
    }
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

pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> StorageError {
    StorageError::Io { action, path: path.display().to_string(), source }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is read-only, and files of this program are replaced, never changed in place, so the bytes behind
    // the slices stay as they are. Whoever cannot rely on that calls `TensorFile::load` (see `TensorFile`).
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file of one tensor `numbers`, and the place of its first byte.
    fn written(folder: &Path) -> (PathBuf, usize) {
        let path = folder.join("x");
        let mut tensors = Tensors::default();
        tensors.scope("a").put("numbers", &[1000], &vec![7.5f32; 1000]);
        TensorFile::write(&path, "{}", tensors).unwrap();
        let bytes = fs::read(&path).unwrap();
        let place = bytes.windows(4).position(|window| window == 7.5f32.to_le_bytes()).unwrap();
        (path, place)
    }

    fn numbers(file: &TensorFile) -> Result<Slab<f32>, StorageError> {
        file.tensors().scope("a").vector("numbers")
    }

    #[test]
    fn a_loaded_file_is_used_in_place_and_keeps_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for in_memory_bytes in [LOAD_IN_MEMORY_BYTES, 0] {
            let (path, place) = written(folder.path());
            let file = TensorFile::load_up_to(&path, in_memory_bytes).unwrap();
            assert_eq!(file.written_sha256().unwrap(), TensorFile::open(&path).unwrap().written_sha256().unwrap());
            let numbers = numbers(&file).unwrap();
            assert!(numbers.is_mapped());
            let mut bytes = fs::read(&path).unwrap();
            bytes[place..place + 2000].fill(0xff);
            fs::write(&path, &bytes[..place + 3000]).unwrap();
            assert!(numbers.iter().all(|&number| number == 7.5));
            file.verify().unwrap();
        }
    }

    #[test]
    fn loading_finds_a_flipped_bit_whatever_the_size_and_mapping_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, place) = written(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes[place + 1234] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let found = |result: Result<TensorFile, StorageError>| match result {
            Err(StorageError::Checksum { .. }) => true,
            Err(error) => panic!("{error}"),
            Ok(_) => false,
        };
        let size = bytes.len() as u64;
        assert!(found(TensorFile::load(&path)));
        assert!(found(TensorFile::load_up_to(&path, size - 1)), "a copy on disk");
        assert!(found(TensorFile::open_verifying(&path, size)));
        // Larger than the limit: mapping promises the structure only.
        assert!(!found(TensorFile::open_verifying(&path, size - 1)));
    }

    #[test]
    fn the_digest_is_known_before_writing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut tensors = Tensors::default();
        tensors.scope("a").put("numbers", &[2], &[1u32, 2]);
        let before = tensors.sha256("text");
        assert_ne!(before, tensors.sha256("other text"));
        TensorFile::write(&path, "text", tensors).unwrap();
        assert_eq!(TensorFile::load(&path).unwrap().written_sha256().unwrap(), before);
    }
}
