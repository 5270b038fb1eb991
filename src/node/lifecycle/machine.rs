//! States and transitions of a managed node, as `lifecycle_msgs` and the design article "Managed nodes" of ROS 2 define
//! them. Pure: what a transition does is not known here.

/// Primary and transition states, with the ids of `lifecycle_msgs/State`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Nothing is loaded.
    Unconfigured = 1,
    /// Model and monitor are loaded; nothing is subscribed to.
    Inactive = 2,
    /// Images are judged.
    Active = 3,
    /// The process ends.
    Finalized = 4,
    /// Loading.
    Configuring = 10,
    /// Letting go of model and monitor.
    CleaningUp = 11,
    /// Ending.
    ShuttingDown = 12,
    /// Subscribing.
    Activating = 13,
    /// Letting go of the subscriptions.
    Deactivating = 14,
}

/// What a lifecycle manager asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Load model and monitor.
    Configure,
    /// Let go of model and monitor.
    Cleanup,
    /// Begin to judge.
    Activate,
    /// Stop judging.
    Deactivate,
    /// End the process.
    Shutdown,
}

/// One edge of the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Id in `lifecycle_msgs/Transition`.
    pub id: u8,
    /// Label, as `ros2 lifecycle` shows it.
    pub label: &'static str,
    /// State it leaves.
    pub start: State,
    /// State it enters.
    pub goal: State,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request does not start in the current state.
    #[error("`{request}` is not possible in state {}; possible: {possible}", state.label())]
    NotHere {
        /// What was asked for.
        request: String,
        /// Current state.
        state: State,
        /// Labels of what is possible, separated by commas.
        possible: String,
    },
}

const fn edge(id: u8, label: &'static str, start: State, goal: State) -> Transition {
    Transition { id, label, start, goal }
}

const SUCCESS: &str = "transition_success";
const FAILURE: &str = "transition_failure";

/// Every edge, with the ids of `lifecycle_msgs/Transition` and the labels of `rcl_lifecycle`.
pub const TRANSITIONS: &[Transition] = &[
    edge(1, "configure", State::Unconfigured, State::Configuring),
    edge(10, SUCCESS, State::Configuring, State::Inactive),
    edge(11, FAILURE, State::Configuring, State::Unconfigured),
    edge(2, "cleanup", State::Inactive, State::CleaningUp),
    edge(20, SUCCESS, State::CleaningUp, State::Unconfigured),
    edge(21, FAILURE, State::CleaningUp, State::Inactive),
    edge(3, "activate", State::Inactive, State::Activating),
    edge(30, SUCCESS, State::Activating, State::Active),
    edge(31, FAILURE, State::Activating, State::Inactive),
    edge(4, "deactivate", State::Active, State::Deactivating),
    edge(40, SUCCESS, State::Deactivating, State::Inactive),
    edge(41, FAILURE, State::Deactivating, State::Active),
    edge(5, "shutdown", State::Unconfigured, State::ShuttingDown),
    edge(6, "shutdown", State::Inactive, State::ShuttingDown),
    edge(7, "shutdown", State::Active, State::ShuttingDown),
    edge(50, SUCCESS, State::ShuttingDown, State::Finalized),
    edge(51, FAILURE, State::ShuttingDown, State::Finalized),
];

/// All states.
pub const STATES: &[State] = &[
    State::Unconfigured,
    State::Inactive,
    State::Active,
    State::Finalized,
    State::Configuring,
    State::CleaningUp,
    State::ShuttingDown,
    State::Activating,
    State::Deactivating,
];

impl State {
    /// Id in `lifecycle_msgs/State`.
    #[must_use]
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Label, as `ros2 lifecycle get` shows it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Finalized => "finalized",
            Self::Configuring => "configuring",
            Self::CleaningUp => "cleaningup",
            Self::ShuttingDown => "shuttingdown",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
        }
    }
}

impl Transition {
    /// What it means for the node; `None` for the outcome of another transition.
    #[must_use]
    pub fn request(self) -> Option<Request> {
        match self.id {
            1 => Some(Request::Configure),
            2 => Some(Request::Cleanup),
            3 => Some(Request::Activate),
            4 => Some(Request::Deactivate),
            5..=7 => Some(Request::Shutdown),
            _ => None,
        }
    }
}

/// The current state. A transition is begun, and later finished with success or failure.
#[derive(Debug)]
pub struct Machine {
    state: State,
}

impl Default for Machine {
    fn default() -> Self {
        Self { state: State::Unconfigured }
    }
}

