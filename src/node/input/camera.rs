//! What happens to the messages of one camera before inference: pairing with regions, dropping, jumps in time.

use std::time::Instant;

use super::pairing::{Added, Pairing, Stamp};
use super::request::{Answer, Header, NamedRegion, Picture, Request};
use crate::node::inference::worker::Shared;

/// Images that wait for their regions at most.
const MAX_WAITING: usize = 32;

/// The way of one camera's messages into the slot of the inference thread.
#[derive(Debug)]
pub struct Camera {
    shared: Shared,
    waiting: Option<Pairing<Waiting, Vec<NamedRegion>>>,
}

#[derive(Debug)]
struct Waiting {
    header: Header,
    picture: Picture,
    arrived: Instant,
}

impl Camera {
    /// A camera whose images wait for regions when `with_regions`, and are judged whole otherwise.
    #[must_use]
    pub fn new(shared: Shared, with_regions: bool) -> Self {
        Self { shared, waiting: with_regions.then(|| Pairing::new(MAX_WAITING)) }
    }

    /// Takes an image that arrived at `arrived`.
    pub fn image(&mut self, header: Header, picture: Picture, arrived: Instant) {
        let jumped = self.shared.count(|statistics| statistics.arrived(header.stamp, arrived));
        if jumped {
            tracing::info!("the stamps jumped back in time (a bag that starts again?): starting afresh");
            self.forget();
        }
        let stamp = header.stamp;
        let waiting = Waiting { header, picture, arrived };
        let Some(pairing) = &mut self.waiting else {
            return self.submit(waiting, vec![NamedRegion::whole_image()]);
        };
        match pairing.add_image(stamp, waiting, arrived) {
            Added::Paired(waiting, regions) => self.submit(waiting, regions),
            Added::Waits { evicted } => self.shared.count(|statistics| statistics.dropped(evicted.iter().count())),
        }
    }

    /// Takes the regions of the image with that stamp.
    pub fn regions(&mut self, stamp: Stamp, regions: Vec<NamedRegion>) {
        self.shared.count(|statistics| statistics.region_array());
        let paired = self.waiting.as_mut().and_then(|pairing| pairing.add_regions(stamp, regions));
        if let Some((waiting, regions)) = paired {
            self.submit(waiting, regions);
        }
    }

    /// Answers for the images whose regions did not come in time.
    #[must_use]
    pub fn overdue(&mut self, now: Instant) -> Vec<Answer> {
        let Some(pairing) = &mut self.waiting else { return Vec::new() };
        let timeout = self.shared.tuning().regions_timeout;
        let overdue = pairing.expired(now, timeout);
        let reason = format!("no regions with the stamp of the image within {:.2} s", timeout.as_secs_f64());
        let answer = |waiting: Waiting| {
            self.shared.count(|statistics| {
                statistics.regions_missing();
                statistics.unknown("no regions in time");
                statistics.judged(now, now.saturating_duration_since(waiting.arrived));
            });
            Answer::unknown(waiting.header, vec![NamedRegion::whole_image()], &reason)
        };
        overdue.into_iter().map(answer).collect()
    }

    fn submit(&self, waiting: Waiting, regions: Vec<NamedRegion>) {
        let Waiting { header, picture, arrived } = waiting;
        let replaced = self.shared.slot.push(Request { header, picture, regions, arrived });
        self.shared.count(|statistics| statistics.dropped(replaced.iter().count()));
    }

    /// Images from before a jump will not get regions any more.
    fn forget(&mut self) {
        let waiting = self.waiting.as_mut().map_or(0, Pairing::clear);
        self.shared.count(|statistics| statistics.dropped(waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::parameters::settings::Settings;
    use crate::node::parameters::table::Value;
    use crate::queue::Popped;
    use std::time::Duration;

    fn shared() -> Shared {
        Shared::new(Settings::default())
    }

    fn header(sec: i32) -> Header {
        Header { stamp: Stamp { sec, nanosec: 0 }, frame_id: "camera".into() }
    }

    fn show(camera: &mut Camera, sec: i32) -> Instant {
        let now = Instant::now();
        camera.image(header(sec), Picture::Compressed { format: String::new(), data: vec![] }, now);
        now
    }

    fn taken(shared: &Shared) -> Option<Request> {
        match shared.slot.pop(Duration::ZERO) {
            Popped::Item(request) => Some(request),
            Popped::TimedOut | Popped::Closed => None,
        }
    }

    #[test]
    fn without_regions_the_newest_whole_image_is_judged_and_the_others_are_counted() {
        let shared = shared();
        let mut camera = Camera::new(shared.clone(), false);
        for sec in 1..=3 {
            show(&mut camera, sec);
        }
        let request = taken(&shared).unwrap();
        assert_eq!((request.header, request.regions), (header(3), vec![NamedRegion::whole_image()]));
        let counts = shared.count(|statistics| statistics.counts().clone());
        assert_eq!((counts.received, counts.dropped), (3, 2));
    }

    #[test]
    fn with_regions_an_image_waits_for_them_and_an_empty_array_counts() {
        let shared = shared();
        let mut camera = Camera::new(shared.clone(), true);
        show(&mut camera, 1);
        assert!(taken(&shared).is_none());
        camera.regions(header(1).stamp, vec![]);
        assert_eq!(taken(&shared).unwrap().regions, []);
    }

    #[test]
    fn an_image_without_regions_is_answered_unknown_once() {
        let shared = shared();
        shared.settings.lock().unwrap().set("regions_timeout_secs", Value::Double(0.2)).unwrap();
        let mut camera = Camera::new(shared.clone(), true);
        let arrived = show(&mut camera, 1);
        assert!(camera.overdue(arrived + Duration::from_millis(199)).is_empty());
        let answers = camera.overdue(arrived + Duration::from_millis(200));
        assert_eq!(answers[0].header, header(1));
        assert!(answers[0].entries[0].outcome.as_ref().unwrap_err().contains("within 0.20 s"));
        assert!(camera.overdue(arrived + Duration::from_secs(9)).is_empty());
        camera.regions(header(1).stamp, vec![]);
        assert!(taken(&shared).is_none());
        assert_eq!(shared.count(|statistics| statistics.counts().regions_missing), 1);
    }

    #[test]
    fn a_jump_back_in_time_forgets_what_waits() {
        let shared = shared();
        let mut camera = Camera::new(shared.clone(), true);
        show(&mut camera, 100);
        show(&mut camera, 10);
        camera.regions(header(100).stamp, vec![]);
        assert!(taken(&shared).is_none());
        camera.regions(header(10).stamp, vec![]);
        assert_eq!(taken(&shared).unwrap().header, header(10));
        let counts = shared.count(|statistics| statistics.counts().clone());
        assert_eq!((counts.time_jumps, counts.dropped), (1, 1));
    }
}
