//! Images with the verdicts drawn on them, for as long as somebody subscribes to them.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use r2r::QosProfile;

use super::topic::Topic;
use crate::dataset::cdr::CompressedImage;
use crate::frame::{DecodeOptions, encode_jpeg};
use crate::inference::evidence::Judged;
use crate::inference::messages;
use crate::inference::shared::Shared;
use crate::inference::slots::{Slots, Taken};
use crate::intake::request::{Answer, Entry, Picture};
use crate::monitor::Verdict;
use crate::node::thread::ends_within;
use crate::overlay::{Label, Mark, draw};
use crate::panics;
use crate::parameters::names::CameraName;
use crate::stream::ChangeState;

/// The topic, under the name of the camera.
pub const OVERLAY: &str = "overlay/compressed";

/// Quality of overlays, 1..100.
const JPEG_QUALITY: u8 = 85;

/// How often the waiting thread looks up.
const POLL: Duration = Duration::from_secs(1);

/// How long the images in work may take when the node ends.
const LAST_IMAGES: Duration = Duration::from_secs(2);

/// Publishers of the overlays of all cameras, and the thread that draws them.
pub struct Overlays {
    publishers: Vec<Topic<CompressedImage>>,
    slots: Arc<Slots<Drawing>>,
    thread: JoinHandle<()>,
}

/// The same as the inference thread sees it.
pub struct ToOverlays {
    publishers: Vec<Topic<CompressedImage>>,
    slots: Arc<Slots<Drawing>>,
    shared: Shared,
}

/// What is to be drawn.
struct Drawing {
    answer: Answer,
    picture: Picture,
    options: DecodeOptions,
}

impl Overlays {
    /// Creates the publishers and starts the thread.
    ///
    /// # Errors
    /// When ROS refuses a publisher or the system a thread.
    pub fn start(
        node: &mut r2r::Node,
        cameras: &[CameraName],
        qos: impl Fn(&str) -> QosProfile,
        shared: &Shared,
        classes: Arc<[String]>,
    ) -> anyhow::Result<(Self, ToOverlays)> {
        let mut publisher = |camera: &CameraName| {
            let topic = camera.topic(OVERLAY);
            Topic::create(node, &topic, qos(&topic))
        };
        let publishers = cameras.iter().map(&mut publisher).collect::<r2r::Result<Vec<_>>>()?;
        let slots = Arc::new(Slots::new(cameras.len()));
        let artist =
            Artist { publishers: publishers.clone(), slots: Arc::clone(&slots), shared: shared.clone(), classes };
        let thread = std::thread::Builder::new().name("overlay".into()).spawn(move || artist.run())?;
        let to = ToOverlays { publishers: publishers.clone(), slots: Arc::clone(&slots), shared: shared.clone() };
        Ok((Self { publishers, slots, thread }, to))
    }

    /// Lets the images in work be finished, for a bounded time, and takes the topics back.
    pub fn end(self, node: &mut r2r::Node) {
        self.slots.close();
        if ends_within(&self.thread, LAST_IMAGES) {
            self.publishers.into_iter().for_each(|publisher| publisher.destroy(node));
        }
    }
}

impl ToOverlays {
    /// Has the newest image of a camera drawn when somebody subscribes to it. Never waits: an older one that waits gives way, counted.
    pub fn show(&self, camera: usize, judged: &Judged) {
        if !self.publishers[camera].is_heard() {
            return;
        }
        let Judged { answer, evidence } = judged;
        let (picture, options) = (evidence.picture.clone(), evidence.options);
        if self.slots.push(camera, Drawing { answer: answer.clone(), picture, options }).is_some() {
            self.shared.count(camera, |statistics| statistics.overlay_dropped());
        }
    }
}

/// The thread that draws.
struct Artist {
    publishers: Vec<Topic<CompressedImage>>,
    slots: Arc<Slots<Drawing>>,
    shared: Shared,
    classes: Arc<[String]>,
}

impl Artist {
    fn run(&self) {
        loop {
            match self.slots.take(POLL) {
                Taken::Closed => return,
                Taken::TimedOut => {}
                Taken::Items(drawings) => {
                    drawings.iter().for_each(|(camera, drawing)| self.publish(*camera, drawing));
                }
            }
        }
    }

    fn publish(&self, camera: usize, drawing: &Drawing) {
        match self.message(drawing) {
            Ok(message) => match self.publishers[camera].publish(&message) {
                Ok(()) => self.shared.count(camera, |statistics| statistics.overlay_published()),
                Err(error) => self.lost(camera, &error.to_string()),
            },
            Err(reason) => self.lost(camera, &reason),
        }
    }

