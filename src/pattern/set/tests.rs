use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::pattern::{PatternError, PatternSetBuilder};

const WIDTHS: [usize; 10] = [1, 2, 7, 63, 64, 65, 100, 128, 192, 513];

fn pattern(width: usize, on: impl Fn(usize) -> bool) -> Pattern {
    Pattern::from_bits((0..width).map(on)).unwrap()
}

fn builder(width: usize, classes: usize, patterns: &[(usize, Pattern)]) -> PatternSetBuilder {
    let mut builder = PatternSetBuilder::new(width, classes).unwrap();
    patterns.iter().for_each(|(class, pattern)| builder.insert(*class, pattern));
    builder
}

fn set(width: usize, classes: usize, patterns: &[(usize, Pattern)]) -> PatternSet {
    builder(width, classes, patterns).build().unwrap()
}

/// A pattern of random bits, not those of the set's hash.
fn random(width: usize, seed: u64) -> Pattern {
    let mut state = seed.wrapping_mul(0x2545_F491_4F6C_DD1D) | 1;
    let bits: Vec<bool> = (0..width)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state & 4 != 0
        })
        .collect();
    Pattern::from_bits(bits.into_iter()).unwrap()
}

fn flipped(pattern: &Pattern, width: usize, bits: &[usize]) -> Pattern {
    let mut words = pattern.words().to_vec();
    bits.iter().map(|bit| bit % width).for_each(|bit| words[bit / 64] ^= 1 << (bit % 64));
    Pattern::from_words(words)
}

/// Distances of all patterns of the scope to the query, bit by bit.
fn naive(set: &PatternSet, scope: Scope, query: &Pattern) -> Vec<Neighbour> {
    let bit = |pattern: &Pattern, bit: usize| pattern.words()[bit / 64] >> (bit % 64) & 1;
    let distance = |index| {
        let other = set.pattern(index);
        u32::try_from((0..set.width()).filter(|&at| bit(&other, at) != bit(query, at)).count()).unwrap()
    };
    let mut all: Vec<_> = set.members(scope).map(|index| Neighbour { distance: distance(index), index }).collect();
    all.sort_unstable();
    all
}

/// Every query on every path, against the naive loop.
fn assert_exact(set: &PatternSet, scope: Scope, query: &Pattern, radius: u32, count: usize) {
    let expected = naive(set, scope, query);
    let near: Vec<Neighbour> = expected.iter().copied().filter(|found| found.distance <= radius).collect();
    let first: Vec<Neighbour> = expected.iter().copied().take(count).collect();
    assert_eq!(set.nearest(scope, query), expected.first().copied(), "nearest");
    assert_eq!(set.nearest_within(scope, query, radius), near.first().copied(), "nearest within {radius}");
    assert_eq!(set.within(scope, query, radius), near, "within {radius}");
    assert_eq!(set.k_nearest(scope, query, count), first, "{count} nearest");
    let same = expected.first().copied().filter(|found| found.distance == 0);
    assert_eq!(set.find(scope, query), same.map(|found| found.index), "find");
    for kernel in Kernel::available() {
        for patience in [0.0, f64::INFINITY] {
            let mut one = One::within(radius);
            set.search_with(kernel, patience, scope, query, &mut one);
            assert_eq!(one.best, near.first().copied(), "nearest within {radius}, {kernel:?}, {patience}");
            let mut within = Within::new(radius);
            set.search_with(kernel, patience, scope, query, &mut within);
            assert_eq!(within.sorted(), near, "within {radius}, {kernel:?}, {patience}");
            if count > 0 {
                let mut several = Several::new(count, set.width() as u32);
                set.search_with(kernel, patience, scope, query, &mut several);
                assert_eq!(several.best, first, "{count} nearest, {kernel:?}, {patience}");
            }
        }
    }
}

#[test]
fn duplicates_are_counted_and_kept_once() {
    let (one, two) = (pattern(3, |bit| bit == 0), pattern(3, |bit| bit == 1));
    let set = set(3, 2, &[(0, two.clone()), (0, one.clone()), (0, two.clone()), (1, two.clone())]);
    assert_eq!((set.len(), set.class(0), set.class(1)), (3, 0..2, 2..3));
    let counted: BTreeMap<Pattern, u32> = (0..2).map(|index| (set.pattern(index), set.count(index))).collect();
    assert_eq!(counted, BTreeMap::from([(one.clone(), 1), (two.clone(), 2)]));
    assert_eq!([0, 1, 2].map(|index| set.class_of(index)), [0, 0, 1]);
    assert!(set.contains(Scope::Class(0), &one) && set.contains(Scope::Class(1), &two));
    assert!(!set.contains(Scope::Class(1), &one) && set.contains(Scope::All, &one));
    assert_eq!(set.find(Scope::All, &two).map(|index| set.class_of(index)), Some(0), "the first class");
}

