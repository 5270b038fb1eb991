//! The regions of many events.

use std::collections::HashMap;

use super::{Cause, Reading, Sighting};

/// Crops of one group that are kept: many times what the page shows, and a few MiB.
const CROPS: usize = 64;

/// The regions of many events, with a bounded number of crops per group.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    sightings: Vec<Sighting>,
    /// Crops that are kept of each group.
    crops: HashMap<Cause, usize>,
}

impl Collection {
    /// Adds what was found in one event.
    pub fn add(&mut self, reading: Reading) {
        for mut sighting in reading.sightings {
            if sighting.crop.is_some() {
                let kept = self.crops.entry(sighting.cause.clone()).or_default();
                if *kept == CROPS {
                    sighting.crop = None;
                } else {
                    *kept += 1;
                }
            }
            self.sightings.push(sighting);
        }
    }

    /// All regions, in the order in which they were added.
    #[must_use]
    pub fn sightings(&self) -> &[Sighting] {
        &self.sightings
    }
}
