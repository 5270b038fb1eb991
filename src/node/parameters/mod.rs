//! Parameters: the one table, the values, and the ways in: command line, params files, services.

pub mod arguments;
pub mod reference;
pub mod service;
pub mod settings;
pub mod table;
