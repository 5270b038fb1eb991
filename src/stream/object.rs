//! All views of one object together.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Judged, View};
use crate::calibration::{ObjectCalibrator, WINDOW};

/// Objects of one camera that are remembered at a time; the one seen longest ago goes first.
pub const MOST_OBJECTS: usize = 10_000;

/// What is known of an object after one of its views.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectView {
    /// Judged views so far; 0 where none counts.
    pub views: usize,
    /// Stamp of the first view.
    pub first_seen: Duration,
    /// Evidence ([`ObjectCalibrator::evidence`]); NaN where there is none.
    pub evidence: f32,
    /// p-value, 0..1, or why there is none.
    pub p_value: Result<f32, String>,
    /// Class that most views were predicted to be, the latest of them where two are equal, with its share of the views (0..1).
    pub class: Option<(usize, f32)>,
}

/// What became of objects, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectCounts {
    /// Objects in memory.
    pub remembered: usize,
    /// Ids that came again after a pause and were taken for another object.
    pub reused: u64,
    /// Objects forgotten because there were too many.
    pub crowded_out: u64,
    /// Regions whose id another region of the image had.
    pub duplicates: u64,
    /// Times that stamps went back further than objects are remembered.
    pub jumps: u64,
}

/// Remembers the objects of one camera.
#[derive(Debug)]
pub struct ObjectTracker {
    timeout: Duration,
    objects: HashMap<String, Object>,
    newest: Duration,
    counts: ObjectCounts,
}

#[derive(Debug)]
struct Object {
    first: Duration,
    last: Duration,
    views: usize,
    /// Latest scores, the newest last.
    latest: Vec<f32>,
    /// Views by class, with the number of the last one.
    votes: BTreeMap<usize, (usize, usize)>,
}

impl ObjectTracker {
    /// Objects are forgotten when they were not seen for `timeout`.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, objects: HashMap::new(), newest: Duration::ZERO, counts: ObjectCounts::default() }
    }

    /// Changes how long objects are remembered.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// What became of objects so far.
    #[must_use]
    pub fn counts(&self) -> ObjectCounts {
        ObjectCounts { remembered: self.objects.len(), ..self.counts }
    }

    /// Adds the views of one image and says what is known of each object now.
    pub fn observe(
        &mut self,
        stamp: Duration,
        views: &[View<'_>],
        calibrator: Option<&ObjectCalibrator>,
    ) -> Vec<ObjectView> {
        self.forget(stamp);
        let mut times: HashMap<&str, usize> = HashMap::new();
        views.iter().for_each(|view| *times.entry(view.id).or_default() += 1);
        let observed = views.iter().map(|view| match view.id {
            "" => ObjectView::unknown("the region has no id: its views cannot be told from those of other objects"),
            id if times[id] > 1 => {
                self.counts.duplicates += 1;
                ObjectView::unknown(&format!("{} regions of the image have the id `{id}`", times[id]))
            }
            id => self.view(stamp, id, view.judged, calibrator),
        });
        observed.collect()
    }

    /// Adds a view, unless nothing was judged or the same image came again.
    fn view(
        &mut self,
        stamp: Duration,
        id: &str,
        judged: Option<Judged>,
        calibrator: Option<&ObjectCalibrator>,
    ) -> ObjectView {
        let object = match self.objects.get_mut(id) {
            Some(object) if stamp.abs_diff(object.last) <= self.timeout => Some(object),
            Some(_) => {
                self.counts.reused += 1;
                None
            }
            None => None,
        };
        match (object, judged) {
            (Some(object), Some(judged)) => {
                object.add(stamp, judged);
                object.known(calibrator)
            }
            (Some(object), None) => object.known(calibrator),
            (None, Some(judged)) => {
                let object = Object::new(stamp, judged);
                let known = object.known(calibrator);
                self.objects.insert(id.to_owned(), object);
                known
            }
            (None, None) => ObjectView::unknown("no view of the object was judged"),
        }
    }

    /// Forgets what was not seen for long, everything when stamps jump back, and the oldest where there are too many.
    fn forget(&mut self, stamp: Duration) {
        if stamp + self.timeout < self.newest {
            self.objects.clear();
            self.counts.jumps += 1;
            self.newest = stamp;
        }
        self.newest = self.newest.max(stamp);
        // Twice the time: an id that comes again is counted as reused for a while.
        let oldest = self.newest.saturating_sub(2 * self.timeout);
        self.objects.retain(|_, object| object.last >= oldest);
        if self.objects.len() > MOST_OBJECTS {
            let mut seen: Vec<Duration> = self.objects.values().map(|object| object.last).collect();
            let (_, &mut kept, _) = seen.select_nth_unstable_by(MOST_OBJECTS, |one, other| other.cmp(one));
            let before = self.objects.len();
            self.objects.retain(|_, object| object.last > kept);
            self.counts.crowded_out += (before - self.objects.len()) as u64;
        }
    }
}

