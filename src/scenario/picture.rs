//! A picture while it is being made: RGB as `f32`, 0..1.

use image::RgbImage;

use super::canvas::Point;

/// Rows of RGB pixels; values beyond 0..1 are allowed until the picture is developed.
#[derive(Clone)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Row by row.
    pub pixels: Vec<[f32; 3]>,
}

impl Picture {
    /// A picture whose pixel (column, row) is `colour(column, row)`.
    pub fn from_fn(width: usize, height: usize, colour: impl Fn(f32, f32) -> [f32; 3]) -> Self {
        let pixels = (0..width * height).map(|index| colour((index % width) as f32, (index / width) as f32)).collect();
        Self { width, height, pixels }
    }

    /// Replaces each pixel of the box (left, top, right, bottom; clamped to the picture) by `change(column, row, old)`.
    pub fn update(&mut self, bounds: [f32; 4], mut change: impl FnMut(Point, [f32; 3]) -> [f32; 3]) {
        let columns = clamped(bounds[0], bounds[2], self.width);
        for row in clamped(bounds[1], bounds[3], self.height) {
            for column in columns.clone() {
                let pixel = &mut self.pixels[row * self.width + column];
                *pixel = change((column as f32, row as f32), *pixel);
            }
        }
    }

    /// Gaussian blur with standard deviation `sigma` pixels; nothing below 0.1.
    pub fn blur(&mut self, sigma: f32) {
        if sigma < 0.1 {
            return;
        }
        let reach = (sigma * 2.5).ceil() as i32;
        let kernel: Vec<f32> = (-reach..=reach).map(|step| (-0.5 * (step as f32 / sigma).powi(2)).exp()).collect();
        let total: f32 = kernel.iter().sum();
        let kernel: Vec<f32> = kernel.iter().map(|weight| weight / total).collect();
        self.convolve(&kernel, (1, 0));
        self.convolve(&kernel, (0, 1));
    }

    /// Motion blur of `length` pixels along `angle` radians; nothing below one pixel.
    pub fn motion_blur(&mut self, length: f32, angle: f32) {
        let taps = length.round() as i32;
        if taps < 2 {
            return;
        }
        let (sin, cos) = angle.sin_cos();
        let source = self.clone();
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            let (column, row) = ((index % source.width) as f32, (index / source.width) as f32);
            let mut sum = [0.0; 3];
            for tap in 0..taps {
                let shift = tap as f32 - (taps - 1) as f32 / 2.0;
                let seen = source.at((column + shift * cos).round() as i32, (row + shift * sin).round() as i32);
                sum = std::array::from_fn(|channel| sum[channel] + seen[channel]);
            }
            *pixel = sum.map(|value| value / taps as f32);
        }
    }

    /// Changes the box (left, top, right, bottom; clamped to the picture) as if it were a picture of its own. A frame of
    /// `pad` pixels around the box is seen by `change` but stays as it is.
    pub fn with_patch(&mut self, bounds: [f32; 4], pad: f32, change: impl FnOnce(&mut Self)) {
        let [left, top, right, bottom] = bounds;
        let columns = clamped(left - pad, right + pad, self.width);
        let rows = clamped(top - pad, bottom + pad, self.height);
        let cut = |row: usize| self.pixels[row * self.width..][columns.clone()].iter().copied();
        let mut patch = Self { width: columns.len(), height: rows.len(), pixels: rows.clone().flat_map(cut).collect() };
        change(&mut patch);
        let offset = (columns.start, rows.start);
        self.update(bounds, |(x, y), _| patch.pixels[(y as usize - offset.1) * patch.width + x as usize - offset.0]);
    }

    /// 8-bit image; values are clipped.
    pub fn to_image(&self) -> RgbImage {
        let bytes = self.pixels.iter().flatten().map(|value| (value * 255.0 + 0.5) as u8).collect();
        RgbImage::from_raw(self.width as u32, self.height as u32, bytes).unwrap_or_default()
    }

    /// The pixel at a place that is moved inside the picture.
    pub fn at(&self, column: i32, row: i32) -> [f32; 3] {
        let column = column.clamp(0, self.width as i32 - 1) as usize;
        let row = row.clamp(0, self.height as i32 - 1) as usize;
        self.pixels[row * self.width + column]
    }

    fn convolve(&mut self, kernel: &[f32], (dx, dy): (i32, i32)) {
        let source = self.clone();
        let reach = kernel.len() as i32 / 2;
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            let (column, row) = ((index % source.width) as i32, (index / source.width) as i32);
            let mut sum = [0.0; 3];
            for (step, weight) in (-reach..=reach).zip(kernel) {
                let seen = source.at(column + step * dx, row + step * dy);
                sum = std::array::from_fn(|channel| sum[channel] + weight * seen[channel]);
            }
            *pixel = sum;
        }
    }
}

/// Mixes two colours; `share` 0 gives `from`, 1 gives `to`.
pub fn mix(from: [f32; 3], to: [f32; 3], share: f32) -> [f32; 3] {
    std::array::from_fn(|channel| from[channel] + share * (to[channel] - from[channel]))
}

/// Rises smoothly from 0 at `from` to 1 at `to`.
pub fn smooth_step(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Rec. 601 luma.
pub fn luma(colour: [f32; 3]) -> f32 {
    0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
}

fn clamped(from: f32, to: f32, limit: usize) -> std::ops::Range<usize> {
    let low = from.floor().max(0.0) as usize;
    let high = (to.ceil().max(0.0) as usize).min(limit);
    low.min(high)..high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blur_keeps_the_mean_of_an_inner_dot() {
        let mut picture = Picture::from_fn(21, 21, |x, y| if (x, y) == (10.0, 10.0) { [1.0; 3] } else { [0.0; 3] });
        picture.blur(1.2);
        let sum: f32 = picture.pixels.iter().map(|pixel| pixel[1]).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        assert!(picture.pixels[10 * 21 + 10][1] < 0.2);
    }

    #[test]
    fn motion_blur_spreads_along_its_angle_only() {
        let mut picture = Picture::from_fn(9, 9, |x, y| if (x, y) == (4.0, 4.0) { [1.0; 3] } else { [0.0; 3] });
        picture.motion_blur(3.0, 0.0);
        let row: Vec<f32> = picture.pixels[36..45].iter().map(|pixel| pixel[0]).collect();
        assert_eq!(row.iter().filter(|value| **value > 0.3).count(), 3);
        assert_eq!(picture.pixels[3 * 9 + 4][0], 0.0);
    }

    #[test]
    fn an_update_outside_the_picture_changes_nothing() {
        let mut picture = Picture::from_fn(4, 4, |_, _| [0.5; 3]);
        picture.update([-9.0, -9.0, -2.0, 20.0], |_, _| [1.0; 3]);
        assert!(picture.pixels.iter().all(|pixel| *pixel == [0.5; 3]));
    }
}
