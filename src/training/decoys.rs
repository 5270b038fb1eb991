//! Images that show none of the classes, made of training images.
//!
//! A classifier that only ever sees its classes answers with confidence whatever it is shown. Outlier exposure
//! (Hendrycks, Mazeika, Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, §3) teaches it to spread its
//! probability evenly over images of something else. No such images are collected here: the decoys are training images on
//! which the sign cannot be read any more, because its parts are in the wrong place (jigsaw), it is half another one
//! (patchwork), turned (as in CSI, Tack et al., NeurIPS 2020, §2.2) or mostly covered. Nothing out of distribution is used.

use rand::Rng;
use rand::seq::IndexedRandom;
use tch::{Kind, Tensor};

/// How many decoys accompany every step, and what they may be made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoys {
    /// Number per step; a quarter of each kind.
    pub per_step: i64,
    /// Weight of their loss; 0.5 in the paper.
    pub weight: f64,
    /// Per class, whether a quarter or half turn makes something else of it. A disc stays a disc, and one arrow can
    /// become another.
    pub turns: Vec<bool>,
}

/// Where the four quarters (upper left, upper right, lower left, lower right) come from; none stays in place.
const DERANGEMENTS: [[usize; 4]; 9] = [
    [1, 0, 3, 2],
    [1, 2, 3, 0],
    [1, 3, 0, 2],
    [2, 0, 3, 1],
    [2, 3, 0, 1],
    [2, 3, 1, 0],
    [3, 0, 1, 2],
    [3, 2, 0, 1],
    [3, 2, 1, 0],
];

impl Decoys {
    /// Decoys made of a batch of `N×3×H×W` images with their `N` labels: `M×3×H×W`, `M ≤ per_step`.
    pub fn make(&self, images: &Tensor, labels: &Tensor, rng: &mut impl Rng) -> Tensor {
        let count = (self.per_step / 4).min(images.size()[0] / 4);
        let part = |index: i64, images: &Tensor| images.narrow(0, index * count, count);
        let jigsaw = jigsaw(&part(0, images), rng);
        let patchwork = patchwork(&part(1, images), &part(2, images), rng);
        let different = part(1, labels).not_equal_tensor(&part(2, labels));
        let covered = covered(&part(3, images), rng);
        let turned = self.turned(images, labels, count, rng);
        Tensor::cat(&[jigsaw, rows(&patchwork, &different), covered, turned], 0)
    }

    /// The first `count` images that a turn changes, turned by a quarter or a half.
    fn turned(&self, images: &Tensor, labels: &Tensor, count: i64, rng: &mut impl Rng) -> Tensor {
        let turns: Vec<i64> = self.turns.iter().map(|&turns| i64::from(turns)).collect();
        let turns = Tensor::from_slice(&turns).index_select(0, labels).to_kind(Kind::Bool);
        let able = rows(images, &turns);
        let able = able.narrow(0, 0, count.min(able.size()[0]));
        able.rot90(rng.random_range(1..=3), [2, 3])
    }
}

/// The rows where `mask` holds.
fn rows(images: &Tensor, mask: &Tensor) -> Tensor {
    images.index_select(0, &mask.nonzero().view(-1))
}

/// Puts the quarters of every image in another order.
fn jigsaw(images: &Tensor, rng: &mut impl Rng) -> Tensor {
    let (height, width) = (images.size()[2] / 2, images.size()[3] / 2);
    let quarter = |index: usize| {
        let (top, left) = ((index / 2) as i64 * height, (index % 2) as i64 * width);
        images.narrow(2, top, height).narrow(3, left, width)
    };
    let order = DERANGEMENTS.choose(rng).copied().unwrap_or(DERANGEMENTS[0]);
    let row = |first: usize| Tensor::cat(&[quarter(order[first]), quarter(order[first + 1])], 3);
    Tensor::cat(&[row(0), row(2)], 2)
}

/// Replaces the right half, the lower half or the middle of every image by that of another one.
fn patchwork(images: &Tensor, others: &Tensor, rng: &mut impl Rng) -> Tensor {
    let (height, width) = (images.size()[2], images.size()[3]);
    let (top, left, bottom, right) = match rng.random_range(0..3) {
        0 => (0, width / 2, height, width),
        1 => (height / 2, 0, height, width),
        _ => (height / 4, width / 4, height - height / 4, width - width / 4),
    };
    let area = |images: &Tensor| images.narrow(2, top, bottom - top).narrow(3, left, right - left);
    let mixed = images.copy();
    area(&mixed).copy_(&area(others));
    mixed
}

/// Covers 60 to 75 % of every image with one colour, from one of the sides.
fn covered(images: &Tensor, rng: &mut impl Rng) -> Tensor {
    let covered = images.copy();
    let dimension = rng.random_range(2..=3);
    let length = images.size()[dimension as usize];
    let share = (length as f64 * rng.random_range(0.6..0.75)).round() as i64;
    let first = if rng.random() { 0 } else { length - share };
    let paint = Tensor::rand([images.size()[0], 3, 1, 1], (Kind::Float, images.device()));
    covered.narrow(dimension, first, share).copy_(&paint);
    covered
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tch::Device;

    use super::*;

    /// Image `i` is filled with `i` and has the quarters `i + 0.0, 0.1, 0.2, 0.3`.
    fn images(count: i64) -> Tensor {
        let quarters = Tensor::from_slice(&[0.0f32, 0.1, 0.2, 0.3]).view([1, 1, 2, 2]);
        let numbers = Tensor::arange(count, (Kind::Float, Device::Cpu)).view([-1, 1, 1, 1]);
        (numbers + quarters).expand([count, 3, 2, 2], false).upsample_nearest2d([4, 4], None, None)
    }

    #[test]
    fn no_quarter_of_a_jigsaw_is_in_its_place() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..20 {
            let original = images(2);
            let moved = jigsaw(&original, &mut rng);
            assert_eq!(moved.size(), original.size());
            assert!(bool::try_from(moved.not_equal_tensor(&original).all()).unwrap());
            assert!((moved.sum(Kind::Double) - original.sum(Kind::Double)).double_value(&[]).abs() < 1e-4);
        }
    }

    #[test]
    fn a_patchwork_has_parts_of_both() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for _ in 0..20 {
            let mixed = patchwork(&images(1), &(images(1) + 10.0), &mut rng);
            let of_the_other = mixed.gt(5.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            assert!((0.25..=0.5).contains(&of_the_other), "{of_the_other}");
        }
    }

    #[test]
    fn most_of_a_covered_image_is_one_colour() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..10 {
            let original = images(2).upsample_nearest2d([40, 40], None, None) + 10.0;
            let covered = covered(&original, &mut rng);
            let share = covered.lt(5.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            assert!((0.6..=0.75).contains(&share), "{share}");
        }
    }

    #[test]
    fn images_that_a_turn_does_not_change_are_not_turned() {
        let decoys = Decoys { per_step: 8, weight: 0.5, turns: vec![false, true] };
        let labels = Tensor::from_slice(&[0i64, 0, 1, 0, 1, 0, 0, 0, 0]);
        let turned = decoys.turned(&images(9), &labels, 2, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!(turned.size(), [2, 3, 4, 4]);
        assert_eq!((turned.get(0).min().double_value(&[]), turned.get(1).min().double_value(&[])), (2.0, 4.0));
        let all = decoys.make(&images(9), &labels, &mut ChaCha8Rng::seed_from_u64(3));
        // Two jigsaws, two covered and two turned ones; both patchworks would be of equal labels.
        assert_eq!(all.size()[0], 6);
    }
}
