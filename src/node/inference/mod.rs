//! The thread that judges.

pub mod worker;
