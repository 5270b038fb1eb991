use super::*;
use crate::dataset::cdr::{
    GroundTruth, GroundTruthArray, Header as BagHeader, Region as BagRegion, RegionOfInterest, Time,
};
use crate::intake::request::{Header, NamedRegion};
use crate::intake::stamp::Stamp;
use crate::monitor::{DetectorResult, Judgement, Levels};
use crate::replay::run::Cost;
use crate::stream::{Change, ObjectView, Observed};

const TENTH: u64 = 100_000_000;

/// A camera that is fed images of a tenth of a second each.
struct Scene {
    watch: AlarmWatch,
    truth: CameraTruth,
    changed: bool,
}

impl Scene {
    fn new() -> Self {
        Self { watch: AlarmWatch::new("/image", &["stop".into()]), truth: CameraTruth::default(), changed: false }
    }

    /// An image with these objects: name, p-value of all views, and what is strange of it (`None`: nobody knows).
    fn see(&mut self, tenths: u64, objects: &[(&str, f32, Option<&str>)]) {
        let nanos = tenths * TENTH;
        let truths = objects.iter().filter_map(|(id, _, truth)| truth.map(|truth| ground_truth(id, truth)));
        let header = BagHeader { stamp: Time::from_nanos(nanos), frame_id: String::new() };
        self.truth.add(&GroundTruthArray { header, objects: truths.collect() });
        let entries = objects.iter().map(|(id, p_value, _)| entry(id, *p_value)).collect();
        let views = objects.iter().map(|(id, p_value, _)| match *id {
            "" => ObjectView::unknown("no id"),
            _ => ObjectView { p_value: Ok(*p_value), ..ObjectView::unknown("") },
        });
        let state = if self.changed { ChangeState::Changed } else { ChangeState::Nominal };
        let onset = Some((Duration::from_nanos(nanos.saturating_sub(5 * TENTH)), Duration::from_nanos(nanos)));
        let change = Change { state, onset, ..Change::default() };
        let stamp = Stamp::from(Duration::from_nanos(nanos));
        let answer = Answer {
            header: Header { stamp, frame_id: String::new() },
            received: stamp,
            levels: Levels { suspect: 0.05, alarm: 0.01 },
            entries,
            observed: Observed { objects: views.collect(), change, ..Observed::default() },
        };
        let cost = Cost::default();
        let answered = Answered { camera: 0, log_nanos: nanos, answer: &answer, evidence: None, cost };
        self.watch.observe(&answered, &self.truth);
    }
}

fn ground_truth(id: &str, anomaly: &str) -> GroundTruth {
    GroundTruth {
        region: BagRegion { id: id.into(), roi: RegionOfInterest::default() },
        class_id: 0,
        class_name: "stop".into(),
        in_distribution: anomaly.is_empty(),
        anomaly: anomaly.into(),
    }
}

fn entry(id: &str, p_value: f32) -> Entry {
    let fused = DetectorResult { name: "fused", score: 1.0, p_value };
    let judgement = Judgement { predicted_class: 0, detectors: Vec::new(), fused, hamming_distance: None };
    let verdict = Levels { suspect: 0.05, alarm: 0.01 }.verdict(p_value);
    let outcome = Outcome { judgement: Some(judgement), verdict, ..Outcome::unknown(Vec::new(), String::new()) };
    Entry { region: NamedRegion { id: id.into(), ..NamedRegion::whole_image() }, outcome: Ok(outcome) }
}

#[test]
fn an_alarm_lasts_as_long_as_the_object_alarms() {
    let mut scene = Scene::new();
    for tenths in 0..20 {
        let p_value = if (5..9).contains(&tenths) { 0.01 - 0.001 * tenths as f32 } else { 0.5 };
        scene.see(tenths, &[("a", p_value, Some("")), ("b", 0.5, Some(""))]);
    }
    let watched = scene.watch.end();
    let [alarm] = &watched.alarms[..] else { panic!("{:?}", watched.alarms) };
    assert_eq!((alarm.begin_nanos, alarm.end_nanos, alarm.images), (5 * TENTH, 8 * TENTH, 4));
    assert_eq!((&alarm.subject, &alarm.cause), (&Subject::Object("a".into()), &Cause::Nominal));
    assert!((alarm.p_value - 0.002).abs() < 1e-6 && alarm.class_name == "stop");
    assert!(watched.objects.is_empty() && watched.anomalies.is_empty());
}

