//! What a configured node has: model and monitor on the inference thread, outputs, viewer, cameras.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::executor::LocalSpawner;
use image::RgbImage;

use crate::black_box::{BlackBox, Counts, NewestError};
use crate::counters::statistics::{DropReason, Statistics};
use crate::frame::Region;
use crate::inference::batch::PipelineJudge;
use crate::inference::evidence::Judged;
use crate::inference::messages::Identity;
use crate::inference::shared::Shared;
use crate::inference::worker::{self, Sink};
use crate::intake::camera::Camera;
use crate::intake::request::Answer;
use crate::monitor::{Monitor, short_id};
use crate::node::input::names::Names;
use crate::node::input::subscriptions::{Subscriptions, check_types, subscribe};
use crate::node::output::overlay::{Overlays, ToOverlays};
use crate::node::output::publishers::Outputs;
use crate::node::output::recording::{self, Recording, Topics};
use crate::node::output::view::{self, View};
use crate::node::parameters::server::profile;
use crate::node::thread::ends_within;
use crate::parameters::qos::{Durability, Qos, Role};
use crate::parameters::settings::Settings;
use crate::parameters::typed::CameraSettings;
use crate::pipeline::Pipeline;
use crate::viewer::Viewer;

/// How long the images in work may take when the node ends or is cleaned up.
const LAST_IMAGE: Duration = Duration::from_secs(5);
/// How long the viewer may take to write what still waits.
const LAST_FRAMES: Duration = Duration::from_secs(3);

/// What is known of model and monitor once they are loaded.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Device the model runs on.
    pub device: String,
    /// SHA-256 of the model.
    pub model_sha256: String,
    /// Class names of the model.
    pub classes: Vec<String>,
    /// Folder of the model, as the parameter says.
    pub model: String,
    /// Monitor file; `None` when classifying only.
    pub monitor: Option<String>,
    /// First digits of the SHA-256 of the monitor; empty without one.
    pub monitor_id: String,
    /// Smallest fused p-value that the monitor can give, 0..1; `None` without one.
    pub smallest_p_value: Option<f32>,
    /// Smallest alarm level at which images of every class can raise an alarm, 0..1.
    pub reachable_alarm_level: Option<f32>,
    /// What a user must know of the monitor, in sentences.
    pub notes: Vec<String>,
}

/// Inference threads of this process that have not ended: one that hangs is given up, but it cannot be stopped.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// Counts an inference thread for as long as it lives.
struct AtWork;

/// Whether an inference thread has not ended.
#[must_use]
pub fn is_any_at_work() -> bool {
    AT_WORK.load(Ordering::Relaxed) > 0
}

/// Model and monitor on their way into memory. The thread that loads them is the one that will judge: libtorch prepares
/// itself per thread.
pub struct Loading {
    settings: Settings,
    thread: JoinHandle<()>,
    loaded: Receiver<anyhow::Result<Loaded>>,
    begin: SyncSender<Begin>,
}

/// What came of loading.
pub struct Loaded {
    facts: Facts,
    viewer: Option<Arc<Viewer>>,
    black_box: Option<Arc<BlackBox>>,
}

/// What the inference thread needs besides the pipeline.
struct Begin {
    shared: Shared,
    outputs: Outputs,
    overlays: ToOverlays,
    view: Option<View>,
    recording: Option<Recording>,
}

/// A configured node.
pub struct Engine {
    /// What its threads share.
    pub shared: Shared,
    /// What was loaded.
    pub facts: Facts,
    /// The live view, where there is one.
    pub viewer: Option<Arc<Viewer>>,
    /// The black box, where there is one.
    pub black_box: Option<Arc<BlackBox>>,
    /// The cameras.
    pub lines: Vec<Line>,
    outputs: Outputs,
    overlays: Overlays,
    inference: JoinHandle<()>,
}

/// One camera of a configured node.
pub struct Line {
    /// Its parameters when the node was configured.
    pub settings: CameraSettings,
    camera: Rc<RefCell<Camera>>,
    subscriptions: Option<Subscriptions>,
}

impl AtWork {
    fn begin() -> Self {
        AT_WORK.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Loading {
    /// Begins to load what `settings` name.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let (send_loaded, loaded) = sync_channel(1);
        let (begin, wait_for_begin) = sync_channel(1);
        let of_thread = settings.clone();
        let at_work = AtWork::begin();
        let work = move || {
            infer(&of_thread, &send_loaded, &wait_for_begin);
            drop(at_work);
        };
        let thread = std::thread::Builder::new().name("inference".into()).spawn(work)?;
        Ok(Self { settings, thread, loaded, begin })
    }

    /// What came of it; `None` while it is still under way. Never waits.
    pub fn result(&self) -> Option<anyhow::Result<Loaded>> {
        match self.loaded.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(anyhow::anyhow!("the inference thread ended while loading"))),
        }
    }
}