#[test]
fn extreme_patterns_of_every_width() {
    for width in WIDTHS.into_iter().chain([MAX_WIDTH]) {
        let (none, all) = (pattern(width, |_| false), pattern(width, |_| true));
        let single = pattern(width, |bit| bit == width - 1);
        let set = set(width, 3, &[(0, none.clone()), (2, all.clone())]);
        let bits = width as u32;
        let distance = |class, query, radius| {
            set.nearest_within(Scope::Class(class), query, radius).map(|nearest| nearest.distance)
        };
        assert_eq!(distance(0, &none, 0), Some(0));
        assert_eq!(distance(0, &single, bits), Some(1));
        assert_eq!(distance(2, &single, bits), Some(bits - 1));
        assert_eq!(distance(0, &all, bits), Some(bits));
        assert_eq!(distance(0, &all, bits - 1), None);
        assert_eq!(distance(1, &all, bits), None, "class without patterns");
        assert_eq!(distance(9, &all, bits), None, "no such class");
        assert!(!set.contains(Scope::Class(1), &all) && !set.contains(Scope::Class(usize::MAX), &all));
        assert_eq!(set.k_nearest(Scope::All, &none, 9).len(), 2);
        assert_eq!(set.k_nearest(Scope::All, &none, 0), []);
    }
}

#[test]
fn an_empty_set_has_no_neighbours() {
    let set = set(65, 0, &[]);
    let query = pattern(65, |_| true);
    assert_eq!((set.len(), set.classes(), set.nearest(Scope::All, &query)), (0, 0, None));
    assert!(!set.contains(Scope::All, &query) && set.within(Scope::All, &query, 65).is_empty());
}

#[test]
fn the_first_of_equally_near_patterns_is_taken() {
    let set = set(2, 1, &[(0, pattern(2, |bit| bit == 0)), (0, pattern(2, |bit| bit == 1))]);
    assert_eq!(set.nearest(Scope::All, &pattern(2, |_| true)), Some(Neighbour { distance: 1, index: 0 }));
}

#[test]
fn patterns_that_differ_in_one_bit_are_told_apart() {
    for width in [9, 64, 130, 257] {
        let single = (0..width).map(|bit| (bit % 2, pattern(width, |at| at == bit)));
        let set = set(width, 2, &single.chain([(0, pattern(width, |_| false))]).collect::<Vec<_>>());
        for bit in [0, 1, 8, width - 1] {
            let query = pattern(width, |at| at == bit);
            assert_exact(&set, Scope::Class(bit % 2), &query, 2, width);
            assert_exact(&set, Scope::All, &pattern(width, |at| at <= bit), 1, 3);
        }
    }
}

#[test]
fn a_set_of_several_pieces_is_searched_whole() {
    let width = 72;
    let patterns: Vec<_> = (0..150_000).map(|seed| (usize::from(seed >= 20_000), random(width, seed))).collect();
    let set = set(width, 2, &patterns);
    for (seed, scope) in [(5, Scope::All), (70_000, Scope::Class(1)), (149_999, Scope::All), (3, Scope::Class(0))] {
        let query = flipped(&random(width, seed), width, &[3, 40, 71]);
        let expected = naive(&set, scope, &query);
        assert_eq!(set.nearest(scope, &query), expected.first().copied());
        assert_eq!(set.k_nearest(scope, &query, 50), expected[..50]);
        let near = expected.partition_point(|found| found.distance <= 19);
        assert_eq!(set.within(scope, &query, 19), expected[..near]);
    }
}

#[test]
fn a_large_set_is_searched_by_hash_tables() {
    let width = 256;
    let patterns: Vec<_> = (0..200_000u64)
        .map(|seed| {
            let bits = random(width, seed + 1_000_000);
            let bits: Vec<usize> = bits.words()[..3].iter().map(|&word| (word % 256) as usize).collect();
            ((seed % 3) as usize, flipped(&random(width, seed % 200), width, &bits))
        })
        .collect();
    let set = builder(width, 4, &patterns).radius(6).build().unwrap();
    assert_eq!(set.structure(), Structure::MultiIndex { tables: 7 });
    for seed in [0usize, 77, 1234] {
        let (class, member) = &patterns[seed];
        let query = flipped(member, width, &[seed, seed + 90]);
        for scope in [Scope::Class(*class), Scope::All] {
            let expected = naive(&set, scope, &query);
            assert_eq!(set.nearest(scope, &query), expected.first().copied());
            assert_eq!(set.nearest_within(scope, &query, 6), expected.first().copied());
            assert_eq!(set.k_nearest(scope, &query, 20), expected[..20]);
            assert_eq!(set.within(scope, &query, 4), expected[..expected.partition_point(|found| found.distance <= 4)]);
            assert!(set.contains(scope, member));
        }
        let far = random(width, 5_000_000 + seed as u64);
        assert_eq!(set.nearest(Scope::All, &far), naive(&set, Scope::All, &far).first().copied());
        assert_eq!(set.nearest_within(Scope::All, &far, 6), None);
        assert_eq!(set.nearest(Scope::Class(3), &far), None);
    }
}

