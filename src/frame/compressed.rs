//! Compressed images as `sensor_msgs/CompressedImage` carries them, and image files.

use std::{
    borrow::Cow,
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use super::encoding::{Encoding, MONO8, MONO16, RGB8, RGB16, RGBA8, RGBA16};
use super::source::{Frame, Note, mosaic_of, packed};
use super::{DecodeOptions, FrameError, check_dimensions, jpeg};

/// Memory that a decoder may take besides the result: four channels of two bytes for every pixel of the largest image, and
/// what it needs for an image of any size.
const DECODER_BYTES_PER_PIXEL: u64 = 8;
const DECODER_BYTES: u64 = 1 << 20;

impl Frame<'static> {
    /// Decodes a JPEG or PNG of a `sensor_msgs/CompressedImage`; which of the two tell its first bytes. `format` is the
    /// message's: what it says about the camera's own encoding counts, as `image_transport` writes it (`"bayer_rggb8;
    /// jpeg compressed "`):
    ///
    /// - a grey image of a camera with a colour filter array is demosaiced, where pixels are asked for;
    /// - a grey image of any other colour camera is read as grey, with [`Note::ColourLost`];
    /// - a depth image (`16UC1`, `32FC1`, `compressedDepth`) is refused.
    ///
    /// Red and blue are where JPEG and PNG have them, whatever the format says of `rgb8` or `bgr8`. Opacity is dropped;
    /// an EXIF orientation is not applied.
    ///
    /// # Errors
    /// [`FrameError::Depth`] for a depth image, [`FrameError::Format`] for data that are neither JPEG nor PNG,
    /// [`FrameError::Empty`] and [`FrameError::TooLarge`] for the claimed dimensions, [`FrameError::Truncated`],
    /// [`FrameError::Jpeg`] and [`FrameError::Decode`] for damaged data.
    pub fn compressed(data: &[u8], format: &str, options: &DecodeOptions) -> Result<Self, FrameError> {
        let original = original_encoding(format)?;
        match kind_of(data) {
            Some(kind @ (ImageFormat::Jpeg | ImageFormat::Png)) => {
                decode(data, kind, options).map(|frame| as_the_camera_has_it(frame, original))
            }
            _ => Err(FrameError::Format { expected: "JPEG or PNG", start: start_of(data) }),
        }
    }
}

/// A JPEG file of an image; `quality` is 1..100.
///
/// # Errors
/// [`ImageError`] for an image without pixels, or with more than 65,535 in a row or column.
pub fn encode_jpeg(image: &RgbImage, quality: u8) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image)?;
    Ok(bytes)
}

/// A PNG file of an image.
///
/// # Errors
/// [`ImageError`] for an image that PNG cannot hold.
pub fn encode_png(image: &RgbImage) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(bytes)
}

/// Makes an image so small that neither side is longer than `longest` pixels; a small one stays as it is.
#[must_use]
pub fn thumbnail(image: RgbImage, longest: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    if longer <= longest {
        return image;
    }
    let side = |pixels: u32| (u64::from(pixels) * u64::from(longest) / u64::from(longer)).max(1) as u32;
    image::imageops::thumbnail(&image, side(width), side(height))
}

/// Reads an image file: JPEG, PNG, PPM/PGM, BMP or WebP, told apart by their first bytes, not by the file's name. Samples
/// of 16 bits are read as those of a compressed image with the default options.
///
/// # Errors
/// [`FrameError::Read`] when the file cannot be read, otherwise as [`Frame::compressed`].
pub fn read_file(path: &Path) -> Result<RgbImage, FrameError> {
    let data = std::fs::read(path)?;
    match kind_of(&data) {
        Some(kind) if kind.reading_enabled() => decode(&data, kind, &DecodeOptions::default()).map(Frame::into_rgb),
        _ => Err(FrameError::Format { expected: "JPEG, PNG, PPM, PGM, BMP or WebP", start: start_of(&data) }),
    }
}

