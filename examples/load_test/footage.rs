//! Drawn images as serialised ROS messages, made before the measurement so that publishing costs little.

use activation_monitor::dataset::cdr::{
    self, CompressedImage, Header, Image, Region, RegionArray, RegionOfInterest, RosMessage, Time,
};
use activation_monitor::scenario::{Drive, DriveSettings};
use anyhow::{Result, ensure};
use clap::ValueEnum;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use super::options::Scenario;

/// Seconds of the drive between two images, so that they differ.
const STRIDE_SECS: f32 = 0.9;
const JPEG_QUALITY: u8 = 88;
/// Where the seconds of the stamp are in a serialised message that begins with a header.
const STAMP_AT: usize = 4;

/// Encodings of raw images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Encoding {
    Rgb8,
    Bgr8,
    Rgba8,
    Bgra8,
    Mono8,
    #[value(name = "yuv422")]
    Yuv422,
    #[value(name = "yuv422_yuy2")]
    Yuv422Yuy2,
    Nv12,
    BayerRggb8,
}

/// The messages of one camera; every one has its place for a stamp.
#[derive(Debug, Clone)]
pub struct Footage {
    /// Serialised images.
    pub images: Vec<Vec<u8>>,
    /// Their type.
    pub image_type: &'static str,
    /// Serialised regions, the same for every image; `None` when whole images are judged.
    pub regions: Option<Vec<u8>>,
}

impl Footage {
    /// Draws and serialises the images of a scenario.
    ///
    /// # Errors
    /// When the encoding needs an even number of rows or columns and there is an odd one.
    pub fn draw(scenario: &Scenario) -> Result<Self> {
        let Scenario { width, height, frames, encoding, .. } = *scenario;
        ensure!(
            scenario.compressed || !encoding.needs_even() || (width % 2 == 0 && height % 2 == 0),
            "{} needs even width and height, got {width}×{height}",
            encoding.ros_name()
        );
        let seconds = frames as f32 * STRIDE_SECS;
        let drive = Drive::new(DriveSettings { seed: 1, seconds: seconds.max(10.0), width, height, lasting: None });
        let draw = |index: u32| message(&drive.frame(index as f32 * STRIDE_SECS).0, scenario);
        let images = (0..frames).into_par_iter().map(draw).collect::<Result<_>>()?;
        let regions = (scenario.regions > 0).then(|| cdr::encode(&regions(scenario))).transpose()?;
        Ok(Self { images, image_type: image_type(scenario), regions })
    }
}

/// Writes the stamp into a serialised message that begins with a header.
pub fn stamp(message: &mut [u8], time: Time) {
    message[STAMP_AT..STAMP_AT + 4].copy_from_slice(&time.sec.to_le_bytes());
    message[STAMP_AT + 4..STAMP_AT + 8].copy_from_slice(&time.nanosec.to_le_bytes());
}

fn image_type(scenario: &Scenario) -> &'static str {
    if scenario.compressed { CompressedImage::TYPE } else { Image::TYPE }
}

fn header() -> Header {
    Header { stamp: Time::default(), frame_id: "camera".into() }
}

fn message(image: &RgbImage, scenario: &Scenario) -> Result<Vec<u8>> {
    if scenario.compressed {
        let mut data = Vec::new();
        JpegEncoder::new_with_quality(&mut data, JPEG_QUALITY).encode_image(image)?;
        return Ok(cdr::encode(&CompressedImage {
            header: header(),
            format: "rgb8; jpeg compressed bgr8".into(),
            data,
        })?);
    }
    let (width, height) = image.dimensions();
    Ok(cdr::encode(&Image {
        header: header(),
        height,
        width,
        encoding: scenario.encoding.ros_name().into(),
        is_bigendian: 0,
        step: width * scenario.encoding.step_bytes_per_pixel(),
        data: scenario.encoding.encode(image),
    })?)
}

