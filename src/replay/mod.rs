//! Recordings in, evidence out: plays bags through the node's own road without ROS, and says what the monitor would have said.
//!
//! [`select`] chooses the topics of a bag, [`feed`] brings images and regions together by the rules of [`crate::intake`] in the time of the bag,
//! [`run`] judges them on all cores and answers in order. What the answers mean beside the [`truth`] is counted in [`alarms`] and [`figures`].

mod alarms;
mod checkpoint;
mod compare;
mod feed;
mod figures;
mod gate;
mod inject;
mod outputs;
mod report;
mod rows;
mod run;
mod select;
mod tally;
mod timeline;
mod truth;
mod view;
mod warnings;

use std::path::Path;

pub use alarms::{Alarm, Cause, Found, Occurrence, Subject};
pub use checkpoint::{Checkpoint, CheckpointError, Finished, Task};
pub use compare::{Comparison, Difference, Strictness, compare};
pub use figures::{FIGURES, Figure, OF_THE_MACHINE, Unit, false_alarm_interval, to_json as figures_to_json};
pub use gate::{Condition, ConditionError, Failure, Gate};
pub use inject::{Fault, FaultError, FaultKind, FaultOutcome, Injected};
pub use outputs::{NODE, Outputs, RowFile};
pub use report::{BagReport, Beside, ReplayPage, json as report_json, junit};
pub use rows::Row;
pub use run::{Answered, Cost, Listener, OpenBag, Played, Player};
pub use select::{CameraTopics, Choice, Selection, select};
pub use tally::{Counted, Counter, Tally};
pub use timeline::{Point, Timeline};
pub use truth::{CameraTruth, Truth, TruthError, TruthTable};
pub use view::ReplayView;
pub use warnings::{Warning, WarningKind};

use crate::dataset::bag::BagError;
use crate::parameters::table::ParameterError;

/// Why a bag cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// Nothing in it is an image.
    #[error("no topic with images: found {found}; sensor_msgs/msg/Image and CompressedImage are judged")]
    NoImages {
        /// Topics with their types.
        found: String,
    },
    /// A topic that was asked for is not there.
    #[error("no topic {topic}: found {found}")]
    NoTopic {
        /// What was asked for.
        topic: String,
        /// Topics with their types.
        found: String,
    },
    /// A topic that was asked for carries something else.
    #[error("{topic} carries {found}, expected {expected}")]
    NotOfType {
        /// What was asked for.
        topic: String,
        /// Its type.
        found: String,
        /// Types that would do.
        expected: String,
    },
    /// An output cannot be written.
    #[error("cannot write {what}: {source}")]
    Output {
        /// The output.
        what: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The cameras of the bag cannot be those of a node.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The thread that reads failed.
    #[error("reading the bag failed inside the program, please report it")]
    Reader,
}

/// What a bag is called: the name of its folder, or of its file without `.mcap`, `.db3` and `.zstd`.
#[must_use]
pub fn bag_name(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| "bag".into(), |name| name.to_string_lossy().into_owned());
    let name = name.strip_suffix(".zstd").unwrap_or(&name);
    let short = name.strip_suffix(".mcap").or_else(|| name.strip_suffix(".db3")).unwrap_or(name);
    if short.is_empty() { name.to_owned() } else { short.to_owned() }
}
