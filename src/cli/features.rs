//! From image files to features, with a progress bar and an account of what could not be read.

use std::path::Path;

use super::{interrupt, output, progress};
use crate::{
    activation::Features,
    dataset::{
        ImageFile,
        loader::{Batch, load_batches},
    },
    frame::FrameError,
    model::Classifier,
};

/// More unreadable images than this share of a set are a failure: the set is not what it is taken for.
const MAX_UNREADABLE_SHARE: f64 = 0.1;

/// Runs a classifier over image files.
pub(super) struct Extractor<'a> {
    /// The model.
    pub(super) classifier: &'a Classifier,
    /// Images per forward pass.
    pub(super) batch_size: usize,
}

impl Extractor<'_> {
    /// Hands the features of every readable file to `sink`, with the file's index and in order. `title` names the set in
    /// the progress bar and in messages. Unreadable files are named on stderr at the end.
    ///
    /// # Errors
    /// When the model or `sink` fails, the user interrupts, or too many files are unreadable.
    pub(super) fn run(
        &self,
        title: &str,
        files: &[&ImageFile],
        mut sink: impl FnMut(usize, Features) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let bar = progress::of_images(files.len() as u64, title);
        let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        let input = self.classifier.manifest().input;
        let mut unreadable = Vec::new();
        load_batches(&paths, &input, self.batch_size, interrupt::flag(), |batch| -> anyhow::Result<()> {
            self.forward(&batch, &mut sink)?;
            bar.inc((batch.indices.len() + batch.unreadable.len()) as u64);
            unreadable.extend(batch.unreadable);
            Ok(())
        })?;
        bar.finish_and_clear();
        interrupt::check()?;
        report(title, files, &unreadable)
    }

    fn forward(
        &self,
        batch: &Batch,
        sink: &mut impl FnMut(usize, Features) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if batch.indices.is_empty() {
            return Ok(());
        }
        let activations = self.classifier.forward(batch.images.view())?;
        batch.indices.iter().enumerate().try_for_each(|(row, &index)| sink(index, activations.features(row)))
    }
}

fn report(title: &str, files: &[&ImageFile], unreadable: &[(usize, FrameError)]) -> anyhow::Result<()> {
    if unreadable.is_empty() {
        return Ok(());
    }
    let heading = format!("{} of {} {title} images are unreadable and left out:", unreadable.len(), files.len());
    output::warn(
        &heading,
        unreadable.iter().map(|(index, error)| format!("{}: {error}", files[*index].path.display())),
    );
    let allowed = MAX_UNREADABLE_SHARE * files.len() as f64;
    anyhow::ensure!(
        unreadable.len() as f64 <= allowed,
        "more than {:.0} % of the {title} images are unreadable: repair or remove them",
        100.0 * MAX_UNREADABLE_SHARE
    );
    Ok(())
}
