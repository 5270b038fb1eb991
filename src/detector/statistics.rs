//! Means and variances of activations per class, robust against classes with few images.

use ndarray::{Array1, Array2, ArrayView2, Axis};

/// A class with fewer correctly classified images than this has no statistics of its own: those of all images together
/// stand in, which are wider, so that an image of such a class scores low rather than high.
pub const MIN_CLASS_IMAGES: usize = 5;

/// Mean and population variance of every column over some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// `C`.
    pub mean: Array1<f64>,
    /// `C`.
    pub variance: Array1<f64>,
}

impl Moments {
    /// Over the given rows of an `N×C` matrix; zero without rows.
    pub fn of(values: ArrayView2<'_, f32>, rows: &[usize]) -> Self {
        let count = rows.len().max(1) as f64;
        let mut mean = Array1::zeros(values.ncols());
        for &row in rows {
            mean.zip_mut_with(&values.row(row), |sum, &value| *sum += f64::from(value));
        }
        mean /= count;
        let mut variance = Array1::zeros(values.ncols());
        for &row in rows {
            let deviations = values.row(row).mapv(f64::from) - &mean;
            variance += &(&deviations * &deviations);
        }
        variance /= count;
        Self { mean, variance }
    }

    fn shrunk(self, images: f64, within: &Array1<f64>) -> Self {
        let variance = (self.variance * images + within * PRIOR_IMAGES) / (images + PRIOR_IMAGES);
        Self { variance, ..self }
    }
}

/// A class's variances are averaged with those within all classes as if the latter came from this many images
/// (Friedman, *Regularized Discriminant Analysis*, JASA 1989, eq. 18, diagonal).
pub const PRIOR_IMAGES: f64 = 10.0;

/// [`Moments`] of every class, `K` of them, and of all their images together.
#[derive(Debug)]
pub struct ClassMoments {
    /// All images.
    pub pooled: Moments,
    /// Per class, the variance shrunk towards that within all classes ([`PRIOR_IMAGES`]); the moments of all images for
    /// classes with fewer than [`MIN_CLASS_IMAGES`].
    pub classes: Vec<Moments>,
}

impl ClassMoments {
    /// Over the rows of every class.
    pub fn of(values: ArrayView2<'_, f32>, by_class: &[Vec<usize>]) -> Self {
        let pooled = Moments::of(values, &by_class.concat());
        let own: Vec<Moments> = by_class.iter().map(|rows| Moments::of(values, rows)).collect();
        let images = by_class.iter().map(Vec::len).sum::<usize>().max(1) as f64;
        let mut within = Array1::zeros(values.ncols());
        for (moments, rows) in own.iter().zip(by_class) {
            within.scaled_add(rows.len() as f64 / images, &moments.variance);
        }
        let shrink = |(own, rows): (Moments, &Vec<usize>)| match rows.len() {
            ..MIN_CLASS_IMAGES => pooled.clone(),
            images => own.shrunk(images as f64, &within),
        };
        Self { classes: own.into_iter().zip(by_class).map(shrink).collect(), pooled }
    }
}

/// Per column, the share of the variance that lies between the classes, 0..=1: how much a neuron tells about the class
/// (the correlation ratio η²; Fisher, *Statistical Methods for Research Workers*, 1925, §45). 0 for constant columns.
pub fn correlation_ratio(values: ArrayView2<'_, f32>, by_class: &[Vec<usize>]) -> Vec<f64> {
    let pooled = Moments::of(values, &by_class.concat());
    let images = by_class.iter().map(Vec::len).sum::<usize>().max(1) as f64;
    let mut within = Array1::<f64>::zeros(values.ncols());
    for rows in by_class {
        within.scaled_add(rows.len() as f64 / images, &Moments::of(values, rows).variance);
    }
    let ratio = |(within, total): (&f64, &f64)| if *total > 0.0 { (1.0 - within / total).clamp(0.0, 1.0) } else { 0.0 };
    within.iter().zip(&pooled.variance).map(ratio).collect()
}

