//! What happened to the images of a camera: counters and latencies, shown by diagnostics and reports.

pub mod latency;
pub mod statistics;
pub mod window;
