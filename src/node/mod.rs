//! The ROS 2 node. The only place that touches r2r.
//!
//! Its rooms show the way of an image: [`input`] takes messages, brings images and regions together and says why an image
//! is not judged, [`inference`] judges the newest image of every camera in one batch and keeps the order of the answers,
//! [`output`] publishes. Beside them [`parameters`], [`health`] (counters, diagnostics, log, transport) and [`lifecycle`],
//! which puts the others together and takes them apart.
//!
//! Three threads, and three more for those who look on:
//!
//! ```text
//! main       spins ROS: takes messages, pairs images with regions, answers services, leads through the states of the
//!            lifecycle, publishes diagnostics; decodes nothing and waits for nothing       (lifecycle, input, health)
//! inference  from configure to cleanup: loads model and monitor, then takes the newest image of every camera, decodes,
//!            judges, publishes                                                                  (inference, output)
//! signals    SIGINT and SIGTERM end the node cleanly, a second one at once                     (lifecycle::signals)
//! viewer     hands frames to rerun, behind a bounded queue that drops the oldest      (output::view, crate::viewer)
//! overlay    draws verdicts on the newest image of every camera that somebody subscribes to             (output::overlay)
//! black box  writes the seconds around alarms to disk                            (output::recording, crate::black_box)
//! ```
//!
//! What they share: the slots with the newest images and with the answers that are known without inference, the
//! parameters, and the counters of every camera (`inference::shared`). While a topic has no publisher, a process of its own now
//! and then lists the topics of the graph, which r2r cannot safely be asked for (`health::lookup`).

mod health;
mod input;
mod lifecycle;
mod output;
mod parameters;
mod player;
mod service;
mod thread;

pub use lifecycle::app::main;
