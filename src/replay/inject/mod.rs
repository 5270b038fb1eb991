//! Known faults put into the images of a bag, to see which of them the monitor finds and how soon.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::alarms::{Found, Occurrence};
use super::tally::Tally;
use super::warnings::Warning;
use crate::frame::{DecodeOptions, Region};
use crate::intake::request::{Bytes, Picture, Request};
use crate::scenario::pixels;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A veil over everything.
    Fog,
    /// Out of focus.
    Blur,
    /// Dirt on the lens.
    Mud,
    /// Pixels that show the same always.
    DeadPixels,
    /// The same image again and again, with new stamps.
    Frozen,
    /// Far too much light.
    Exposure,
    /// A coloured rectangle on every region.
    Sticker,
    /// Red and blue exchanged.
    ChannelOrder,
    /// Images that come late.
    Latency,
}

/// A fault with its strength.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// How much, 0..1 (not 0); seconds for [`FaultKind::Latency`].
    pub strength: f32,
}

/// A fault from some time on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Injected {
    /// The fault.
    pub fault: Fault,
    /// Stamp of the first image with it, nanoseconds.
    pub from_nanos: u64,
}

/// What came of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultOutcome {
    /// The bag that it was put into.
    pub bag: String,
    /// The fault with its strength.
    pub fault: String,
    /// Images with it that had a region to judge.
    pub images: u64,
    /// When it was found by an alarm or a refusal, from the first of them; `None`: by none.
    pub found: Option<Found>,
    /// After how many seconds the node's diagnostics would have warned of it, beyond what they warn of without it; `None`: never.
    pub warned_after_secs: Option<f64>,
    /// Share of the regions with the fault that were out of distribution or could not be judged, 0..1; `None` without any.
    pub alarm_share: Option<f64>,
    /// The same of all regions of the bag without the fault.
    pub alarm_share_without: Option<f64>,
}

impl Injected {
    /// Whether an image with that stamp has the fault.
    #[must_use]
    pub fn covers(&self, stamp_nanos: u64) -> bool {
        stamp_nanos >= self.from_nanos
    }
}

impl FaultOutcome {
    /// From what was counted of a bag with the fault and without it.
    #[must_use]
    pub fn new(bag: &str, injected: &Injected, with: &Tally, without: &Tally) -> Self {
        let name = injected.fault.to_string();
        let seen: Vec<&Occurrence> = with.anomalies.iter().filter(|one| one.anomaly == name).collect();
        let begin = seen.iter().map(|one| one.begin_nanos).min().unwrap_or(injected.from_nanos);
        let mut images_before = 0;
        let mut found = None;
        for one in &seen {
            if let (None, Some(here)) = (found, one.found) {
                let wait = one.begin_nanos.saturating_sub(begin) as f64 / 1e9;
                found = Some(Found { delay_secs: wait + here.delay_secs, images: images_before + here.images });
            }
            images_before += one.images;
        }
        let is_of_the_fault =
            |warning: &&Warning| injected.covers(warning.begin_nanos) && !without.warnings.contains(warning);
        let warning = with.warnings.iter().filter(is_of_the_fault).map(|warning| warning.begin_nanos).min();
        let share = |count: u64, of: u64| (of > 0).then(|| count as f64 / of as f64);
        let (with, without) = (&with.counted, &without.counted);
        Self {
            bag: bag.to_owned(),
            fault: name,
            images: images_before,
            found,
            warned_after_secs: warning.map(|warning| warning.saturating_sub(begin) as f64 / 1e9),
            alarm_share: share(with.strange_alarmed, with.strange),
            alarm_share_without: share(without.alarmed + without.unknown, without.regions),
        }
    }

    /// Seconds until the first sign of it, an alarm, a refusal or a warning; infinite where there is none.
    #[must_use]
    pub fn delay_secs(&self) -> f64 {
        let found = self.found.map(|found| found.delay_secs);
        found.into_iter().chain(self.warned_after_secs).fold(f64::INFINITY, f64::min)
    }
}

/// Why a text is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such kind.
    #[error("there is no fault `{name}`; there are {}", FaultKind::ALL.map(FaultKind::name).join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The strength is none.
    #[error(
        "`{text}` is no strength: write KIND:STRENGTH with a strength above 0 and up to 1, seconds (up to 5) for latency"
    )]
    Strength {
        /// What was asked for.
        text: String,
    },
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Fog,
        Self::Blur,
        Self::Mud,
        Self::DeadPixels,
        Self::Frozen,
        Self::Exposure,
        Self::Sticker,
        Self::ChannelOrder,
        Self::Latency,
    ];

    /// Name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fog => "fog",
            Self::Blur => "blur",
            Self::Mud => "mud",
            Self::DeadPixels => "dead_pixels",
            Self::Frozen => "frozen",
            Self::Exposure => "exposure",
            Self::Sticker => "sticker",
            Self::ChannelOrder => "channel_order",
            Self::Latency => "latency",
        }
    }

    /// Largest strength.
    const fn most(self) -> f32 {
        match self {
            Self::Latency => 5.0,
            _ => 1.0,
        }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, strength) = text.split_once(':').map_or((text, None), |(name, strength)| (name, Some(strength)));
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| FaultError::Unknown { name: name.to_owned() })?;
        let Some(text) = strength else { return Ok(Self { kind, strength: 0.5 }) };
        let strength = text.parse::<f32>().ok().filter(|strength| *strength > 0.0 && *strength <= kind.most());
        Ok(Self { kind, strength: strength.ok_or_else(|| FaultError::Strength { text: text.to_owned() })? })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.kind.name(), self.strength)
    }
}

