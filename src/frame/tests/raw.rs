//! Raw images.

use image::imageops::crop_imm;
use proptest::prelude::*;

use super::super::*;
use super::{Fixture, difference, file, fixtures};

fn raw_fixtures() -> Vec<(Fixture, Encoding, Vec<u8>)> {
    let raw = fixtures().into_iter().filter(|fixture| fixture.encoding.is_some());
    raw.map(|fixture| {
        let encoding = Encoding::from_ros(fixture.encoding.as_deref().unwrap()).unwrap();
        let data = file(&format!("{}.raw", fixture.name));
        (fixture, encoding, data)
    })
    .collect()
}

fn described<'a>(fixture: &'a Fixture, data: &'a [u8]) -> RawImage<'a> {
    let &Fixture { width, height, step, is_bigendian, .. } = fixture;
    RawImage { encoding: fixture.encoding.as_deref().unwrap(), width, height, step, is_bigendian, data }
}

/// Packed and YUV encodings agree with OpenCV to the last bit, demosaicing away from the edge, too (by 1 where samples of
/// 16 bits are narrowed before the mean is taken instead of after it). At the edge OpenCV repeats the colours of the next
/// pixels, where we mirror.
#[test]
fn every_encoding_agrees_with_opencv() {
    let mut seen = Vec::new();
    for (fixture, encoding, data) in raw_fixtures() {
        let name = &fixture.name;
        let image = Frame::raw(&described(&fixture, &data), &DecodeOptions::default()).unwrap().to_rgb();
        let expected = fixture.expected();
        match name.starts_with("bayer") {
            false => assert_eq!(difference(&image, &expected, 0).0, 0, "{name}"),
            true => {
                assert!(difference(&image, &expected, 1).0 <= u8::from(name.contains("16")), "{name}");
                let mean = difference(&image, &expected, 0).1;
                assert!(mean < 3.0, "{name}: mean error with the edge {mean}");
            }
        }
        seen.push(encoding);
    }
    for encoding in Encoding::ALL.iter().filter(|encoding| !encoding.is_depth()) {
        assert!(seen.contains(encoding), "no fixture for {}", encoding.ros_name());
    }
}

#[test]
fn aliases_are_read_as_what_they_stand_for() {
    for (fixture, encoding, data) in raw_fixtures() {
        let Some(alias) = encoding.alias() else { continue };
        let raw = described(&fixture, &data);
        let convert = |encoding| Frame::raw(&RawImage { encoding, ..raw }, &DecodeOptions::default()).unwrap().to_rgb();
        assert_eq!(convert(alias), convert(encoding.ros_name()), "{alias}");
    }
}

#[test]
fn the_bit_depth_comes_from_the_data_and_is_said_or_from_the_options() {
    for (fixture, encoding, data) in raw_fixtures() {
        let raw = described(&fixture, &data);
        let from_data = Frame::raw(&raw, &DecodeOptions::default()).unwrap();
        match fixture.bits {
            None => assert_eq!(from_data.notes(), [], "{}", fixture.name),
            Some(bits) => {
                assert_eq!(from_data.notes(), [Note::BitDepth { bits: bits.into() }], "{}", fixture.name);
                let given = DecodeOptions { bit_depth: bits, ..DecodeOptions::default() };
                let given = Frame::raw(&raw, &given).unwrap();
                assert_eq!((given.notes(), given.to_rgb()), (&[][..], from_data.to_rgb()), "{}", fixture.name);
            }
        }
        assert_eq!(fixture.bits.is_some(), encoding.ros_name().ends_with("16"));
    }
}

#[test]
fn a_given_bit_depth_scales_and_saturates() {
    let data: Vec<u8> = [0_u16, 512, 1023, 4095].iter().flat_map(|sample| sample.to_be_bytes()).collect();
    let raw = RawImage { encoding: "mono16", width: 4, height: 1, step: 8, is_bigendian: true, data: &data };
    let red = |bit_depth| {
        let options = DecodeOptions { bit_depth, ..DecodeOptions::default() };
        Frame::raw(&raw, &options).unwrap().to_rgb().pixels().map(|pixel| pixel[0]).collect::<Vec<_>>()
    };
    assert_eq!(red(10), [0, 128, 255, 255]);
    assert_eq!(red(0), red(12));
    assert_eq!(red(12), [0, 32, 64, 255]);
    assert_eq!(red(16), [0, 2, 4, 16]);
}

