//! Training images in memory.

use ndarray::ArrayView3;
use tch::{Kind, Tensor};

/// Labelled images of one size, 8 bits per channel to save memory.
#[derive(Debug)]
pub struct ImageSet {
    pixels: Vec<u8>,
    labels: Vec<i64>,
    height: usize,
    width: usize,
}

impl ImageSet {
    /// An empty set of images of the given size in pixels.
    #[must_use]
    pub fn new(height: usize, width: usize) -> Self {
        Self { pixels: Vec::new(), labels: Vec::new(), height, width }
    }

    /// Adds a `3×H×W` image in 0..1. Panics when it has another size than the set.
    pub fn push(&mut self, image: ArrayView3<'_, f32>, label: usize) {
        assert_eq!(image.dim(), (3, self.height, self.width), "all images of a set have one size");
        self.pixels.extend(image.iter().map(|value| (value * 255.0).round() as u8));
        self.labels.push(label as i64);
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Label of every image.
    #[must_use]
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The images at `indices` as `N×3×H×W` in 0..1, with their labels. Panics when an index is out of range.
    pub fn batch(&self, indices: &[usize]) -> (Tensor, Tensor) {
        let length = 3 * self.height * self.width;
        let pixels: Vec<u8> =
            indices.iter().flat_map(|&index| &self.pixels[index * length..(index + 1) * length]).copied().collect();
        let labels: Vec<i64> = indices.iter().map(|&index| self.labels[index]).collect();
        let shape = [indices.len() as i64, 3, self.height as i64, self.width as i64];
        let images = Tensor::from_slice(&pixels).view(shape).to_kind(Kind::Float) / 255.0;
        (images, Tensor::from_slice(&labels))
    }
}