impl Fault {
    /// By how much later an image comes.
    #[must_use]
    pub fn delay(&self) -> Duration {
        match self.kind {
            FaultKind::Latency => Duration::from_secs_f32(self.strength),
            _ => Duration::ZERO,
        }
    }

    /// Puts the fault into an image that is to be judged. An image that cannot be decoded stays as it is.
    pub fn spoil(&self, request: &mut Request, options: &DecodeOptions) {
        if matches!(self.kind, FaultKind::Frozen | FaultKind::Latency) {
            return;
        }
        let Ok(image) = request.picture.rgb(options) else { return };
        let regions: Vec<Region> = request.regions.iter().map(|named| named.region).collect();
        request.picture = to_picture(self.apply(image, &regions));
    }

    /// The image with the fault in it. The same image gives the same result.
    #[must_use]
    pub fn apply(&self, image: RgbImage, regions: &[Region]) -> RgbImage {
        let strength = self.strength;
        match self.kind {
            FaultKind::Fog => pixels::fog(image, strength),
            FaultKind::Blur => pixels::blur(&image, strength),
            FaultKind::Mud => pixels::mud(image, strength),
            FaultKind::DeadPixels => pixels::dead_pixels(image, strength),
            FaultKind::Exposure => pixels::exposure(image, strength),
            FaultKind::Sticker => pixels::stickers(image, regions, strength),
            FaultKind::ChannelOrder => pixels::exchange_channels(image, strength),
            FaultKind::Frozen | FaultKind::Latency => image,
        }
    }
}

fn to_picture(image: RgbImage) -> Picture {
    let (width, height) = image.dimensions();
    let data = Bytes::new(image.into_raw());
    Picture::Raw { encoding: "rgb8".to_owned(), width, height, step: 3 * width, is_bigendian: false, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_kind_with_a_strength() {
        let fault = |text: &str| text.parse::<Fault>();
        assert_eq!(fault("fog"), Ok(Fault { kind: FaultKind::Fog, strength: 0.5 }));
        assert_eq!(fault("latency:2.5").unwrap().delay(), Duration::from_secs_f32(2.5));
        assert_eq!(fault("dead_pixels:0.25").unwrap().to_string(), "dead_pixels:0.25");
        assert!(fault("rain").unwrap_err().to_string().contains("channel_order"));
        for strength in ["0", "-1", "1.5", "NaN", "", "much", "inf"] {
            assert!(matches!(fault(&format!("mud:{strength}")), Err(FaultError::Strength { .. })), "{strength}");
        }
        assert!(fault("latency:5.1").is_err());
    }

    #[test]
    fn every_fault_of_pixels_changes_them_the_more_the_stronger_and_always_alike() {
        let image =
            RgbImage::from_fn(160, 120, |x, y| image::Rgb([(x * 3) as u8, (y * 2) as u8, ((x + y) % 97) as u8]));
        let region = Region { x: 40, y: 30, width: 40, height: 40 };
        for kind in FaultKind::ALL {
            let changed = |strength: f32| {
                let fault = Fault { kind, strength };
                let spoilt = fault.apply(image.clone(), &[region]);
                assert_eq!(spoilt, fault.apply(image.clone(), &[region]), "{fault}");
                assert_eq!(spoilt.dimensions(), image.dimensions());
                let pairs = spoilt.as_raw().iter().zip(image.as_raw());
                pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
            };
            match kind {
                FaultKind::Frozen | FaultKind::Latency => assert_eq!(changed(1.0), 0),
                _ => assert!(changed(0.1) > 0 && changed(0.1) < changed(0.9), "{}", kind.name()),
            }
        }
    }

    #[test]
    fn nothing_breaks_a_tiny_image() {
        for kind in FaultKind::ALL {
            for (width, height) in [(1, 1), (3, 1), (1, 7)] {
                let fault = Fault { kind, strength: 1.0 };
                let spoilt = fault
                    .apply(RgbImage::new(width, height), &[Region::WHOLE, Region { x: 9, y: 9, width: 4, height: 4 }]);
                assert_eq!(spoilt.dimensions(), (width, height));
            }
        }
    }
}
