//! A camera image whose pixels are converted when they are asked for.

use std::{borrow::Cow, fmt};

use image::RgbImage;

use super::convert::{BitDepth, Description, View};
use super::encoding::{Encoding, Layout, MONO8, RGB8, Sample};
use super::{DecodeOptions, FrameError, Region, check_dimensions};

/// A raw image as the sender describes it; nothing is checked yet.
#[derive(Debug, Clone, Copy)]
pub struct RawImage<'a> {
    /// Name of the encoding in `sensor_msgs/image_encodings`.
    pub encoding: &'a str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from the start of one row to the start of the next one; rows may be padded.
    pub step: u32,
    /// Whether samples of two bytes have their high byte first.
    pub is_bigendian: bool,
    /// `step · height` bytes, and the chroma of `nv12`, `nv21` and `nv24` behind them.
    pub data: &'a [u8],
}

/// Something about an image that its user should know, though it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Note {
    /// The image has samples of 16 bits, and how many of them are used was concluded from their largest one.
    BitDepth {
        /// Bits that are taken to be used.
        bits: u32,
    },
    /// The camera delivers colours, but what arrived is grey.
    ColourLost {
        /// Encoding of the camera as `CompressedImage.format` names it.
        original: &'static str,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BitDepth { bits } => write!(
                formatter,
                "the samples of 16 bits are read as {bits}-bit data, the smallest depth that holds the largest of \
                 them; name the depth of the camera if it is another one or if the brightness jumps"
            ),
            Self::ColourLost { original } => write!(
                formatter,
                "colour is lost: the camera delivers {original}, but the compressed image is grey; convert it to bgr8 \
                 before it is compressed, or take the raw image"
            ),
        }
    }
}

/// A camera image: a view of the bytes of a message, or decoded from a compressed one. Pixels become RGB only where they
/// are asked for.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    description: Description,
    data: Cow<'a, [u8]>,
    /// Rows that are there, from the top.
    rows: u32,
    notes: Vec<Note>,
}

impl<'a> Frame<'a> {
    /// Looks at a raw image: its description is checked against its bytes, no pixel is converted.
    ///
    /// # Errors
    /// [`FrameError::Encoding`], [`FrameError::Empty`], [`FrameError::TooLarge`], [`FrameError::Odd`],
    /// [`FrameError::Step`] or [`FrameError::DataLength`] when the description is not supported or does not fit the
    /// bytes, [`FrameError::Depth`] for a depth image.
    pub fn raw(raw: &RawImage<'a>, options: &DecodeOptions) -> Result<Self, FrameError> {
        let found = || FrameError::Encoding { found: raw.encoding.to_owned() };
        let encoding = Encoding::from_ros(raw.encoding).ok_or_else(found)?;
        let step = check(raw, encoding, options)?;
        let (width, height, big_endian) = (raw.width, raw.height, raw.is_bigendian);
        let description = Description { encoding, width, height, step, big_endian, bit_depth: BitDepth::FULL };
        Ok(Self::new(description, Cow::Borrowed(raw.data), options))
    }

    /// `data` fit the description, whose `bit_depth` is found out here.
    pub(super) fn new(mut description: Description, data: Cow<'a, [u8]>, options: &DecodeOptions) -> Self {
        let mut notes = Vec::new();
        if description.encoding.is_deep() {
            description.bit_depth = match options.bit_depth {
                0 => BitDepth::holding(View { description, data: &data }.largest_sample()),
                bits => BitDepth::of_bits(bits),
            };
            if options.bit_depth == 0 {
                notes.push(Note::BitDepth { bits: description.bit_depth.bits() });
            }
        }
        Self { description, data, rows: description.height, notes }
    }

    /// The same, of which only the upper rows are there.
    pub(super) fn of_rows(self, rows: u32) -> Self {
        Self { rows, ..self }
    }

