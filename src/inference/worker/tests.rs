use std::sync::{Arc, Mutex};

use super::*;
use crate::frame::Region;
use crate::intake::request::{Bytes, Header};
use crate::intake::stamp::Stamp;
use crate::parameters::settings::Settings;
use crate::parameters::table::Value;
use crate::pipeline::{Deadline, Hypothesis, Job, Outcome, RegionResult};

const TIMINGS: Timings = Timings { network: Duration::from_millis(3), monitor: Duration::from_millis(1) };

/// Says class 1 for every region that starts in the image, and refuses the others.
#[derive(Default)]
struct Fake {
    /// The images of every call.
    calls: Vec<usize>,
    deadlines: Vec<Option<Deadline>>,
    panics: bool,
    /// Panics when the region at this column is among the regions.
    panics_at: Option<u32>,
}

impl Judge for Fake {
    fn judge(&mut self, jobs: &[Job<'_>], tuning: &Tuning, deadline: Option<Deadline>) -> Vec<PipelineOutput> {
        self.calls.push(jobs.len());
        self.deadlines.push(deadline);
        let column = |region: &Region| self.panics_at == Some(region.x);
        assert!(!self.panics && !jobs.iter().any(|job| job.regions.iter().any(column)), "index out of bounds");
        jobs.iter().map(|job| output(job, tuning)).collect()
    }
}

fn output(job: &Job<'_>, tuning: &Tuning) -> PipelineOutput {
    let result = |region: &Region| {
        let outcome = Outcome::unknown(vec![Hypothesis { class: 1, score: 0.5 }; tuning.top_k], "no monitor: x".into());
        let inside = region.x < job.frame.width();
        let outcome = if inside { Ok(outcome) } else { Err(format!("region {} is outside", region.x)) };
        RegionResult { region: *region, judged: None, outcome, row: None }
    };
    PipelineOutput { results: job.regions.iter().map(result).collect(), activations: None, timings: Some(TIMINGS) }
}

fn shared_with(parameters: &[(&str, Value)]) -> Shared {
    let mut settings = Settings::default();
    for (name, value) in parameters {
        settings.set(name, value.clone()).unwrap();
    }
    let cameras = settings.camera_names();
    Shared::new(Arc::new(Mutex::new(settings)), &cameras)
}

fn shared() -> Shared {
    shared_with(&[])
}

fn request(sec: i32, encoding: &str, regions: Vec<NamedRegion>) -> Request {
    let data = Bytes::new(vec![7; 6]);
    let picture = Picture::Raw { encoding: encoding.into(), width: 2, height: 1, step: 6, is_bigendian: false, data };
    let header = Header { stamp: Stamp { sec, nanosec: 3 }, frame_id: "camera".into() };
    let now = Instant::now();
    let received = Stamp::default();
    Request { header, picture, regions, beyond: Vec::new(), arrived: now, ready: now, received }
}

fn region(x: u32) -> NamedRegion {
    NamedRegion { id: format!("sign {x}"), region: Region { x, y: 0, width: 1, height: 1 }, do_rectify: true }
}

/// Keeps the answers.
#[derive(Default)]
struct Kept {
    answers: Vec<(usize, Answer)>,
    shown: Vec<Judged>,
}

impl Sink for Kept {
    fn publish(&mut self, camera: usize, answer: &Answer) {
        assert!(self.shown.is_empty(), "answers before pictures");
        self.answers.push((camera, answer.clone()));
    }

