//! Fitting in parts: `--shard I/N`.

use std::str::FromStr;

/// Part `index` (from 1) of `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShardChoice {
    index: usize,
    count: usize,
}

impl ShardChoice {
    /// The items of this part. The parts of all indices together are all items, each once.
    pub(super) fn select<T>(self, items: Vec<T>) -> Vec<T> {
        items.into_iter().skip(self.index - 1).step_by(self.count).collect()
    }
}

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("expected I/N with 1 ≤ I ≤ N, for example 2/8".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shards_are_counted_from_1() {
        assert_eq!("2/8".parse(), Ok(ShardChoice { index: 2, count: 8 }));
        for wrong in ["0/8", "9/8", "1/0", "1", "a/b", "1/2/3", "-1/2"] {
            assert!(wrong.parse::<ShardChoice>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn shards_are_a_partition(items in 0usize..60, count in 1usize..9) {
            let shard = |index| ShardChoice { index, count }.select((0..items).collect::<Vec<_>>());
            let mut all: Vec<usize> = (1..=count).flat_map(shard).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..items).collect::<Vec<_>>());
        }
    }
}
