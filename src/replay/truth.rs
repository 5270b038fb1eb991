//! What is true of a recording: from a topic of it, or from a table of times.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inject::{Fault, Injected};
use crate::dataset::cdr::{GroundTruth, GroundTruthArray};

/// Entries of a topic that say the same of an object make one span as long as no more time than this lies between them, in nanoseconds.
const LONGEST_GAP_NANOS: u64 = 1_000_000_000;

/// Seconds below this are counted from the first image of the bag; above, they are stamps.
const STAMPS_FROM_SECS: f64 = 1e6;

/// Why a table of the truth cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The file cannot be read, or a row is none.
    #[error("cannot read the ground truth {}: {source}; it needs the columns begin_secs and end_secs, and may have object, class_name, anomaly, bag and topic", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        source: csv::Error,
    },
    /// A span ends before it begins.
    #[error("{}: row {row} ends at {end} s, before it begins at {begin} s", path.display())]
    Span {
        /// The file.
        path: PathBuf,
        /// Number of the row, from 1, the heading not counted.
        row: usize,
        /// Begin, seconds.
        begin: f64,
        /// End, seconds.
        end: f64,
    },
}

/// What is true of a region.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Truth {
    /// Name of the class or of the object; empty when it is not known.
    pub class_name: String,
    /// Whether the training data covers it.
    pub in_distribution: bool,
    /// What is unusual; empty when nothing is.
    pub anomaly: String,
}

/// Rows of a table of times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TruthTable(Vec<Row>);

/// A span of time in which something is true.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Row {
    begin_secs: f64,
    end_secs: f64,
    #[serde(default)]
    object: String,
    #[serde(default)]
    class_name: String,
    #[serde(default)]
    anomaly: String,
    #[serde(default)]
    bag: String,
    #[serde(default)]
    topic: String,
}

/// Stamps with the names of the objects that alarmed; [`CAMERA`] for the camera as a whole.
pub type AlarmSet = HashSet<(u64, String)>;

/// Stands for the camera in an [`AlarmSet`]; no object is called so.
pub const CAMERA: &str = "\0camera";

/// What is known of the regions of one camera.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CameraTruth {
    /// Spans by object; those of the empty name hold for all.
    spans: BTreeMap<String, Vec<Span>>,
    /// Of what no span covers: nominal where the truth is a table, unknown where it is a topic.
    is_complete: bool,
    /// A fault that was put into the images.
    injected: Option<Injected>,
    /// What alarms without it.
    alarmed: Arc<AlarmSet>,
}

#[derive(Debug, Clone, PartialEq)]
struct Span {
    begin_nanos: u64,
    end_nanos: u64,
    truth: Truth,
}

impl TruthTable {
    /// Reads a CSV file with a heading: `begin_secs,end_secs` and any of `object`, `class_name`, `anomaly`, `bag`, `topic`. Seconds are stamps, or,
    /// below a million, counted from the first image of the camera. A row without an object holds for all regions, one without an anomaly says that its
    /// time is nominal; what no row covers is nominal, too.
    ///
    /// # Errors
    /// [`TruthError`] with the line.
    pub fn read(path: &Path) -> Result<Self, TruthError> {
        let table = |source| TruthError::Table { path: path.to_path_buf(), source };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(table)?;
        reader.headers().map_err(table)?;
        let rows = reader.deserialize().collect::<Result<Vec<Row>, _>>().map_err(table)?;
        for (index, row) in rows.iter().enumerate() {
            let (begin, end) = (row.begin_secs, row.end_secs);
            // Also when either is NaN.
            if !(begin >= 0.0 && end >= begin) {
                return Err(TruthError::Span { path: path.to_path_buf(), row: index + 1, begin, end });
            }
        }
        Ok(Self(rows))
    }

    /// The rows about a camera, the first image of which has the stamp `first_nanos`.
    #[must_use]
    pub fn of_camera(&self, bag: &str, topic: &str, first_nanos: u64) -> CameraTruth {
        let mut truth = CameraTruth { is_complete: true, ..CameraTruth::default() };
        let matches = |wanted: &str, name: &str| wanted.is_empty() || wanted == name;
        for row in self.0.iter().filter(|row| matches(&row.bag, bag) && matches(&row.topic, topic)) {
            let nanos = |secs: f64| {
                let nanos = (secs * 1e9).round() as u64;
                if secs < STAMPS_FROM_SECS { first_nanos.saturating_add(nanos) } else { nanos }
            };
            let span = Span {
                begin_nanos: nanos(row.begin_secs),
                end_nanos: nanos(row.end_secs),
                truth: Truth {
                    class_name: row.class_name.clone(),
                    in_distribution: row.anomaly.is_empty(),
                    anomaly: row.anomaly.clone(),
                },
            };
            truth.spans.entry(row.object.clone()).or_default().push(span);
        }
        truth
    }
}

impl CameraTruth {
    /// Adds what a message of a topic says of the image with its stamp.
    pub fn add(&mut self, message: &GroundTruthArray) {
        let nanos = message.header.stamp.as_nanos();
        for object in &message.objects {
            let truth = Truth::from(object);
            let spans = self.spans.entry(object.region.id.clone()).or_default();
            match spans.last_mut() {
                Some(last) if last.truth == truth && nanos.abs_diff(last.end_nanos) <= LONGEST_GAP_NANOS => {
                    last.begin_nanos = last.begin_nanos.min(nanos);
                    last.end_nanos = last.end_nanos.max(nanos);
                }
                _ => spans.push(Span { begin_nanos: nanos, end_nanos: nanos, truth }),
            }
        }
    }

