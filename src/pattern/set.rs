//! The compiled set of training patterns and its queries.

use std::ops::Range;
use std::path::Path;

use super::bits::{MAX_WIDTH, bytes_for, words_for};
use super::collect::{Collector, Neighbour, One, Several, Within};
use super::directory::{self, Directory};
use super::hash::hash;
use super::kernel::Kernel;
use super::multi_index::MultiIndex;
use super::rows::{LANES, Rows};
use super::scan::scan;
use super::{Pattern, Structure};
use crate::storage::{Slab, StorageError, TensorFile, TensorReader, TensorWriter, Tensors};

/// Metadata of a file that holds nothing but a set.
const FILE_METADATA: &str = r#"{"kind":"patterns","format_version":1}"#;
const FILE_SCOPE: &str = "patterns";

/// Distinct patterns of each class with their number of images, ready for queries.
///
/// All arrays are used in place from a mapped file; a query touches only what it needs of them.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternSet {
    pub(super) width: usize,
    /// The patterns in blocks, sorted by class, then by hash, then by value.
    pub(super) blocks: Slab<u64>,
    /// Where each class begins, and the number of patterns.
    pub(super) offsets: Slab<u64>,
    pub(super) directory: Slab<u32>,
    /// Numbers of the patterns that more than one image has, rising, and how many images they have.
    pub(super) repeated: Slab<u32>,
    pub(super) repeats: Slab<u32>,
    pub(super) index: Option<MultiIndex>,
}

/// Which patterns a query is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of one class; none for a class that does not exist.
    Class(usize),
    /// Those of all classes.
    All,
}

