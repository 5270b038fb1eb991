//! The encodings of `sensor_msgs/Image` and how their samples lie in memory.

use super::convert::{Cfa, Chroma};

/// Size of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    /// One byte.
    U8,
    /// Two bytes, in the byte order of the message; see [`super::DecodeOptions::bit_depth`].
    U16,
}

/// How the samples of an image lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `channels` samples per pixel; `rgb` says which of them are red, green and blue.
    Packed { channels: usize, rgb: [usize; 3], sample: Sample },
    /// Two pixels in four bytes with common chroma (4:2:2): Y U Y V, or U Y V Y.
    Yuv422 { luma_first: bool },
    /// A plane of luma, then a plane of interleaved chroma.
    SemiPlanar(Chroma),
    /// One colour per pixel behind a colour filter array.
    Mosaic { cfa: Cfa, sample: Sample },
    /// Distances, not colours.
    Depth { bytes: usize },
}

/// An encoding of `sensor_msgs/Image`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    name: &'static str,
    alias: Option<&'static str>,
    layout: Layout,
}

const fn packed(name: &'static str, alias: Option<&'static str>, channels: usize, rgb: [usize; 3]) -> Encoding {
    Encoding { name, alias, layout: Layout::Packed { channels, rgb, sample: Sample::U8 } }
}

const fn deep(name: &'static str, alias: Option<&'static str>, channels: usize, rgb: [usize; 3]) -> Encoding {
    Encoding { name, alias, layout: Layout::Packed { channels, rgb, sample: Sample::U16 } }
}

const fn yuv422(name: &'static str, alias: &'static str, luma_first: bool) -> Encoding {
    Encoding { name, alias: Some(alias), layout: Layout::Yuv422 { luma_first } }
}

const fn semi_planar(name: &'static str, chroma: Chroma) -> Encoding {
    Encoding { name, alias: None, layout: Layout::SemiPlanar(chroma) }
}

const fn mosaic(name: &'static str, cfa: Cfa, sample: Sample) -> Encoding {
    Encoding { name, alias: None, layout: Layout::Mosaic { cfa, sample } }
}

const fn depth(name: &'static str, bytes: usize) -> Encoding {
    Encoding { name, alias: None, layout: Layout::Depth { bytes } }
}

const RGB: [usize; 3] = [0, 1, 2];
const BGR: [usize; 3] = [2, 1, 0];
const GREY: [usize; 3] = [0; 3];

pub(super) const RGB8: Encoding = packed("rgb8", None, 3, RGB);
pub(super) const RGBA8: Encoding = packed("rgba8", None, 4, RGB);
pub(super) const MONO8: Encoding = packed("mono8", Some("8UC1"), 1, GREY);
pub(super) const MONO16: Encoding = deep("mono16", None, 1, GREY);
pub(super) const RGB16: Encoding = deep("rgb16", None, 3, RGB);
pub(super) const RGBA16: Encoding = deep("rgba16", None, 4, RGB);