/// Told by the first bytes; those of a JPEG may be followed by stray ones.
fn kind_of(data: &[u8]) -> Option<ImageFormat> {
    let is_jpeg = data.starts_with(&[0xFF, 0xD8]);
    if is_jpeg { Some(ImageFormat::Jpeg) } else { image::guess_format(data).ok() }
}

/// The encoding of the camera, where `CompressedImage.format` names one: it stands before the semicolon.
fn original_encoding(format: &str) -> Result<Option<Encoding>, FrameError> {
    if format.to_ascii_lowercase().contains("compresseddepth") {
        return Err(FrameError::Depth { encoding: "compressedDepth" });
    }
    match format.split(';').next().and_then(Encoding::from_ros) {
        Some(depth) if depth.is_depth() => Err(FrameError::Depth { encoding: depth.ros_name() }),
        original => Ok(original),
    }
}

fn as_the_camera_has_it(frame: Frame<'static>, original: Option<Encoding>) -> Frame<'static> {
    let Some(original) = original.filter(|original| original.has_colour() && !frame.encoding().has_colour()) else {
        return frame;
    };
    match mosaic_of(frame.encoding(), original) {
        Some(mosaic) => frame.reinterpreted(mosaic),
        None => frame.with_note(Note::ColourLost { original: original.ros_name() }),
    }
}

fn decode(data: &[u8], kind: ImageFormat, options: &DecodeOptions) -> Result<Frame<'static>, FrameError> {
    guarded(|| match kind {
        ImageFormat::Jpeg => {
            let jpeg::Pixels { encoding, width, height, rows, samples } =
                jpeg::decode(data, options.max_pixels, options.rows)?;
            Ok(Frame::new(packed(encoding, width, height), Cow::Owned(samples), options).of_rows(rows))
        }
        _ => decode_other(data, kind, options),
    })
}

/// A panic of a decoder becomes an error: the decoders are other people's code, and here it meets hostile data with
/// overflow checks on.
fn guarded<T>(decode: impl FnOnce() -> Result<T, FrameError>) -> Result<T, FrameError> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        let damage = std::io::Error::other("the decoder gave up on damaged data");
        Err(FrameError::Decode(image::ImageError::IoError(damage)))
    })
}

fn decode_other(data: &[u8], kind: ImageFormat, options: &DecodeOptions) -> Result<Frame<'static>, FrameError> {
    let mut limits = Limits::no_limits();
    let bytes = options.max_pixels.saturating_mul(DECODER_BYTES_PER_PIXEL).saturating_add(DECODER_BYTES);
    limits.max_alloc = Some(bytes);
    let mut reader = ImageReader::with_format(Cursor::new(data), kind);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check_dimensions(width, height, options.max_pixels)?;
    let (encoding, samples) = samples_of(DynamicImage::from_decoder(decoder)?);
    Ok(Frame::new(packed(encoding, width, height), Cow::Owned(samples), options))
}

fn samples_of(image: DynamicImage) -> (Encoding, Vec<u8>) {
    let bytes = |samples: &[u16]| bytemuck::cast_slice(samples).to_vec();
    match image {
        DynamicImage::ImageLuma8(image) => (MONO8, image.into_raw()),
        DynamicImage::ImageLumaA8(_) => (MONO8, image.into_luma8().into_raw()),
        DynamicImage::ImageRgba8(image) => (RGBA8, image.into_raw()),
        DynamicImage::ImageLuma16(image) => (MONO16, bytes(&image)),
        DynamicImage::ImageLumaA16(_) => (MONO16, bytes(&image.into_luma16())),
        DynamicImage::ImageRgb16(image) => (RGB16, bytes(&image)),
        DynamicImage::ImageRgba16(image) => (RGBA16, bytes(&image)),
        image => (RGB8, image.into_rgb8().into_raw()),
    }
}

fn start_of(data: &[u8]) -> String {
    let bytes: Vec<String> = data.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    if bytes.is_empty() { "none".to_owned() } else { bytes.join(" ") }
}
