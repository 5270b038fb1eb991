//! The way of a camera's messages to inference, without ROS: brought together with their regions, kept in order, and counted where
//! they are not judged. The node feeds it as messages arrive, replays as they lie in a bag.

pub mod arrays;
pub mod boxes;
pub mod camera;
pub mod counts;
pub mod departed;
pub mod notices;
pub mod pairing;
pub mod recorded;
pub mod refusals;
pub mod request;
pub mod rhythm;
pub mod stamp;
pub mod throttle;
pub mod timeline;
pub mod unchanged;
pub mod waiting;
