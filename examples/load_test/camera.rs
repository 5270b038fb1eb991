//! Publishes images at a fixed rate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, ScopedJoinHandle, scope};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use activation_monitor::dataset::cdr::{RegionArray, RosMessage, Time};
use anyhow::{Context, Result, anyhow};
use r2r::{Node, PublisherUntyped, QosProfile};

use super::footage::{self, Footage};
use super::interrupted;
use super::options::Scenario;

/// Longest sleep between two looks whether to stop.
const NAP: Duration = Duration::from_millis(50);
/// Time between two reports of a camera that publishes alone.
const REPORT_SECS: f64 = 5.0;

/// A camera on its topics.
pub struct Camera {
    images: PublisherUntyped,
    regions: Option<PublisherUntyped>,
    footage: Footage,
    period: Duration,
    /// Time of the first image after the common start.
    offset: Duration,
    next: usize,
}

/// One published image.
#[derive(Debug, Clone, Copy)]
pub struct Shot {
    /// Its stamp: the time right before it was published.
    pub stamp: Time,
    /// How late it was published.
    pub late: Duration,
    /// How long publishing took.
    pub publishing: Duration,
}

/// Topics of one camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraTopics {
    /// Images.
    pub image: String,
    /// Regions.
    pub regions: String,
}

/// Now, as ROS time without simulation.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Camera {
    /// Advertises the topics of camera number `index` of the scenario.
    ///
    /// # Errors
    /// When ROS refuses a publisher.
    pub fn new(
        node: &mut Node,
        topics: &CameraTopics,
        footage: Footage,
        scenario: &Scenario,
        index: usize,
    ) -> Result<Self> {
        let qos = if scenario.reliable { QosProfile::default() } else { QosProfile::sensor_data() };
        let mut publisher = |topic: &str, message_type: &str| {
            node.create_publisher_untyped(topic, message_type, qos.clone())
                .with_context(|| format!("cannot publish {message_type} on {topic}"))
        };
        let images = publisher(&topics.image, footage.image_type)?;
        let regions = footage.regions.as_ref().map(|_| publisher(&topics.regions, RegionArray::TYPE)).transpose()?;
        let period = Duration::from_secs_f64(1.0 / scenario.rate_hz);
        let turn = index as f64 / f64::from(scenario.cameras);
        let offset = if scenario.stagger { period.mul_f64(turn) } else { Duration::ZERO };
        // Cameras do not see the same.
        Ok(Self { images, regions, footage, period, offset, next: index })
    }

    /// Number of nodes that listen.
    ///
    /// # Errors
    /// When ROS cannot tell.
    pub fn listeners(&self) -> Result<usize> {
        Ok(self.images.get_inter_process_subscription_count()?)
    }

    /// Publishes `count` images beginning at `start`, or fewer when told to stop.
    fn film(&mut self, start: Instant, count: usize, stop: &AtomicBool) -> Result<Vec<Shot>> {
        let mut shots = Vec::with_capacity(count);
        for index in 0..count {
            let due = start + self.offset + self.period.mul_f64(index as f64);
            if !sleep_until(due, stop) {
                break;
            }
            shots.push(self.shoot(due)?);
        }
        Ok(shots)
    }

    fn shoot(&mut self, due: Instant) -> Result<Shot> {
        let count = self.footage.images.len();
        let image = &mut self.footage.images[self.next % count];
        self.next += 1;
        let (begin, stamp) = (Instant::now(), now());
        footage::stamp(image, stamp);
        self.images.publish_raw(image)?;
        if let (Some(publisher), Some(regions)) = (&self.regions, &mut self.footage.regions) {
            footage::stamp(regions, stamp);
            publisher.publish_raw(regions)?;
        }
        Ok(Shot { stamp, late: begin.saturating_duration_since(due), publishing: begin.elapsed() })
    }
}

/// Every camera publishes `count` images on a thread of its own, beginning at `start`. Meanwhile `listen` runs on this
/// thread; it is given whether the cameras are still filming.
///
/// # Errors
/// When ROS refuses a message, or when `listen` fails; then the cameras stop, too.
pub fn film<T>(
    cameras: &mut [Camera],
    start: Instant,
    count: usize,
    listen: impl FnOnce(&dyn Fn() -> bool) -> Result<T>,
) -> Result<(Vec<Vec<Shot>>, T)> {
    let stop = &AtomicBool::new(false);
    scope(|scope| {
        let film = |camera: &mut Camera| camera.film(start, count, stop);
        let spawn = |camera| Builder::new().name("camera".into()).spawn_scoped(scope, move || film(camera));
        let threads = cameras.iter_mut().map(spawn).collect::<std::io::Result<Vec<_>>>()?;
        let listened = listen(&|| !threads.iter().all(ScopedJoinHandle::is_finished));
        // The scope waits for the cameras.
        stop.store(listened.is_err(), Ordering::Relaxed);
        let ended = threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a camera panicked"))?);
        let shots = ended.collect::<Result<_>>()?;
        Ok((shots, listened?))
    })
}

/// Publishes until the time is over or Ctrl-C, and says now and then how it goes.
///
/// # Errors
/// When ROS refuses a message.
pub fn film_alone(cameras: &mut [Camera], rate_hz: f64, duration_secs: Option<f64>) -> Result<()> {
    let begin = Instant::now();
    let left = || duration_secs.map_or(REPORT_SECS, |secs| (secs - begin.elapsed().as_secs_f64()).min(REPORT_SECS));
    while !interrupted() && left() > 0.0 {
        let (start, count) = (Instant::now(), ((left() * rate_hz).round() as usize).max(1));
        let (shots, ()) = film(cameras, start, count, |_| Ok(()))?;
        let listeners = cameras.iter().map(Camera::listeners).sum::<Result<usize>>()?;
        let images: usize = shots.iter().map(Vec::len).sum();
        eprintln!("{images} images in {:.1} s, {listeners} listener(s)", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Whether the time came; false when told to stop before.
fn sleep_until(due: Instant, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) || interrupted() {
            return false;
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(NAP));
    }
}
