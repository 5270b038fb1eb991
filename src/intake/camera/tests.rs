//! A camera on a clock of its own: every image is accounted for, whatever comes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::counters::statistics::Counts;
use crate::inference::slots::Taken;
use crate::intake::counts::InputCounts;
use crate::intake::request::Bytes;
use crate::parameters::names::CameraName;
use crate::parameters::settings::Settings;
use crate::parameters::table::Value;

/// A camera, the slots behind it and a clock.
struct Scene {
    shared: Shared,
    camera: Camera,
    start: Instant,
    now_ms: u64,
    bytes: usize,
    frame_id: String,
}

impl Scene {
    fn new(with_regions: bool) -> Self {
        let shared = Shared::new(Arc::new(Mutex::new(Settings::default())), &[CameraName::default()]);
        let camera = Camera::new(shared.clone(), 0, with_regions);
        let (start, frame_id) = (Instant::now(), "camera".into());
        Self { shared, camera, start, now_ms: 0, bytes: 0, frame_id }
    }

    fn with(self, name: &str, value: Value) -> Self {
        self.set(name, value);
        self
    }

    fn set(&self, name: &str, value: Value) {
        self.shared.settings.lock().unwrap().set(name, value).unwrap();
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.now_ms)
    }

    /// Lets time pass in the steps of the main thread.
    fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms = end.min(self.now_ms + 20);
            self.camera.tick(self.now());
        }
    }

    fn header(&self, stamp_ms: i64) -> Header {
        Header { stamp: stamp(stamp_ms), frame_id: self.frame_id.clone() }
    }

    /// An image; `ros_ms` is the time of the ROS clock.
    fn image_at(&mut self, stamp_ms: i64, ros_ms: i64) {
        let picture = Picture::Compressed { format: String::new(), data: Bytes::new(vec![0; self.bytes]) };
        let arrival = Arrival { at: self.now(), ros: stamp(ros_ms) };
        self.camera.image(self.header(stamp_ms), picture, arrival);
    }

    fn image(&mut self, stamp_ms: i64) {
        self.image_at(stamp_ms, 0);
    }

    fn regions_named(&mut self, stamp_ms: i64, ids: &[&str]) {
        let named = |id: &&str| NamedRegion { id: (*id).into(), ..NamedRegion::whole_image() };
        let regions = Regions { named: ids.iter().map(named).collect(), unread: 0 };
        self.camera.regions(self.header(stamp_ms), regions, self.now());
    }

    fn regions(&mut self, stamp_ms: i64) {
        self.regions_named(stamp_ms, &["sign"]);
    }

    /// What the inference thread finds now.
    fn take(&self) -> Vec<Task> {
        match self.shared.slots.take(Duration::ZERO) {
            Taken::Items(tasks) => tasks.into_iter().map(|(_, task)| task).collect(),
            Taken::TimedOut | Taken::Closed => Vec::new(),
        }
    }

    /// The same as inference counts it, in short: the milliseconds of the stamp and the ids or the reason.
    fn infer(&self) -> Vec<(i64, String)> {
        let tasks = self.take();
        self.shared.count(0, |statistics| tasks.iter().for_each(|_| statistics.refused()));
        tasks.iter().map(|task| (millis(task), short(task))).collect()
    }

    fn counts(&self) -> Counts {
        self.shared.count(0, |statistics| statistics.counts().clone())
    }

    fn input(&self) -> InputCounts {
        self.shared.count(0, |statistics| statistics.input().clone())
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.counts().dropped.get(&reason).copied().unwrap_or_default()
    }

    /// With nothing in the slots.
    fn all_are_accounted_for(&self) -> bool {
        let counts = self.counts();
        counts.received == counts.judged + counts.dropped_total() + self.input().waiting as u64
    }
}

fn stamp(millis: i64) -> Stamp {
    let (sec, millis) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    Stamp { sec: i32::try_from(sec).unwrap(), nanosec: u32::try_from(millis).unwrap() * 1_000_000 }
}

fn millis(task: &Task) -> i64 {
    let header = match task {
        Task::Judge(request) => &request.header,
        Task::Refuse(refused) => &refused.header,
    };
    header.stamp.nanos() / 1_000_000
}

