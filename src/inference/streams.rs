//! What the inference thread knows of every camera over its images.

use super::shared::Shared;
use crate::calibration::OverTime;
use crate::counters::statistics::StreamHealth;
use crate::intake::request::Entry;
use crate::intake::stamp::Stamp;
use crate::parameters::typed::Tuning;
use crate::pipeline::Outcome;
use crate::stream::{CameraStream, Observed, StreamSettings, View};

/// The streams of all cameras.
#[derive(Debug)]
pub struct Streams {
    cameras: Vec<CameraStream>,
    settings: StreamSettings,
    begun: u64,
}

/// The streams with what they need to take images in.
pub struct Observer<'a> {
    streams: &'a mut [CameraStream],
    shared: &'a Shared,
    over_time: &'a OverTime,
    alarm_level: f32,
}

impl Streams {
    /// Nothing has been seen.
    #[must_use]
    pub fn new(shared: &Shared) -> Self {
        let settings = shared.tuning().stream;
        Self { cameras: fresh(shared, settings), settings, begun: shared.streams_begun() }
    }

    /// Takes the parameters in force; begins anew where that was asked for.
    pub fn with<'a>(&'a mut self, shared: &'a Shared, tuning: &Tuning, over_time: &'a OverTime) -> Observer<'a> {
        let begun = shared.streams_begun();
        if self.begun != begun {
            (self.cameras, self.begun) = (fresh(shared, tuning.stream), begun);
        } else if self.settings != tuning.stream {
            self.cameras.iter_mut().for_each(|camera| camera.set(tuning.stream));
        }
        self.settings = tuning.stream;
        Observer { streams: &mut self.cameras, shared, over_time, alarm_level: tuning.alarm_level }
    }
}

fn fresh(shared: &Shared, settings: StreamSettings) -> Vec<CameraStream> {
    shared.cameras().iter().map(|_| CameraStream::new(settings)).collect()
}

impl Observer<'_> {
    /// Adds the answer to an image of a camera.
    pub fn observe(&mut self, camera: usize, stamp: Stamp, entries: &[Entry]) -> Observed {
        let stream = &mut self.streams[camera];
        let views: Vec<View<'_>> = entries.iter().map(view).collect();
        let observed = stream.observe(stamp.since_epoch(), &views, self.over_time, self.alarm_level);
        let health = StreamHealth {
            change: observed.change.clone(),
            objects: stream.object_counts(),
            jumps: stream.jumps(),
            drift: observed.alarm_share.filter(|_| observed.is_drifting),
        };
        self.shared.count(camera, |statistics| statistics.streamed(health));
        observed
    }
}

fn view(entry: &Entry) -> View<'_> {
    let judged = match &entry.outcome {
        Ok(Outcome { judgement: Some(judgement), .. }) => Some(judgement.into()),
        _ => None,
    };
    View { id: &entry.region.id, judged }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::intake::request::NamedRegion;
    use crate::monitor::{DetectorResult, Judgement, Verdict};
    use crate::parameters::settings::Settings;
    use crate::parameters::table::Value;

    fn shared() -> Shared {
        let mut settings = Settings::default();
        settings.set("cameras", Value::TextArray(vec!["front".into(), "rear".into()])).unwrap();
        let cameras = settings.camera_names();
        Shared::new(Arc::new(Mutex::new(settings)), &cameras)
    }

    fn entry(id: &str, p_value: f32) -> Entry {
        let fused = DetectorResult { name: "fused", score: 1.0, p_value };
        let judgement = Judgement { predicted_class: 3, detectors: Vec::new(), fused, hamming_distance: None };
        let outcome = Outcome { judgement: Some(judgement), ..Outcome::unknown(Vec::new(), String::new()) };
        let outcome = Outcome { verdict: Verdict::InDistribution, ..outcome };
        Entry { region: NamedRegion { id: id.into(), ..NamedRegion::whole_image() }, outcome: Ok(outcome) }
    }

    fn observe(streams: &mut Streams, shared: &Shared, camera: usize, sec: i32) -> Observed {
        let tuning = shared.tuning();
        let entries = [entry("sign", 0.001), Entry { outcome: Err("dark".into()), ..entry("other", 0.5) }];
        streams.with(shared, &tuning, &OverTime::default()).observe(camera, Stamp { sec, nanosec: 5 }, &entries)
    }

    #[test]
    fn cameras_are_apart_and_counted() {
        let shared = shared();
        let mut streams = Streams::new(&shared);
        assert_eq!(observe(&mut streams, &shared, 0, 1).objects[0].views, 1);
        let second = observe(&mut streams, &shared, 0, 2);
        assert_eq!((second.objects[0].views, second.objects[0].class), (2, Some((3, 1.0))));
        assert_eq!((second.objects[1].views, second.alarm_share), (0, Some(1.0)));
        assert_eq!(observe(&mut streams, &shared, 1, 2).objects[0].views, 1, "the same id before another camera");
        assert_eq!(shared.count(0, |statistics| statistics.stream().objects.remembered), 1);
    }

    #[test]
    fn a_reset_forgets_everything() {
        let shared = shared();
        let mut streams = Streams::new(&shared);
        observe(&mut streams, &shared, 0, 1);
        shared.begin_new_streams();
        let anew = observe(&mut streams, &shared, 0, 2);
        assert_eq!(anew.objects[0].views, 1);
        assert!(anew.has_changed, "the state is said again");
    }
}
