//! What tests of this module share.

use crate::storage::{TensorFile, TensorReader, TensorWriter, Tensors};

/// What `load` makes of what `save` wrote into a file.
pub fn reopened<T>(save: impl FnOnce(&mut TensorWriter<'_>), load: impl FnOnce(&TensorReader<'_>) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tensors");
    let mut tensors = Tensors::default();
    save(&mut tensors.scope("tested"));
    TensorFile::write(&path, "{}", tensors).unwrap();
    load(&TensorFile::open(&path).unwrap().tensors().scope("tested"))
}
