//! The inference thread: takes the newest images of all cameras, has them judged together and hands the answers over.

use std::time::{Duration, Instant};

use super::batch::{self, Judge, Looked};
use super::entries;
use super::evidence::{Evidence, Judged};
use super::remarks::Remarks;
use super::shared::Shared;
use super::slots::Taken;
use super::streams::{Observer, Streams};
use crate::counters::latency::Stages;
use crate::frame::DecodeOptions;
use crate::intake::request::{Answer, Entry, NamedRegion, Picture, Refusal, Refused, Request, Task};
use crate::parameters::typed::Tuning;
use crate::pipeline::{PipelineOutput, Timings};

/// How often a waiting thread looks whether it should end.
const POLL: Duration = Duration::from_millis(100);

/// A stamp that is older than this at arrival was made by another clock, as in a bag that is played without /clock.
const LONGEST_WAY: Duration = Duration::from_secs(60);

/// What becomes of the answers.
pub trait Sink {
    /// Publishes the answer to an image of a camera.
    fn publish(&mut self, camera: usize, answer: &Answer);
    /// Shows what remains, after all answers are out.
    fn show(&mut self, camera: usize, judged: Judged);
}

/// Judges images until the slots are closed.
pub fn run(shared: &Shared, judge: &mut impl Judge, sink: &mut impl Sink) {
    let mut memory = Memory::new(shared);
    loop {
        match shared.slots.take(POLL) {
            Taken::Closed => return,
            Taken::TimedOut => {}
            Taken::Items(tasks) => work(shared, judge, sink, &mut memory, tasks),
        }
    }
}

/// What the thread remembers of every camera from one image to the next.
struct Memory {
    remarks: Vec<Remarks>,
    streams: Streams,
}

impl Memory {
    fn new(shared: &Shared) -> Self {
        Self { remarks: shared.cameras().iter().map(|_| Remarks::default()).collect(), streams: Streams::new(shared) }
    }
}

/// Has the images of all cameras judged together, and answers every task in its turn.
fn work(shared: &Shared, judge: &mut impl Judge, sink: &mut impl Sink, memory: &mut Memory, tasks: Vec<(usize, Task)>) {
    let begun = Instant::now();
    shared.note_work(Some(begun));
    let tuning = shared.tuning();
    let round = Round { shared, tuning: &tuning, begun };
    let mut looked = round.look_at(judge, &tasks).into_iter();
    let Memory { remarks, streams } = memory;
    let mut streams = streams.with(shared, &tuning, judge.over_time());
    let mut judged = Vec::new();
    for (camera, task) in tasks {
        match task {
            Task::Refuse(refused) => drop(round.refuse(sink, &mut streams, camera, refused)),
            Task::Judge(request) => {
                if let Some(looked) = looked.next() {
                    remarks[camera].say(&shared.cameras()[camera], &looked.notes);
                    judged.push((camera, round.answer(sink, &mut streams, camera, request, looked)));
                }
            }
        }
    }
    shared.note_work(None);
    judged.into_iter().for_each(|(camera, judged)| sink.show(camera, judged));
}

/// What was taken from the slots at one time.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    /// What is shared with the rest of the node.
    pub shared: &'a Shared,
    /// The parameters in force.
    pub tuning: &'a Tuning,
    /// When it was taken.
    pub begun: Instant,
}

