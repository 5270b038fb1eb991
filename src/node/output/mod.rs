//! What goes out: answers on topics, frames for the viewer.

#[cfg(vision_msgs)]
pub mod detections;
pub mod overlay;
pub mod publishers;
pub mod recording;
pub mod topic;
pub mod view;
