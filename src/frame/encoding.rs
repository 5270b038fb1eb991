//! Raw images as `sensor_msgs/Image` carries them.

use image::RgbImage;

use super::{FrameError, check_dimensions};

/// Pixel formats of raw images; one byte per channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Red, green, blue.
    Rgb8,
    /// Blue, green, red: OpenCV's order.
    Bgr8,
    /// Red, green, blue, opacity (ignored).
    Rgba8,
    /// Blue, green, red, opacity (ignored).
    Bgra8,
    /// Brightness.
    Mono8,
}

impl Encoding {
    /// All encodings.
    pub const ALL: [Self; 5] = [Self::Rgb8, Self::Bgr8, Self::Rgba8, Self::Bgra8, Self::Mono8];

    /// The encoding of that name in `sensor_msgs/image_encodings`, or of one of its aliases: the OpenCV types `8UC1`,
    /// `8UC3` and `8UC4` are read in OpenCV's channel order.
    #[must_use]
    pub fn from_ros(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.ros_name() == name || encoding.alias() == Some(name))
    }

    /// Name in `sensor_msgs/image_encodings`.
    #[must_use]
    pub fn ros_name(self) -> &'static str {
        match self {
            Self::Rgb8 => "rgb8",
            Self::Bgr8 => "bgr8",
            Self::Rgba8 => "rgba8",
            Self::Bgra8 => "bgra8",
            Self::Mono8 => "mono8",
        }
    }

    /// Bytes of one pixel.
    #[must_use]
    pub fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Rgb8 | Self::Bgr8 => 3,
            Self::Rgba8 | Self::Bgra8 => 4,
            Self::Mono8 => 1,
        }
    }

    /// Bytes of a row of `width` pixels without padding.
    #[must_use]
    pub fn row_bytes(self, width: u32) -> u64 {
        u64::from(width) * self.bytes_per_pixel() as u64
    }

    /// Names of all encodings, separated by commas.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::ros_name).join(", ")
    }

    fn alias(self) -> Option<&'static str> {
        match self {
            Self::Bgr8 => Some("8UC3"),
            Self::Bgra8 => Some("8UC4"),
            Self::Mono8 => Some("8UC1"),
            Self::Rgb8 | Self::Rgba8 => None,
        }
    }

    /// Converts one row without padding; `rgb` is the row to fill.
    fn convert_row(self, row: &[u8], rgb: &mut [u8]) {
        match self {
            Self::Rgb8 => rgb.copy_from_slice(row),
            Self::Bgr8 => convert_pixels(row, rgb, |[b, g, r]| [r, g, b]),
            Self::Rgba8 => convert_pixels(row, rgb, |[r, g, b, _]| [r, g, b]),
            Self::Bgra8 => convert_pixels(row, rgb, |[b, g, r, _]| [r, g, b]),
            Self::Mono8 => convert_pixels(row, rgb, |[value]| [value; 3]),
        }
    }
}

fn convert_pixels<const BYTES: usize>(row: &[u8], rgb: &mut [u8], convert: impl Fn([u8; BYTES]) -> [u8; 3]) {
    for (target, source) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<BYTES>().0) {
        *target = convert(*source);
    }
}

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
    /// `step · height` bytes.
    pub data: &'a [u8],
}

/// Converts a raw image to RGB.
///
/// # Errors
/// [`FrameError::Encoding`], [`FrameError::Empty`], [`FrameError::TooLarge`], [`FrameError::Step`] or
/// [`FrameError::DataLength`] when the description is unsupported or does not fit the data.
pub fn decode_raw(raw: &RawImage<'_>) -> Result<RgbImage, FrameError> {
    let encoding =
        Encoding::from_ros(raw.encoding).ok_or_else(|| FrameError::Encoding { found: raw.encoding.to_owned() })?;
    let row_bytes = check(raw, encoding)?;
    let mut image = RgbImage::new(raw.width, raw.height);
    let rows = image.chunks_exact_mut(3 * raw.width as usize);
    for (rgb, row) in rows.zip(raw.data.chunks_exact(raw.step as usize)) {
        encoding.convert_row(&row[..row_bytes], rgb);
    }
    Ok(image)
}

