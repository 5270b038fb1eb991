//! Parameters: the one table, the values, and the ways in: command line, params files, services.

pub mod arguments;
#[allow(dead_code, reason = "the node takes several cameras next")]
pub mod names;
pub mod overrides;
pub mod qos;
pub mod reference;
pub mod server;
#[allow(dead_code, reason = "the node takes several cameras next")]
pub mod settings;
pub mod store;
pub mod table;