    fn show(&mut self, _camera: usize, judged: Judged) {
        self.shown.push(judged);
    }
}

/// Gives the tasks to a judge at once, each with its camera.
fn together(shared: &Shared, judge: &mut Fake, tasks: Vec<(usize, Task)>) -> Kept {
    let (mut kept, mut memory) = (Kept::default(), Memory::new(shared));
    work(shared, judge, &mut kept, &mut memory, tasks);
    kept
}

/// Judges the requests one after the other and returns the answers.
fn answers(shared: &Shared, requests: Vec<Request>) -> Vec<Answer> {
    let one = |request| together(shared, &mut Fake::default(), vec![(0, Task::Judge(request))]).answers.remove(0).1;
    requests.into_iter().map(one).collect()
}

/// The reasons of an answer.
fn reasons(answer: &Answer) -> Vec<&str> {
    answer.entries.iter().map(|entry| entry.outcome.as_ref().map_or_else(String::as_str, |_| "")).collect()
}

#[test]
fn header_and_regions_come_back_unchanged_and_in_order() {
    let shared = shared();
    let answers = answers(&shared, vec![request(5, "rgb8", vec![region(1), region(0)])]);
    assert_eq!(answers[0].header, Header { stamp: Stamp { sec: 5, nanosec: 3 }, frame_id: "camera".into() });
    let regions: Vec<&NamedRegion> = answers[0].entries.iter().map(|entry| &entry.region).collect();
    assert_eq!(regions, [&region(1), &region(0)]);
    assert_eq!(answers[0].entries[0].outcome.as_ref().unwrap().top_k.len(), 3);
}

#[test]
fn problems_become_reasons_and_the_loop_goes_on() {
    let shared = shared();
    let requests = vec![
        request(1, "yuv420p", vec![region(0), region(1)]),
        request(2, "rgb8", vec![region(99)]),
        request(3, "rgb8", vec![NamedRegion::whole_image()]),
    ];
    let answers = answers(&shared, requests);
    let reasons: Vec<&String> = answers[0].entries.iter().map(|entry| entry.outcome.as_ref().unwrap_err()).collect();
    assert!(reasons.len() == 2 && reasons[0].contains("yuv420p"), "{reasons:?}");
    assert_eq!(answers[1].entries[0].outcome.as_ref().unwrap_err(), "region 99 is outside");
    assert!(answers[2].entries[0].outcome.is_ok());
    let unknown = shared.count(0, |statistics| statistics.counts().unknown.clone());
    let expected = [("unsupported encoding", 2), ("region", 1), ("no monitor", 1)];
    assert_eq!(unknown, expected.map(|(reason, count)| (reason.to_owned(), count)).into());
    assert_eq!(shared.count(0, |statistics| statistics.counts().judged), 3);
}

#[test]
fn no_regions_give_an_empty_answer_without_decoding() {
    let shared = shared();
    let answers = answers(&shared, vec![request(1, "nonsense", vec![])]);
    assert!(answers[0].entries.is_empty());
    assert!(shared.count(0, |statistics| statistics.counts().unknown.is_empty()));
}

#[test]
fn regions_beyond_the_limit_come_back_behind_the_others_with_the_parameter_to_raise() {
    let shared = shared();
    let beyond = vec![region(1), region(1)];
    let request = Request { beyond, ..request(1, "rgb8", vec![region(0)]) };
    let answers = answers(&shared, vec![request]);
    let [first, second, third] = &answers[0].entries[..] else { panic!("{answers:?}") };
    assert!(first.outcome.is_ok());
    assert_eq!((&second.region, &third.region), (&region(1), &region(1)), "equal ids are kept");
    let expected = "over max_regions: only the first 1 regions of an image are judged; raise max_regions";
    assert_eq!((second.outcome.as_ref().unwrap_err().as_str(), third.outcome.is_err()), (expected, true));
    assert_eq!(shared.count(0, |statistics| statistics.counts().unknown["over max_regions"]), 2);
}

#[test]
fn what_is_refused_is_answered_in_its_turn_and_has_no_latency() {
    let shared = shared();
    let refusal = Refusal { kind: "image too old", reason: "image 4.9 s old".into() };
    let refused = Refused { header: Header::default(), received: Stamp { sec: 9, nanosec: 0 }, refusal };
    let tasks = [Task::Refuse(refused), Task::Judge(request(5, "rgb8", vec![region(0)]))];
    assert!(shared.slots.append(0, tasks[0].clone()).is_none());
    assert!(shared.slots.push(0, tasks[1].clone()).is_none());
    shared.slots.close();
    let mut kept = Kept::default();
    run(&shared, &mut Fake::default(), &mut kept);
    let [(_, first), (_, second)] = &kept.answers[..] else { panic!("{:?}", kept.answers) };
    assert_eq!((first.header.stamp.sec, second.header.stamp.sec, first.received.sec), (0, 5, 9));
    assert_eq!(first.entries[0].outcome.as_ref().unwrap_err(), "image 4.9 s old");
    let (judged, unknown) =
        shared.count(0, |statistics| (statistics.counts().judged, statistics.counts().unknown.clone()));
    assert_eq!((judged, unknown["image too old"]), (2, 1));
}

/// An hour of waiting for regions is none of inference.
#[test]
fn latency_counts_from_when_an_image_is_ready() {
    let shared = shared();
    let ready = Instant::now();
    let Some(arrived) = ready.checked_sub(Duration::from_secs(3600)) else { return };
    answers(&shared, vec![Request { arrived, ..request(1, "rgb8", vec![region(0)]) }]);
    let answered = shared.count(0, |statistics| statistics.answered(Instant::now()));
    let [(_, stages)] = &answered[..] else { panic!("{answered:?}") };
    assert!(stages.latency() < Duration::from_secs(60) && stages.total > Duration::from_secs(3599), "{stages:?}");
}

#[test]
fn the_way_to_the_node_counts_where_one_clock_made_both_stamps() {
    let shared = shared();
    let receive = |received: Stamp| {
        answers(&shared, vec![Request { received, ..request(5, "rgb8", vec![region(0)]) }]);
        shared.count(0, |statistics| statistics.answered(Instant::now())).last().unwrap().1.receive
    };
    let stamp = |sec, nanosec| Stamp { sec, nanosec };
    assert_eq!(receive(stamp(5, 20_000_003)), Some(Duration::from_millis(20)));
    assert_eq!((receive(stamp(4, 0)), receive(Stamp::default()), receive(stamp(66, 0))), (None, None, None));
}

#[test]
fn closed_slots_end_the_loop() {
    let shared = shared();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| run(&shared, &mut Fake::default(), &mut Kept::default()));
        std::thread::sleep(Duration::from_millis(30));
        shared.slots.close();
        thread.join().unwrap();
    });
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_images_of_all_cameras_are_judged_in_one_call_and_answered_in_their_turn() {
    let shared = shared_with(&[("cameras", Value::TextArray(vec!["front".into(), "rear".into()]))]);
    let refusal = Refusal { kind: "no room", reason: "no room".into() };
    let refused = Refused { header: Header::default(), received: Stamp::default(), refusal };
    let tasks = vec![
        (0, Task::Judge(request(1, "rgb8", vec![region(0), region(1)]))),
        (0, Task::Refuse(refused)),
        (1, Task::Judge(request(2, "bgr8", vec![region(1)]))),
    ];
    let mut judge = Fake::default();
    let kept = together(&shared, &mut judge, tasks);
    assert_eq!(judge.calls, [2]);
    let stamps: Vec<(usize, i32)> =
        kept.answers.iter().map(|(camera, answer)| (*camera, answer.header.stamp.sec)).collect();
    assert_eq!(stamps, [(0, 1), (0, 0), (1, 2)]);
    assert_eq!((kept.answers[0].1.entries.len(), reasons(&kept.answers[1].1)), (2, vec!["no room"]));
    assert_eq!(kept.shown.len(), 2);
    for camera in 0..2 {
        let answered = shared.count(camera, |statistics| statistics.answered(Instant::now()));
        let [(_, stages)] = &answered[..] else { panic!("{answered:?}") };
        assert_eq!((stages.infer, stages.monitor), (Some(TIMINGS.network), Some(TIMINGS.monitor)));
        assert!(stages.decode.is_some() && stages.publish.is_some() && stages.wait_turn.is_some());
    }
}

