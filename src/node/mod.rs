//! The ROS 2 node. The only place that touches r2r.
//!
//! Three threads, and a fourth for the viewer:
//!
//! ```text
//! main       spins ROS: takes messages, pairs images with regions, answers services, publishes diagnostics;
//!            decodes nothing and waits for nothing                              (lifecycle::spin, input, health)
//! inference  takes the newest image from the slot, decodes, judges, publishes               (inference, output)
//! signals    SIGINT and SIGTERM end the node cleanly, a second one at once                            (lifecycle::signals)
//! viewer     hands frames to rerun, behind a bounded queue that drops the oldest            (output::view, crate::viewer)
//! ```

mod health;
mod inference;
mod input;
mod lifecycle;
mod output;
mod parameters;
mod service;

pub use lifecycle::app::main;
