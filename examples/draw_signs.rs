//! Draws the project's traffic signs: all classes on one sheet, or one of them.
//!
//! ```text
//! cargo run --release --example draw_signs -- --output target/signs.png
//! cargo run --release --example draw_signs -- --class 14 --seed 3 --size 64 --output tests/data/stop_sign.pam
//! ```

use std::path::PathBuf;

use activation_monitor::scenario::{CLASS_NAMES, draw_training_sign};
use anyhow::{Context, Result, ensure};
use clap::Parser;
use image::{RgbImage, imageops};

/// Draw traffic signs as the training sees them.
#[derive(Parser, Debug)]
struct Arguments {
    /// Image file to write; its extension chooses the format
    #[arg(long)]
    output: PathBuf,
    /// Only this class, 0 to 42
    #[arg(long)]
    class: Option<usize>,
    /// Light, weather and camera follow from it
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Side length of a sign in pixels
    #[arg(long, default_value_t = 64)]
    size: u32,
    /// Signs of each class on the sheet
    #[arg(long, default_value_t = 8)]
    variants: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let image = match arguments.class {
        Some(class) => {
            ensure!(class < CLASS_NAMES.len(), "there is no class {class}, the last one is {}", CLASS_NAMES.len() - 1);
            draw_training_sign(class, arguments.seed, arguments.size)
        }
        None => sheet(&arguments),
    };
    image.save(&arguments.output).with_context(|| format!("cannot write {}", arguments.output.display()))
}

/// Classes in two columns, variants side by side.
fn sheet(arguments: &Arguments) -> RgbImage {
    let Arguments { size, variants, seed, .. } = *arguments;
    let rows = CLASS_NAMES.len().div_ceil(2);
    let mut sheet = RgbImage::new(2 * size * variants as u32 + size, size * rows as u32);
    for class in 0..CLASS_NAMES.len() {
        let left = (class / rows) as i64 * i64::from(size * variants as u32 + size);
        let top = (class % rows) as i64 * i64::from(size);
        for variant in 0..variants {
            let sign = draw_training_sign(class, seed + variant, size);
            imageops::replace(&mut sheet, &sign, left + variant as i64 * i64::from(size), top);
        }
    }
    sheet
}