#[test]
fn chunks_of_a_whole_word_are_searched() {
    for (width, tables) in [(64, 1), (128, 2), (1024, 16), (4096, 64)] {
        let patterns: Vec<_> = (0..300).map(|seed| (0, random(width, seed))).collect();
        let structure = Structure::MultiIndex { tables };
        let set = builder(width, 1, &patterns).structure(structure).unwrap().build().unwrap();
        for flips in [&[][..], &[3], &[0, 64], &[5, 6]] {
            let query = flipped(&patterns[17].1, width, flips);
            let expected = naive(&set, Scope::All, &query);
            let mut one = One::within(2);
            set.search_with(Kernel::fastest(), f64::INFINITY, Scope::All, &query, &mut one);
            assert_eq!(one.best, expected.first().copied(), "{width} bits, {flips:?}");
            assert_eq!(set.k_nearest(Scope::All, &query, 4), expected[..4]);
        }
    }
}

#[test]
fn the_size_stays_near_that_of_the_raw_patterns() {
    for (width, structure, share) in [
        (64, Structure::Scan, 1.05),
        (200, Structure::Scan, 1.05),
        (256, Structure::MultiIndex { tables: 7 }, 2.0),
        (1024, Structure::MultiIndex { tables: 16 }, 2.0),
    ] {
        let patterns: Vec<_> = (0..8_000).map(|seed| (0, random(width, seed))).collect();
        let set = builder(width, 1, &patterns).structure(structure).unwrap().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        set.write(&folder.path().join("set")).unwrap();
        let size = std::fs::metadata(folder.path().join("set")).unwrap().len() as f64;
        assert!(size <= share * (set.len() * width / 8) as f64, "{width} bits, {structure:?}: {size}");
    }
}

#[test]
fn the_structure_follows_from_what_a_query_is_compared_with() {
    let patterns: Vec<_> = (0..30_000).map(|seed| (seed as usize % 30, random(256, seed))).collect();
    let structure = |builder: PatternSetBuilder| builder.build().unwrap().structure();
    assert_eq!(structure(builder(256, 30, &patterns)), Structure::MultiIndex { tables: 7 });
    assert_eq!(structure(builder(256, 30, &patterns).one_class()), Structure::Scan);
    assert_eq!(structure(builder(256, 30, &patterns).radius(60)), Structure::Scan);
    assert_eq!(structure(builder(256, 30, &patterns[..900])), Structure::Scan);
}

#[test]
fn impossible_tables_are_refused() {
    for tables in [0, 1, 101] {
        let refused = PatternSetBuilder::new(100, 1).unwrap().structure(Structure::MultiIndex { tables });
        assert_eq!(refused.unwrap_err(), PatternError::Tables { tables, width: 100 });
    }
}

#[test]
fn a_saved_set_is_used_in_place() {
    let patterns: Vec<_> = (0..50).map(|seed| (seed as usize % 3, random(130, seed % 40))).collect();
    for structure in [Structure::Scan, Structure::MultiIndex { tables: 5 }] {
        let set = builder(130, 4, &patterns).structure(structure).unwrap().build().unwrap();
        let mut tensors = Tensors::default();
        set.save(&mut tensors.scope("odd name"));
        tensors.scope("a").put("b", &[3], &[1u8, 2, 3]);
        let folder = tempfile::tempdir().unwrap();
        TensorFile::write(&folder.path().join("x"), "{}", tensors).unwrap();
        let file = TensorFile::open(&folder.path().join("x")).unwrap();
        let loaded = PatternSet::load(&file.tensors().scope("odd name"), 4).unwrap();
        assert!(loaded.blocks.is_mapped() && loaded.directory.is_mapped());
        assert_eq!(loaded, set);
        assert_eq!(loaded.structure(), structure);
        assert!(PatternSet::load(&file.tensors().scope("odd name"), 3).is_err(), "another number of classes");
        assert!(PatternSet::open(&folder.path().join("x")).is_err(), "a file of something else");
        set.write(&folder.path().join("y")).unwrap();
        assert_eq!(PatternSet::open(&folder.path().join("y")).unwrap(), set);
    }
}

