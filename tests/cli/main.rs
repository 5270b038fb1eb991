//! The real program on a tiny model: three colours, sixty images each.
//!
//! Deliberately not checked here: the detectors' figures (their own tests do) and GPUs.

// clippy takes only functions marked as tests for tests.
#![allow(clippy::unwrap_used)]

mod calibrate;
mod errors;
mod flow;
mod replay;
mod scenarios;
mod triage;
mod visualize;
mod world;
