//! What comes in: messages of cameras and region topics, brought together and handed to inference.

pub mod arrays;
#[cfg(any(vision_msgs, test))]
pub mod boxes;
pub mod camera;
pub mod counts;
pub mod departed;
pub mod endpoints;
pub mod names;
pub mod native;
pub mod notices;
pub mod pairing;
pub mod refusals;
pub mod request;
pub mod rhythm;
pub mod stamp;
pub mod subscriptions;
pub mod timeline;
pub mod waiting;
