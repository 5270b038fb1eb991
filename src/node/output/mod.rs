//! What goes out: answers on topics, frames for the viewer.

pub mod messages;
pub mod publishers;
pub mod view;
