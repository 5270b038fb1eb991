//! Random binary patterns in clusters, like those of classes, and queries near them.

use activation_monitor::pattern::Pattern;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Patterns of one cluster: as many as a traffic-sign class has training images.
const CLUSTER: u64 = 900;
/// One bit in so many of a pattern differs from the centre of its cluster.
const BITS_PER_FLIP: usize = 16;
/// Bits in which a query differs from a pattern of the set.
const QUERY_FLIPS: usize = 2;

/// Pattern `index` of the set.
pub fn member(bits: usize, index: u64) -> Pattern {
    let centre = random(bits, index / CLUSTER);
    flipped(bits, &centre, bits / BITS_PER_FLIP, &mut ChaCha8Rng::seed_from_u64(!index))
}

/// Query `index`: a pattern of a set of `patterns`, two bits off.
pub fn query(bits: usize, patterns: u64, index: u64) -> Pattern {
    let mut random = ChaCha8Rng::seed_from_u64(index);
    let near = random.random_range(0..patterns);
    flipped(bits, &member(bits, near), QUERY_FLIPS, &mut random)
}

fn random(bits: usize, seed: u64) -> Pattern {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    pattern((0..bits).map(|_| random.random()).collect())
}

fn flipped(bits: usize, pattern: &Pattern, flips: usize, random: &mut ChaCha8Rng) -> Pattern {
    let mut on: Vec<bool> = (0..bits).map(|bit| pattern.words()[bit / 64] >> (bit % 64) & 1 == 1).collect();
    rand::seq::index::sample(random, bits, flips).into_iter().for_each(|bit| on[bit] = !on[bit]);
    self::pattern(on)
}

fn pattern(bits: Vec<bool>) -> Pattern {
    Pattern::from_bits(bits.into_iter()).expect("the width was checked")
}
