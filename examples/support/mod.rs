//! What the training and benchmark programs share.

// Every program uses a part of it.
#![allow(dead_code)]

pub mod features;
pub mod held_out;
pub mod markdown;
pub mod patterns;
pub mod samples;
pub mod train;