/// What is known of an object after each of its views, which came one after the other in less than the time-out.
#[must_use]
pub fn over_views(views: &[Judged], calibrator: &ObjectCalibrator) -> Vec<ObjectView> {
    let mut tracker = ObjectTracker::new(Duration::from_secs(2));
    let after = |(number, view): (u32, &Judged)| {
        let view = View { id: "object", judged: Some(*view) };
        tracker.observe(Duration::from_secs(number.into()), &[view], Some(calibrator))
    };
    (0..).zip(views).flat_map(after).collect()
}

impl Object {
    fn new(stamp: Duration, judged: Judged) -> Self {
        let mut object = Self { first: stamp, last: stamp, views: 0, latest: Vec::new(), votes: BTreeMap::new() };
        object.count(judged);
        object
    }

    fn add(&mut self, stamp: Duration, judged: Judged) {
        if stamp == self.last {
            return;
        }
        (self.first, self.last) = (self.first.min(stamp), self.last.max(stamp));
        self.count(judged);
    }

    fn count(&mut self, judged: Judged) {
        self.views += 1;
        if self.latest.len() == WINDOW {
            self.latest.remove(0);
        }
        self.latest.push(judged.score);
        let (votes, latest) = self.votes.entry(judged.class).or_default();
        *votes += 1;
        *latest = self.views;
    }

    fn known(&self, calibrator: Option<&ObjectCalibrator>) -> ObjectView {
        let evidence = calibrator.map_or(f32::NAN, |calibrator| calibrator.evidence(self.views, &self.latest));
        let p_value = match calibrator {
            None => Err("the monitor is not calibrated for objects, see its notes".to_owned()),
            Some(_) if evidence.is_nan() => Err("scores of its views are not finite".to_owned()),
            Some(calibrator) => Ok(calibrator.p_value(self.views, evidence)),
        };
        let best = self.votes.iter().max_by_key(|(_, votes)| **votes);
        let class = best.map(|(&class, &(votes, _))| (class, votes as f32 / self.views as f32));
        ObjectView { views: self.views, first_seen: self.first, evidence, p_value, class }
    }
}

