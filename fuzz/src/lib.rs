//! What the fuzz targets do with bytes: give them to a reader of foreign files, and use whatever it takes.
//!
//! Nothing may panic, hang or take memory beyond the bounds of the reader; libFuzzer watches over that. Files lie in a folder of
//! the process in the temporary folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use activation_monitor::activation::{Features, LayerFeatures};
use activation_monitor::dataset::bag::BagReader;
use activation_monitor::dataset::cdr::{self, Clock, CompressedImage, GroundTruthArray, Header, Image, RegionArray};
use activation_monitor::dataset::detections::Detection2DArray;
use activation_monitor::dataset::verdicts::{ClassificationArray, OodConfidenceArray, StreamState};
use activation_monitor::frame::{DecodeOptions, Encoding, Frame, RawImage, Region};
use activation_monitor::model::Manifest;
use activation_monitor::monitor::MonitorFile;
use activation_monitor::parameters::overrides::{self, Overrides};
use activation_monitor::parameters::settings::Settings;
use activation_monitor::scenario::{Drive, Script};
use ndarray::Array1;

/// Files of a bag, chosen by the first byte.
const RECORDINGS: [&str; 4] = ["x.mcap", "x.db3", "x.mcap.zstd", "x.db3.zstd"];
/// Messages that are read of a bag.
const MOST_MESSAGES: usize = 10_000;
/// Pixels of an image that is decoded: enough for every path, few enough for thousands of images per second.
const MOST_PIXELS: u64 = 1 << 16;

/// A file of this process with that content.
fn file(name: &str, content: &[u8]) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder"));
    let path = folder.path().join(name);
    fs::write(&path, content).expect("room for a temporary file");
    path
}

/// A recording: opened, and every message decoded as what it claims to be.
pub fn bag(data: &[u8]) {
    let Some((first, content)) = data.split_first() else { return };
    let path = file(RECORDINGS[usize::from(*first) % RECORDINGS.len()], content);
    if let Ok(mut bag) = BagReader::open(&path) {
        for message in bag.by_ref().take(MOST_MESSAGES).map_while(Result::ok) {
            let _ = message.decode::<CompressedImage>();
            let _ = message.decode::<RegionArray>();
        }
        let _ = bag.damage().iter().map(ToString::to_string).collect::<String>();
    }
    let _ = fs::remove_file(path);
}

/// A message of a type that the first byte chooses; what was decoded survives encoding.
pub fn cdr(data: &[u8]) {
    fn check<M: cdr::RosMessage + serde::de::DeserializeOwned>(bytes: &[u8]) {
        let Ok(message) = cdr::decode::<M>(bytes) else { return };
        let Ok(encoded) = cdr::encode(&message) else { return };
        let again: M = cdr::decode(&encoded).expect("what was encoded can be decoded");
        assert!(cdr::encode(&again).is_ok_and(|bytes| bytes == encoded), "the same message has other bytes");
    }
    let Some((first, bytes)) = data.split_first() else { return };
    match first % 10 {
        0 => check::<Header>(bytes),
        1 => check::<Clock>(bytes),
        2 => check::<Image>(bytes),
        3 => check::<CompressedImage>(bytes),
        4 => check::<RegionArray>(bytes),
        5 => check::<GroundTruthArray>(bytes),
        6 => check::<ClassificationArray>(bytes),
        7 => check::<OodConfidenceArray>(bytes),
        8 => check::<StreamState>(bytes),
        _ => check::<Detection2DArray>(bytes),
    }
}

