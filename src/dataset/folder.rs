//! Folders of image files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

/// The track an image belongs to, by its key. Frames of one track show one physical object and must not be spread over
/// training and calibration.
pub use crate::calibration::group_of as track_of;

/// Extensions of image files, in lower case. Files with other extensions and hidden files are no images.
pub const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "ppm", "pgm", "pnm", "bmp", "webp"];
/// How many names an error message lists.
const MAX_LISTED: usize = 8;

/// An image file below a data folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageFile {
    /// Path below the data folder with `/` between the parts: names the image on every machine.
    pub key: String,
    /// Path of the file.
    pub path: PathBuf,
}

/// An image file with its true class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledImage {
    /// The file.
    pub file: ImageFile,
    /// Index of the class in the model.
    pub class: usize,
}

/// Why a folder cannot be used as data.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A folder or file below it cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What cannot be read.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// There is no image below the folder.
    #[error("no image below {}: files of type {} are looked for", folder.display(), EXTENSIONS.join(", "))]
    NoImages {
        /// The folder.
        folder: PathBuf,
    },
    /// Images lie beside the class folders.
    #[error("{count} images lie directly in {}, for example {example}: labelled images belong into one folder per class", folder.display())]
    Loose {
        /// The folder.
        folder: PathBuf,
        /// Number of images.
        count: usize,
        /// One of them.
        example: String,
    },
    /// Folder names that are neither class names nor class indices.
    #[error(
        "{} in {} match no class: name the folders after the model's classes ({}) or their indices (0 to {})",
        listed(unmatched), folder.display(), listed(classes), classes.len().saturating_sub(1)
    )]
    Unmatched {
        /// The data folder.
        folder: PathBuf,
        /// Names of the folders.
        unmatched: Vec<String>,
        /// Class names of the model.
        classes: Vec<String>,
    },
}

/// All images below `folder`, ordered by key.
///
/// # Errors
/// [`FolderError::Read`] when something cannot be read, [`FolderError::NoImages`] when there is none.
pub fn unlabelled_images(folder: &Path) -> Result<Vec<ImageFile>, FolderError> {
    let mut images = Vec::new();
    // Links are followed: data sets are often linked into place. Loops are found and reported.
    let walk = WalkDir::new(folder).follow_links(true).into_iter().filter_entry(|entry| !is_hidden(entry));
    for entry in walk {
        let entry = entry.map_err(|error| read_error(folder, error))?;
        if entry.file_type().is_file() && has_image_extension(entry.path()) {
            images.push(ImageFile { key: key_of(folder, entry.path()), path: entry.into_path() });
        }
    }
    if images.is_empty() {
        return Err(FolderError::NoImages { folder: folder.to_owned() });
    }
    images.sort();
    Ok(images)
}

/// All images of a folder with one sub-folder per class, ordered by key.
///
/// The sub-folders are named after the classes, or all of them by the classes' indices (`00000`, `00001`, … as in
/// GTSRB). Names win where both are possible; a class without a folder is allowed.
///
/// # Errors
/// As [`unlabelled_images`]; [`FolderError::Loose`] when images lie outside of the class folders,
/// [`FolderError::Unmatched`] when a folder with images is no class.
pub fn labelled_images(folder: &Path, classes: &[String]) -> Result<Vec<LabelledImage>, FolderError> {
    let images = unlabelled_images(folder)?;
    let names: BTreeSet<&str> = images.iter().filter_map(|image| class_folder(&image.key)).collect();
    let class_of = match_folders(folder, &names, classes)?;
    let loose: Vec<&ImageFile> = images.iter().filter(|image| class_folder(&image.key).is_none()).collect();
    if let Some(example) = loose.first() {
        let (count, example) = (loose.len(), example.key.clone());
        return Err(FolderError::Loose { folder: folder.to_owned(), count, example });
    }
    let labelled = images.iter().filter_map(|file| {
        let class = *class_of.get(class_folder(&file.key)?)?;
        Some(LabelledImage { file: file.clone(), class })
    });
    Ok(labelled.collect())
}

