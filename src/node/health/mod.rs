//! What the node knows of its own state: counters, diagnostics, log.

pub mod announcer;
pub mod black_box;
pub mod camera;
pub mod diagnostics;
pub mod graph;
pub mod inference;
pub mod logging;
pub mod lookup;
pub mod messages;
pub mod process;
pub mod rcl;
pub mod recent;
pub mod reference;
pub mod reporter;
pub mod transport;
pub mod viewer;