#[test]
fn objects_that_come_again_after_a_pause_alarm_again() {
    let mut scene = Scene::new();
    for tenths in [0, 1, 2, 30, 31] {
        scene.see(tenths, &[("a", 0.001, None)]);
    }
    let alarms = scene.watch.end().alarms;
    assert_eq!(
        alarms.iter().map(|alarm| (alarm.images, alarm.cause.clone())).collect::<Vec<_>>(),
        [(3, Cause::Unknown), (2, Cause::Unknown)]
    );
}

#[test]
fn regions_without_a_name_alarm_together() {
    let mut scene = Scene::new();
    scene.see(0, &[("", 0.001, None), ("", 0.5, None)]);
    scene.see(1, &[("", 0.5, None), ("", 0.002, None)]);
    let alarms = scene.watch.end().alarms;
    assert_eq!((alarms.len(), &alarms[0].subject, alarms[0].images), (1, &Subject::Image, 2));
}

#[test]
fn delay_counts_from_the_first_image_that_shows_it() {
    let mut scene = Scene::new();
    for tenths in 0..30 {
        let truth = if tenths >= 10 { "mud" } else { "" };
        let p_value = if tenths >= 13 { 0.001 } else { 0.5 };
        scene.see(tenths, &[("a", p_value, Some(truth)), ("b", 0.5, Some(""))]);
    }
    let watched = scene.watch.end();
    let [mud] = &watched.anomalies[..] else { panic!("{:?}", watched.anomalies) };
    let found = Found { delay_secs: 0.3, images: 4 };
    assert_eq!((mud.anomaly.as_str(), mud.begin_nanos, mud.images, mud.found), ("mud", 10 * TENTH, 20, Some(found)));
    assert_eq!(watched.objects[0].found, Some(found));
    assert_eq!(watched.alarms[0].cause, Cause::Anomaly("mud".into()));
}

#[test]
fn what_never_alarms_is_missed_and_other_anomalies_are_other_ones() {
    let mut scene = Scene::new();
    for tenths in 0..10 {
        scene.see(tenths, &[("a", 0.5, Some(if tenths < 5 { "mud" } else { "fog" })), ("b", 0.001, Some("sticker"))]);
    }
    let watched = scene.watch.end();
    let told =
        |all: &[Occurrence]| all.iter().map(|one| (one.anomaly.clone(), one.found.is_some())).collect::<Vec<_>>();
    assert_eq!(told(&watched.anomalies), [("fog".into(), false), ("mud".into(), false), ("sticker".into(), true)]);
    assert_eq!(told(&watched.objects), [("mud".into(), false), ("fog".into(), false), ("sticker".into(), true)]);
}

#[test]
fn a_camera_that_becomes_changed_finds_what_it_shows_then() {
    let mut scene = Scene::new();
    for tenths in 0..40 {
        scene.changed = (12..30).contains(&tenths);
        scene.see(tenths, &[("a", 0.5, Some(if tenths >= 10 { "fog" } else { "" }))]);
    }
    let watched = scene.watch.end();
    let [camera] = &watched.alarms[..] else { panic!("{:?}", watched.alarms) };
    assert_eq!((&camera.subject, &camera.cause, camera.images), (&Subject::Camera, &Cause::Anomaly("fog".into()), 18));
    assert_eq!(camera.onset_nanos, Some((7 * TENTH, 12 * TENTH)));
    assert_eq!(watched.anomalies[0].found, Some(Found { delay_secs: 0.2, images: 3 }));
}

#[test]
fn a_camera_that_was_changed_before_has_not_found_what_comes_later() {
    let mut scene = Scene::new();
    for tenths in 0..40 {
        scene.changed = tenths >= 5;
        scene.see(tenths, &[("a", 0.5, Some(if tenths >= 10 { "fog" } else { "" }))]);
    }
    let watched = scene.watch.end();
    assert_eq!((&watched.alarms[0].cause, watched.anomalies[0].found), (&Cause::Nominal, None));
}
