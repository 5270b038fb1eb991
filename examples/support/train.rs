//! Training with a progress bar, and the model folder that comes out.

use std::path::Path;

use activation_monitor::model::{FORMAT_VERSION, InputSpec, Manifest};
use activation_monitor::training::{Architecture, ImageSet, Progress, Recipe, ResidualNetwork, train};
use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tch::{Device, nn};

/// Name that the decoy class has in a manifest.
pub const DECOY_CLASS: &str = "decoy";

/// What is to be trained.
pub struct Plan {
    /// Name of the model.
    pub name: String,
    /// Classes that have images.
    pub classes: Vec<String>,
    /// Whether one more class is for decoys.
    pub decoy_class: bool,
    /// Size of the network.
    pub architecture: Architecture,
    /// Dropout rate in front of the head.
    pub dropout: f64,
    /// Size of the input.
    pub input: InputSpec,
    /// How to train.
    pub recipe: Recipe,
    /// For the manifest: where the weights come from.
    pub provenance: String,
    /// For the manifest.
    pub license: String,
}

impl Plan {
    /// Names of all outputs.
    pub fn outputs(&self) -> Vec<String> {
        self.classes.iter().cloned().chain(self.decoy_class.then(|| DECOY_CLASS.to_owned())).collect()
    }

    /// Trains on `images` and writes the model folder. The same plan and images give the same bytes on the same machine.
    pub fn run(&self, images: &ImageSet, folder: &Path) -> Result<ResidualNetwork> {
        tch::manual_seed(self.recipe.seed as i64);
        let mut store = nn::VarStore::new(Device::Cpu);
        let network = ResidualNetwork::new(&store.root(), self.architecture, self.outputs().len(), self.dropout);
        run_training(&network, &store, images, &self.recipe)?;
        store.freeze();
        self.export(&network, folder)?;
        Ok(network)
    }

    fn export(&self, network: &ResidualNetwork, folder: &Path) -> Result<()> {
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            name: self.name.clone(),
            classes: self.outputs(),
            input: self.input,
            layers: network.layers(),
            penultimate: ResidualNetwork::PENULTIMATE.into(),
            head: Some(network.head_spec()),
            decoy_class: self.decoy_class.then(|| DECOY_CLASS.to_owned()),
            provenance: self.provenance.clone(),
            license: self.license.clone(),
        };
        std::fs::create_dir_all(folder)?;
        network.export("ResidualEnsemble").save(&folder.join("model.pt"))?;
        std::fs::write(folder.join("model.json"), serde_json::to_string_pretty(&manifest)? + "\n")?;
        println!("wrote {}", folder.display());
        Ok(())
    }
}

fn run_training(network: &ResidualNetwork, store: &nn::VarStore, images: &ImageSet, recipe: &Recipe) -> Result<()> {
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {pos}/{len} steps, {eta} left, {msg}")?;
    let bar = ProgressBar::new(recipe.steps as u64).with_style(style);
    let mut average = f64::NAN;
    train(network, store, images, recipe, |Progress { step, loss }| {
        average = if average.is_nan() { loss } else { 0.98 * average + 0.02 * loss };
        bar.set_position(step as u64);
        bar.set_message(format!("loss {average:.3}"));
        if bar.is_hidden() && step % 100 == 0 {
            println!("step {step}/{}, loss {average:.3}", recipe.steps);
        }
        average.is_finite()
    })?;
    bar.finish();
    if !average.is_finite() {
        bail!("the training diverged: lower the learning rate");
    }
    Ok(())
}
