//! Images that show none of the classes, made of training images.
//!
//! A classifier that only ever sees its classes answers with confidence whatever it is shown. Outlier exposure
//! (Hendrycks, Mazeika, Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019, §3) teaches it to spread its
//! probability evenly over images of something else; a decoy class (for example Vernekar et al., "Out-of-distribution
//! Detection in Classifiers via Generation", 2019) gives them a class of their own. No such images are collected here: the
//! decoys are training images that do not show any of the classes any more. Nothing out of distribution is used, and no
//! decoy is a mirror image, since the mirror image of one sign often is another one that may be held out.

use std::f64::consts::TAU;

use rand::Rng;
use rand::seq::IndexedRandom;
use tch::{Kind, Tensor};

/// How many decoys accompany every step, and what they may be made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoys {
    /// Number per step, about the same of each kind.
    pub per_step: i64,
    /// What they are made by.
    pub kinds: Vec<DecoyKind>,
    /// Weight of their loss; 0.5 in the paper.
    pub weight: f64,
    /// What the network is to answer.
    pub target: DecoyTarget,
    /// Per class, whether a quarter or half turn makes something else of it. A disc stays a disc, and one arrow can
    /// become another.
    pub turns: Vec<bool>,
}

impl Default for Decoys {
    /// 80 per step of all kinds for photographs, about which the network is to be undecided. No class can be turned.
    fn default() -> Self {
        Self {
            kinds: DecoyKind::PHOTOGRAPHS.to_vec(),
            per_step: 80,
            weight: 0.35,
            target: DecoyTarget::Undecided,
            turns: Vec::new(),
        }
    }
}

/// What a network is to answer when it is shown a decoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoyTarget {
    /// Any class, each with the same probability.
    Undecided,
    /// The class with this index, which has no images of its own.
    Class(usize),
}

/// What makes a decoy of a training image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoyKind {
    /// Its quarters change places.
    Jigsaw,
    /// A half or the middle comes from an image of another class.
    Patchwork,
    /// 60 to 75 % are covered with one colour.
    Covered,
    /// 60 to 85 % are hidden by smooth patches of one colour, as by dirt.
    Smeared,
    /// A bright haze leaves 3 to 12 % of its contrast.
    Faded,
    /// A quarter or half turn (as in CSI, Tack et al., NeurIPS 2020, §2.2).
    Turned,
    /// A corner fills the whole image.
    Corner,
    /// Red, green and blue are exchanged; not for grey images.
    Recoloured,
    /// Its spectrum with random phases: texture without shape.
    Scrambled,
    /// Blends into an image of another class along random borders.
    Blended,
    /// Lies over an image of another class, the brighter of both in every place.
    Overlaid,
}

impl DecoyKind {
    /// Kinds for coloured photographs of one object.
    pub const PHOTOGRAPHS: [Self; 10] = [
        Self::Jigsaw,
        Self::Patchwork,
        Self::Covered,
        Self::Smeared,
        Self::Faded,
        Self::Turned,
        Self::Corner,
        Self::Recoloured,
        Self::Scrambled,
        Self::Blended,
    ];

    /// Kinds for bright strokes on black, where colours cannot be exchanged.
    pub const STROKES: [Self; 8] = [
        Self::Jigsaw,
        Self::Patchwork,
        Self::Covered,
        Self::Turned,
        Self::Corner,
        Self::Scrambled,
        Self::Blended,
        Self::Overlaid,
    ];
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
    /// Decoys made of a batch of `N×3×H×W` images with their `N` labels: `M×3×H×W`, `M ≤ per_step`. Each kind starts from
    /// other images where the batch is large enough.
    pub fn make(&self, images: &Tensor, labels: &Tensor, rng: &mut impl Rng) -> Tensor {
        let length = images.size()[0];
        let count = (self.per_step / self.kinds.len().max(1) as i64).min(length);
        let decoys = (0..).zip(&self.kinds).map(|(index, &kind)| {
            let first = index * count % (length - count + 1);
            self.one_kind(kind, &images.narrow(0, first, count), &labels.narrow(0, first, count), rng)
        });
        Tensor::cat(&decoys.collect::<Vec<_>>(), 0)
    }

