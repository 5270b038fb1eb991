//! The inference thread: takes the newest image of every camera, decodes, judges and hands the answers over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use image::RgbImage;

use super::shared::Shared;
use super::slots::Taken;
use crate::activation::Activations;
use crate::frame::{DecodeOptions, Frame, FrameError, Region};
use crate::monitor::Verdict;
use crate::node::health::latency::Stages;
use crate::node::input::request::{Answer, Entry, NamedRegion, Picture, Refused, Request, Task};
use crate::node::parameters::settings::Tuning;
use crate::pipeline::{Outcome, PipelineOutput};

/// How often a waiting thread looks whether it should end.
const POLL: Duration = Duration::from_millis(100);

/// Judges regions of an image; the node's view of the pipeline.
pub trait Judge {
    /// One result per region, in order. Problems are results, never panics.
    fn judge(&mut self, frame: &Frame<'_>, regions: &[Region], tuning: &Tuning) -> PipelineOutput;
}

/// Everything known about one image once it is judged.
#[derive(Debug)]
pub struct Judged {
    /// What to publish.
    pub answer: Answer,
    /// The image and what the network made of it; `None` when it could not be decoded or had no regions.
    pub evidence: Option<Evidence>,
}

/// What the viewer shows besides the answer.
#[derive(Debug)]
pub struct Evidence {
    /// The image where it had to be decoded as a whole.
    pub decoded: Option<Frame<'static>>,
    /// Image as it arrived.
    pub picture: Picture,
    /// How it is read.
    pub options: DecodeOptions,
    /// Activations of the judged regions.
    pub activations: Option<Arc<Activations>>,
    /// Row in `activations` of every region.
    pub rows: Vec<Option<usize>>,
}

impl Evidence {
    /// Converts the whole image, of which only the regions were converted so far.
    #[must_use]
    pub fn image(&self) -> RgbImage {
        match &self.decoded {
            Some(frame) => frame.to_rgb(),
            None => self.picture.frame(&self.options).map(Frame::into_rgb).unwrap_or_default(),
        }
    }
}

/// What becomes of the answers.
pub trait Sink {
    /// Publishes the answer to an image of a camera.
    fn publish(&mut self, camera: usize, answer: &Answer);
    /// Shows what remains, after all answers are out.
    fn show(&mut self, camera: usize, judged: Judged);
}

/// Judges images until the slots are closed.
pub fn run(shared: &Shared, judge: &mut impl Judge, sink: &mut impl Sink) {
    loop {
        match shared.slots.take(POLL) {
            Taken::Closed => return,
            Taken::TimedOut => {}
            Taken::Items(tasks) => {
                for (camera, task) in tasks {
                    match task {
                        Task::Judge(request) => judge_one(shared, judge, sink, camera, request),
                        Task::Refuse(refused) => refuse_one(shared, sink, camera, refused),
                    }
                }
            }
        }
    }
}

fn judge_one(shared: &Shared, judge: &mut impl Judge, sink: &mut impl Sink, camera: usize, mut request: Request) {
    let begun = Instant::now();
    shared.note_work(Some(begun));
    let (arrived, ready, beyond) = (request.arrived, request.ready, std::mem::take(&mut request.beyond));
    let (mut judged, stages) = process(shared, judge, camera, request);
    judged.answer.entries.extend(refuse_beyond(shared, camera, judged.answer.entries.len(), beyond));
    let decided = Instant::now();
    sink.publish(camera, &judged.answer);
    let done = Instant::now();
    let stages = Stages {
        wait_regions: Some(ready.saturating_duration_since(arrived)),
        wait_turn: Some(begun.saturating_duration_since(ready)),
        publish: Some(done.saturating_duration_since(decided)),
        total: done.saturating_duration_since(arrived),
        ..stages
    };
    shared.count(camera, |statistics| statistics.record(done, stages));
    shared.note_work(None);
    sink.show(camera, judged);
}

/// Answers an image that nobody looks at.
fn refuse_one(shared: &Shared, sink: &mut impl Sink, camera: usize, refused: Refused) {
    let Refused { header, received, refusal } = refused;
    let (levels, regions) = (shared.tuning().levels(), vec![NamedRegion::whole_image()]);
    sink.publish(camera, &Answer::unknown(header, received, levels, regions, &refusal.reason));
    shared.count(camera, |statistics| {
        statistics.unknown(refusal.kind, &refusal.reason);
        statistics.refused();
    });
}

/// Entries for the regions beyond `max_regions`, of which `judged` were judged.
fn refuse_beyond(shared: &Shared, camera: usize, judged: usize, beyond: Vec<NamedRegion>) -> Vec<Entry> {
    let reason = format!("over max_regions: only the first {judged} regions of an image are judged; raise max_regions");
    shared.count(camera, |statistics| beyond.iter().for_each(|_| statistics.unknown(short(&reason), &reason)));
    beyond.into_iter().map(|region| Entry { region, outcome: Err(reason.clone()) }).collect()
}

/// Decodes and judges one image; measures both.
fn process(shared: &Shared, judge: &mut impl Judge, camera: usize, request: Request) -> (Judged, Stages) {
    let Request { header, picture, regions, received, .. } = request;
    let tuning = shared.tuning();
    let (levels, stages) = (tuning.levels(), Stages::default());
    if regions.is_empty() {
        return (Judged { answer: Answer { header, received, levels, entries: Vec::new() }, evidence: None }, stages);
    }
    let options = DecodeOptions::default();
    let begun = Instant::now();
    let opened = picture.frame(&options);
    let stages = Stages { decode: Some(begun.elapsed()), ..stages };
    match opened {
        Ok(frame) => {
            let begun = Instant::now();
            let rectangles: Vec<Region> = regions.iter().map(|named| named.region).collect();
            let output = judge.judge(&frame, &rectangles, &tuning);
            let stages = Stages { infer: Some(begun.elapsed()), ..stages };
            let decoded = frame.into_owned();
            let rows = output.results.iter().map(|result| result.row).collect();
            let entries = entries(regions, output.results.into_iter().map(|result| result.outcome));
            count_verdicts(shared, camera, &entries);
            let evidence = Evidence { decoded, picture, options, activations: output.activations, rows };
            (Judged { answer: Answer { header, received, levels, entries }, evidence: Some(evidence) }, stages)
        }
        Err(error) => {
            let (kind, reason) = (kind(&error), error.to_string());
            shared.count(camera, |statistics| regions.iter().for_each(|_| statistics.unknown(kind, &reason)));
            let answer = Answer::unknown(header, received, levels, regions, &reason);
            (Judged { answer, evidence: None }, stages)
        }
    }
}

fn entries(
    regions: Vec<NamedRegion>,
    outcomes: impl Iterator<Item = Result<crate::pipeline::Outcome, String>>,
) -> Vec<Entry> {
    regions.into_iter().zip(outcomes).map(|(region, outcome)| Entry { region, outcome }).collect()
}

fn count_verdicts(shared: &Shared, camera: usize, entries: &[Entry]) {
    shared.count(camera, |statistics| {
        for entry in entries {
            match &entry.outcome {
                Err(reason) => statistics.unknown(short(reason), reason),
                Ok(Outcome { verdict: Verdict::Unknown, reason, .. }) => {
                    statistics.unknown(short(reason), reason);
                }
                Ok(outcome) => statistics.verdict(outcome.verdict),
            }
        }
    });
}

/// The part of a reason that is the same for every image.
fn short(reason: &str) -> &str {
    let varies = |c: char| c.is_ascii_digit() || c == ':' || c == '`';
    let end = reason.find(varies).unwrap_or(reason.len());
    if reason[..end].trim().is_empty() { "other" } else { reason[..end].trim() }
}

/// Short name of a decoding problem, for the counters.
fn kind(error: &FrameError) -> &'static str {
    match error {
        FrameError::Encoding { .. } => "unsupported encoding",
        FrameError::Depth { .. } => "depth image",
        FrameError::Format { .. } => "unsupported format",
        FrameError::Empty { .. } | FrameError::TooLarge { .. } | FrameError::Odd { .. } => "impossible dimensions",
        FrameError::Step { .. } | FrameError::DataLength { .. } => "wrong data size",
        FrameError::Truncated { .. } | FrameError::Jpeg(_) | FrameError::Decode(_) => "corrupt image",
        _ => "undecodable image",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::input::pairing::Stamp;
    use crate::node::input::request::{Bytes, Header, Refusal};
    use crate::node::parameters::names::CameraName;
    use crate::node::parameters::settings::Settings;
    use crate::pipeline::{Hypothesis, RegionResult};
    use std::sync::Mutex;

    /// Says class 1 for every region that starts in the image, and refuses the others.
    struct Fake;

    impl Judge for Fake {
        fn judge(&mut self, frame: &Frame<'_>, regions: &[Region], tuning: &Tuning) -> PipelineOutput {
            let result = |region: &Region| {
                let hypothesis = Hypothesis { class: 1, score: 0.5 };
                let top_k = vec![hypothesis; tuning.top_k];
                let outcome = Outcome::unknown(top_k, "no monitor: x".into());
                let inside = region.x < frame.width();
                RegionResult {
                    region: *region,
                    judged: None,
                    outcome: if inside { Ok(outcome) } else { Err(format!("region {} is outside", region.x)) },
                    row: None,
                }
            };
            PipelineOutput { results: regions.iter().map(result).collect(), activations: None }
        }
    }

    fn shared() -> Shared {
        Shared::new(Arc::new(Mutex::new(Settings::default())), &[CameraName::default()])
    }

    fn request(sec: i32, encoding: &str, regions: Vec<NamedRegion>) -> Request {
        let data = Bytes::new(vec![7; 6]);
        let picture =
            Picture::Raw { encoding: encoding.into(), width: 2, height: 1, step: 6, is_bigendian: false, data };
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
    struct Kept(Vec<Answer>);

    impl Sink for Kept {
        fn publish(&mut self, _camera: usize, answer: &Answer) {
            self.0.push(answer.clone());
        }

        fn show(&mut self, _camera: usize, _judged: Judged) {}
    }

    /// Judges the requests one after the other and returns the answers.
    fn answers(shared: &Shared, requests: Vec<Request>) -> Vec<Answer> {
        let mut kept = Kept::default();
        for request in requests {
            judge_one(shared, &mut Fake, &mut kept, 0, request);
        }
        kept.0
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
        let reasons: Vec<&String> =
            answers[0].entries.iter().map(|entry| entry.outcome.as_ref().unwrap_err()).collect();
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
        let refusal = Refusal { kind: "too old", reason: "image 4.9 s old".into() };
        let refused = Refused { header: Header::default(), received: Stamp { sec: 9, nanosec: 0 }, refusal };
        let tasks = [Task::Refuse(refused), Task::Judge(request(5, "rgb8", vec![region(0)]))];
        assert!(shared.slots.append(0, tasks[0].clone()).is_none());
        assert!(shared.slots.push(0, tasks[1].clone()).is_none());
        shared.slots.close();
        let mut kept = Kept::default();
        run(&shared, &mut Fake, &mut kept);
        let [first, second] = &kept.0[..] else { panic!("{:?}", kept.0) };
        assert_eq!((first.header.stamp.sec, second.header.stamp.sec, first.received.sec), (0, 5, 9));
        assert_eq!(first.entries[0].outcome.as_ref().unwrap_err(), "image 4.9 s old");
        let (judged, unknown) =
            shared.count(0, |statistics| (statistics.counts().judged, statistics.counts().unknown.clone()));
        assert_eq!((judged, unknown["too old"]), (2, 1));
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
    fn closed_slots_end_the_loop() {
        let shared = shared();
        let start = Instant::now();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| run(&shared, &mut Fake, &mut Kept::default()));
            std::thread::sleep(Duration::from_millis(30));
            shared.slots.close();
            thread.join().unwrap();
        });
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn reasons_are_counted_without_their_numbers() {
        assert_eq!(short("region 3,4 is outside"), "region");
        assert_eq!(short("activations are not finite"), "activations are not finite");
        assert_eq!(short("12 oranges"), "other");
    }
}
