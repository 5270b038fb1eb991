//! From images that have their regions to answers: opened, judged in one batch, and remembered over time. The node runs it as a thread,
//! replays as fast as they can.

pub mod batch;
pub mod entries;
pub mod evidence;
pub mod messages;
pub mod remarks;
pub mod shared;
pub mod slots;
pub mod streams;
pub mod worker;
