//! Starts the node, runs it and takes it apart.

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::executor::LocalPool;

use super::engine;
use super::managed::Managed;
use super::signals;
use crate::node::health::reporter::Reporter;
use crate::node::health::transport;
use crate::node::health::{logging, lookup};
use crate::node::input::names::Names;
use crate::node::parameters::arguments::Arguments;
use crate::node::parameters::server::ParameterServer;
use crate::node::player::{self, Playing};
use crate::panics;
use crate::parameters::overrides::{self, Overrides};
use crate::parameters::reference::NODE_NAME;
use crate::parameters::settings::Settings;

/// Longest wait for a message; bounds how late a signal or an overdue image is seen.
const WAIT: Duration = Duration::from_millis(20);

/// Runs the node with the arguments of the process until a signal ends it.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let asked = Arguments::parse_process(&arguments);
    if let Some(format) = asked.describe {
        print!("{}", format.table());
        return ExitCode::SUCCESS;
    }
    if asked.list_topics {
        return lookup::print_topics();
    }
    if let (Some(bag), Some(record)) = (&asked.play, &asked.record) {
        let regions_timeout = Duration::try_from_secs_f64(asked.regions_timeout_secs).unwrap_or_default();
        return player::main(&Playing { bag, record, cameras: &asked.cameras, regions_timeout });
    }
    let ended = run(&arguments);
    if let Err(error) = &ended {
        tracing::error!("{error:#}");
    }
    let code = u8::from(ended.is_err());
    if engine::is_any_at_work() {
        signals::leave(code);
    }
    ExitCode::from(code)
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    // Before anything else: it may set variables of the environment, which only a single thread may do.
    let transport = transport::prepare();
    crate::memory::keep_freed();
    logging::forward_to_ros(NODE_NAME);
    let context = create_context()?;
    let mut node = r2r::Node::create(context, NODE_NAME, "").context("cannot create the node")?;
    logging::publish_to_rosout(&mut node)?;
    let transport = transport.confirm();
    let settings = read_settings(&node, arguments)?;
    let stop = signals::listen().context("cannot listen for signals")?;
    let names = Names::new(&node.name()?, &node.namespace()?, arguments);
    let period = Duration::from_secs_f64(settings.double("diagnostics_period_secs"));
    let pool = LocalPool::new();
    let autostart = settings.bool("autostart");
    let settings = Arc::new(Mutex::new(settings));
    let reporter = Reporter::new(&mut node, names.clone(), Arc::clone(&settings), transport, period)?;
    let parameters = ParameterServer::new(&mut node, Arc::clone(&settings))?;
    let mut managed = Managed::new(&mut node, pool.spawner(), names, settings)?;
    if autostart {
        managed.start_by_itself();
    }
    spin(node, pool, managed, parameters, reporter, &stop)
}

/// Spins until a signal comes or a lifecycle manager shuts the node down.
///
/// r2r hands messages over in channels that hold ten and then drop the *newest*, so they are emptied after every step of
/// the node, on the same thread.
fn spin(
    mut node: r2r::Node,
    mut pool: LocalPool,
    mut managed: Managed,
    mut parameters: ParameterServer,
    mut reporter: Reporter,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) && !managed.is_finalized() {
        node.spin_once(WAIT);
        pool.run_until_stalled();
        let now = Instant::now();
        parameters.poll(&mut node, &managed);
        managed.step(&mut node, now);
        reporter.report_when_due(&node, now, &managed.situation());
    }
    drop(reporter);
    managed.end(&mut node)
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
            let reason = panics::message(&*panic).unwrap_or("unknown reason");
            Err(anyhow::anyhow!("ROS refuses the arguments after --ros-args: {reason}"))
        }
    }
}

fn read_settings(node: &r2r::Node, arguments: &[String]) -> anyhow::Result<Settings> {
    let (mut settings, given, node) = (Settings::default(), Overrides::read(arguments)?, node.fully_qualified_name()?);
    for sentence in given.missed(&node).into_iter().chain(overrides::apply(given.of_node(&node), &mut settings)?) {
        tracing::warn!("{sentence}");
    }
    Ok(settings)
}
