//! What is known of an image once it is judged.

use std::sync::Arc;

use image::RgbImage;

use crate::activation::Activations;
use crate::frame::{DecodeOptions, Frame};
use crate::node::input::request::{Answer, Picture};

/// Everything known about one image once it is judged.
#[derive(Debug)]
pub struct Judged {
    /// What to publish.
    pub answer: Answer,
    /// The image and what the network made of it; `None` when it could not be decoded or had no regions.
    pub evidence: Option<Evidence>,
}

/// What the viewer shows besides the answer.
#[derive(Debug)]
pub struct Evidence {
    /// The image where it had to be decoded as a whole.
    pub decoded: Option<Frame<'static>>,
    /// Image as it arrived.
    pub picture: Picture,
    /// How it is read.
    pub options: DecodeOptions,
    /// Activations of the judged regions.
    pub activations: Option<Arc<Activations>>,
    /// Row in `activations` of every region.
    pub rows: Vec<Option<usize>>,
}

impl Evidence {
    /// Converts the whole image, of which only the regions were converted so far.
    #[must_use]
    pub fn image(&self) -> RgbImage {
        match &self.decoded {
            Some(frame) => frame.to_rgb(),
            None => self.picture.frame(&self.options).map(Frame::into_rgb).unwrap_or_default(),
        }
    }
}
