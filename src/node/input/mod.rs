//! What comes in: messages of cameras and region topics, brought together and handed to inference.

pub mod camera;
pub mod endpoints;
pub mod messages;
pub mod names;
pub mod pairing;
pub mod request;