fn short(task: &Task) -> String {
    match task {
        Task::Judge(request) => request.regions.iter().map(|named| named.id.as_str()).collect::<Vec<_>>().join(","),
        Task::Refuse(refused) => refused.refusal.reason.clone(),
    }
}

fn policy(word: &str) -> Value {
    Value::Text(word.into())
}

#[test]
fn without_regions_the_newest_whole_image_is_judged_and_the_others_are_counted() {
    let mut scene = Scene::new(false);
    (1..=3).for_each(|stamp| scene.image(stamp));
    let [Task::Judge(request)] = &scene.take()[..] else { panic!() };
    assert_eq!((&request.header, &request.regions), (&scene.header(3), &vec![NamedRegion::whole_image()]));
    assert_eq!((scene.counts().received, scene.counts().dropped), (3, [(DropReason::Replaced, 2)].into()));
}

#[test]
fn with_regions_an_image_waits_for_them_and_an_empty_array_counts() {
    let mut scene = Scene::new(true);
    scene.image(1);
    scene.pass(100);
    assert!(scene.take().is_empty() && scene.input().waiting == 1);
    scene.regions_named(1, &[]);
    assert_eq!(scene.infer(), [(1, String::new())]);
    assert!(scene.all_are_accounted_for());
}

/// The same at ten images a second with a time-out of five seconds, where 32 places were not enough.
#[test]
fn images_without_regions_are_answered_once_after_the_time_out_whatever_rate_times_time_out_is() {
    for (period_ms, timeout_secs) in [(100, 5.0), (8, 20.0), (10_000, 0.5), (33, 0.0)] {
        let mut scene = Scene::new(true).with("regions_timeout_secs", Value::Double(timeout_secs));
        scene.bytes = 30_000;
        let mut answers = Vec::new();
        for index in 0..50 {
            scene.image(1000 + index * period_ms);
            scene.pass(period_ms as u64);
            answers.extend(scene.infer());
        }
        scene.pass((timeout_secs * 1000.0) as u64 + 20);
        answers.extend(scene.infer());
        let stamps: Vec<i64> = answers.iter().map(|(stamp, _)| *stamp).collect();
        assert_eq!(stamps, (0..50).map(|index| 1000 + index * period_ms).collect::<Vec<_>>());
        let within = format!("no regions with the stamp of the image within {timeout_secs:.2} s");
        assert!(answers.iter().all(|(_, reason)| reason.starts_with(&within)), "{answers:?}");
        assert_eq!((scene.counts().regions_missing, scene.counts().judged, scene.input().waiting), (50, 50, 0));
    }
}

#[test]
fn images_for_which_there_is_no_room_are_answered_with_what_to_do() {
    let mut scene = Scene::new(true).with("regions_timeout_secs", Value::Double(60.0));
    scene.bytes = 100 << 20;
    (0..5).for_each(|index| scene.image(index * 100));
    let no_room = "no room: 3 images (300 MiB) waited for regions; lower regions_timeout_secs";
    assert_eq!(scene.infer(), [0, 100, 200].map(|stamp| (stamp, no_room.to_owned())));
    assert!(scene.input().waiting == 2 && scene.all_are_accounted_for());
    scene.set("without_regions", policy("skip"));
    scene.image(500);
    assert_eq!((scene.dropped(DropReason::NoRoom), scene.infer().len()), (1, 0));
    scene.set("without_regions", policy("whole_image"));
    scene.image(600);
    assert_eq!(scene.infer(), [(400, String::new())]);
    assert!(scene.all_are_accounted_for());
}

/// A detector at a third of the camera's rate, which takes 50 ms.
fn third_of_the_rate(scene: &mut Scene) -> Vec<(i64, String)> {
    let mut done = Vec::new();
    for index in 0..30 {
        let stamp = 1000 + index * 33;
        scene.image(stamp);
        scene.pass(13);
        if index % 3 == 1 && index > 1 {
            scene.regions(stamp - 33);
        }
        scene.pass(20);
        done.extend(scene.infer());
    }
    scene.pass(1000);
    done.extend(scene.infer());
    assert!(scene.all_are_accounted_for() && scene.input().waiting == 0);
    assert!(done.windows(2).all(|pair| pair[0].0 < pair[1].0), "{done:?}");
    done
}

