//! Pictures as an animation: APNG.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use image::{Rgb, RgbImage, imageops};
use png::{BitDepth, ColorType, Encoder, EncodingError, Writer};

/// Where the chunk `acTL` begins: behind the signature and `IHDR` (PNG specification, third edition, 2025, 5.2 and 11.2.1).
const ACTL: u64 = 8 + 25;
/// Colour of what a picture does not fill.
const PAPER: Rgb<u8> = Rgb([255; 3]);

/// Why an animation cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AnimationError {
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The encoder refuses.
    #[error(transparent)]
    Png(#[from] EncodingError),
}

/// An animated PNG that is being written. Programs that know PNG only show its first picture.
pub struct Animation {
    file: File,
    writer: Writer<BufWriter<File>>,
    size: (u32, u32),
    promised: u32,
    written: u32,
}

impl Animation {
    /// Makes the file, for at most `pictures` (at least 1) pictures of `size` pixels (width, height), each shown for `millis`
    /// milliseconds, over and over.
    ///
    /// # Errors
    /// [`AnimationError`] when the file cannot be made.
    pub fn new(path: &Path, size: (u32, u32), pictures: u32, millis: u16) -> Result<Self, AnimationError> {
        let file = File::create(path)?;
        let mut encoder = Encoder::new(BufWriter::new(file.try_clone()?), size.0, size.1);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_animated(pictures, 0)?;
        encoder.set_frame_delay(millis, 1000)?;
        Ok(Self { file, writer: encoder.write_header()?, size, promised: pictures, written: 0 })
    }

    /// Adds a picture. One of another size is cut off on the right and below, or filled up with white.
    ///
    /// # Errors
    /// [`AnimationError`] when it cannot be written, or when there were as many as promised.
    pub fn add(&mut self, picture: &RgbImage) -> Result<(), AnimationError> {
        if picture.dimensions() == self.size {
            self.writer.write_image_data(picture.as_raw())?;
        } else {
            let mut filled = RgbImage::from_pixel(self.size.0, self.size.1, PAPER);
            imageops::replace(&mut filled, picture, 0, 0);
            self.writer.write_image_data(filled.as_raw())?;
        }
        self.written += 1;
        Ok(())
    }

    /// Number of pictures so far.
    #[must_use]
    pub fn written(&self) -> u32 {
        self.written
    }

    /// Completes the file, with as many pictures as were added.
    ///
    /// # Errors
    /// [`AnimationError`] when it cannot be written.
    pub fn finish(self) -> Result<(), AnimationError> {
        let Self { mut file, writer, promised, written, .. } = self;
        writer.finish()?;
        if written < promised {
            correct_count(&mut file, written)?;
        }
        Ok(file.sync_all()?)
    }
}

/// Writes the number of pictures once more: it stands in front of them, and the encoder cannot go back.
fn correct_count(file: &mut File, pictures: u32) -> std::io::Result<()> {
    let mut chunk = Vec::from(*b"acTL");
    chunk.extend(pictures.to_be_bytes());
    chunk.extend(0_u32.to_be_bytes());
    chunk.extend(crc32fast::hash(&chunk).to_be_bytes());
    file.seek(SeekFrom::Start(ACTL + 4))?;
    file.write_all(&chunk)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn written(promised: u32, pictures: &[RgbImage]) -> (u32, Vec<Vec<u8>>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("animation.apng");
        let mut animation = Animation::new(&path, (3, 2), promised, 200).unwrap();
        pictures.iter().for_each(|picture| animation.add(picture).unwrap());
        assert_eq!(animation.written() as usize, pictures.len());
        animation.finish().unwrap();
        let mut reader = png::Decoder::new(BufReader::new(File::open(&path).unwrap())).read_info().unwrap();
        let count = reader.info().animation_control().unwrap().num_frames;
        let frames = (0..count).map(|_| {
            let mut frame = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut frame).unwrap();
            frame
        });
        (count, frames.collect())
    }

    #[test]
    fn pictures_come_back_as_they_were() {
        let pictures = [1, 2, 3].map(|value| RgbImage::from_pixel(3, 2, Rgb([value; 3])));
        let (count, frames) = written(3, &pictures);
        assert_eq!((count, frames.len()), (3, 3));
        assert!(frames.iter().zip(&pictures).all(|(frame, picture)| frame == picture.as_raw()));
    }

    #[test]
    fn fewer_pictures_than_promised_are_a_whole_animation() {
        let (count, frames) = written(9, &[RgbImage::new(3, 2), RgbImage::new(1, 5)]);
        assert_eq!(count, 2);
        assert_eq!(frames[1][..6], [0, 0, 0, 255, 255, 255], "filled up with white");
    }
}
