//! Where images come from: a file, a folder, a bag.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use image::RgbImage;

use crate::cli::{bags, interrupt, seconds};
use crate::dataset::bag::{BagReader, Unreadable, is_recording};
use crate::dataset::{ImageFile, unlabelled_images};
use crate::frame::{self, DecodeOptions, FrameError, Region};
use crate::intake::recorded;
use crate::intake::request::{Header, NamedRegion, Picture};
use crate::replay::{Choice, select};

/// What is taken of a bag.
#[derive(Debug, Args)]
pub(super) struct BagArgs {
    /// Topic of the images of a bag; not needed where there is one
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Topic of the regions (RegionArray or vision_msgs/Detection2DArray); of each image the largest one is shown
    #[arg(long, value_name = "TOPIC", conflicts_with = "whole_images")]
    regions: Option<String>,
    /// Show the regions with this id only
    #[arg(long, value_name = "ID", conflicts_with = "whole_images")]
    object: Option<String>,
    /// Show whole images, whatever regions there are
    #[arg(long)]
    whole_images: bool,
    /// One picture: of the first image from then on that has something to show, in seconds from the first image
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(super) at_secs: Option<f64>,
}

/// One image to look at.
pub(super) struct Shot {
    /// What it is called.
    pub(super) name: String,
    /// Its stamp, nanoseconds since the epoch, where it has one.
    pub(super) nanos: Option<u64>,
    pub(super) image: RgbImage,
    pub(super) region: Region,
}

/// Where images come from.
pub(super) enum Source {
    Image(PathBuf),
    Folder(Vec<ImageFile>),
    Bag(Bag),
}

/// One camera of a bag.
pub(super) struct Bag {
    path: PathBuf,
    topic: String,
    images: u64,
    /// What is shown of every image, by its stamp; `None`: whole images are shown.
    regions: Option<HashMap<u64, NamedRegion>>,
}

impl Source {
    /// Looks what lies there.
    pub(super) fn open(path: &Path, options: &BagArgs) -> anyhow::Result<Self> {
        let is_file_of_bag = path.file_name().is_some_and(|name| is_recording(&name.to_string_lossy()));
        if path.is_dir() && !bags::is_bag(path)? {
            return Ok(Self::Folder(unlabelled_images(path)?));
        }
        if path.is_dir() || is_file_of_bag {
            return Ok(Self::Bag(Bag::open(path, options)?));
        }
        Ok(Self::Image(path.to_owned()))
    }