#[test]
fn an_image_that_cannot_be_decoded_does_not_harm_another_one() {
    let shared = shared_with(&[("cameras", Value::TextArray(vec!["front".into(), "rear".into()]))]);
    let broken = request(1, "yuv420p", vec![region(0)]);
    let tasks = vec![(0, Task::Judge(broken)), (1, Task::Judge(request(2, "rgb8", vec![region(0)])))];
    let mut judge = Fake::default();
    let kept = together(&shared, &mut judge, tasks);
    assert_eq!(judge.calls, [1]);
    assert!(reasons(&kept.answers[0].1)[0].contains("yuv420p"), "{:?}", kept.answers);
    assert!(kept.answers[1].1.entries[0].outcome.is_ok());
    assert!(kept.shown[0].evidence.image().is_none() && kept.shown[1].evidence.image().is_some());
}

#[test]
fn nothing_to_judge_asks_nobody() {
    let mut judge = Fake::default();
    together(&shared(), &mut judge, vec![(0, Task::Judge(request(1, "yuv420p", vec![region(0)])))]);
    assert!(judge.calls.is_empty());
}

#[test]
fn a_panic_becomes_a_reason_and_the_next_image_is_judged() {
    let shared = shared();
    let mut judge = Fake { panics: true, ..Fake::default() };
    let task = || vec![(0, Task::Judge(request(1, "rgb8", vec![region(0), region(1)])))];
    let kept = together(&shared, &mut judge, task());
    let expected = "judging failed inside the program, please report it: index out of bounds";
    assert_eq!(reasons(&kept.answers[0].1), [expected; 2]);
    assert_eq!(shared.count(0, |statistics| statistics.counts().unknown["failure inside the program"]), 2);
    judge.panics = false;
    assert!(together(&shared, &mut judge, task()).answers[0].1.entries[0].outcome.is_ok());
    assert_eq!(shared.age_of_work(Instant::now()), None);
}

