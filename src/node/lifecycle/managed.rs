//! The managed node: what its transitions do, and what happens between them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::executor::LocalSpawner;
use r2r::QosProfile;
use r2r::std_srvs::srv::{SetBool, Trigger};

use super::engine::{Engine, Loading};
use super::machine::{Request, State};
use super::server::LifecycleServer;
use crate::black_box;
use crate::node::health::reporter::{Situation, subscriptions};
use crate::node::input::endpoints::Subscription;
use crate::node::input::names::Names;
use crate::node::output::publishers::{OUTPUTS, RosClock};
use crate::node::parameters::store::{Rules, check_alarm_level};
use crate::node::service::Service;
use crate::parameters::qos::Role;
use crate::parameters::settings::{Settings, Stage};

/// Lifecycle, and what the node has in its present state.
pub struct Managed {
    spawner: LocalSpawner,
    names: Names,
    settings: Arc<Mutex<Settings>>,
    lifecycle: LifecycleServer,
    enable: Service<SetBool::Service>,
    reset: Service<Trigger::Service>,
    save_event: Service<Trigger::Service>,
    clock: RosClock,
    loading: Option<Loading>,
    engine: Option<Engine>,
    failure: Option<String>,
    activate_when_configured: bool,
}

impl Managed {
    /// An unconfigured node that offers its services.
    ///
    /// # Errors
    /// When ROS refuses a service.
    pub fn new(
        node: &mut r2r::Node,
        spawner: LocalSpawner,
        names: Names,
        settings: Arc<Mutex<Settings>>,
    ) -> r2r::Result<Self> {
        Ok(Self {
            lifecycle: LifecycleServer::new(node)?,
            enable: Service::new(node, "~/enable", QosProfile::services_default())?,
            reset: Service::new(node, "~/reset", QosProfile::services_default())?,
            save_event: Service::new(node, "~/save_event", QosProfile::services_default())?,
            clock: RosClock::of(node),
            spawner,
            names,
            settings,
            loading: None,
            engine: None,
            failure: None,
            activate_when_configured: false,
        })
    }

    /// Configures, and activates after that, without being asked.
    pub fn start_by_itself(&mut self) {
        self.activate_when_configured = true;
        if self.lifecycle.begin("configure") {
            self.configure();
        }
    }

