//! Bags among the arguments of a command.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// How files of a bag end.
const ENDINGS: [&str; 4] = [".mcap", ".db3", ".mcap.zstd", ".db3.zstd"];

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
fn is_bag(folder: &Path) -> anyhow::Result<bool> {
    let is_recording = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        ENDINGS.iter().any(|ending| name.ends_with(ending))
    };
    Ok(entries(folder)?.iter().any(is_recording))
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || folder.read_dir()?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>();
    let mut paths = read().with_context(|| format!("cannot list {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}
