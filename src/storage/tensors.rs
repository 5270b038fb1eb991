//! Named tensors on their way into a file and out of it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use safetensors::Dtype;

use super::{Element, Slab, StorageError, TensorFile};

/// One tensor that is to be written.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    values: Arc<dyn Bytes>,
}

impl Tensor {
    pub fn new<T: Element>(shape: &[usize], values: Slab<T>) -> Self {
        Self { dtype: T::DTYPE, shape: shape.to_vec(), values: Arc::new(values) }
    }

    pub fn bytes(&self) -> &[u8] {
        self.values.bytes()
    }
}

/// Numbers of any type.
trait Bytes: fmt::Debug + Send + Sync {
    fn bytes(&self) -> &[u8];
}

impl<T: Element> Bytes for Slab<T> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }
}

/// Tensors by name, to be written into a file.
#[derive(Debug, Clone, Default)]
pub struct Tensors(pub(super) BTreeMap<String, Tensor>);

impl Tensors {
    /// Where to put tensors whose names start with `scope/`.
    pub fn scope(&mut self, scope: &str) -> TensorWriter<'_> {
        TensorWriter { tensors: self, prefix: format!("{scope}/") }
    }
}

/// Adds tensors below one name.
#[derive(Debug)]
pub struct TensorWriter<'a> {
    tensors: &'a mut Tensors,
    prefix: String,
}

impl TensorWriter<'_> {
    /// Where to put tensors below a further name.
    pub fn scope(&mut self, scope: &str) -> TensorWriter<'_> {
        TensorWriter { prefix: format!("{}{scope}/", self.prefix), tensors: self.tensors }
    }

    /// Adds a tensor. Panics when `shape` does not hold as many numbers as `values`.
    pub fn put<T: Element>(&mut self, name: &str, shape: &[usize], values: &[T]) {
        self.put_slab(name, shape, &values.to_vec().into());
    }

    /// Adds a tensor without copying its numbers. Panics when `shape` does not hold as many numbers as `values`.
    pub fn put_slab<T: Element>(&mut self, name: &str, shape: &[usize], values: &Slab<T>) {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "shape of tensor `{name}`");
        self.tensors.0.insert(format!("{}{name}", self.prefix), Tensor::new(shape, values.clone()));
    }
}

/// Gives the tensors of a file whose names start with one prefix.
#[derive(Debug, Clone)]
pub struct TensorReader<'a> {
    file: &'a TensorFile,
    prefix: String,
}

impl<'a> TensorReader<'a> {
    pub(super) fn new(file: &'a TensorFile) -> Self {
        Self { file, prefix: String::new() }
    }

    /// The tensors below a further name.
    #[must_use]
    pub fn scope(&self, scope: &str) -> Self {
        Self { file: self.file, prefix: format!("{}{scope}/", self.prefix) }
    }

    /// Full name of tensor `name`, for messages.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whether there is a tensor `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.file.info(&self.name(name)).is_ok()
    }

    /// Shape of tensor `name` with `N` axes.
    ///
    /// # Errors
    /// [`StorageError`] when it is missing or has another element type or number of axes.
    pub fn shape<T: Element, const N: usize>(&self, name: &str) -> Result<[usize; N], StorageError> {
        let info = self.file.info(&self.name(name))?;
        let shape = <[usize; N]>::try_from(info.shape.as_slice()).ok().filter(|_| info.dtype == T::DTYPE);
        shape.ok_or_else(|| StorageError::Shape {
            name: self.name(name),
            expected: describe(T::DTYPE, &[None; N]),
            actual: describe(info.dtype, &some(&info.shape)),
        })
    }

    /// Tensor `name`, which must have the given shape.
    ///
    /// # Errors
    /// [`StorageError`] when it is missing or has another element type or shape.
    pub fn get<T: Element, const N: usize>(&self, name: &str, shape: [usize; N]) -> Result<Slab<T>, StorageError> {
        let actual = self.shape::<T, N>(name)?;
        if actual != shape {
            return Err(StorageError::Shape {
                name: self.name(name),
                expected: describe(T::DTYPE, &some(&shape)),
                actual: describe(T::DTYPE, &some(&actual)),
            });
        }
        self.file.slab(&self.name(name))
    }

    /// Tensor `name`, which must have one axis, of any length.
    ///
    /// # Errors
    /// [`StorageError`] when it is missing or has another element type or number of axes.
    pub fn vector<T: Element>(&self, name: &str) -> Result<Slab<T>, StorageError> {
        let [_] = self.shape::<T, 1>(name)?;
        self.file.slab(&self.name(name))
    }

    /// The error that tensor `name` holds impossible numbers.
    #[must_use]
    pub fn invalid(&self, name: &str, reason: impl Into<String>) -> StorageError {
        StorageError::Value { name: self.name(name), reason: reason.into() }
    }
}

fn some(shape: &[usize]) -> Vec<Option<usize>> {
    shape.iter().copied().map(Some).collect()
}

fn describe(dtype: Dtype, shape: &[Option<usize>]) -> String {
    let mut text = format!("{dtype:?}[");
    for (axis, length) in shape.iter().enumerate() {
        let comma = if axis > 0 { ", " } else { "" };
        let length = length.map_or_else(|| "_".to_owned(), |length| length.to_string());
        let _ = write!(text, "{comma}{length}");
    }
    text + "]"
}