impl PatternSet {
    /// Number of bits of every pattern.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of distinct patterns of all classes together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets[self.classes()] as usize
    }

    /// Whether there is no pattern at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How near patterns are found.
    #[must_use]
    pub fn structure(&self) -> Structure {
        self.index.as_ref().map_or(Structure::Scan, |index| Structure::MultiIndex { tables: index.tables() })
    }

    /// Numbers of the patterns of `class`; empty for a class that does not exist.
    #[must_use]
    pub fn class(&self, class: usize) -> Range<usize> {
        match self.offsets.get(class..).unwrap_or_default() {
            [start, end, ..] => *start as usize..*end as usize,
            _ => 0..0,
        }
    }

    /// Class of pattern `index`. Panics when `index ≥ len()`.
    #[must_use]
    pub fn class_of(&self, index: usize) -> usize {
        assert!(index < self.len(), "pattern {index} of {}", self.len());
        self.offsets.partition_point(|&start| start <= index as u64) - 1
    }

    /// Pattern `index`. Panics when `index ≥ len()`.
    #[must_use]
    pub fn pattern(&self, index: usize) -> Pattern {
        assert!(index < self.len(), "pattern {index} of {}", self.len());
        Pattern::from_words(self.rows().words(index).collect())
    }

    /// Number of training images with pattern `index`. Panics when `index ≥ len()`.
    #[must_use]
    pub fn count(&self, index: usize) -> u32 {
        assert!(index < self.len(), "pattern {index} of {}", self.len());
        self.repeated.binary_search(&(index as u32)).map_or(1, |place| self.repeats[place])
    }

    /// Whether a training image had exactly this pattern.
    #[must_use]
    pub fn contains(&self, scope: Scope, query: &Pattern) -> bool {
        self.find(scope, query).is_some()
    }

    /// Number of exactly this pattern, the first of several classes: one look into the directory per class.
    #[must_use]
    pub fn find(&self, scope: Scope, query: &Pattern) -> Option<usize> {
        let classes = match scope {
            Scope::Class(class) => class..class.saturating_add(1),
            Scope::All => 0..self.classes(),
        };
        let query = self.words_of(query);
        let hash = hash(query.iter().copied());
        let rows = self.rows();
        let directory = Directory { starts: &self.directory };
        classes.into_iter().find_map(|class| rows.find(&directory.find(class, &self.class(class), hash), hash, query))
    }

    /// The nearest pattern, the first of equals; `None` when there is none.
    #[must_use]
    pub fn nearest(&self, scope: Scope, query: &Pattern) -> Option<Neighbour> {
        self.nearest_within(scope, query, self.width as u32)
    }

    /// The nearest pattern among those that are at most `radius` bits away, the first of equals.
    #[must_use]
    pub fn nearest_within(&self, scope: Scope, query: &Pattern, radius: u32) -> Option<Neighbour> {
        let mut one = One::within(radius);
        self.search(scope, query, &mut one);
        one.best
    }

    /// The `count` nearest patterns, the nearest first, the first of equals; fewer when there are fewer.
    #[must_use]
    pub fn k_nearest(&self, scope: Scope, query: &Pattern, count: usize) -> Vec<Neighbour> {
        if count == 0 {
            return Vec::new();
        }
        let mut several = Several::new(count, self.width as u32);
        self.search(scope, query, &mut several);
        several.best
    }

    /// All patterns that are at most `radius` bits away, the nearest first.
    #[must_use]
    pub fn within(&self, scope: Scope, query: &Pattern, radius: u32) -> Vec<Neighbour> {
        let mut within = Within::new(radius);
        self.search(scope, query, &mut within);
        within.sorted()
    }

    fn search(&self, scope: Scope, query: &Pattern, collector: &mut impl Collector) {
        self.search_with(Kernel::fastest(), 1.0, scope, query, collector);
    }

    /// `patience` is what the hash tables may cost in relation to a scan before they leave the query to it.
    pub(super) fn search_with(
        &self,
        kernel: Kernel,
        patience: f64,
        scope: Scope,
        query: &Pattern,
        collector: &mut impl Collector,
    ) {
        let (rows, members, query) = (self.rows(), self.members(scope), self.words_of(query));
        let done = self.index.as_ref().is_some_and(|index| index.search(patience, rows, &members, query, collector));
        if !done {
            scan(kernel, rows, &members, query, collector);
        }
    }

    fn members(&self, scope: Scope) -> Range<usize> {
        match scope {
            Scope::Class(class) => self.class(class),
            Scope::All => 0..self.len(),
        }
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { blocks: &self.blocks, row_bytes: bytes_for(self.width) }
    }

    /// The words of a query. Panics when its width is another than the set's.
    fn words_of<'a>(&self, query: &'a Pattern) -> &'a [u64] {
        assert_eq!(query.words().len(), words_for(self.width), "words of a query");
        query.words()
    }

    /// Reads one number of every page, so that later queries need not wait for a disk.
    pub fn prefault(&self) {
        self.blocks.prefault();
        if let Some(index) = &self.index {
            index.prefault();
        }
        self.directory.prefault();
    }

    /// Writes the tensors of the set.
    pub fn save(&self, out: &mut TensorWriter<'_>) {
        out.put("width", &[1], &[self.width as u32]);
        let row_bytes = self.rows().row_bytes;
        out.put_slab("blocks", &[self.blocks.len() / row_bytes, row_bytes], &self.blocks);
        out.put_slab("offsets", &[self.offsets.len()], &self.offsets);
        out.put_slab("directory", &[self.directory.len()], &self.directory);
        out.put_slab("repeated", &[self.repeated.len()], &self.repeated);
        out.put_slab("repeats", &[self.repeats.len()], &self.repeats);
        if let Some(index) = &self.index {
            index.save(&mut out.scope("index"));
        }
    }

    /// Uses in place what [`PatternSet::save`] wrote. Only shapes, width and class offsets are read; damage to the patterns
    /// themselves is found by [`TensorFile::verify`] and can at worst give a wrong answer.
    ///
    /// # Errors
    /// [`StorageError`] when a tensor is missing or misshapen or the offsets are not those of `classes` classes.
    pub fn load(tensors: &TensorReader<'_>, classes: usize) -> Result<Self, StorageError> {
        let width = tensors.get::<u32, 1>("width", [1])?[0] as usize;
        if !(1..=MAX_WIDTH).contains(&width) {
            return Err(tensors.invalid("width", format!("{width} is not in 1..={MAX_WIDTH}")));
        }
        let offsets = tensors.get::<u64, 1>("offsets", [classes + 1])?;
        if offsets[0] != 0 || !offsets.is_sorted() || u32::try_from(offsets[classes]).is_err() {
            return Err(tensors.invalid("offsets", "they do not rise from 0 to a number below 2³²"));
        }
        let (patterns, row_bytes) = (offsets[classes] as usize, bytes_for(width));
        let directory = directory::length(patterns, classes);
        let repeated = tensors.vector::<u32>("repeated")?;
        let index = tensors.scope("index");
        Ok(Self {
            width,
            blocks: tensors.get("blocks", [patterns.div_ceil(LANES), row_bytes])?,
            offsets,
            directory: tensors.get("directory", [directory])?,
            repeats: tensors.get("repeats", [repeated.len()])?,
            repeated,
            index: index.has("starts").then(|| MultiIndex::load(&index, width, patterns)).transpose()?,
        })
    }

    /// Writes a file that holds nothing but the set, at once or not at all.
    ///
    /// # Errors
    /// [`StorageError`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), StorageError> {
        let mut tensors = Tensors::default();
        self.save(&mut tensors.scope(FILE_SCOPE));
        TensorFile::write(path, FILE_METADATA, tensors)
    }

    /// Opens what [`PatternSet::write`] wrote. Takes the same time whatever the number of patterns; damage to the patterns
    /// is found by [`TensorFile::verify`].
    ///
    /// # Errors
    /// [`StorageError`] when the file cannot be read, is truncated, or holds something else.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let file = TensorFile::map(path)?;
        if file.metadata() != FILE_METADATA {
            let reason = format!("it holds {}, not {FILE_METADATA}", file.metadata());
            return Err(StorageError::Format { path: path.display().to_string(), reason });
        }
        let tensors = file.tensors().scope(FILE_SCOPE);
        let [offsets] = tensors.shape::<u64, 1>("offsets")?;
        Self::load(&tensors, offsets.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests;
