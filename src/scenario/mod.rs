//! Drawn traffic signs, and a drive past them that is recorded as a rosbag2 with its ground truth; triangles over digits.
//!
//! A sign is a vector drawing that is warped into a picture with the variations a camera sees. Training crops
//! ([`draw_training_sign`]) and the frames of the drive share drawings and variations, so that a normal sign of the drive is in
//! distribution for a model that was trained on such crops.

mod backdrop;
mod canvas;
mod drive;
mod glyph;
mod look;
mod picture;
pub(crate) mod pixels;
pub mod script;
mod sign;
mod sprite;
mod synthesize;
mod texture;
mod training;
mod triangle;

pub use drive::{Album, AlbumError, Anomaly, Disturbance, Drive, DriveSettings, Lasting, SeenSign};
pub use script::{Script, ScriptError};
pub use sign::{CLASS_NAMES, ForeignSign, TURN_INTO_A_SIGN};
pub use synthesize::{
    CLOCK_TOPIC, GROUND_TRUTH_TOPIC, IMAGE_TOPIC, REGIONS_TOPIC, SynthesizeArgs, SynthesizeError, SynthesizeSummary,
    record,
};
pub use training::draw_training_sign;
pub use triangle::draw_triangle;