#[test]
fn the_step_of_planes_without_padding_does_not_matter() {
    for (name, bytes) in [("nv12", 36), ("nv21", 36), ("nv24", 72)] {
        let data: Vec<u8> = (0..bytes).map(|index| index * 3).collect();
        let raw = RawImage { encoding: name, width: 6, height: 4, step: 6, is_bigendian: false, data: &data };
        let convert =
            |step| Frame::raw(&RawImage { step, ..raw }, &DecodeOptions::default()).map(|frame| frame.to_rgb());
        let expected = convert(6).unwrap();
        for step in [0, 9, 12, 18] {
            assert_eq!(convert(step).unwrap(), expected, "{name} with step {step}");
        }
    }
}

fn error(image: &RawImage<'_>) -> String {
    Frame::raw(image, &DecodeOptions::default()).unwrap_err().to_string()
}

#[test]
fn errors_name_found_and_expected() {
    let data = [0; 45];
    let raw = |encoding, step| RawImage { encoding, width: 5, height: 3, step, is_bigendian: false, data: &data };
    let unknown = error(&raw("yuv420p", 15));
    assert!(unknown.starts_with("unsupported encoding `yuv420p`; supported: rgb8, bgr8, "), "{unknown}");
    assert_eq!(error(&raw("rgb8", 14)), "step is 14 bytes, but a row of 5 rgb8 pixels needs at least 15");
    assert_eq!(
        error(&raw("RGB8", 16)),
        "the image has 45 bytes of data, but rgb8 with a step of 16 and 3 rows needs 48"
    );
    assert_eq!(
        error(&RawImage { width: 4, height: 2, ..raw("nv12", 8) }),
        "the image has 45 bytes of data, but nv12 with a step of 8 and 2 rows needs 24"
    );
    assert_eq!(
        error(&raw("uyvy", 10)),
        "the image is 5×3, but yuv422 has blocks of 2×1 pixels: the driver must crop it to whole blocks"
    );
    assert_eq!(
        error(&RawImage { width: 4, ..raw("nv21", 4) }),
        "the image is 4×3, but nv21 has blocks of 2×2 pixels: the driver must crop it to whole blocks"
    );
    assert_eq!(error(&RawImage { width: 0, ..raw("rgb8", 15) }), "the image is 0×3: it has no pixels");
    assert_eq!(
        error(&RawImage { width: u32::MAX, height: u32::MAX, ..raw("nv24", u32::MAX) }),
        "the image claims 4294967295×4294967295 pixels; at most 67108864 are decoded"
    );
}

#[test]
fn depth_images_are_refused_as_such_when_their_description_is_right() {
    let data = [0; 40];
    for (encoding, step) in [("16UC1", 10), ("32FC1", 20)] {
        let height = 40 / step;
        let raw = RawImage { encoding, width: 5, height, step, is_bigendian: false, data: &data };
        let message = error(&raw);
        assert!(message.starts_with(&format!("the image is {encoding}: this is a depth image")), "{message}");
        assert!(error(&RawImage { step: step - 1, ..raw }).contains("needs at least"));
        assert!(error(&RawImage { height: height + 1, ..raw }).contains("bytes of data"));
    }
}

#[test]
fn the_number_of_pixels_is_bounded_by_the_options() {
    let data = [0; 12];
    let raw = RawImage { encoding: "mono8", width: 4, height: 3, step: 4, is_bigendian: false, data: &data };
    let limited = |max_pixels| Frame::raw(&raw, &DecodeOptions { max_pixels, ..DecodeOptions::default() });
    assert!(limited(12).is_ok());
    assert!(matches!(limited(11), Err(FrameError::TooLarge { width: 4, height: 3, limit: 11 })));
}

#[test]
fn an_image_of_its_own_is_handed_over_without_copying() {
    let image = image::RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 9]));
    let address = image.as_ptr();
    let owned = Frame::from(image.clone()).into_owned().unwrap();
    assert_eq!(owned.to_rgb(), image);
    assert!(Frame::from(&image).into_owned().is_none());
    let back = Frame::from(image).into_rgb();
    assert_eq!(back.as_ptr(), address);
}

/// An encoding, a size that it allows, and padding.
fn description() -> impl Strategy<Value = (Encoding, u32, u32, u32)> {
    let pictures: Vec<Encoding> = Encoding::ALL.iter().copied().filter(|encoding| !encoding.is_depth()).collect();
    (prop::sample::select(pictures), 1u32..24, 1u32..16, 0u32..9).prop_map(|(encoding, width, height, padding)| {
        let (columns, rows) = encoding.block();
        (encoding, width.next_multiple_of(columns), height.next_multiple_of(rows), padding)
    })
}