    /// Rows that are there, from the top.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// Whether all rows are there ([`DecodeOptions::rows`]).
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.rows == self.height()
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.description.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.description.height
    }

    /// What its user should know about the image.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Converts the part of `region` that lies in the image, and nothing else. The pixels are those that the whole image
    /// has there.
    ///
    /// # Errors
    /// As [`Region::clipped`]; [`FrameError::RowsLeftOut`] where rows of it were not decoded.
    pub fn crop(&self, region: Region) -> Result<RgbImage, FrameError> {
        let region = region.clipped(self.width(), self.height())?;
        if region.y + region.height > self.rows {
            return Err(FrameError::RowsLeftOut { region, rows: self.rows });
        }
        Ok(self.view().crop(region))
    }

    /// Converts the whole image, of which all rows have to be there.
    #[must_use]
    pub fn to_rgb(&self) -> RgbImage {
        debug_assert!(self.is_whole(), "rows were left out");
        self.crop(Region::WHOLE).unwrap_or_default()
    }

    /// As [`Frame::to_rgb`], without copying what is RGB in memory of its own already.
    #[must_use]
    pub fn into_rgb(self) -> RgbImage {
        let is_rgb = self.description.encoding == RGB8 && self.packed_width() == Some(self.width());
        match self.data {
            Cow::Owned(pixels) if is_rgb && self.rows == self.description.height => {
                RgbImage::from_raw(self.description.width, self.description.height, pixels).unwrap_or_default()
            }
            data => Frame { data, ..self }.to_rgb(),
        }
    }

    /// The frame when it lies in memory of its own, as decoded ones do; `None` when it is a view of a message.
    #[must_use]
    pub fn into_owned(self) -> Option<Frame<'static>> {
        match self.data {
            Cow::Owned(data) => Some(Frame {
                description: self.description,
                data: Cow::Owned(data),
                rows: self.rows,
                notes: self.notes,
            }),
            Cow::Borrowed(_) => None,
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View { description: self.description, data: &self.data }
    }

    /// Replaces the encoding by another one whose samples lie in the same way.
    pub(super) fn reinterpreted(mut self, encoding: Encoding) -> Self {
        self.description.encoding = encoding;
        self
    }

    pub(super) fn with_note(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.description.encoding
    }

    /// Pixels from one row to the next one when the rows are a whole number of pixels apart.
    pub(super) fn packed_width(&self) -> Option<u32> {
        let bytes = self.description.encoding.bytes_per_pixel();
        let pixels = self.description.step.is_multiple_of(bytes).then_some(self.description.step / bytes)?;
        u32::try_from(pixels).ok()
    }
}

impl From<RgbImage> for Frame<'static> {
    fn from(image: RgbImage) -> Self {
        let (width, height) = image.dimensions();
        Self {
            description: packed(RGB8, width, height),
            data: Cow::Owned(image.into_raw()),
            rows: height,
            notes: Vec::new(),
        }
    }
}

impl<'a> From<&'a RgbImage> for Frame<'a> {
    fn from(image: &'a RgbImage) -> Self {
        let (width, height) = image.dimensions();
        Self {
            description: packed(RGB8, width, height),
            data: Cow::Borrowed(image.as_raw()),
            rows: height,
            notes: Vec::new(),
        }
    }
}

/// The same image without its notes, not a copy of its pixels.
impl<'a> From<&'a Frame<'_>> for Frame<'a> {
    fn from(frame: &'a Frame<'_>) -> Self {
        Self { description: frame.description, data: Cow::Borrowed(&frame.data), rows: frame.rows, notes: Vec::new() }
    }
}

/// Rows without padding, and samples of two bytes as this machine has them.
pub(super) fn packed(encoding: Encoding, width: u32, height: u32) -> Description {
    let step = encoding.bytes_per_pixel() * width as usize;
    let big_endian = cfg!(target_endian = "big");
    Description { encoding, width, height, step, big_endian, bit_depth: BitDepth::FULL }
}

/// Checks the description against the data; returns the bytes from one row to the next one.
fn check(raw: &RawImage<'_>, encoding: Encoding, options: &DecodeOptions) -> Result<usize, FrameError> {
    let &RawImage { width, height, .. } = raw;
    check_dimensions(width, height, options.max_pixels)?;
    let (columns, rows) = encoding.block();
    if !width.is_multiple_of(columns) || !height.is_multiple_of(rows) {
        return Err(FrameError::Odd { width, height, encoding: encoding.ros_name(), columns, rows });
    }
    let step = check_size(raw, encoding)?;
    if encoding.is_depth() {
        return Err(FrameError::Depth { encoding: encoding.ros_name() });
    }
    Ok(step)
}

fn check_size(raw: &RawImage<'_>, encoding: Encoding) -> Result<usize, FrameError> {
    let found = raw.data.len() as u64;
    let row_bytes = encoding.row_bytes(raw.width);
    // What drivers write into the step of planes differs: none of the rules for it counts the bytes of a row of luma.
    if matches!(encoding.layout(), Layout::SemiPlanar(_)) && found == encoding.image_bytes(raw.height, row_bytes) {
        return Ok(row_bytes as usize);
    }
    let (step, expected) = (raw.step, encoding.image_bytes(raw.height, raw.step.into()));
    let encoding = encoding.ros_name();
    if u64::from(step) < row_bytes {
        return Err(FrameError::Step { found: step, expected: row_bytes, width: raw.width, encoding });
    }
    if found != expected {
        return Err(FrameError::DataLength { found, expected, encoding, step, height: raw.height });
    }
    Ok(step as usize)
}

/// The encoding of a mosaic whose samples are those of a grey image.
pub(super) fn mosaic_of(grey: Encoding, original: Encoding) -> Option<Encoding> {
    let Layout::Mosaic { cfa, .. } = original.layout() else { return None };
    let sample = if grey == MONO8 { Sample::U8 } else { Sample::U16 };
    let wanted = Layout::Mosaic { cfa, sample };
    Encoding::ALL.iter().copied().find(|encoding| encoding.layout() == wanted)
}

/// Channels of an image of interleaved bytes and the order of red, green and blue among them; `None` for other images.
pub(super) fn byte_channels(encoding: Encoding) -> Option<(usize, [usize; 3])> {
    match encoding.layout() {
        Layout::Packed { channels, rgb, sample: Sample::U8 } => Some((channels, rgb)),
        _ => None,
    }
}