proptest! {
    #[test]
    fn a_damaged_file_gives_errors_or_wrong_answers_but_no_panic(
        place: prop::sample::Index, bytes: [u8; 8], structure in prop::sample::select(vec![0usize, 15, 20]),
    ) {
        let patterns: Vec<_> = (0..90).map(|seed| (seed as usize % 3, random(130, seed % 70))).collect();
        let structure = if structure == 0 { Structure::Scan } else { Structure::MultiIndex { tables: structure } };
        let set = builder(130, 3, &patterns).structure(structure).unwrap().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set");
        set.write(&path).unwrap();
        let mut content = std::fs::read(&path).unwrap();
        let header = 8 + u64::from_le_bytes(*content.first_chunk().unwrap()) as usize;
        let place = (header + place.index(content.len() - header)).min(content.len() - bytes.len());
        content[place..place + bytes.len()].copy_from_slice(&bytes);
        std::fs::write(&path, content).unwrap();
        if let Ok(damaged) = PatternSet::open(&path) {
            for query in [&patterns[0].1, &random(130, 999)] {
                for scope in [Scope::All, Scope::Class(1)] {
                    let _ = (damaged.contains(scope, query), damaged.k_nearest(scope, query, 5));
                    let mut within = Within::new(40);
                    damaged.search_with(Kernel::fastest(), f64::INFINITY, scope, query, &mut within);
                    for found in within.sorted() {
                        let _ = (damaged.count(found.index), damaged.class_of(found.index), damaged.pattern(found.index));
                    }
                }
            }
        }
    }
}

/// Random patterns, patterns around a few, and patterns that are hard on purpose.
fn member(width: usize) -> impl Strategy<Value = Pattern> {
    prop_oneof![
        any::<u64>().prop_map(move |seed| random(width, seed)),
        (0u64..3, prop::collection::vec(0usize..width, 0..4)).prop_map(move |(centre, bits)| flipped(
            &random(width, centre),
            width,
            &bits
        )),
        any::<bool>().prop_map(move |on| pattern(width, |_| on)),
        (0..width).prop_map(move |bit| pattern(width, |at| at == bit)),
    ]
}

fn members(width: usize) -> impl Strategy<Value = Vec<(usize, Pattern)>> {
    prop::collection::vec((0usize..3, member(width)), 0..120)
}

#[derive(Debug, Clone)]
struct Case {
    width: usize,
    patterns: Vec<(usize, Pattern)>,
    query: Pattern,
    radius: u32,
    count: usize,
    scope: Scope,
    tables: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    prop::sample::select(&WIDTHS[..]).prop_flat_map(|width| {
        let scope = prop_oneof![Just(Scope::All), (0usize..5).prop_map(Scope::Class)];
        let far = prop_oneof![0u32..6, 0..=width as u32];
        (members(width), member(width), far, 0usize..6, scope, width.div_ceil(9)..=width).prop_map(
            move |(patterns, query, radius, count, scope, tables)| Case {
                width,
                patterns,
                query,
                radius,
                count,
                scope,
                tables: tables.max(width.div_ceil(64)),
            },
        )
    })
}

proptest! {
    #[test]
    fn queries_agree_with_a_naive_loop(case in cases()) {
        let Case { width, patterns, query, radius, count, scope, tables } = case;
        for structure in [Structure::Scan, Structure::MultiIndex { tables }] {
            let set = builder(width, 4, &patterns).structure(structure).unwrap().build().unwrap();
            assert_exact(&set, scope, &query, radius, count);
            for (class, member) in &patterns {
                let index = set.find(Scope::Class(*class), member).unwrap();
                prop_assert_eq!(&set.pattern(index), member);
                prop_assert_eq!(set.class_of(index), *class);
                let times = patterns.iter().filter(|other| **other == (*class, member.clone())).count();
                prop_assert_eq!(set.count(index) as usize, times);
            }
        }
    }

    #[test]
    fn the_order_of_images_has_no_influence(Case { width, mut patterns, .. } in cases()) {
        let forwards = set(width, 3, &patterns);
        patterns.reverse();
        prop_assert_eq!(set(width, 3, &patterns), forwards);
    }

    #[test]
    fn merged_sets_equal_the_set_of_the_union(case in cases(), cut in 0usize..120) {
        let Case { width, patterns, tables, .. } = case;
        let builder = |patterns: &[_]| builder(width, 3, patterns).structure(Structure::MultiIndex { tables }).unwrap();
        let (one, two) = patterns.split_at(cut.min(patterns.len()));
        let mut merged = builder(&[]);
        merged.extend(&builder(one).build().unwrap());
        merged.extend(&set(width, 3, two));
        prop_assert_eq!(merged.build().unwrap(), builder(&patterns).build().unwrap());
    }
}