    fn one_kind(&self, kind: DecoyKind, images: &Tensor, labels: &Tensor, rng: &mut impl Rng) -> Tensor {
        match kind {
            DecoyKind::Jigsaw => jigsaw(images, rng),
            DecoyKind::Patchwork => with_others(images, labels, |images, others| patchwork(images, others, rng)),
            DecoyKind::Covered => covered(images, rng),
            DecoyKind::Smeared => smeared(images, rng),
            DecoyKind::Faded => faded(images),
            DecoyKind::Turned => self.turned(images, labels, rng),
            DecoyKind::Corner => corner(images, rng),
            DecoyKind::Recoloured => recoloured(images, rng),
            DecoyKind::Scrambled => scrambled(images),
            DecoyKind::Blended => with_others(images, labels, blended),
            DecoyKind::Overlaid => with_others(images, labels, Tensor::maximum),
        }
    }

    /// The images that a turn changes, turned by a half, as a sign may hang, or by a quarter.
    fn turned(&self, images: &Tensor, labels: &Tensor, rng: &mut impl Rng) -> Tensor {
        let turns: Vec<i64> = self.turns.iter().map(|&turns| i64::from(turns)).collect();
        let turns = Tensor::from_slice(&turns).index_select(0, labels).to_kind(Kind::Bool);
        let quarters = if rng.random() { 2 } else { *[1, 3].choose(rng).unwrap_or(&1) };
        rows(images, &turns).rot90(quarters, [2, 3])
    }
}

