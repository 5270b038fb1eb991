//! The parameters' ways in that only a node has: its command line and its services.

pub mod arguments;
pub mod server;
pub mod store;
