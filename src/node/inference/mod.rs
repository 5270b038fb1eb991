//! The thread that judges, and what it shares with the rest of the node.

pub mod batch;
pub mod entries;
pub mod evidence;
pub mod remarks;
pub mod shared;
pub mod slots;
pub mod streams;
pub mod worker;
