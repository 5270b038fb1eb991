//! What happens to the messages of one camera before inference: pairing with regions, dropping, jumps in time.

use std::time::Instant;

use super::pairing::{Added, Pairing, Stamp};
use super::request::{Answer, Header, NamedRegion, Picture, Request};
use crate::node::health::statistics::{DropReason, Statistics};
use crate::node::inference::shared::Shared;

/// Images that wait for their regions at most.
const MAX_WAITING: usize = 32;

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
    waiting: Option<Pairing<Waiting, Vec<NamedRegion>>>,
}

#[derive(Debug)]
struct Waiting {
    header: Header,
    picture: Picture,
    arrival: Arrival,
}

impl Camera {
    /// The camera at `index`; its images wait for regions when `with_regions`, and are judged whole otherwise.
    #[must_use]
    pub fn new(shared: Shared, index: usize, with_regions: bool) -> Self {
        Self { shared, index, waiting: with_regions.then(|| Pairing::new(MAX_WAITING)) }
    }

    /// Takes an image.
    pub fn image(&mut self, header: Header, picture: Picture, arrival: Arrival) {
        let jumped = self.count(|statistics| statistics.arrived(header.stamp, arrival.at));
        if jumped {
            tracing::info!("the stamps jumped back in time (a bag that starts again?): starting afresh");
            self.forget(DropReason::TimeJump);
        }
        if !self.shared.is_enabled() {
            return self.drop_images(DropReason::Disabled, 1);
        }
        let stamp = header.stamp;
        let waiting = Waiting { header, picture, arrival };
        let Some(pairing) = &mut self.waiting else {
            return self.submit(waiting, vec![NamedRegion::whole_image()], arrival.at);
        };
        match pairing.add_image(stamp, waiting, arrival.at) {
            Added::Paired(waiting, regions) => self.submit(waiting, regions, arrival.at),
            Added::Waits { evicted } => self.drop_images(DropReason::NoRoom, evicted.iter().count()),
        }
    }

    /// Takes the regions of the image with that header.
    pub fn regions(&mut self, header: &Header, regions: Vec<NamedRegion>) {
        self.count(Statistics::region_array);
        let paired = self.waiting.as_mut().and_then(|pairing| pairing.add_regions(header.stamp, regions));
        if let Some((waiting, regions)) = paired {
            self.submit(waiting, regions, Instant::now());
        }
    }

    /// Answers for the images whose regions did not come in time.
    #[must_use]
    pub fn overdue(&mut self, now: Instant) -> Vec<Answer> {
        let Some(pairing) = &mut self.waiting else { return Vec::new() };
        let (timeout, levels) = (self.shared.camera(self.index).regions_timeout, self.shared.tuning().levels());
        let overdue = pairing.expired(now, timeout);
        let reason = format!("no regions with the stamp of the image within {:.2} s", timeout.as_secs_f64());
        let answer = |Waiting { header, arrival, .. }: Waiting| {
            self.shared.count(self.index, |statistics| {
                statistics.regions_missing();
                statistics.unknown("no regions in time", &reason);
                statistics.refused();
            });
            Answer::unknown(header, arrival.ros, levels, vec![NamedRegion::whole_image()], &reason)
        };
        overdue.into_iter().map(answer).collect()
    }

    /// Forgets the images that wait for regions, and counts them.
    pub fn forget(&mut self, reason: DropReason) {
        let waiting = self.waiting.as_mut().map_or(0, Pairing::clear);
        self.drop_images(reason, waiting);
    }

    fn submit(&self, waiting: Waiting, regions: Vec<NamedRegion>, ready: Instant) {
        let Waiting { header, picture, arrival } = waiting;
        let request = Request { header, picture, regions, arrived: arrival.at, ready, received: arrival.ros };
        let replaced = self.shared.slots.push(self.index, request);
        self.drop_images(DropReason::Replaced, replaced.iter().count());
    }

    fn drop_images(&self, reason: DropReason, images: usize) {
        self.count(|statistics| statistics.dropped(reason, images));
    }