/// Assigns a class to every folder name: all by name or all by index.
fn match_folders<'a>(
    folder: &Path,
    names: &BTreeSet<&'a str>,
    classes: &[String],
) -> Result<BTreeMap<&'a str, usize>, FolderError> {
    let by_name = |name: &str| classes.iter().position(|class| class == name);
    let by_index = |name: &str| name.parse().ok().filter(|index| *index < classes.len());
    let assign = |class_of: &dyn Fn(&str) -> Option<usize>| -> Option<BTreeMap<&'a str, usize>> {
        names.iter().map(|name| Some((*name, class_of(name)?))).collect()
    };
    assign(&by_name).or_else(|| assign(&by_index)).ok_or_else(|| {
        let known = |name: &str| by_name(name).is_some();
        let numbered = !names.iter().any(|name| known(name));
        let unmatched = names.iter().filter(|name| !(known(name) || numbered && by_index(name).is_some()));
        FolderError::Unmatched {
            folder: folder.to_owned(),
            unmatched: unmatched.map(|name| (*name).to_owned()).collect(),
            classes: classes.to_vec(),
        }
    })
}

fn class_folder(key: &str) -> Option<&str> {
    key.split_once('/').map(|(folder, _)| folder)
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
}

fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

fn key_of(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

fn read_error(folder: &Path, error: walkdir::Error) -> FolderError {
    let path = error.path().unwrap_or(folder).to_owned();
    let text = error.to_string();
    // A loop of links is no error of the operating system.
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other(text));
    FolderError::Read { path, source }
}

fn listed(names: &[String]) -> String {
    let mut text: Vec<String> = names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    if names.len() > MAX_LISTED {
        text.push(format!("… {} in all", names.len()));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, []).unwrap();
        }
        folder
    }

    fn classes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn labels(files: &[&str], names: &[&str]) -> Vec<(String, usize)> {
        let folder = folder_with(files);
        let images = labelled_images(folder.path(), &classes(names)).unwrap();
        images.into_iter().map(|image| (image.file.key, image.class)).collect()
    }

    fn error(files: &[&str], names: &[&str]) -> String {
        let folder = folder_with(files);
        let error = labelled_images(folder.path(), &classes(names)).unwrap_err();
        error.to_string().replace(&folder.path().display().to_string(), "DIR")
    }

    fn expected(pairs: &[(&str, usize)]) -> Vec<(String, usize)> {
        pairs.iter().map(|(key, class)| ((*key).to_owned(), *class)).collect()
    }

    #[test]
    fn folders_are_matched_by_name_or_by_index() {
        assert_eq!(
            labels(&["yield/b.PNG", "stop/a.jpg", "stop/notes.txt", "stop/.hidden.png"], &["stop", "yield"]),
            expected(&[("stop/a.jpg", 0), ("yield/b.PNG", 1)])
        );
        assert_eq!(
            labels(&["00001/x.ppm", "00000/y.webp"], &["stop", "yield"]),
            expected(&[("00000/y.webp", 0), ("00001/x.ppm", 1)])
        );
        // Classes whose names are numbers: the name wins.
        assert_eq!(labels(&["1/x.png", "0/y.png"], &["1", "0"]), expected(&[("0/y.png", 1), ("1/x.png", 0)]));
    }

    #[test]
    fn images_may_lie_deeper_and_order_is_by_key() {
        assert_eq!(
            labels(&["stop/b/1.png", "stop/a/2.png", "stop/a-1.png"], &["stop"]),
            expected(&[("stop/a-1.png", 0), ("stop/a/2.png", 0), ("stop/b/1.png", 0)])
        );
        let folder = folder_with(&["b.png", "a/deep/er.bmp", "c.txt"]);
        let keys: Vec<String> = unlabelled_images(folder.path()).unwrap().into_iter().map(|file| file.key).collect();
        assert_eq!(keys, ["a/deep/er.bmp", "b.png"]);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        assert_eq!(
            error(&["stop/a.png", "stopp/a.png", "1/a.png"], &["stop", "yield"]),
            "`1`, `stopp` in DIR match no class: name the folders after the model's classes (`stop`, `yield`) or their \
             indices (0 to 1)"
        );
        assert_eq!(
            error(&["0/a.png", "7/a.png"], &["stop", "yield"]),
            "`7` in DIR match no class: name the folders after the model's classes (`stop`, `yield`) or their indices \
             (0 to 1)"
        );
        assert_eq!(
            error(&["stop/a.png", "b.png"], &["stop"]),
            "1 images lie directly in DIR, for example b.png: labelled images belong into one folder per class"
        );
        assert_eq!(
            error(&["stop/a.txt"], &["stop"]),
            "no image below DIR: files of type png, jpg, jpeg, ppm, pgm, pnm, bmp, webp are looked for"
        );
        let missing = unlabelled_images(Path::new("/no/such/folder")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read /no/such/folder: "), "{missing}");
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..43).map(|class| format!("c{class}")).collect();
        assert_eq!(listed(&names), "`c0`, `c1`, `c2`, `c3`, `c4`, `c5`, `c6`, `c7`, … 43 in all");
    }
}