    fn lost(&self, camera: usize, reason: &str) {
        self.shared.count(camera, |statistics| statistics.overlay_dropped());
        tracing::debug!("no overlay for an image of {}: {reason}", self.shared.cameras()[camera]);
    }

    fn message(&self, Drawing { answer, picture, options }: &Drawing) -> Result<CompressedImage, String> {
        let image = picture.rgb(options)?;
        let drawn = panics::caught(|| draw(image, &marks(answer, &self.classes), &heading(answer)))?;
        let data = encode_jpeg(&drawn, JPEG_QUALITY).map_err(|error| error.to_string())?;
        Ok(CompressedImage { header: messages::to_header(&answer.header), format: "jpeg".to_owned(), data })
    }
}

/// What the camera as a whole shows.
fn heading(answer: &Answer) -> Label {
    let state = answer.observed.change.state;
    let verdict = match state {
        ChangeState::Unknown => Verdict::Unknown,
        ChangeState::Nominal => Verdict::InDistribution,
        ChangeState::Changed => Verdict::OutOfDistribution,
    };
    Label { verdict, lines: vec![format!("camera {}", state.as_str())] }
}

fn marks(answer: &Answer, classes: &[String]) -> Vec<Mark> {
    let mark = |(index, entry): (usize, &Entry)| Mark {
        region: entry.region.region,
        label: Label { verdict: answer.final_verdict(index), lines: lines(answer, index, entry, classes) },
    };
    answer.entries.iter().enumerate().map(mark).collect()
}

/// Class and score of the view, then p-values: of the view, and of all views of its object.
fn lines(answer: &Answer, index: usize, entry: &Entry, classes: &[String]) -> Vec<String> {
    let outcome = match &entry.outcome {
        Ok(outcome) => outcome,
        Err(reason) => return vec![format!("? {reason}")],
    };
    let best = outcome.top_k.first();
    let class = best.map(|best| {
        let name = classes.get(best.class).map_or("?", String::as_str);
        format!("{name} {:.0} %", best.score * 100.0)
    });
    let Some(judgement) = &outcome.judgement else {
        return class.into_iter().chain([outcome.reason.clone()]).collect();
    };
    let object = answer.observed.objects.get(index);
    let of_object = object.and_then(|object| Some((object.views, object.p_value.as_ref().ok()?)));
    let of_object = of_object.map(|(views, p_value)| format!(", {views} views {p_value:.3}"));
    let p_values = format!("p {:.3}{}", judgement.fused.p_value, of_object.unwrap_or_default());
    class.into_iter().chain([p_values]).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::intake::request::{Header, NamedRegion};
    use crate::intake::stamp::Stamp;
    use crate::monitor::Levels;
    use crate::pipeline::{Hypothesis, Outcome};
    use crate::stream::{Change, ObjectView, Observed};

    fn answer(object: ObjectView, state: ChangeState) -> Answer {
        let outcome = Outcome::unknown(vec![Hypothesis { class: 1, score: 0.75 }], "no monitor".into());
        let entries = [Ok(outcome), Err("outside".to_owned())]
            .map(|outcome| Entry { region: NamedRegion::whole_image(), outcome });
        let objects = vec![object, ObjectView::unknown("not judged")];
        let observed = Observed { objects, change: Change { state, ..Change::default() }, ..Observed::default() };
        let (header, received) = (Header::default(), Stamp::default());
        Answer { header, received, levels: Levels::default(), entries: entries.into(), observed }
    }

    fn strange_object() -> ObjectView {
        let first_seen = Duration::ZERO;
        ObjectView { views: 9, first_seen, evidence: 5.0, p_value: Ok(0.005), class: Some((1, 1.0)) }
    }

    #[test]
    fn every_region_has_its_text_and_the_colour_of_the_final_verdict() {
        let classes = ["a".to_owned(), "stop".to_owned()];
        let marks = marks(&answer(strange_object(), ChangeState::Changed), &classes);
        let labels: Vec<(Verdict, Vec<&str>)> = marks
            .iter()
            .map(|mark| (mark.label.verdict, mark.label.lines.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            labels,
            [(Verdict::OutOfDistribution, vec!["stop 75 %", "no monitor"]), (Verdict::Unknown, vec!["? outside"])]
        );
    }

    #[test]
    fn the_heading_is_the_state_of_the_camera() {
        let heading = |state| heading(&answer(strange_object(), state));
        assert_eq!(heading(ChangeState::Changed).verdict, Verdict::OutOfDistribution);
        assert_eq!(heading(ChangeState::Nominal).lines, ["camera NOMINAL"]);
        assert_eq!(heading(ChangeState::Unknown).verdict, Verdict::Unknown);
    }
}
