//! Records a drive as a rosbag2.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use rayon::prelude::*;

use super::drive::{Anomaly, Drive, DriveSettings, Lasting, SeenSign};
use crate::dataset::bag::{BagError, BagWriter};
use crate::dataset::cdr::{
    Clock, CompressedImage, GroundTruth, GroundTruthArray, Header, Region, RegionArray, RegionOfInterest, Time,
};
use crate::frame::encode_jpeg;

/// Topic of the camera frames, `sensor_msgs/msg/CompressedImage`.
pub const IMAGE_TOPIC: &str = "/camera/image_raw/compressed";
/// Topic of the detected signs, `activation_monitor/msg/RegionArray`.
pub const REGIONS_TOPIC: &str = "/camera/regions";
/// Topic of the truth about them, `activation_monitor/msg/GroundTruthArray`.
pub const GROUND_TRUTH_TOPIC: &str = "/ground_truth";
/// Topic of the simulated time, `rosgraph_msgs/msg/Clock`.
pub const CLOCK_TOPIC: &str = "/clock";

/// Stamp of the first frame in nanoseconds since the epoch: every drive begins at the same time.
const START_NANOS: u64 = 1_750_000_000_000_000_000;
const JPEG_QUALITY: u8 = 88;
/// Frames that are drawn at once before they are written in order.
const BATCH: usize = 16;

const DURATION_SECS: RangeInclusive<f32> = 1.0..=3600.0;
const RATE_HZ: RangeInclusive<f32> = 1.0..=60.0;
const SIDE_PX: RangeInclusive<u32> = 160..=4096;

/// Draws a drive past traffic signs and records it as a rosbag2 (MCAP) with its ground truth.
///
/// Most signs are normal; between them come signs that no training image had: unknown signs, stickers, fog, mud on the lens,
/// posters, signs upside down, snow. The same options give the same bytes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = "Example:\n  activation-monitor synthesize --output drive --seed 7 --duration-secs 60")]
pub struct SynthesizeArgs {
    /// Folder of the bag; must not exist yet
    #[arg(long, value_name = "BAG")]
    pub output: PathBuf,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Length of the drive in seconds
    #[arg(long, default_value_t = 40.0)]
    pub duration_secs: f32,
    /// Frames per second
    #[arg(long, default_value_t = 10.0)]
    pub rate_hz: f32,
    /// Width of the frames in pixels
    #[arg(long, default_value_t = 1280)]
    pub width: u32,
    /// Height of the frames in pixels
    #[arg(long, default_value_t = 720)]
    pub height: u32,
    /// Let every sign from --lasting-from-secs on have this, and all signs before it be normal
    #[arg(long, value_enum, value_name = "ANOMALY")]
    pub lasting: Option<Anomaly>,
    /// When that begins, in seconds after the start
    #[arg(long, default_value_t = 10.0)]
    pub lasting_from_secs: f32,
}

impl SynthesizeArgs {
    /// The standard drive into `output`.
    #[must_use]
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            output: output.into(),
            seed: 1,
            duration_secs: 40.0,
            rate_hz: 10.0,
            width: 1280,
            height: 720,
            lasting: None,
            lasting_from_secs: 10.0,
        }
    }

    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        (self.duration_secs * self.rate_hz).round() as usize
    }

    fn check(&self) -> Result<(), SynthesizeError> {
        within("--duration-secs", &self.duration_secs, &DURATION_SECS)?;
        within("--rate-hz", &self.rate_hz, &RATE_HZ)?;
        within("--lasting-from-secs", &self.lasting_from_secs, &(0.0..=*DURATION_SECS.end()))?;
        within("--width", &self.width, &SIDE_PX)?;
        within("--height", &self.height, &SIDE_PX)
    }

    fn nanos(&self, frame: usize) -> u64 {
        START_NANOS + (frame as f64 * 1e9 / f64::from(self.rate_hz)).round() as u64
    }
}

/// Why a drive was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum SynthesizeError {
    /// An option is out of its range.
    #[error("{option} is {found}, expected {low} to {high}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// Smallest accepted value.
        low: String,
        /// Largest accepted value.
        high: String,
    },
    /// The bag cannot be written.
    #[error(transparent)]
    Bag(#[from] BagError),
    /// A frame cannot be encoded.
    #[error("frame {frame} cannot be encoded as JPEG: {source}")]
    Encode {
        /// Index of the frame.
        frame: usize,
        /// Cause.
        source: image::ImageError,
    },
    /// The caller wanted to stop.
    #[error("interrupted; nothing was written")]
    Interrupted,
}

/// What was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SynthesizeSummary {
    /// Camera frames.
    pub frames: usize,
    /// Regions over all frames.
    pub regions: usize,
    /// Regions that show something out of distribution.
    pub anomalous: usize,
}