/// Bytes without a pattern.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let byte = |index: u32| ((index.wrapping_mul(2_654_435_761) ^ seed).wrapping_mul(2_246_822_519) >> 23) as u8;
    (0..length as u32).map(byte).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_description_panics(
        encoding in prop::sample::select(
            Encoding::ALL.iter().map(|encoding| encoding.ros_name()).chain(["", "8UC2", "uyvy"]).collect::<Vec<_>>()
        ),
        width in prop_oneof![0u32..40, any::<u32>()],
        height in prop_oneof![0u32..40, any::<u32>()],
        step in prop_oneof![0u32..200, any::<u32>()],
        is_bigendian in any::<bool>(),
        max_pixels in prop_oneof![Just(MAX_PIXELS), Just(u64::MAX), 0u64..100],
        bit_depth in any::<u8>(),
        fitting in any::<bool>(),
        length in 0usize..4000,
    ) {
        let right = Encoding::from_ros(encoding).map(|encoding| encoding.image_bytes(height, step.into()));
        let length = right.filter(|&right| fitting && right < 100_000).map_or(length, |right| right as usize);
        let data = noise(length, 1);
        let raw = RawImage { encoding, width, height, step, is_bigendian, data: &data };
        if let Ok(frame) = Frame::raw(&raw, &DecodeOptions { max_pixels, bit_depth, ..DecodeOptions::default() }) {
            prop_assert_eq!(frame.to_rgb().dimensions(), (width, height));
        }
    }

    #[test]
    fn every_honest_description_decodes((encoding, width, height, padding) in description(), is_bigendian in any::<bool>()) {
        let step = encoding.row_bytes(width) as u32 + padding;
        let data = vec![128; encoding.image_bytes(height, step.into()) as usize];
        let raw = RawImage { encoding: encoding.ros_name(), width, height, step, is_bigendian, data: &data };
        // Grey in every encoding; 16 bits, because the largest sample is 0x8080.
        let frame = Frame::raw(&raw, &DecodeOptions::default()).unwrap();
        let image = frame.to_rgb();
        let value = image[(0, 0)][0];
        prop_assert!(image.pixels().all(|pixel| pixel.0 == [value; 3]));
        prop_assert!((128..=130).contains(&value));
    }

    #[test]
    fn a_crop_has_the_pixels_of_the_whole_image(
        (encoding, width, height, padding) in description(),
        is_bigendian in any::<bool>(),
        seed in any::<u32>(),
        corner in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        size in (1u32..30, 1u32..30),
    ) {
        let step = encoding.row_bytes(width) as u32 + padding;
        let data = noise(encoding.image_bytes(height, step.into()) as usize, seed);
        let raw = RawImage { encoding: encoding.ros_name(), width, height, step, is_bigendian, data: &data };
        let frame = Frame::raw(&raw, &DecodeOptions::default()).unwrap();
        let (x, y) = (corner.0.index(width as usize) as u32, corner.1.index(height as usize) as u32);
        let region = Region { x, y, width: size.0, height: size.1 };
        let area = region.clipped(width, height).unwrap();
        let expected = crop_imm(&frame.to_rgb(), area.x, area.y, area.width, area.height).to_image();
        prop_assert_eq!(frame.crop(region).unwrap(), expected);
    }

    #[test]
    fn a_cut_is_that_of_the_converted_image(
        (encoding, width, height, padding) in description(),
        seed in any::<u32>(),
        corner in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        size in (1u32..30, 1u32..30),
        input in (1usize..12, 1usize..12),
        region_margin in prop_oneof![Just(0.0_f32), 0.0..0.5_f32],
    ) {
        let step = encoding.row_bytes(width) as u32 + padding;
        let data = noise(encoding.image_bytes(height, step.into()) as usize, seed);
        let raw = RawImage { encoding: encoding.ros_name(), width, height, step, is_bigendian: false, data: &data };
        let frame = Frame::raw(&raw, &DecodeOptions::default()).unwrap();
        let (x, y) = (corner.0.index(width as usize) as u32, corner.1.index(height as usize) as u32);
        let region = Region { x, y, width: size.0, height: size.1 };
        let input = crate::model::InputSpec { width: input.0, height: input.1, region_margin };
        let direct = cut(&frame, region, &input).unwrap();
        let converted = cut(frame.to_rgb(), region, &input).unwrap();
        for (direct, converted) in direct.iter().zip(&converted) {
            // Resizing rounds to bytes.
            prop_assert!((direct - converted).abs() < 1.01 / 255.0, "{} {}", direct, converted);
        }
    }
}