/// Squares of a twelfth of the width, spread evenly by two irrational strides.
fn regions(scenario: &Scenario) -> RegionArray {
    let side = scenario.width.min(scenario.height) / 8;
    let at =
        |index: u32, stride: f64, limit: u32| ((f64::from(index) * stride).fract() * f64::from(limit - side)) as u32;
    let region = |index: u32| Region {
        id: format!("region_{index}"),
        roi: RegionOfInterest {
            x_offset: at(index, 0.754_877_666, scenario.width),
            y_offset: at(index, 0.569_840_291, scenario.height),
            height: side,
            width: side,
            do_rectify: false,
        },
    };
    RegionArray { header: header(), regions: (0..scenario.regions).map(region).collect() }
}

impl Encoding {
    /// Name in `sensor_msgs/image_encodings`.
    pub fn ros_name(self) -> &'static str {
        match self {
            Self::Rgb8 => "rgb8",
            Self::Bgr8 => "bgr8",
            Self::Rgba8 => "rgba8",
            Self::Bgra8 => "bgra8",
            Self::Mono8 => "mono8",
            Self::Yuv422 => "yuv422",
            Self::Yuv422Yuy2 => "yuv422_yuy2",
            Self::Nv12 => "nv12",
            Self::BayerRggb8 => "bayer_rggb8",
        }
    }

    fn needs_even(self) -> bool {
        matches!(self, Self::Yuv422 | Self::Yuv422Yuy2 | Self::Nv12 | Self::BayerRggb8)
    }

    fn step_bytes_per_pixel(self) -> u32 {
        match self {
            Self::Rgb8 | Self::Bgr8 => 3,
            Self::Rgba8 | Self::Bgra8 => 4,
            Self::Yuv422 | Self::Yuv422Yuy2 => 2,
            Self::Mono8 | Self::Nv12 | Self::BayerRggb8 => 1,
        }
    }

    fn encode(self, image: &RgbImage) -> Vec<u8> {
        match self {
            Self::Rgb8 => image.as_raw().clone(),
            Self::Bgr8 => pixels(image, |[r, g, b]| [b, g, r]),
            Self::Rgba8 => pixels(image, |[r, g, b]| [r, g, b, 255]),
            Self::Bgra8 => pixels(image, |[r, g, b]| [b, g, r, 255]),
            Self::Mono8 => pixels(image, |rgb| [yuv(rgb)[0]]),
            Self::Yuv422 => pairs(image, |[y0, u, v], y1| [u, y0, v, y1]),
            Self::Yuv422Yuy2 => pairs(image, |[y0, u, v], y1| [y0, u, y1, v]),
            Self::Nv12 => nv12(image),
            Self::BayerRggb8 => bayer_rggb(image),
        }
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.ros_name())
    }
}

fn pixels<const BYTES: usize>(image: &RgbImage, convert: impl Fn([u8; 3]) -> [u8; BYTES]) -> Vec<u8> {
    image.pixels().flat_map(|pixel| convert(pixel.0)).collect()
}

/// Pairs of neighbours share the colour of the left one.
fn pairs(image: &RgbImage, convert: impl Fn([u8; 3], u8) -> [u8; 4]) -> Vec<u8> {
    let pairs = image.as_raw().as_chunks::<6>().0.iter();
    pairs.flat_map(|&[r, g, b, r1, g1, b1]| convert(yuv([r, g, b]), yuv([r1, g1, b1])[0])).collect()
}

/// All brightnesses, then the colour of every second pixel of every second row.
fn nv12(image: &RgbImage) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let squares = (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (2 * x, 2 * y)));
    let colours = squares.flat_map(|(x, y)| {
        let [_, u, v] = yuv(image.get_pixel(x, y).0);
        [u, v]
    });
    pixels(image, |rgb| [yuv(rgb)[0]]).into_iter().chain(colours).collect()
}

/// Red and green in even rows, green and blue in odd ones.
fn bayer_rggb(image: &RgbImage) -> Vec<u8> {
    image.enumerate_pixels().map(|(x, y, pixel)| pixel.0[(x % 2 + y % 2) as usize]).collect()
}

/// ITU-R BT.601, limited range.
fn yuv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = [r, g, b].map(f32::from);
    let y = 16.0 + 0.257 * r + 0.504 * g + 0.098 * b;
    let u = 128.0 - 0.148 * r - 0.291 * g + 0.439 * b;
    let v = 128.0 + 0.439 * r - 0.368 * g - 0.071 * b;
    [y, u, v].map(|value| value.round() as u8)
}