/// Draws and records a drive. `progress` is called with the number of finished frames; it returns false to stop, and then
/// no bag is left.
///
/// # Errors
/// [`SynthesizeError`] when an option is out of range, the bag cannot be written, or `progress` wants to stop.
pub fn synthesize(
    options: &SynthesizeArgs,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<SynthesizeSummary, SynthesizeError> {
    options.check()?;
    let SynthesizeArgs { seed, duration_secs: seconds, width, height, lasting, lasting_from_secs, .. } = *options;
    let lasting = lasting.map(|anomaly| Lasting { anomaly, from_secs: lasting_from_secs });
    let drive = Drive::new(DriveSettings { seed, seconds, width, height, lasting });
    let mut writer = BagWriter::create(&options.output)?;
    let mut summary = SynthesizeSummary::default();
    let indices: Vec<usize> = (0..options.frames()).collect();
    for batch in indices.chunks(BATCH) {
        let frames: Result<Vec<Frame>, _> =
            batch.par_iter().map(|&index| Frame::draw(&drive, options, index)).collect();
        for frame in frames? {
            frame.write(&mut writer)?;
            summary.add(&frame);
            if !progress(summary.frames) {
                writer.discard()?;
                return Err(SynthesizeError::Interrupted);
            }
        }
    }
    writer.finish()?;
    Ok(summary)
}

/// One frame, ready to be written.
struct Frame {
    nanos: u64,
    jpeg: Vec<u8>,
    signs: Vec<SeenSign>,
}

impl Frame {
    fn draw(drive: &Drive, options: &SynthesizeArgs, index: usize) -> Result<Self, SynthesizeError> {
        let (image, signs) = drive.frame(index as f32 / options.rate_hz);
        let jpeg =
            encode_jpeg(&image, JPEG_QUALITY).map_err(|source| SynthesizeError::Encode { frame: index, source })?;
        Ok(Self { nanos: options.nanos(index), jpeg, signs })
    }

    fn write(&self, writer: &mut BagWriter) -> Result<(), BagError> {
        let stamp = Time::from_nanos(self.nanos);
        let header = || Header { stamp, frame_id: "camera".into() };
        let objects: Vec<GroundTruth> = self.signs.iter().map(truth).collect();
        let regions = objects.iter().map(|object| object.region.clone()).collect();
        let image = CompressedImage { header: header(), format: "jpeg".into(), data: self.jpeg.clone() };
        writer.write(CLOCK_TOPIC, self.nanos, &Clock { clock: stamp })?;
        writer.write(REGIONS_TOPIC, self.nanos, &RegionArray { header: header(), regions })?;
        writer.write(IMAGE_TOPIC, self.nanos, &image)?;
        writer.write(GROUND_TRUTH_TOPIC, self.nanos, &GroundTruthArray { header: header(), objects })
    }
}

impl SynthesizeSummary {
    fn add(&mut self, frame: &Frame) {
        self.frames += 1;
        self.regions += frame.signs.len();
        self.anomalous += frame.signs.iter().filter(|sign| sign.anomaly.is_some()).count();
    }
}

fn truth(sign: &SeenSign) -> GroundTruth {
    let [x_offset, y_offset, width, height] = sign.rectangle;
    let roi = RegionOfInterest { x_offset, y_offset, height, width, do_rectify: false };
    GroundTruth {
        region: Region { id: sign.id.clone(), roi },
        class_id: sign.class.map_or(-1, |class| class as i32),
        class_name: sign.name.clone(),
        in_distribution: sign.anomaly.is_none(),
        anomaly: sign.anomaly.map_or("", |anomaly| anomaly.name()).into(),
    }
}

fn within<T: PartialOrd + ToString>(
    option: &'static str,
    value: &T,
    range: &RangeInclusive<T>,
) -> Result<(), SynthesizeError> {
    if range.contains(value) {
        return Ok(());
    }
    let (low, high) = (range.start().to_string(), range.end().to_string());
    Err(SynthesizeError::Option { option, found: value.to_string(), low, high })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::dataset::bag::BagReader;

    fn small(output: PathBuf, seed: u64) -> SynthesizeArgs {
        SynthesizeArgs {
            seed,
            duration_secs: 5.0,
            rate_hz: 4.0,
            width: 320,
            height: 180,
            ..SynthesizeArgs::new(output)
        }
    }

    #[test]
    fn same_seed_gives_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = |name: &str, seed| {
            let folder = directory.path().join(name).join("drive");
            synthesize(&small(folder.clone(), seed), |_| true).unwrap();
            (fs::read(folder.join("drive_0.mcap")).unwrap(), fs::read(folder.join("metadata.yaml")).unwrap())
        };
        let first = bytes("a", 5);
        assert!(first == bytes("b", 5));
        assert!(first.0 != bytes("c", 6).0);
    }

    #[test]
    fn every_frame_has_image_regions_and_truth_of_the_same_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("drive");
        let summary = synthesize(&small(folder.clone(), 1), |_| true).unwrap();
        let mut regions = BTreeMap::new();
        let mut images = 0;
        for message in BagReader::open(&folder).unwrap().map(Result::unwrap) {
            match message.topic.as_ref() {
                REGIONS_TOPIC => {
                    let array: RegionArray = message.decode().unwrap();
                    regions.insert(array.header.stamp, array.regions);
                }
                IMAGE_TOPIC => {
                    let frame: CompressedImage = message.decode().unwrap();
                    let decoded = image::load_from_memory(&frame.data).unwrap();
                    assert_eq!((decoded.width(), decoded.height()), (320, 180));
                    images += 1;
                }
                GROUND_TRUTH_TOPIC => {
                    let truth: GroundTruthArray = message.decode().unwrap();
                    let expected: Vec<_> = truth.objects.into_iter().map(|object| object.region).collect();
                    assert_eq!(regions[&truth.header.stamp], expected);
                }
                _ => assert_eq!(message.decode::<Clock>().unwrap().clock.as_nanos(), message.log_nanos),
            }
        }
        assert_eq!((images, summary.frames), (20, 20));
        assert!(summary.regions > 10 && summary.anomalous < summary.regions, "{summary:?}");
    }

    #[test]
    fn options_out_of_range_are_named() {
        let options = SynthesizeArgs { rate_hz: 0.0, ..SynthesizeArgs::new("/nonexistent/bag") };
        let error = synthesize(&options, |_| true).unwrap_err().to_string();
        assert_eq!(error, "--rate-hz is 0, expected 1 to 60");
    }
}