    fn count<T>(&self, action: impl FnOnce(&mut Statistics) -> T) -> T {
        self.shared.count(self.index, action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::health::statistics::Counts;
    use crate::node::inference::slots::Taken;
    use crate::node::parameters::names::CameraName;
    use crate::node::parameters::settings::Settings;
    use crate::node::parameters::table::Value;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    fn shared() -> Shared {
        Shared::new(Arc::new(Mutex::new(Settings::default())), &[CameraName::default()])
    }

    fn header(sec: i32) -> Header {
        Header { stamp: Stamp { sec, nanosec: 0 }, frame_id: "camera".into() }
    }

    fn show(camera: &mut Camera, sec: i32) -> Instant {
        let at = Instant::now();
        let picture = Picture::Compressed { format: String::new(), data: super::super::request::Bytes::new(vec![]) };
        camera.image(header(sec), picture, Arrival { at, ros: Stamp::default() });
        at
    }

    fn taken(shared: &Shared) -> Option<Request> {
        match shared.slots.take(Duration::ZERO) {
            Taken::Items(mut requests) => requests.pop().map(|(_, request)| request),
            Taken::TimedOut | Taken::Closed => None,
        }
    }

    fn counts(shared: &Shared) -> Counts {
        shared.count(0, |statistics| statistics.counts().clone())
    }

    #[test]
    fn without_regions_the_newest_whole_image_is_judged_and_the_others_are_counted() {
        let shared = shared();
        let mut camera = Camera::new(shared.clone(), 0, false);
        for sec in 1..=3 {
            show(&mut camera, sec);
        }
        let request = taken(&shared).unwrap();
        assert_eq!((request.header, request.regions), (header(3), vec![NamedRegion::whole_image()]));
        assert_eq!((counts(&shared).received, counts(&shared).dropped), (3, [(DropReason::Replaced, 2)].into()));
    }

    #[test]
    fn with_regions_an_image_waits_for_them_and_an_empty_array_counts() {
        let shared = shared();
        let mut camera = Camera::new(shared.clone(), 0, true);
        show(&mut camera, 1);
        assert!(taken(&shared).is_none());
        camera.regions(&header(1), vec![]);
        assert_eq!(taken(&shared).unwrap().regions, []);
    }

    #[test]
    fn an_image_without_regions_is_answered_unknown_once() {
        let shared = shared();
        shared.settings.lock().unwrap().set("regions_timeout_secs", Value::Double(0.2)).unwrap();
        let mut camera = Camera::new(shared.clone(), 0, true);
        let arrived = show(&mut camera, 1);
        assert!(camera.overdue(arrived + Duration::from_millis(199)).is_empty());
        let answers = camera.overdue(arrived + Duration::from_millis(200));
        assert_eq!(answers[0].header, header(1));
        assert!(answers[0].entries[0].outcome.as_ref().unwrap_err().contains("within 0.20 s"));
        assert!(camera.overdue(arrived + Duration::from_secs(9)).is_empty());
        camera.regions(&header(1), vec![]);
        assert!(taken(&shared).is_none());
        assert_eq!(counts(&shared).regions_missing, 1);
    }

    #[test]
    fn a_jump_back_in_time_forgets_what_waits() {
        let shared = shared();
        let mut camera = Camera::new(shared.clone(), 0, true);
        show(&mut camera, 100);
        show(&mut camera, 10);
        camera.regions(&header(100), vec![]);
        assert!(taken(&shared).is_none());
        camera.regions(&header(10), vec![]);
        assert_eq!(taken(&shared).unwrap().header, header(10));
        assert_eq!((counts(&shared).time_jumps, counts(&shared).dropped), (1, [(DropReason::TimeJump, 1)].into()));
    }

    #[test]
    fn while_judging_is_switched_off_images_are_counted() {
        let shared = shared();
        shared.enable(false);
        let mut camera = Camera::new(shared.clone(), 0, false);
        show(&mut camera, 1);
        assert!(taken(&shared).is_none());
        assert_eq!(counts(&shared).dropped, [(DropReason::Disabled, 1)].into());
    }
}
