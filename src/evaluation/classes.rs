//! False alarms class by class.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::levels::{AlarmIntervals, AlarmRates, ByLevel};
use super::metrics::alarms;
use super::{FUSED, ScoredImage, ScoredSet};
use crate::calibration::count_groups;

/// Figures of the fused p-value on the images of one true class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Number of images.
    pub images: usize,
    /// Number of tracks, that is of objects seen. Where it is smaller than the number of images, the intervals are too
    /// narrow, because frames of one track are not independent.
    pub tracks: usize,
    /// Number of images classified correctly.
    pub correct: usize,
    /// Number of false alarms.
    pub alarms: ByLevel<usize>,
    /// Share of false alarms.
    pub alarm_rate: AlarmRates,
    /// Its binomial 95 % confidence interval.
    pub alarm_rate_ci: AlarmIntervals,
}

impl ClassReport {
    fn new(images: &[(&ScoredImage, f32)]) -> Self {
        let p_values: Vec<f32> = images.iter().map(|(_, p_value)| *p_value).collect();
        Self {
            images: images.len(),
            tracks: tracks(images.iter().map(|(image, _)| *image)),
            correct: images.iter().filter(|(image, _)| image.is_correct()).count(),
            alarms: ByLevel::of(|level| alarms(&p_values, level)),
            alarm_rate: AlarmRates::of_p_values(&p_values),
            alarm_rate_ci: AlarmIntervals::of_p_values(&p_values),
        }
    }
}

/// Number of different tracks.
pub(super) fn tracks<'a>(images: impl Iterator<Item = &'a ScoredImage>) -> usize {
    count_groups(images.map(ScoredImage::track))
}

/// Figures by name of the true class, for classes that have images. `classes` are the names by index.
pub(super) fn by_class(set: &ScoredSet, classes: &[String]) -> BTreeMap<String, ClassReport> {
    let mut members: BTreeMap<&str, Vec<(&ScoredImage, f32)>> = BTreeMap::new();
    for (image, &p_value) in set.images().iter().zip(set.p_values(FUSED)) {
        if let Some(name) = image.class.and_then(|class| classes.get(class)) {
            members.entry(name).or_default().push((image, p_value));
        }
    }
    members.into_iter().map(|(name, images)| (name.to_owned(), ClassReport::new(&images))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_by_hand() {
        let mut set = ScoredSet::default();
        for (key, class, predicted, p_value) in [
            ("1/0_0.png", 1, 1, 0.001),
            ("1/0_1.png", 1, 0, 0.01),
            ("1/1_0.png", 1, 1, 0.05),
            ("1/1_1.png", 1, 1, 0.5),
            ("0/0_0.png", 0, 0, 0.2),
        ] {
            let image = ScoredImage { key: key.into(), class: Some(class), predicted };
            set.push(image, [(FUSED, -p_value, p_value)]);
        }
        let classes = by_class(&set, &["no <entry>".to_owned(), "stop".to_owned(), "unseen".to_owned()]);
        assert_eq!(classes.keys().collect::<Vec<_>>(), ["no <entry>", "stop"]);
        let stop = &classes["stop"];
        assert_eq!((stop.images, stop.tracks, stop.correct), (4, 2, 3));
        assert_eq!(stop.alarms, ByLevel { at_10_percent: 3, at_1_percent: 2, at_01_percent: 1 });
        assert_eq!(stop.alarm_rate.at_10_percent, Some(0.75));
        assert_eq!(classes["no <entry>"].alarms.each(), [&0; 3]);
    }
}
