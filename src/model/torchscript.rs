//! Writes TorchScript files: named parameters plus the source of `forward`.
//!
//! A TorchScript file is a zip archive with the module's attributes as a pickle, its code as TorchScript source and one
//! raw file per tensor. Writing it from its parts, rather than tracing, keeps the parameters named (tracing turns
//! weights into anonymous constants) and the network readable: `unzip -p model.pt '*/code/__torch__.py'` shows it.
//! Format: `torch/csrc/jit/serialization` of PyTorch, archive format version 3.

use std::io::{self, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;

/// Name of the archive's root folder, which libtorch expects to be one common prefix.
const ROOT: &str = "model";
const ARCHIVE_VERSION: &str = "3\n";
/// libtorch maps tensors that start at multiples of this many bytes.
const TENSOR_ALIGNMENT: u16 = 64;

/// One named parameter in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Attribute name: letters, digits and `_`, no dots.
    pub name: String,
    /// Length of every dimension; the product equals `values.len()`.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// A module with parameters and a `forward` method.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptModule {
    /// Class name, for example `TrafficSignNet`.
    pub class_name: String,
    /// Parameters, which the source reads as `self.NAME`.
    pub parameters: Vec<Parameter>,
    /// Statements of `forward(self, images: Tensor)`, one per line, the last one a `return`.
    pub forward: Vec<String>,
    /// Number of tensors that `forward` returns as a tuple: the logits and the taps. 0 for a lone tensor.
    pub outputs: usize,
}

impl ScriptModule {
    /// Writes the module to `path`. The same module gives the same bytes.
    ///
    /// # Errors
    /// When a parameter's shape does not fit its values, or the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        let mut archive = zip::ZipWriter::new(io::BufWriter::new(std::fs::File::create(path)?));
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let mut add = |name: String, bytes: &[u8], options: SimpleFileOptions| -> io::Result<()> {
            archive.start_file(format!("{ROOT}/{name}"), options)?;
            archive.write_all(bytes)
        };
        add("data.pkl".into(), &self.pickle(), options)?;
        add("code/__torch__.py".into(), self.source().as_bytes(), options)?;
        add("constants.pkl".into(), &Pickle::empty_tuple(), options)?;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let bytes: Vec<u8> = parameter.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            add(format!("data/{index}"), &bytes, options.with_alignment(TENSOR_ALIGNMENT))?;
        }
        add("version".into(), ARCHIVE_VERSION.as_bytes(), options)?;
        add("byteorder".into(), b"little", options)?;
        archive.finish()?.flush()
    }

    fn check(&self) -> io::Result<()> {
        for parameter in &self.parameters {
            let expected: usize = parameter.shape.iter().product();
            if expected != parameter.values.len() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "parameter {}: shape {:?} wants {expected} values, got {}",
                        parameter.name,
                        parameter.shape,
                        parameter.values.len()
                    ),
                ));
            }
        }
        Ok(())
    }

    fn source(&self) -> String {
        let names: String = self.parameters.iter().map(|parameter| format!("\"{}\", ", parameter.name)).collect();
        let fields: String =
            self.parameters.iter().map(|parameter| format!("  {} : Tensor\n", parameter.name)).collect();
        let returned = match self.outputs {
            0 => "Tensor".to_owned(),
            outputs => format!("Tuple[{}]", vec!["Tensor"; outputs].join(", ")),
        };
        let body: String = self.forward.iter().map(|line| format!("    {line}\n")).collect();
        let class = &self.class_name;
        format!(
            "class {class}(Module):\n  __parameters__ = [{names}]\n  __buffers__ = []\n{fields}  training : bool\n  \
             def forward(self: __torch__.{class},\n    images: Tensor) -> {returned}:\n{body}"
        )
    }

    fn pickle(&self) -> Vec<u8> {
        let mut pickle = Pickle::new();
        pickle.global("__torch__", &self.class_name);
        pickle.op(b")\x81}("); // EMPTY_TUPLE NEWOBJ EMPTY_DICT MARK
        for (index, parameter) in self.parameters.iter().enumerate() {
            pickle.string(&parameter.name);
            pickle.tensor(index, &parameter.shape);
        }
        pickle.string("training");
        pickle.op(b"\x89"); // NEWFALSE
        pickle.op(b"ub."); // SETITEMS BUILD STOP
        pickle.0
    }
}

/// The few opcodes of pickle protocol 2 that a TorchScript archive needs.
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    fn empty_tuple() -> Vec<u8> {
        b"\x80\x02).".to_vec()
    }

    fn op(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn global(&mut self, module: &str, name: &str) {
        self.op(format!("c{module}\n{name}\n").as_bytes());
    }

    fn string(&mut self, text: &str) {
        self.op(b"X");
        self.op(&(text.len() as u32).to_le_bytes());
        self.op(text.as_bytes());
    }

    fn integer(&mut self, value: usize) {
        self.op(b"J");
        self.op(&(value as i32).to_le_bytes());
    }

    fn tuple(&mut self, values: impl IntoIterator<Item = usize>) {
        self.op(b"(");
        for value in values {
            self.integer(value);
        }
        self.op(b"t");
    }

    /// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`.
    fn tensor(&mut self, index: usize, shape: &[usize]) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.op(b"(");
        self.storage(index, shape.iter().product());
        self.integer(0);
        self.tuple(shape.iter().copied());
        self.tuple(row_major_strides(shape));
        self.op(b"\x89"); // NEWFALSE
        self.global("collections", "OrderedDict");
        self.op(b")RtR"); // EMPTY_TUPLE REDUCE, then the outer TUPLE REDUCE
    }

    fn storage(&mut self, index: usize, elements: usize) {
        self.op(b"(");
        self.string("storage");
        self.global("torch", "FloatStorage");
        self.string(&index.to_string());
        self.string("cpu");
        self.integer(elements);
        self.op(b"tQ"); // TUPLE BINPERSID
    }
}

fn row_major_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for dimension in (1..shape.len()).rev() {
        strides[dimension - 1] = strides[dimension] * shape[dimension];
    }
    strides
}
