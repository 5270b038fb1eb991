//! What libtorch says when it fails, in one line, and as an error whatever happens.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::TchError;

use super::ModelError;
use crate::panics;

/// Longest message that is passed on, in characters: it goes into log lines and diagnostics.
const MAX_MESSAGE: usize = 400;

/// Runs something in libtorch. The few calls of its binding that have no fallible variant panic instead, for example when a
/// device vanished; that becomes an error, too.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    // Nothing that a failed pass leaves behind is used again: every pass makes its own tensors.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(ModelError::Forward(telling_line(panics::message(panic.as_ref()).unwrap_or("")))))
}

impl From<TchError> for ModelError {
    fn from(error: TchError) -> Self {
        Self::Forward(message(&error))
    }
}

/// The line of libtorch's message that tells what is wrong.
pub(super) fn message(error: &TchError) -> String {
    match error {
        TchError::Torch(text) => telling_line(text),
        other => telling_line(&other.to_string()),
    }
}

/// The interpreter of TorchScript first shows where in the model it stopped, and then the error that it stopped with, as
/// `RuntimeError: …`; everything else begins with what is wrong, and may end with a backtrace.
fn telling_line(text: &str) -> String {
    let lines = || text.lines().map(str::trim).take_while(|line| !line.starts_with("Exception raised from"));
    let line = lines().filter(|line| names_an_error(line)).last().or_else(|| lines().find(|line| !line.is_empty()));
    let line = line.unwrap_or("unknown libtorch error");
    line.strip_prefix("RuntimeError: ").unwrap_or(line).chars().take(MAX_MESSAGE).collect()
}

/// Whether a line begins like `RuntimeError: ` or `torch.jit.Error: `.
fn names_an_error(line: &str) -> bool {
    let is_name = |name: &str| name.chars().all(|letter| letter.is_alphanumeric() || letter == '.' || letter == '_');
    line.split_once(':')
        .is_some_and(|(name, _)| (name.ends_with("Error") || name.ends_with("Exception")) && is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_not_quoted_for_where_but_for_what() {
        let text = "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript, serialized code \
                    (most recent call last):\n  File \"code/__torch__.py\", line 9, in forward\n    logits = torch.linear(x, \
                    w)\n             ~~~~~~~~~~~~ <--- HERE\nRuntimeError: expected m1 and m2 to have the same dtype, but got: \
                    float != double\n";
        let message = message(&TchError::Torch(text.into()));
        assert_eq!(message, "expected m1 and m2 to have the same dtype, but got: float != double");
    }

    #[test]
    fn the_last_named_error_counts_and_backtraces_do_not() {
        let text = "ValueError: first\nTraceback of TorchScript, original code (most recent call last):\n  file.py: 3\n\
                    torch.jit.Error: second\nException raised from f at file.cpp:3 (most recent call first):\nframe #0: \
                    c10::Error::Error(std::string) + 0x5 (0x7f in libc10.so)";
        assert_eq!(telling_line(text), "torch.jit.Error: second");
        let text = "\nCUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB\nException \
                    raised from malloc at CUDACachingAllocator.cpp:9 (most recent call first):\nRuntimeError: none";
        assert_eq!(
            telling_line(text),
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB"
        );
        assert_eq!(telling_line(" \n"), "unknown libtorch error");
        assert_eq!(telling_line(&"ö".repeat(9_000)).chars().count(), MAX_MESSAGE);
    }

    #[test]
    fn panics_become_errors() {
        let result: Result<(), ModelError> = guarded(|| panic!("called `Result::unwrap()`: {}", "no device"));
        assert_eq!(result.unwrap_err().to_string(), "the model cannot run: called `Result::unwrap()`: no device");
        let result: Result<(), ModelError> = guarded(|| std::panic::panic_any(3));
        assert_eq!(result.unwrap_err().to_string(), "the model cannot run: unknown libtorch error");
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }
}
