//! Which regions belong together, and in which order they are looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Sighting};

/// Regions that the same detector found strange at the same place, near the same class.
#[derive(Debug, Clone, PartialEq)]
pub struct Group<'a> {
    /// What they have in common.
    pub cause: &'a Cause,
    /// The objects in the group, the least strange one first.
    pub objects: Vec<Object<'a>>,
}

/// One object: all regions of one name in one event, or one region without a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object<'a> {
    /// The view to look at: the strangest one, of equally strange ones the largest.
    pub best: &'a Sighting,
    /// Its place among the sightings.
    pub index: usize,
    /// Regions of it in the group.
    pub views: usize,
}

/// Puts regions together, the group that is nearest to the training data first: what is least strange is what the network is
/// closest to knowing, so it is labelled first. Every sighting is in one group; an object counts once in each of its groups.
#[must_use]
pub fn groups(sightings: &[Sighting]) -> Vec<Group<'_>> {
    let mut by_cause: BTreeMap<&Cause, BTreeMap<Identity<'_>, Object<'_>>> = BTreeMap::new();
    for (index, sighting) in sightings.iter().enumerate() {
        let objects = by_cause.entry(&sighting.cause).or_default();
        let object = objects.entry(Identity::of(sighting, index)).or_insert(Object { best: sighting, index, views: 0 });
        object.views += 1;
        if is_better(sighting, object.best) {
            (object.best, object.index) = (sighting, index);
        }
    }
    let mut groups: Vec<Group<'_>> =
        by_cause.into_iter().map(|(cause, objects)| Group::new(cause, objects.into_values().collect())).collect();
    groups.sort_by(|a, b| {
        let nearest = b.p_value().total_cmp(&a.p_value()).then(a.evidence().total_cmp(&b.evidence()));
        nearest.then(b.objects.len().cmp(&a.objects.len()))
    });
    groups
}

/// Who a region shows.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identity<'a> {
    Named {
        event: &'a str,
        camera: &'a str,
        object: &'a str,
    },
    /// A region without a name, by its index.
    Alone(usize),
}

impl<'a> Identity<'a> {
    fn of(sighting: &'a Sighting, index: usize) -> Self {
        let Sighting { event, camera, object, .. } = sighting;
        if object.is_empty() { Self::Alone(index) } else { Self::Named { event, camera, object } }
    }
}

/// Whether `a` is the better view: stranger, or as strange and larger.
fn is_better(a: &Sighting, b: &Sighting) -> bool {
    let area = |sighting: &Sighting| u64::from(sighting.region.width) * u64::from(sighting.region.height);
    a.p_value.total_cmp(&b.p_value).then(area(b).cmp(&area(a))).is_lt()
}

impl<'a> Group<'a> {
    fn new(cause: &'a Cause, mut objects: Vec<Object<'a>>) -> Self {
        objects.sort_by(|a, b| {
            let least = b.best.p_value.total_cmp(&a.best.p_value);
            least.then(a.best.evidence.total_cmp(&b.best.evidence)).then(b.views.cmp(&a.views))
        });
        Self { cause, objects }
    }

    /// Regions in the group.
    #[must_use]
    pub fn views(&self) -> usize {
        self.objects.iter().map(|object| object.views).sum()
    }

    /// Events that have regions in the group.
    #[must_use]
    pub fn events(&self) -> usize {
        self.objects.iter().map(|object| object.best.event.as_str()).collect::<BTreeSet<_>>().len()
    }

    /// Topics of the cameras that saw it, in alphabetical order.
    #[must_use]
    pub fn cameras(&self) -> Vec<&'a str> {
        let cameras: BTreeSet<&str> = self.objects.iter().map(|object| object.best.camera.as_str()).collect();
        cameras.into_iter().collect()
    }

    /// First and last stamp of the views that are shown, nanoseconds since the epoch.
    #[must_use]
    pub fn span_nanos(&self) -> (u64, u64) {
        let stamps = || self.objects.iter().map(|object| object.best.stamp_nanos);
        (stamps().min().unwrap_or(0), stamps().max().unwrap_or(0))
    }

    /// Median p-value of its objects, 0..1.
    #[must_use]
    pub fn p_value(&self) -> f32 {
        self.median().best.p_value
    }

    /// Evidence of the object that has the median p-value; NaN where that is not known.
    #[must_use]
    pub fn evidence(&self) -> f32 {
        self.median().best.evidence
    }

    /// The object in the middle, which stands for the group.
    #[must_use]
    pub fn median(&self) -> &Object<'a> {
        // A group is made of at least one object.
        &self.objects[self.objects.len() / 2]
    }

    /// Predicted classes with the number of objects, the most frequent first.
    #[must_use]
    pub fn predicted(&self) -> Vec<(&'a str, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for object in &self.objects {
            *counts.entry(object.best.predicted.as_str()).or_default() += 1;
        }
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        counts
    }

    /// At most `most` objects that have a crop, evenly spread from the least to the most strange.
    #[must_use]
    pub fn exhibits(&self, most: usize) -> Vec<&Object<'a>> {
        let shown: Vec<&Object<'a>> = self.objects.iter().filter(|object| object.best.crop.is_some()).collect();
        if shown.len() <= most {
            return shown;
        }
        (0..most).map(|place| shown[place * (shown.len() - 1) / (most - 1).max(1)]).collect()
    }
}
