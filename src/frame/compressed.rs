//! Compressed images as `sensor_msgs/CompressedImage` carries them, and image files.

use std::{io::Cursor, path::Path};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::{FrameError, MAX_PIXELS, check_dimensions};

/// Memory a decoder may take besides the result; four channels of two bytes for every pixel.
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 8;

/// Decodes a JPEG or PNG, told apart by their first bytes; what the sender says about the format is not needed.
/// Opacity is dropped, 16 bit are reduced to 8, grey becomes RGB; an EXIF orientation is not applied.
///
/// # Errors
/// [`FrameError::Format`] for other data, [`FrameError::Empty`] and [`FrameError::TooLarge`] for the claimed
/// dimensions, [`FrameError::Truncated`] and [`FrameError::Decode`] for damaged data.
pub fn decode_compressed(data: &[u8]) -> Result<RgbImage, FrameError> {
    match image::guess_format(data) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) => decode(data, format),
        _ => Err(FrameError::Format { expected: "JPEG or PNG", start: start_of(data) }),
    }
}

/// Reads an image file: JPEG, PNG, PPM/PGM, BMP or WebP, told apart by their first bytes, not by the file's name.
///
/// # Errors
/// [`FrameError::Read`] when the file cannot be read, otherwise as [`decode_compressed`].
pub fn read_file(path: &Path) -> Result<RgbImage, FrameError> {
    let data = std::fs::read(path)?;
    match image::guess_format(&data) {
        Ok(format) if format.reading_enabled() => decode(&data, format),
        _ => Err(FrameError::Format { expected: "JPEG, PNG, PPM, PGM, BMP or WebP", start: start_of(&data) }),
    }
}

fn decode(data: &[u8], format: ImageFormat) -> Result<RgbImage, FrameError> {
    // The JPEG decoder fills what is missing with grey and reports success.
    if format == ImageFormat::Jpeg && !has_end_of_image(data) {
        return Err(FrameError::Truncated { actual: data.len() });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(data), format);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check_dimensions(width, height)?;
    Ok(DynamicImage::from_decoder(decoder)?.into_rgb8())
}

/// Whether an end-of-image marker follows the start of the pixel data. One inside of an embedded thumbnail, which
/// precedes them, does not count.
fn has_end_of_image(jpeg: &[u8]) -> bool {
    let Some(scan) = start_of_scan(jpeg) else { return false };
    jpeg[scan..].windows(2).rev().any(|marker| marker == [0xFF, 0xD9])
}

/// Offset of the start-of-scan marker: walks over the segments before it (ITU-T T.81, B.1.1.4).
fn start_of_scan(jpeg: &[u8]) -> Option<usize> {
    let mut offset = 2;
    loop {
        match jpeg.get(offset..offset + 4)? {
            [0xFF, 0xDA, ..] => return Some(offset),
            // Any number of fill bytes may precede a marker.
            [0xFF, 0xFF, ..] => offset += 1,
            [0xFF, _, high, low] => offset += 2 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return None,
        }
    }
}

fn start_of(data: &[u8]) -> String {
    let bytes: Vec<String> = data.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    if bytes.is_empty() { "none".to_owned() } else { bytes.join(" ") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gradient() -> RgbImage {
        RgbImage::from_fn(24, 16, |x, y| image::Rgb([x as u8 * 10, y as u8 * 15, 128]))
    }

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut data = Cursor::new(Vec::new());
        image.into().write_to(&mut data, format).unwrap();
        data.into_inner()
    }

    #[test]
    fn png_is_lossless_and_jpeg_nearly() {
        let image = gradient();
        assert_eq!(decode_compressed(&encoded(image.clone(), ImageFormat::Png)).unwrap(), image);
        let jpeg = decode_compressed(&encoded(image.clone(), ImageFormat::Jpeg)).unwrap();
        let difference: u32 = jpeg.iter().zip(image.iter()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        assert_eq!(jpeg.dimensions(), image.dimensions());
        assert!(difference < 6 * jpeg.len() as u32, "mean difference {difference} / {}", jpeg.len());
    }

    #[test]
    fn grey_deep_and_transparent_images_become_rgb() {
        let grey = image::GrayImage::from_pixel(3, 2, image::Luma([77]));
        let deep = image::ImageBuffer::from_pixel(3, 2, image::Rgb([0xFFFF_u16, 0x8080, 0]));
        let transparent = image::RgbaImage::from_pixel(3, 2, image::Rgba([1, 2, 3, 0]));
        let colour = |image: DynamicImage| decode_compressed(&encoded(image, ImageFormat::Png)).unwrap()[(2, 1)].0;
        assert_eq!(colour(grey.into()), [77; 3]);
        assert_eq!(colour(deep.into()), [255, 128, 0]);
        assert_eq!(colour(transparent.into()), [1, 2, 3]);
    }

    #[test]
    fn files_may_be_of_more_formats_and_misnamed() {
        let folder = tempfile::tempdir().unwrap();
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::WebP] {
            let path = folder.path().join("image.jpg");
            std::fs::write(&path, encoded(gradient(), format)).unwrap();
            assert_eq!(read_file(&path).unwrap(), gradient(), "{format:?}");
        }
    }

    #[test]
    fn truncated_data_are_refused_at_every_length() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let data = encoded(gradient(), format);
            // The last chunk of a PNG is empty: the pixels are complete without it.
            let complete = if format == ImageFormat::Png { data.len() - 12 } else { data.len() };
            for length in 0..complete {
                assert!(decode_compressed(&data[..length]).is_err(), "{format:?} cut to {length} of {}", data.len());
            }
        }
    }

    #[test]
    fn a_thumbnail_does_not_hide_truncation() {
        let jpeg = encoded(gradient(), ImageFormat::Jpeg);
        let thumbnail = [0xFF, 0xE1, 0x00, 0x06, 0xFF, 0xD8, 0xFF, 0xD9];
        let mut data = [&jpeg[..2], &thumbnail, &jpeg[2..]].concat();
        assert!(decode_compressed(&data).is_ok());
        data.truncate(data.len() - 2);
        assert!(matches!(decode_compressed(&data), Err(FrameError::Truncated { .. })));
    }

    #[test]
    fn huge_claims_are_refused_before_memory_is_taken() {
        let mut png = encoded(gradient(), ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
        let crc = crc32fast::hash(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(matches!(decode_compressed(&png), Err(FrameError::TooLarge { width: 65535, height: 65535 })));

        let mut jpeg = encoded(gradient(), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
        assert!(matches!(decode_compressed(&jpeg), Err(FrameError::TooLarge { width: 65535, height: 65535 })));
    }

    #[test]
    fn other_formats_are_named_by_their_first_bytes() {
        assert_eq!(
            decode_compressed(b"GIF89a").unwrap_err().to_string(),
            "the data are not JPEG or PNG (first bytes: 47 49 46 38 39 61)"
        );
        assert_eq!(decode_compressed(&[]).unwrap_err().to_string(), "the data are not JPEG or PNG (first bytes: none)");
    }

    proptest! {
        #[test]
        fn damaged_data_never_panic(
            jpeg in any::<bool>(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)
        ) {
            let mut data = encoded(gradient(), if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png });
            for (index, value) in flips {
                *index.get_mut(&mut data) = value;
            }
            let _ = decode_compressed(&data);
        }
    }
}
