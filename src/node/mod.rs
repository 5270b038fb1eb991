//! The ROS 2 node. The only place that touches r2r.
//!
//! Three threads, and a fourth for the viewer:
//!
//! ```text
//! main       spins ROS: takes messages, pairs images with regions, answers services, publishes diagnostics;
//!            decodes nothing and waits for nothing                              (spin, camera, pairing, reporter)
//! inference  takes the newest image from the slot, decodes, judges, publishes               (inference, outputs)
//! signals    SIGINT and SIGTERM end the node cleanly, a second one at once                            (signals)
//! viewer     hands frames to rerun, behind a bounded queue that drops the oldest            (view, crate::viewer)
//! ```

mod app;
mod arguments;
mod camera;
mod diagnostics;
mod endpoints;
mod inference;
mod logging;
mod messages;
mod names;
mod outputs;
mod pairing;
mod parameters;
mod reference;
mod reporter;
mod request;
mod ros_parameters;
mod settings;
mod signals;
mod spin;
mod statistics;
mod view;

pub use app::main;