    /// What a report needs to know.
    #[must_use]
    pub fn situation(&self) -> Situation<'_> {
        let (state, failure, engine) = (self.lifecycle.state(), self.failure.as_deref(), self.engine.as_ref());
        Situation { state, failure, engine }
    }

    /// Whether the node was shut down.
    #[must_use]
    pub fn is_finalized(&self) -> bool {
        self.lifecycle.state() == State::Finalized
    }

    /// Everything that is due now: transitions, services, images without regions.
    pub fn step(&mut self, node: &mut r2r::Node, now: Instant) {
        self.finish_loading(node);
        if let Some(request) = self.lifecycle.next_request() {
            self.begin(node, request);
        }
        self.lifecycle.answer_questions();
        self.serve();
        if let Some(engine) = &self.engine {
            engine.tick(now);
        }
    }

    /// Lets go of everything at the end of the process.
    ///
    /// # Errors
    /// When the inference thread had ended by itself.
    pub fn end(mut self, node: &mut r2r::Node) -> anyhow::Result<()> {
        let well = self.engine.take().is_none_or(|engine| engine.end(node));
        anyhow::ensure!(well, "the inference thread ended unexpectedly; restart the node");
        Ok(())
    }

    fn begin(&mut self, node: &mut r2r::Node, request: Request) {
        match request {
            Request::Configure => self.configure(),
            Request::Activate => self.activate(node),
            Request::Deactivate => {
                if let Some(engine) = &mut self.engine {
                    engine.deactivate();
                }
                self.succeed();
            }
            Request::Cleanup => self.cleanup(node),
            Request::Shutdown => {
                self.loading = None;
                self.cleanup(node);
            }
        }
    }

    /// Begins to load; [`Managed::finish_loading`] ends the transition.
    fn configure(&mut self) {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match Loading::start(settings) {
            Ok(loading) => self.loading = Some(loading),
            Err(error) => self.fail(&error),
        }
    }

    fn finish_loading(&mut self, node: &mut r2r::Node) {
        let Some(result) = self.loading.as_ref().and_then(Loading::result) else { return };
        let Some(loading) = self.loading.take() else { return };
        let engine = result.and_then(|loaded| Engine::new(node, loading, loaded, &self.settings, &self.names));
        match engine {
            Ok(engine) => {
                self.engine = Some(engine);
                self.succeed();
                if std::mem::take(&mut self.activate_when_configured) && self.lifecycle.begin("activate") {
                    self.activate(node);
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    fn activate(&mut self, node: &mut r2r::Node) {
        let Some(engine) = &mut self.engine else { return self.fail(&anyhow::anyhow!("nothing is configured")) };
        match engine.activate(node, &self.spawner) {
            Ok(()) => {
                for line in &engine.lines {
                    for Subscription { topic, message_type, .. } in subscriptions(&line.settings, &self.names) {
                        tracing::info!("listening to {topic} ({message_type})");
                    }
                }
                self.warn_of_unused_qos();
                self.succeed();
            }
            Err(error) => self.fail(&error),
        }
    }

    fn warn_of_unused_qos(&self) {
        let Some(engine) = &self.engine else { return };
        let inputs = engine.lines.iter().flat_map(|line| subscriptions(&line.settings, &self.names));
        let inputs = inputs.map(|subscription| (subscription.topic, Role::Subscription));
        let outputs = engine.lines.iter().flat_map(|line| OUTPUTS.iter().map(|name| line.settings.name.topic(name)));
        let outputs = outputs.map(|topic| (self.names.resolve(&topic), Role::Publisher));
        let events = ("/parameter_events".to_owned(), Role::Publisher);
        let endpoints: Vec<(String, Role)> = inputs.chain(outputs).chain([events]).collect();
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        for name in settings.qos_without_endpoint(&endpoints) {
            tracing::warn!("parameter `{name}` is not applied: this node has no such topic, or sets it in another way");
        }
    }

    fn cleanup(&mut self, node: &mut r2r::Node) {
        if let Some(engine) = self.engine.take() {
            engine.end(node);
        }
        self.succeed();
    }

    fn serve(&mut self) {
        let engine = self.engine.as_ref();
        self.enable.poll(|request| match engine {
            Some(engine) => {
                engine.shared.enable(request.data);
                let message = if request.data { "images are judged" } else { "images are counted as dropped" };
                tracing::info!("~/enable: {message}");
                SetBool::Response { success: true, message: message.to_owned() }
            }
            None => SetBool::Response { success: false, message: "configure the node first".to_owned() },
        });
        self.reset.poll(|_| match engine {
            Some(engine) => {
                engine.reset();
                Trigger::Response { success: true, message: "waiting images dropped, latencies forgotten".to_owned() }
            }
            None => Trigger::Response { success: false, message: "configure the node first".to_owned() },
        });
        let now = &self.clock;
        self.save_event.poll(|_| match engine.map(|engine| engine.black_box.as_deref()) {
            Some(Some(recorder)) => {
                let stamp_nanos = black_box::nanos(now.now());
                let text = "asked for by ~/save_event".to_owned();
                recorder.trigger(black_box::Trigger { name: "save_event".into(), stamp_nanos, text });
                Trigger::Response {
                    success: true,
                    message: "the seconds before and after are being recorded".to_owned(),
                }
            }
            Some(None) => Trigger::Response { success: false, message: "the parameter record is off".to_owned() },
            None => Trigger::Response { success: false, message: "configure the node first".to_owned() },
        });
    }

    fn succeed(&mut self) {
        self.failure = None;
        self.lifecycle.finish(true);
        tracing::info!("lifecycle: {}", self.lifecycle.state().label());
    }

    fn fail(&mut self, error: &anyhow::Error) {
        tracing::error!("{error:#}");
        self.failure = Some(format!("{error:#}"));
        self.activate_when_configured = false;
        self.lifecycle.finish(false);
    }
}

/// What may be changed depends on the state, and on the monitor that is loaded.
impl Rules for Managed {
    fn stage(&self) -> Stage {
        match self.lifecycle.state() {
            State::Unconfigured | State::Inactive => Stage::Idle,
            _ => Stage::Active,
        }
    }

    fn check(&self, from: &Settings, to: &Settings) -> Result<(), String> {
        let smallest = self.engine.as_ref().and_then(|engine| engine.facts.smallest_p_value);
        smallest.map_or(Ok(()), |smallest| check_alarm_level(from, to, smallest))
    }
}
