use proptest::prelude::*;

use super::*;
use crate::pattern::PatternSetBuilder;
use crate::storage::{TensorFile, Tensors};

const WIDTHS: [usize; 9] = [1, 2, 63, 64, 65, 127, 128, 513, 4096];

fn pattern(width: usize, on: impl Fn(usize) -> bool) -> Pattern {
    Pattern::from_bits((0..width).map(on)).unwrap()
}

fn set(width: usize, classes: usize, patterns: &[(usize, Pattern)]) -> PatternSet {
    let mut builder = PatternSetBuilder::new(width, classes).unwrap();
    for (class, pattern) in patterns {
        builder.insert(*class, pattern.clone());
    }
    builder.build().unwrap()
}

/// The nearest pattern by comparing every bit with every pattern of the class.
fn naive(set: &PatternSet, class: usize, query: &Pattern, bound: u32) -> Option<u32> {
    let bit = |words: &[u64], bit: usize| words[bit / 64] >> (bit % 64) & 1;
    let distances = set.class(class).map(|index| {
        let differing = (0..set.width()).filter(|&at| bit(set.words(index), at) != bit(query.words(), at));
        u32::try_from(differing.count()).unwrap()
    });
    distances.min().filter(|&distance| distance <= bound)
}

#[test]
fn duplicates_are_counted_and_kept_once() {
    let (one, two) = (pattern(3, |bit| bit == 0), pattern(3, |bit| bit == 1));
    let set = set(3, 2, &[(0, two.clone()), (0, one.clone()), (0, two.clone()), (1, two.clone())]);
    assert_eq!(set.len(), 3);
    assert_eq!((set.class(0), set.class(1)), (0..2, 2..3));
    assert_eq!((set.words(0), set.count(0)), (one.words(), 1));
    assert_eq!((set.words(1), set.count(1)), (two.words(), 2));
    assert!(set.contains(0, &one) && set.contains(1, &two) && !set.contains(1, &one));
}

#[test]
fn extreme_patterns_of_every_width() {
    for width in WIDTHS {
        let (none, all) = (pattern(width, |_| false), pattern(width, |_| true));
        let single = pattern(width, |bit| bit == width - 1);
        let set = set(width, 3, &[(0, none.clone()), (2, all.clone())]);
        let width_bits = u32::try_from(width).unwrap();
        let distance = |class, query, bound| set.nearest(class, query, bound).map(|nearest| nearest.distance);
        assert_eq!(distance(0, &none, 0), Some(0));
        assert_eq!(distance(0, &single, width_bits), Some(1));
        assert_eq!(distance(2, &single, width_bits), Some(width_bits - 1));
        assert_eq!(distance(0, &all, width_bits), Some(width_bits));
        assert_eq!(distance(0, &all, width_bits - 1), None);
        assert_eq!(distance(1, &all, width_bits), None, "class without patterns");
        assert_eq!(distance(9, &all, width_bits), None, "no such class");
        assert!(!set.contains(1, &all) && !set.contains(9, &all));
    }
}

#[test]
fn the_first_of_equally_near_patterns_is_taken() {
    let set = set(2, 1, &[(0, pattern(2, |bit| bit == 0)), (0, pattern(2, |bit| bit == 1))]);
    let nearest = set.nearest(0, &pattern(2, |_| true), 2);
    assert_eq!(nearest, Some(Nearest { distance: 1, index: 0 }));
}

#[test]
fn a_saved_set_is_used_in_place() {
    let patterns: Vec<_> = (0..50).map(|seed| (seed % 3, pattern(130, |bit| bit * (seed + 3) % 7 < 3))).collect();
    let set = set(130, 4, &patterns);
    let mut tensors = Tensors::default();
    set.save(&mut tensors.scope("odd name"));
    tensors.scope("a").put("b", &[3], &[1u8, 2, 3]);
    let folder = tempfile::tempdir().unwrap();
    TensorFile::write(&folder.path().join("x"), "{}", tensors).unwrap();
    let file = TensorFile::open(&folder.path().join("x")).unwrap();
    let loaded = PatternSet::load(&file.tensors().scope("odd name"), 4).unwrap();
    assert!(loaded.words.is_mapped() && loaded.table.is_mapped());
    assert_eq!(loaded, set);
    assert!(PatternSet::load(&file.tensors().scope("odd name"), 3).is_err(), "another number of classes");
}

fn patterns_of(width: usize) -> impl Strategy<Value = Vec<(usize, Pattern)>> {
    let pattern = prop::collection::vec(any::<bool>(), width);
    prop::collection::vec((0usize..3, pattern.prop_map(|bits| Pattern::from_bits(bits.into_iter()).unwrap())), 0..40)
}

fn cases() -> impl Strategy<Value = (usize, Vec<(usize, Pattern)>, Pattern, u32)> {
    prop::sample::select(&WIDTHS[..8]).prop_flat_map(|width| {
        let query = prop::collection::vec(any::<bool>(), width);
        let query = query.prop_map(|bits| Pattern::from_bits(bits.into_iter()).unwrap());
        (Just(width), patterns_of(width), query, 0..=u32::try_from(width).unwrap())
    })
}

proptest! {
    #[test]
    fn queries_agree_with_a_naive_loop((width, patterns, query, bound) in cases()) {
        let set = set(width, 4, &patterns);
        prop_assert_eq!(set.len(), patterns.iter().collect::<std::collections::HashSet<_>>().len());
        for (class, member) in &patterns {
            prop_assert!(set.contains(*class, member));
        }
        for class in 0..4 {
            let seen = patterns.contains(&(class, query.clone()));
            prop_assert_eq!(set.contains(class, &query), seen);
            let nearest = set.nearest(class, &query, bound);
            prop_assert_eq!(nearest.map(|nearest| nearest.distance), naive(&set, class, &query, bound));
            if let Some(Nearest { distance, index }) = nearest {
                prop_assert!(set.class(class).contains(&index));
                prop_assert_eq!(hamming(set.words(index), query.words()), distance);
            }
        }
    }

    #[test]
    fn the_order_of_images_has_no_influence((width, mut patterns, ..) in cases()) {
        let forwards = set(width, 3, &patterns);
        patterns.reverse();
        prop_assert_eq!(set(width, 3, &patterns), forwards);
    }
}
