//! IDX files, in which MNIST and Fashion-MNIST come.
//!
//! A file has two zero bytes, a type (8: unsigned bytes), the number of axes, each axis' length as big-endian 32 bits, and
//! the values; usually gzip-compressed (LeCun, Cortes, Burges, *The MNIST database of handwritten digits*).

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use image::GrayImage;

const UNSIGNED_BYTES: u8 = 8;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why an IDX file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdxError {
    /// The file cannot be read or unpacked.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is no IDX file of bytes with the wanted number of axes, or it is cut off.
    #[error("{} is no complete IDX file of unsigned bytes with {axes} axes: {reason}", path.display())]
    Format {
        /// Path of the file.
        path: PathBuf,
        /// Wanted number of axes.
        axes: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Reads the grey images of an IDX file (three axes: image, row, column), gzip-compressed or not.
///
/// # Errors
/// [`IdxError`] when the file cannot be read or is of another kind.
pub fn read_idx_images(path: &Path) -> Result<Vec<GrayImage>, IdxError> {
    let ([_, height, width], values) = read::<3>(path)?;
    let image = |pixels: &[u8]| GrayImage::from_raw(width as u32, height as u32, pixels.to_vec());
    Ok(values.chunks_exact((width * height).max(1)).filter_map(image).collect())
}

/// Reads the labels of an IDX file (one axis), gzip-compressed or not.
///
/// # Errors
/// [`IdxError`] when the file cannot be read or is of another kind.
pub fn read_idx_labels(path: &Path) -> Result<Vec<u8>, IdxError> {
    Ok(read::<1>(path)?.1)
}

/// Lengths of the `N` axes, and the values.
fn read<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>), IdxError> {
    let failed = |source| IdxError::Read { path: path.to_owned(), source };
    let mut bytes = std::fs::read(path).map_err(failed)?;
    if bytes.starts_with(&GZIP_MAGIC) {
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).map_err(failed)?;
        bytes = unpacked;
    }
    parse(&bytes).map_err(|reason| IdxError::Format { path: path.to_owned(), axes: N, reason })
}

fn parse<const N: usize>(bytes: &[u8]) -> Result<([usize; N], Vec<u8>), String> {
    let [0, 0, UNSIGNED_BYTES, axes, rest @ ..] = bytes else { return Err("another beginning".into()) };
    if usize::from(*axes) != N {
        return Err(format!("it has {axes} axes"));
    }
    let Some((lengths, values)) = rest.split_at_checked(4 * N) else { return Err("the lengths are cut off".into()) };
    let Some(lengths) = lengths.as_chunks::<4>().0.first_chunk::<N>() else {
        return Err("the lengths are cut off".into());
    };
    let lengths = lengths.map(|length| u32::from_be_bytes(length) as usize);
    let expected = lengths.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    if expected != Some(values.len()) {
        return Err(format!("{} values for axes of {lengths:?}", values.len()));
    }
    Ok((lengths, values.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Two images of 1×3 pixels.
    const IMAGES: [u8; 22] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60];

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn images_and_labels_by_hand() {
        let images = read_idx_images(file(&IMAGES).path()).unwrap();
        assert_eq!((images.len(), images[1].dimensions()), (2, (3, 1)));
        assert_eq!(images[1].as_raw(), &[40, 50, 60]);
        assert_eq!(read_idx_labels(file(&[0, 0, 8, 1, 0, 0, 0, 2, 7, 9]).path()).unwrap(), [7, 9]);
    }

    #[test]
    fn compressed_files_are_unpacked() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&IMAGES).unwrap();
        assert_eq!(read_idx_images(file(&packed.finish().unwrap()).path()).unwrap().len(), 2);
    }

    #[test]
    fn other_and_cut_files_are_refused() {
        for length in 0..IMAGES.len() {
            assert!(read_idx_images(file(&IMAGES[..length]).path()).is_err(), "{length} bytes");
        }
        let message = read_idx_labels(file(&IMAGES).path()).unwrap_err().to_string();
        assert!(message.contains("1 axes") && message.contains("it has 3"), "{message}");
        let huge = [0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255];
        assert!(read_idx_images(file(&huge).path()).is_err());
    }
}
