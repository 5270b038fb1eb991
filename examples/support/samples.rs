//! Labelled images: loaded, divided by track, reduced to the network's input.

use std::path::Path;

use activation_monitor::dataset::{LabelledImage, labelled_images, track_of};
use activation_monitor::frame::{self, Region};
use activation_monitor::model::InputSpec;
use activation_monitor::training::ImageSet;
use anyhow::{Context, Result, ensure};
use image::RgbImage;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// One labelled image.
#[derive(Clone)]
pub struct Sample {
    /// The image in its own size.
    pub image: RgbImage,
    /// Index of its class.
    pub class: usize,
    /// Names the image; frames of one track share the part before the last `_` of the file stem.
    pub key: String,
}

/// Reads all images of a folder with one sub-folder per class.
pub fn load_samples(folder: &Path, classes: &[String]) -> Result<Vec<Sample>> {
    let read = |entry: &LabelledImage| {
        let path = &entry.file.path;
        let image = image::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Sample { image: image.into_rgb8(), class: entry.class, key: entry.file.key.clone() })
    };
    labelled_images(folder, classes)?.par_iter().map(read).collect()
}

/// Whether an image belongs to the held-out `share` (0..1) of all tracks. Depends on the track and `seed` alone, so all
/// frames of one track go the same way.
pub fn is_held_out(key: &str, share: f64, seed: u64) -> bool {
    let digest = Sha256::digest(format!("{seed}/{}", track_of(key)).as_bytes());
    let number = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(number) / f64::from(u32::MAX) < share
}

/// The images as the network sees them.
pub fn image_set<'a>(samples: impl IntoIterator<Item = &'a Sample>, input: &InputSpec) -> Result<ImageSet> {
    let mut set = ImageSet::new(input.height, input.width);
    for sample in samples {
        set.push(frame::cut(&sample.image, Region::WHOLE, input)?.view(), sample.class);
    }
    ensure!(!set.is_empty(), "no images: is it the folder with one sub-folder per class?");
    Ok(set)
}
