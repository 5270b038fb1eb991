//! Compressed images: what their format says, PNG, and files.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use proptest::prelude::*;

use super::super::*;
use super::{difference, file};

fn gradient() -> RgbImage {
    RgbImage::from_fn(24, 16, |x, y| image::Rgb([x as u8 * 10, y as u8 * 15, 128]))
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut data = Cursor::new(Vec::new());
    image.into().write_to(&mut data, format).unwrap();
    data.into_inner()
}

fn compressed(data: &[u8], format: &str) -> Result<Frame<'static>, FrameError> {
    Frame::compressed(data, format, &DecodeOptions::default())
}

fn decode(data: &[u8]) -> Result<RgbImage, FrameError> {
    compressed(data, "").map(Frame::into_rgb)
}

#[test]
fn png_is_lossless_and_jpeg_nearly() {
    let image = gradient();
    assert_eq!(decode(&encoded(image.clone(), ImageFormat::Png)).unwrap(), image);
    let jpeg = decode(&encoded(image.clone(), ImageFormat::Jpeg)).unwrap();
    assert!(difference(&jpeg, &image, 0).1 < 6.0);
}

#[test]
fn grey_deep_and_transparent_images_become_rgb() {
    let grey = image::GrayImage::from_pixel(3, 2, image::Luma([77]));
    let grey_opaque = image::GrayAlphaImage::from_pixel(3, 2, image::LumaA([77, 3]));
    let deep = image::ImageBuffer::from_pixel(3, 2, image::Rgb([0xFFFF_u16, 0x8080, 0]));
    let deep_opaque = image::ImageBuffer::from_pixel(3, 2, image::Rgba([0x0FFF_u16, 0x0800, 0, 0xFFFF]));
    let transparent = image::RgbaImage::from_pixel(3, 2, image::Rgba([1, 2, 3, 0]));
    let colour = |image: DynamicImage| decode(&encoded(image, ImageFormat::Png)).unwrap()[(2, 1)].0;
    assert_eq!(colour(grey.into()), [77; 3]);
    assert_eq!(colour(grey_opaque.into()), [77; 3]);
    assert_eq!(colour(deep.into()), [255, 128, 0]);
    assert_eq!(colour(deep_opaque.into()), [255, 128, 0]);
    assert_eq!(colour(transparent.into()), [1, 2, 3]);
}

#[test]
fn the_depth_of_a_png_of_16_bits_is_said_or_given() {
    let grey = image::ImageBuffer::from_fn(4, 1, |x, _| image::Luma([x as u16 * 1365]));
    let data = encoded(DynamicImage::ImageLuma16(grey), ImageFormat::Png);
    let frame = compressed(&data, "mono16; png compressed ").unwrap();
    assert_eq!(frame.notes(), [Note::BitDepth { bits: 12 }]);
    assert_eq!(frame.to_rgb().pixels().map(|pixel| pixel[0]).collect::<Vec<_>>(), [0, 85, 170, 255]);
    let given = Frame::compressed(&data, "", &DecodeOptions { bit_depth: 14, ..DecodeOptions::default() }).unwrap();
    assert_eq!((given.notes(), given.to_rgb()[(3, 0)].0), (&[][..], [64; 3]));
}

/// A grey image as an `ImageFormat`, read as what the format of the message says.
fn grey_as(format: &str, kind: ImageFormat) -> Frame<'static> {
    let grey = image::GrayImage::from_fn(8, 6, |x, y| image::Luma([if x % 2 == 0 && y % 2 == 0 { 200 } else { 40 }]));
    compressed(&encoded(grey, kind), format).unwrap()
}

#[test]
fn a_grey_image_behind_a_filter_array_is_demosaiced() {
    for format in ["bayer_rggb8; png compressed ", "BAYER_RGGB8;png compressed", "bayer_rggb16; png compressed mono8"] {
        let frame = grey_as(format, ImageFormat::Png);
        assert_eq!((frame.to_rgb()[(3, 3)].0, frame.notes()), ([200, 40, 40], &[][..]), "{format}");
    }
    let jpeg = grey_as("bayer_bggr8; jpeg compressed ", ImageFormat::Jpeg).to_rgb()[(3, 3)].0;
    assert!(jpeg[2] > 150 && jpeg[0] < 90 && jpeg[1] < 90, "{jpeg:?}");
    let deep = image::ImageBuffer::from_fn(8, 6, |x, y| image::Luma([if (x | y) % 2 == 0 { 3200_u16 } else { 4095 }]));
    let deep = encoded(DynamicImage::ImageLuma16(deep), ImageFormat::Png);
    let frame = compressed(&deep, "bayer_grbg16; png compressed ").unwrap();
    assert_eq!((frame.to_rgb()[(3, 3)].0, frame.notes()), ([255, 255, 255], &[Note::BitDepth { bits: 12 }][..]));
    assert_eq!(frame.to_rgb()[(2, 2)].0, [255, 199, 255]);
}

