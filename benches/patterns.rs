//! Every query of the compiled pattern set, at four sizes and three widths.
//!
//! `cargo bench --bench patterns -- 256_bits/39000` measures one set. Patterns lie in clusters of 900, queries are 2 bits
//! off one of them; `far` are random, with nothing near.

#[path = "../examples/support/patterns.rs"]
mod patterns;

use std::hint::black_box;
use std::time::Duration;

use activation_monitor::pattern::{Pattern, PatternSet, PatternSetBuilder, Scope};
use criterion::{Criterion, criterion_group, criterion_main};

const SIZES: [u64; 4] = [1_000, 39_000, 1_000_000, 10_000_000];
const WIDTHS: [usize; 3] = [64, 256, 1_024];
const RADIUS: u32 = 8;
const COUNT: usize = 10;
const QUERIES: u64 = 1_000;
/// Far queries ask for a cluster that no set has.
const NO_CLUSTER: u64 = 1 << 40;

fn compile(bits: usize, size: u64) -> PatternSet {
    let mut builder = PatternSetBuilder::new(bits, 1).expect("the width is supported");
    (0..size).for_each(|index| builder.insert(0, &patterns::member(bits, index)));
    builder.build().expect("there are few enough patterns")
}

fn queries(criterion: &mut Criterion) {
    for bits in WIDTHS {
        for size in SIZES {
            let mut set = None;
            for (name, ask) in QUERY_KINDS {
                let far = name.ends_with("far");
                let mut next = 0;
                let queries: Vec<Pattern> = (0..QUERIES).map(|index| query(bits, size, index, far)).collect();
                // Only a set that is measured is compiled: some take most of a minute.
                criterion.bench_function(&format!("{bits}_bits/{size}/{name}"), |bencher| {
                    let set = set.get_or_insert_with(|| compile(bits, size));
                    bencher.iter(|| {
                        next = (next + 1) % queries.len();
                        ask(set, black_box(&queries[next]))
                    });
                });
            }
        }
    }
}

type Ask = fn(&PatternSet, &Pattern) -> u32;

/// Every query, with something of its answer.
const QUERY_KINDS: [(&str, Ask); 7] = [
    ("contains", |set, query| set.contains(Scope::All, query).into()),
    ("nearest", |set, query| set.nearest(Scope::All, query).map_or(0, |nearest| nearest.distance)),
    ("nearest_within", nearest_within),
    ("within", |set, query| set.within(Scope::All, query, RADIUS).len() as u32),
    ("k_nearest", |set, query| set.k_nearest(Scope::All, query, COUNT).len() as u32),
    ("nearest_far", |set, query| set.nearest(Scope::All, query).map_or(0, |nearest| nearest.distance)),
    ("nearest_within_far", nearest_within),
];

fn nearest_within(set: &PatternSet, query: &Pattern) -> u32 {
    set.nearest_within(Scope::All, query, RADIUS).map_or(0, |nearest| nearest.distance)
}

fn query(bits: usize, size: u64, index: u64, far: bool) -> Pattern {
    if far { patterns::member(bits, NO_CLUSTER + index * 900) } else { patterns::query(bits, size, index) }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = queries
}
criterion_main!(benches);