/// Pairs every image with the next one and keeps what `mix` makes of pairs of different classes.
fn with_others(images: &Tensor, labels: &Tensor, mix: impl FnOnce(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let different = labels.not_equal_tensor(&labels.roll([1], [0]));
    rows(&mix(images, &images.roll([1], [0])), &different)
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

/// Hides 60 to 85 % of every image behind patches of one colour that varies a little.
fn smeared(images: &Tensor, rng: &mut impl Rng) -> Tensor {
    const GRAIN: f64 = 0.03;
    const FINEST: i64 = 10;
    let mask = patches(images, rng.random_range(3..=6), rng.random_range(0.6..0.85));
    let colour = Tensor::rand([images.size()[0], 3, 1, 1], (Kind::Float, images.device()));
    let paint = (colour + smooth_noise(images, FINEST) * GRAIN).clamp(0.0, 1.0);
    images * (1.0 - &mask) + paint * mask
}

/// Opacity 0..1, one channel per image: high where smooth noise is, on about `share` of the image.
fn patches(images: &Tensor, cells: i64, share: f64) -> Tensor {
    const SHARPNESS: f64 = 6.0;
    let heights = smooth_noise(images, cells);
    let limit = heights.flatten(1, 3).quantile_scalar(1.0 - share, 1, true, "linear");
    ((heights - limit.view([-1, 1, 1, 1])) * SHARPNESS).sigmoid()
}

/// Normally distributed noise of one channel per image, interpolated between `cells` × `cells` values.
fn smooth_noise(images: &Tensor, cells: i64) -> Tensor {
    let size = images.size();
    let coarse = Tensor::randn([size[0], 1, cells, cells], (Kind::Float, images.device()));
    coarse.upsample_bicubic2d([size[2], size[3]], false, None, None)
}

/// Leaves 3 to 12 % of the contrast of every image before a bright, nearly grey haze.
fn faded(images: &Tensor) -> Tensor {
    let (count, options) = (images.size()[0], (Kind::Float, images.device()));
    let left = Tensor::rand([count, 1, 1, 1], options) * 0.09 + 0.03;
    let tint = Tensor::randn([count, 3, 1, 1], options) * 0.02;
    let haze = (Tensor::rand([count, 1, 1, 1], options) * 0.6 + 0.4 + tint).clamp(0.0, 1.0);
    images * &left + haze * (1.0 - &left)
}

/// Enlarges a corner of 28 to 45 % of the side.
fn corner(images: &Tensor, rng: &mut impl Rng) -> Tensor {
    let (height, width) = (images.size()[2], images.size()[3]);
    let part = |length: i64, share: f64| ((length as f64 * share).round() as i64).max(1);
    let share = rng.random_range(0.28..0.45);
    let (high, wide) = (part(height, share), part(width, share));
    let top = if rng.random() { 0 } else { height - high };
    let left = if rng.random() { 0 } else { width - wide };
    images.narrow(2, top, high).narrow(3, left, wide).upsample_bilinear2d([height, width], false, None, None)
}

/// Exchanges the colour channels of the images that have colours; a grey one would stay what it is.
fn recoloured(images: &Tensor, rng: &mut impl Rng) -> Tensor {
    const ORDERS: [[i64; 3]; 5] = [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    const GREY_LEVEL: f64 = 1.0 / 255.0;
    let order = ORDERS.choose(rng).unwrap_or(&ORDERS[0]);
    let exchanged = images.index_select(1, &Tensor::from_slice(order));
    let change = (&exchanged - images).abs().amax([1i64, 2, 3].as_slice(), false);
    rows(&exchanged, &change.gt(GREY_LEVEL))
}

/// Keeps the amplitudes of the two-dimensional spectrum of every channel and draws phases, the same for all channels.
fn scrambled(images: &Tensor) -> Tensor {
    let size = images.size();
    let spectrum = images.fft_rfft2(None::<&[i64]>, [2i64, 3], "backward");
    let amplitude = spectrum.abs();
    let phase = Tensor::rand([size[0], 1, size[2], amplitude.size()[3]], (Kind::Float, images.device())) * TAU;
    // The phase of the constant part would change the brightness.
    let _ = phase.narrow(2, 0, 1).narrow(3, 0, 1).zero_();
    let moved = Tensor::complex(&(&amplitude * phase.cos()), &(&amplitude * phase.sin()));
    moved.fft_irfft2([size[2], size[3]].as_slice(), [2i64, 3], "backward").clamp(0.0, 1.0)
}

/// Goes over into the other image along smooth random borders.
fn blended(images: &Tensor, others: &Tensor) -> Tensor {
    const SHARPNESS: f64 = 8.0;
    const CELLS: i64 = 4;
    let mask = (smooth_noise(images, CELLS) * SHARPNESS).sigmoid();
    images * &mask + others * (1.0 - &mask)
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

    /// The images with channels of different brightness.
    fn coloured(images: &Tensor) -> Tensor {
        images * Tensor::from_slice(&[1.0f32, 0.7, 0.5]).view([1, 3, 1, 1])
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
    fn patches_hide_the_share_that_is_asked_for() {
        let original = Tensor::zeros([20, 3, 40, 40], (Kind::Float, Device::Cpu));
        for share in [0.6, 0.85] {
            let mask = patches(&original, 4, share);
            assert_eq!(mask.size(), [20, 1, 40, 40]);
            let hidden = mask.gt(0.5).to_kind(Kind::Double).mean_dim([1i64, 2, 3].as_slice(), false, Kind::Double);
            assert!((hidden - share).abs().max().double_value(&[]) < 0.01);
        }
    }

    #[test]
    fn most_of_a_smeared_image_has_another_colour() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for _ in 0..10 {
            let original = Tensor::full([4, 3, 40, 40], 10.0, (Kind::Float, Device::Cpu));
            let smeared = smeared(&original, &mut rng);
            assert_eq!(smeared.size(), original.size());
            let hidden = smeared.lt(5.5).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            assert!((0.55..0.9).contains(&hidden), "{hidden}");
        }
    }

    #[test]
    fn a_faded_image_is_bright_and_has_little_contrast() {
        let stripes = Tensor::from_slice(&[1.0f32, 0.0]).repeat([8]).expand([50, 3, 16, 16], false);
        let faded = faded(&stripes);
        let [high, low] = [0, 1].map(|column| faded.select(3, column));
        let contrast = &high - &low;
        assert!((0.03 - 1e-4..0.12 + 1e-4).contains(&contrast.min().double_value(&[])));
        assert!(contrast.max().double_value(&[]) < 0.12 + 1e-4);
        assert!(low.min().double_value(&[]) > 0.25);
    }

    fn decoys(turns: Vec<bool>) -> Decoys {
        Decoys { per_step: 20, turns, ..Decoys::default() }
    }

    #[test]
    fn images_that_a_turn_does_not_change_are_not_turned() {
        let labels = Tensor::from_slice(&[0i64, 0, 1, 0, 1]);
        let turned = decoys(vec![false, true]).turned(&images(5), &labels, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!(turned.size(), [2, 3, 4, 4]);
        assert_eq!((turned.get(0).min().double_value(&[]), turned.get(1).min().double_value(&[])), (2.0, 4.0));
    }

    #[test]
    fn a_corner_fills_the_image() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..10 {
            let enlarged = corner(&images(2), &mut rng);
            assert_eq!(enlarged.size(), [2, 3, 4, 4]);
            let spread = enlarged.get(0).max() - enlarged.get(0).min();
            assert!(spread.double_value(&[]) < 1e-6, "one quarter of one colour: {spread}");
        }
    }

    #[test]
    fn colours_change_places() {
        let original = coloured(&Tensor::ones([2, 3, 4, 4], (Kind::Float, Device::Cpu)));
        let other = recoloured(&original, &mut ChaCha8Rng::seed_from_u64(6));
        assert_eq!(other.size(), original.size());
        assert!(bool::try_from(other.not_equal_tensor(&original).any()).unwrap());
        assert!((other.sum(Kind::Double) - original.sum(Kind::Double)).double_value(&[]).abs() < 1e-4);
    }

    #[test]
    fn a_grey_image_is_not_recoloured() {
        let mixed = Tensor::cat(&[images(2), coloured(&images(1))], 0);
        assert_eq!(recoloured(&mixed, &mut ChaCha8Rng::seed_from_u64(7)).size(), [1, 3, 4, 4]);
    }

    #[test]
    fn a_scrambled_image_keeps_its_spectrum_but_not_its_shape() {
        tch::manual_seed(1);
        let original = Tensor::rand([2, 3, 16, 16], (Kind::Float, Device::Cpu)) * 0.2 + 0.4;
        let other = scrambled(&original);
        assert_eq!(other.size(), original.size());
        assert!((&other - &original).abs().mean(Kind::Double).double_value(&[]) > 0.02);
        let [mean, spread] = [&original, &other].map(|images| (images.mean(Kind::Double), images.std(false)));
        assert!((mean.0 - spread.0).abs().double_value(&[]) < 1e-3, "the same brightness");
        let ratio = (spread.1 / mean.1).double_value(&[]);
        assert!((0.7..1.3).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_blend_lies_between_two_images_of_different_classes() {
        let labels = Tensor::from_slice(&[0i64, 0, 1]);
        let mixed = with_others(&images(3), &labels, blended);
        // Image 0 has image 2 before it (another class), image 1 has image 0 (the same), image 2 has image 1.
        assert_eq!(mixed.size()[0], 2);
        assert!(mixed.min().double_value(&[]) >= 0.0 && mixed.max().double_value(&[]) <= 2.3);
    }

    #[test]
    fn the_brighter_of_two_images_is_overlaid() {
        let labels = Tensor::from_slice(&[0i64, 1]);
        let mixed = with_others(&images(2), &labels, Tensor::maximum);
        assert_eq!(mixed.size(), [2, 3, 4, 4]);
        assert_eq!((mixed.get(0).min().double_value(&[]), mixed.get(1).min().double_value(&[])), (1.0, 1.0));
    }

    #[test]
    fn a_batch_gives_some_of_every_kind() {
        let labels = Tensor::arange(9, (Kind::Int64, Device::Cpu));
        let images = coloured(&images(9).upsample_nearest2d([16, 16], None, None)) / 10.0;
        let all = decoys(vec![true; 9]).make(&images, &labels, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!(all.size(), [20, 3, 16, 16]);
        let small = decoys(vec![true; 9]).make(
            &images.narrow(0, 0, 1),
            &labels.narrow(0, 0, 1),
            &mut ChaCha8Rng::seed_from_u64(3),
        );
        // Alone it has no partner of another class, so patchwork and blend are missing.
        assert_eq!(small.size()[0], 8);
    }
}
