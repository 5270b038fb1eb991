//! Where a model runs.

use std::fmt;
use std::str::FromStr;

use super::ModelError;

/// Requested device: `auto`, `cpu` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first GPU where libtorch can use one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU with this index.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("unknown device `{text}`: use auto, cpu or cuda:N")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
        }
    }
}

/// Finds the libtorch device for `choice`.
pub(super) fn resolve(choice: DeviceChoice) -> Result<tch::Device, ModelError> {
    match choice {
        DeviceChoice::Cpu => Ok(tch::Device::Cpu),
        DeviceChoice::Auto if gpu_count() > 0 => Ok(tch::Device::Cuda(0)),
        DeviceChoice::Auto => Ok(tch::Device::Cpu),
        DeviceChoice::Cuda(index) => {
            let found = gpu_count();
            if index < found { Ok(tch::Device::Cuda(index)) } else { Err(ModelError::NoGpu { index, found }) }
        }
    }
}

/// Number of GPUs that libtorch can use. Loads libtorch's CUDA part on the first call: it is not linked, so that the
/// same binary runs where it does not exist.
fn gpu_count() -> usize {
    use std::sync::OnceLock;
    static LIBRARY: OnceLock<Option<libloading::os::unix::Library>> = OnceLock::new();
    LIBRARY.get_or_init(load_cuda_library);
    usize::try_from(tch::Cuda::device_count()).unwrap_or(0)
}

#[allow(unsafe_code)]
fn load_cuda_library() -> Option<libloading::os::unix::Library> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY};
    // SAFETY: libtorch_cuda is a part of libtorch, made to be loaded beside it; its initialisers only register kernels.
    // The library is kept in a static and never unloaded.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_LAZY | RTLD_GLOBAL) } {
        Ok(library) => Some(library),
        Err(error) => {
            tracing::debug!("libtorch has no usable CUDA part: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed_and_printed() {
        for (text, device) in
            [("auto", DeviceChoice::Auto), ("cpu", DeviceChoice::Cpu), ("cuda:3", DeviceChoice::Cuda(3))]
        {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
    }

    #[test]
    fn an_unknown_device_names_the_choices() {
        let error = "tpu".parse::<DeviceChoice>().unwrap_err();
        assert_eq!(error, "unknown device `tpu`: use auto, cpu or cuda:N");
        assert!("cuda:x".parse::<DeviceChoice>().is_err());
    }
}