#[test]
fn a_slow_detector_with_wait_makes_the_other_images_unknown() {
    let mut scene = Scene::new(true);
    let done = third_of_the_rate(&mut scene);
    let judged = done.iter().filter(|(_, told)| told == "sign").count();
    assert_eq!((done.len(), judged), (30, 9));
    assert!(done.iter().any(|(_, told)| told == "no regions: a newer image had its regions first"));
}

#[test]
fn a_slow_detector_with_skip_is_no_fault() {
    let mut scene = Scene::new(true).with("without_regions", policy("skip"));
    let done = third_of_the_rate(&mut scene);
    assert!(done.len() == 9 && done.iter().all(|(_, told)| told == "sign"));
    assert_eq!(scene.counts().dropped, [(DropReason::NoRegions, 21)].into());
    assert_eq!((scene.counts().unknown.len(), scene.counts().regions_missing), (0, 0));
}

#[test]
fn a_slow_detector_with_whole_image_has_the_others_judged_whole_in_order() {
    let whole_image = || Scene::new(true).with("without_regions", policy("whole_image"));
    // A little more than the detector takes: every image has its turn.
    let mut scene = whole_image().with("regions_timeout_secs", Value::Double(0.06));
    let done = third_of_the_rate(&mut scene);
    assert_eq!((done.len(), done.iter().filter(|(_, told)| told.is_empty()).count()), (30, 21));
    // Longer: a newer image with regions goes first, and the older ones are counted.
    let mut scene = whole_image();
    let done = third_of_the_rate(&mut scene);
    assert_eq!(done.iter().filter(|(_, told)| told == "sign").count(), 9);
    assert!(scene.dropped(DropReason::LateRegions) >= 16, "{:?}", scene.counts());
    assert!(scene.counts().unknown.is_empty());
}

#[test]
fn late_regions_are_counted_and_the_next_answer_says_how_late_and_what_to_raise() {
    let mut scene = Scene::new(true);
    scene.image(0);
    scene.pass(500);
    assert_eq!(scene.infer(), [(0, "no regions with the stamp of the image within 0.50 s".to_owned())]);
    scene.pass(230);
    scene.regions(0);
    let input = scene.input();
    assert_eq!(
        (input.regions_late, input.lateness_last, input.lateness_max.as_millis()),
        (1, Duration::from_millis(230), 230)
    );
    scene.image(800);
    scene.pass(600);
    let told = scene.infer();
    assert!(
        told[0].1.ends_with("regions came 0.73 s after their image: raise regions_timeout_secs above that"),
        "{told:?}"
    );
    assert_eq!((scene.input().regions_unmatched, scene.take().len()), (0, 0));
}

#[test]
fn a_late_pair_displaces_no_newer_image() {
    let mut scene = Scene::new(true);
    scene.image(100);
    scene.image(200);
    scene.regions(200);
    scene.regions(100);
    assert_eq!(scene.infer().iter().map(|(stamp, _)| *stamp).collect::<Vec<_>>(), [100, 200]);
    assert_eq!((scene.input().regions_out_of_order, scene.dropped(DropReason::Replaced)), (1, 0));
}

#[test]
fn region_arrays_without_an_image_are_counted_and_their_number_is_bounded() {
    let mut scene = Scene::new(true);
    (0..5000).for_each(|index| scene.regions(index * 10));
    assert_eq!(scene.input().regions_unmatched, 5000 - 4096);
    scene.pass(1000);
    assert_eq!((scene.input().regions_unmatched, scene.counts().region_arrays), (5000, 5000));
}

#[test]
fn regions_beyond_the_limit_are_handed_on_apart_and_counted() {
    let mut scene = Scene::new(true).with("max_regions", Value::Integer(3));
    scene.image(1);
    scene.regions_named(1, &["a", "a", "", "b", "a"]);
    let [Task::Judge(request)] = &scene.take()[..] else { panic!() };
    let ids = |regions: &[NamedRegion]| regions.iter().map(|named| named.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        (ids(&request.regions), ids(&request.beyond)),
        (vec!["a".into(), "a".into(), String::new()], vec!["b".into(), "a".into()])
    );
    assert_eq!(scene.input().regions_over_limit, 2);
}

