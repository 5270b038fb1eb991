//! A slice that is either owned or lies in the bytes of a file.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::Dtype;

/// Element type of a tensor.
pub trait Element: bytemuck::Pod + fmt::Debug + Send + Sync {
    /// Its name in the file.
    const DTYPE: Dtype;
}

impl Element for u8 {
    const DTYPE: Dtype = Dtype::U8;
}

impl Element for u32 {
    const DTYPE: Dtype = Dtype::U32;
}

impl Element for u64 {
    const DTYPE: Dtype = Dtype::U64;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;
}

/// A read-only slice of numbers: after fitting one of its own, out of a file the place in the file's bytes.
#[derive(Clone)]
pub struct Slab<T>(Source<T>);

#[derive(Clone)]
enum Source<T> {
    Owned(Arc<Vec<T>>),
    Mapped { file: Arc<Mmap>, bytes: Range<usize>, element: PhantomData<T> },
}

impl<T: Element> Slab<T> {
    /// A slice of a file's bytes; `None` when `bytes` lies outside of it or is not aligned for `T`.
    pub(super) fn mapped(file: &Arc<Mmap>, bytes: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(file.get(bytes.clone())?).ok()?;
        Some(Self(Source::Mapped { file: Arc::clone(file), bytes, element: PhantomData }))
    }

    /// Reads one number of every page (4 KiB), so that later reads need not wait for a disk.
    pub fn prefault(&self) {
        self.iter().step_by(4096 / size_of::<T>()).for_each(|number| {
            std::hint::black_box(*number);
        });
    }

    /// Whether the numbers lie in the bytes of a file, mapped or loaded, and not in a copy.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self.0, Source::Mapped { .. })
    }
}

impl<T: Element> Deref for Slab<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Source::Owned(values) => values,
            Source::Mapped { file, bytes, .. } => bytemuck::cast_slice(&file[bytes.clone()]),
        }
    }
}

impl<T: Element> From<Vec<T>> for Slab<T> {
    fn from(values: Vec<T>) -> Self {
        Self(Source::Owned(Arc::new(values)))
    }
}

impl<T: Element> fmt::Debug for Slab<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.is_mapped() { "mapped" } else { "owned" };
        write!(formatter, "Slab<{:?}>({} {place})", T::DTYPE, self.len())
    }
}

impl<T: Element + PartialEq> PartialEq for Slab<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
