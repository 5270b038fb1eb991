//! Bags among the arguments of a command.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::dataset::bag::is_recording;
use crate::replay::Choice;

/// Which topics of bags are played.
#[derive(Debug, Args)]
pub(super) struct TopicArgs {
    /// Topics of images; all that there are when left out
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Topics of regions (RegionArray or vision_msgs/Detection2DArray); those that there are when left out
    #[arg(long, value_name = "TOPIC", conflicts_with = "whole_images")]
    regions: Vec<String>,
    /// Judge whole images, whatever regions there are
    #[arg(long)]
    whole_images: bool,
}

impl TopicArgs {
    /// The choice of topics, with the topic of the truth where there is one.
    pub(super) fn choice(&self, truth: Option<String>) -> Choice {
        Choice { images: self.topics.clone(), regions: self.regions.clone(), whole_images: self.whole_images, truth }
    }
}

/// The bags that the arguments mean: bags themselves, and all bags in a folder that is none.
pub(super) fn named_by(arguments: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut bags = Vec::new();
    for path in arguments {
        let inside = if path.is_dir() && !is_bag(path)? { bags_in(path)? } else { Vec::new() };
        if inside.is_empty() {
            bags.push(path.clone());
        }
        bags.extend(inside);
    }
    Ok(bags)
}

/// The bags in a folder, by name.
fn bags_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut bags = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() && is_bag(&path)? {
            bags.push(path);
        }
    }
    Ok(bags)
}

/// Whether a folder has recordings in it.
pub(super) fn is_bag(folder: &Path) -> anyhow::Result<bool> {
    let is_part = |path: &PathBuf| path.file_name().is_some_and(|name| is_recording(&name.to_string_lossy()));
    Ok(entries(folder)?.iter().any(is_part))
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>();
    let mut paths = read().with_context(|| format!("cannot list {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}
