//! Classifies camera images with a libtorch model and says how far each one lies outside of what the model learnt.
//!
//! The way of the data, from top to bottom: [`frame`] → [`model`] → [`activation`] → [`monitor`] (built from
//! [`detector`], [`pattern`] and [`calibration`]) → [`node`] and [`viewer`]. See `ARCHITECTURE.md`.

pub mod activation;
pub mod black_box;
pub mod calibration;
mod canvas;
pub mod cli;
mod colormap;
pub mod counters;
pub mod dataset;
pub mod detector;
pub mod evaluation;
pub mod frame;
pub mod inference;
pub mod intake;
mod memory;
pub mod model;
pub mod monitor;
#[cfg(feature = "ros")]
pub mod node;
pub mod overlay;
mod panics;
pub mod parameters;
pub mod pattern;
pub mod pipeline;
pub mod program;
pub mod queue;
pub mod replay;
pub mod scenario;
mod simd;
pub mod storage;
pub mod stream;
pub mod training;
pub mod triage;
mod utc;
pub mod viewer;
pub mod visualize;
mod yaml;