#[test]
fn an_image_that_makes_the_program_fail_leaves_the_others_alone() {
    let shared = shared_with(&[("cameras", Value::TextArray(vec!["front".into(), "rear".into()]))]);
    let task = |camera, column| (camera, Task::Judge(request(1, "rgb8", vec![region(column)])));
    let mut judge = Fake { panics_at: Some(1), ..Fake::default() };
    let kept = together(&shared, &mut judge, vec![task(0, 1), task(1, 0)]);
    assert_eq!(judge.calls, [2, 1, 1]);
    assert!(reasons(&kept.answers[0].1)[0].contains("index out of bounds"), "{:?}", kept.answers);
    assert!(kept.answers[1].1.entries[0].outcome.is_ok());
}

#[test]
fn the_deadline_is_that_of_the_parameter() {
    let shared = shared_with(&[("deadline_secs", Value::Double(0.25))]);
    let mut judge = Fake::default();
    together(&shared, &mut judge, vec![(0, Task::Judge(request(1, "rgb8", vec![region(0)])))]);
    let [Some(deadline)] = judge.deadlines[..] else { panic!("{:?}", judge.deadlines) };
    assert_eq!((deadline.to_string().as_str(), deadline.is_over()), ("0.25 s", false));
}

#[test]
fn images_are_read_as_the_parameters_say() {
    let deep = |value: u16| Request {
        picture: Picture::Raw {
            encoding: "mono16".into(),
            width: 1,
            height: 1,
            step: 2,
            is_bigendian: false,
            data: Bytes::new(value.to_le_bytes()),
        },
        ..request(1, "", vec![NamedRegion::whole_image()])
    };
    let pixel = |shared: &Shared| {
        let kept = together(shared, &mut Fake::default(), vec![(0, Task::Judge(deep(0x0fff)))]);
        kept.shown[0].evidence.image().unwrap().get_pixel(0, 0).0[0]
    };
    let guessed = shared();
    assert_eq!(pixel(&guessed), 255);
    let notes = guessed.count(0, |statistics| statistics.notes().to_vec());
    assert_eq!(notes, [crate::frame::Note::BitDepth { bits: 12 }]);
    let named = shared_with(&[("bit_depth", Value::Integer(16))]);
    assert_eq!((pixel(&named), named.count(0, |statistics| statistics.notes().len())), (16, 0));
    let small = shared_with(&[("max_image_pixels", Value::Integer(1))]);
    let answers = answers(&small, vec![request(1, "rgb8", vec![region(0)])]);
    assert!(reasons(&answers[0])[0].contains("at most 1 are decoded"), "{answers:?}");
}
