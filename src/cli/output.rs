//! Files and stdout.

use std::{
    fmt::Display,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::Serialize;

/// The path that stands for stdout.
pub(super) const STDOUT: &str = "-";
/// How many of many texts are said.
const MAX_NAMED: usize = 5;

/// Fails when a file cannot be made at `path`; to be called before hours of work whose result goes there.
pub(super) fn check_place(path: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(!path.is_dir(), "{} is a folder: name a file for the output", path.display());
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    anyhow::ensure!(folder.is_dir(), "the folder {} does not exist: make it first", folder.display());
    Ok(())
}

/// Fails when `folder` can neither be used nor made; to be called before hours of work whose results go there.
pub(super) fn check_folder(folder: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(!folder.is_file(), "{} is a file: name a folder for the output", folder.display());
    if folder.is_dir() { Ok(()) } else { check_place(folder) }
}

/// Warns on stderr, with the first few of many texts.
pub(super) fn warn(heading: &str, texts: impl ExactSizeIterator<Item = impl Display>) {
    let more = texts.len().saturating_sub(MAX_NAMED);
    eprintln!("warning: {heading}");
    texts.take(MAX_NAMED).for_each(|text| eprintln!("  {text}"));
    if more > 0 {
        eprintln!("  … and {more} more");
    }
}

/// Prints `text` to stdout.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// Prints `value` as JSON to stdout.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&json(value)?)
}

/// Writes `value` as JSON to `path`. The file is either complete or untouched.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    write(path, &json(value)?)
}

/// Writes the file `name` into `folder`, which is made where it does not exist, and says so on stderr. The file is
/// either complete or untouched.
pub(super) fn write_into(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join(name);
    write(&path, text)?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Where a file is written until it is complete.
pub(super) fn partial(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    PathBuf::from(partial)
}

/// Writes text or bytes to `path`. The file is either complete or untouched.
pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let partial = partial(path);
    fs::write(&partial, content)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// `value` as JSON, for people to read, too.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Whether the reader of stdout went away, as `| head` does: no reason to complain.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_checked_before_work() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_place(&folder.path().join("new.monitor")).is_ok());
        assert!(check_place(Path::new("new.monitor")).is_ok());
        assert!(check_place(folder.path()).is_err());
        assert!(check_place(&folder.path().join("no/such/folder.monitor")).is_err());
    }

    #[test]
    fn a_folder_is_checked_before_work_and_made_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report");
        assert!(check_folder(folder.path()).is_ok() && check_folder(&report).is_ok());
        assert!(check_folder(&folder.path().join("no/such/report")).is_err());
        write_into(&report, "index.html", "text").unwrap();
        assert_eq!(fs::read_to_string(report.join("index.html")).unwrap(), "text");
        assert!(check_folder(&report.join("index.html")).is_err());
    }

    #[test]
    fn json_replaces_a_file_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures.json");
        fs::write(&path, "old and much longer than the new text").unwrap();
        write_json(&path, &[1, 2]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
