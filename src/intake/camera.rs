//! What happens to the messages of one camera before inference.
//!
//! Every image that comes is judged, answered UNKNOWN with its reason, or counted as dropped. What inference gets is in
//! the order in which the images of one time line arrived (see [`super::pairing`]), and inference keeps it.

use std::time::{Duration, Instant};

use super::notices::Notices;
use super::pairing::{Event, Pairing, Rules, Why};
use super::refusals;
use super::request::{Header, NamedRegion, Picture, Refusal, Refused, Regions, Request, Task};
use super::stamp::Stamp;
use super::timeline::{Jump, Seen, TimeLines};
use super::unchanged::Unchanged;
use super::waiting::Waiting;
use crate::counters::statistics::{DropReason, Statistics};
use crate::inference::shared::Shared;
use crate::parameters::typed::{CameraSettings, WithoutRegions};

/// When something arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// By the steady clock of this machine.
    pub at: Instant,
    /// By the node's ROS clock.
    pub ros: Stamp,
}

/// The way of one camera's messages into its slot of the inference thread.
#[derive(Debug)]
pub struct Camera {
    shared: Shared,
    index: usize,
    pairing: Option<Pairing<Image>>,
    lines: TimeLines,
    unchanged: Unchanged,
    notices: Notices,
}

#[derive(Debug)]
struct Image {
    arrival: Arrival,
    /// The image, or why nobody will look at it.
    content: Result<Picture, Refusal>,
}

impl Camera {
    /// The camera at `index`; its images wait for regions when `with_regions`, and are judged whole otherwise.
    #[must_use]
    pub fn new(shared: Shared, index: usize, with_regions: bool) -> Self {
        let pairing = with_regions.then(Pairing::default);
        let (lines, unchanged, notices) = Default::default();
        Self { shared, index, pairing, lines, unchanged, notices }
    }

    /// Takes an image.
    pub fn image(&mut self, header: Header, picture: Picture, arrival: Arrival) {
        let settings = self.settings();
        let seen = self.lines.see(header.stamp, arrival.at);
        let unchanged = self.unchanged.see(&picture, header.stamp);
        self.note_arrival(&header, &seen, unchanged, arrival);
        if let Some(jump) = seen.jump {
            self.jump(&jump, arrival.at);
        }
        if !self.shared.is_enabled() {
            return self.drop_images(DropReason::Disabled, 1);
        }
        let content = match refusals::too_old(header.stamp.age_at(arrival.ros), settings.max_image_age) {
            Some(refusal) => Err(refusal),
            None => Ok(picture),
        };
        self.count(|statistics| statistics.input_mut().stale += u64::from(content.is_err()));
        self.admit(waiting(header, &seen, Image { arrival, content }), &settings);
    }

    /// Takes the regions of the image with that header, which came at `now`.
    pub fn regions(&mut self, header: Header, regions: Regions, now: Instant) {
        let rectified = regions.named.iter().filter(|named| named.do_rectify).count();
        self.count(|statistics| {
            statistics.region_array();
            statistics.input_mut().rectify_ignored += rectified as u64;
        });
        self.notices.rectify(rectified, now);
        if !self.shared.is_enabled() {
            return;
        }
        let settings = self.settings();
        let events = self.pairing.as_mut().map(|pairing| pairing.add_regions(header, regions, rules(&settings), now));
        self.act_all(events.unwrap_or_default(), &settings, now);
    }

    /// Lets go of images and regions that have waited long enough for each other at `now`.
    pub fn tick(&mut self, now: Instant) {
        if self.pairing.is_some() {
            let settings = self.settings();
            let events = self.pairing.as_mut().map(|pairing| pairing.tick(rules(&settings), now));
            self.act_all(events.unwrap_or_default(), &settings, now);
        }
        let interleaved = self.lines.interleaved(now);
        self.count(|statistics| statistics.input_mut().interleaved = interleaved);
    }

    /// Drops, counted, the images that wait for regions, and forgets the regions and times that were seen.
    pub fn forget(&mut self, reason: DropReason) {
        let waiting = self.pairing.as_mut().map_or(0, |pairing| pairing.clear().len());
        self.drop_images(reason, waiting);
        self.note_waiting();
        self.lines = TimeLines::default();
    }

    fn note_arrival(&mut self, header: &Header, seen: &Seen, unchanged: Option<Duration>, arrival: Arrival) {
        let interleaved = self.lines.interleaved(arrival.at);
        self.count(|statistics| {
            statistics.arrived(header.stamp, arrival.at);
            let input = statistics.input_mut();
            input.aged(header.stamp.age_at(arrival.ros));
            input.missing(seen.missing);
            input.repeated_stamps += u64::from(seen.repeated);
            input.same_image(unchanged);
            input.interleaved = interleaved;
        });
        if let Some(interleaved) = interleaved {
            self.notices.time_lines(interleaved, &self.settings().image_topic, arrival.at);
        }
    }

    /// The stamps go on in another time: what waits is of the old one.
    fn jump(&mut self, jump: &Jump, now: Instant) {
        self.notices.jump(jump, now);
        let (images, arrays) = match &mut self.pairing {
            Some(pairing) => pairing.forget_before(jump),
            None => Default::default(),
        };
        self.count(|statistics| {
            statistics.time_jumped();
            statistics.dropped(DropReason::TimeJump, images.len());
            statistics.input_mut().regions_unmatched += arrays as u64;
        });
        self.note_waiting();
    }