impl Machine {
    /// Current state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Transitions that start in the current state.
    pub fn available(&self) -> impl Iterator<Item = &'static Transition> {
        let state = self.state;
        TRANSITIONS.iter().filter(move |transition| transition.start == state)
    }

    /// Begins the transition with this label, or with this id when the label is empty, as `rclcpp_lifecycle` chooses.
    ///
    /// # Errors
    /// [`Refusal`] when no such transition starts in the current state; the state stays.
    pub fn begin(&mut self, id: u8, label: &str) -> Result<(Transition, Request), Refusal> {
        let fits =
            |transition: &&Transition| if label.is_empty() { transition.id == id } else { transition.label == label };
        let found = self.available().find(fits).and_then(|found| Some((*found, found.request()?)));
        let Some((transition, request)) = found else { return Err(self.refusal(id, label)) };
        self.state = transition.goal;
        Ok((transition, request))
    }

    /// Ends the transition in work; `None` when there is none.
    pub fn finish(&mut self, success: bool) -> Option<Transition> {
        let wanted = if success { SUCCESS } else { FAILURE };
        let transition = *self.available().find(|transition| transition.label == wanted)?;
        self.state = transition.goal;
        Some(transition)
    }

    fn refusal(&self, id: u8, label: &str) -> Refusal {
        let named = TRANSITIONS.iter().find(|transition| transition.id == id).map_or("unknown", |found| found.label);
        let request = if label.is_empty() { format!("{named} ({id})") } else { label.to_owned() };
        let possible: Vec<&str> =
            self.available().filter(|found| found.request().is_some()).map(|found| found.label).collect();
        let possible =
            if possible.is_empty() { "nothing until the transition ends".to_owned() } else { possible.join(", ") };
        Refusal::NotHere { request, state: self.state, possible }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(machine: &mut Machine, label: &str) -> Result<Request, Refusal> {
        machine.begin(0, label).map(|(_, request)| request)
    }

    #[test]
    fn the_usual_way() {
        let mut machine = Machine::default();
        for (label, expected, state) in [
            ("configure", Request::Configure, State::Inactive),
            ("activate", Request::Activate, State::Active),
            ("deactivate", Request::Deactivate, State::Inactive),
            ("cleanup", Request::Cleanup, State::Unconfigured),
            ("shutdown", Request::Shutdown, State::Finalized),
        ] {
            assert_eq!(request(&mut machine, label), Ok(expected));
            machine.finish(true).unwrap();
            assert_eq!(machine.state(), state);
        }
        assert_eq!(machine.available().count(), 0);
    }

    #[test]
    fn a_failure_goes_back() {
        let mut machine = Machine::default();
        request(&mut machine, "configure").unwrap();
        assert_eq!(machine.state(), State::Configuring);
        let transition = machine.finish(false).unwrap();
        assert_eq!((transition.id, machine.state()), (11, State::Unconfigured));
    }

    #[test]
    fn a_label_wins_over_an_id_and_an_id_alone_is_enough() {
        let mut machine = Machine::default();
        assert_eq!(machine.begin(3, "configure").unwrap().1, Request::Configure);
        machine.finish(true).unwrap();
        assert_eq!(machine.begin(3, "").unwrap().1, Request::Activate);
    }

    #[test]
    fn what_is_not_possible_is_refused_with_what_is() {
        let mut machine = Machine::default();
        let refusal = request(&mut machine, "activate").unwrap_err().to_string();
        assert_eq!(refusal, "`activate` is not possible in state unconfigured; possible: configure, shutdown");
        request(&mut machine, "configure").unwrap();
        let refusal = machine.begin(1, "").unwrap_err().to_string();
        assert!(refusal.contains("configure (1)") && refusal.contains("nothing until"), "{refusal}");
        assert!(request(&mut machine, "transition_success").is_err(), "an outcome cannot be asked for");
    }

    #[test]
    fn finishing_without_a_transition_changes_nothing() {
        let mut machine = Machine::default();
        assert_eq!(machine.finish(true), None);
        assert_eq!(machine.state(), State::Unconfigured);
    }

    #[test]
    fn ids_are_unique_and_every_transition_state_has_both_outcomes() {
        for (index, transition) in TRANSITIONS.iter().enumerate() {
            assert!(TRANSITIONS[..index].iter().all(|other| other.id != transition.id), "{transition:?}");
        }
        for state in STATES.iter().filter(|state| state.id() >= 10) {
            let outcomes = TRANSITIONS.iter().filter(|transition| transition.start == *state).count();
            assert_eq!(outcomes, 2, "{state:?}");
        }
    }
}
