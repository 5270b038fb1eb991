//! Pages of results that several programs write to.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

/// How a new page begins.
const TITLE: &str =
    "# Results\n\nEvery section is written by the program it is named after; the command stands in it.\n";

/// Puts `text` between `<!-- NAME begin -->` and `<!-- NAME end -->` in the file `path`, in place of what is there.
/// A page without that section gets it at its end; a page that does not exist is made.
pub fn replace_section(path: &Path, name: &str, text: &str) -> Result<()> {
    let page = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => TITLE.to_owned(),
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let page = with_section(&page, name, text).with_context(|| path.display().to_string())?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))
}

fn with_section(page: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name} begin -->"), format!("<!-- {name} end -->"));
    let section = format!("{begin}\n\n{}\n\n{end}", text.trim());
    let Some((before, rest)) = page.split_once(&begin) else {
        return Ok(format!("{}\n\n{section}\n", page.trim_end()));
    };
    let (_, after) = rest.split_once(&end).with_context(|| format!("`{begin}` has no `{end}` after it"))?;
    Ok(format!("{before}{section}{after}"))
}