impl Round<'_> {
    /// What became of the images that are to be judged, in the order of the tasks.
    fn look_at(&self, judge: &mut impl Judge, tasks: &[(usize, Task)]) -> Vec<Looked> {
        let requests = tasks.iter().filter_map(|(camera, task)| match task {
            Task::Judge(request) => Some((request, self.options(*camera))),
            Task::Refuse(_) => None,
        });
        batch::look_at(judge, &requests.collect::<Vec<_>>(), self.tuning, self.begun)
    }

    /// How images of a camera are read.
    #[must_use]
    pub fn options(&self, camera: usize) -> DecodeOptions {
        let bit_depth = self.shared.camera(camera).bit_depth.unwrap_or(0);
        DecodeOptions { max_pixels: self.tuning.max_image_pixels, bit_depth, ..DecodeOptions::default() }
    }

    /// Answers an image that nobody looks at.
    pub fn refuse(&self, sink: &mut impl Sink, streams: &mut Observer<'_>, camera: usize, refused: Refused) -> Answer {
        let Refused { header, received, refusal } = refused;
        let entries = self.refused(camera, vec![NamedRegion::whole_image()], &refusal);
        let observed = streams.observe(camera, header.stamp, &entries);
        let answer = Answer { header, received, levels: self.tuning.levels(), entries, observed };
        sink.publish(camera, &answer);
        self.shared.count(camera, |statistics| statistics.refused());
        answer
    }

    /// Answers an image that was looked at.
    pub fn answer(
        &self,
        sink: &mut impl Sink,
        streams: &mut Observer<'_>,
        camera: usize,
        request: Request,
        looked: Looked,
    ) -> Judged {
        let Request { header, picture, regions, beyond, arrived, ready, received } = request;
        let (decode, asked) = (looked.decode, regions.len());
        self.shared.count(camera, |statistics| statistics.noted(&looked.notes));
        let (mut entries, evidence, timings) = self.found(camera, regions, picture, looked);
        entries.extend(self.beyond_limit(camera, asked, beyond));
        let observed = streams.observe(camera, header.stamp, &entries);
        let answer = Answer { header, received, levels: self.tuning.levels(), entries, observed };
        let decided = Instant::now();
        sink.publish(camera, &answer);
        let done = Instant::now();
        let stages = Stages {
            receive: time_to_receive(&answer),
            wait_regions: Some(ready.saturating_duration_since(arrived)),
            wait_turn: Some(self.begun.saturating_duration_since(ready)),
            decode,
            infer: timings.map(|timings| timings.network),
            monitor: timings.map(|timings| timings.monitor),
            publish: Some(done.saturating_duration_since(decided)),
            total: done.saturating_duration_since(arrived),
        };
        self.shared.count(camera, |statistics| statistics.record(done, stages));
        Judged { answer, evidence }
    }

    /// What was found out about the regions, counted.
    fn found(
        &self,
        camera: usize,
        regions: Vec<NamedRegion>,
        picture: Picture,
        looked: Looked,
    ) -> (Vec<Entry>, Evidence, Option<Timings>) {
        let Looked { output, decoded, options, .. } = looked;
        let evidence = Evidence::of(picture, options);
        match output {
            None => (Vec::new(), evidence, None),
            Some(Err(refusal)) => (self.refused(camera, regions, &refusal), evidence, None),
            Some(Ok(PipelineOutput { results, activations, timings })) => {
                let rows = results.iter().map(|result| result.row).collect();
                let entries = entries::judged(regions, results);
                entries::count_verdicts(self.shared, camera, &entries);
                (entries, Evidence { decoded, activations, rows, ..evidence }, timings)
            }
        }
    }

    /// Entries for the regions beyond `max_regions`; `judged` were not beyond it.
    fn beyond_limit(&self, camera: usize, judged: usize, beyond: Vec<NamedRegion>) -> Vec<Entry> {
        self.refused(camera, beyond, &entries::beyond_limit(judged))
    }

    fn refused(&self, camera: usize, regions: Vec<NamedRegion>, refusal: &Refusal) -> Vec<Entry> {
        entries::count_refused(self.shared, camera, regions.len(), refusal);
        entries::refused(regions, &refusal.reason)
    }
}

/// From the stamp of the image to its arrival, where one clock made both.
fn time_to_receive(answer: &Answer) -> Option<Duration> {
    let nanos = u64::try_from(answer.header.stamp.age_at(answer.received)?).ok()?;
    Some(Duration::from_nanos(nanos)).filter(|way| *way <= LONGEST_WAY)
}

#[cfg(test)]
mod tests;
