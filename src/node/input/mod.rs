//! What comes in: messages of cameras and region topics, brought together and handed to inference.

pub mod camera;
pub mod endpoints;
pub mod names;
pub mod native;
pub mod pairing;
pub mod request;
pub mod subscriptions;
