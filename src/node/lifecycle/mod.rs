//! Start, states and end of the node.

pub mod app;
pub mod engine;
pub mod machine;
pub mod managed;
pub mod server;
pub mod signals;
