//! Records a drive as a rosbag2.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::drive::{Album, AlbumError, Anomaly, Drive, DriveSettings, Lasting, SeenSign};
use super::script::{DURATION_SECS, RATE_HZ, SIDE_PX, Script, ScriptError};
use crate::dataset::bag::{BagError, BagWriter};
use crate::dataset::cdr::{
    Clock, CompressedImage, GroundTruth, GroundTruthArray, Header, Region, RegionArray, RegionOfInterest, Time,
};
use crate::frame::encode_jpeg;

/// Topic of the camera frames, `sensor_msgs/msg/CompressedImage`. Several cameras of a scenario have
/// `/NAME/image_raw/compressed`.
pub const IMAGE_TOPIC: &str = "/camera/image_raw/compressed";
/// Topic of the detected signs, `activation_monitor/msg/RegionArray`; of several cameras `/NAME/regions`.
pub const REGIONS_TOPIC: &str = "/camera/regions";
/// Topic of the truth about them, `activation_monitor/msg/GroundTruthArray`; of several cameras `/NAME/ground_truth`.
pub const GROUND_TRUTH_TOPIC: &str = "/ground_truth";
/// Topic of the simulated time, `rosgraph_msgs/msg/Clock`.
pub const CLOCK_TOPIC: &str = "/clock";

/// Stamp of the first frame in nanoseconds since the epoch: every drive begins at the same time.
const START_NANOS: u64 = 1_750_000_000_000_000_000;
const JPEG_QUALITY: u8 = 88;
/// Frames that are drawn at once before they are written in order.
const BATCH: usize = 16;

const EXAMPLES: &str = "\
Examples:
  activation-monitor synthesize --output drive --seed 7 --duration-secs 60
  activation-monitor synthesize --scenario tests/scenarios/rain_at_night.yaml
  activation-monitor synthesize --scenario tests/scenarios/clear_day.yaml \\
      --signs gtsrb/train --output clear_day_with_photographs

docs/scenarios.md explains scenarios.";

