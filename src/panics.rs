//! What a panic that was caught says.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Its message; `None` when it has none.
pub(crate) fn message(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// Runs `action`; a panic in it becomes its message. For what is only read, so that nothing is seen again that a panic left half done.
pub(crate) fn caught<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(action)).map_err(|panic| message(&*panic).unwrap_or("unknown cause").to_owned())
}