#[test]
fn ten_thousand_regions_take_no_time() {
    let mut scene = Scene::new(true);
    let region = NamedRegion { id: "x".repeat(30), do_rectify: true, ..NamedRegion::whole_image() };
    for index in 0..20 {
        scene.image(index);
        let regions = Regions { named: vec![region.clone(); 10_000], unread: 5 };
        scene.camera.regions(scene.header(index), regions, scene.now());
    }
    assert_eq!((scene.input().regions_over_limit, scene.input().rectify_ignored), (20 * (10_005 - 64), 200_000));
    let [Task::Judge(request)] = &scene.take()[..] else { panic!() };
    assert_eq!((request.regions.len(), request.beyond.len()), (64, 10_000 - 64));
}

#[test]
fn frames_must_agree_unless_one_is_empty() {
    let mut scene = Scene::new(true);
    scene.image(1);
    scene.frame_id = "other".into();
    scene.regions(1);
    scene.pass(500);
    let told = scene.infer();
    assert!(told[0].1.ends_with("regions with that stamp have frame_id `other`, the image has `camera`"), "{told:?}");
    scene.image(600);
    scene.frame_id = String::new();
    scene.regions(600);
    assert_eq!(scene.infer(), [(600, "sign".to_owned())]);
}

#[test]
fn stamps_may_differ_by_the_tolerance() {
    let mut scene = Scene::new(true);
    scene.image(1000);
    scene.regions(1012);
    scene.pass(500);
    let told = scene.infer();
    assert!(told[0].1.ends_with("the nearest are 0.0120 s away: see regions_tolerance_secs"), "{told:?}");
    scene.set("regions_tolerance_secs", Value::Double(0.015));
    scene.image(2000);
    scene.regions(1988);
    assert_eq!(scene.infer(), [(2000, "sign".to_owned())]);
}

#[test]
fn an_image_that_is_too_old_is_unknown_in_its_turn() {
    let mut scene = Scene::new(true).with("max_image_age_secs", Value::Double(2.0));
    scene.image_at(10_000, 10_050);
    scene.image_at(10_100, 15_000);
    assert!(scene.take().is_empty(), "behind the one that waits");
    scene.regions(10_000);
    let old = "image 4.9 s old when it arrived: max_image_age_secs is 2".to_owned();
    assert_eq!(scene.infer(), [(10_000, "sign".to_owned()), (10_100, old.clone())]);
    assert_eq!((scene.input().stale, scene.input().stamp_age_nanos), (1, Some(4_900_000_000)));
    assert!(scene.all_are_accounted_for());
    let mut whole = Scene::new(false).with("max_image_age_secs", Value::Double(2.0));
    whole.image_at(10_100, 15_000);
    assert_eq!(whole.infer(), [(10_100, old)]);
}

#[test]
fn ages_are_judged_by_a_clock_that_runs_only_and_stamps_of_the_future_are_counted() {
    let mut scene = Scene::new(false).with("max_image_age_secs", Value::Double(0.001));
    scene.image_at(-5_000, 0);
    assert_eq!((scene.infer(), scene.input().stamp_age_nanos), (vec![(-5_000, String::new())], None));
    scene.image_at(3_600_000, 1);
    assert_eq!((scene.infer().len(), scene.input().future_stamps, scene.input().stale), (1, 1, 0));
}

#[test]
fn equal_stamps_are_counted_and_judged() {
    let mut scene = Scene::new(false);
    for _ in 0..30 {
        scene.image(1000);
        scene.pass(33);
        assert_eq!(scene.infer().len(), 1);
    }
    assert_eq!(scene.input().repeated_stamps, 29);
}

#[test]
fn images_lost_on_the_way_show_as_gaps() {
    for period in [8, 33, 10_000] {
        let mut scene = Scene::new(false);
        for index in (0..100).filter(|index| index % 20 != 13) {
            scene.now_ms = (index * period) as u64;
            scene.image(index * period);
        }
        assert_eq!((scene.input().gaps, scene.input().missing_images), (5, 5));
    }
}

