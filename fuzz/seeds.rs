//! Writes what the fuzz targets begin with: `fuzz_seeds FOLDER` makes `FOLDER/<target>/…` of the project's own files and writers.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use activation_monitor::activation::{FeatureBank, FeatureLayout, Features, Head, LayerFeatures, LayerKind, LayerSpec};
use activation_monitor::dataset::bag::{BagReader, BagWriter};
use activation_monitor::dataset::cdr::{self, CompressedImage, Header, Region, RegionArray, RegionOfInterest, Time};
use activation_monitor::frame::encode_jpeg;
use activation_monitor::monitor::{FitSettings, ModelId, ModelInput, Monitor};
use activation_monitor::scenario::{SynthesizeArgs, record};
use image::{Rgb, RgbImage};
use ndarray::{Array1, Array2};

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: fuzz_seeds FOLDER")?);
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    bags(&folder)?;
    images(&folder)?;
    monitor(&folder)?;
    copies(&folder.join("scenario"), &project.join("tests/scenarios"), "yaml")?;
    copies(&folder.join("params_file"), &project.join("params"), "yaml")?;
    copies(&folder.join("model_json"), &project.join("models/traffic_signs"), "json")
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Done {
    fs::create_dir_all(folder)?;
    Ok(fs::write(folder.join(name), bytes)?)
}

fn copies(folder: &Path, from: &Path, ending: &str) -> Done {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            write(folder, &path.file_name().unwrap_or_default().to_string_lossy(), &fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// A small recording behind the byte that chooses its kind, and its messages behind those that choose their types.
fn bags(folder: &Path) -> Done {
    let scratch = tempfile::tempdir()?;
    let drive = scratch.path().join("drive");
    let small =
        SynthesizeArgs { duration_secs: 5.0, rate_hz: 1.0, width: 160, height: 160, ..SynthesizeArgs::new(&drive) };
    record(&small.drive()?, &drive, |_| true)?;
    write(&folder.join("bag"), "drawn", &[&[0], &fs::read(drive.join("drive_0.mcap"))?[..]].concat())?;
    let tiny = scratch.path().join("tiny.mcap");
    let mut writer = BagWriter::create_file(&tiny)?;
    let header = Header { stamp: Time { sec: 7, nanosec: 8 }, frame_id: "camera".into() };
    let roi = RegionOfInterest { x_offset: 1, y_offset: 2, height: 3, width: 4, do_rectify: false };
    let regions = vec![Region { id: "sign".into(), roi }];
    let image = CompressedImage { header: header.clone(), format: "jpeg".into(), data: vec![1, 2, 3] };
    let regions = RegionArray { header, regions };
    writer.write("/regions", 7, &regions)?;
    writer.write("/image", 8, &image)?;
    writer.finish()?;
    let sqlite = scratch.path().join("tiny.db3");
    database(&sqlite, &cdr::encode(&image)?, &cdr::encode(&regions)?)?;
    for (kind, file) in [(0, &tiny), (1, &sqlite)] {
        let plain = fs::read(file)?;
        write(&folder.join("bag"), &format!("plain_{kind}"), &[&[kind], &plain[..]].concat())?;
        let packed = zstd::encode_all(&plain[..], 3)?;
        write(&folder.join("bag"), &format!("zstd_{kind}"), &[&[kind + 2], &packed[..]].concat())?;
    }
    let kinds = [("Header", 0), ("Clock", 1), ("CompressedImage", 3), ("RegionArray", 4), ("GroundTruthArray", 5)];
    for (index, message) in BagReader::open(&drive)?.take(12).enumerate() {
        let message = message?;
        for (_, kind) in kinds.iter().filter(|(kind, _)| message.type_name.ends_with(kind)) {
            write(&folder.join("cdr"), &format!("{kind}_{index}"), &[&[*kind], &message.data[..]].concat())?;
        }
    }
    Ok(())
}

/// A recording as rosbag2's SQLite storage lays it out.
fn database(path: &Path, image: &[u8], regions: &[u8]) -> Done {
    let database = rusqlite::Connection::open(path)?;
    database.execute_batch(
        "PRAGMA page_size = 512;
         CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
             serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL);
         CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, data BLOB NOT NULL);
         INSERT INTO topics VALUES (1, '/image', 'sensor_msgs/msg/CompressedImage', 'cdr', ''),
             (2, '/regions', 'activation_monitor/msg/RegionArray', 'cdr', '');",
    )?;
    for (topic, time, data) in [(2, 7, regions), (1, 8, image)] {
        database.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (?1, ?2, ?3)", (topic, time, data))?;
    }
    Ok(())
}

fn images(folder: &Path) -> Done {
    let folder = folder.join("image_message");
    let image = RgbImage::from_fn(24, 16, |x, y| Rgb([x as u8 * 10, y as u8 * 15, 90]));
    write(&folder, "jpeg", &[&[0], &encode_jpeg(&image, 80)?[..]].concat())?;
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png)?;
    write(&folder, "png", &[&[2], &png.into_inner()[..]].concat())?;
    for encoding in 0..32_u8 {
        // 8×4 pixels, rows of 64 bytes.
        let claims = [1, encoding, 8, 0, 4, 0, 64, 0, 0, 0, 0, 0];
        write(&folder, &format!("raw_{encoding}"), &[&claims[..], &[encoding; 64 * 4 * 3][..]].concat())?;
    }
    Ok(())
}

fn monitor(folder: &Path) -> Done {
    const CLASSES: usize = 3;
    let layers = vec![
        LayerSpec { name: "conv".into(), kind: LayerKind::Map, channels: 12 },
        LayerSpec { name: "z".into(), kind: LayerKind::Vector, channels: 10 },
    ];
    let bank = |seed: usize| -> Result<FeatureBank, Box<dyn Error>> {
        let mut bank = FeatureBank::new(FeatureLayout { classes: CLASSES, layers: layers.clone(), penultimate: 1 });
        for index in 0..CLASSES * 40 {
            let class = index % CLASSES;
            // Different, without being random.
            let value = |j: usize| ((index * 31 + j * 17 + seed * 7 + class * 5) % 23) as f32 / 23.0;
            let mut logits = Array1::from_shape_fn(CLASSES, |j| value(j + 50));
            logits[class] += 3.0;
            let map = LayerFeatures {
                mean: Array1::from_shape_fn(12, &value),
                variance: Some(Array1::from_shape_fn(12, |j| 0.1 + value(j + 20))),
            };
            let vector = LayerFeatures::vector(Array1::from_shape_fn(10, |j| value(j + 90) + class as f32));
            let key = format!("{class}/{}_{:05}.png", index / CLASSES / 4, index / CLASSES % 4);
            bank.push(key, class, &Features { logits, layers: vec![map, vector] })?;
        }
        Ok(bank)
    };
    let model = ModelId {
        sha256: "0".repeat(64),
        classes: ["a", "b", "c"].map(str::to_owned).into(),
        decoy_class: None,
        input: ModelInput { width: 8, height: 8, region_margin: 0.0 },
        head: None,
    };
    let weight = Array2::from_shape_fn((CLASSES, 10), |(class, j)| ((class * 7 + j * 3) % 5) as f32 - 2.0);
    let head = Head { weight, bias: Array1::zeros(CLASSES), dropout: 0.0 };
    let fitted = Monitor::fit(&bank(1)?, &bank(2)?, Some(&head), model, &FitSettings::default())?;
    let path = tempfile::tempdir()?.keep().join("seed.monitor");
    fitted.save(&path)?;
    write(&folder.join("monitor_file"), "fitted", &fs::read(&path)?)?;
    Ok(fs::remove_file(path)?)
}