/// Draws a drive past traffic signs and records it as a rosbag2 (MCAP) with its ground truth.
///
/// Most signs are normal; between them come signs that no training image had: unknown signs, stickers, fog, mud on the lens,
/// posters, signs upside down, snow. A scenario says instead what is to be seen: road, weather, light, signs, attacks and
/// camera faults over time. The same options give the same bytes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SynthesizeArgs {
    /// Folder of the bag; must not exist yet. With a scenario its name when left out
    #[arg(long, value_name = "BAG", required_unless_present = "scenario")]
    pub output: Option<PathBuf>,
    /// Draw the scenario of a YAML file
    #[arg(
        long, value_name = "FILE",
        conflicts_with_all = ["seed", "duration_secs", "rate_hz", "width", "height", "lasting", "lasting_from_secs"]
    )]
    pub scenario: Option<PathBuf>,
    /// Show photographs instead of drawings of normal signs: DIR/CLASS/TRACK_FRAME.png, as in GTSRB
    #[arg(long, value_name = "DIR")]
    pub signs: Option<PathBuf>,
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
            output: Some(output.into()),
            scenario: None,
            signs: None,
            seed: 1,
            duration_secs: 40.0,
            rate_hz: 10.0,
            width: 1280,
            height: 720,
            lasting: None,
            lasting_from_secs: 10.0,
        }
    }

    /// Plans the drive that the options ask for.
    ///
    /// # Errors
    /// [`SynthesizeError`] when an option is out of range, or the scenario or the photographs cannot be used.
    pub fn drive(&self) -> Result<Drive, SynthesizeError> {
        let drive = Drive::of(self.script()?);
        match &self.signs {
            Some(folder) => Ok(drive.with_photographs(&Album::open(folder)?)?),
            None => Ok(drive),
        }
    }

    /// Folder of the bag of a drive.
    #[must_use]
    pub fn output_of(&self, drive: &Drive) -> PathBuf {
        self.output.clone().unwrap_or_else(|| PathBuf::from(&drive.script().name))
    }

    fn script(&self) -> Result<Script, SynthesizeError> {
        if let Some(path) = &self.scenario {
            return Ok(Script::load(path)?);
        }
        self.check()?;
        let Self { seed, duration_secs: seconds, width, height, lasting, lasting_from_secs: from_secs, .. } = *self;
        let lasting = lasting.map(|anomaly| Lasting { anomaly, from_secs });
        let script = Script::standard(&DriveSettings { seed, seconds, width, height, lasting });
        Ok(Script { rate_hz: self.rate_hz, ..script })
    }

    fn check(&self) -> Result<(), SynthesizeError> {
        within("--duration-secs", &self.duration_secs, &DURATION_SECS)?;
        within("--rate-hz", &self.rate_hz, &RATE_HZ)?;
        within("--lasting-from-secs", &self.lasting_from_secs, &(0.0..=*DURATION_SECS.end()))?;
        within("--width", &self.width, &SIDE_PX)?;
        within("--height", &self.height, &SIDE_PX)
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
    /// The scenario cannot be used.
    #[error(transparent)]
    Scenario(#[from] ScriptError),
    /// The photographs of signs cannot be used.
    #[error(transparent)]
    Photographs(#[from] AlbumError),
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
    /// Frames of all cameras.
    pub frames: usize,
    /// Regions over all frames.
    pub regions: usize,
    /// Regions that show something out of distribution.
    pub anomalous: usize,
}

/// Draws and records a drive into a folder, which must not exist yet. `progress` is called with the number of finished frames;
/// it returns false to stop, and then no bag is left.
///
/// # Errors
/// [`SynthesizeError`] when the bag cannot be written or `progress` wants to stop.
pub fn record(
    drive: &Drive,
    output: &Path,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<SynthesizeSummary, SynthesizeError> {
    let cameras = Channels::of(drive.script());
    let mut writer = BagWriter::create(output)?;
    let mut summary = SynthesizeSummary::default();
    let frames = drive.script().frames();
    let indices: Vec<(usize, usize)> =
        (0..frames).flat_map(|index| (0..cameras.len()).map(move |camera| (index, camera))).collect();
    for batch in indices.chunks(BATCH) {
        let frames: Result<Vec<Frame>, _> =
            batch.par_iter().map(|&(index, camera)| Frame::draw(drive, index, camera)).collect();
        for (frame, &(_, camera)) in frames?.iter().zip(batch) {
            if camera == 0 {
                writer.write(CLOCK_TOPIC, frame.nanos, &Clock { clock: Time::from_nanos(frame.nanos) })?;
            }
            frame.write(&cameras[camera], &mut writer)?;
            summary.add(frame);
            if !progress(summary.frames) {
                writer.discard()?;
                return Err(SynthesizeError::Interrupted);
            }
        }
    }
    writer.finish()?;
    Ok(summary)
}

/// Topics and frame of one camera.
struct Channels {
    frame_id: String,
    image: String,
    regions: String,
    truth: String,
}

impl Channels {
    /// Those of all cameras; a single one has the usual topics, whatever its name.
    fn of(script: &Script) -> Vec<Self> {
        if script.cameras.len() < 2 {
            return vec![Self {
                frame_id: "camera".into(),
                image: IMAGE_TOPIC.into(),
                regions: REGIONS_TOPIC.into(),
                truth: GROUND_TRUTH_TOPIC.into(),
            }];
        }
        let named = script.cameras.iter().map(|camera| Self {
            frame_id: camera.name.clone(),
            image: format!("/{}/image_raw/compressed", camera.name),
            regions: format!("/{}/regions", camera.name),
            truth: format!("/{}/ground_truth", camera.name),
        });
        named.collect()
    }
}

/// One frame, ready to be written.
struct Frame {
    nanos: u64,
    jpeg: Vec<u8>,
    signs: Vec<SeenSign>,
}

impl Frame {
    fn draw(drive: &Drive, index: usize, camera: usize) -> Result<Self, SynthesizeError> {
        let rate = drive.script().rate_hz;
        let (image, signs) = drive.frame_of(camera, index as f32 / rate);
        let jpeg =
            encode_jpeg(&image, JPEG_QUALITY).map_err(|source| SynthesizeError::Encode { frame: index, source })?;
        let nanos = START_NANOS + (index as f64 * 1e9 / f64::from(rate)).round() as u64;
        Ok(Self { nanos, jpeg, signs })
    }

    fn write(&self, channels: &Channels, writer: &mut BagWriter) -> Result<(), BagError> {
        let stamp = Time::from_nanos(self.nanos);
        let header = || Header { stamp, frame_id: channels.frame_id.clone() };
        let objects: Vec<GroundTruth> = self.signs.iter().map(truth).collect();
        let regions = objects.iter().map(|object| object.region.clone()).collect();
        let image = CompressedImage { header: header(), format: "jpeg".into(), data: self.jpeg.clone() };
        writer.write(&channels.regions, self.nanos, &RegionArray { header: header(), regions })?;
        writer.write(&channels.image, self.nanos, &image)?;
        writer.write(&channels.truth, self.nanos, &GroundTruthArray { header: header(), objects })
    }
}

impl SynthesizeSummary {
    fn add(&mut self, frame: &Frame) {
        self.frames += 1;
        self.regions += frame.signs.len();
        self.anomalous += frame.signs.iter().filter(|sign| sign.strange().is_some()).count();
    }
}

fn truth(sign: &SeenSign) -> GroundTruth {
    let [x_offset, y_offset, width, height] = sign.rectangle;
    let roi = RegionOfInterest { x_offset, y_offset, height, width, do_rectify: false };
    GroundTruth {
        region: Region { id: sign.id.clone(), roi },
        class_id: sign.class.map_or(-1, |class| class as i32),
        class_name: sign.name.clone(),
        in_distribution: sign.strange().is_none(),
        anomaly: sign.strange().unwrap_or_default().into(),
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

    fn synthesize(options: &SynthesizeArgs) -> Result<SynthesizeSummary, SynthesizeError> {
        let drive = options.drive()?;
        record(&drive, &options.output_of(&drive), |_| true)
    }

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
            synthesize(&small(folder.clone(), seed)).unwrap();
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
        let summary = synthesize(&small(folder.clone(), 1)).unwrap();
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
    fn two_cameras_have_topics_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("two.yaml");
        let text = "version: 1\nname: two\nduration_secs: 2\nrate_hz: 2\nwidth: 320\nheight: 180\n\
                    cameras: [{name: left, offset_m: -0.5}, {name: right, offset_m: 0.5, yaw_deg: 10}]\n\
                    signs: {list: [{class: stop, at_secs: 1.9}]}\n";
        fs::write(&file, text).unwrap();
        let folder = directory.path().join("bag");
        let options = SynthesizeArgs { scenario: Some(file), ..SynthesizeArgs::new(&folder) };
        let summary = synthesize(&options).unwrap();
        assert_eq!(summary.frames, 8);
        let mut counts = BTreeMap::new();
        for message in BagReader::open(&folder).unwrap().map(Result::unwrap) {
            *counts.entry(message.topic.to_string()).or_insert(0) += 1;
        }
        let topics = ["/clock", "/left/ground_truth", "/left/image_raw/compressed", "/left/regions"];
        assert!(topics.iter().all(|topic| counts[*topic] == 4), "{counts:?}");
        assert_eq!(counts.len(), 7);
    }

    #[test]
    fn options_out_of_range_are_named() {
        let options = SynthesizeArgs { rate_hz: 0.0, ..SynthesizeArgs::new("/nonexistent/bag") };
        let error = synthesize(&options).unwrap_err().to_string();
        assert_eq!(error, "--rate-hz is 0, expected 1 to 60");
    }
}