/// As many as two cameras at 10 Hz of which one has a clock that is ten seconds ahead.
#[test]
fn of_two_publishers_with_offset_clocks_every_image_is_judged() {
    for with_regions in [false, true] {
        let mut scene = Scene::new(with_regions);
        let mut judged = 0;
        for index in 0..96 {
            let stamp = 100_000 + index * 50 + if index % 2 == 0 { 0 } else { 10_000 };
            scene.image(stamp);
            scene.pass(30);
            if with_regions {
                scene.regions(stamp);
            }
            judged += scene.infer().iter().filter(|(_, told)| told.is_empty() || told == "sign").count();
            scene.pass(20);
        }
        assert_eq!((judged, scene.counts().time_jumps), (96, 0));
        let found = scene.input().interleaved.unwrap();
        assert_eq!((found.lines, found.offset), (2, Duration::from_secs(10)));
        scene.pass(31_000);
        assert_eq!(scene.input().interleaved, None);
    }
}

#[test]
fn an_outlier_clears_nothing() {
    for outlier in [0, 50_000, 1_700_000_000_000] {
        let mut scene = Scene::new(true);
        (0..3).for_each(|index| scene.image(100_000 + index * 10));
        scene.image(outlier);
        (3..6).for_each(|index| scene.image(100_000 + index * 10));
        (0..6).for_each(|index| scene.regions(100_000 + index * 10));
        assert_eq!(
            (scene.counts().time_jumps, scene.dropped(DropReason::Replaced)),
            (0, 5),
            "all six had their regions"
        );
        scene.pass(500);
        assert_eq!((scene.infer().len(), scene.all_are_accounted_for()), (2, true));
    }
}

#[test]
fn after_a_bag_that_starts_again_what_waits_is_dropped_and_the_new_time_survives() {
    let mut scene = Scene::new(true).with("regions_timeout_secs", Value::Double(5.0));
    for index in 0..20 {
        scene.image(100_000 + index * 100);
        scene.pass(100);
    }
    scene.regions(10_000);
    for index in 0..6 {
        scene.image(10_000 + index * 100);
        scene.pass(100);
    }
    assert_eq!((scene.counts().time_jumps, scene.dropped(DropReason::TimeJump)), (1, 20));
    (1..6).for_each(|index| scene.regions(10_000 + index * 100));
    assert_eq!((scene.dropped(DropReason::Replaced), scene.infer()), (5, vec![(10_500, "sign".to_owned())]));
    scene.pass(6000);
    assert!(scene.all_are_accounted_for() && scene.input().waiting == 0);
}

#[test]
fn while_judging_is_switched_off_images_are_counted_those_that_wait_too() {
    let mut scene = Scene::new(true);
    scene.image(1);
    scene.image(2);
    scene.shared.enable(false);
    scene.regions(1);
    scene.image(3);
    scene.pass(1000);
    assert_eq!((scene.take().len(), scene.counts().dropped), (0, [(DropReason::Disabled, 3)].into()));
}

#[test]
fn what_waits_at_the_end_is_counted() {
    let mut scene = Scene::new(true);
    (0..3).for_each(|stamp| scene.image(stamp));
    scene.camera.forget(DropReason::Ended);
    assert_eq!((scene.dropped(DropReason::Ended), scene.input().waiting, scene.all_are_accounted_for()), (3, 0, true));
}

#[test]
fn waiting_is_told_apart_from_inference() {
    let mut scene = Scene::new(true);
    scene.image(1);
    scene.pass(200);
    scene.regions(1);
    let [Task::Judge(request)] = &scene.take()[..] else { panic!() };
    assert_eq!(request.ready - request.arrived, Duration::from_millis(200));
    assert_eq!(scene.input().wait_quantile(0.5), Some(Duration::from_millis(200)));
}

