//! Drives as images with features: recordings by the node's own road, and folders of images.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::RgbImage;

use crate::activation::{BankError, FeatureBank, Features};
use crate::cli::{all_cores, bags, evaluate::finding, features::Extractor, interrupt, progress};
use crate::dataset::{ImageFile, unlabelled_images};
use crate::evaluation::report_page::Exhibit;
use crate::frame;
use crate::intake::request::Entry;
use crate::monitor::{DetectorExplanation, Judgement, Monitor, NominalDrive};
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

/// What the report shows of a drive.
pub(super) struct Shown {
    /// Name of the drive.
    pub(super) drive: String,
    /// Its strangest images, the strangest one first.
    pub(super) strangest: Vec<Exhibit>,
    /// Images that could not be judged.
    pub(super) left_out: u64,
}

impl Examiner<'_> {
    /// Looks at all drives that the arguments mean.
    pub(super) fn examine(&self, arguments: &[PathBuf]) -> anyhow::Result<(Vec<NominalDrive>, Vec<Shown>)> {
        let mut names = BTreeSet::new();
        let (mut drives, mut shown) = (Vec::new(), Vec::new());
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
            let Collector { drive, strangest, left_out, .. } = one;
            let images = drive.images.len();
            anyhow::ensure!(images > 0, "{}: nothing could be judged, {left_out} images were left out", path.display());
            if left_out > 0 {
                eprintln!("warning: {}: {left_out} images could not be judged and are left out", drive.name);
            }
            shown.push(Shown { drive: drive.name.clone(), strangest, left_out });
            drives.push(drive);
        }
        Ok((drives, shown))
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
            jobs: all_cores(),
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
            // What is not finite cannot be judged.
            let Ok(judgement) = collector.monitor.judge(&features) else {
                collector.left_out += 1;
                return Ok(());
            };
            let monitor = collector.monitor;
            let view = View {
                judgement: &judgement,
                explain: || monitor.explain(&features, &judgement),
                image: || Some(frame::thumbnail(frame::read_file(&file.path).ok()?, SHOWN_PX)),
            };
            Ok(collector.take(key, &features, view)?)
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

/// What is known of one view, or can be found out where it is shown.
struct View<'a, E, I> {
    judgement: &'a Judgement,
    explain: E,
    image: I,
}

impl Collector<'_> {
    fn take<E, I>(&mut self, key: String, features: &Features, view: View<'_, E, I>) -> Result<(), BankError>
    where
        E: FnOnce() -> Vec<DetectorExplanation>,
        I: FnOnce() -> Option<RgbImage>,
    {
        let View { judgement, explain, image } = view;
        let (class, p_value) = (judgement.predicted_class, judgement.fused.p_value);
        let is_shown = self.strangest.len() < SHOWN || self.strangest.last().is_some_and(|last| p_value < last.p_value);
        if let Some(image) = is_shown.then(image).flatten() {
            let (predicted, findings) = (self.classes[class].clone(), explain().iter().map(finding).collect());
            let exhibit = Exhibit { key: key.clone(), image, predicted, truth: None, p_value, findings };
            let place = self.strangest.partition_point(|shown| shown.p_value <= p_value);
            self.strangest.insert(place, exhibit);
            self.strangest.truncate(SHOWN);
        }
        self.drive.images.push(key, class, features)
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
            let features = answered.evidence.and_then(|evidence| evidence.features(index));
            let outcome = entry.outcome.as_ref().ok();
            let judgement = outcome.and_then(|outcome| outcome.judgement.as_ref());
            let (Some(features), Some(outcome), Some(judgement)) = (features, outcome, judgement) else {
                self.left_out += 1;
                continue;
            };
            let view = View {
                judgement,
                explain: || outcome.explanations.clone(),
                image: || answered.crop(entry.region.region, SHOWN_PX),
            };
            let key = self.key(answered.camera, entry, nanos);
            // The features have the layout of the model that gave them, and the class is one of its classes.
            self.take(key, &features, view).map_err(|_| ReplayError::Reader)?;
        }
        Ok(())
    }
}
