//! Files of named tensors: written once, read as a whole or memory-mapped, and used in place.
//!
//! The container is [safetensors](https://github.com/huggingface/safetensors): an 8-byte length, a JSON header, then the
//! bytes of all tensors, little-endian. Its writer pads the header to 8 bytes and orders tensors by falling element
//! size, so every tensor lies at a multiple of its element size and can be used without parsing or copying ([`Slab`]). Two things are added: one metadata entry that holds our JSON text, and the tensor `sha256`, the
//! digest of that text and of all other tensors ([`TensorFile::verify`]).
//!
//! [`TensorFile::load`] takes a verified copy, for everything that has to go on whatever happens to the file;
//! [`TensorFile::open`] maps the file itself, for sets that are too large for that.

mod copy;
mod file;
mod slab;
mod tensors;

pub use copy::LOAD_IN_MEMORY_BYTES;
pub(crate) use file::hex;
pub use file::{TensorFile, VERIFY_AT_OPEN_BYTES};
pub use slab::{Element, Slab};
pub use tensors::{TensorReader, TensorWriter, Tensors};

#[cfg(target_endian = "big")]
compile_error!("tensor files are little-endian and used in place; big-endian machines are not supported");

/// Why a tensor file cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: `open`, `read`, `copy`, `map`, `write`.
        action: &'static str,
        /// Path of the file.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The bytes are no complete tensor file.
    #[error("{path} is not a file of this program, or it is truncated or damaged: {reason}")]
    Format {
        /// Path of the file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Somebody wrote into the file while it was read.
    #[error(
        "{path} changed while it was read: whoever writes it should write another file and rename it into place; load it again"
    )]
    Changed {
        /// Path of the file.
        path: String,
    },
    /// The contents are not what was written.
    #[error("{path} is damaged: its contents have SHA-256 {actual}, written was {expected}; fetch or fit it again")]
    Checksum {
        /// Path of the file.
        path: String,
        /// Digest in the file.
        expected: String,
        /// Digest of the contents.
        actual: String,
    },
    /// A tensor is missing.
    #[error("the file lacks tensor `{name}`; it is damaged or was written by another version")]
    Missing {
        /// Name of the tensor.
        name: String,
    },
    /// A tensor has another element type or shape.
    #[error("tensor `{name}` is {actual}, expected {expected}; the file is damaged or was written by another version")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Expected type and shape; `_` stands for any length.
        expected: String,
        /// Type and shape in the file.
        actual: String,
    },
    /// A tensor holds impossible numbers.
    #[error("tensor `{name}`: {reason}; the file is damaged")]
    Value {
        /// Name of the tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
}