/// Checks the description against the data; returns the bytes of a row without padding.
fn check(raw: &RawImage<'_>, encoding: Encoding) -> Result<usize, FrameError> {
    check_dimensions(raw.width, raw.height)?;
    let row_bytes = encoding.row_bytes(raw.width);
    if u64::from(raw.step) < row_bytes {
        let encoding = encoding.ros_name();
        return Err(FrameError::Step { actual: raw.step, expected: row_bytes, width: raw.width, encoding });
    }
    let expected = u64::from(raw.step) * u64::from(raw.height);
    if raw.data.len() as u64 != expected {
        return Err(FrameError::DataLength { actual: raw.data.len(), expected });
    }
    Ok(row_bytes as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDTH: u32 = 5;
    const HEIGHT: u32 = 3;
    const PADDING: usize = 3;

    /// The colour of pixel (x, y) of the fixtures; every channel of every pixel differs.
    fn colour(x: u32, y: u32) -> [u8; 3] {
        let start = (y * WIDTH + x) as u8 * 3 + 10;
        [start, start + 1, start + 2]
    }

    /// Generates the fixture of `encoding`: rows padded by 0xEE, opacity 0xDD, grey = the red channel.
    fn padded_fixture(encoding: Encoding) -> Vec<u8> {
        let mut data = Vec::new();
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let [r, g, b] = colour(x, y);
                match encoding {
                    Encoding::Rgb8 => data.extend([r, g, b]),
                    Encoding::Bgr8 => data.extend([b, g, r]),
                    Encoding::Rgba8 => data.extend([r, g, b, 0xDD]),
                    Encoding::Bgra8 => data.extend([b, g, r, 0xDD]),
                    Encoding::Mono8 => data.push(r),
                }
            }
            data.extend([0xEE; PADDING]);
        }
        data
    }

    fn raw<'a>(encoding: &'a str, step: u32, data: &'a [u8]) -> RawImage<'a> {
        RawImage { encoding, width: WIDTH, height: HEIGHT, step, data }
    }

    fn assert_decodes(encoding: Encoding, name: &str) {
        let data = padded_fixture(encoding);
        let step = encoding.row_bytes(WIDTH) as u32 + PADDING as u32;
        let image = decode_raw(&raw(name, step, &data)).unwrap();
        assert_eq!(image.dimensions(), (WIDTH, HEIGHT));
        for (x, y, pixel) in image.enumerate_pixels() {
            let [r, g, b] = colour(x, y);
            let expected = if encoding == Encoding::Mono8 { [r; 3] } else { [r, g, b] };
            assert_eq!(pixel.0, expected, "{name} at ({x}, {y})");
        }
    }

    #[test]
    fn every_encoding_decodes_with_padded_rows() {
        for encoding in Encoding::ALL {
            assert_decodes(encoding, encoding.ros_name());
        }
    }

    #[test]
    fn opencv_types_are_aliases_in_opencv_order() {
        assert_decodes(Encoding::Mono8, "8UC1");
        assert_decodes(Encoding::Bgr8, "8UC3");
        assert_decodes(Encoding::Bgra8, "8UC4");
    }

    fn error(image: &RawImage<'_>) -> String {
        decode_raw(image).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_actual_and_expected() {
        let data = [0; 45];
        assert_eq!(
            error(&raw("bayer_rggb8", 15, &data)),
            "unsupported encoding `bayer_rggb8`; supported: rgb8, bgr8, rgba8, bgra8, mono8"
        );
        assert_eq!(error(&raw("rgb8", 14, &data)), "step is 14 bytes, but a row of 5 rgb8 pixels needs at least 15");
        assert_eq!(error(&raw("rgb8", 16, &data)), "the image has 45 bytes of data, but step × height is 48");
        assert_eq!(error(&RawImage { width: 0, ..raw("rgb8", 15, &data) }), "the image is 0×3: it has no pixels");
        assert_eq!(
            error(&RawImage { width: u32::MAX, height: u32::MAX, ..raw("rgba8", u32::MAX, &data) }),
            "the image claims 4294967295×4294967295 pixels; at most 67108864 are decoded"
        );
    }

    proptest! {
        #[test]
        fn no_description_panics(
            encoding in prop::sample::select(vec!["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "8UC3", "yuv422", ""]),
            width in prop_oneof![0u32..40, any::<u32>()],
            height in prop_oneof![0u32..40, any::<u32>()],
            step in prop_oneof![0u32..200, any::<u32>()],
            data in prop::collection::vec(any::<u8>(), 0..4000),
        ) {
            if let Ok(image) = decode_raw(&RawImage { encoding, width, height, step, data: &data }) {
                prop_assert_eq!(image.dimensions(), (width, height));
            }
        }

        #[test]
        fn every_honest_description_decodes(
            index in 0usize..5, width in 1u32..20, height in 1u32..20, padding in 0u32..9
        ) {
            let encoding = Encoding::ALL[index];
            let step = encoding.row_bytes(width) as u32 + padding;
            let data = vec![7; (step * height) as usize];
            let raw = RawImage { encoding: encoding.ros_name(), width, height, step, data: &data };
            prop_assert!(decode_raw(&raw).unwrap().pixels().all(|pixel| pixel.0 == [7; 3]));
        }
    }
}
