//! Photographs of signs by class and track, as in GTSRB.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dataset::folder::{FolderError, labelled_images, track_of};
use crate::scenario::sign::CLASS_NAMES;

/// Largest side of a photograph that is read, in pixels; larger ones show more than a sign.
const LARGEST_PX: u32 = 1024;
/// Photographs of one sign that are kept: more show the same.
const MOST_KEPT: usize = 30;

/// Photographs of signs, found but not read yet.
#[derive(Debug)]
pub struct Album {
    /// The tracks of every class: photographs of one physical sign each.
    tracks: BTreeMap<usize, Vec<Vec<PathBuf>>>,
}

/// Why photographs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AlbumError {
    /// The folder is not as expected.
    #[error(
        "{0}; expected DIR/CLASS/TRACK_FRAME.png with classes by name or by number from 00000 to 00042, as in GTSRB"
    )]
    Folder(#[from] FolderError),
    /// A photograph cannot be read.
    #[error("cannot read the photograph {}: {source}; repair or remove it", path.display())]
    Photograph {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: image::ImageError,
    },
    /// A photograph is too large to be one of a sign.
    #[error("{} measures {width} × {height} pixels, expected at most {LARGEST_PX} × {LARGEST_PX}: cut the sign out", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
}

impl Album {
    /// Lists the photographs below a folder.
    ///
    /// # Errors
    /// [`AlbumError::Folder`] when there are none, or not by class.
    pub fn open(folder: &Path) -> Result<Self, AlbumError> {
        let classes = CLASS_NAMES.map(str::to_owned);
        let mut by_track: BTreeMap<(usize, String), Vec<PathBuf>> = BTreeMap::new();
        for image in labelled_images(folder, &classes)? {
            let track = track_of(&image.file.key).to_owned();
            by_track.entry((image.class, track)).or_default().push(image.file.path);
        }
        let mut tracks: BTreeMap<usize, Vec<Vec<PathBuf>>> = BTreeMap::new();
        for ((class, _), paths) in by_track {
            tracks.entry(class).or_default().push(paths);
        }
        Ok(Self { tracks })
    }

    /// Reads the photographs of one sign of a class, chosen by `seed`; `None` when there is none of the class.
    pub(super) fn track(&self, class: usize, seed: u64) -> Result<Option<Vec<RgbImage>>, AlbumError> {
        let Some(tracks) = self.tracks.get(&class) else { return Ok(None) };
        let track = &tracks[ChaCha8Rng::seed_from_u64(seed).random_range(0..tracks.len())];
        let step = track.len().div_ceil(MOST_KEPT);
        track.iter().step_by(step).map(|path| read(path)).collect::<Result<_, _>>().map(Some)
    }
}

fn read(path: &Path) -> Result<RgbImage, AlbumError> {
    let failed = |source: image::ImageError| AlbumError::Photograph { path: path.to_owned(), source };
    let (width, height) = image::image_dimensions(path).map_err(failed)?;
    if width.max(height) > LARGEST_PX {
        return Err(AlbumError::Size { path: path.to_owned(), width, height });
    }
    Ok(image::open(path).map_err(failed)?.into_rgb8())
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn album(files: &[(&str, u32)]) -> (tempfile::TempDir, Result<Album, AlbumError>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, side) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_pixel(*side, *side, Rgb([90; 3])).save(path).unwrap();
        }
        let album = Album::open(folder.path());
        (folder, album)
    }

    #[test]
    fn a_track_is_all_photographs_of_one_sign() {
        let (_folder, album) =
            album(&[("00014/00000_00000.png", 20), ("00014/00000_00001.png", 30), ("00014/00001_00000.png", 40)]);
        let album = album.unwrap();
        let widths =
            |seed: u64| -> Vec<u32> { album.track(14, seed).unwrap().unwrap().iter().map(RgbImage::width).collect() };
        let all: std::collections::BTreeSet<Vec<u32>> = (0..20).map(widths).collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [vec![20, 30], vec![40]]);
        assert_eq!(widths(3), widths(3));
        assert!(album.track(13, 1).unwrap().is_none());
    }

    #[test]
    fn errors_say_what_to_do() {
        let (_folder, nothing) = album(&[]);
        assert!(nothing.unwrap_err().to_string().contains("DIR/CLASS/TRACK_FRAME.png"));
        let (folder, album) = album(&[("00014/0_0.png", 20), ("00013/0_0.png", 1100)]);
        let album = album.unwrap();
        assert!(album.track(13, 1).unwrap_err().to_string().contains("1100 × 1100"));
        std::fs::write(folder.path().join("00014/0_0.png"), b"no image").unwrap();
        assert!(album.track(14, 1).unwrap_err().to_string().contains("0_0.png"));
    }
}