/// Smallest variance that counts: a `share` of a mean variance, always positive.
pub fn variance_floor(share: f64, mean: Option<f64>) -> f64 {
    (share * mean.unwrap_or(0.0)).max(f64::from(f32::MIN_POSITIVE))
}

/// Rows of `f64` as one `f32` matrix, row by row.
pub fn to_f32<'a>(rows: impl IntoIterator<Item = &'a Array1<f64>>) -> Vec<f32> {
    rows.into_iter().flat_map(|row| row.iter().map(|&value| value as f32)).collect()
}

/// The given rows, divided by their length; zero rows stay zero.
pub fn unit_rows(values: ArrayView2<'_, f32>, rows: &[usize]) -> Array2<f64> {
    let mut selected = values.select(Axis(0), rows).mapv(f64::from);
    for mut row in selected.rows_mut() {
        let length = row.dot(&row).sqrt();
        if length > 0.0 {
            row /= length;
        }
    }
    selected
}

/// An image's activations, divided by their length; zero stays zero.
pub fn unit(z: &Array1<f32>) -> Vec<f32> {
    let length = z.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    z.iter().map(|&value| (f64::from(value) * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use ndarray::array;

    use super::*;

    #[test]
    fn moments_by_hand() {
        let moments = Moments::of(array![[1.0, 5.0], [100.0, 100.0], [3.0, 5.0]].view(), &[0, 2]);
        assert_eq!(moments, Moments { mean: array![2.0, 5.0], variance: array![1.0, 0.0] });
        assert_eq!(Moments::of(array![[1.0]].view(), &[]), Moments { mean: array![0.0], variance: array![0.0] });
    }

    #[test]
    fn neurons_that_tell_the_class_have_a_high_ratio() {
        let values = array![[0.0, 0.0, 4.0, 0.0], [0.0, 2.0, 4.0, 2.0], [1.0, 0.0, 4.0, 2.0], [1.0, 2.0, 4.0, 4.0]];
        let ratio = correlation_ratio(values.view(), &[vec![0, 1], vec![2, 3]]);
        assert_abs_diff_eq!(ratio.as_slice(), [1.0, 0.0, 0.0, 0.5].as_slice(), epsilon = 1e-12);
    }

    #[test]
    fn small_classes_take_the_statistics_of_all() {
        let values = array![[0.0], [2.0], [0.0], [2.0], [0.0], [2.0], [13.0]];
        let classes = ClassMoments::of(values.view(), &[vec![0, 1, 2, 3, 4, 5], vec![6], vec![]]);
        // Within all classes the variance is 6/7: six images with 1, one with 0.
        assert_abs_diff_eq!(classes.classes[0].mean[0], 1.0);
        assert_abs_diff_eq!(classes.classes[0].variance[0], (6.0 + 10.0 * 6.0 / 7.0) / 16.0, epsilon = 1e-12);
        assert_eq!(classes.classes[1], classes.pooled);
        assert_eq!(classes.classes[2], classes.pooled);
        assert_abs_diff_eq!(classes.pooled.mean[0], 19.0 / 7.0, epsilon = 1e-12);
    }

    #[test]
    fn rows_are_scaled_to_length_one() {
        let rows = unit_rows(array![[3.0, 4.0], [0.0, 0.0], [9.0, 9.0]].view(), &[1, 0]);
        let expected = [0.0, 0.0, 0.6, 0.8];
        assert_abs_diff_eq!(rows.as_slice().unwrap(), expected.as_slice(), epsilon = 1e-12);
        assert_eq!(unit(&ndarray::arr1(&[3.0, 4.0])), [0.6, 0.8]);
        assert_eq!(unit(&ndarray::arr1(&[0.0, 0.0])), [0.0, 0.0]);
    }
}
