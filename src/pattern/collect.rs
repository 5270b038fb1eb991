//! What a search is for: the nearest pattern, the k nearest, or all within a radius.

/// A training pattern near a query. Nearer ones come first, and of equally near ones that with the lower number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// Number of differing bits.
    pub distance: u32,
    /// Number of the pattern in the set.
    pub index: usize,
}

/// Takes the patterns that a search comes across. The same one may come more than once.
pub(super) trait Collector {
    /// Patterns that are farther away are of no use.
    fn limit(&self) -> u32;
    /// Takes a pattern that is not farther away than the limit.
    fn take(&mut self, neighbour: Neighbour);
    /// So many patterns make the limit fall; `None` when nothing does.
    fn wants(&self) -> Option<usize>;
}

/// The nearest pattern.
#[derive(Debug)]
pub(super) struct One {
    radius: u32,
    pub best: Option<Neighbour>,
}

impl One {
    pub fn within(radius: u32) -> Self {
        Self { radius, best: None }
    }
}

impl Collector for One {
    fn limit(&self) -> u32 {
        self.best.map_or(self.radius, |best| best.distance)
    }

    fn take(&mut self, neighbour: Neighbour) {
        if self.best.is_none_or(|best| neighbour < best) {
            self.best = Some(neighbour);
        }
    }

    fn wants(&self) -> Option<usize> {
        Some(1)
    }
}

/// The `count` nearest patterns.
#[derive(Debug)]
pub(super) struct Several {
    count: usize,
    radius: u32,
    /// Rising; at most `count`.
    pub best: Vec<Neighbour>,
}

impl Several {
    /// `count` is at least 1.
    pub fn new(count: usize, radius: u32) -> Self {
        Self { count, radius, best: Vec::new() }
    }
}

impl Collector for Several {
    fn limit(&self) -> u32 {
        self.best.get(self.count - 1).map_or(self.radius, |worst| worst.distance)
    }

    fn take(&mut self, neighbour: Neighbour) {
        if let Err(place) = self.best.binary_search(&neighbour)
            && place < self.count
        {
            self.best.truncate(self.count - 1);
            self.best.insert(place, neighbour);
        }
    }

    fn wants(&self) -> Option<usize> {
        Some(self.count)
    }
}

/// All patterns within a radius.
#[derive(Debug)]
pub(super) struct Within {
    radius: u32,
    found: Vec<Neighbour>,
}

impl Within {
    pub fn new(radius: u32) -> Self {
        Self { radius, found: Vec::new() }
    }

    /// All of them, the nearest first.
    pub fn sorted(mut self) -> Vec<Neighbour> {
        self.found.sort_unstable();
        self.found.dedup();
        self.found
    }
}

impl Collector for Within {
    fn limit(&self) -> u32 {
        self.radius
    }

    fn take(&mut self, neighbour: Neighbour) {
        self.found.push(neighbour);
    }

    fn wants(&self) -> Option<usize> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [(u32, usize); 7] = [(5, 3), (2, 9), (2, 4), (2, 4), (7, 1), (0, 8), (2, 4)];

    fn offer(collector: &mut impl Collector) {
        for (distance, index) in OFFERED {
            if distance <= collector.limit() {
                collector.take(Neighbour { distance, index });
            }
        }
    }

    #[test]
    fn the_nearest_and_the_first_of_equals_count() {
        let mut one = One::within(6);
        offer(&mut one);
        assert_eq!((one.limit(), one.best), (0, Some(Neighbour { distance: 0, index: 8 })));

        let mut several = Several::new(3, 6);
        assert_eq!(several.limit(), 6);
        offer(&mut several);
        let found: Vec<_> = several.best.iter().map(|found| (found.distance, found.index)).collect();
        assert_eq!((several.limit(), found), (2, vec![(0, 8), (2, 4), (2, 9)]));

        let mut within = Within::new(2);
        offer(&mut within);
        let found: Vec<_> = within.sorted().iter().map(|found| (found.distance, found.index)).collect();
        assert_eq!(found, [(0, 8), (2, 4), (2, 9)]);
    }
}
