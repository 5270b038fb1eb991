//! Images that show none of the classes, made of training images.
//!
//! A classifier that only ever sees its classes answers with confidence whatever it is shown. Outlier exposure
//! (Hendrycks, Mazeika, Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, §3) teaches it to spread its
//! probability evenly over images of something else. No such images are collected here: the decoys are training images
//! whose parts are in the wrong place, so nothing out of distribution is used.

use rand::Rng;
use rand::seq::IndexedRandom;
use tch::{Kind, Tensor};

/// How many decoys accompany every step, and what they may be made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoys {
    /// Number per step; a third of each kind.
    pub per_step: i64,
    /// Weight of their loss; 0.5 in the paper.
    pub weight: f64,
    /// Per class, whether a quarter turn makes something else of it. A disc stays a disc, and one arrow can become
    /// another.
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
    #[must_use]
    pub fn make(&self, images: &Tensor, labels: &Tensor, rng: &mut impl Rng) -> Tensor {
        let count = (self.per_step / 3).min(images.size()[0] / 3);
        let part = |index: i64, images: &Tensor| images.narrow(0, index * count, count);
        let jigsaw = jigsaw(&part(0, images), rng);
        let patchwork = patchwork(&part(1, images), &part(2, images), rng);
        let different = part(1, labels).not_equal_tensor(&part(2, labels));
        let turned = self.turned(images, labels, count, rng);
        Tensor::cat(&[jigsaw, rows(&patchwork, &different), turned], 0)
    }

    /// The first `count` images that a quarter turn changes, turned to either side.
    fn turned(&self, images: &Tensor, labels: &Tensor, count: i64, rng: &mut impl Rng) -> Tensor {
        let turns: Vec<i64> = self.turns.iter().map(|&turns| i64::from(turns)).collect();
        let turns = Tensor::from_slice(&turns).index_select(0, labels).to_kind(Kind::Bool);
        let able = rows(images, &turns);
        let able = able.narrow(0, 0, count.min(able.size()[0]));
        able.rot90(if rng.random() { 1 } else { 3 }, [2, 3])
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
    fn images_that_a_turn_does_not_change_are_not_turned() {
        let decoys = Decoys { per_step: 9, weight: 0.5, turns: vec![false, true] };
        let labels = Tensor::from_slice(&[0i64, 0, 1, 0, 1, 0, 0, 0, 0]);
        let turned = decoys.turned(&images(9), &labels, 3, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!(turned.size(), [2, 3, 4, 4]);
        assert_eq!((turned.get(0).min().double_value(&[]), turned.get(1).min().double_value(&[])), (2.0, 4.0));
        let all = decoys.make(&images(9), &labels, &mut ChaCha8Rng::seed_from_u64(3));
        // Three jigsaws, one patchwork (of labels 0 and 0, 1 and 0, 0 and 0), two turned ones.
        assert_eq!(all.size()[0], 6);
    }
}