#[test]
fn a_colour_image_behind_a_filter_array_is_taken_as_it_is() {
    let data = encoded(gradient(), ImageFormat::Png);
    for format in ["bayer_rggb8; png compressed bgr8", "rgb8; png compressed rgb8", "bgr8; png compressed", "png", "?"]
    {
        assert_eq!(compressed(&data, format).unwrap().into_rgb(), gradient(), "{format}");
    }
}

#[test]
fn lost_colours_are_said() {
    for (format, original) in [
        ("yuv422; jpeg compressed ", "yuv422"),
        ("yuyv; jpeg compressed mono8", "yuv422_yuy2"),
        ("nv21; jpeg compressed ", "nv21"),
        ("rgb8; jpeg compressed mono8", "rgb8"),
    ] {
        assert_eq!(grey_as(format, ImageFormat::Jpeg).notes(), [Note::ColourLost { original }], "{format}");
    }
    let said = grey_as("yuv422; jpeg compressed ", ImageFormat::Jpeg).notes()[0].to_string();
    assert!(said.starts_with("colour is lost: the camera delivers yuv422"), "{said}");
    for format in ["mono8; jpeg compressed ", "jpeg", "8UC1; png compressed ", "mono16; jpeg compressed "] {
        assert_eq!(grey_as(format, ImageFormat::Jpeg).notes(), [], "{format}");
    }
}

#[test]
fn depth_images_are_refused_whatever_their_data() {
    for (format, named) in [
        ("16UC1; compressedDepth png", "compressedDepth"),
        ("32FC1; compressedDepth", "compressedDepth"),
        ("16UC1; compressedDepth rvl", "compressedDepth"),
        ("16UC1; png compressed ", "16UC1"),
        (" 32fc1; tiff compressed ", "32FC1"),
    ] {
        for data in [encoded(gradient(), ImageFormat::Png), vec![0; 20]] {
            let message = compressed(&data, format).unwrap_err().to_string();
            assert!(message.starts_with(&format!("the image is {named}: this is a depth image")), "{message}");
        }
    }
}

#[test]
fn files_may_be_of_more_formats_and_misnamed() {
    let folder = tempfile::tempdir().unwrap();
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::WebP] {
        let path = folder.path().join("image.jpg");
        std::fs::write(&path, encoded(gradient(), format)).unwrap();
        assert_eq!(read_file(&path).unwrap(), gradient(), "{format:?}");
    }
    let path = folder.path().join("image.png");
    std::fs::write(&path, file("jpeg_no_tables.jpg")).unwrap();
    assert_eq!(read_file(&path).unwrap().dimensions(), (45, 35));
}

#[test]
fn a_truncated_png_is_refused_at_every_length() {
    let data = encoded(gradient(), ImageFormat::Png);
    // The last chunk of a PNG is empty: the pixels are complete without it.
    for length in 0..data.len() - 12 {
        assert!(decode(&data[..length]).is_err(), "cut to {length} of {}", data.len());
    }
}

#[test]
fn huge_claims_are_refused_before_memory_is_taken() {
    let mut png = encoded(gradient(), ImageFormat::Png);
    let options = DecodeOptions { max_pixels: 24 * 16 - 1, ..DecodeOptions::default() };
    let refused = Frame::compressed(&png, "", &options);
    assert!(matches!(refused, Err(FrameError::TooLarge { width: 24, height: 16, limit: 383 })));
    png[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
    let crc = crc32fast::hash(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    assert!(matches!(decode(&png), Err(FrameError::TooLarge { width: 65535, height: 65535, .. })));
}

#[test]
fn other_formats_are_named_by_their_first_bytes() {
    assert_eq!(
        decode(b"GIF89a").unwrap_err().to_string(),
        "the data are not JPEG or PNG (first bytes: 47 49 46 38 39 61)"
    );
    assert_eq!(decode(&[]).unwrap_err().to_string(), "the data are not JPEG or PNG (first bytes: none)");
}

proptest! {
    #[test]
    fn damaged_png_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20), format in ".{0,40}"
    ) {
        let mut data = encoded(gradient(), ImageFormat::Png);
        for (index, value) in flips {
            *index.get_mut(&mut data) = value;
        }
        let _ = compressed(&data, &format);
    }
}

#[test]
fn thumbnails_keep_their_shape() {
    let size = |width, height| crate::frame::thumbnail(image::RgbImage::new(width, height), 128).dimensions();
    assert_eq!(size(100, 20), (100, 20));
    assert_eq!(size(1280, 640), (128, 64));
    assert_eq!(size(1, 5000), (1, 128));
}