    /// Number of images, those that cannot be read included.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Image(_) => 1,
            Self::Folder(files) => files.len() as u64,
            Self::Bag(bag) => bag.images,
        }
    }

    /// Hands every `every`th image to `sink`, until the user wants to stop: an error where it cannot be read, nothing where no region
    /// of it is shown. `tick` is called for every image. Returns what is lost of a damaged bag, in words.
    pub(super) fn each(
        &self,
        every: u32,
        tick: impl Fn(),
        mut sink: impl FnMut(anyhow::Result<Option<Shot>>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<String>> {
        let mut number = 0_u64;
        let mut take = |shot: &dyn Fn() -> anyhow::Result<Option<Shot>>| {
            let is_wanted = number.is_multiple_of(every.into());
            number += 1;
            tick();
            if is_wanted { sink(shot()) } else { Ok(()) }
        };
        let go_on = || !interrupt::is_set();
        match self {
            Self::Image(path) => take(&|| read(path).map(Some))?,
            Self::Folder(files) => {
                files.iter().take_while(|_| go_on()).try_for_each(|file| take(&|| read(&file.path).map(Some)))?;
            }
            Self::Bag(bag) => {
                let mut messages = BagReader::open(&bag.path)?.only(&[&bag.topic]);
                for message in messages.by_ref().take_while(|_| go_on()) {
                    let message = message?;
                    take(&|| {
                        let (header, picture) = recorded::picture(&message)?;
                        Ok(bag.shot(&header, &picture)?)
                    })?;
                }
                return Ok(messages.damage().iter().map(ToString::to_string).collect());
            }
        }
        Ok(Vec::new())
    }
}

/// Reads an image file.
pub(super) fn read(path: &Path) -> anyhow::Result<Shot> {
    let name = path.display().to_string();
    let image = frame::read_file(path).with_context(|| name.clone())?;
    Ok(Shot { name, nanos: None, image, region: Region::WHOLE })
}

impl Bag {
    fn open(path: &Path, options: &BagArgs) -> anyhow::Result<Self> {
        let reader = BagReader::open(path)?;
        let choice = Choice {
            images: options.topic.iter().cloned().collect(),
            regions: options.regions.iter().cloned().collect(),
            whole_images: options.whole_images,
            truth: None,
        };
        let selection = select(reader.topics(), &choice).with_context(|| path.display().to_string())?;
        let [camera] = &selection.cameras[..] else {
            let topics: Vec<&str> = selection.cameras.iter().map(|camera| camera.images.name.as_str()).collect();
            anyhow::bail!("{} has several cameras: choose one with --topic: {}", path.display(), topics.join(", "));
        };
        let (topic, images) = (camera.images.name.clone(), camera.images.message_count);
        let regions =
            camera.regions.as_ref().map(|topic| largest_regions(reader, &topic.name, options.object.as_deref()));
        let regions = regions.transpose()?;
        if regions.as_ref().is_some_and(HashMap::is_empty) {
            let of_object = options.object.as_ref().map_or_else(String::new, |id| format!(" with the id {id}"));
            anyhow::bail!("{} has no region{of_object}: --whole-images shows whole images", path.display());
        }
        Ok(Self { path: path.to_owned(), topic, images, regions })
    }

    /// The first image that shows something, `secs` after the first one or later.
    pub(super) fn at(&self, secs: f64) -> anyhow::Result<Shot> {
        let mut first = None;
        for message in BagReader::open(&self.path)?.only(&[&self.topic]) {
            interrupt::check()?;
            let message = message?;
            let Ok((header, picture)) = recorded::picture(&message) else { continue };
            let nanos = header.stamp.nanos_since_epoch();
            let passed = nanos.saturating_sub(*first.get_or_insert(nanos)) as f64 / 1e9;
            // Stamps are whole nanoseconds, the seconds of reports are not.
            if passed + 1e-6 >= secs
                && let Some(shot) = self.shot(&header, &picture)?
            {
                return Ok(shot);
            }
        }
        anyhow::bail!(
            "nothing is shown in {} from second {secs} on: name an earlier one with --at-secs",
            self.path.display()
        )
    }

    /// The image of a message, with what is shown of it; `None` where no region is.
    fn shot(&self, header: &Header, picture: &Picture) -> Result<Option<Shot>, FrameError> {
        let nanos = header.stamp.nanos_since_epoch();
        let (id, region) = match self.regions.as_ref().map(|regions| regions.get(&nanos)) {
            None => (String::new(), Region::WHOLE),
            Some(Some(named)) => (format!(", region {}", named.id), named.region),
            Some(None) => return Ok(None),
        };
        let image = picture.frame(&DecodeOptions::default())?.into_rgb();
        let name = format!("{} at {}.{:09} s{id}", self.topic, header.stamp.sec, header.stamp.nanosec);
        Ok(Some(Shot { name, nanos: Some(nanos), image, region }))
    }
}

/// The largest region of every image, of one object where its id is given, by the stamp of the image. Messages that cannot be read are
/// said on stderr.
fn largest_regions(reader: BagReader, topic: &str, object: Option<&str>) -> anyhow::Result<HashMap<u64, NamedRegion>> {
    let mut largest: HashMap<u64, NamedRegion> = HashMap::new();
    let mut unreadable = Unreadable::default();
    let area = |named: &NamedRegion| u64::from(named.region.width) * u64::from(named.region.height);
    for message in reader.only(&[topic]) {
        let (header, regions) = match recorded::regions(&message?) {
            Ok(read) => read,
            Err(error) => {
                unreadable.add(topic, &error);
                continue;
            }
        };
        let nanos = header.stamp.nanos_since_epoch();
        for named in regions.named.into_iter().filter(|named| object.is_none_or(|id| named.id == id)) {
            if largest.get(&nanos).is_none_or(|known| area(&named) > area(known)) {
                largest.insert(nanos, named);
            }
        }
    }
    unreadable.sentences().for_each(|sentence| eprintln!("warning: {sentence}"));
    Ok(largest)
}