/// A compressed image (first byte even) or a raw one, whose claims are the next eleven bytes.
pub fn image_message(data: &[u8]) {
    let options = DecodeOptions { max_pixels: MOST_PIXELS, ..DecodeOptions::default() };
    let Some((first, rest)) = data.split_first() else { return };
    if first % 2 == 0 {
        let format = ["jpeg", "png", "bayer_rggb8; jpeg compressed bgr8"][usize::from(first / 2) % 3];
        let whole = Frame::compressed(rest, format, &options).ok();
        let rows = 1 + u32::from(first / 6);
        let few = Frame::compressed(rest, format, &DecodeOptions { rows, ..options }).ok();
        compare(whole.as_ref(), few.as_ref(), rows);
        return use_frame(whole.as_ref());
    }
    let Some((claims, data)) = rest.split_at_checked(11) else { return };
    let number = |from: usize| u32::from(u16::from_le_bytes([claims[from], claims[from + 1]]));
    let raw = RawImage {
        encoding: Encoding::ALL[usize::from(claims[0]) % Encoding::ALL.len()].ros_name(),
        width: number(1),
        height: number(3),
        // Large steps, too.
        step: number(5) << (claims[7] % 24),
        is_bigendian: claims[8] % 2 == 1,
        data,
    };
    let options = DecodeOptions { bit_depth: if claims[9] == 0 { 0 } else { 8 + claims[10] % 9 }, ..options };
    use_frame(Frame::raw(&raw, &options).ok().as_ref());
}

/// The rows that were asked for are those of the whole image.
fn compare(whole: Option<&Frame<'_>>, few: Option<&Frame<'_>>, rows: u32) {
    let (Some(whole), Some(few)) = (whole, few) else { return };
    let region = Region { x: 0, y: 0, width: whole.width(), height: rows.min(whole.height()) };
    let [whole, few] = [whole, few].map(|frame| frame.crop(region).expect("the rows are there"));
    assert!(whole == few, "other pixels where rows were left out");
}

fn use_frame(frame: Option<&Frame<'_>>) {
    let Some(frame) = frame else { return };
    let (width, height) = (frame.width(), frame.height());
    assert!(u64::from(width) * u64::from(height) <= MOST_PIXELS);
    let whole = frame.to_rgb();
    assert_eq!(whole.dimensions(), (width, height));
    let region = Region { x: width / 3, y: height / 3, width: (width / 2).max(1), height: (height / 2).max(1) };
    if let Ok(crop) = frame.crop(region) {
        let same = image::imageops::crop_imm(&whole, region.x, region.y, region.width, region.height).to_image();
        assert!(crop == same, "a region has other pixels than the image");
    }
}

/// A monitor file whose checksum counts as right: fuzzing builds compare none.
pub fn monitor_file(data: &[u8]) {
    let path = file("x.monitor", data);
    if let Ok(MonitorFile::Monitor(monitor)) = MonitorFile::load(&path) {
        let features = Features {
            logits: Array1::from(vec![2.0, 0.5, -1.0]),
            layers: vec![
                LayerFeatures { mean: Array1::from_elem(12, 0.7), variance: Some(Array1::from_elem(12, 0.2)) },
                LayerFeatures::vector(Array1::from_elem(10, 1.5)),
            ],
        };
        if let Ok(judgement) = monitor.judge(&features) {
            let _ = monitor.explain(&features, &judgement);
        }
        let _ = monitor.notes();
    }
}

/// A scenario: read, planned, and now and then drawn.
pub fn scenario(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(script) = Script::parse(text, Path::new("fuzz.yaml")) else { return };
    let seconds = script.duration_secs / 2.0;
    let drive = Drive::of(Script { width: 160, height: 160, ..script });
    // A frame takes as long as hundreds of plans.
    if data.len() % 61 == 0 {
        let _ = drive.frame_of(0, seconds);
    }
}

/// The description of a model.
pub fn model_json(data: &[u8]) {
    let path = file("model.json", data);
    let _ = path.parent().map(Manifest::read);
}

/// A params file, as rcl reads it.
pub fn params_file(data: &[u8]) {
    let path = file("params.yaml", data);
    let arguments = ["--ros-args", "--params-file", &path.display().to_string()].map(str::to_owned);
    if let Ok(given) = Overrides::read(&arguments) {
        let _ = overrides::apply(given.of_node("/monitor"), &mut Settings::default());
        let _ = given.missed("/monitor");
    }
}
