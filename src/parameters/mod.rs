//! Parameters of the judgement: the one table, the values, and what params files and `-p` rules say. Without ROS, so that the node
//! and replays read the same files alike.

pub mod names;
pub mod overrides;
pub mod qos;
pub mod reference;
pub mod rules;
pub mod settings;
pub mod table;
pub mod typed;
pub mod yaml;
