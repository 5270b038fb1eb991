//! `visualize`: pictures of what is inside the network for an image.

mod film;
mod source;
mod studio;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use self::film::Kind;
use self::source::{BagArgs, Shot, Source};
use self::studio::Studio;
use super::{interrupt, model::ModelArgs, output};
use crate::frame::encode_png;
use crate::visualize::LayerChoice;

const EXAMPLES: &str = "\
Examples:
  activation-monitor visualize --model models/signs --layer stage2 \\
      --output stage2.png photo.jpg
  activation-monitor visualize --model models/signs --monitor signs.monitor \\
      --layer all --output layers.png photo.jpg
  activation-monitor visualize --model models/signs --monitor signs.monitor \\
      --layer 3 --every 10 --output drive.apng drive
  activation-monitor visualize --model models/signs --monitor signs.monitor \\
      --layer stage2 --object sign_14 --at-secs 14.4 --output sign.png drive

One tile per channel on one colour scale, and the mean of every channel. With a
monitor also the training mean of the predicted class, the deviation from it, a
p-value per channel, and the binary pattern beside the nearest one seen in
training. `all` is a contact sheet of all layers. Layers count from 1, channels
from 0. A folder of images or a bag becomes an animation, one picture per image,
on one scale: APNG (any browser shows it) or a recording for rerun.";

/// Draw what is inside the network for an image, beside what is usual there
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Visualize {
    #[command(flatten)]
    model: ModelArgs,
    /// Monitor file that `fit` made for this model: compare with its training images
    #[arg(long, value_name = "FILE")]
    monitor: Option<PathBuf>,
    /// Layer to show, or all of them
    #[arg(long, value_name = "NAME|NUMBER|all", default_value = "all")]
    layer: LayerChoice,
    /// An image, a folder of images, or a rosbag2 recording (folder, .mcap or .db3 file)
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// Picture (.png) or animation (.apng, .rrd) to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Take every Nth image of a folder or bag
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Pictures per second of an .apng
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=100))]
    fps: u16,
    #[command(flatten)]
    bag: BagArgs,
}

impl Visualize {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let kind = Kind::of(&self.output)?;
        output::check_place(&self.output)?;
        let source = Source::open(&self.input, &self.bag)?;
        let is_one = matches!((&source, self.bag.at_secs), (Source::Image(_), None) | (Source::Bag(_), Some(_)));
        anyhow::ensure!(
            kind != Kind::Picture || is_one,
            "{} has many images, {} has room for one: name an animation, .apng or .rrd; of a bag --at-secs chooses one",
            self.input.display(),
            self.output.display()
        );
        anyhow::ensure!(
            self.bag.at_secs.is_none() || kind == Kind::Picture && is_one,
            "--at-secs is for one picture (.png) of a bag"
        );
        let studio = Studio::load(&self.model, self.monitor.as_deref(), &self.layer)?;
        match (kind, &source) {
            (Kind::Picture, Source::Image(path)) => self.draw_one(&studio, source::read(path)?),
            (Kind::Picture, Source::Bag(bag)) => self.draw_one(&studio, bag.at(self.bag.at_secs.unwrap_or_default())?),
            _ => film::shoot(self, kind, &studio, &source),
        }
    }

    fn draw_one(&self, studio: &Studio, shot: Shot) -> anyhow::Result<()> {
        let look = studio.look(shot)?;
        look.remarks().iter().for_each(|remark| eprintln!("note: {remark}"));
        let picture = studio.draw(&look, &look.scales())?;
        interrupt::check()?;
        output::write(&self.output, encode_png(&picture).context("cannot encode the picture")?)?;
        eprintln!("wrote {}", self.output.display());
        Ok(())
    }
}