/// The inference thread: loads, warms up, and judges once the rest of the node is ready.
fn infer(settings: &Settings, loaded: &SyncSender<anyhow::Result<Loaded>>, begin: &Receiver<Begin>) {
    let (result, pipeline) = match prepare(settings) {
        Ok((loaded, pipeline)) => (Ok(loaded), Some(pipeline)),
        Err(error) => (Err(error), None),
    };
    // Nobody listens any more, and nobody begins, when the node is ending already.
    let heard = loaded.send(result).is_ok();
    let Some(pipeline) = pipeline.filter(|_| heard) else { return };
    if let Ok(Begin { shared, outputs, overlays, view, recording }) = begin.recv() {
        let mut sink = Publishing { outputs, overlays, view, recording };
        worker::run(&shared, &mut PipelineJudge(pipeline), &mut sink);
    }
}

fn prepare(settings: &Settings) -> anyhow::Result<(Loaded, Pipeline)> {
    settings.camera_names().iter().try_for_each(|name| check_types(&settings.camera(name)))?;
    let pipeline = load(settings)?;
    let blank = RgbImage::new(64, 64);
    let tuning = settings.tuning();
    // The first pass takes longer; its result says nothing.
    let _ = pipeline.judge_image(&blank, &[Region::WHOLE], &tuning.levels(), tuning.top_k);
    let viewer = view::start(settings, &pipeline).context("the viewer cannot start; set viewer to off")?;
    let facts = Facts {
        device: pipeline.classifier().device_name(),
        model_sha256: pipeline.classifier().sha256().to_owned(),
        classes: pipeline.classifier().manifest().classes.clone(),
        model: settings.text("model").to_owned(),
        monitor: settings.path("monitor").map(|path| path.display().to_string()),
        monitor_id: pipeline.monitor().map(|monitor| monitor.id().to_owned()).unwrap_or_default(),
        smallest_p_value: pipeline.monitor().map(Monitor::smallest_p_value),
        reachable_alarm_level: pipeline.monitor().map(Monitor::reachable_alarm_level),
        notes: pipeline.monitor().map_or_else(Vec::new, Monitor::notes),
    };
    for note in &facts.notes {
        tracing::info!("monitor: {note}");
    }
    let black_box = recording::start(settings, short_id(&facts.model_sha256), &facts.monitor_id)
        .context("nothing can be recorded; set record to off, or record_path to another folder")?;
    Ok((Loaded { facts, viewer, black_box }, pipeline))
}

fn load(settings: &Settings) -> anyhow::Result<Pipeline> {
    let model = settings.path("model").context(
        "the parameter `model` is not set: give a folder with model.pt and model.json, for example \
         --ros-args -p model:=models/traffic_signs",
    )?;
    let device = settings.text("device").parse().map_err(anyhow::Error::msg).context("parameter `device`")?;
    let start = Instant::now();
    let pipeline = Pipeline::load(&model, settings.path("monitor").as_deref(), &device)?;
    let (name, device) = (&pipeline.classifier().manifest().name, pipeline.classifier().device_name());
    tracing::info!("model {name} runs on {device}, loaded in {:.1} s", start.elapsed().as_secs_f64());
    if pipeline.monitor().is_none() {
        tracing::warn!("no monitor loaded: every verdict is UNKNOWN; set the parameter `monitor`");
    }
    Ok(pipeline)
}

impl Engine {
    /// Gives what was loaded its outputs and cameras, and lets inference begin.
    ///
    /// # Errors
    /// When ROS refuses a publisher.
    pub fn new(
        node: &mut r2r::Node,
        loading: Loading,
        Loaded { facts, viewer, black_box }: Loaded,
        settings: &Arc<Mutex<Settings>>,
        names: &Names,
    ) -> anyhow::Result<Self> {
        let configured = &loading.settings;
        let cameras = configured.camera_names();
        let identity = Identity::new(&facts.classes, short_id(&facts.model_sha256), &facts.monitor_id);
        let usual = Qos::of(configured.reliability("output_qos"));
        let qos = |topic: &str, durability: Durability| {
            let default = match durability {
                Durability::Volatile => usual,
                Durability::TransientLocal => Qos::latched(),
            };
            profile(configured.qos(&names.resolve(topic), Role::Publisher, default))
        };
        let outputs = Outputs::new(node, &cameras, qos, identity.clone())?;
        let shared = Shared::new(Arc::clone(settings), &cameras);
        let volatile = |topic: &str| qos(topic, Durability::Volatile);
        let classes: Arc<[String]> = facts.classes.clone().into();
        let (overlays, to_overlays) = Overlays::start(node, &cameras, volatile, &shared, Arc::clone(&classes))?;
        let view = viewer.clone().map(|viewer| View::new(viewer, shared.clone(), classes));
        let camera = |name| configured.camera(name).with_qos_overrides(configured, |topic| names.resolve(topic));
        let line = |(index, name)| Line::new(&shared, index, camera(name));
        let lines: Vec<Line> = cameras.iter().enumerate().map(line).collect();
        let recording = black_box.clone().map(|black_box| {
            let topics = lines.iter().map(|line| topics(&line.settings, names)).collect();
            Recording::new(black_box, identity, topics)
        });
        let begin = Begin { shared: shared.clone(), outputs: outputs.clone(), overlays: to_overlays, view, recording };
        loading.begin.send(begin).map_err(|_| anyhow::anyhow!("the inference thread ended before it began"))?;
        Ok(Self { shared, facts, viewer, black_box, lines, outputs, overlays, inference: loading.thread })
    }

