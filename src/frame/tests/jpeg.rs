//! JPEG as cameras send it.

use proptest::prelude::*;

use super::super::*;
use super::{Fixture, difference, file, fixtures};

fn jpeg_fixtures() -> Vec<(Fixture, Vec<u8>)> {
    let jpeg = fixtures().into_iter().filter(|fixture| fixture.encoding.is_none());
    jpeg.map(|fixture| {
        let data = file(&format!("{}.jpg", fixture.name));
        (fixture, data)
    })
    .collect()
}

fn decode(data: &[u8]) -> Result<image::RgbImage, FrameError> {
    Frame::compressed(data, "jpeg", &DecodeOptions::default()).map(Frame::into_rgb)
}

fn fixture(name: &str) -> Vec<u8> {
    file(&format!("{name}.jpg"))
}

/// Decoders may differ in the rounding of the transform, in how they interpolate chroma and in the way from ink to light.
#[test]
fn every_kind_agrees_with_opencv() {
    for (fixture, data) in jpeg_fixtures() {
        let image = decode(&data).unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
        let (largest, mean) = difference(&image, &fixture.expected(), 0);
        assert!(largest <= 3 && mean < 1.1, "{}: largest {largest}, mean {mean}", fixture.name);
    }
}

/// Of every kind, baseline or not, the rows that are asked for are those of the whole image.
#[test]
fn rows_are_the_same_where_others_are_left_out() {
    let mut left_out = 0;
    for (fixture, data) in jpeg_fixtures() {
        let whole = decode(&data).unwrap();
        for rows in 1..=whole.height() {
            let options = DecodeOptions { rows, ..DecodeOptions::default() };
            let frame = Frame::compressed(&data, "jpeg", &options).unwrap();
            assert_eq!((frame.width(), frame.height()), whole.dimensions());
            let region = Region { x: 0, y: 0, width: whole.width(), height: rows };
            let expected = image::imageops::crop_imm(&whole, 0, 0, whole.width(), rows).to_image();
            assert!(frame.crop(region).unwrap() == expected, "{}: {rows} rows", fixture.name);
            if !frame.is_whole() {
                left_out += 1;
                assert!(matches!(frame.crop(Region::WHOLE), Err(FrameError::RowsLeftOut { .. })));
            }
        }
    }
    assert!(left_out > 50, "{left_out}");
}

/// What is missing below the rows that are asked for is missing all the same.
#[test]
fn leaving_rows_out_hides_no_damage() {
    for (_, data) in jpeg_fixtures() {
        let options = DecodeOptions { rows: 1, ..DecodeOptions::default() };
        for end in 0..data.len() {
            let whole = decode(&data[..end]).map_err(|error| error.to_string());
            let few = Frame::compressed(&data[..end], "jpeg", &options).map_err(|error| error.to_string());
            assert_eq!(whole.err(), few.err(), "{end} of {}", data.len());
        }
    }
}

/// Whatever is cut off: an error, or all of the image.
#[test]
fn truncated_data_are_refused_at_every_length() {
    for (fixture, data) in jpeg_fixtures() {
        let whole = decode(&data).unwrap();
        let mut accepted = Vec::new();
        for length in 0..data.len() {
            match decode(&data[..length]) {
                Ok(image) => {
                    assert_eq!(image, whole, "{} cut to {length} of {}", fixture.name, data.len());
                    accepted.push(length);
                }
                Err(FrameError::Truncated { .. } | FrameError::Format { .. }) => {}
                Err(other) => panic!("{} cut to {length}: {other}", fixture.name),
            }
        }
        // Without the end marker, or half of it; a last byte may have padding alone.
        assert!(accepted.len() <= 3, "{}: {accepted:?} of {}", fixture.name, data.len());
        assert!(fixture.name.contains("no_end") || accepted.contains(&(data.len() - 2)), "{}", fixture.name);
    }
}

/// As a driver does that lost packets of a frame.
#[test]
fn an_end_marker_does_not_hide_that_data_are_missing() {
    for name in ["jpeg_422", "jpeg_420", "jpeg_grey", "jpeg_restart", "jpeg_cmyk", "jpeg_three_scans"] {
        let data = fixture(name);
        for length in (data.len() * 2 / 3..data.len() - 4).step_by(7) {
            let mut cut = data[..length].to_vec();
            cut.extend([0xFF, 0xD9]);
            assert!(decode(&cut).is_err(), "{name} cut to {length} of {}", data.len());
        }
    }
}

#[test]
fn errors_say_where_the_data_end() {
    let data = fixture("jpeg_422");
    let message = |length: usize| decode(&data[..length]).unwrap_err().to_string();
    let cut = data.len() - 200;
    let found = message(cut);
    assert!(found.starts_with(&format!("the JPEG data end after {cut} bytes with ")), "{found}");
    assert!(found.ends_with(" of 15 units of scan 1: the image is truncated"), "{found}");
    assert_eq!(message(100), "the JPEG data end after 100 bytes in the header: the image is truncated");
    let progressive = fixture("jpeg_progressive_no_end");
    let found = decode(&progressive[..progressive.len() - 40]).unwrap_err().to_string();
    assert!(found.contains("units of scan") || found.contains("do not make a whole image"), "{found}");
}

