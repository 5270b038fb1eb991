//! What the inference thread shares with the rest of the node.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::slots::Slots;
use crate::counters::statistics::Statistics;
use crate::intake::request::Task;
use crate::parameters::names::CameraName;
use crate::parameters::settings::Settings;
use crate::parameters::typed::{CameraSettings, Tuning};

/// Everything that several threads of a configured node use. Copies share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Newest image of every camera, and the answers that are known without inference.
    pub slots: Arc<Slots<Task>>,
    /// Parameters.
    pub settings: Arc<Mutex<Settings>>,
    cameras: Arc<[CameraName]>,
    statistics: Arc<[Mutex<Statistics>]>,
    work: Arc<Mutex<Option<Instant>>>,
    enabled: Arc<AtomicBool>,
    streams_begun: Arc<AtomicU64>,
}

impl Shared {
    /// No image yet, nothing counted.
    #[must_use]
    pub fn new(settings: Arc<Mutex<Settings>>, cameras: &[CameraName]) -> Self {
        Self {
            slots: Arc::new(Slots::new(cameras.len())),
            settings,
            cameras: cameras.into(),
            statistics: cameras.iter().map(|_| Mutex::default()).collect(),
            work: Arc::default(),
            enabled: Arc::new(AtomicBool::new(true)),
            streams_begun: Arc::default(),
        }
    }

    /// The same for images of which every one is judged, however long it takes.
    #[must_use]
    pub fn keeping_all(settings: Settings, cameras: &[CameraName]) -> Self {
        let slots = Arc::new(Slots::keeping_all(cameras.len()));
        Self { slots, ..Self::new(Arc::new(Mutex::new(settings)), cameras) }
    }

    /// The parameters that may change while images are judged.
    #[must_use]
    pub fn tuning(&self) -> Tuning {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).tuning()
    }

    /// The parameters of a camera as they are now.
    #[must_use]
    pub fn camera(&self, camera: usize) -> CameraSettings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).camera(&self.cameras[camera])
    }

    /// Runs `action` on the counters of a camera.
    pub fn count<T>(&self, camera: usize, action: impl FnOnce(&mut Statistics) -> T) -> T {
        action(&mut self.statistics[camera].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The cameras.
    #[must_use]
    pub fn cameras(&self) -> &[CameraName] {
        &self.cameras
    }

    /// Notes that inference begins with some images, or that it has done with them.
    pub fn note_work(&self, since: Option<Instant>) {
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// How long the images in work have been with the inference thread; `None` when it waits for some.
    #[must_use]
    pub fn age_of_work(&self, now: Instant) -> Option<Duration> {
        let since = *self.work.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| now.saturating_duration_since(since))
    }

    /// Whether images are judged; see the service `~/enable`.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Lets all streams begin anew with the next image: nothing is known of any object, and there is no evidence.
    pub fn begin_new_streams(&self) {
        self.streams_begun.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was done.
    #[must_use]
    pub fn streams_begun(&self) -> u64 {
        self.streams_begun.load(Ordering::Relaxed)
    }

    /// Switches judging on or off.
    pub fn enable(&self, on: bool) {
        self.enabled.store(on, Ordering::Relaxed);
    }
}