#[derive(Debug, Clone)]
enum Step {
    Image { line: usize, step_ms: i64, frame: usize, bytes: usize, ros_ms: i64 },
    Regions { line: usize, back_ms: i64, frame: usize, count: usize },
    Pass(u64),
    Jump { line: usize, to_ms: i64 },
    Policy(usize),
    Timeout(f64),
    Tolerance(f64),
    Age(f64),
    Enable(bool),
    Infer,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let image = (0..2_usize, 0..120_i64, 0..3_usize, 0..3_usize, -10_000..200_000_i64);
    let image = image.prop_map(|(line, step_ms, frame, size, ros_ms)| Step::Image {
        line,
        step_ms,
        frame,
        bytes: [0, 1 << 16, 40 << 20][size],
        ros_ms,
    });
    let regions = (0..2_usize, -150..300_i64, 0..3_usize, 0..80_usize);
    let regions = regions.prop_map(|(line, back_ms, frame, count)| Step::Regions { line, back_ms, frame, count });
    prop_oneof![
        12 => image,
        8 => regions,
        6 => (0..400_u64).prop_map(Step::Pass),
        1 => (0..2_usize, -2_000_000..2_000_000_i64).prop_map(|(line, to_ms)| Step::Jump { line, to_ms }),
        1 => (0..3_usize).prop_map(Step::Policy),
        1 => (0.0..3.0).prop_map(Step::Timeout),
        1 => (0.0..0.1).prop_map(Step::Tolerance),
        1 => prop_oneof![Just(0.0), 0.1..100.0].prop_map(Step::Age),
        1 => any::<bool>().prop_map(Step::Enable),
        4 => Just(Step::Infer),
        1 => Just(Step::Forget),
    ]
}

impl Scene {
    fn take_step(&mut self, step: &Step, times: &mut [i64; 2]) {
        let frames = ["", "left", "right"];
        match *step {
            Step::Image { line, step_ms, frame, bytes, ros_ms } => {
                (self.bytes, self.frame_id) = (bytes, frames[frame].into());
                times[line] += step_ms;
                self.image_at(times[line], ros_ms);
            }
            Step::Regions { line, back_ms, frame, count } => {
                self.frame_id = frames[frame].into();
                self.regions_named(times[line] - back_ms, &vec!["x"; count]);
            }
            Step::Pass(ms) => self.pass(ms),
            Step::Jump { line, to_ms } => times[line] = to_ms,
            Step::Policy(index) => self.set("without_regions", policy(["wait", "skip", "whole_image"][index])),
            Step::Timeout(secs) => self.set("regions_timeout_secs", Value::Double(secs)),
            Step::Tolerance(secs) => self.set("regions_tolerance_secs", Value::Double(secs)),
            Step::Age(secs) => self.set("max_image_age_secs", Value::Double(secs)),
            Step::Enable(on) => self.shared.enable(on),
            Step::Infer => {}
            Step::Forget => self.camera.forget(DropReason::Ended),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_image_is_judged_dropped_or_still_waiting(
        with_regions in any::<bool>(), steps in prop::collection::vec(step(), 1..150)
    ) {
        let mut scene = Scene::new(with_regions);
        let mut times = [100_000, -500_000];
        for step in steps {
            let infers = matches!(step, Step::Infer);
            scene.take_step(&step, &mut times);
            if infers {
                scene.infer();
                prop_assert!(scene.all_are_accounted_for(), "{:?} {:?}", scene.counts(), scene.input());
            }
        }
        scene.pass(3100);
        scene.infer();
        prop_assert!(scene.all_are_accounted_for() && scene.input().waiting == 0, "nothing waits for ever");
    }

    #[test]
    fn answers_keep_the_order_of_the_stamps(
        steps in prop::collection::vec((1..100_i64, 0..6_u8, 0..30_i64, 0..300_u64), 1..200), policies in 0..3_usize
    ) {
        let mut scene = Scene::new(true).with("regions_timeout_secs", Value::Double(0.2));
        scene.set("without_regions", policy(["wait", "skip", "whole_image"][policies]));
        scene.set("max_image_age_secs", Value::Double(50.0));
        let (mut stamps, mut told) = (vec![0], Vec::new());
        for (step_ms, kind, back, pass) in steps {
            match kind {
                0..3 => {
                    stamps.push(stamps[stamps.len() - 1] + step_ms);
                    scene.image_at(stamps[stamps.len() - 1], if kind == 0 { 100_000 } else { 0 });
                }
                3 | 4 => scene.regions(stamps[stamps.len().saturating_sub(1 + back as usize)]),
                _ => scene.pass(pass),
            }
            if kind == 4 {
                told.extend(scene.infer());
            }
        }
        scene.pass(1000);
        told.extend(scene.infer());
        prop_assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "{:?}", told);
    }
}
