//! Turns a KITTI drive into a bag that the demo plays: a second scenario, filmed instead of drawn.
//!
//! ```text
//! cargo run --release --example kitti_bag -- --data kitti_drive --output target/kitti
//! cargo run --release --example demo -- --bag target/kitti --output target/kitti_demo
//! ```
//!
//! The folder holds `frames/*.jpg` in the order of time, `timestamps.txt` with one line per frame
//! (`2011-09-26 13:10:04.772486656`), and `sign_boxes.csv` with the columns Frame, X1, Y1, X2, Y2, GtsrbClass (pixels, X2
//! and Y2 exclusive). KITTI raw data: Geiger et al., "Vision meets Robotics: The KITTI Dataset", IJRR 2013.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use activation_monitor::dataset::bag::BagWriter;
use activation_monitor::dataset::cdr::{
    Clock, CompressedImage, GroundTruth, GroundTruthArray, Header, Region, RegionArray, RegionOfInterest, Time,
};
use activation_monitor::scenario::{CLASS_NAMES, CLOCK_TOPIC, GROUND_TRUTH_TOPIC, IMAGE_TOPIC, REGIONS_TOPIC};
use anyhow::{Context, Result, ensure};
use clap::Parser;

/// Turn a KITTI drive into a bag.
#[derive(Parser, Debug)]
struct Arguments {
    /// Folder with frames, timestamps.txt and sign_boxes.csv
    #[arg(long)]
    data: PathBuf,
    /// Folder of the bag; must not exist yet
    #[arg(long)]
    output: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let frames = frames(&arguments.data)?;
    let boxes = boxes(&arguments.data.join("sign_boxes.csv"))?;
    let mut bag = BagWriter::create(&arguments.output)?;
    for (path, nanos) in &frames {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let objects = boxes.get(name.as_ref()).cloned().unwrap_or_default();
        write(&mut bag, *nanos, std::fs::read(path)?, objects)?;
    }
    bag.finish()?;
    let signs: usize = boxes.values().map(Vec::len).sum();
    println!("wrote {}: {} frames with {signs} signs", arguments.output.display(), frames.len());
    Ok(())
}

fn write(bag: &mut BagWriter, nanos: u64, jpeg: Vec<u8>, objects: Vec<GroundTruth>) -> Result<()> {
    let stamp = Time::from_nanos(nanos);
    let header = || Header { stamp, frame_id: "camera".into() };
    let regions = objects.iter().map(|object| object.region.clone()).collect();
    let image = CompressedImage { header: header(), format: "jpeg".into(), data: jpeg };
    bag.write(CLOCK_TOPIC, nanos, &Clock { clock: stamp })?;
    bag.write(REGIONS_TOPIC, nanos, &RegionArray { header: header(), regions })?;
    bag.write(IMAGE_TOPIC, nanos, &image)?;
    Ok(bag.write(GROUND_TRUTH_TOPIC, nanos, &GroundTruthArray { header: header(), objects })?)
}

/// Path and time of every frame, in the order of time.
fn frames(folder: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let listing = folder.join("frames");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&listing).with_context(|| format!("cannot read {}", listing.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    let file = folder.join("timestamps.txt");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let nanos: Vec<u64> = text.lines().map(nanos_of_day).collect::<Result<_>>()?;
    ensure!(paths.len() == nanos.len(), "{} frames, but {} timestamps", paths.len(), nanos.len());
    Ok(paths.into_iter().zip(nanos).collect())
}

/// Nanoseconds since midnight: a drive has a beginning, not a date.
fn nanos_of_day(line: &str) -> Result<u64> {
    let time = line.rsplit(' ').next().unwrap_or_default();
    let wrong = || format!("`{line}` is no timestamp, expected YYYY-MM-DD HH:MM:SS.NNNNNNNNN");
    let (clock, fraction) = time.split_once('.').with_context(wrong)?;
    let parts: Vec<u64> = clock.split(':').map(str::parse).collect::<Result<_, _>>().with_context(wrong)?;
    let [hours, minutes, seconds] = parts.as_slice() else { anyhow::bail!(wrong()) };
    let nanos: u64 = format!("{fraction:0<9}").get(..9).with_context(wrong)?.parse().with_context(wrong)?;
    Ok(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos)
}

/// The signs of every frame by the frame's file name.
fn boxes(file: &Path) -> Result<BTreeMap<String, Vec<GroundTruth>>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut boxes: BTreeMap<String, Vec<GroundTruth>> = BTreeMap::new();
    for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let wrong = || format!("{}: `{line}` is no box", file.display());
        let [frame, corners @ .., class] = fields.get(..6).with_context(wrong)? else { anyhow::bail!(wrong()) };
        let corners: Vec<u32> =
            corners.iter().map(|field| field.parse()).collect::<Result<_, _>>().with_context(wrong)?;
        boxes.entry((*frame).to_owned()).or_default().push(truth(&corners, class.parse().with_context(wrong)?)?);
    }
    Ok(boxes)
}

fn truth(corners: &[u32], class: usize) -> Result<GroundTruth> {
    let [left, top, right, bottom] = *corners else { anyhow::bail!("a box has four numbers") };
    ensure!(left < right && top < bottom, "the box {corners:?} is empty");
    let class_name = CLASS_NAMES.get(class).with_context(|| format!("there is no class {class}"))?;
    let (width, height) = (right - left, bottom - top);
    let roi = RegionOfInterest { x_offset: left, y_offset: top, height, width, do_rectify: false };
    Ok(GroundTruth {
        region: Region { id: format!("sign_{class:02}"), roi },
        class_id: i32::try_from(class)?,
        class_name: (*class_name).to_owned(),
        in_distribution: true,
        anomaly: String::new(),
    })
}
