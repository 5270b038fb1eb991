//! What is known of an image once it is judged.

use std::sync::Arc;

use image::RgbImage;

use crate::activation::{Activations, Features};
use crate::frame::{DecodeOptions, Frame};
use crate::intake::request::{Answer, Picture};

/// Everything known about one image once it is judged.
#[derive(Debug)]
pub struct Judged {
    /// What to publish.
    pub answer: Answer,
    /// The image and what the network made of it.
    pub evidence: Evidence,
}

/// What there is to show and to record besides the answer.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Image as it arrived.
    pub picture: Picture,
    /// How it is read.
    pub options: DecodeOptions,
    /// The image where it had to be decoded as a whole.
    pub decoded: Option<Frame<'static>>,
    /// Activations of the judged regions.
    pub activations: Option<Arc<Activations>>,
    /// Row in `activations` of every region.
    pub rows: Vec<Option<usize>>,
}

impl Evidence {
    /// An image that nothing was found out about.
    #[must_use]
    pub fn of(picture: Picture, options: DecodeOptions) -> Self {
        Self { picture, options, decoded: None, activations: None, rows: Vec::new() }
    }

    /// What the detectors see of a region; `None` of one that was not judged.
    #[must_use]
    pub fn features(&self, region: usize) -> Option<Features> {
        let row = self.rows.get(region).copied().flatten()?;
        Some(self.activations.as_ref()?.features(row))
    }

    /// Converts the whole image, of which only the regions were converted so far; `None` where it cannot be decoded.
    #[must_use]
    pub fn image(&self) -> Option<RgbImage> {
        match &self.decoded {
            Some(frame) => Some(frame.to_rgb()),
            None => self.picture.rgb(&DecodeOptions { rows: u32::MAX, ..self.options }).ok(),
        }
    }
}