impl ObjectView {
    /// Nothing is known, for this reason.
    #[must_use]
    pub fn unknown(reason: &str) -> Self {
        Self { views: 0, first_seen: Duration::ZERO, evidence: f32::NAN, p_value: Err(reason.to_owned()), class: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn calibrator() -> ObjectCalibrator {
        let tracks: Vec<Vec<f32>> = (0..199u8).map(|track| vec![f32::from(track) / 100.0; 20]).collect();
        ObjectCalibrator::fit(&tracks).unwrap()
    }

    fn tracker() -> ObjectTracker {
        ObjectTracker::new(TIMEOUT)
    }

    fn judged(score: f32, class: usize) -> Option<Judged> {
        Some(Judged { score, p_value: 0.5, class })
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn one(tracker: &mut ObjectTracker, millis: u64, id: &str, judged: Option<Judged>) -> ObjectView {
        tracker.observe(ms(millis), &[View { id, judged }], Some(&calibrator())).remove(0)
    }

    #[test]
    fn views_add_up() {
        let mut tracker = tracker();
        assert_eq!(one(&mut tracker, 100, "sign", judged(9.0, 3)).views, 1);
        assert_eq!(one(&mut tracker, 200, "sign", None).views, 1, "nothing was judged");
        assert_eq!(one(&mut tracker, 200, "sign", judged(9.0, 4)).views, 2);
        assert_eq!(one(&mut tracker, 200, "sign", judged(9.0, 4)).views, 2, "the same image again");
        let known = one(&mut tracker, 300, "sign", judged(0.5, 4));
        assert_eq!((known.views, known.first_seen), (3, ms(100)));
        assert_eq!(known.class, Some((4, 2.0 / 3.0)));
        assert_eq!(known.p_value, Ok(1.0 / 200.0), "one view does not save it");
    }

    #[test]
    fn of_equal_votes_the_latest_counts() {
        let mut tracker = tracker();
        one(&mut tracker, 0, "sign", judged(0.0, 7));
        assert_eq!(one(&mut tracker, 100, "sign", judged(0.0, 2)).class, Some((2, 0.5)));
        assert_eq!(one(&mut tracker, 200, "sign", judged(0.0, 7)).class, Some((7, 2.0 / 3.0)));
    }

    #[test]
    fn ids_after_a_gap_are_other_objects() {
        let mut tracker = tracker();
        one(&mut tracker, 10_000, "sign", judged(0.0, 1));
        assert_eq!(one(&mut tracker, 12_000, "sign", judged(0.0, 1)).views, 2);
        assert_eq!(one(&mut tracker, 14_001, "sign", judged(0.0, 1)).views, 1);
        assert_eq!(tracker.counts().reused, 1);
    }

    #[test]
    fn slightly_old_images_count_and_jumps_begin_anew() {
        let mut tracker = tracker();
        one(&mut tracker, 10_000, "sign", judged(0.0, 1));
        let known = one(&mut tracker, 9_900, "sign", judged(0.0, 1));
        assert_eq!((known.views, known.first_seen), (2, ms(9_900)));
        assert_eq!(one(&mut tracker, 1_000, "sign", judged(0.0, 1)).views, 1);
        assert_eq!(tracker.counts().jumps, 1);
        assert_eq!(one(&mut tracker, 3_600_000, "sign", judged(0.0, 1)).views, 1, "an hour later");
    }

    #[test]
    fn regions_without_an_id_or_with_the_same_one_are_no_objects() {
        let mut tracker = tracker();
        let views = ["a", "", "a", "b"].map(|id| View { id, judged: judged(0.0, 1) });
        let known = tracker.observe(ms(0), &views, Some(&calibrator()));
        assert_eq!(known.iter().map(|known| known.views).collect::<Vec<_>>(), [0, 0, 0, 1]);
        assert_eq!(known[0].p_value, Err("2 regions of the image have the id `a`".to_owned()));
        assert!(known[1].p_value.as_ref().unwrap_err().contains("no id"));
        assert_eq!(tracker.counts().duplicates, 2);
    }

    #[test]
    fn without_calibration_or_judgement_the_reason_is_said() {
        let mut tracker = tracker();
        let view = View { id: "a", judged: judged(1.0, 5) };
        let known = tracker.observe(ms(0), &[view], None).remove(0);
        assert_eq!((known.views, known.class), (1, Some((5, 1.0))));
        assert!(known.p_value.unwrap_err().contains("not calibrated for objects"));
        assert!(one(&mut tracker, 0, "b", None).p_value.unwrap_err().contains("no view"));
        assert!(one(&mut tracker, 0, "c", judged(f32::NAN, 1)).p_value.unwrap_err().contains("not finite"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut tracker = tracker();
        for image in 0..3u64 {
            let ids: Vec<String> = (0..MOST_OBJECTS).map(|index| format!("{image}/{index}")).collect();
            let views: Vec<View<'_>> = ids.iter().map(|id| View { id, judged: judged(0.0, 1) }).collect();
            tracker.observe(ms(image * 10), &views, None);
        }
        tracker.observe(ms(40), &[], None);
        let counts = tracker.counts();
        assert!(counts.remembered <= MOST_OBJECTS);
        assert_eq!(counts.remembered as u64 + counts.crowded_out, 3 * MOST_OBJECTS as u64);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_breaks_it(
            images in prop::collection::vec((0u64..20_000, prop::collection::vec((0u8..4, -5f32..9.0), 0..5)), 0..60),
        ) {
            let (mut tracker, calibrator) = (tracker(), calibrator());
            for (millis, regions) in images {
                let ids: Vec<String> = regions.iter().map(|(id, _)| "abc".chars().take(usize::from(*id)).collect()).collect();
                let views: Vec<View<'_>> = ids.iter().zip(&regions)
                    .map(|(id, (_, score))| View { id, judged: judged(*score, 1) })
                    .collect();
                let known = tracker.observe(ms(millis), &views, Some(&calibrator));
                prop_assert_eq!(known.len(), views.len());
                for known in known {
                    prop_assert_eq!(known.views == 0, known.p_value.is_err());
                    prop_assert!(known.p_value.is_err() || known.first_seen <= ms(millis));
                }
            }
        }
    }
}
