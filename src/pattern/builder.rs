//! Collects patterns and compiles them into a set.

use super::bits::{bytes_for, check_width, words_for, words_of};
use super::hash::hash;
use super::multi_index::{self, MultiIndex};
use super::rows::{Rows, interleave};
use super::segment::Segment;
use super::{Pattern, PatternError, PatternSet, directory};

/// Queries are expected to look so many bits far when nothing else is said.
pub const DEFAULT_RADIUS: u32 = 8;

/// How a compiled set finds the nearest pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// By comparing all.
    Scan,
    /// By hash tables over chunks of the patterns.
    MultiIndex {
        /// Number of tables.
        tables: usize,
    },
}

/// Collects the patterns of each class. Memory grows with the distinct ones: it stays within twice the size of the set
/// that is compiled from them.
#[derive(Debug, Clone)]
pub struct PatternSetBuilder {
    width: usize,
    radius: u32,
    one_class: bool,
    structure: Option<Structure>,
    classes: Vec<Segment>,
}

impl PatternSetBuilder {
    /// No patterns yet, of `width` bits, for `classes` classes.
    ///
    /// # Errors
    /// [`PatternError::Width`] when the width is not supported.
    pub fn new(width: usize, classes: usize) -> Result<Self, PatternError> {
        check_width(width)?;
        let classes = vec![Segment::new(bytes_for(width)); classes];
        Ok(Self { width, radius: DEFAULT_RADIUS, one_class: false, structure: None, classes })
    }

    /// So many bits far queries will look; decides between the structures. Without it [`DEFAULT_RADIUS`].
    #[must_use]
    pub fn radius(mut self, radius: u32) -> Self {
        self.radius = radius;
        self
    }

    /// Queries will ask for one class at a time, so the structure follows from the size of the largest one.
    #[must_use]
    pub fn one_class(mut self) -> Self {
        self.one_class = true;
        self
    }

    /// Compiles this structure whatever would pay off; for comparisons.
    ///
    /// # Errors
    /// [`PatternError::Tables`] when the chunks of so many tables would be empty or longer than 64 bits.
    pub fn structure(mut self, structure: Structure) -> Result<Self, PatternError> {
        if let Structure::MultiIndex { tables } = structure
            && !(words_for(self.width)..=self.width).contains(&tables)
        {
            return Err(PatternError::Tables { tables, width: self.width });
        }
        self.structure = Some(structure);
        Ok(self)
    }

    /// Adds the pattern of one image of a class. Panics when the class does not exist or the width differs.
    pub fn insert(&mut self, class: usize, pattern: &Pattern) {
        assert_eq!(pattern.words().len(), words_for(self.width), "words of a pattern");
        self.classes[class].push(pattern.words().iter().copied(), 1);
    }

    /// Adds all patterns of a compiled set with their numbers of images. Panics when the set has more classes or
    /// another width.
    pub fn extend(&mut self, set: &PatternSet) {
        assert_eq!(set.width(), self.width, "bits of a pattern");
        for class in 0..set.classes() {
            for index in set.class(class) {
                self.classes[class].push(set.rows().words(index), set.count(index));
            }
        }
    }

    /// Compiles the set. The same patterns give the same set, whatever their order.
    ///
    /// # Errors
    /// [`PatternError::TooMany`] when there are 2³² or more distinct patterns.
    pub fn build(mut self) -> Result<PatternSet, PatternError> {
        self.classes.iter_mut().for_each(Segment::compact);
        let patterns: usize = self.classes.iter().map(Segment::len).sum();
        let largest = self.classes.iter().map(Segment::len).max().unwrap_or(0);
        if u32::try_from(patterns).is_err() {
            return Err(PatternError::TooMany { patterns });
        }
        let row_bytes = bytes_for(self.width);
        let (mut repeated, mut repeats, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
        let mut all = Concatenation::default();
        for class in self.classes {
            let offset = offsets[offsets.len() - 1];
            repeated.extend(class.repeated().map(|(index, _)| (offset + index as u64) as u32));
            repeats.extend(class.repeated().map(|(_, count)| count));
            offsets.push(offset + class.len() as u64);
            all.append(class);
        }
        let hashes = all.bytes().chunks_exact(row_bytes).map(|row| hash(words_of(row)));
        let directory = directory::build(hashes, &offsets);
        let blocks = interleave(all.words, patterns, row_bytes);
        let structure = self.structure.unwrap_or_else(|| {
            let compared = if self.one_class { largest } else { patterns };
            let tables = multi_index::tables_for(self.width, compared, self.radius);
            tables.map_or(Structure::Scan, |tables| Structure::MultiIndex { tables })
        });
        let index = match structure {
            Structure::Scan => None,
            Structure::MultiIndex { tables } => {
                Some(MultiIndex::build(Rows { blocks: &blocks, row_bytes }, patterns, self.width, tables))
            }
        };
        Ok(PatternSet {
            width: self.width,
            blocks: blocks.into(),
            offsets: offsets.into(),
            directory: directory.into(),
            repeated: repeated.into(),
            repeats: repeats.into(),
            index,
        })
    }
}

/// The bytes of all classes, one after the other.
#[derive(Default)]
struct Concatenation {
    words: Vec<u64>,
    bytes: usize,
}

impl Concatenation {
    /// The first class is taken over as it is, so that a set of one class is never held twice.
    fn append(&mut self, class: Segment) {
        let bytes = class.bytes().len();
        if self.bytes == 0 {
            self.words = class.into_words();
        } else {
            self.words.resize((self.bytes + bytes).div_ceil(8), 0);
            let place = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut self.words)[self.bytes..self.bytes + bytes];
            place.copy_from_slice(class.bytes());
        }
        self.bytes += bytes;
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.bytes]
    }
}