    /// Notes that images from some time on have a fault, and what alarms without it.
    pub fn inject(&mut self, injected: Injected, alarmed: Arc<AlarmSet>) {
        (self.injected, self.alarmed) = (Some(injected), alarmed);
    }

    /// Whether a region alarms without the fault, too: then its alarm has not found the fault. The empty name stands for all regions without one.
    #[must_use]
    pub fn alarms_anyway(&self, object: &str, stamp_nanos: u64) -> bool {
        self.alarmed.contains(&(stamp_nanos, object.to_owned()))
    }

    /// Whether an image with that stamp has it.
    #[must_use]
    pub fn has_fault(&self, stamp_nanos: u64) -> bool {
        self.fault(stamp_nanos).is_some()
    }

    fn fault(&self, stamp_nanos: u64) -> Option<Fault> {
        self.injected.filter(|injected| injected.covers(stamp_nanos)).map(|injected| injected.fault)
    }

    /// What is true of a region of the image with that stamp; `None` where nobody knows. What is said of the object counts before what is said of all.
    #[must_use]
    pub fn of(&self, object: &str, stamp_nanos: u64) -> Option<Truth> {
        if let Some(fault) = self.fault(stamp_nanos) {
            return Some(Truth { anomaly: fault.to_string(), ..Truth::default() });
        }
        let covers = |span: &&Span| (span.begin_nanos..=span.end_nanos).contains(&stamp_nanos);
        let find = |name: &str| self.spans.get(name)?.iter().rev().find(covers).map(|span| span.truth.clone());
        let found = find(object).or_else(|| if object.is_empty() { None } else { find("") });
        found.or_else(|| self.is_complete.then(|| Truth { in_distribution: true, ..Truth::default() }))
    }

    /// Whether anything is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_complete || !self.spans.is_empty()
    }
}

impl From<&GroundTruth> for Truth {
    fn from(truth: &GroundTruth) -> Self {
        let GroundTruth { class_name, in_distribution, anomaly, .. } = truth.clone();
        Self { class_name, in_distribution, anomaly }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cdr::{Header, Region, RegionOfInterest, Time};

    const SECOND: u64 = 1_000_000_000;

    fn table(text: &str) -> Result<TruthTable, TruthError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("truth.csv");
        std::fs::write(&path, text).unwrap();
        TruthTable::read(&path)
    }

    #[test]
    fn a_table_says_when_something_was_strange() {
        let table = table("begin_secs, end_secs, anomaly, object\n2,4,mud,\n3,5,sticker,sign 7\n").unwrap();
        let truth = table.of_camera("drive", "/image", 100 * SECOND);
        let at = |object: &str, secs: u64| truth.of(object, (100 + secs) * SECOND).unwrap().anomaly;
        assert_eq!(
            (at("a", 1), at("a", 2), at("a", 4), at("a", 5)),
            ("".into(), "mud".into(), "mud".into(), "".into())
        );
        assert_eq!((at("sign 7", 3), at("", 3)), ("sticker".into(), "mud".into()));
    }

    #[test]
    fn rows_may_be_about_one_bag_and_stamps_may_be_absolute() {
        let table = table("begin_secs,end_secs,anomaly,bag,topic\n1700000000,1700000001,fog,night,/front\n").unwrap();
        let stamp = 1_700_000_000 * SECOND;
        assert_eq!(table.of_camera("night", "/front", 0).of("", stamp).unwrap().anomaly, "fog");
        assert!(table.of_camera("day", "/front", 0).of("", stamp).unwrap().in_distribution);
        assert!(table.of_camera("night", "/rear", 0).of("", stamp).unwrap().in_distribution);
    }

    #[test]
    fn a_heading_alone_says_that_all_is_nominal() {
        let truth = table("begin_secs,end_secs\n").unwrap().of_camera("", "", 0);
        assert!(truth.is_known() && truth.of("a", 7).unwrap().in_distribution);
    }

    #[test]
    fn rows_that_are_none_are_named() {
        for (text, word) in [
            ("begin_secs,end_secs\n5,4\n", "row 1 ends at 4 s"),
            ("begin_secs,end_secs\nNaN,4\n", "row 1"),
            ("begin_secs,end_secs\nsoon,4\n", "invalid float"),
            ("start,end\n1,2\n", "begin_secs"),
        ] {
            let error = table(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn messages_that_say_the_same_make_one_span() {
        let message = |nanos: u64, anomaly: &str| GroundTruthArray {
            header: Header { stamp: Time::from_nanos(nanos), frame_id: String::new() },
            objects: vec![GroundTruth {
                region: Region { id: "sign".into(), roi: RegionOfInterest::default() },
                class_id: 1,
                class_name: "stop".into(),
                in_distribution: anomaly.is_empty(),
                anomaly: anomaly.into(),
            }],
        };
        let mut truth = CameraTruth::default();
        (0..10).for_each(|tenth| truth.add(&message(tenth * SECOND / 10, "")));
        truth.add(&message(SECOND, "mud"));
        truth.add(&message(9 * SECOND, "mud"));
        assert_eq!(truth.spans["sign"].len(), 3);
        assert!(truth.of("sign", SECOND / 20).unwrap().in_distribution);
        assert_eq!(truth.of("sign", SECOND).unwrap().anomaly, "mud");
        assert_eq!((truth.of("sign", 5 * SECOND), truth.of("other", SECOND)), (None, None));
    }
}