impl Encoding {
    /// All encodings that are recognised. The OpenCV types `8UC1`, `8UC3` and so on are aliases, read in OpenCV's
    /// channel order (blue first).
    pub const ALL: &'static [Self] = &[
        RGB8,
        packed("bgr8", Some("8UC3"), 3, BGR),
        RGBA8,
        packed("bgra8", Some("8UC4"), 4, BGR),
        MONO8,
        MONO16,
        RGB16,
        deep("bgr16", Some("16UC3"), 3, BGR),
        RGBA16,
        deep("bgra16", Some("16UC4"), 4, BGR),
        yuv422("yuv422", "uyvy", false),
        yuv422("yuv422_yuy2", "yuyv", true),
        semi_planar("nv12", Chroma::Nv12),
        semi_planar("nv21", Chroma::Nv21),
        semi_planar("nv24", Chroma::Nv24),
        mosaic("bayer_rggb8", Cfa::RGGB, Sample::U8),
        mosaic("bayer_bggr8", Cfa::BGGR, Sample::U8),
        mosaic("bayer_gbrg8", Cfa::GBRG, Sample::U8),
        mosaic("bayer_grbg8", Cfa::GRBG, Sample::U8),
        mosaic("bayer_rggb16", Cfa::RGGB, Sample::U16),
        mosaic("bayer_bggr16", Cfa::BGGR, Sample::U16),
        mosaic("bayer_gbrg16", Cfa::GBRG, Sample::U16),
        mosaic("bayer_grbg16", Cfa::GRBG, Sample::U16),
        depth("16UC1", 2),
        depth("32FC1", 4),
    ];

    /// The encoding of that name in `sensor_msgs/image_encodings`, or of its alias. Case and surrounding blanks do not
    /// matter.
    #[must_use]
    pub fn from_ros(name: &str) -> Option<Self> {
        let name = name.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        let is_meant = |known: &str| known.eq_ignore_ascii_case(name);
        Self::ALL.iter().copied().find(|encoding| is_meant(encoding.name) || encoding.alias.is_some_and(is_meant))
    }

    /// Name in `sensor_msgs/image_encodings`.
    #[must_use]
    pub fn ros_name(self) -> &'static str {
        self.name
    }

    /// The other name of the same encoding, where there is one.
    #[must_use]
    pub fn alias(self) -> Option<&'static str> {
        self.alias
    }

    /// Whether this is a depth image: distances instead of colours, which no classifier of pictures can judge.
    #[must_use]
    pub fn is_depth(self) -> bool {
        matches!(self.layout, Layout::Depth { .. })
    }

    /// Bytes of a row of `width` pixels without padding; of the plane of luma for `nv12`, `nv21` and `nv24`.
    #[must_use]
    pub fn row_bytes(self, width: u32) -> u64 {
        u64::from(width) * self.bytes_per_pixel() as u64
    }

    /// Bytes of an image whose rows are `step` bytes long.
    #[must_use]
    pub fn image_bytes(self, height: u32, step: u64) -> u64 {
        let rows = step.saturating_mul(u64::from(height));
        match self.layout {
            Layout::SemiPlanar(chroma) => rows.saturating_add(chroma.bytes_beside_luma(rows)),
            _ => rows,
        }
    }

    /// Names of all encodings of pictures, separated by commas.
    #[must_use]
    pub fn names() -> String {
        let pictures = Self::ALL.iter().filter(|encoding| !encoding.is_depth());
        pictures.map(|encoding| encoding.name).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn layout(self) -> Layout {
        self.layout
    }

    /// Whether the samples have two bytes.
    pub(super) fn is_deep(self) -> bool {
        matches!(self.layout, Layout::Packed { sample: Sample::U16, .. } | Layout::Mosaic { sample: Sample::U16, .. })
    }

    /// Whether pictures in this encoding have colours.
    pub(super) fn has_colour(self) -> bool {
        match self.layout {
            Layout::Packed { channels, .. } => channels > 1,
            Layout::Yuv422 { .. } | Layout::SemiPlanar(_) | Layout::Mosaic { .. } => true,
            Layout::Depth { .. } => false,
        }
    }

    /// Smallest block of pixels, in width and height, that an image consists of.
    pub(super) fn block(self) -> (u32, u32) {
        match self.layout {
            Layout::Yuv422 { .. } => (2, 1),
            Layout::SemiPlanar(chroma) => chroma.block(),
            _ => (1, 1),
        }
    }

    /// Bytes from one pixel of a row to the next one; of luma alone for planes.
    pub(super) fn bytes_per_pixel(self) -> usize {
        match self.layout {
            Layout::Packed { channels, sample, .. } => channels * sample.bytes(),
            Layout::Yuv422 { .. } => 2,
            Layout::SemiPlanar(_) => 1,
            Layout::Mosaic { sample, .. } => sample.bytes(),
            Layout::Depth { bytes } => bytes,
        }
    }
}

impl Sample {
    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_alias_is_found_whatever_its_case_and_blanks() {
        for &encoding in Encoding::ALL {
            for name in [Some(encoding.name), encoding.alias].into_iter().flatten() {
                for written in [name.to_owned(), name.to_uppercase(), format!(" {name}\t"), format!("{name}\0")] {
                    assert_eq!(Encoding::from_ros(&written), Some(encoding), "{written:?}");
                }
            }
        }
        for unknown in ["", " ", "rgb", "rgb 8", "8UC2", "bayer", "bayer_rggb12", "rgb8; jpeg compressed bgr8"] {
            assert_eq!(Encoding::from_ros(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn names_are_unique_and_pictures_only() {
        let names = Encoding::names();
        assert_eq!(names.split(", ").count(), Encoding::ALL.len() - 2);
        assert!(!names.contains("16UC1") && names.starts_with("rgb8, bgr8,"), "{names}");
        let mut all: Vec<&str> = Encoding::ALL.iter().flat_map(|e| [Some(e.name), e.alias]).flatten().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn sizes_are_those_of_the_definitions() {
        let bytes = |name: &str| {
            let encoding = Encoding::from_ros(name).unwrap();
            encoding.image_bytes(4, encoding.row_bytes(6))
        };
        assert_eq!(["rgb8", "rgba16", "mono16", "uyvy"].map(bytes), [72, 192, 48, 48]);
        assert_eq!(["nv12", "nv21", "nv24"].map(bytes), [36, 36, 72]);
        assert_eq!(["bayer_grbg8", "bayer_grbg16", "16UC1", "32FC1"].map(bytes), [24, 48, 48, 96]);
    }
}