    /// Subscribes to the cameras.
    ///
    /// # Errors
    /// When ROS refuses a subscription; then there is none at all.
    pub fn activate(&mut self, node: &mut r2r::Node, spawner: &LocalSpawner) -> anyhow::Result<()> {
        let subscribed = self.lines.iter_mut().try_for_each(|line| line.subscribe(node, spawner));
        if subscribed.is_err() {
            self.deactivate();
        }
        subscribed
    }

    /// Ends the subscriptions and drops, counted, what waits.
    pub fn deactivate(&mut self) {
        for line in &mut self.lines {
            line.subscriptions = None;
        }
        self.forget();
    }

    /// Begins afresh: drops, counted, what waits, and forgets the latencies, the objects and the evidence for a change. Counters stay.
    pub fn reset(&self) {
        self.forget();
        self.shared.begin_new_streams();
        for camera in 0..self.lines.len() {
            self.shared.count(camera, Statistics::forget_pace);
        }
    }

    /// Drops, counted, what waits: for its regions or for its turn.
    fn forget(&self) {
        for line in &self.lines {
            line.camera.borrow_mut().forget(DropReason::Ended);
        }
        for (camera, _) in self.shared.slots.drain() {
            self.shared.count(camera, |statistics| statistics.dropped(DropReason::Ended, 1));
        }
    }

    /// Lets go of images and regions that have waited long enough for each other.
    pub fn tick(&self, now: Instant) {
        self.lines.iter().for_each(|line| line.camera.borrow_mut().tick(now));
    }

    /// Whether the inference thread still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.inference.is_finished()
    }

    /// Lets the images in work be finished and the viewer write what waits, both for a bounded time, and lets go of
    /// everything. Returns whether the inference thread ended as it should.
    pub fn end(mut self, node: &mut r2r::Node) -> bool {
        self.deactivate();
        self.shared.slots.close();
        let ended = ends_within(&self.inference, LAST_IMAGE);
        let well = if ended {
            self.inference.join().is_ok()
        } else {
            tracing::warn!("the images in work take too long and are given up");
            true
        };
        end_viewer(self.viewer);
        end_black_box(self.black_box);
        log_counts(&self.shared, &self.lines);
        self.overlays.end(node);
        if ended {
            self.outputs.destroy(node);
        }
        well
    }
}

fn end_viewer(viewer: Option<Arc<Viewer>>) {
    if let Some(viewer) = viewer.and_then(Arc::into_inner)
        && !viewer.finish(LAST_FRAMES)
    {
        tracing::warn!("the viewer did not take everything in time");
    }
}

/// Completes the event in work, for a bounded time.
fn end_black_box(black_box: Option<Arc<BlackBox>>) {
    if let Some(black_box) = black_box.and_then(Arc::into_inner)
        && let Counts { error: Some(NewestError { text, .. }), .. } = black_box.finish()
    {
        tracing::warn!("black box: {text}");
    }
}

fn topics(camera: &CameraSettings, names: &Names) -> Topics {
    let full = |topic: &str| Arc::from(names.resolve(topic));
    Topics {
        images: full(&camera.image_topic),
        regions: camera.regions_topic.as_deref().map(full),
        outputs: ["classification", "ood", "stream_state"].map(|output| full(&camera.name.topic(output))),
    }
}

fn log_counts(shared: &Shared, lines: &[Line]) {
    for (camera, line) in lines.iter().enumerate() {
        let counts = shared.count(camera, |statistics| statistics.counts().clone());
        let (received, judged, dropped) = (counts.received, counts.judged, counts.dropped_total());
        tracing::info!("{}: {received} images received, {judged} judged, {dropped} dropped", line.settings.name);
    }
}

impl Line {
    fn new(shared: &Shared, index: usize, settings: CameraSettings) -> Self {
        let camera = Camera::new(shared.clone(), index, settings.regions_topic.is_some());
        Self { settings, camera: Rc::new(RefCell::new(camera)), subscriptions: None }
    }

    fn subscribe(&mut self, node: &mut r2r::Node, spawner: &LocalSpawner) -> anyhow::Result<()> {
        self.subscriptions = Some(subscribe(node, spawner, &self.settings, &self.camera)?);
        Ok(())
    }
}

/// Where the inference thread sends what it finds out.
struct Publishing {
    outputs: Outputs,
    overlays: ToOverlays,
    view: Option<View>,
    recording: Option<Recording>,
}

impl Sink for Publishing {
    fn publish(&mut self, camera: usize, answer: &Answer) {
        let published = self.outputs.publish(camera, answer);
        if let Some(recording) = &mut self.recording {
            recording.answered(camera, answer, published);
        }
    }

    fn show(&mut self, camera: usize, judged: Judged) {
        self.overlays.show(camera, &judged);
        if let Some(recording) = &self.recording {
            recording.seen(camera, &judged);
        }
        if let Some(view) = &mut self.view {
            view.show(camera, judged);
        }
    }
}
