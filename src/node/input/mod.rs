//! What comes in by ROS: subscriptions, messages in the middleware's memory, names of topics and who publishes on them.

pub mod endpoints;
pub mod names;
pub mod native;
pub mod subscriptions;
