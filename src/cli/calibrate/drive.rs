//! Drives as images with features: recordings by the node's own road, and folders of images.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::RgbImage;

use crate::activation::{FeatureBank, Features};
use crate::cli::{bags, features::Extractor, interrupt, progress};
use crate::dataset::{ImageFile, unlabelled_images};
use crate::evaluation::report_page::{Exhibit, Finding};
use crate::frame;
use crate::intake::request::Entry;
use crate::monitor::{DetectorExplanation, Monitor, NominalDrive};
use crate::parameters::settings::Settings;
use crate::pipeline::Pipeline;
use crate::replay::{Answered, Choice, Listener, OpenBag, Player, ReplayError, bag_name};

/// Images of a drive that the report shows.
const SHOWN: usize = 24;
/// Longer side of a shown image in pixels.
const SHOWN_PX: u32 = 128;
/// Images of a camera without names of objects within this time are one track: they show the same things.
const TRACK_SECS: u64 = 2;

/// Looks at drives.
pub(super) struct Examiner<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) choice: &'a Choice,
    pub(super) batch_size: usize,
}

/// A drive that was looked at.
pub(super) struct Examined {
    pub(super) drive: NominalDrive,
    /// Its strangest images, the strangest one first.
    pub(super) strangest: Vec<Exhibit>,
    /// Images that could not be judged.
    pub(super) left_out: u64,
}

impl Examiner<'_> {
    /// Looks at all drives that the arguments mean.
    pub(super) fn examine(&self, arguments: &[PathBuf]) -> anyhow::Result<Vec<Examined>> {
        let mut names = BTreeSet::new();
        let mut examined = Vec::new();
        for path in bags::named_by(arguments)? {
            interrupt::check()?;
            let name = bag_name(&path);
            anyhow::ensure!(names.insert(name.clone()), "two drives are called {name}: rename one of them");
            let mut one = self.begin(name)?;
            let is_images = path.is_dir() && !bags::is_bag(&path)?;
            match is_images {
                true => self.images(&path, &mut one)?,
                false => self.recording(&path, &mut one)?,
            }
            interrupt::check()?;
            let Collector { drive, left_out, .. } = &one;
            let images = drive.images.len();
            anyhow::ensure!(images > 0, "{}: nothing could be judged, {left_out} images were left out", path.display());
            if *left_out > 0 {
                eprintln!("warning: {}: {left_out} images could not be judged and are left out", drive.name);
            }
            examined.push(Examined { drive: one.drive, strangest: one.strangest, left_out: one.left_out });
        }
        Ok(examined)
    }

    fn begin(&self, name: String) -> anyhow::Result<Collector<'_>> {
        let classifier = self.pipeline.classifier();
        Ok(Collector {
            monitor: self.pipeline.monitor().context("calibrating needs a monitor")?,
            classes: &classifier.manifest().classes,
            drive: NominalDrive { name, images: FeatureBank::new(classifier.layout().clone()) },
            cameras: Vec::new(),
            strangest: Vec::new(),
            left_out: 0,
            progress: progress::of_images(0, ""),
        })
    }

    fn recording(&self, path: &Path, collector: &mut Collector<'_>) -> anyhow::Result<()> {
        let bag = OpenBag::open(path, self.choice, None).with_context(|| path.display().to_string())?;
        collector.progress = progress::of_images(bag.images(), &collector.drive.name);
        collector.cameras = bag.selection.cameras.iter().map(|camera| camera.images.name.clone()).collect();
        let player = Player {
            pipeline: self.pipeline,
            settings: &Settings::default(),
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            injected: None,
            whole_images: false,
            stop: interrupt::flag(),
        };
        player.play(bag, collector).with_context(|| path.display().to_string())?;
        collector.progress.finish_and_clear();
        Ok(())
    }

    fn images(&self, folder: &Path, collector: &mut Collector<'_>) -> anyhow::Result<()> {
        let files = unlabelled_images(folder)?;
        let files: Vec<&ImageFile> = files.iter().collect();
        let extractor = Extractor { classifier: self.pipeline.classifier(), batch_size: self.batch_size };
        let mut seen = 0;
        extractor.run(&collector.drive.name.clone(), &files, |index, features| {
            seen += 1;
            let file = files[index];
            let key = format!("{}/{}", collector.drive.name, file.key);
            let image = || Some(frame::thumbnail(frame::read_file(&file.path).ok()?, SHOWN_PX));
            collector.take(key, &features, image)
        })?;
        collector.left_out += (files.len() - seen) as u64;
        Ok(())
    }
}

