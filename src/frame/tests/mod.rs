//! Images against an independent decoder, and properties of all encodings.

mod compressed;
mod jpeg;
mod raw;

use std::path::PathBuf;

use serde::Deserialize;

/// An entry of the index that `tools/encoding_fixtures.py` writes.
#[derive(Debug, Deserialize)]
struct Fixture {
    name: String,
    width: u32,
    height: u32,
    /// File of the expected RGB.
    rgb: String,
    /// For raw images.
    encoding: Option<String>,
    #[serde(default)]
    step: u32,
    #[serde(default)]
    is_bigendian: bool,
    /// Bits that are used of samples of two bytes.
    bits: Option<u8>,
}

fn fixtures() -> Vec<Fixture> {
    serde_json::from_slice(&file("fixtures.json")).unwrap()
}

fn file(name: &str) -> Vec<u8> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", "encodings"].iter().collect();
    std::fs::read(folder.join(name)).unwrap()
}

impl Fixture {
    fn expected(&self) -> image::RgbImage {
        image::RgbImage::from_raw(self.width, self.height, file(&format!("{}.rgb", self.rgb))).unwrap()
    }
}

/// Largest and mean difference of the samples of pixels that are at least `border` pixels away from the edge.
fn difference(a: &image::RgbImage, b: &image::RgbImage, border: u32) -> (u8, f64) {
    assert_eq!(a.dimensions(), b.dimensions());
    let (width, height) = a.dimensions();
    let (mut largest, mut sum, mut count) = (0, 0, 0);
    for (x, y) in (border..width - border).flat_map(|x| (border..height - border).map(move |y| (x, y))) {
        for (a, b) in a[(x, y)].0.into_iter().zip(b[(x, y)].0) {
            largest = largest.max(a.abs_diff(b));
            sum += u32::from(a.abs_diff(b));
            count += 1;
        }
    }
    (largest, f64::from(sum) / f64::from(count.max(1)))
}
