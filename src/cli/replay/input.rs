//! What is replayed: recordings, and scenarios, which are drawn first.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::cli::{bags, synthesize};
use crate::replay::{BagReport, Condition, Gate};
use crate::scenario::{Drive, Script, SynthesizeError};

/// A recording, or what one is made of.
pub(super) enum Input {
    /// A rosbag2 recording.
    Bag(PathBuf),
    /// A scenario with the conditions under which it fails.
    Scenario(Box<Script>, Vec<Condition>),
}

/// A recording that can be played.
pub(super) struct Recorded {
    path: PathBuf,
    /// Holds what was drawn until it is no longer needed.
    _drawn: Option<TempDir>,
}

impl Input {
    /// What the arguments mean: bags, folders of bags, and YAML files of scenarios, which are checked.
    pub(super) fn of(arguments: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        let mut inputs = Vec::new();
        for argument in arguments {
            if is_scenario(argument) {
                inputs.push(Self::scenario(argument)?);
            } else {
                inputs.extend(bags::named_by(std::slice::from_ref(argument))?.into_iter().map(Self::Bag));
            }
        }
        Ok(inputs)
    }

    fn scenario(path: &Path) -> anyhow::Result<Self> {
        let script = Script::load(path)?;
        let conditions = script.expect.iter().map(|text| text.parse::<Condition>());
        let conditions =
            conditions.collect::<Result<_, _>>().with_context(|| format!("{}: field expect", path.display()))?;
        Ok(Self::Scenario(Box::new(script), conditions))
    }

    /// The recording; that of a scenario is drawn into a temporary folder. `None` when the user interrupts that.
    pub(super) fn recorded(&self) -> anyhow::Result<Option<Recorded>> {
        match self {
            Self::Bag(path) => Ok(Some(Recorded { path: path.clone(), _drawn: None })),
            Self::Scenario(script, _) => {
                let folder = tempfile::tempdir().context("no folder for the recording of the scenario")?;
                let path = folder.path().join(&script.name);
                let drive = Drive::of(Script::clone(script));
                match synthesize::draw(&drive, &path, &format!("drawing {}", script.name)) {
                    Err(SynthesizeError::Interrupted) => Ok(None),
                    drawn => Ok(drawn.map(|_| Some(Recorded { path, _drawn: Some(folder) }))?),
                }
            }
        }
    }

    /// Adds to the report what is expected, and whether it came so.
    pub(super) fn judge(&self, report: &mut BagReport) {
        if let Self::Scenario(script, expect) = self {
            report.description.clone_from(&script.description);
            report.gate = Gate::new(expect, &report.tally);
        }
    }
}

impl Recorded {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn is_scenario(path: &Path) -> bool {
    let is_metadata = path.file_name().is_some_and(|name| name == "metadata.yaml");
    path.is_file() && !is_metadata && path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}