/// Collects what is seen of one drive.
struct Collector<'a> {
    monitor: &'a Monitor,
    classes: &'a [String],
    drive: NominalDrive,
    /// Topics of the images.
    cameras: Vec<String>,
    strangest: Vec<Exhibit>,
    left_out: u64,
    progress: indicatif::ProgressBar,
}

impl Collector<'_> {
    fn take(
        &mut self,
        key: String,
        features: &Features,
        image: impl FnOnce() -> Option<RgbImage>,
    ) -> anyhow::Result<()> {
        // What is not finite cannot be judged.
        let Ok(judgement) = self.monitor.judge(features) else {
            self.left_out += 1;
            return Ok(());
        };
        let class = judgement.predicted_class;
        let p_value = judgement.fused.p_value;
        let is_shown = self.strangest.len() < SHOWN || self.strangest.last().is_some_and(|last| p_value < last.p_value);
        if let Some(image) = is_shown.then(image).flatten() {
            let findings = self.monitor.explain(features, &judgement).iter().map(finding).collect();
            let predicted = self.classes[class].clone();
            let place = self.strangest.partition_point(|shown| shown.p_value <= p_value);
            self.strangest
                .insert(place, Exhibit { key: key.clone(), image, predicted, truth: None, p_value, findings });
            self.strangest.truncate(SHOWN);
        }
        Ok(self.drive.images.push(key, class, features)?)
    }

    /// Name of one view: views of one object have the same up to the last `_`.
    fn key(&self, camera: usize, entry: &Entry, nanos: u64) -> String {
        let (drive, topic) = (&self.drive.name, self.cameras[camera].trim_start_matches('/'));
        let number = self.drive.images.len() as u64 + self.left_out;
        match entry.region.id.as_str() {
            "" => format!("{drive}/{topic}/second-{}_{number:09}.view", nanos / (TRACK_SECS * 1_000_000_000)),
            id => format!("{drive}/{topic}/{id}_{number:09}.view"),
        }
    }
}

impl Listener for Collector<'_> {
    fn answered(&mut self, answered: &Answered<'_>) -> Result<(), ReplayError> {
        self.progress.inc(1);
        let nanos = answered.answer.header.stamp.nanos_since_epoch();
        for (index, entry) in answered.answer.entries.iter().enumerate() {
            let evidence = answered.evidence;
            let row = evidence.and_then(|evidence| evidence.rows.get(index).copied().flatten());
            let activations = evidence.and_then(|evidence| evidence.activations.as_ref());
            let (Some(evidence), Some(row), Some(activations)) = (evidence, row, activations) else {
                self.left_out += 1;
                continue;
            };
            let image = || {
                let frame = evidence.picture.frame(&evidence.options).ok()?;
                Some(frame::thumbnail(frame.crop(entry.region.region).ok()?, SHOWN_PX))
            };
            let key = self.key(answered.camera, entry, nanos);
            // The features have the layout of the model that gave them, and the class is one of its classes.
            self.take(key, &activations.features(row), image).map_err(|_| ReplayError::Reader)?;
        }
        Ok(())
    }
}

fn finding(explanation: &DetectorExplanation) -> Finding {
    Finding { detector: explanation.detector.to_owned(), p_value: explanation.p_value, text: explanation.to_string() }
}
