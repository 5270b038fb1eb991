//! The arguments of every command that runs a model.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::model::{Classifier, DeviceChoice};
use crate::pipeline::Pipeline;

/// Which model, and how to run it.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Folder of the model: model.pt (TorchScript) and model.json
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Where the model runs: auto, cpu or cuda:N
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Images per forward pass
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch_size: u16,
}

impl ModelArgs {
    /// Loads the model.
    pub(super) fn load(&self) -> anyhow::Result<Classifier> {
        let classifier = Classifier::load(&self.model, &self.device)?;
        tracing::info!("{} runs on {}", classifier.manifest().name, classifier.device_name());
        Ok(classifier)
    }

    /// Loads the model with the monitor that was fitted on it.
    pub(super) fn pipeline(&self, monitor: &Path) -> anyhow::Result<Pipeline> {
        Ok(Pipeline::load(&self.model, Some(monitor), &self.device)?)
    }

    /// Folder of the model.
    pub(super) fn folder(&self) -> &Path {
        &self.model
    }

    /// Images per forward pass, at least 1.
    pub(super) fn batch_size(&self) -> usize {
        self.batch_size.into()
    }
}
