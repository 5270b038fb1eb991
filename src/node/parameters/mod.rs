//! Parameters: the one table, the values, and the ways in: command line, params files, services.

pub mod arguments;
pub mod names;
pub mod overrides;
pub mod qos;
pub mod reference;
pub mod server;
pub mod settings;
pub mod store;
pub mod table;
pub mod typed;
pub mod yaml;
