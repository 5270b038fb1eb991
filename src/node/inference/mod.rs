//! The thread that judges, and what it shares with the rest of the node.

pub mod shared;
pub mod slots;
pub mod worker;
