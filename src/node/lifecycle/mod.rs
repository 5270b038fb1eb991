//! Start, run and end of the node.

pub mod app;
pub mod signals;
pub mod spin;
