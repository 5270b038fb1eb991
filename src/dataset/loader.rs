//! Image files as batches for a model: decoded and resized in parallel, a little ahead of the consumer.

use std::{
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use ndarray::{Array3, Array4, Axis};
use rayon::prelude::*;

use crate::{
    frame::{self, FrameError, Region},
    model::InputSpec,
};

/// Batches that wait for the consumer; bounds the memory whatever the number of images.
const BATCHES_AHEAD: usize = 2;

/// Some images, ready for a model.
#[derive(Debug)]
pub struct Batch {
    /// `N×3×H×W`, RGB in 0..1.
    pub images: Array4<f32>,
    /// For every image of the batch, its index among the paths.
    pub indices: Vec<usize>,
    /// Index among the paths and reason of every image that could not be used.
    pub unreadable: Vec<(usize, FrameError)>,
}

/// Loads the images at `paths` as a whole ([`Region::WHOLE`]) in batches of up to `batch_size` and hands them to
/// `consume`, in order. Ends early, without an error, when `stop` becomes true.
///
/// # Errors
/// The first error of `consume`, or that of starting the loader's thread; nothing is loaded after it.
pub fn load_batches<E: From<std::io::Error>>(
    paths: &[&Path],
    input: &InputSpec,
    batch_size: usize,
    stop: &AtomicBool,
    mut consume: impl FnMut(Batch) -> Result<(), E>,
) -> Result<(), E> {
    let batch_size = batch_size.max(1);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(BATCHES_AHEAD);
        let produce = move || {
            for (number, chunk) in paths.chunks(batch_size).enumerate() {
                let stopped = stop.load(Ordering::Relaxed);
                // Sending fails when the consumer gave up.
                if stopped || sender.send(load_batch(chunk, number * batch_size, input)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("image-loader".into()).spawn_scoped(scope, produce)?;
        receiver.into_iter().try_for_each(&mut consume)
    })
}

fn load_batch(paths: &[&Path], first: usize, input: &InputSpec) -> Batch {
    let loaded: Vec<Result<Array3<f32>, FrameError>> = paths.par_iter().map(|path| load(path, input)).collect();
    let mut images = Array4::zeros((0, 3, input.height, input.width));
    let (mut indices, mut unreadable) = (Vec::new(), Vec::new());
    for (offset, image) in loaded.into_iter().enumerate() {
        match image {
            Ok(image) => {
                images.push(Axis(0), image.view()).expect("every cut has the input's size");
                indices.push(first + offset);
            }
            Err(error) => unreadable.push((first + offset, error)),
        }
    }
    Batch { images, indices, unreadable }
}

fn load(path: &Path, input: &InputSpec) -> Result<Array3<f32>, FrameError> {
    frame::cut(&frame::read_file(path)?, Region::WHOLE, input)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const INPUT: InputSpec = InputSpec { width: 4, height: 3, region_margin: 0.0 };

    /// Images of one colour each: image `i` has value `10·i`; image 3 is broken.
    fn files(folder: &Path, count: u8) -> Vec<PathBuf> {
        let write = |index: u8| {
            let path = folder.join(format!("{index}.png"));
            image::RgbImage::from_pixel(8, 8, image::Rgb([index * 10; 3])).save(&path).unwrap();
            if index == 3 {
                std::fs::write(&path, b"no image").unwrap();
            }
            path
        };
        (0..count).map(write).collect()
    }

    fn run(count: u8, stop_after: usize) -> Result<Vec<Batch>, std::io::Error> {
        let folder = tempfile::tempdir().unwrap();
        let paths = files(folder.path(), count);
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let stop = AtomicBool::new(false);
        let mut batches = Vec::new();
        load_batches(&paths, &INPUT, 3, &stop, |batch| {
            batches.push(batch);
            if batches.len() == stop_after { Err(std::io::Error::other("enough")) } else { Ok(()) }
        })?;
        Ok(batches)
    }

    #[test]
    fn every_image_comes_once_in_order_or_is_unreadable() {
        let batches = run(7, usize::MAX).unwrap();
        let sizes: Vec<usize> = batches.iter().map(|batch| batch.images.len_of(Axis(0))).collect();
        let indices: Vec<usize> = batches.iter().flat_map(|batch| batch.indices.clone()).collect();
        assert_eq!(sizes, [3, 2, 1]);
        assert_eq!(indices, [0, 1, 2, 4, 5, 6]);
        for batch in &batches {
            for (row, index) in batch.indices.iter().enumerate() {
                assert_eq!(batch.images[(row, 2, 2, 3)], *index as f32 * 10.0 / 255.0);
            }
        }
        let (index, error) = &batches[1].unreadable[0];
        assert_eq!(*index, 3);
        assert!(matches!(error, FrameError::Format { .. }), "{error}");
    }

    #[test]
    fn the_consumers_error_ends_it() {
        assert_eq!(run(20, 1).unwrap_err().to_string(), "enough");
    }

    #[test]
    fn a_stop_ends_it_early() {
        let folder = tempfile::tempdir().unwrap();
        let paths = files(folder.path(), 20);
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let stop = AtomicBool::new(false);
        let mut seen = 0;
        load_batches::<std::io::Error>(&paths, &INPUT, 1, &stop, |batch| {
            stop.store(true, Ordering::Relaxed);
            seen += batch.indices.len();
            Ok(())
        })
        .unwrap();
        // Those that were already waiting may still come.
        assert!((1..=2 + BATCHES_AHEAD).contains(&seen), "{seen}");
    }
}
