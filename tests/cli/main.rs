//! The real program on a tiny model: three colours, sixty images each.
//!
//! Deliberately not checked here: the detectors' figures (their own tests do) and GPUs.

mod errors;
mod flow;
mod world;
