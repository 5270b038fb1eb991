//! What the node knows of its own state: counters, diagnostics, log.

pub mod diagnostics;
pub mod logging;
pub mod messages;
pub mod reporter;
pub mod statistics;