    /// Lets an image wait for its regions, or go on at once when the camera has none.
    fn admit(&mut self, image: Waiting<Image>, settings: &CameraSettings) {
        let now = image.image.arrival.at;
        match &mut self.pairing {
            Some(pairing) => {
                let events = pairing.add_image(image, rules(settings), now);
                self.act_all(events, settings, now);
            }
            None => self.go(image, Regions::whole_image(), now),
        }
    }

    fn act_all(&mut self, events: Vec<Event<Image>>, settings: &CameraSettings, now: Instant) {
        for event in events {
            self.act(event, settings, now);
        }
        self.note_waiting();
    }

    fn act(&mut self, event: Event<Image>, settings: &CameraSettings, now: Instant) {
        match event {
            Event::Ready(image, regions) => self.go(image, regions, now),
            Event::Answered(image) => self.go(image, Regions::default(), now),
            Event::GivenUp(image, why) => self.give_up(image, &why, settings, now),
            Event::Late { delay } => {
                let late = delay.saturating_sub(settings.regions_timeout);
                self.count(|statistics| statistics.input_mut().late_regions(late));
                if !late.is_zero() {
                    self.notices.late(delay, settings.regions_timeout, now);
                }
            }
            Event::OutOfOrder => self.count(|statistics| statistics.input_mut().regions_out_of_order += 1),
            Event::Unmatched(arrays) => {
                self.count(|statistics| statistics.input_mut().regions_unmatched += arrays as u64);
            }
        }
    }

    /// Does with an image without regions what the parameter `without_regions` says.
    fn give_up(&mut self, image: Waiting<Image>, why: &Why, settings: &CameraSettings, now: Instant) {
        match (settings.without_regions, why) {
            (WithoutRegions::Wait, _) => {
                let late = self.notices.latest_delay(now);
                let refusal = refusals::without_regions(why, &image.header, settings, late);
                self.count(Statistics::regions_missing);
                self.refuse(image.header, image.image.arrival, refusal);
            }
            (WithoutRegions::Skip, Why::NoRoom(_)) => self.drop_images(DropReason::NoRoom, 1),
            (WithoutRegions::Skip, _) => self.drop_images(DropReason::NoRegions, 1),
            (WithoutRegions::WholeImage, Why::Overtaken) => self.drop_images(DropReason::LateRegions, 1),
            (WithoutRegions::WholeImage, _) => self.go(image, Regions::whole_image(), now),
        }
    }

    /// Hands an image to inference: with its regions, or with the reason why nobody will look at it.
    fn go(&mut self, image: Waiting<Image>, regions: Regions, now: Instant) {
        let Waiting { header, image: Image { arrival, content }, .. } = image;
        match content {
            Ok(picture) => self.submit(header, arrival, picture, regions, now),
            Err(refusal) => self.refuse(header, arrival, refusal),
        }
    }

    /// Puts an image into the slot, where it replaces an older one.
    fn submit(&mut self, header: Header, arrival: Arrival, picture: Picture, regions: Regions, now: Instant) {
        if !self.shared.is_enabled() {
            return self.drop_images(DropReason::Disabled, 1);
        }
        let (regions, beyond) = self.limited(regions, now);
        let received = arrival.ros;
        let request = Request { header, picture, regions, beyond, arrived: arrival.at, ready: now, received };
        let replaced = self.shared.slots.push(self.index, Task::Judge(request));
        self.count(|statistics| {
            statistics.dropped(DropReason::Replaced, replaced.iter().count());
            statistics.input_mut().waited(now.saturating_duration_since(arrival.at));
        });
    }

    /// Puts an answer into the slot: the inference thread publishes it in its turn.
    fn refuse(&self, header: Header, arrival: Arrival, refusal: Refusal) {
        if !self.shared.is_enabled() {
            return self.drop_images(DropReason::Disabled, 1);
        }
        let refused = Refused { header, received: arrival.ros, refusal };
        let dropped = self.shared.slots.append(self.index, Task::Refuse(refused));
        self.drop_images(DropReason::NoRoom, dropped.iter().count());
    }

    /// The regions to judge, and those beyond the parameter `max_regions`.
    fn limited(&mut self, regions: Regions, now: Instant) -> (Vec<NamedRegion>, Vec<NamedRegion>) {
        let (asked, limit) = (regions.asked(), self.shared.tuning().max_regions);
        let mut named = regions.named;
        let beyond = named.split_off(limit.min(named.len()));
        let over = asked.saturating_sub(limit);
        self.count(|statistics| statistics.input_mut().regions_over_limit += over as u64);
        self.notices.over_limit(asked, limit, now);
        (named, beyond)
    }

    fn note_waiting(&self) {
        let waiting = self.pairing.as_ref().map_or(0, |pairing| pairing.fullness().images);
        self.count(|statistics| statistics.input_mut().waiting = waiting);
    }

    fn settings(&self) -> CameraSettings {
        self.shared.camera(self.index)
    }

    fn drop_images(&self, reason: DropReason, images: usize) {
        self.count(|statistics| statistics.dropped(reason, images));
    }

    fn count<T>(&self, action: impl FnOnce(&mut Statistics) -> T) -> T {
        self.shared.count(self.index, action)
    }
}

fn rules(settings: &CameraSettings) -> Rules {
    Rules { timeout: settings.regions_timeout, tolerance: settings.regions_tolerance }
}

fn waiting(header: Header, seen: &Seen, image: Image) -> Waiting<Image> {
    let bytes = image.content.as_ref().map_or(0, Picture::bytes);
    Waiting { header, line: seen.line, since: image.arrival.at, bytes, answered: image.content.is_err(), image }
}

#[cfg(test)]
mod tests;