#[test]
fn a_thumbnail_does_not_hide_truncation() {
    let jpeg = fixture("jpeg_420");
    let thumbnail = [&[0xFF, 0xE1, 0x03, 0xCB][..], &fixture("jpeg_optimised")[..], &[0; 10]].concat();
    let thumbnail = {
        let mut segment = thumbnail;
        let length = (segment.len() - 2) as u16;
        segment[2..4].copy_from_slice(&length.to_be_bytes());
        segment
    };
    let mut data = [&jpeg[..2], &thumbnail, &jpeg[2..]].concat();
    assert_eq!(decode(&data).unwrap(), decode(&jpeg).unwrap());
    data.truncate(data.len() - 100);
    assert!(matches!(decode(&data), Err(FrameError::Truncated { .. })));
}

#[test]
fn what_follows_the_end_is_not_looked_at() {
    let jpeg = fixture("jpeg_420");
    let data = [&jpeg[..], &fixture("jpeg_grey")[..], &[0xFF; 7]].concat();
    assert_eq!(decode(&data).unwrap(), decode(&jpeg).unwrap());
}

#[test]
fn a_lost_restart_interval_is_found() {
    let data = fixture("jpeg_restart");
    let restarts: Vec<usize> = data
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] == 0xFF && pair[1] & 0xF8 == 0xD0)
        .map(|(i, _)| i)
        .collect();
    let lost = [&data[..restarts[1]], &data[restarts[2]..]].concat();
    assert_eq!(
        decode(&lost).unwrap_err().to_string(),
        "cannot decode the JPEG data: restart marker 2 stands where 1 belongs: data are lost"
    );
}

#[test]
fn huge_claims_are_refused_before_memory_is_taken() {
    for name in ["jpeg_420", "jpeg_progressive", "jpeg_grey"] {
        let mut jpeg = fixture(name);
        let frame = jpeg.windows(2).position(|marker| matches!(marker, [0xFF, 0xC0 | 0xC2])).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
        assert!(matches!(decode(&jpeg), Err(FrameError::TooLarge { width: 65535, height: 65535, limit: MAX_PIXELS })));
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0; 4]);
        assert!(matches!(decode(&jpeg), Err(FrameError::Empty { .. })));
    }
    let options = DecodeOptions { max_pixels: 45 * 35 - 1, ..DecodeOptions::default() };
    let refused = Frame::compressed(&fixture("jpeg_420"), "", &options);
    assert!(matches!(refused, Err(FrameError::TooLarge { width: 45, height: 35, .. })));
}

/// A progressive image of 8 Mpx with scans of a few bytes each that say "no more coefficients here".
fn bomb(scans: usize) -> Vec<u8> {
    let (width, height) = (4096_u16, 2048_u16);
    let mut data = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    data.extend([1; 64]);
    data.extend([0xFF, 0xC2, 0, 11, 8]);
    data.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
    data.extend([1, 1, 0x11, 0]);
    // One code of one bit: 0 for DC differences, an end of band of 2^14 blocks and more for the others.
    for (class, symbol) in [(0x00, 0x00), (0x10, 0xE0)] {
        data.extend([0xFF, 0xC4, 0, 20, class, 1]);
        data.extend([0; 15]);
        data.push(symbol);
    }
    let blocks = usize::from(width) * usize::from(height) / 64;
    data.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0]);
    data.extend(vec![0; blocks / 8]);
    for scan in 0..scans {
        let (first, refining) = ((scan % 63) as u8 + 1, (scan / 63) as u8);
        let bits = if refining == 0 { 13 } else { (14 - refining) << 4 | (13 - refining) };
        data.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, first, first, bits]);
        data.extend([0; 30]);
    }
    data.extend([0xFF, 0xD9]);
    data
}

#[test]
fn many_scans_are_refused() {
    assert_eq!(decode(&bomb(20)).unwrap().dimensions(), (4096, 2048));
    let message = decode(&bomb(200)).unwrap_err().to_string();
    assert!(message.contains("it has 101 scans of 4096×2048 pixels; at most 100 scans"), "{message}");
    let small = DecodeOptions { max_pixels: 4096 * 2048, ..DecodeOptions::default() };
    assert!(Frame::compressed(&bomb(20), "", &small).is_ok());
}

#[test]
fn unsupported_kinds_are_named() {
    let with_frame = |marker: u8, precision: u8| {
        let mut data = fixture("jpeg_420");
        let frame = data.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        (data[frame + 1], data[frame + 4]) = (marker, precision);
        decode(&data).unwrap_err().to_string()
    };
    assert_eq!(with_frame(0xC9, 8), "cannot decode the JPEG data: arithmetic coding is not supported");
    assert_eq!(with_frame(0xC3, 8), "cannot decode the JPEG data: lossless and hierarchical JPEG are not supported");
    assert_eq!(
        with_frame(0xC1, 12),
        "cannot decode the JPEG data: its samples have 12 bits; JPEG of 8 bits is supported"
    );
}

/// The decoder would say that it is an image, and hand over something else.
#[test]
fn subsampled_chroma_in_a_scan_of_its_own_is_refused() {
    assert_eq!(
        decode(&file("jpeg_three_scans_420.refused")).unwrap_err().to_string(),
        "cannot decode the JPEG data: subsampled chroma in a scan of its own is not supported"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_data_never_panic(
        index in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut data = index.get(&jpeg_fixtures()).1.clone();
        for (index, value) in flips {
            *index.get_mut(&mut data) = value;
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len()));
        }
        let options = DecodeOptions { max_pixels: 1 << 20, ..DecodeOptions::default() };
        if let Ok(frame) = Frame::compressed(&data, "", &options) {
            prop_assert!(u64::from(frame.width()) * u64::from(frame.height()) <= options.max_pixels);
        }
    }
}
