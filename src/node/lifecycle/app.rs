//! Puts the node together, runs it and takes it apart.

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use image::RgbImage;

use super::signals;
use super::spin::Spinner;
use crate::frame::{Frame, Region};
use crate::monitor::Levels;
use crate::node::health::diagnostics::InferenceHealth;
use crate::node::health::logging;
use crate::node::health::reporter::Reporter;
use crate::node::inference::worker::{self, Judge, Shared};
use crate::node::input::endpoints::Subscription;
use crate::node::input::names::Names;
use crate::node::output::publishers::Outputs;
use crate::node::output::view::{self, View};
use crate::node::parameters::arguments::Arguments;
use crate::node::parameters::reference::NODE_NAME;
use crate::node::parameters::service as ros_parameters;
use crate::node::parameters::settings::{Settings, Transport, Tuning};
use crate::pipeline::{Pipeline, PipelineOutput};
use crate::viewer::Viewer;

/// How long the image in work may take when the node ends.
const LAST_IMAGE: Duration = Duration::from_secs(5);
/// How long the viewer may take to write what still waits.
const LAST_FRAMES: Duration = Duration::from_secs(3);

/// Runs the node with the arguments of the process until a signal ends it.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let Some(format) = Arguments::parse_process(&arguments).describe {
        print!("{}", format.table());
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    logging::forward_to_ros(NODE_NAME);
    let context = create_context()?;
    let mut node = r2r::Node::create(context, NODE_NAME, "").context("cannot create the node")?;
    logging::publish_to_rosout(&mut node)?;
    let settings = read_settings(&node)?;
    // Before the model, which takes a while to load: a signal in that time counts.
    let stop = signals::listen().context("cannot listen for signals")?;
    let pipeline = load(&settings)?;
    let classes: Arc<[String]> = pipeline.classifier().manifest().classes.clone().into();
    let viewer = view::start(&settings, &pipeline).context("the viewer cannot start; set viewer to off")?;
    let outputs = Outputs::new(&mut node, settings.reliability("output_qos"), Arc::clone(&classes))?;
    let health = inference_health(&settings, &pipeline);
    let subscriptions = subscriptions(&settings, &names(&node, arguments)?);
    let shared = Shared::new(settings.clone());
    let period = Duration::from_secs_f64(settings.double("diagnostics_period_secs"));
    let mut reporter = Reporter::new(&mut node, shared.clone(), subscriptions.clone(), health, viewer.clone(), period)?;
    let view = viewer.clone().map(|viewer| View::new(viewer, shared.clone(), classes));
    let inference = start_inference(&shared, pipeline, outputs.clone(), view)?;

    let mut spinner = Spinner::new(node, &settings, &shared)?;
    for Subscription { topic, message_type, .. } in &subscriptions {
        tracing::info!("listening to {topic} ({message_type})");
    }
    spinner.run(&outputs, &mut reporter, || !stop.load(Ordering::Relaxed) && !inference.is_finished());
    drop(reporter);
    end(&shared, inference, viewer, &stop)
}

/// r2r panics where rcl refuses the arguments, for example a params file that does not exist.
fn create_context() -> anyhow::Result<r2r::Context> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let created = std::panic::catch_unwind(r2r::Context::create);
    std::panic::set_hook(hook);
    match created {
        Ok(context) => context.context("ROS cannot start"),
        Err(panic) => {
            let reason = panic.downcast_ref::<String>().map_or("unknown reason", String::as_str);
            Err(anyhow::anyhow!("ROS refuses the arguments after --ros-args: {reason}"))
        }
    }
}

fn read_settings(node: &r2r::Node) -> anyhow::Result<Settings> {
    let mut settings = Settings::default();
    let given = node.params.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for name in ros_parameters::read(&given, &mut settings)? {
        tracing::warn!("there is no parameter `{name}`, it is ignored; `monitor_node --help` lists them");
    }
    Ok(settings)
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

fn inference_health(settings: &Settings, pipeline: &Pipeline) -> InferenceHealth {
    InferenceHealth {
        device: pipeline.classifier().device_name(),
        model: settings.text("model").to_owned(),
        model_sha256: pipeline.classifier().sha256().to_owned(),
        monitor: settings.path("monitor").map(|path| path.display().to_string()),
        pace: None,
    }
}

fn names(node: &r2r::Node, arguments: &[String]) -> anyhow::Result<Names> {
    Ok(Names::new(&node.name()?, &node.namespace()?, arguments))
}

/// What the node subscribes to, images first.
fn subscriptions(settings: &Settings, names: &Names) -> Vec<Subscription> {
    let message_type = match settings.transport() {
        Transport::Raw => "sensor_msgs/msg/Image",
        Transport::Compressed => "sensor_msgs/msg/CompressedImage",
    };
    let topics = [("image_topic", message_type), ("regions_topic", "activation_monitor/msg/RegionArray")];
    let wanted = topics.into_iter().filter(|(parameter, _)| !settings.text(parameter).is_empty());
    let subscription = |(parameter, message_type)| Subscription {
        topic: names.resolve(settings.text(parameter)),
        message_type,
        reliability: settings.reliability("image_qos"),
    };
    wanted.map(subscription).collect()
}

/// The pipeline as the inference thread uses it.
struct PipelineJudge(Pipeline);

impl Judge for PipelineJudge {
    fn judge(&mut self, frame: &Frame<'_>, regions: &[Region], tuning: &Tuning) -> PipelineOutput {
        let levels = Levels { suspect: tuning.suspect_level, alarm: tuning.alarm_level };
        self.0.judge_image(frame, regions, &levels, tuning.top_k)
    }
}

/// Starts the inference thread and waits until it is warm: libtorch prepares itself per thread.
fn start_inference(
    shared: &Shared,
    pipeline: Pipeline,
    outputs: Outputs,
    mut view: Option<View>,
) -> anyhow::Result<JoinHandle<()>> {
    let (shared, mut judge) = (shared.clone(), PipelineJudge(pipeline));
    let (warm, wait_until_warm) = sync_channel(1);
    let work = move || {
        let blank = Frame::from(RgbImage::new(64, 64));
        judge.judge(&blank, &[Region::WHOLE], &shared.tuning());
        // Nobody waits any more when the node is ending already.
        let _ = warm.try_send(());
        let publish = |answer: &_| outputs.publish(answer);
        worker::run(&shared, &mut judge, publish, |judged| {
            if let Some(view) = &mut view {
                view.show(judged);
            }
        });
    };
    let thread = std::thread::Builder::new().name("inference".into()).spawn(work)?;
    wait_until_warm.recv().context("the inference thread ended during warm-up")?;
    Ok(thread)
}

/// Lets the image in work be finished and the viewer write what waits, both for a bounded time.
fn end(
    shared: &Shared,
    inference: JoinHandle<()>,
    viewer: Option<Arc<Viewer>>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let asked = stop.load(Ordering::Relaxed);
    shared.slot.close();
    let deadline = Instant::now() + LAST_IMAGE;
    while !inference.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    if inference.is_finished() {
        let ended = inference.join();
        anyhow::ensure!(asked && ended.is_ok(), "the inference thread ended unexpectedly; restart the node");
    } else {
        tracing::warn!("the image in work takes too long and is given up");
    }
    if let Some(viewer) = viewer.and_then(Arc::into_inner)
        && !viewer.finish(LAST_FRAMES)
    {
        tracing::warn!("the viewer did not take everything in time");
    }
    let counts = shared.count(|statistics| statistics.counts().clone());
    tracing::info!("{} images received, {} judged, {} dropped", counts.received, counts.judged, counts.dropped);
    Ok(())
}
