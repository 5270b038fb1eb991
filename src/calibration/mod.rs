//! From scores to p-values, and from many detectors to one figure.
//!
//! A detector's score has no unit. [`Calibrator`] compares it with the scores of held-out images that the model knows:
//! the conformal p-value is the share of those that score at least as high, among all of them or among those of the
//! predicted class ([`ConditionalCalibrator`]). [`fuse`] combines the detectors; the fused score is calibrated in the same
//! way, each fold of the images ([`folds`]) against detectors calibrated on all others, so its p-value is valid whatever the
//! combination rule is. [`OverTime`] has what verdicts on objects and on whole streams need. No out-of-distribution image is ever
//! used.

mod bets;
mod calibrator;
mod conditional;
mod fusion;
mod groups;
mod objects;
mod over_time;
#[cfg(test)]
mod testing;

pub use bets::{Bets, KAPPA, MIN_BET_TRACKS};
pub use calibrator::Calibrator;
pub(crate) use calibrator::p_text;
pub use conditional::{ConditionalCalibrator, Conditioning, MIN_CLASS_TRACKS, Sample};
pub use fusion::{FUSED, fuse};
pub use groups::{count_groups, folds, group_of};
pub use objects::{MIN_OBJECT_TRACKS, MIN_TRACK_VIEWS, ObjectCalibrator, WINDOW};
pub use over_time::{Fold, OverTime};
