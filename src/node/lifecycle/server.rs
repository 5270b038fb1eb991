//! The services and the topic of a managed node: `~/change_state`, `~/get_state`, `~/get_available_states`,
//! `~/get_available_transitions`, `~/get_transition_graph` and `~/transition_event`.

use std::time::{SystemTime, UNIX_EPOCH};

use r2r::lifecycle_msgs::msg::{
    State as StateMsg, Transition as TransitionMsg, TransitionDescription, TransitionEvent,
};
use r2r::lifecycle_msgs::srv::{ChangeState, GetAvailableStates, GetAvailableTransitions, GetState};
use r2r::{Publisher, QosProfile, ServiceRequest};

use super::machine::{Machine, Request, STATES, State, TRANSITIONS, Transition};
use crate::node::service::Service;

/// The lifecycle of the node as others see it.
pub struct LifecycleServer {
    machine: Machine,
    asked: Option<ServiceRequest<ChangeState::Service>>,
    change_state: Service<ChangeState::Service>,
    get_state: Service<GetState::Service>,
    available_states: Service<GetAvailableStates::Service>,
    available_transitions: Service<GetAvailableTransitions::Service>,
    transition_graph: Service<GetAvailableTransitions::Service>,
    events: Publisher<TransitionEvent>,
}

impl LifecycleServer {
    /// Offers the services, in state `unconfigured`.
    ///
    /// # Errors
    /// When ROS refuses a service or the topic.
    pub fn new(node: &mut r2r::Node) -> r2r::Result<Self> {
        let services = QosProfile::services_default;
        Ok(Self {
            machine: Machine::default(),
            asked: None,
            change_state: Service::new(node, "~/change_state", services())?,
            get_state: Service::new(node, "~/get_state", services())?,
            available_states: Service::new(node, "~/get_available_states", services())?,
            available_transitions: Service::new(node, "~/get_available_transitions", services())?,
            transition_graph: Service::new(node, "~/get_transition_graph", services())?,
            events: node.create_publisher("~/transition_event", QosProfile::default())?,
        })
    }

    /// Current state.
    #[must_use]
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// Answers the questions that wait.
    pub fn answer_questions(&mut self) {
        let state = self.state();
        self.get_state.poll(|_| GetState::Response { current_state: describe_state(state) });
        let available_states = || STATES.iter().map(|&state| describe_state(state)).collect();
        self.available_states.poll(|_| GetAvailableStates::Response { available_states: available_states() });
        self.available_transitions.poll(|_| GetAvailableTransitions::Response {
            available_transitions: self
                .machine
                .available()
                .filter(|edge| edge.request().is_some())
                .map(describe)
                .collect(),
        });
        self.transition_graph.poll(|_| GetAvailableTransitions::Response {
            available_transitions: TRANSITIONS.iter().map(describe).collect(),
        });
    }

    /// Begins the next transition that a manager asks for. While one is in work, others are refused.
    pub fn next_request(&mut self) -> Option<Request> {
        while let Some(request) = self.change_state.next() {
            let TransitionMsg { id, label } = &request.message.transition;
            match self.machine.begin(*id, label) {
                Ok((transition, wanted)) => {
                    self.announce(transition);
                    self.asked = Some(request);
                    return Some(wanted);
                }
                Err(refusal) => {
                    tracing::warn!("lifecycle: {refusal}");
                    self.change_state.respond(request, ChangeState::Response { success: false });
                }
            }
        }
        None
    }

    /// Begins a transition that nobody but the node itself asks for. Returns whether it is possible.
    pub fn begin(&mut self, label: &str) -> bool {
        let begun = self.machine.begin(0, label);
        if let Ok((transition, _)) = begun {
            self.announce(transition);
        }
        begun.is_ok()
    }

    /// Ends the transition in work and answers whoever asked for it.
    pub fn finish(&mut self, success: bool) {
        if let Some(transition) = self.machine.finish(success) {
            self.announce(transition);
        }
        if let Some(request) = self.asked.take() {
            self.change_state.respond(request, ChangeState::Response { success });
        }
    }

    fn announce(&self, transition: Transition) {
        let event = TransitionEvent {
            timestamp: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64),
            transition: TransitionMsg { id: transition.id, label: transition.label.to_owned() },
            start_state: describe_state(transition.start),
            goal_state: describe_state(transition.goal),
        };
        if let Err(error) = self.events.publish(&event) {
            tracing::warn!("cannot publish the lifecycle event: {error}");
        }
    }
}

fn describe_state(state: State) -> StateMsg {
    StateMsg { id: state.id(), label: state.label().to_owned() }
}

fn describe(transition: &Transition) -> TransitionDescription {
    TransitionDescription {
        transition: TransitionMsg { id: transition.id, label: transition.label.to_owned() },
        start_state: describe_state(transition.start),
        goal_state: describe_state(transition.goal),
    }
}
